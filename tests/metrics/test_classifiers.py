"""Metrics by bins and by classifiers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import chi2_contingency, norm
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from skspectral.metrics import (
    classifier_score,
    classifier_two_sample_score,
    ndb_score,
)
from skspectral.metrics.bins import _compare


def normal(n_samples, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_features))


# Bins


def groups(counts):
    """Samples in tight groups, so many of each, far from each other."""
    centres = 100 * np.arange(len(counts))
    jitter = np.random.default_rng(0).uniform(size=sum(counts))
    return (np.repeat(centres, counts) + jitter)[:, None]


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_bins_by_tests_of_two_by_two_tables(alpha):
    train, generated = [50, 60, 40, 90, 20], [70, 55, 61, 0, 30]
    n, m = sum(train), sum(generated)
    tests = [
        chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue < alpha
        for a, b in zip(train, generated, strict=True)
    ]
    found = ndb_score(
        groups(train), groups(generated), n_bins=5, alpha=alpha, random_state=0
    )
    assert found.different == pytest.approx(np.mean(tests))
    assert 0 < np.mean(tests) < 1
    # SciPy's is the square root of the divergence.
    expected = jensenshannon(train, generated) ** 2
    assert found.js_divergence == pytest.approx(expected)


def test_bins_of_equal_and_of_disjoint_sets():
    X = normal(500)
    assert ndb_score(X, X, n_bins=20, random_state=0) == (0.0, 0.0)
    found = _compare(np.array([[50, 50, 0], [0, 0, 100]]), 0.05)
    assert found.different == 1.0
    assert found.js_divergence == pytest.approx(np.log(2))


def test_bins_of_equal_distributions_differ_by_chance():
    """About alpha of them, and the divergence is that of its expansion."""
    scores = [
        ndb_score(normal(4000, 3, seed), normal(3000, 3, 100 + seed), n_bins=40)
        for seed in range(5)
    ]
    different, divergence = np.mean(scores, axis=0)
    assert 0 < different < 0.12
    assert divergence == pytest.approx(40 * (1 / 4000 + 1 / 3000) / 8, rel=0.3)


def test_empty_bins_are_left_out():
    train = np.repeat([[0.0], [1.0]], 50, axis=0)
    generated = np.repeat([[0.0], [1.0]], [90, 10], axis=0)
    with pytest.warns(UserWarning, match="distinct clusters"):
        found = ndb_score(train, generated, n_bins=4, random_state=0)
    assert found.different == 1.0


def test_one_bin_with_everything_in_it_does_not_differ():
    assert _compare(np.array([[30], [20]]), 0.05) == (0.0, 0.0)


def test_missing_modes_are_found():
    train = np.concatenate([normal(300, 2, seed) + 20 * seed for seed in range(4)])
    found = ndb_score(train, train[:600], n_bins=8, random_state=0)
    assert found.different > 0.9
    assert found.js_divergence > 0.1


def test_more_bins_than_samples():
    with pytest.raises(ValueError, match="n_bins=100 is more than the 30 samples"):
        ndb_score(normal(30), normal(300))


# Score of a classifier of objects


def probabilities(n_samples=103, n_classes=7, seed=0, sharpness=3.0):
    return softmax(sharpness * normal(n_samples, n_classes, seed), axis=1)


@pytest.mark.parametrize("n_splits", [1, 4, 10])
def test_classifier_score_by_definition(n_splits):
    p = probabilities()
    edges = [len(p) * i // n_splits for i in range(n_splits + 1)]
    expected = []
    for start, stop in pairwise(edges):
        part = p[start:stop]
        divergences = (part * np.log(part / part.mean(axis=0))).sum(axis=1)
        expected.append(np.exp(divergences.mean()))
    found = classifier_score(p, n_splits=n_splits)
    assert found == pytest.approx((np.mean(expected), np.std(expected)))


def test_classifier_score_as_torch_fidelity(torch_fidelity):
    logits = 3 * normal(1003, 12)
    theirs = torch_fidelity.metric_isc.isc_features_to_metric(
        torch.as_tensor(logits), splits=10, shuffle=False
    )
    expected = theirs["inception_score_mean"], theirs["inception_score_std"]
    found = classifier_score(softmax(logits, axis=1))
    assert found == pytest.approx(expected, rel=1e-9)


def test_classifier_score_at_its_ends():
    assert classifier_score(np.eye(5)[np.arange(100) % 5]).mean == pytest.approx(5)
    assert classifier_score(np.full((100, 5), 0.2)).mean == pytest.approx(1)
    # Always the same answer, however sure.
    assert classifier_score(np.eye(5)[np.zeros(100, dtype=int)]) == (1.0, 0.0)


def test_tiny_probabilities_are_no_trouble():
    p = np.zeros((40, 3))
    p[:, 0] = 1
    p[::2, 1] = 5e-324
    assert classifier_score(p, n_splits=4) == pytest.approx((1.0, 0.0))


def test_classes_may_be_renamed_and_samples_repeated():
    p = probabilities()
    expected = classifier_score(p, n_splits=1).mean
    for same in (p[:, ::-1], p[::-1], np.r_[p, p]):
        assert classifier_score(same, n_splits=1).mean == pytest.approx(expected)


def test_half_precision_is_near_enough():
    """Rows are scaled to a sum of 1."""
    p = probabilities()
    assert classifier_score(p * 1.0009) == pytest.approx(classifier_score(p), 1e-12)
    found = classifier_score(p.astype(np.float16))
    assert found.mean == pytest.approx(classifier_score(p).mean, rel=1e-2)


@pytest.mark.parametrize(
    ("given", "n_splits", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.6]], 1, r"probabilities\[1\] sums to 1.1"),
        ([[1.5, -0.5]], 1, "negative entry, -0.5"),
        ([[0.5, np.nan]], 1, "probabilities contains NaN"),
        ([0.5, 0.5], 1, r"probabilities has shape \(2,\)"),
        ([[0.5, 0.5]], 10, "n_splits=10 is more than the 1 samples"),
        ([[0.5, 0.5]], 0, "n_splits"),
    ],
)
def test_bad_probabilities(given, n_splits, message):
    with pytest.raises(ValueError, match=message):
        classifier_score(given, n_splits=n_splits)


# Classifier of real and generated


def test_sets_that_cannot_be_told_apart():
    found = classifier_two_sample_score(normal(800), normal(800, seed=1))
    assert found == pytest.approx(0.5, abs=4 / np.sqrt(8 * 800))


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_shifted_gaussians_have_the_best_accuracy_possible(shift):
    """Of one dimension and equal variances: that of a threshold half way."""
    X, Y = normal(4000, 1), normal(3000, 1, seed=1) + shift
    found = classifier_two_sample_score(X, Y, random_state=0)
    best = norm.cdf(shift / 2)
    assert found == pytest.approx(best, abs=5 * 0.5 / np.sqrt(6000))


def test_sets_are_balanced():
    """Or answering with the larger set would be right most of the time."""
    found = classifier_two_sample_score(
        normal(900), normal(100, seed=1), classifier=DummyClassifier()
    )
    assert found == pytest.approx(0.5)


def test_other_classifiers_see_more():
    X, Y = normal(400), 2 * normal(400, seed=1)
    forest = RandomForestClassifier(20)
    linear = classifier_two_sample_score(X, Y, random_state=0)
    found = classifier_two_sample_score(X, Y, classifier=forest, random_state=0)
    assert found > linear + 0.1
    again = classifier_two_sample_score(X, Y, classifier=forest, random_state=0)
    assert found == again
    # The user's own is neither fitted nor seeded.
    assert forest.random_state is None
    assert not hasattr(forest, "estimators_")


def test_copies_come_out_below_one_half():
    X = normal(200)
    nearest = KNeighborsClassifier(1)
    found = classifier_two_sample_score(X, X, classifier=nearest, random_state=0)
    assert found < 0.3


@pytest.mark.parametrize(
    ("n_samples", "options", "message"),
    [
        (4, {}, "cv=5 folds need at least 5 .* X_real has 30 and X_generated has 4"),
        (30, {"cv": 1}, "cv"),
        (30, {"classifier": "forest"}, "classifier"),
    ],
)
def test_bad_tests_of_two_samples(n_samples, options, message):
    with pytest.raises(ValueError, match=message):
        classifier_two_sample_score(normal(30), normal(n_samples), **options)
