"""Atoms, codes and drift as displays show them."""

import numpy as np
import pytest

from skspectral import SpectralDictionaryLearning
from skspectral.modulation_curves import modulation_curves
from skspectral.plotting import AtomDisplay, CodeDisplay, ModulationDisplay


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
        ({"shares": [1, 2]}, "shares has shape"),
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
    curves = modulation_curves(est)
    for panel, lines in zip(display.axes_[0], display.artists_.T, strict=True):
        curve = getattr(curves, panel.get_ylabel().split("\n")[0])
        for line, i in zip(lines, [4, 0], strict=True):
            assert line.axes is panel
            np.testing.assert_array_equal(line.get_ydata(), curve[i])


@pytest.mark.parametrize("channel", [0, 2])
def test_modulation_of_images(channel):
    X = np.random.default_rng(0).normal(size=(40, 4 * 5 * 3)).cumsum(axis=1)
    est = SpectralDictionaryLearning(
        3, signal_shape=(4, 5, 3), atoms="sinusoid", tol=0.1
    )
    est.fit(X)
    display = ModulationDisplay.from_estimator(est, channel=channel)
    curves = modulation_curves(est)
    columns = zip(("amplitude", "frequency", "phase"), display.artists_.T, strict=True)
    for name, artists in columns:
        for artist, values in zip(artists, getattr(curves, name), strict=True):
            assert name in artist.axes.get_title()
            np.testing.assert_array_equal(image(artist), values[..., channel])
    # The middle of the colours is the public phase.
    middles = [np.mean(artist.get_clim()) for artist in display.artists_[:, 2]]
    np.testing.assert_allclose(middles, est.phases_)
    with pytest.raises(ValueError, match="channel=3"):
        ModulationDisplay.from_estimator(est, channel=3)
