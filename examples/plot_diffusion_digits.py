# SPDX-License-Identifier: BSD-3-Clause
"""
Digits from noise, and what may be asked of them
================================================

Trains a diffusion prior on the codes of scikit-learn's handwritten digits, with their
labels, and draws new digits beside those of a Gaussian for each label. Then it draws
digits of which something is known: the slow waves of a digit, its local means, or its
upper half.

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
# Cycles per image: waves below are given, waves above are drawn.
CUT = 1.3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--n-components", type=int, default=60, metavar="K")
    parser.add_argument("--max-images", type=int, default=120_000, help="to train on")
    parser.add_argument("--output", type=Path, default=Path("diffusion_digits.png"))
    return parser.parse_args()


# %%
# The models
# ----------
# Nearly as many waves as pixels, so that the prior decides what digits look like. The
# network of the diffusion prior sees images: it is told how codes become signals.


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
# What may be known
# -----------------
# All of these are linear functions of a digit, rows of an operator.


def slow_waves(estimator):
    """Products with the atoms of low frequency."""
    return estimator.components_[estimator.frequencies_ < CUT]


def local_means():
    """Means of 2 x 2 pixels: the digit at half the resolution."""
    halves = np.kron(np.eye(4), [[0.5, 0.5]])
    return np.kron(halves, halves)


# %%
# The picture
# -----------


def plot(gaussian, diffusion, X, y, path):
    """Draws of each label from both, and draws of which something is known."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1], wspace=0.03)
    above, below = left.subfigures(2, 1)
    show_labels(above, gaussian, "A Gaussian for each label")
    show_labels(below, diffusion, "Diffusion")
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
    """A row for each digit and what is known of it."""
    panel.suptitle("Diffusion, given something of a digit", fontsize=14)
    slow, means = slow_waves(estimator), local_means()
    mean, project = estimator.mean_, np.linalg.pinv(slow) @ slow
    # An operator and an image of each kind of knowledge.
    kinds = {
        "slow waves": (slow, lambda x: mean + project @ (x - mean)),
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
        f"{args.max_images} digits seen in {seconds:.0f} s; error of the denoiser over "
        f"that of the Gaussian's: {loss[0]:.2f} at first, {loss[-5:].mean():.2f} now"
    )
    start = time.perf_counter()
    diffusion.sample(1000, random_state=0)
    print(f"1,000 draws in {time.perf_counter() - start:.1f} s")
    plot(gaussian, diffusion, X, y, args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
