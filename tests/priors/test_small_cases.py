"""With few rows or codes, priors work or raise an error that says what to change."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ScikitLearns
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.gaussian import Gaussian
from skspectral.impute import impute, sample_posterior
from skspectral.priors import (
    ClassConditionalPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
)
from skspectral.priors.protocol import fit_prior, new_prior

# Accepted error messages about rows, weights and labels.
REASONS = re.compile(
    "Are all codes equal|n_components=. needs as many different samples|"
    "Use fewer components, or shrinkage > 0|leaves one row with a weight > 0|"
    "Pass labels y that several different|takes none. Fit without weights|"
    "Expected n_samples >= n_components|at least one non-zero"
)


def random_prior(rng):
    covariance = rng.choice(["full", "diag", "low_rank"])
    rank = int(rng.integers(5))
    shrinkage = [None, 0.0, 0.3, 1.0, "ledoit_wolf"][rng.integers(5)]
    n_components = int(rng.integers(1, 4))
    prior = [
        GaussianPrior(covariance, rank=[None, rank][rank % 2], shrinkage=shrinkage),
        GaussianMixture(
            n_components,
            covariance=covariance,
            rank=rank,
            shrinkage=rng.choice([0.0, 2.0, 100.0]),
        ),
        KernelDensity(bandwidth=0.3),
        ScikitLearns(n_components, random_state=0),
    ][rng.integers(4)]
    return [
        prior,
        ClassConditionalPrior(prior),
        LocalContrastPrior(prior, n_details=2),
        LocalContrastPrior(ClassConditionalPrior(prior)),
    ][rng.integers(4)]


def random_codes(rng):
    n, n_codes = rng.integers(2, 9), rng.integers(1, 6)
    X = rng.normal(size=(n, n_codes)) * 10.0 ** rng.integers(-8, 8)
    return [
        X,
        np.where(np.arange(n_codes) == 0, 1.0, X),
        X[rng.integers(n, size=n) // 2],
        np.sign(X),
        X + 1e6 * np.abs(X).max(),
        X[:, :1] * np.arange(1, n_codes + 1),
    ][rng.integers(6)]


@pytest.mark.parametrize(
    "seeds", [range(i, i + 50) for i in range(0, 300, 50)], ids=str
)
def test_it_works_or_says_what_to_change(seeds):
    n_worked, unexplained = 0, []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X, prior = random_codes(rng), random_prior(rng)
        y = rng.integers(3, size=len(X))
        weights = [None, rng.integers(3, size=len(X)).astype(float)][rng.integers(2)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                fitted = new_prior(prior, rng, y, weights)
                fit_prior(fitted, X, y, weights)
            except ValueError as error:
                unexplained += [] if REASONS.search(str(error)) else [(seed, error)]
                continue
        n_worked += 1
        assert np.isfinite(fitted.sample(5, random_state=0)).all()
        if fitted.capabilities.density:
            assert not np.isnan(fitted.score_samples(X)).any()
        if hasattr(fitted, "predict_proba"):
            np.testing.assert_allclose(fitted.predict_proba(X).sum(1), 1)
        if fitted.capabilities.gaussians:
            operator = rng.normal(size=(2, X.shape[1]))
            drawn = fitted.sample_given(operator, operator @ X[0], 2, random_state=0)
            assert np.isfinite(drawn).all()
    assert not unexplained
    assert n_worked > len(seeds) / 2


@pytest.mark.parametrize(
    "prior",
    [
        GaussianPrior("low_rank"),
        GaussianPrior("low_rank", rank=5),
        GaussianMixture(1, covariance="low_rank", rank=0),
        GaussianMixture(2, covariance="low_rank"),
    ],
)
@pytest.mark.parametrize("n_components", [1, 2])
def test_as_few_codes_as_noise(prior, n_components):
    """If codes vary less than the noise, their clean variance is zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) + np.sin(np.arange(6))
    est = SpectralDictionaryLearning(
        n_components, modulation=None, init="spectrum", max_iter=1, prior=prior
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        est.fit(X)
    model, cpu = replace(est.model_, noise_variance=100.0), torch.device("cpu")
    gaps = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    filled, missing = gaps.copy(), np.isnan(gaps)
    std = impute(model, est.prior_, filled, return_std=True, device=cpu)
    # The tolerance allows for the distance between components of a mixture.
    np.testing.assert_allclose(std[missing], 10.0, rtol=0.01)
    draws = sample_posterior(model, est.prior_, gaps, 300, rng, device=cpu)
    np.testing.assert_allclose(draws.std(0)[missing], 10.0, rtol=5 / np.sqrt(2 * 300))
    assert (np.abs(draws.mean(0) - filled)[missing] < 5 * 10 / np.sqrt(300)).all()


@pytest.mark.parametrize("n_codes", [1, 3])
def test_no_variance_has_a_root(n_codes):
    mean = np.arange(1.0, n_codes + 1)
    for gaussian in (
        Gaussian(mean, np.empty((n_codes, 0)), np.empty(0), 0.0),
        Gaussian(mean, np.eye(n_codes), np.zeros(n_codes)),
    ):
        np.testing.assert_array_equal(gaussian.root, np.zeros((n_codes, 1)))


def test_one_row_with_a_weight():
    X = np.random.default_rng(0).normal(size=(3, 2))
    for prior in (GaussianPrior(), GaussianMixture(), LocalContrastPrior()):
        with pytest.raises(ValueError, match="sample_weight leaves one row"):
            prior.fit(X, sample_weight=[0.0, 2.0, 0.0])


def test_shrinkage_of_codes_that_are_equal():
    with pytest.raises(ValueError, match="Are all codes equal"):
        GaussianPrior(shrinkage="ledoit_wolf").fit(np.ones((5, 2)))


def test_contrast_of_draws_does_not_explode():
    """Details may be much smaller than the width of a kernel."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1)) * np.ones(16) + 1e-5 * rng.normal(size=(50, 16))
    for prior in (KernelDensity(), GaussianPrior(shrinkage=1.0)):
        drawn = LocalContrastPrior(prior).fit(X).sample(50, random_state=0)
        assert np.abs(drawn).max() < 1000
