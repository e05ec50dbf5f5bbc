"""What the displays show is what it should be."""

import matplotlib
import numpy as np
import pytest
from scipy.signal import periodogram
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import radial_power_spectrum
from skspectral.modulation_curves import modulation_curves
from skspectral.plotting import (
    AtomDisplay,
    CodeDisplay,
    CorrelationDisplay,
    LatentDisplay,
    LearningDisplay,
    ModulationDisplay,
    SampleGridDisplay,
    SpectrumDisplay,
)
from skspectral.priors import ClassConditionalPrior, DiffusionPrior, GaussianPrior


@pytest.fixture(autouse=True)
def plt():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(8, signal_shape=(8, 8), random_state=0)
    return est.fit(X), X, y


@pytest.fixture(scope="module")
def colours():
    X = np.random.default_rng(0).uniform(size=(60, 6, 5, 3)).cumsum(axis=1) / 6
    X = X.reshape(60, -1)
    shape = {"signal_shape": (6, 5, 3), "atoms": "plane_wave", "max_iter": 200}
    return SpectralDictionaryLearning(6, random_state=0, **shape).fit(X), X


@pytest.fixture(scope="module")
def sounds():
    X = np.random.default_rng(0).normal(size=(60, 32)).cumsum(axis=1)
    est = SpectralDictionaryLearning(6, sampling_rate=100.0, random_state=0)
    return est.fit(X), X


def image(artist):
    return np.asarray(artist.get_array())


def test_grey_atoms_are_signed(digits):
    est, *_ = digits
    display = AtomDisplay.from_estimator(est, atoms=[3, 1])
    for artist, i in zip(display.artists_, [3, 1], strict=True):
        np.testing.assert_array_equal(image(artist), est.components_[i].reshape(8, 8))
        low, high = artist.get_clim()
        assert low == -high == -np.abs(est.components_[i]).max()
    share = f"{est.explained_variance_ratio_[3]:.1%}"
    assert share in display.axes_[0].get_title()


def test_colour_atoms_are_around_grey(colours):
    est, _ = colours
    display = AtomDisplay.from_estimator(est)
    for i, artist in enumerate(display.artists_):
        atom = est.components_[i].reshape(6, 5, 3)
        expected = 0.5 + 0.5 * atom / np.abs(atom).max()
        np.testing.assert_allclose(image(artist), expected, atol=1e-12)
        degrees = f"{np.degrees(est.orientations_[i]):.0f}°"
        assert degrees in display.axes_[i].get_title()


def test_atoms_of_signals_are_curves_over_time(sounds):
    est, _ = sounds
    display = AtomDisplay.from_estimator(est)
    for line, atom in zip(display.artists_, est.components_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), atom)
        np.testing.assert_allclose(line.get_xdata(), np.arange(32) / 100)


@pytest.mark.parametrize("by", ["frequency", "variance"])
@pytest.mark.parametrize("kind", ["bar", "line", "heatmap"])
def test_codes_in_order(digits, kind, by):
    est, X, _ = digits
    display = CodeDisplay.from_estimator(est, X[:5], kind=kind, by=by)
    keys = {"frequency": est.frequencies_, "variance": -est.explained_variance_ratio_}
    order = np.argsort(keys[by])
    np.testing.assert_array_equal(display.order_, order)
    read = {
        "bar": lambda bars: [bar.get_height() for bar in bars],
        "line": lambda line: line.get_ydata(),
        "heatmap": image,
    }
    shown = np.vstack([read[kind](artist) for artist in display.artists_])
    np.testing.assert_allclose(shown, est.transform(X[:5])[:, order])
    ticks = [float(text.get_text()) for text in display.ax_.get_xticklabels()]
    np.testing.assert_allclose(ticks, est.frequencies_[order], atol=0.051)
    places = display.ax_.get_xticks()
    np.testing.assert_array_equal(places, np.arange(8))


def test_bars_stand_at_their_ticks(digits):
    est, X, _ = digits
    display = CodeDisplay.from_estimator(est, X[:3])
    centres = [
        [bar.get_x() + bar.get_width() / 2 for bar in bars] for bars in display.artists_
    ]
    np.testing.assert_allclose(np.mean(centres, axis=0), np.arange(8), atol=1e-12)
    assert np.diff(centres, axis=0).min() > 0


def test_maps_add_up_to_the_reconstruction(digits):
    est, X, _ = digits
    display = CodeDisplay.from_estimator(est, X[:2], kind="map", atoms=range(8))
    for artists, x in zip(display.artists_, X[:2], strict=True):
        sample, reconstruction, *parts = (image(artist).ravel() for artist in artists)
        np.testing.assert_array_equal(sample, x)
        expected = est.inverse_transform(est.transform(x[None]))[0]
        np.testing.assert_allclose(reconstruction, expected)
        np.testing.assert_allclose(est.mean_ + np.sum(parts, axis=0), expected)


def test_maps_show_the_atoms_that_contribute_most(digits):
    est, X, _ = digits
    display = CodeDisplay.from_estimator(est, X[:1], kind="map")
    largest = np.argsort(-np.abs(est.transform(X[:1])[0]))[:4]
    assert set(display.order_) == set(largest)
    assert (np.diff(est.frequencies_[display.order_]) > 0).all()


def test_codes_alone():
    codes = np.arange(6.0).reshape(2, 3)
    display = CodeDisplay.from_codes(codes, [30, 10, 20], frequency_unit="Hz")
    np.testing.assert_array_equal(display.order_, [1, 2, 0])
    by = CodeDisplay.from_codes(codes, [3, 1, 2], shares=[0.1, 0.3, 0.2], by="variance")
    np.testing.assert_array_equal(by.order_, [1, 2, 0])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"kind": "pie"}, "kind='pie'"),
        ({"by": "phase"}, "by='phase'"),
        ({"kind": "map"}, "from_estimator"),
        ({"shares": [1, 2]}, "shares of shape"),
    ],
)
def test_bad_parameters_of_codes(params, match):
    with pytest.raises(ValueError, match=match):
        CodeDisplay.from_codes(np.ones((2, 3)), [1, 2, 3], **params)


@pytest.mark.parametrize("kind", ["bar", "line", "map"])
def test_too_many_samples(digits, kind):
    est, X, _ = digits
    with pytest.raises(ValueError, match="at most 8 samples"):
        CodeDisplay.from_estimator(est, X[:9], kind=kind)


def test_modulation_of_signals(sounds):
    est, _ = sounds
    display = ModulationDisplay.from_estimator(est, atoms=[4, 0])
    for j, curve in enumerate(modulation_curves(est)):
        for line, i in zip(display.artists_[:, j], [4, 0], strict=True):
            np.testing.assert_array_equal(line.get_ydata(), curve[i])
    names = [panel.get_ylabel() for panel in display.axes_[0]]
    assert [name.split("\n")[0] for name in names] == [
        "amplitude",
        "frequency",
        "phase",
    ]


@pytest.mark.parametrize("channel", [0, 2])
def test_modulation_of_images(channel):
    X = np.random.default_rng(0).normal(size=(40, 4 * 5 * 3)).cumsum(axis=1)
    est = SpectralDictionaryLearning(3, signal_shape=(4, 5, 3), tol=0.1).fit(X)
    display = ModulationDisplay.from_estimator(est, channel=channel)
    for j, curve in enumerate(modulation_curves(est)):
        for artist, values in zip(display.artists_[:, j], curve, strict=True):
            np.testing.assert_array_equal(image(artist), values[..., channel])
    # The middle of the colours is the public phase.
    middles = [np.mean(artist.get_clim()) for artist in display.artists_[:, 2]]
    np.testing.assert_allclose(middles, est.phases_)
    with pytest.raises(ValueError, match="channel=3"):
        ModulationDisplay.from_estimator(est, channel=3)


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


def correlation(feature, codes):
    return [np.corrcoef(feature, code)[0, 1] for code in codes.T]


def test_correlations_of_images(colours):
    est, X = colours
    display = CorrelationDisplay.from_estimator(est, X)
    images = X.reshape(-1, 6, 5, 3)
    down, right = (np.gradient(images.mean(axis=3), axis=axis) for axis in (1, 2))
    red, green, blue = np.moveaxis(images, 3, 0)
    opponents = red - green, (red + green) / 2 - blue
    spread, distance = (
        np.hypot(*(f(part, axis=(1, 2)) for part in opponents))
        for f in (np.std, np.mean)
    )
    features = {
        "brightness": images.mean(axis=(1, 2, 3)),
        "contrast": images.std(axis=(1, 2, 3)),
        "edges": np.hypot(down, right).mean(axis=(1, 2)),
        "colourfulness": spread + 0.3 * distance,
    }
    assert display.names == list(features)
    codes = est.transform(X)[:, np.argsort(est.frequencies_)]
    expected = [correlation(feature, codes) for feature in features.values()]
    np.testing.assert_allclose(image(display.image_), expected, atol=1e-12)


def test_correlations_of_signals(sounds):
    est, X = sounds
    display = CorrelationDisplay.from_estimator(est, X, atoms=[2])
    centred = X - X.mean(axis=1, keepdims=True)
    crossings = [sum(np.diff(np.sign(row)) != 0) for row in centred]
    frequencies, power = periodogram(X, scaling="spectrum", return_onesided=True)
    # One-sided powers are doubled, but for the last.
    power[:, -1] *= 2
    features = {
        "mean": X.mean(axis=1),
        "rms": np.linalg.norm(X, axis=1),
        "zero crossings": crossings,
        "spectral centroid": power @ frequencies / power.sum(axis=1),
    }
    assert display.names == list(features)
    codes = est.transform(X)[:, [2]]
    expected = [correlation(feature, codes) for feature in features.values()]
    np.testing.assert_allclose(display.correlations, expected, atol=1e-12)


def test_own_features(digits):
    est, X, y = digits
    features = {"corner": lambda images: images[:, 3, 4], "label": y, "one": y * 0 + 1}
    display = CorrelationDisplay.from_estimator(est, X, features=features)
    codes = est.transform(X)[:, np.argsort(est.frequencies_)]
    expected = correlation(X[:, 28], codes), correlation(y, codes)
    np.testing.assert_allclose(display.correlations[:2], expected)
    # A constant has no correlation.
    assert np.isnan(display.correlations[2]).all()
    display.figure_.draw_without_rendering()


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ({}, "is empty"),
        ({"short": np.ones(3)}, r"features\['short'\]"),
        ({"nan": lambda images: np.full(len(images), np.nan)}, "finite"),
    ],
)
def test_bad_features(digits, features, match):
    est, X, _ = digits
    with pytest.raises(ValueError, match=match):
        CorrelationDisplay.from_estimator(est, X, features=features)
    with pytest.raises(ValueError, match="at least two"):
        CorrelationDisplay.from_estimator(est, X[:1])
