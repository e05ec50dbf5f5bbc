# SPDX-License-Identifier: BSD-3-Clause
"""
Fill missing pixels of images
=============================

Fill holes in images, with an estimate of the uncertainty and several solutions.

The model learns plane waves with colours on patches of photographs. It fills four kinds
of holes in other patches: a square, a random half of the pixels, the pixels under a
text, and two of the three colours of each pixel, because the sensor of a camera sees
one colour per pixel.

The example prints root mean squared errors, and compares them with those of mean
filling, nearest neighbours and scikit-image's biharmonic equation. It draws the
posterior mean, the standard deviation, and several draws from the posterior.
"""

# %%
import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.impute import KNNImputer, SimpleImputer

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import cut_patches

SIZE = 16
SHAPE = (SIZE, SIZE, 3)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--n-patches", type=int, default=5000, help="number of patches to learn from"
    )
    parser.add_argument("--n-components", type=int, default=256, metavar="K")
    parser.add_argument("--output", type=Path, default=Path("inpainted.png"))
    return parser.parse_args()


# %%
# The photographs and the holes
# -----------------------------


def load_patches(n_patches):
    """Return patches to learn from and test patches, as rows in [0, 1]."""
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError(
            f"{error}. This example needs: pip install scikit-image"
        ) from error
    photographs = [*load_sample_images().images, data.coffee(), data.rocket()]
    others = [data.astronaut(), data.chelsea()]
    return (
        cut_patches(images, n, SIZE).reshape(n, -1).astype(np.float32) / 255
        for images, n in ((photographs, n_patches), (others, 100))
    )


def make_holes():
    """Return by name masks of shape (16, 16, 3); True means missing."""
    square = np.zeros(SHAPE, dtype=bool)
    square[5:11, 5:11] = True
    half = np.random.default_rng(0).random((SIZE, SIZE, 1)) < 0.5
    # In each block of 2 x 2 pixels, one is red, two are green and one is blue.
    mosaic = np.ones(SHAPE, dtype=bool)
    mosaic[::2, ::2, 0] = mosaic[::2, 1::2, 1] = False
    mosaic[1::2, ::2, 1] = mosaic[1::2, 1::2, 2] = False
    return {
        "square": square,
        "half of the pixels": np.broadcast_to(half, SHAPE),
        "writing": np.broadcast_to(writing()[:, :, None], SHAPE),
        "colour mosaic": mosaic,
    }


def writing():
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (SIZE, SIZE))
    font = ImageFont.load_default(12)
    ImageDraw.Draw(image).text((0, 0), "Ab", fill=255, font=font)
    return np.asarray(image) > 90


# %%
# The methods
# -----------
# The same pixels are missing in all patches, so that the matrices of the posterior are
# computed only once.


def fit(X, n_components):
    estimator = SpectralDictionaryLearning(
        n_components,
        signal_shape=SHAPE,
        modulation=None,
        random_state=0,
    )
    return estimator.fit(X)


def biharmonic(X, hole):
    """Fill each channel alone, because different pixels may be missing in each."""
    from skimage.restoration import inpaint_biharmonic

    filled = np.nan_to_num(X).reshape(-1, *SHAPE)
    for image in filled:
        for c in range(3):
            channel, missing = (part[..., c].copy() for part in (image, hole))
            image[..., c] = inpaint_biharmonic(channel, missing)
    return filled.reshape(X.shape)


def fillers(estimator, X):
    """Return by name functions that fill patches, given the patches and the mask."""
    mean, neighbours = SimpleImputer().fit(X), KNNImputer(n_neighbors=5).fit(X[:2000])
    return {
        "mean filling": lambda rows, _: mean.transform(rows),
        "5 nearest neighbours": lambda rows, _: neighbours.transform(rows),
        "biharmonic": biharmonic,
        "skspectral": lambda rows, _: estimator.impute(rows),
    }


def compare(methods, X, holes):
    """Print a table of errors and times."""
    print(
        f"{'root mean squared error':<24}"
        + "".join(f"{n:>20}" for n in holes)
        + "  ms per patch"
    )
    for method, fill in methods.items():
        errors, start = [], time.perf_counter()
        for hole in holes.values():
            missing = hole.ravel()
            filled = fill(np.where(missing, np.nan, X), hole)
            errors.append(np.sqrt(((filled - X)[:, missing] ** 2).mean()))
        each = 1000 * (time.perf_counter() - start) / (len(X) * len(holes))
        print(f"{method:<24}" + "".join(f"{e:20.4f}" for e in errors) + f"{each:14.2f}")


# %%
# The picture
# -----------


def plot(estimator, X, holes, path, n_draws=4):
    """Draw for each hole the known pixels, the fillings and the truth."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    titles = ["known pixels", "posterior mean", "standard deviation"]
    titles += [f"draw {i + 1}" for i in range(n_draws)] + ["truth"]
    figure = Figure(figsize=(13, 1.75 * len(holes) + 0.3), layout="constrained")
    axes = figure.subplots(len(holes), len(titles))
    for row, x, (name, hole) in zip(axes, X, holes.items(), strict=True):
        seen = np.where(hole.ravel(), np.nan, x)[None]
        mean, std = estimator.impute(seen, return_std=True)
        draws = estimator.sample_posterior(seen, n_draws, random_state=0)
        images = [np.nan_to_num(seen), mean, None, *draws, x]
        for axis, image in zip(row, images, strict=True):
            axis.set(xticks=[], yticks=[])
            if image is not None:
                axis.imshow(np.clip(image.reshape(SHAPE), 0, 1))
        # The root mean square over the colours is shown.
        spread = np.sqrt((std.reshape(SHAPE) ** 2).mean(axis=-1))
        shown = row[2].imshow(spread, cmap="cividis", vmin=0)
        figure.colorbar(shown, ax=row[2], shrink=0.8)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=11)
    figure.savefig(path, dpi=90)


def main():
    args = parse_arguments()
    try:
        X, X_test = load_patches(args.n_patches)
    except ImportError as error:
        sys.exit(f"error: {error}")
    start = time.perf_counter()
    estimator = fit(X, args.n_components)
    seconds = time.perf_counter() - start
    print(
        f"fit of {args.n_components} plane waves to {len(X)} patches in {seconds:.1f} s"
    )
    holes = make_holes()
    compare(fillers(estimator, X), X_test, holes)
    # Patches of large variance show more than flat ones.
    shown = X_test[np.argsort(X_test.var(axis=1))[len(X_test) * 3 // 4 :: 6]]
    plot(estimator, shown[: len(holes)], holes, args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
