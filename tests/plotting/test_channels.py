"""Displays of signals with several channels, volumes and videos."""

import numpy as np
import pytest
from matplotlib.image import AxesImage

from skspectral import SpectralDictionaryLearning
from skspectral.atoms import PlaneWave
from skspectral.plotting import (
    AtomDisplay,
    CodeDisplay,
    CorrelationDisplay,
    LatentDisplay,
    ModulationDisplay,
    PatternDisplay,
    SampleGridDisplay,
    SpectrumDisplay,
    WindowedCodeDisplay,
)
from skspectral.report import write_report

LAYOUTS = [
    ((2, 24), 0),
    ((6, 24), 0),
    ((3, 6, 7), 0),
    ((4, 5, 6), None),
    ((4, 5, 6, 3), -1),
]


def learn(shape, axis, **options):
    X = np.random.default_rng(0).normal(size=(60, *shape))
    for k in range(1, X.ndim):
        X = X.cumsum(axis=k)
    X = X.reshape(60, -1)
    est = SpectralDictionaryLearning(
        5, signal_shape=shape, channel_axis=axis, random_state=0, **options
    )
    return est.fit(X), X


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_displays_draw_all_layouts(shape, axis):
    est, X = learn(shape, axis)
    for display in (
        AtomDisplay.from_estimator(est),
        SampleGridDisplay.from_estimator(est, 3),
        CodeDisplay.from_estimator(est, X[:2], kind="map", atoms=2),
        CorrelationDisplay.from_estimator(est, X),
        LatentDisplay.from_estimator(est, X),
        ModulationDisplay.from_estimator(est, atoms=2),
    ):
        display.figure_.canvas.draw()


def test_many_channels_are_a_map_and_few_are_curves():
    est, _ = learn((6, 24), 0)
    display = AtomDisplay.from_estimator(est, atoms=[1])
    assert isinstance(display.artists_[0], AxesImage)
    atom = est.components_[1].reshape(6, 24)
    np.testing.assert_array_equal(display.artists_[0].get_array(), atom)
    est, _ = learn((24, 2), -1)
    panel = AtomDisplay.from_estimator(est, atoms=[1]).axes_[0]
    curves = [line.get_ydata() for line in panel.lines]
    np.testing.assert_array_equal(curves, est.components_[1].reshape(24, 2).T)


def test_slices_of_a_volume():
    est, _ = learn((4, 5, 6), None)
    image = AtomDisplay.from_estimator(est, atoms=[0]).artists_[0].get_array()
    expected = np.concatenate(est.components_[0].reshape(4, 5, 6), axis=1)
    np.testing.assert_array_equal(image, expected)


def test_the_spectrum_is_the_mean_over_the_channels():
    est, X = learn((2, 24), 0, sampling_rate=24.0)
    both = SpectrumDisplay.from_estimator(est, X, n_samples=3).powers["data"]
    each = [
        SpectrumDisplay.from_arrays({"data": x}, sampling_rate=24.0).powers["data"]
        for x in (X[:, :24], X[:, 24:])
    ]
    np.testing.assert_allclose(both, np.mean(each, axis=0))


def test_three_axes_have_no_spectrum_and_no_windowed_codes():
    est, X = learn((4, 5, 6), None, windows=2)
    with pytest.raises(ValueError, match="has 3 axes"):
        SpectrumDisplay.from_estimator(est, X, n_samples=3)
    with pytest.raises(ValueError, match="has 3 axes"):
        WindowedCodeDisplay.from_estimator(est, X[:2])


def test_windowed_codes_of_channels():
    est, X = learn((3, 24), 0, windows=3)
    assert WindowedCodeDisplay.from_estimator(est, X[:2]).n_features == 24


def test_patterns_have_one_row_per_channel():
    est, _ = learn((6, 24), 0, sampling_rate=24.0)
    names = [f"electrode {c}" for c in "abcdef"]
    display = PatternDisplay.from_estimator(est, channel_names=names)
    order = np.argsort(est.frequencies_, kind="stable")
    image = display.images_[0].get_array()
    np.testing.assert_array_equal(image, est.patterns_[order].T)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == names
    assert "Hz" in display.ax_.get_xlabel()
    with pytest.raises(ValueError, match="one name per channel"):
        PatternDisplay.from_estimator(est, channel_names=["one"])


def test_complex_patterns_have_strengths_and_phases():
    est, _ = learn((4, 24), 0, atoms=PlaneWave("complex"), modulation=None)
    strength, phase = (
        image.get_array() for image in PatternDisplay.from_estimator(est).images_
    )
    order = np.argsort(est.frequencies_, kind="stable")
    np.testing.assert_allclose(strength, np.abs(est.patterns_[order]).T)
    strongest = strength.argmax(axis=0)
    np.testing.assert_allclose(phase[strongest, np.arange(5)], 0, atol=1e-12)


def test_atoms_without_patterns():
    est, _ = learn((4, 5, 6), None)
    with pytest.raises(TypeError, match="have no patterns_"):
        PatternDisplay.from_estimator(est)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_report(shape, axis, tmp_path):
    est, X = learn(shape, axis, sampling_rate=8000.0)
    page = write_report(est, X, tmp_path / "page.html").read_text()
    assert "Atoms" in page
