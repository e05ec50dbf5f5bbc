"""
From photographs to new textures
================================

Fits plane waves to 32 x 32 colour patches of photographs, compares the explained
variance with PCA's, and draws real patches, their reconstructions, new samples, and the
waves with their cycles down and across a patch.

Run it on your own pictures with ``--images FOLDER``, or on CIFAR-10 with
``--cifar10 DIR`` (the folder that holds ``cifar-10-batches-py``).
"""

# SPDX-License-Identifier: BSD-3-Clause
# %%
import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import (
    load_cifar10,
    load_image_folder,
    load_photograph_patches,
)

SIZE = 32


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--images", type=Path, metavar="FOLDER", help="your own pictures, of any size"
    )
    source.add_argument(
        "--cifar10", type=Path, metavar="DIR", help="the folder with CIFAR-10"
    )
    parser.add_argument("--n-components", type=int, default=128, metavar="K")
    parser.add_argument("--output", type=Path, default=Path("generated_images.png"))
    return parser.parse_args()


# %%
# The images
# ----------
# Training and test patches share no pixel.


def load_images(args):
    """Training and test images, uint8 (n, 32, 32, 3), and where they come from."""
    if args.cifar10 is not None:
        train, _ = load_cifar10(args.cifar10, train=True)
        test, _ = load_cifar10(args.cifar10, train=False)
        return train, test, "CIFAR-10"
    if args.images is not None:
        return *load_image_folder(args.images, 5000, SIZE), str(args.images)
    return *load_photograph_patches(5000, SIZE), "scikit-learn's photographs"


# %%
# The fit, with progress
# ----------------------


def with_progress(estimator):
    """Show progress bars where rich is installed."""
    try:
        from sklearn.callback import ProgressBar

        return estimator.set_callbacks(ProgressBar())
    except ImportError:
        print("(pip install 'skspectral[progress]' shows progress bars)")
        return estimator


def explained_variance(estimator, X):
    """Share of the variance of X that its reconstruction keeps."""
    reconstruction = estimator.inverse_transform(estimator.transform(X))
    return r2_score(X, reconstruction, multioutput="variance_weighted")


# %%
# The picture
# -----------


def plot(images, reconstructions, samples, estimator, path):
    """Four panels: real, reconstructed, new, atoms."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 12.6), layout="constrained")
    panels = figure.subfigures(2, 2, wspace=0.03, hspace=0.03)
    show_grid(panels[0, 0], "Real patches (held out)", images)
    show_grid(panels[0, 1], "Their reconstructions", reconstructions)
    show_grid(panels[1, 0], "New samples", samples)
    atoms = estimator.components_[: len(images)].reshape(-1, SIZE, SIZE, 3)
    scale = 0.5 / np.abs(atoms).max(axis=(1, 2, 3), keepdims=True)
    # Adding 0 takes the sign from -0.
    cycles = np.round(estimator.wave_vectors_, 1) + 0.0
    titles = [f"{down:.1f}, {across:.1f}" for down, across in cycles]
    show_grid(
        panels[1, 1],
        "Leading atoms (cycles down, across)",
        0.5 + scale * atoms,
        titles,
    )
    figure.savefig(path, dpi=80)


def show_grid(panel, title, images, titles=()):
    n = int(np.sqrt(len(images)))
    panel.suptitle(title, fontsize=15)
    for i, axis in enumerate(panel.subplots(n, n).flat):
        axis.imshow(np.clip(images[i], 0, 1), interpolation="nearest")
        axis.set_axis_off()
        if len(titles) > i:
            axis.set_title(titles[i], fontsize=9, pad=2)


def main():
    args = parse_arguments()
    try:
        train, test, source = load_images(args)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    X, X_test = (
        images.reshape(len(images), -1).astype(np.float32) / 255
        for images in (train, test)
    )
    print(f"{len(X)} patches for training, {len(X_test)} for testing, from {source}")

    estimator = SpectralDictionaryLearning(
        args.n_components, signal_shape=(SIZE, SIZE, 3), random_state=0
    )
    start = time.perf_counter()
    with_progress(estimator).fit(X)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    pca = PCA(args.n_components, random_state=0).fit(X)
    pca_seconds = time.perf_counter() - start

    ours, theirs = (
        explained_variance(estimator, X_test),
        explained_variance(pca, X_test),
    )
    print(f"explained variance of the test patches, {args.n_components} components:")
    print(f"  plane waves  {ours:.4f}   (fitted in {seconds:.1f} s)")
    print(f"  PCA          {theirs:.4f}   (fitted in {pca_seconds:.1f} s)")
    print("leading waves, in cycles down and across, and their shares of the variance:")
    for (down, across), share in zip(
        estimator.wave_vectors_[:5], estimator.explained_variance_ratio_, strict=False
    ):
        print(f"  {down:5.2f} {across:5.2f}  {share:.3f}")

    shown = X_test[:: max(1, len(X_test) // 36)][:36]
    reconstructions = estimator.inverse_transform(estimator.transform(shown))
    samples = estimator.sample(36)
    plot(
        *(x.reshape(-1, SIZE, SIZE, 3) for x in (shown, reconstructions, samples)),
        estimator,
        args.output,
    )
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
