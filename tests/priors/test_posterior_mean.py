"""The posterior mean of codes with white noise."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.neighbors import KernelDensity

from skspectral.priors import DiffusionPrior, GaussianMixture, GaussianPrior
from skspectral.priors.protocol import as_prior

RNG = np.random.default_rng(0)
CODES = np.concatenate(
    [RNG.normal(size=(200, 3)) * [3, 1, 0.3], RNG.normal(size=(200, 3)) + 4]
)


def test_mixtures_are_weighed_by_their_responsibilities():
    prior = GaussianMixture(2, random_state=0).fit(CODES)
    noisy, v = CODES[::40] + 0.5, 0.7
    parts = prior.mixture()
    log, means = [], []
    for weight, part in zip(parts.weights, parts.components, strict=True):
        total = part.covariance + v * np.eye(3)
        law = multivariate_normal(part.mean, total)
        log.append(np.log(weight) + law.logpdf(noisy))
        gain = part.covariance @ np.linalg.inv(total)
        means.append(part.mean + (noisy - part.mean) @ gain.T)
    expected = (softmax(log, axis=0)[:, :, None] * means).sum(0)
    np.testing.assert_allclose(prior.posterior_mean(noisy, v), expected, rtol=1e-8)
    np.testing.assert_array_equal(prior.posterior_mean(noisy, 0), noisy)


def test_a_diffusion_starts_from_the_gaussian():
    prior = DiffusionPrior(max_images=1, learning_rate=1e-9, random_state=0)
    found = prior.fit(CODES).posterior_mean(CODES, 0.7)
    expected = GaussianPrior().fit(CODES).posterior_mean(CODES, 0.7)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_trained_diffusion_knows_more_than_the_gaussian():
    prior = DiffusionPrior(width=16, max_images=20_000, random_state=0).fit(CODES)
    noisy = CODES + np.random.default_rng(1).normal(size=CODES.shape)
    gaussian = GaussianPrior().fit(CODES).posterior_mean(noisy, 1.0)
    found = prior.posterior_mean(noisy, 1.0)
    assert np.mean((found - CODES) ** 2) < 0.95 * np.mean((gaussian - CODES) ** 2)


def test_other_priors_say_what_they_lack():
    prior = as_prior(KernelDensity()).fit(CODES)
    with pytest.raises(TypeError, match=r"posterior_mean needs a prior .*Diffusion"):
        prior.posterior_mean(CODES, 1.0)
