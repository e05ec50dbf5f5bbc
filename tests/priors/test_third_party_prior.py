"""A third-party prior in the estimator."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator

from skspectral import SpectralDictionaryLearning

_FILE = Path(__file__).with_name("third_party_prior.py")
_SPEC = importlib.util.spec_from_file_location("third_party_prior", _FILE)
third_party = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(third_party)
T = 20


def heavy_tailed(n=300):
    rng = np.random.default_rng(0)
    waves = np.sin(2 * np.pi * np.outer([1, 2, 3.5, 5], np.arange(T) / T))
    codes = rng.normal(size=(n, 4)) * rng.choice([0.3, 1.0, 3.0], size=(n, 1))
    return 1 + codes @ waves + 0.1 * rng.normal(size=(n, T))


@pytest.fixture(scope="module")
def X():
    return heavy_tailed()


@pytest.fixture(scope="module")
def est(X):
    prior = third_party.ScaleMixturePrior()
    return SpectralDictionaryLearning(4, modulation=None, prior=prior).fit(X)


def of_signals(est):
    """Yield weights, means and T x T covariances of the noise-free signals."""
    prior, v = est.prior_, est.noise_variance_
    Q = np.linalg.qr(est.components_.T)[0]
    Q *= np.sign(np.diag(Q.T @ est.components_.T))
    for weight, scale in zip(prior.weights_, prior.scales, strict=True):
        values, vectors = np.linalg.eigh(scale * prior.shape_)
        clean = (vectors * np.maximum(values - v, 0)) @ vectors.T
        yield weight, est.mean_ + Q @ prior.mean_, Q @ clean @ Q.T


def condition(parts, B, y, noise):
    """Return log-evidence, posterior mean and covariance by dense formulas."""
    logs, means, covariances = [], [], []
    for weight, mean, C in parts:
        S = B @ C @ B.T + noise
        gain = C @ B.T @ np.linalg.inv(S)
        logs.append(np.log(weight) + multivariate_normal(B @ mean, S).logpdf(y))
        means.append(mean + gain @ (y - B @ mean))
        covariances.append(C - gain @ B @ C)
    shares, means = softmax(logs), np.array(means)
    mean = shares @ means
    between = (means - mean).T @ ((means - mean) * shares[:, None])
    return logsumexp(logs), mean, np.tensordot(shares, covariances, 1) + between


def test_tails_are_heavier_than_a_gaussians(est, X):
    assert est.prior_.weights_.min() > 0.05
    gaussian = SpectralDictionaryLearning(4, modulation=None).fit(X)
    fresh = heavy_tailed(900)[300:]
    assert est.score(fresh) > gaussian.score(fresh) + 0.5


def test_likelihood_and_denoising(est, X):
    parts, noise = list(of_signals(est)), est.noise_variance_ * np.eye(T)
    dense = [condition(parts, np.eye(T), x, noise) for x in X[:10]]
    scores = est.score_samples(X[:10])
    np.testing.assert_allclose(scores, [log for log, _, _ in dense], rtol=1e-7)
    means = [mean for _, mean, _ in dense]
    np.testing.assert_allclose(est.denoise(X[:10]), means, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n_seen", [3, 12])
def test_imputation(est, X, n_seen):
    parts, seen = list(of_signals(est)), np.arange(T) < n_seen
    v, B = est.noise_variance_, np.eye(T)[seen]
    filled, std = est.impute(np.where(seen, X[:8], np.nan), return_std=True)
    draws = est.sample_posterior(np.where(seen, X[:1], np.nan), 20_000, random_state=0)
    for i, x in enumerate(X[:8]):
        noise = v * np.eye(n_seen)
        _, mean, C = condition(parts, B, x[seen], noise)
        np.testing.assert_allclose(filled[i, ~seen], mean[~seen], rtol=1e-6, atol=1e-8)
        spread = np.sqrt(np.diag(C)[~seen] + v)
        np.testing.assert_allclose(std[i, ~seen], spread, rtol=1e-6)
    # Five standard errors of a mean.
    error = np.abs(draws.mean(0) - filled[:1])[:, ~seen]
    assert (error < 5 * std[:1, ~seen] / 20_000**0.5).all()


def test_draws_given_linear_functions(est):
    """The distribution of codes includes the noise inside the span."""
    rng = np.random.default_rng(1)
    B, y, prior = rng.normal(size=(2, 4)), rng.normal(size=2), est.prior_
    parts = [
        (weight, prior.mean_, scale * prior.shape_)
        for weight, scale in zip(prior.weights_, prior.scales, strict=True)
    ]
    n = 20_000
    drawn = prior.sample_given(B, y, n, noise_variance=0.5, random_state=0)
    _, mean, covariance = condition(parts, B, y, 0.5 * np.eye(2))
    spread = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / n**0.5).all()
    error = np.abs(np.cov(drawn.T) - covariance) / np.outer(spread, spread)
    assert (error < 10 * (2 / n) ** 0.5).all()
    operator = np.kron(np.eye(4), np.ones((1, 5)) / 5)[:2]
    signals = est.sample_given(operator, [1.5, 0.5], 10, random_state=0)
    np.testing.assert_allclose(signals @ operator.T, [[1.5, 0.5]] * 10, atol=1e-4)


def test_what_is_not_declared_is_missing(est, X):
    with pytest.raises(ValueError, match=r"ScaleMixturePrior\.fit takes none"):
        est.fit(X, sample_weight=np.ones(len(X)))
    with pytest.raises(ValueError, match="ScaleMixturePrior cannot sample for a label"):
        est.sample(2, y=1)
    with pytest.raises(ValueError, match="ScaleMixturePrior needs the codes"):
        est.prior_.fit_moments(np.zeros(2), np.eye(2), 10)


class Last(BaseEstimator):
    """A prior with only ``fit`` and ``sample``."""

    def fit(self, codes):
        self.code_ = codes[-1:]
        return self

    def sample(self, n_samples):
        return self.code_.repeat(n_samples, axis=0)


@pytest.mark.parametrize(
    ("asked", "call"),
    [
        ("score_samples", lambda est, X: est.score_samples(X)),
        ("denoise with noise_std", lambda est, X: est.denoise(X, 0.1)),
        ("impute with return_std", lambda est, X: est.impute(X, return_std=True)),
        ("sample_posterior", lambda est, X: est.sample_posterior(X)),
        ("sample_given", lambda est, X: est.sample_given(np.eye(T), X[0])),
    ],
)
def test_one_error_names_what_is_missing_and_what_to_do(X, asked, call):
    est = SpectralDictionaryLearning(4, modulation=None, prior=Last()).fit(X)
    assert est.sample(3).shape == (3, T)
    assert isinstance(est.prior_.prior_, Last)
    with pytest.raises(
        TypeError, match=rf"^{asked} needs a prior .*Last has no closed.*GaussianPrior"
    ):
        call(est, X)
