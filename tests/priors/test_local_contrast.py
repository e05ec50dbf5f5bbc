"""The prior that splits signals into coarse part, contrast and details."""

import math
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.priors import (
    ClassConditionalPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    Synthesis,
)
from skspectral.priors.contrast import ContrastField, splines, windows
from skspectral.priors.protocol import fit_prior

SHAPES = [(23,), (8, 8), (12, 7), (9, 6, 3), (1, 5), (4, 1, 2)]


@pytest.mark.parametrize(("size", "n_points"), [(32, 8), (32, 16), (10, 3), (5, 1)])
def test_grids(size, n_points):
    for degree in (1, 3):
        matrix = splines(size, n_points, degree)
        assert matrix.shape == (size, n_points)
        np.testing.assert_allclose(matrix.sum(1), 1)
        assert matrix.min() >= 0
        # The splines are symmetric.
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)
    weights = windows(size, n_points)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)


def test_linear_splines_interpolate():
    points = (np.arange(8) + 0.5) * 4 - 0.5
    values = np.random.default_rng(0).normal(size=8)
    between = slice(2, 30)
    np.testing.assert_allclose(
        (splines(32, 8, 1) @ values)[between],
        np.interp(np.arange(32), points, values)[between],
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_join_undoes_split(shape):
    signals = np.random.default_rng(0).normal(size=(5, *shape)) ** 3
    field = ContrastField(Grid.of(shape, math.prod(shape)), 4, 2, 0.1)
    parts = field.split(signals)
    np.testing.assert_allclose(field.join(parts), signals, atol=1e-10)
    # A signal without details consists of its coarse part.
    smooth = field.join(parts._replace(details=0 * parts.details))
    np.testing.assert_allclose(field.residual(smooth), 0, atol=1e-10)


def test_contrast_is_the_local_loudness():
    rng = np.random.default_rng(1)
    loudness = np.exp(np.sin(np.linspace(0, 4 * np.pi, 256)))
    noise = rng.normal(size=(400, 256))
    parts = ContrastField(Grid((256,)), 8, 8, 0.01).split(noise * loudness)
    ratio = np.exp(parts.log_contrast.mean(0)) / loudness[3::8]
    assert ratio.std() / ratio.mean() < 0.1
    # Details have the same variance everywhere.
    spread = parts.details.std(0)
    assert spread.std() / spread.mean() < 0.15
    assert abs(np.log(spread.mean())) < 0.3


def test_contrast_is_the_mean_over_colours():
    rng = np.random.default_rng(2)
    grey = rng.normal(size=(20, 12, 12, 1))
    field = ContrastField(Grid((12, 12), 3, 2), 4, 3, 0.01)
    of_grey = field.split(np.repeat(grey, 3, axis=3))
    alone = ContrastField(Grid((12, 12)), 4, 3, 0.01).split(grey[..., 0])
    np.testing.assert_allclose(of_grey.log_contrast, alone.log_contrast)
    np.testing.assert_allclose(of_grey.details[..., 1], alone.details)


def busy_and_flat(n, seed):
    """Signals of 64 samples with a loud part at a random position."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 64, size=(n, 1))
    loudness = 0.05 + np.exp(-(((np.arange(64) - place) / 6) ** 2))
    return rng.normal(size=(n, 64)) * loudness


def local_energy_spread(signals):
    """Standard deviation of the log-energy over positions and samples."""
    energy = (signals.reshape(len(signals), -1, 8) ** 2).mean(2)
    return np.log(energy).std()


def test_draws_have_quiet_and_busy_places():
    X = busy_and_flat(4000, 0)
    truth = local_energy_spread(X)
    options = {"modulation": None, "signal_shape": (64,), "random_state": 0}
    spreads = []
    for prior in (GaussianPrior(), LocalContrastPrior(coarse=8, contrast=4)):
        est = SpectralDictionaryLearning(64, prior=prior, **options).fit(X)
        spreads.append(local_energy_spread(est.sample(2000, random_state=0)))
    gaussian, ours = spreads
    assert abs(ours - truth) < 0.6 * abs(gaussian - truth)


def test_draws_have_the_variance_of_the_samples(patches):
    train, _ = patches
    prior = LocalContrastPrior(coarse=4, contrast=2)
    est = SpectralDictionaryLearning(
        120, signal_shape=(8, 8, 3), modulation=None, prior=prior, random_state=0
    ).fit(train)
    drawn = est.sample(4000, random_state=0)
    assert drawn.shape == (4000, 192)
    assert np.abs(drawn.mean(0) - train.mean(0)).max() < 0.1 * train.std()
    assert drawn.var(0).sum() == pytest.approx(train.var(0).sum(), rel=0.2)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X, y


def fitted(X, y=None, prior=None, **options):
    est = SpectralDictionaryLearning(
        30, signal_shape=(8, 8), modulation=None, random_state=0, prior=prior
    )
    return est.fit(X, y, **options)


def test_labels_reach_the_inner_prior(digits):
    X, y = digits
    prior = LocalContrastPrior(ClassConditionalPrior())
    est = fitted(X, y, prior)
    means = np.stack([X[y == label].mean(0) for label in range(10)])
    drawn = est.sample(200, y=np.repeat(np.arange(10), 20), random_state=0)
    of_draws = drawn.reshape(10, 20, 64).mean(1)
    nearest = np.linalg.norm(of_draws[:, None] - means, axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, np.arange(10))
    with pytest.raises(ValueError, match="not a label of fit"):
        est.sample(3, y=11)
    with pytest.raises(ValueError, match="label for each sample"):
        fitted(X, None, prior)
    with pytest.raises(ValueError, match="GaussianPrior cannot sample for a label"):
        fitted(X, y, LocalContrastPrior()).sample(3, y=1)


def test_it_is_told_the_shape_inside_another_prior(digits):
    X, y = digits
    est = fitted(X, y, ClassConditionalPrior(LocalContrastPrior()))
    for prior in est.prior_.priors_:
        assert prior._synthesis.signal_shape == (8, 8)


def test_draws(digits):
    X, _ = digits
    est = fitted(X, prior=LocalContrastPrior(GaussianMixture(2, tol=0.1)))
    first = est.sample(50, random_state=3)
    np.testing.assert_array_equal(first, est.sample(50, random_state=3))
    assert np.abs(first - est.sample(50, random_state=4)).max() > 1
    again = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(first, again.sample(50, random_state=3))
    assert est.prior_.n_parameters_ > est.prior_.prior_.n_parameters_


def test_there_is_no_density(digits):
    with pytest.raises(TypeError, match="LocalContrastPrior"):
        fitted(digits[0], prior=LocalContrastPrior()).score(digits[0])


def test_weights_count_rows():
    rng = np.random.default_rng(2)
    codes = rng.normal(size=(40, 16)) * rng.exponential(size=(40, 1))
    times = rng.integers(0, 4, size=40)
    synthesis = Synthesis(np.eye(16), np.zeros(16), (4, 4))
    weighted, repeated = LocalContrastPrior(), LocalContrastPrior()
    fit_prior(weighted, codes, None, times.astype(float), synthesis)
    fit_prior(repeated, np.repeat(codes, times, axis=0), None, None, synthesis)
    for numbers in (floor_and_moments(weighted), floor_and_moments(repeated)):
        assert all(np.abs(part).max() > 0 for part in numbers)
    for ours, expected in zip(
        floor_and_moments(weighted), floor_and_moments(repeated), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-9)


def floor_and_moments(prior):
    """Fitted quantities that do not depend on the signs of principal components."""
    n_numbers, axes = prior.prior_.n_features_in_, prior.detail_axes_
    to_codes = np.eye(n_numbers)
    to_codes[-len(axes) :, -len(axes) :] = axes
    covariance = to_codes.T @ prior.prior_.covariance_ @ to_codes
    return prior._field.floor, prior._unit, prior.detail_mean_, covariance


@pytest.mark.parametrize("shrinkage", [None, 0.05])
def test_units_do_not_matter(digits, shrinkage):
    X, _ = digits
    spreads = []
    for scale in (1 / 16, 1000):
        prior = LocalContrastPrior(GaussianPrior(shrinkage=shrinkage))
        est = fitted(scale * X, prior=prior)
        spreads.append(est.sample(500, random_state=0).std() / scale)
    assert spreads[0] == pytest.approx(spreads[1], rel=0.02)
    assert spreads[0] == pytest.approx(X.std(), rel=0.15)


def test_floor_is_relative(digits):
    X, _ = digits
    prior = fitted(X, prior=LocalContrastPrior()).prior_
    signals = prior._synthesis.signals((X - X.mean(0)) @ prior._synthesis.basis.T)
    rms = np.sqrt((signals**2).mean())
    rest = prior._field.residual(signals)
    assert prior._field.floor == pytest.approx(0.1 * np.sqrt((rest**2).mean()) / rms)


@pytest.mark.parametrize("n_details", [5, 60, 200])
def test_weak_details_keep_their_variance(patches, n_details):
    train, _ = patches
    prior = LocalContrastPrior(n_details=n_details)
    est = SpectralDictionaryLearning(
        120, signal_shape=(8, 8, 3), modulation=None, prior=prior, random_state=0
    ).fit(train)
    prior, stream = est.prior_, np.random.default_rng(0)
    numbers = prior.prior_.sample(4000, random_state=0)
    details = prior._parts(numbers, stream).details
    details = details.reshape(len(details), -1) @ prior._synthesis.basis.T
    drawn = ((details - prior.detail_mean_) @ prior.detail_axes_.T).var(0)
    np.testing.assert_allclose(drawn, prior.detail_variance_, rtol=0.2)
    assert (np.diff(prior.detail_variance_) <= 0).all()


def test_synthesis_of_other_codes():
    with pytest.raises(
        ValueError, match="synthesis maps 3 codes to signals, but X has 4"
    ):
        LocalContrastPrior().fit(np.eye(5)[:, :4], synthesis=Synthesis.identity(3))
