import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from skspectral.gaussian import Gaussian, Mixture
from skspectral.likelihood import log_density


def mixture_of(*pairs):
    weights, parts = zip(*pairs, strict=True)
    return Mixture(np.array(weights), parts)


def dense_log_density(X, mean, axes, mixture, noise):
    """Return the log-density from T x T covariances, by SciPy."""
    density = 0
    for weight, normal in mixture:
        values, vectors = np.linalg.eigh(normal.covariance)
        clean = (vectors * np.maximum(values - noise, 0)) @ vectors.T
        full = axes.T @ clean @ axes + noise * np.eye(len(mean))
        density += weight * multivariate_normal(mean + normal.mean @ axes, full).pdf(X)
    return np.log(density)


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("n_codes", [2, 5])
def test_agrees_with_the_dense_density(n_components, n_codes):
    rng = np.random.default_rng(0)
    X, mean = rng.normal(size=(20, 5)), rng.normal(size=5)
    axes = np.linalg.qr(rng.normal(size=(5, n_codes)))[0].T
    mixture = []
    for weight in rng.dirichlet(np.ones(n_components)):
        A = rng.normal(size=(n_codes, n_codes))
        mixture.append(
            (weight, Gaussian.from_covariance(rng.normal(size=n_codes), A @ A.T))
        )
    ours = log_density(
        (X - mean) @ axes.T, ((X - mean) ** 2).sum(1), 5, mixture_of(*mixture), 0.3
    )
    expected = dense_log_density(X, mean, axes, mixture, 0.3)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_integrates_the_code_out():
    """For one feature and one code, compare with integration over the code."""
    mixture = [
        (0.4, Gaussian.from_covariance(np.array([-1.0]), np.eye(1))),
        (0.6, Gaussian.from_covariance(np.array([2.0]), np.eye(1))),
    ]
    clean = np.sqrt(1 - 0.25)

    def joint(w, x):
        prior = 0.4 * norm.pdf(w, -1, clean) + 0.6 * norm.pdf(w, 2, clean)
        return prior * norm.pdf(x, w, 0.5)

    for x in (-2.0, 0.3, 4.0):
        ours = log_density(
            np.array([[x]]), np.array([x**2]), 1, mixture_of(*mixture), 0.25
        )
        expected = quad(joint, -20, 20, args=(x,), points=[x])[0]
        assert ours[0] == pytest.approx(np.log(expected), rel=1e-7)


def test_a_direction_never_varies_less_than_the_noise():
    ours = log_density(
        np.zeros((1, 1)),
        np.zeros(1),
        1,
        mixture_of((1.0, Gaussian.from_covariance(np.zeros(1), 1e-9 * np.eye(1)))),
        4.0,
    )
    assert ours[0] == pytest.approx(norm.logpdf(0, 0, 2))
