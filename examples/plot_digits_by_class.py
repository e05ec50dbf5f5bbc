# SPDX-License-Identifier: BSD-3-Clause
"""
Draw digits of a given label
============================

Learn one prior for each label, draw new digits of each label, and classify digits.

The model learns atoms and priors on scikit-learn's handwritten digits. Without labels,
a mixture of Gaussians is the prior, and the Bayesian information criterion (BIC)
chooses the number of Gaussians. The log-likelihood of held-out digits is shown for
comparison. As a check of the priors, each held-out digit is assigned to its most likely
label.
"""

# %%
import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import train_test_split

from skspectral import SpectralDictionaryLearning
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

SHAPE = (8, 8)
PER_LABEL = 12


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--n-components", type=int, default=32, metavar="K")
    parser.add_argument(
        "--n-gaussians",
        type=int,
        nargs="+",
        default=[*range(1, 9), 10, 12, 16, 20, 25, 30],
        help="numbers to choose from",
    )
    parser.add_argument("--output", type=Path, default=Path("digits_by_class.png"))
    return parser.parse_args()


# %%
# How many Gaussians?
# -------------------
# The criterion is -2 log-likelihood + parameters x log(samples), and the lowest value
# is best. It is computed on the training digits only. Other units of the codes would
# add a constant to it.


def choose(codes, codes_test, numbers):
    """Return BIC per training digit and held-out log-likelihood for each number."""
    fits = [GaussianMixture(n, random_state=0).fit(codes) for n in numbers]
    criterion = np.array([prior.bic(codes) for prior in fits]) / len(codes)
    return criterion, np.array([prior.score(codes_test) for prior in fits])


def print_choice(numbers, criterion, likelihood):
    print("Gaussians   BIC per digit   held-out log-likelihood, nats")
    for row in zip(numbers, criterion, likelihood, strict=True):
        print("{:9d}{:16.2f}{:19.2f}".format(*row))
    print(f"lowest BIC: {numbers[np.argmin(criterion)]} Gaussians")


# %%
# The picture
# -----------


def plot(estimator, numbers, criterion, likelihood, confusion, path):
    """Draw new digits, the choice of the number, and the confusion matrix."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1], wspace=0.03)
    show_samples(left, estimator)
    above, below = right.subfigures(2, 1)
    show_choice(above, numbers, criterion, likelihood)
    show_confusion(below, confusion)
    figure.savefig(path, dpi=80)


def show_samples(panel, estimator):
    panel.suptitle("New digits, one row for each label", fontsize=14)
    labels = estimator.prior_.classes_
    axes = panel.subplots(len(labels), PER_LABEL)
    for row, label in zip(axes, labels, strict=True):
        samples = estimator.sample(PER_LABEL, y=label, random_state=int(label))
        for axis, sample in zip(row, samples, strict=True):
            axis.imshow(sample.reshape(SHAPE), cmap="gray_r", vmin=0, vmax=16)
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(label, rotation=0, fontsize=14, labelpad=12, va="center")


def show_choice(panel, numbers, criterion, likelihood):
    panel.suptitle("How many Gaussians, without labels?", fontsize=14)
    axis = panel.subplots()
    best = np.argmin(criterion)
    axis.plot(numbers, criterion, "C0o-")
    axis.plot(numbers[best], criterion[best], "C0*", markersize=18)
    axis.annotate(
        f"lowest: {numbers[best]}",
        (numbers[best], criterion[best]),
        xytext=(8, -18),
        textcoords="offset points",
        color="C0",
    )
    axis.margins(y=0.15)
    axis.set_xlabel("number of Gaussians")
    axis.set_ylabel("BIC per training digit (circles)", color="C0")
    other = axis.twinx()
    other.plot(numbers, likelihood, "C1s--")
    other.set_ylabel("held-out log-likelihood in nats (squares)", color="C1")


def show_confusion(panel, confusion):
    wrong = confusion.sum() - np.trace(confusion)
    panel.suptitle(
        f"Most likely label: {wrong} of {confusion.sum()} wrong", fontsize=14
    )
    axis = panel.subplots()
    axis.imshow(np.sqrt(confusion), cmap="Blues")
    for i, j in zip(*np.nonzero(confusion), strict=True):
        color = "white" if i == j else "black"
        axis.text(j, i, confusion[i, j], ha="center", va="center", color=color)
    axis.set(
        xticks=range(10), yticks=range(10), xlabel="most likely label", ylabel="label"
    )


def main():
    args = parse_arguments()
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=1 / 3, stratify=y, random_state=0
    )
    estimator = SpectralDictionaryLearning(
        args.n_components,
        signal_shape=SHAPE,
        prior=ClassConditionalPrior(),
        random_state=0,
    ).fit(X, y)
    codes, codes_test = estimator.transform(X), estimator.transform(X_test)

    criterion, likelihood = choose(codes, codes_test, args.n_gaussians)
    print_choice(args.n_gaussians, criterion, likelihood)

    print("accuracy of the most likely label:")
    for name, prior in (
        ("a Gaussian for each", GaussianPrior()),
        ("two Gaussians for each", GaussianMixture(2, random_state=0)),
    ):
        by_class = ClassConditionalPrior(prior).fit(codes, y)
        likeliest = by_class.predict(codes_test)
        print(f"  {name:<24}{accuracy_score(y_test, likeliest):.4f}")
    confusion = confusion_matrix(y_test, likeliest)
    plot(estimator, args.n_gaussians, criterion, likelihood, confusion, args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
