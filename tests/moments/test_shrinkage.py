"""Stationary shrinkage: its target, its weight, and its effect on the estimator."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from sklearn.covariance import LedoitWolf
from sklearn.metrics import r2_score
from sklearn.mixture import GaussianMixture

from skspectral import SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.moments import DenseMoment, Moments
from skspectral.moments.stationary import (
    best_weight,
    shrunk,
    stationary_mean,
)
from skspectral.priors import ScaledPrior

SHAPES = [(1,), (12,), (1, 5), (4, 3), (3, 4, 2), (2, 2, 3)]
CPU = torch.device("cpu")


def covariance(n_features, n_samples=30, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n_features, n_features))
    C = np.atleast_2d(np.cov((rng.normal(size=(n_samples, n_features)) @ mix).T))
    return torch.as_tensor((C + C.T) / 2)


def target_of(C, shape):
    return stationary_mean(DenseMoment(C), grid_of(shape))


def grid_of(shape):
    return Grid.of(shape, math.prod(shape))


def stationary(C, shape):
    return target_of(C, shape).dense()


def by_loops(C, shape):
    """The stationary matrix by its definition."""
    height, width = (1, *shape) if len(shape) == 1 else shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    C = C.reshape(height, width, channels, height, width, channels)
    S = np.zeros_like(C)
    for place in np.ndindex(S.shape):
        y, x, c, other_y, other_x, d = place
        dy, dx = other_y - y, other_x - x
        for v in range(max(0, -dy), min(height, height - dy)):
            for u in range(max(0, -dx), min(width, width - dx)):
                S[place] += C[v, u, c, v + dy, u + dx, d] / (height * width)
    return S.reshape(height * width * channels, -1)


def autoregression(n_samples, length=64, seed=0):
    """Rows of a stationary process, and its covariance."""
    truth = toeplitz(0.9 ** np.arange(length) * np.cos(0.6 * np.arange(length)))
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.zeros(length), truth, size=n_samples), truth


def learn(X, n_components=8, **options):
    return SpectralDictionaryLearning(n_components, modulation=None, **options).fit(X)


def weight_of(X, shape, weights=None):
    moments = Moments(X.shape[1], CPU).update(X, weights)
    C = moments.covariance()
    fourth = moments.fourth / moments.weight
    target = stationary_mean(C, grid_of(shape))
    return best_weight(C, target, fourth, moments.weight)


# The target


@pytest.mark.parametrize("shape", SHAPES)
def test_target_is_the_mean_over_places(shape):
    C = covariance(math.prod(shape))
    S = stationary(C, shape)
    np.testing.assert_allclose(S, by_loops(C.numpy(), shape), atol=1e-12)
    np.testing.assert_array_equal(S, S.T)
    assert float(S.trace()) == pytest.approx(float(C.trace()))
    assert np.linalg.eigvalsh(S).min() > -1e-12 * float(S.trace())


def test_target_of_a_signal_is_toeplitz():
    C = covariance(12)
    first = [float(C.diagonal(lag).sum()) / 12 for lag in range(12)]
    np.testing.assert_allclose(stationary(C, (12,)), toeplitz(first), atol=1e-13)


def test_target_is_the_expected_correlogram():
    X = np.random.default_rng(0).normal(size=(7, 10))
    lags = DenseMoment(torch.as_tensor(X.T @ X / 7)).lag_products(Grid((10,))) / 10
    expected = np.mean([np.correlate(x, x, "full") for x in X], axis=0) / 10
    np.testing.assert_allclose(lags[0, 0], expected, atol=1e-13)


@pytest.mark.parametrize("shape", [(20,), (4, 5), (2, 5, 2)])
def test_white_noise_is_recovered_exactly(shape):
    identity = 3.0 * torch.eye(20, dtype=torch.float64)
    np.testing.assert_allclose(stationary(identity, shape), identity)


def test_a_process_that_is_stationary_is_recovered():
    """Each lag is multiplied by the fraction of the positions that have this lag."""
    lags = np.exp(-np.arange(40) / 3)
    S = stationary(torch.as_tensor(toeplitz(lags)), (40,))
    np.testing.assert_allclose(S, toeplitz(lags * (1 - np.arange(40) / 40)))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_mixture(shape, weight):
    C = covariance(math.prod(shape))
    expected = (1 - weight) * C.numpy() + weight * by_loops(C.numpy(), shape)
    mixed = shrunk(DenseMoment(C), target_of(C, shape), weight)
    np.testing.assert_allclose(mixed.dense(), expected, atol=1e-12)
    np.testing.assert_array_equal(mixed.dense(), mixed.dense().T)


# Its weight


@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 4, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_weight_is_its_formula(shape, weighted):
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(60, 24)) * np.arange(1, 25)
    weights = rng.integers(0, 4, size=60) if weighted else np.ones(60, int)
    rows = np.repeat(X, weights, axis=0)
    centred = rows - rows.mean(0)
    C = centred.T @ centred / len(rows)
    spread = np.mean([np.linalg.norm(np.outer(x, x) - C) ** 2 for x in centred])
    misfit = np.linalg.norm(C - by_loops(C, shape)) ** 2
    expected = spread / (len(rows) - 2) / misfit
    assert 0 < expected < 1
    assert weight_of(X, shape, weights * 1.0) == pytest.approx(expected, rel=1e-9)


def test_numerator_is_that_of_ledoit_and_wolf():
    """With white noise as the target, the numerator is scikit-learn's."""
    X = np.random.default_rng(0).normal(size=(50, 9)) * np.arange(1, 10)
    C = np.cov(X.T, bias=True)
    misfit, of_white = (
        np.linalg.norm(C - target) ** 2
        for target in (by_loops(C, (9,)), np.trace(C) / 9 * np.eye(9))
    )
    expected = LedoitWolf().fit(X).shrinkage_ * of_white / misfit * 50 / 48
    assert weight_of(X, (9,)) == pytest.approx(expected)


@pytest.mark.parametrize("n_samples", [3, 6, 50])
def test_numerator_is_unbiased(n_samples):
    """It estimates the variance of C, for Gaussian samples centred at their mean."""
    rng, spread = np.random.default_rng(0), np.arange(1, 5.0)
    rows = rng.normal(size=(40_000, n_samples, 4)) * spread
    rows -= rows.mean(1, keepdims=True)
    C = rows.transpose(0, 2, 1) @ rows / n_samples
    fourth = ((rows**2).sum(2) ** 2).mean(1)
    estimate = (fourth - (C**2).sum((1, 2))) / (n_samples - 2)
    truth = ((C - C.mean(0)) ** 2).sum((1, 2)).mean()
    assert estimate.mean() == pytest.approx(truth, rel=0.05)


def test_weight_vanishes_with_many_samples_unless_they_are_stationary():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 12)) * np.arange(1, 13)
    weights = [weight_of(X[:n], (12,)) for n in (40, 400, 4000, 40_000)]
    assert 0.8 > weights[0] > 5 * weights[1] > 25 * weights[2]
    assert 0 < weights[3] < 1e-3
    assert weight_of(rng.normal(size=(40_000, 12)), (12,)) > 0.8


def test_heavy_tails_ask_for_more():
    X = autoregression(200)[0] * np.linspace(0.2, 1, 64)
    loud = X * np.random.default_rng(1).exponential(size=(200, 1)) ** 2
    assert weight_of(loud, (64,)) > weight_of(X, (64,)) + 0.1


def test_two_samples_know_nothing():
    assert weight_of(autoregression(2)[0], (64,)) == 1.0


def test_one_feature_is_stationary():
    assert weight_of(np.random.default_rng(0).normal(size=(9, 1)), (1,)) == 1.0


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_weight_does_not_depend_on_the_scale(scale):
    X = np.random.default_rng(0).normal(size=(40, 12)) * np.arange(1, 13)
    assert weight_of(scale * X, (12,)) == pytest.approx(weight_of(X, (12,)))


def test_fourth_moment_that_overflows():
    X = 1e100 * np.random.default_rng(0).normal(size=(40, 12))
    with pytest.raises(ValueError, match=r"shrinkage='auto'.*overflows"):
        learn(X, 3, shrinkage="auto")
    assert np.isfinite(learn(X, 3, shrinkage=0.5).components_).all()


# What is learned


def explained(est, X):
    rebuilt = est.inverse_transform(est.transform(X))
    return r2_score(X, rebuilt, multioutput="variance_weighted")


def test_few_stationary_rows():
    X, _ = autoregression(2020)
    train, test = X[:20], X[20:]
    none, auto = (learn(train, 16, shrinkage=weight) for weight in (None, "auto"))
    assert none.shrinkage_ == 0.0
    assert auto.shrinkage_ > 0.5
    assert explained(auto, test) > explained(none, test) + 0.02
    assert auto.score(test) > none.score(test) + 5


@pytest.mark.parametrize("center", [True, False])
def test_model_is_that_of_the_shrunk_covariance(signals, center):
    few = signals[:30]
    # With as many atoms as features, the span is the whole space.
    est = SpectralDictionaryLearning(48, shrinkage=0.3, center=center).fit(few)
    C = np.cov(few.T, bias=True)
    expected = 0.7 * C + 0.3 * by_loops(C, (48,))
    found = est.basis_.T @ est.prior_.covariance_ @ est.basis_
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.trace(C))
    mean = est.mean_ + est.prior_.mean_ @ est.basis_
    np.testing.assert_allclose(mean, few.mean(0), atol=1e-9)


@pytest.mark.parametrize("center", [True, False])
def test_explained_variance_is_that_of_the_shrunk_covariance(signals, center):
    few, options = signals[:30], {"n_components": 6, "center": center}
    est = SpectralDictionaryLearning(shrinkage=0.4, **options).fit(few)
    C = np.cov(few.T, bias=True)
    C = 0.6 * C + 0.4 * by_loops(C, (48,))
    if not center:
        C += np.outer(few.mean(0), few.mean(0))
    left = np.eye(48) - est.basis_.T @ est.basis_
    left = np.trace(left @ C) / np.trace(C)
    assert est.explained_variance_ratio_.sum() == pytest.approx(1 - left, abs=1e-6)
    assert est.noise_variance_ == pytest.approx(left * np.trace(C) / 42, rel=1e-4)


@pytest.mark.parametrize("weight", [0, 0.0, None])
def test_no_weight_changes_nothing(signals, weight):
    est, plain = learn(signals, shrinkage=weight), learn(signals)
    np.testing.assert_array_equal(est.components_, plain.components_)
    np.testing.assert_array_equal(est.prior_.covariance_, plain.prior_.covariance_)
    assert est.shrinkage_ == 0.0


@pytest.mark.parametrize("cuts", [(100,), (3, 60, 61)])
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_give_the_weight_of_the_whole(signals, cuts, weighted):
    weights = np.random.default_rng(0).integers(1, 4, size=len(signals)) * 1.0
    weights = weights if weighted else np.ones(len(signals))
    est = SpectralDictionaryLearning(5, modulation=None, shrinkage="auto")
    whole = est.fit(signals, sample_weight=weights).shrinkage_
    est = SpectralDictionaryLearning(5, modulation=None, shrinkage="auto")
    for rows in np.split(np.arange(len(signals)), cuts):
        est.partial_fit(signals[rows], sample_weight=weights[rows])
    assert 0 < whole < 1
    assert est.shrinkage_ == pytest.approx(whole, rel=1e-9)
    # The stored moments are not shrunk.
    seen = Moments(48, CPU).update(signals, weights).covariance().dense()
    np.testing.assert_allclose(est.moments_.covariance().dense(), seen, atol=1e-9)


def test_pieces_without_shrinkage_can_have_a_weight_later(signals):
    est = SpectralDictionaryLearning(5, modulation=None).partial_fit(signals[:30])
    est.set_params(shrinkage=0.4).partial_fit(signals[30:])
    assert est.shrinkage_ == 0.4
    # "auto" requires statistics that the first call did not gather.
    with pytest.raises(ValueError, match="'auto' needs the fourth moment of all rows"):
        est.set_params(shrinkage="auto").partial_fit(signals)
    assert est.fit(signals).shrinkage_ > 0


@pytest.mark.parametrize("shrinkage", ["auto", 0.5])
def test_weights_equal_repetition(signals, shrinkage):
    weights = np.random.default_rng(0).integers(0, 3, size=len(signals))
    options = {"n_components": 5, "shrinkage": shrinkage}
    one = SpectralDictionaryLearning(**options).fit(signals, sample_weight=weights)
    two = SpectralDictionaryLearning(**options).fit(np.repeat(signals, weights, 0))
    assert one.shrinkage_ == pytest.approx(two.shrinkage_, rel=1e-12)
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-6)
    np.testing.assert_allclose(one.noise_variance_, two.noise_variance_, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"atoms": "plane_wave"},
        {"modulation": "mlp"},
        {"solver": "lbfgs", "modulation": None},
        {"solver": "adam", "max_iter": 3, "tol": 1.0},
        {"stft_weight": 0.1, "stft_window": 16, "modulation": None, "tol": 1.0},
        {"prior": GaussianMixture(2, random_state=0), "center": False},
    ],
    ids=["plane", "mlp", "lbfgs", "adam", "stft", "mixture"],
)
def test_every_way_of_learning(patches, options):
    train, test = patches[0][:40], patches[1]
    options = {"max_iter": 10, "tol": 0.05, **options}
    est = SpectralDictionaryLearning(
        8, signal_shape=(8, 8, 3), shrinkage="auto", random_state=0, **options
    ).fit(train)
    assert 0 < est.shrinkage_ < 1
    assert np.isfinite(est.score(test))
    assert explained(est, test) > 0.5


def test_other_priors_see_the_samples(signals):
    prior = GaussianMixture(2, random_state=0)
    est = learn(signals[:30], 5, shrinkage=0.5, prior=prior)
    direct = ScaledPrior(prior).fit((signals[:30] - est.mean_) @ est.basis_.T)
    for (_, one), (_, two) in zip(est.prior_.mixture(), direct.mixture(), strict=True):
        np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-6)


def test_float32_and_float64_agree(signals):
    weights = [
        learn(signals.astype(dtype) + 1000, 5, shrinkage="auto").shrinkage_
        for dtype in (np.float32, np.float64)
    ]
    assert weights[0] == pytest.approx(weights[1], rel=1e-3)


@pytest.mark.parametrize("weight", [-0.1, 1.5, "most"])
def test_weights_that_are_none(signals, weight):
    with pytest.raises(ValueError, match="'shrinkage' parameter"):
        learn(signals, shrinkage=weight)
