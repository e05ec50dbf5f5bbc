"""Metrics of distributions by moments and kernels: Frechet and kernel distances."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from skspectral._random import random_stream
from skspectral.metrics import (
    frechet_distance,
    frechet_distance_infinity,
    kernel_distance,
)
from skspectral.metrics.frechet import (
    _clip_rounding,
    _from_factors,
    _subset_sizes,
)


def features(n_samples, n_features=6, seed=0, shift=0.0):
    """Rows of a correlated distribution with tails."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).normal(size=(n_features, n_features))
    return rng.laplace(size=(n_samples, n_features)) @ mix + shift


def statistics(X):
    return X.mean(axis=0), np.cov(X, rowvar=False)


def covariance(n_features, rank, seed=0):
    factor = np.random.default_rng(seed).normal(size=(n_features, rank))
    return factor @ factor.T


def rotation(n_features):
    return np.linalg.qr(np.random.default_rng(4).normal(size=2 * (n_features,)))[0]


# Frechet distance


@pytest.mark.parametrize("n_samples", [3, 6, 7, 200])
@pytest.mark.parametrize("as_statistics", [False, True])
def test_equal_sets_have_no_distance(n_samples, as_statistics):
    X = features(n_samples)
    given = statistics(X) if as_statistics else X
    exact = n_samples < 6 and not as_statistics
    tolerance = 1e-12 if exact else 1e-6
    assert 0 <= frechet_distance(given, X) <= tolerance * X.var(axis=0).sum()


@pytest.mark.parametrize("n_samples", [4, 100])
def test_a_shift_is_its_squared_length(n_samples):
    X, shift = features(n_samples), np.arange(6.0)
    assert frechet_distance(X, X + shift) == pytest.approx(shift @ shift, rel=1e-6)


def test_commuting_covariances_in_closed_form():
    rng = np.random.default_rng(0)
    Q, a, b = rotation(6), rng.uniform(0, 3, 6), rng.uniform(0, 3, 6)
    a[0] = b[1] = 0
    first, second = (np.zeros(6), Q * a @ Q.T), (np.ones(6), Q * b @ Q.T)
    expected = 6 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-7)


def test_one_dimension():
    first, second = ([1.0], [[4.0]]), ([3.0], [[9.0]])
    assert frechet_distance(first, second) == pytest.approx(2**2 + (3 - 2) ** 2)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_general_covariances_as_by_a_matrix_root(scale):
    A, B = (scale * covariance(8, 12, seed) for seed in (0, 1))
    root = sqrtm(A @ B).real
    expected = np.trace(A) + np.trace(B) - 2 * np.trace(root)
    zero = np.zeros(8)
    assert frechet_distance((zero, A), (zero, B)) == pytest.approx(expected)


def test_singular_covariances_of_orthogonal_ranges():
    A, B = np.diag([1.0, 2, 0, 0]), np.diag([0.0, 0, 3, 4])
    assert frechet_distance((np.zeros(4), A), (np.zeros(4), B)) == pytest.approx(10)


@pytest.mark.parametrize("sizes", [(300, 200), (5, 200), (200, 5), (4, 5), (6, 7)])
def test_both_routes_and_stored_statistics_agree(sizes):
    X, Y = features(sizes[0]), features(sizes[1], seed=1, shift=0.3)
    expected = _from_factors(X, Y)
    for real in (X, statistics(X)):
        for generated in (Y, statistics(Y)):
            found = frechet_distance(real, generated)
            assert found == pytest.approx(expected, rel=1e-6)


def test_few_samples_lose_no_digits():
    """Orthogonal sets of two rows: the covariances are known, and have rank one."""
    X, Y = np.zeros((2, 2, 60))
    X[0, 0], Y[0, 1] = 2, 4
    Q = rotation(60)
    expected = (1 + 4) + (2 + 8)
    assert frechet_distance(X @ Q, Y @ Q) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("n_samples", [4, 50])
def test_frechet_invariances(n_samples):
    X, Y = features(n_samples), features(n_samples, seed=1)
    expected = frechet_distance(X, Y)
    Q, rng = rotation(6), np.random.default_rng(0)
    for A, B in [
        (Y, X),
        (rng.permutation(X), rng.permutation(Y)),
        (X @ Q + 5, Y @ Q + 5),
        (np.c_[X, np.zeros(n_samples)], np.c_[Y, np.zeros(n_samples)]),
    ]:
        assert frechet_distance(A, B) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(3 * X, 3 * Y) == pytest.approx(9 * expected)


@pytest.mark.parametrize(("sizes", "rel"), [((400, 300), 1e-9), ((20, 30), 1e-6)])
def test_frechet_as_torch_fidelity(torch_fidelity, sizes, rel):
    X, Y = features(sizes[0], 24), features(sizes[1], 24, seed=1)
    module = torch_fidelity.metric_fid
    stats = [module.fid_features_to_statistics(torch.as_tensor(Z)) for Z in (X, Y)]
    theirs = module.fid_statistics_to_metric(*stats, verbose=False)
    expected = theirs["frechet_inception_distance"]
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=rel)
    ours = frechet_distance(*((s["mu"], s["sigma"]) for s in stats))
    assert ours == pytest.approx(expected, rel=rel)


def test_statistics_stored_as_single_precision():
    X, Y = features(200), features(200, seed=1)
    stored = tuple(part.astype(np.float32) for part in statistics(X))
    assert frechet_distance(stored, Y) == pytest.approx(frechet_distance(X, Y), 1e-4)


def test_what_is_negative_beyond_rounding_is_no_distance():
    assert _clip_rounding(-1e-9, 1.0) == 0.0
    assert _clip_rounding(0.5, 1.0) == 0.5
    with pytest.raises(ArithmeticError, match=r"is -0.01, although the traces"):
        _clip_rounding(-0.01, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros(6),), "X_real is a tuple of length 1"),
        ((np.zeros(6), np.eye(5)), r"shape \(6,\) and a covariance of shape \(5, 5\)"),
        ((np.zeros((2, 6)), np.eye(6)), r"mean of shape \(2, 6\)"),
        ((np.zeros(6), np.triu(np.ones((6, 6)))), "differs from its transpose"),
        ((np.zeros(6), -np.eye(6)), "not positive semi-definite"),
        ((np.zeros(6), np.full((6, 6), np.nan)), r"X_real\[1\] contains NaN"),
        ((np.zeros(5), np.eye(5)), "X_real has 5, X_generated has 6"),
        (np.zeros((1, 6)), "n_samples >= 2"),
    ],
)
def test_bad_statistics(given, message):
    X = features(20)
    with pytest.raises(ValueError, match=message):
        frechet_distance(given, X)


def test_both_covariances_are_positive_but_for_rounding():
    exact, nearly, wrong = (
        (np.zeros(3), np.diag([1.0, 1.0, last])) for last in (0.0, -1e-6, -0.01)
    )
    assert frechet_distance(exact, nearly) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(nearly, exact) == pytest.approx(0, abs=1e-5)
    for pair in [((np.zeros(3), np.eye(3)), wrong), (wrong, exact)]:
        with pytest.raises(ValueError, match="not positive semi-definite"):
            frechet_distance(*pair)


# Its extrapolation


def test_bias_falls_like_one_over_n_and_extrapolation_removes_it():
    n_features = 10
    exact = np.zeros(n_features), np.eye(n_features)
    X = np.random.default_rng(0).normal(size=(40, 1000, n_features))
    of_1000 = np.mean([frechet_distance(exact, x) for x in X])
    of_250 = np.mean([frechet_distance(exact, x[:250]) for x in X])
    assert of_250 / of_1000 == pytest.approx(4, rel=0.15)
    limits = [frechet_distance_infinity(exact, x, random_state=0) for x in X]
    assert abs(np.mean(limits)) < of_1000 / 8
    assert min(limits) < 0 < max(limits)


def test_extrapolation_is_the_intercept_of_its_line():
    """Of two points it goes through both, of which the larger is the whole set."""
    X, Y = features(200), features(60, seed=1)
    options = {"n_points": 2, "min_samples": 30, "random_state": 3}
    half = Y[random_stream(3).choice(60, 30, replace=False)]
    expected = 2 * frechet_distance(X, Y) - frechet_distance(X, half)
    for real in (X, statistics(X)):
        assert frechet_distance_infinity(real, Y, **options) == pytest.approx(expected)


def test_extrapolation_keeps_a_true_distance():
    exact = np.zeros(4), np.eye(4)
    X = np.random.default_rng(0).normal(size=(4000, 4)) + 2
    limit = frechet_distance_infinity(exact, X, random_state=0)
    # Of the squared length of a mean: 4 * 2 * 2 / sqrt(4000).
    assert limit == pytest.approx(16, abs=4 * 0.13)


@pytest.mark.parametrize(("n", "first"), [(4000, 400), (100, 40), (30, 15)])
def test_smallest_subset(n, first):
    """A tenth, or four per feature, or half."""
    sizes = _subset_sizes(np.zeros((n, 10)), 4, None)
    assert len(sizes) == 4
    assert (sizes[0], sizes[-1]) == (first, n)


@pytest.mark.parametrize(
    ("n_samples", "options", "message"),
    [
        (11, {}, "needs at least 12 samples"),
        (40, {"min_samples": 40}, "min_samples=40 must be less than the 40"),
        (40, {"min_samples": 1}, "min_samples"),
        (40, {"n_points": 1}, "n_points"),
    ],
)
def test_bad_extrapolations(n_samples, options, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance_infinity(features(30), features(n_samples), **options)


# Kernel distance


def by_definition(X, Y, **kernel):
    k = {"degree": 3, "coef0": 1, **kernel}
    m = len(X)
    within = sum(
        polynomial_kernel(Z, **k)[~np.eye(m, dtype=bool)].sum() for Z in (X, Y)
    )
    return within / m / (m - 1) - 2 * polynomial_kernel(X, Y, **k).mean()


@pytest.mark.parametrize(
    "kernel", [{}, {"degree": 1}, {"degree": 4, "gamma": 0.1, "coef0": 0.0}]
)
def test_kernel_distance_by_definition(kernel):
    X, Y = features(50), features(50, seed=1, shift=0.5)
    found = kernel_distance(X, Y, n_subsets=1, subset_size=50, **kernel)
    assert found.mean == pytest.approx(by_definition(X, Y, **kernel), rel=1e-9)
    assert found.std == 0


def test_blocks_do_not_show(monkeypatch):
    X, Y = features(50), features(50, seed=1)
    options = {"n_subsets": 3, "subset_size": 41, "random_state": 0}
    expected = kernel_distance(X, Y, **options)
    monkeypatch.setattr("skspectral.metrics.kernel._BLOCK_SIZE", 200)
    assert kernel_distance(X, Y, **options) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_as_torch_fidelity(torch_fidelity):
    """Of its own subsets, as its draws are other ones; and of whole sets."""
    X, Y = features(120, 16), features(90, 16, seed=1)
    metric = torch_fidelity.metric_kid.kid_features_to_metric

    def theirs(*sets, n_subsets, size):
        found = metric(
            *map(torch.as_tensor, sets),
            kid_subsets=n_subsets,
            kid_subset_size=size,
            rng_seed=5,
            verbose=False,
        )
        return [found[f"kernel_inception_distance_{key}"] for key in ("mean", "std")]

    rng = np.random.RandomState(5)
    values = []
    for _ in range(4):
        x, y = (Z[rng.choice(len(Z), 70, replace=False)] for Z in (X, Y))
        values.append(kernel_distance(x, y, n_subsets=1, subset_size=70).mean)
    expected = theirs(X, Y, n_subsets=4, size=70)
    assert [np.mean(values), np.std(values)] == pytest.approx(expected, rel=1e-9)
    whole = kernel_distance(X[:90], Y, n_subsets=2, subset_size=90)
    assert list(whole) == pytest.approx(theirs(X[:90], Y, n_subsets=1, size=90))


@pytest.mark.parametrize("size", [20, 80])
def test_kernel_distance_is_unbiased(size):
    """At any size of the subsets, where the biased estimate would be far off."""
    X = np.random.default_rng(0).normal(size=(2, 6000, 4))
    found = kernel_distance(*X, n_subsets=300, subset_size=size, random_state=0)
    error = found.std / np.sqrt(300)
    assert abs(found.mean) < 4 * error
    # The biased estimate adds the diagonals' excess over the mean kernel value.
    excess = ((X[0] ** 2).sum(axis=1) / 4 + 1) ** 3
    assert error < 2 * (excess.mean() - 1) / size / 8
    values = [
        kernel_distance(*X, n_subsets=1, subset_size=size, random_state=seed).mean
        for seed in range(20)
    ]
    assert min(values) < 0 < max(values)


def test_kernel_distance_sees_the_third_moment():
    rng = np.random.default_rng(0)
    skewed = rng.exponential(size=(3000, 3)) - 1
    options = {"n_subsets": 20, "subset_size": 500, "random_state": 0}
    mirrored = -(rng.exponential(size=(3000, 3)) - 1)
    of_two, of_three = (
        kernel_distance(skewed, mirrored, degree=degree, **options) for degree in (2, 3)
    )
    assert abs(of_two.mean) < 2 * of_two.std
    assert of_three.mean > 2 * of_three.std


def test_kernel_invariances():
    X, Y = features(60), features(60, seed=1)
    options = {"n_subsets": 1, "subset_size": 60}
    expected = kernel_distance(X, Y, **options).mean
    Q = rotation(6)
    for A, B in [(Y, X), (X[::-1], Y), (X @ Q, Y @ Q)]:
        assert kernel_distance(A, B, **options).mean == pytest.approx(expected)


def test_subsets_that_are_too_large():
    message = "subset_size=1000 is more than the 60 samples of X_generated. Pass .*=60 "
    with pytest.raises(ValueError, match=message):
        kernel_distance(features(2000), features(60))
