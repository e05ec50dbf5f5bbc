# SPDX-License-Identifier: BSD-3-Clause
"""
Draw digits with a diffusion prior
==================================

Train a diffusion model on codes, then draw new digits and complete partly known digits.

The data are scikit-learn's handwritten digits with their labels. New digits of the
diffusion prior are shown beside those of one Gaussian for each label. Then the
diffusion prior draws digits of which a part is known: the waves of low frequency, the
local means, or the upper half.

Half a minute of training on a CPU is enough to see the difference.
"""

# %%
import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.priors import ClassConditionalPrior, DiffusionPrior

SHAPE = (8, 8)
N_DRAWS = 6
# Frequency in cycles per image. Waves below it are known, waves above it are drawn.
CUT = 1.3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--n-components", type=int, default=60, metavar="K")
    parser.add_argument(
        "--max-images", type=int, default=120_000, help="number of digits to train on"
    )
    parser.add_argument("--output", type=Path, default=Path("diffusion_digits.png"))
    return parser.parse_args()


# %%
# The models
# ----------
# The model has nearly as many waves as pixels, so that the prior alone determines what
# new digits look like. The network of the diffusion prior works on images, because the
# estimator tells it how to compute images from codes.


def fit(X, y, prior, n_components):
    estimator = SpectralDictionaryLearning(
        n_components,
        signal_shape=SHAPE,
        modulation=None,
        max_iter=100,
        prior=prior,
        random_state=0,
    )
    return estimator.fit(X, y)


# %%
# The known part of a digit
# -------------------------
# What is known must be a linear function of the digit. The function is given as a
# matrix, the operator.


def low_frequencies(estimator):
    """Return the operator of inner products with the atoms of low frequency."""
    return estimator.components_[estimator.frequencies_ < CUT]


def local_means():
    """Return the operator of means over 2 x 2 pixels: half the resolution."""
    halves = np.kron(np.eye(4), [[0.5, 0.5]])
    return np.kron(halves, halves)


# %%
# The picture
# -----------


def plot(gaussian, diffusion, X, y, path):
    """Draw new digits of both priors, and completions of partly known digits."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1], wspace=0.03)
    above, below = left.subfigures(2, 1)
    show_labels(above, gaussian, "Gaussian for each label: new digits")
    show_labels(below, diffusion, "Diffusion prior: new digits")
    show_known(right, diffusion, X, y)
    figure.savefig(path, dpi=80)


def show(axis, digit):
    axis.imshow(digit.reshape(SHAPE), cmap="gray_r", vmin=0, vmax=16)
    axis.set(xticks=[], yticks=[])


def show_labels(panel, estimator, title):
    panel.suptitle(title, fontsize=14)
    axes = panel.subplots(N_DRAWS - 1, 10)
    labels = np.tile(np.arange(10), N_DRAWS - 1)
    digits = estimator.sample(len(labels), y=labels, random_state=0)
    for axis, digit in zip(axes.flat, digits, strict=True):
        show(axis, digit)


def show_known(panel, estimator, X, y):
    """Draw a row for each digit and each kind of known part."""
    panel.suptitle("Diffusion prior: completions of partly known digits", fontsize=14)
    low, means = low_frequencies(estimator), local_means()
    mean, project = estimator.mean_, np.linalg.pinv(low) @ low
    # For each kind, the operator and a function that draws the known part as an image.
    kinds = {
        "low frequencies": (low, lambda x: mean + project @ (x - mean)),
        "local means": (means, lambda x: 4 * means.T @ (means @ x)),
        "upper half": (np.eye(64)[:32], lambda x: np.where(np.arange(64) < 32, x, 0)),
    }
    digits = [np.flatnonzero(y == label)[5] for label in (3, 9)]
    rows = [(i, *kind) for kind in kinds.items() for i in digits]
    axes = panel.subplots(len(rows), N_DRAWS + 2)
    for row, (i, kind, (operator, picture)) in zip(axes, rows, strict=True):
        seen = operator @ X[i]
        draws = estimator.sample_given(operator, seen, N_DRAWS, random_state=0)
        for axis, digit in zip(row, [X[i], picture(X[i]), *draws], strict=True):
            show(axis, digit)
        row[0].set_ylabel(kind)
    for axis, title in zip(
        axes[0], ["digit", "known", *["draw"] * N_DRAWS], strict=True
    ):
        axis.set_title(title, fontsize=11)


def main():
    args = parse_arguments()
    X, y = load_digits(return_X_y=True)
    gaussian = fit(X, y, ClassConditionalPrior(), args.n_components)
    start = time.perf_counter()
    prior = DiffusionPrior(width=32, max_images=args.max_images)
    diffusion = fit(X, y, prior, args.n_components)
    seconds = time.perf_counter() - start
    loss = diffusion.prior_.history_["loss"]
    print(
        f"{args.max_images} digits seen in {seconds:.0f} s; error of the network "
        f"divided by that of a Gaussian: {loss[0]:.2f} at first, "
        f"{loss[-5:].mean():.2f} now"
    )
    start = time.perf_counter()
    diffusion.sample(1000, random_state=0)
    print(f"1,000 draws in {time.perf_counter() - start:.1f} s")
    plot(gaussian, diffusion, X, y, args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
