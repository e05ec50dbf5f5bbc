# SPDX-License-Identifier: BSD-3-Clause
"""
Find anomalies
==============

Learn from normal samples, and find new samples that are unlikely under the model.

`SpectralOutlierDetector` ranks new samples by their likelihood. This example compares
the detector with an isolation forest, a one-class support vector machine, and the
reconstruction error of PCA. The number of components of PCA is the best one on the test
samples, which favours PCA.

There are two tasks. In the first task, one digit of scikit-learn's handwritten digits
is normal and the other nine digits are anomalies. In the second task, guitar notes that
are in tune are normal, and guitar notes that are half a semitone out of tune are
anomalies.

The example prints areas under the ROC curve. An area is the probability that an anomaly
ranks above a normal sample.
"""

# %%
import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.svm import OneClassSVM

from skspectral import SpectralDictionaryLearning, SpectralOutlierDetector
from skspectral.datasets import make_tones
from skspectral.priors import GaussianMixture

GUITAR = np.array([82.41, 110.0, 146.83, 196.0, 246.94, 329.63])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--n-notes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--output", type=Path, default=Path("anomalies.png"))
    return parser.parse_args()


# %%
# The tasks
# ---------
# Each task has normal samples to learn from, test samples, and a label of each test
# sample, which is 1 for an anomaly.


def digit_tasks():
    """Return one task for each digit, in which that digit is normal."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=0
    )
    return [(X[y == digit], X_test, y_test != digit) for digit in range(10)]


def note_task(n_notes, length=512, semitones=0.5):
    """Return the task in which notes in tune are normal."""
    detuned = GUITAR * 2 ** (semitones / 12)
    train, _ = make_tones(n_notes, length, pitches=GUITAR, random_state=0)
    tuned, _ = make_tones(300, length, pitches=GUITAR, random_state=1)
    wrong, _ = make_tones(300, length, pitches=detuned, random_state=2)
    return train, np.vstack([tuned, wrong]), np.repeat([0, 1], 300)


# %%
# The methods
# -----------


def model_of_digits():
    return SpectralDictionaryLearning(
        16,
        signal_shape=(8, 8),
        prior=GaussianMixture(2),
        max_iter=100,
        random_state=0,
    )


def model_of_notes():
    return SpectralDictionaryLearning(
        96, modulation=None, sampling_rate=8000, random_state=0
    )


def other_detectors():
    """Return detectors by name; each of them has score_samples."""
    return {
        "isolation forest": IsolationForest(random_state=0),
        "one-class SVM": OneClassSVM(nu=0.1),
    }


def reconstruction_errors(X, X_test):
    """Yield the squared errors of PCA for several numbers of components."""
    for k in (4, 8, 12, 16, 24, 32, 48, 64, 96):
        if k < min(X.shape):
            pca = PCA(k, random_state=0).fit(X)
            rest = X_test - pca.inverse_transform(pca.transform(X_test))
            yield (rest**2).sum(axis=1)


def detect(model, X, X_test, anomalous):
    """Return for each method how anomalous it finds each test sample."""
    detectors = {"skspectral": SpectralOutlierDetector(model), **other_detectors()}
    ranks = {
        name: -detector.fit(X).score_samples(X_test)
        for name, detector in detectors.items()
    }
    ranks["PCA, best error"] = max(
        reconstruction_errors(X, X_test),
        key=lambda errors: roc_auc_score(anomalous, errors),
    )
    return ranks


# %%
# Model selection with scikit-learn
# ---------------------------------
# `GridSearchCV` chooses the parameters that make held-out normal samples most likely.
# No anomaly is needed for this choice. Where anomalies are known, a scorer computes the
# area under the ROC curve, and each fold learns from its normal samples only.


def area_under_curve(estimator, X, anomalous):
    """Return the area under the ROC curve; this is a scorer for scikit-learn."""
    return roc_auc_score(anomalous, -estimator.score_samples(X))


def select(X, y, digit=8):
    """Choose parameters by likelihood, and cross-validate the chosen model."""
    search = GridSearchCV(
        model_of_digits(),
        {"n_components": [8, 16, 24], "prior__n_components": [1, 2, 3]},
    )
    search.fit(X[y == digit])
    anomalous = y != digit
    folds = [
        (train[~anomalous[train]], test)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    ]
    areas = cross_val_score(
        search.best_estimator_, X, anomalous, scoring=area_under_curve, cv=folds
    )
    print(f"digit {digit}: GridSearchCV by likelihood chooses {search.best_params_};")
    print(f"  area in cross-validation {areas.mean():.4f} +- {areas.std():.4f}")


# %%
# The table and the picture
# -------------------------


def areas_by_method(ranks, anomalous):
    return {name: roc_auc_score(anomalous, r) for name, r in ranks.items()}


def print_table(columns):
    """Print the areas of each method in each task."""
    print(f"{'area under the ROC curve':<26}" + "".join(f"{c:>16}" for c in columns))
    for method in next(iter(columns.values())):
        areas = "".join(f"{column[method]:16.4f}" for column in columns.values())
        print(f"{method:<26}{areas}")


def plot(curves, examples, path):
    """Draw the ROC curves, and the digits that are least and most likely."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 0.72], hspace=0.04)
    # These colours can be told apart with colour blindness, too.
    styles = [
        {"color": color, "linestyle": line, "linewidth": 2}
        for color, line in zip(
            ("#0072B2", "#E69F00", "#009E73", "#000000"),
            ("-", "--", ":", "-."),
            strict=True,
        )
    ]
    axes = above.subplots(1, len(curves), sharey=True)
    for axis, (title, (ranks, anomalous)) in zip(axes, curves.items(), strict=True):
        for style, (method, rank) in zip(styles, ranks.items(), strict=True):
            false, true, _ = roc_curve(anomalous, rank)
            area = roc_auc_score(anomalous, rank)
            axis.plot(false, true, label=f"{method}: {area:.3f}", **style)
        axis.set(title=title, xlabel="fraction of normal samples reported")
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right", title="area under the curve")
    axes[0].set_ylabel("fraction of anomalies reported")
    show_digits(below, *examples)
    figure.savefig(path, dpi=80)


def show_digits(panel, rank, X, anomalous, n=16):
    panel.suptitle(
        "Held-out digits and their log-likelihood, where 8 is normal", fontsize=14
    )
    normal, others = (np.flatnonzero(anomalous == kind) for kind in (0, 1))
    rows = {
        "most likely 8": normal[np.argsort(rank[normal])[:n]],
        "least likely 8": normal[np.argsort(-rank[normal])[:n]],
        "most likely others": others[np.argsort(rank[others])[:n]],
    }
    for axes, (name, which) in zip(panel.subplots(3, n), rows.items(), strict=True):
        for axis, i in zip(axes, which, strict=True):
            axis.imshow(X[i].reshape(8, 8), cmap="gray_r")
            axis.set(xticks=[], yticks=[])
            axis.set_xlabel(f"{-rank[i]:.0f}", fontsize=8)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    panel.supxlabel("log-likelihood (nats)", fontsize=10)


def main():
    args = parse_arguments()
    tasks = digit_tasks()
    ranks = [detect(model_of_digits(), *task) for task in tasks]
    areas = [
        areas_by_method(r, anomalous)
        for r, (_, _, anomalous) in zip(ranks, tasks, strict=True)
    ]
    columns = {
        "digits, mean": {m: np.mean([a[m] for a in areas]) for m in areas[0]},
        "digits, worst": {m: np.min([a[m] for a in areas]) for m in areas[0]},
    }
    curves = {"Is it an 8?": (ranks[8], tasks[8][2])}
    for n in args.n_notes:
        X, X_test, anomalous = note_task(n)
        found = detect(model_of_notes(), X, X_test, anomalous)
        columns[f"{n} notes"] = areas_by_method(found, anomalous)
        curves[f"In tune? From {n} windows"] = found, anomalous
    print_table(columns)
    select(*load_digits(return_X_y=True))
    plot(curves, (ranks[8]["skspectral"], *tasks[8][1:]), args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
