"""
Galaxies that do not exist
==========================

Learns plane waves from photographs of two hundred galaxies, and draws new galaxies.

The galaxies are cut out of a photograph by the Hubble Space Telescope, which comes with
scikit-image. The galaxies that are shown as real ones have not been used in the fit.
The explained variance is compared with PCA's. The script writes a picture, and a page
of HTML with the figures, the new galaxies, and each wave with its wavelength and
orientation.

Run it on your own pictures with ``--images FOLDER``, on patches of scikit-learn's two
photographs with ``--photographs``, or on CIFAR-10 with ``--cifar10 DIR`` (the folder
that holds ``cifar-10-batches-py``).
"""

# SPDX-License-Identifier: BSD-3-Clause
# %%
import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from skspectral import SpectralDictionaryLearning
from skspectral.atom_names import atom_names
from skspectral.datasets import (
    load_cifar10,
    load_galaxies,
    load_image_folder,
    load_photograph_patches,
)
from skspectral.metrics import explained_variance, memorization_ratio
from skspectral.plotting import AtomDisplay, SampleGridDisplay
from skspectral.priors import GaussianMixture
from skspectral.report import write_report

# Height and width of the patches of other pictures, in pixels.
SIZE = 32
NEXT = (
    ".venv/bin/python examples/plot_generate_images.py --images FOLDER_OF_PICTURES",
    ".venv/bin/python examples/plot_sound.py --recordings FILE.wav",
    ".venv/bin/python examples/plot_own_signals.py --signals FILE.csv",
)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--images", type=Path, metavar="FOLDER", help="your own pictures, of any size"
    )
    source.add_argument(
        "--photographs", action="store_true", help="two photographs of scikit-learn"
    )
    source.add_argument(
        "--cifar10", type=Path, metavar="DIR", help="the folder with CIFAR-10"
    )
    parser.add_argument("--n-components", type=int, default=160, metavar="K")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("generated_images.png"),
        help="the picture; the page has the same name with .html",
    )
    return parser.parse_args()


# %%
# The images
# ----------
# Training and test images share no pixel.


class Images(NamedTuple):
    """Images of uint8, (n, height, width, 3), with words for what they show."""

    train: np.ndarray
    test: np.ndarray
    noun: str
    source: str


def load_images(args):
    if args.cifar10 is not None:
        parts = (load_cifar10(args.cifar10, train=train)[0] for train in (True, False))
        return Images(*parts, "images", "CIFAR-10")
    if args.images is not None:
        parts = load_image_folder(args.images, 5000, SIZE)
        return Images(*parts, "patches", str(args.images))
    if not args.photographs:
        try:
            return Images(*load_galaxies(), "galaxies", "a photograph by Hubble")
        except ImportError as error:
            print(f"{error} Until then: patches of scikit-learn's photographs.")
    parts = load_photograph_patches(5000, SIZE)
    return Images(*parts, "patches", "scikit-learn's photographs")


def as_rows(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


# %%
# The fit, with progress
# ----------------------
# The prior is a mixture of Gaussians: large and small, red and blue galaxies are
# different kinds, which one Gaussian would blend.


def fit(X, shape, n_components):
    estimator = SpectralDictionaryLearning(
        n_components,
        signal_shape=shape,
        modulation=None,
        prior=GaussianMixture(40, tol=0.01),
        random_state=0,
    )
    try:
        from sklearn.callback import ProgressBar

        estimator.set_callbacks(ProgressBar())
    except ImportError:
        print("(pip install 'skspectral[examples]' shows progress bars)")
    return estimator.fit(X)


# %%
# Beside PCA
# ----------
# PCA with as many components is the bound of what any linear model explains of the
# training images. On images that neither has seen, PCA is no bound.


def measure(estimator, X, X_test, seconds):
    """Explained variance of test images, and further figures by name."""
    start = time.perf_counter()
    pca = PCA(min(len(estimator.components_), *X.shape), random_state=0).fit(X)
    pca_seconds = time.perf_counter() - start
    ours, theirs = (
        explained_variance(X_test, model.inverse_transform(model.transform(X_test)))
        for model in (estimator, pca)
    )
    copies = memorization_ratio(X, X_test, estimator.sample(200, random_state=0))
    return ours, {
        "the same for PCA with as many components": f"{theirs:.4f}",
        "images in the fit": f"{len(X):,}",
        "time of the fit": f"{seconds:.1f} s, with the prior",
        "time of PCA": f"{pca_seconds:.1f} s",
        "distance of new images to the nearest one in the fit": (
            f"{copies:.2f} times that of real images not in the fit (a copy has 0)"
        ),
    }


# %%
# The picture
# -----------


def plot(estimator, X_test, noun, path):
    """Four panels: real images, new ones, reconstructions, and atoms."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 12.6), layout="constrained")
    panels = figure.subfigures(2, 2, wspace=0.03, hspace=0.03)
    n = min(36, len(X_test))
    # In an order by chance, as the new ones are: galaxies come brightest first.
    shown = np.random.default_rng(0).permutation(X_test)[:n]
    coded = estimator.inverse_transform(estimator.transform(shown))
    grids = {
        f"Real {noun} (not used in the fit)": shown,
        f"New {noun}, drawn from the model": estimator.sample(n, random_state=0),
        f"The real {noun}, reconstructed from their codes": coded,
    }
    for panel, (title, images) in zip(panels.flat, grids.items(), strict=False):
        panel.suptitle(title, fontsize=15)
        SampleGridDisplay.from_arrays(
            images, estimator.signal_shape, ax=panel.subplots(), vmin=0, vmax=1
        )
    panels[1, 1].suptitle("Atoms: wavelength and orientation", fontsize=15)
    AtomDisplay.from_estimator(estimator, atoms=25, ax=panels[1, 1].subplots())
    figure.savefig(path, dpi=80)


# %%
# All together
# ------------


def run(args):
    images = load_images(args)
    X, X_test = as_rows(images.train), as_rows(images.test)
    print(
        f"{len(X):,} images for the fit, {len(X_test):,} others, from {images.source}"
    )

    start = time.perf_counter()
    estimator = fit(X, images.train.shape[1:], args.n_components)
    share, figures = measure(estimator, X, X_test, time.perf_counter() - start)
    print(f"explained fraction of the variance, other images: {share:.4f}")
    for name, value in figures.items():
        print(f"{name}: {value}")
    print("waves of most variance:", "; ".join(atom_names(estimator)[:5]))

    plot(estimator, X_test, images.noun, args.output)
    print(f"picture: {args.output.resolve()}")
    page = write_report(
        estimator,
        X_test,
        args.output.with_suffix(".html"),
        title=f"New {images.noun}, from {images.source}",
        facts=figures,
        commands=NEXT,
    )
    print(f"page: {page}")


def main():
    args = parse_arguments()
    try:
        run(args)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
