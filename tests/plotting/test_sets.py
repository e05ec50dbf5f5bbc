"""Displays of spectra, latent points, draws and losses."""

import numpy as np
import pytest
from scipy.signal import periodogram
from sklearn.decomposition import PCA, TruncatedSVD

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import radial_power_spectrum
from skspectral.plotting import (
    LatentDisplay,
    LearningDisplay,
    SampleGridDisplay,
    SpectrumDisplay,
)
from skspectral.priors import ClassConditionalPrior, DiffusionPrior, GaussianPrior


def image(artist):
    return np.asarray(artist.get_array())


def test_spectrum_of_images(colours):
    est, X = colours
    display = SpectrumDisplay.from_estimator(est, X, n_samples=30, random_state=3)
    sets = {
        "data": X,
        "reconstruction": est.inverse_transform(est.transform(X)),
        "samples": est.sample(30, random_state=3),
    }
    for line, (name, rows) in zip(display.lines_, sets.items(), strict=True):
        images = rows.reshape(-1, 6, 5, 3)
        powers = [radial_power_spectrum(images[..., c]) for c in range(3)]
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), powers[0].frequencies)
        mean = np.mean([spectrum.power for spectrum in powers], axis=0)
        np.testing.assert_allclose(line.get_ydata(), mean)
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize("rate", [None, 100.0])
def test_spectrum_of_signals(sounds, rate):
    _, X = sounds
    display = SpectrumDisplay.from_arrays({"walks": X}, sampling_rate=rate)
    frequencies, power = periodogram(X, fs=rate or 32)
    np.testing.assert_allclose(display.lines_[0].get_xdata(), frequencies[1:])
    np.testing.assert_allclose(display.lines_[0].get_ydata(), power.mean(axis=0)[1:])


def test_spectrum_of_images_in_units_of_length():
    images = np.random.default_rng(0).normal(size=(3, 8 * 6))
    display = SpectrumDisplay.from_arrays(
        {"noise": images}, signal_shape=(8, 6), sampling_rate=12.0
    )
    np.testing.assert_allclose(display.lines_[0].get_xdata(), [2, 4, 6])
    assert display.ax_.get_xlabel() == "frequency (cycles per unit of length)"


def test_spectrum_of_constants_has_gaps():
    display = SpectrumDisplay.from_arrays({"flat": np.ones((2, 8))})
    assert np.isnan(display.lines_[0].get_ydata()).all()
    display.figure_.draw_without_rendering()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "is empty"),
        ({"a": np.ones((2, 4)), "b": np.ones((2, 5))}, "5 columns"),
        ({"a": np.ones((2, 1))}, "no frequencies"),
        ({"a": [[1.0, np.nan]]}, "finite"),
    ],
)
def test_bad_sets(arrays, match):
    with pytest.raises(ValueError, match=match):
        SpectrumDisplay.from_arrays(arrays)


def test_latent_points_and_labels(digits):
    est, X, y = digits
    display = LatentDisplay.from_estimator(est, X, y)
    expected = PCA(2).fit_transform(est.transform(X))
    for label, points in enumerate(display.points_):
        np.testing.assert_allclose(points.get_offsets(), expected[y == label])
        assert points.get_label() == str(label)
    looks = {(*p.get_facecolor()[0], len(p.get_paths()[0])) for p in display.points_}
    assert len(looks) == 10


def test_latent_quantity(digits):
    est, X, _ = digits
    display = LatentDisplay.from_estimator(est, X, X.mean(axis=1))
    np.testing.assert_array_equal(display.points_[0].get_array(), X.mean(axis=1))
    assert len(display.figure_.axes) == 2
    assert display.ax_.get_legend() is None


def test_latent_projection_is_copied(digits):
    est, X, _ = digits
    projection = TruncatedSVD(2, random_state=0)
    display = LatentDisplay.from_codes(est.transform(X), projection=projection)
    assert not hasattr(projection, "components_")
    expected = TruncatedSVD(2, random_state=0).fit_transform(est.transform(X))
    np.testing.assert_allclose(display.points_[0].get_offsets(), expected)
    assert display.ax_.get_ylabel().startswith("TruncatedSVD 2")


def test_bad_latent_input(digits):
    codes = digits[0].transform(digits[1][:20])
    with pytest.raises(ValueError, match="two columns"):
        LatentDisplay.from_codes(codes, projection=PCA(3))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        LatentDisplay.from_codes(codes, [0, 1])
    with pytest.raises(ValueError, match="at least two samples"):
        LatentDisplay.from_codes(codes[:, :1])
    with pytest.raises(TypeError, match="fit_transform"):
        LatentDisplay.from_codes(codes, projection="pca")


def test_samples_are_draws(digits):
    est, *_ = digits
    display = SampleGridDisplay.from_estimator(est, 5, random_state=1)
    draws = est.sample(5, random_state=1)
    for artist, draw in zip(display.artists_, draws, strict=True):
        np.testing.assert_allclose(image(artist).ravel(), draw)


def test_samples_of_a_label(digits):
    _, X, y = digits
    est = SpectralDictionaryLearning(
        4,
        signal_shape=(8, 8),
        prior=ClassConditionalPrior(GaussianPrior()),
        modulation=None,
    ).fit(X, y)
    display = SampleGridDisplay.from_estimator(est, 3, y=2, random_state=1)
    np.testing.assert_allclose(display.samples, est.sample(3, y=2, random_state=1))


@pytest.mark.parametrize("top", [1, 255])
def test_range_of_colours_is_guessed_and_values_are_clipped(top):
    rows = np.random.default_rng(0).uniform(-0.1, 1.2, size=(50, 48)) * top
    display = SampleGridDisplay.from_arrays(rows, (4, 4, 3))
    expected = np.clip(rows / top, 0, 1).reshape(-1, 4, 4, 3)
    for artist, shown in zip(display.artists_, expected, strict=True):
        np.testing.assert_allclose(image(artist), shown)


def test_range_of_other_images_is_robust_or_given():
    rows = np.random.default_rng(0).normal(size=(50, 16)) * 10
    rows[0, 0] = 1e6
    display = SampleGridDisplay.from_arrays(rows, (4, 4))
    expected = tuple(np.quantile(rows, [0.01, 0.99]))
    assert {artist.get_clim() for artist in display.artists_} == {expected}
    display.plot(vmin=-5, vmax=7)
    assert {artist.get_clim() for artist in display.artists_} == {(-5, 7)}
    with pytest.raises(ValueError, match="must be less than vmax"):
        display.plot(vmin=100)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 3)])
def test_missing_or_wrong_signal_shape(shape):
    with pytest.raises(ValueError, match="signal_shape"):
        SampleGridDisplay.from_arrays(np.ones((2, 16)), shape)


def test_losses_and_stages(digits):
    est, *_ = digits
    display = LearningDisplay.from_estimator(est)
    history = est.history_
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), history["loss"])
    changes = np.flatnonzero(history["stage"][1:] != history["stage"][:-1])
    places = [line.get_xdata()[0] for line in display.stage_lines_]
    np.testing.assert_array_equal(places, changes + 0.5)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == list(history["stage"][changes + 1])


def test_spectral_loss_is_shown_beside_the_squared_error(sounds):
    _, X = sounds
    est = SpectralDictionaryLearning(
        3, stft_weight=0.5, stft_window=8, modulation=None, tol=0.1, random_state=0
    ).fit(X)
    display = LearningDisplay.from_estimator(est)
    for line, name in zip(display.lines_, ("loss", "squared_error"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), est.history_[name])


def test_losses_of_a_prior(digits):
    codes = digits[0].transform(digits[1][:100])
    prior = DiffusionPrior("mlp", width=4, max_images=200, random_state=0).fit(codes)
    display = LearningDisplay.from_prior(prior)
    line = display.lines_[0]
    np.testing.assert_array_equal(line.get_xdata(), prior.history_["n_images"])
    np.testing.assert_array_equal(line.get_ydata(), prior.history_["loss"])
    with pytest.raises(ValueError, match="GaussianPrior has no history_"):
        LearningDisplay.from_prior(digits[0].prior_)
