import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.gaussian import Gaussian, LinearObservation, Mixture
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

RNG = np.random.default_rng(0)
OPERATOR = RNG.normal(size=(2, 4))
SEEN = RNG.normal(size=2)


def normal(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    return Gaussian.from_covariance(rng.normal(size=4), root @ root.T)


def conditioned(law, noise_variance):
    """Return log-density of the observation, mean and covariance by the textbook."""
    C = law.covariance
    S = OPERATOR @ C @ OPERATOR.T + noise_variance * np.eye(2)
    left = SEEN - OPERATOR @ law.mean
    gain = C @ OPERATOR.T @ np.linalg.inv(S)
    log_density = -(left @ np.linalg.solve(S, left) + np.linalg.slogdet(S)[1]) / 2
    return log_density, law.mean + gain @ left, C - gain @ OPERATOR @ C


@pytest.mark.parametrize("noise_variance", [0.0, 0.4])
def test_moments_of_draws_of_a_mixture(noise_variance):
    mixture = [(0.3, normal(1)), (0.7, normal(2))]
    pooled = Mixture(np.array([0.3, 0.7]), tuple(part for _, part in mixture))
    posterior = LinearObservation(OPERATOR, noise_variance).condition(
        pooled, SEEN[None]
    )
    drawn = posterior.draw(100_000, np.random.default_rng(0))[:, 0]
    parts = [conditioned(law, noise_variance) for _, law in mixture]
    weights = [w * np.exp(part[0]) for (w, _), part in zip(mixture, parts, strict=True)]
    weights = np.array(weights) / np.sum(weights)
    assert weights.min() > 0.01  # Both components count.
    mean = sum(w * m for w, (_, m, _) in zip(weights, parts, strict=True))
    second = sum(
        w * (C + np.outer(m - mean, m - mean))
        for w, (_, m, C) in zip(weights, parts, strict=True)
    )
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), second, atol=0.08)
    if noise_variance == 0:
        np.testing.assert_allclose(drawn @ OPERATOR.T - SEEN, 0, atol=1e-5)


@pytest.mark.parametrize(
    "prior",
    [GaussianPrior(), GaussianMixture(3, random_state=0), ClassConditionalPrior()],
)
def test_draws_of_signals_agree_with_what_is_seen(prior):
    X, y = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(30, signal_shape=(8, 8), prior=prior).fit(X, y)
    operator = np.kron(np.eye(4), np.ones((1, 2)) / 2)  # means of neighbours
    operator = np.kron(operator, operator)[:9]
    truth = est.inverse_transform(est.transform(X[:6]))
    seen = truth @ operator.T
    drawn = est.sample_given(operator, seen, 6, random_state=0)
    np.testing.assert_allclose(drawn @ operator.T, seen, atol=1e-3)
    # The draws also agree with values that the atoms cannot represent.
    means = np.kron(np.kron(np.eye(4), [[0.5, 0.5]]), np.kron(np.eye(4), [[0.5, 0.5]]))
    means = means.reshape(16, 64)
    for known in (means, np.eye(64)[:40], est.components_[:9]):
        exact = est.sample_given(known, X[:6] @ known.T, 6, random_state=0)
        np.testing.assert_allclose(exact @ known.T, X[:6] @ known.T, atol=1e-3)
        assert np.abs(exact).max() < 60
    noisy = est.sample_given(means, X[0] @ means.T, 6, noise_variance=4.0)
    assert 0.1 < (noisy @ means.T - X[0] @ means.T).std() < 4
    np.testing.assert_array_equal(
        drawn, est.sample_given(operator, seen, 6, random_state=0)
    )
    free = est.sample(6, random_state=0)
    assert ((drawn - truth) ** 2).mean() < ((free - truth) ** 2).mean()
    # Without a seed the draws continue the stream of the estimator.
    assert (
        est.sample_given(operator, seen[0]) != est.sample_given(operator, seen[0])
    ).any()


def test_what_does_not_fit_is_refused():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(8).fit(X)
    with pytest.raises(ValueError, match=r"operator of shape \(64,\) must be"):
        est.sample_given(np.ones(64), [1.0])
    with pytest.raises(
        ValueError, match=r"observed of shape \(2,\) must be of shape \(1,\)"
    ):
        est.sample_given(np.ones((1, 64)), [1.0, 2.0])
    with pytest.raises(ValueError, match="noise_variance"):
        est.sample_given(np.ones((1, 64)), [1.0], noise_variance=-1.0)
    with pytest.raises(ValueError, match="y=3: sample_given of GaussianPrior"):
        est.sample_given(np.ones((1, 64)), [1.0], y=3)
    est.set_params(prior=KernelDensity()).fit(X)
    with pytest.raises(TypeError, match="KernelDensity has no closed form"):
        est.sample_given(np.ones((1, 64)), [1.0])
