# SPDX-License-Identifier: BSD-3-Clause
"""
Train a diffusion prior for a long time
=======================================

Train a diffusion prior of photographs for a given time, with checkpoints.

The script learns plane waves with colours, and a diffusion prior of their codes. The
data are CIFAR-10, your own pictures, or patches of the photographs of scikit-learn.
Training runs on a CPU or a GPU. If the script was stopped or killed, the same command
continues from the last checkpoint. A larger ``--minutes`` continues a finished
training.

The script writes the new images, a picture of them, and a picture of partly known
images: images with unknown details, with unknown pixels at four times the resolution,
and with one unknown band of frequencies. With ``--judge``, a TorchScript file that
computes features of images, or with ``--inception``, the weights of torch-fidelity's
Inception network, the script also prints the Fréchet distance to the test images.

    python examples/train_diffusion.py --cifar10 DIR --minutes 10 --device cuda
"""

# %%
import argparse
import time
from pathlib import Path

import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import (
    load_cifar10,
    load_image_folder,
    load_photograph_patches,
)
from skspectral.metrics import (
    extract_features,
    frechet_distance,
    inception_extractor,
    memorization_ratio,
)
from skspectral.priors import DiffusionPrior

SIZE = 32
N_SHOWN, N_KNOWN, N_DRAWS = 100, 6, 4
# Frequencies in cycles per image: waves below SLOW are known, waves in BAND are
# unknown.
SLOW, BAND = 3.0, (3.0, 8.0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--cifar10", type=Path, metavar="DIR", help="folder of CIFAR-10"
    )
    source.add_argument(
        "--images", type=Path, metavar="FOLDER", help="folder of your pictures"
    )
    source.add_argument(
        "--data", type=Path, metavar="NPZ", help="file with arrays train and test"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="time of training")
    parser.add_argument("--device", default=None, help="for example cuda")
    parser.add_argument("--n-components", type=int, default=1024, metavar="K")
    parser.add_argument("--width", type=int, default=64, help="width of the network")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--compile", action="store_true", help="compile the network")
    parser.add_argument("--labels", action="store_true", help="learn the labels, too")
    parser.add_argument(
        "--n-samples", type=int, default=10_000, help="number of new images"
    )
    parser.add_argument(
        "--judge", type=Path, help="TorchScript file that computes features"
    )
    parser.add_argument(
        "--inception", type=Path, help="weights of torch-fidelity's Inception"
    )
    parser.add_argument("--output", type=Path, default=Path("diffusion"))
    return parser.parse_args()


def load(args):
    """Return uint8 training and test images, and labels or None."""
    if args.cifar10 is not None:
        train, labels = load_cifar10(args.cifar10, train=True)
        test, _ = load_cifar10(args.cifar10, train=False)
        return train, test, labels
    if args.images is not None:
        return *load_image_folder(args.images, 50_000, SIZE), None
    if args.data is not None:
        with np.load(args.data) as data:
            return data["train"], data["test"], data.get("train_labels")
    return *load_photograph_patches(20_000, SIZE), None


def as_rows(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


# %%
# The training
# ------------
# The seed of the estimator determines the atoms and the codes. A second run therefore
# learns the same atoms and codes, and continues the training of the network.


def train(X, labels, shape, args):
    """Return the fitted estimator."""
    prior = DiffusionPrior(
        width=args.width,
        max_images=None,
        max_time=60 * args.minutes,
        batch_size=args.batch_size,
        ema=args.ema,
        mirror=True,
        checkpoint=args.output / "checkpoint.pt",
        compile=args.compile,
        device=args.device,
    )
    estimator = SpectralDictionaryLearning(
        min(args.n_components, *X.shape),
        signal_shape=shape,
        modulation=None,
        # With this many waves, further iterations improve the fit only a little.
        tol=0.01,
        prior=prior,
        device=args.device,
        random_state=0,
    )
    try:
        from sklearn.callback import ProgressBar

        estimator.set_callbacks(ProgressBar())
    except ImportError:
        print("(pip install 'skspectral[examples]' shows progress bars)")
    return estimator.fit(X, labels if args.labels else None)


def report(estimator, path, minutes):
    """Print the size, the speed and the loss of the training."""
    prior = estimator.prior_
    loss = prior.history_["loss"]
    print(
        f"{prior.n_images_:,} images, {prior.n_images_ / minutes / 60:,.0f} / s; "
        f"{prior.n_parameters_:,} parameters; checkpoint of "
        f"{path.stat().st_size / 2**20:.0f} MiB"
    )
    print(
        "error of the network divided by that of a Gaussian: "
        f"{loss[:5].mean():.3f} at first, {loss[-20:].mean():.3f} now"
    )


# %%
# Partly known images
# -------------------
# The prior can draw images of which some linear functions are known. Here these are the
# products of an image with orthonormal directions. The directions span the waves of low
# frequency, or all waves outside a band, or the local means.


def directions(waves):
    """Return orthonormal rows that span the given waves."""
    _, singular, right = np.linalg.svd(waves, full_matrices=False)
    return right[singular > 1e-6 * singular[0]]


def questions(estimator, shape):
    """Return operators by the name of what they leave unknown."""
    frequencies, waves = estimator.frequencies_, estimator.components_
    outside = (frequencies < BAND[0]) | (frequencies > BAND[1])
    return {
        "unknown details": directions(waves[frequencies < SLOW]),
        "four times the pixels": local_means(shape),
        f"unknown {BAND[0]:g} to {BAND[1]:g} cycles": directions(waves[outside]),
    }


def local_means(shape):
    """Return orthonormal rows: twice the means of 2 x 2 pixels of each colour."""
    height, width, n_channels = shape
    rows = np.kron(np.eye(height // 2), [[1, 1]]) / np.sqrt(2)
    columns = np.kron(np.eye(width // 2), [[1, 1]]) / np.sqrt(2)
    return np.kron(np.kron(rows, columns), np.eye(n_channels))


# %%
# The pictures
# ------------


def show_draws(images, path):
    """Draw a square of new images."""
    from matplotlib import image as files

    side = int(np.sqrt(min(N_SHOWN, len(images))))
    height, width, n_channels = images.shape[1:]
    square = images[: side**2].reshape(side, side, height, width, n_channels)
    grid = square.swapaxes(1, 2).reshape(side * height, side * width, n_channels)
    files.imsave(path, np.kron(grid, np.ones((3, 3, 1), np.uint8)))


def show_answers(estimator, X, shape, path):
    """Draw images, their known parts, and completions of these parts."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    asked = questions(estimator, shape)
    figure = Figure(figsize=(6.5 * len(asked), 1.12 * N_KNOWN), layout="constrained")
    panels = figure.subfigures(1, len(asked))
    for panel, (name, operator) in zip(panels, asked.items(), strict=True):
        panel.suptitle(name, fontsize=15)
        axes = panel.subplots(N_KNOWN, N_DRAWS + 2)
        for row, x in zip(axes, X, strict=True):
            seen = operator @ x
            draws = estimator.sample_given(operator, seen, N_DRAWS, random_state=0)
            known = estimator.mean_ + (seen - operator @ estimator.mean_) @ operator
            for axis, image in zip(row, [x, known, *draws], strict=True):
                axis.imshow(np.clip(image, 0, 1).reshape(shape))
                axis.set(xticks=[], yticks=[])
        for axis, title in zip(axes[0], ["image", "known"], strict=False):
            axis.set_title(title, fontsize=11)
    figure.savefig(path, dpi=80)


def measure(images, train, test, extractor, name):
    """Print metrics in the features of a network."""

    def features(part):
        outputs = extract_features(part, extractor)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    ours, real, known = map(features, (images, test, train))
    distance = frechet_distance(ours, real)
    ratio = memorization_ratio(known, real, ours)
    print(
        f"{name}: Fréchet distance to {len(real):,} test images {distance:.2f} with "
        f"{len(ours):,} new images; nearest training image at {ratio:.2f} of the "
        "distance of test images"
    )


def main():
    args = parse_arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    images, test, labels = load(args)
    shape = images.shape[1:]
    start = time.perf_counter()
    estimator = train(as_rows(images), labels, shape, args)
    print(f"fitted in {(time.perf_counter() - start) / 60:.1f} minutes")
    report(estimator, args.output / "checkpoint.pt", args.minutes)

    start = time.perf_counter()
    draws = np.clip(estimator.sample(args.n_samples, random_state=0), 0, 1)
    seconds = time.perf_counter() - start
    print(f"{1000 * seconds / args.n_samples:.2f} s for 1,000 new images")
    drawn = np.rint(255 * draws).astype(np.uint8).reshape(-1, *shape)
    np.savez(args.output / "draws.npz", images=drawn)
    show_draws(drawn, args.output / "draws.png")
    show_answers(estimator, as_rows(test[:N_KNOWN]), shape, args.output / "known.png")
    if args.judge is not None:
        measure(drawn, images, test, args.judge, "judge")
    if args.inception is not None:
        extractor = inception_extractor(args.inception, device=args.device)
        measure(drawn, images, test, extractor, "Inception")
    print(f"pictures: {args.output.resolve()}")


if __name__ == "__main__":
    main()
