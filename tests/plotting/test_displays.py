"""Common behaviour of all displays: axes, errors and labels."""

import subprocess
import sys
from functools import partial

import matplotlib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skspectral import SpectralDictionaryLearning
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

DISPLAYS = {
    "atoms": lambda est, X, **kw: AtomDisplay.from_estimator(est, atoms=3, **kw),
    "bars": partial(CodeDisplay.from_estimator, kind="bar"),
    "lines": partial(CodeDisplay.from_estimator, kind="line"),
    "heatmap": partial(CodeDisplay.from_estimator, kind="heatmap"),
    "maps": partial(CodeDisplay.from_estimator, kind="map", atoms=2),
    "modulation": lambda est, X, **kw: ModulationDisplay.from_estimator(
        est, atoms=2, **kw
    ),
    "spectrum": partial(SpectrumDisplay.from_estimator, n_samples=20),
    "latent": LatentDisplay.from_estimator,
    "correlation": CorrelationDisplay.from_estimator,
    "samples": lambda est, X, **kw: SampleGridDisplay.from_estimator(est, 4, **kw),
    "learning": lambda est, X, **kw: LearningDisplay.from_estimator(est, **kw),
}


@pytest.fixture(scope="module")
def data():
    """Three kinds of signals: estimators and three samples."""
    digits, _ = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    colours = rng.uniform(size=(60, 6, 5, 3)).cumsum(axis=1).reshape(60, -1) / 6
    sounds = rng.normal(size=(60, 32)).cumsum(axis=1)
    wave = {"signal_shape": (6, 5, 3), "atoms": "plane_wave", "max_iter": 200}
    kinds = {
        "digits": (digits, {"signal_shape": (8, 8), "atoms": "sinusoid"}),
        "colours": (colours, wave),
        "sounds": (sounds, {"sampling_rate": 100.0}),
    }
    return {
        name: (SpectralDictionaryLearning(8, random_state=0, **params).fit(X), X[:3])
        for name, (X, params) in kinds.items()
    }


@pytest.fixture(params=["digits", "colours", "sounds"])
def fitted(request, data):
    return data[request.param]


def labels(display):
    """All text of a figure."""
    found = display.figure_.findobj(matplotlib.text.Text)
    return "\n".join(text.get_text() for text in found)


@pytest.mark.parametrize("name", DISPLAYS)
def test_draws_into_the_axes_given(name, fitted, plt):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    before = plt.get_fignums(), dict(matplotlib.rcParams)
    display = DISPLAYS[name](*fitted, ax=right)
    figure.draw_without_rendering()
    assert (plt.get_fignums(), dict(matplotlib.rcParams)) == before
    assert display.ax_ is right
    assert display.figure_ is figure
    assert not left.has_data()
    # New axes are colour bars and panels, all within the right half.
    middle = left.get_window_extent().x1
    new = [ax for ax in figure.axes if ax is not left]
    assert all(ax.get_window_extent().x0 > middle for ax in new)


@pytest.mark.parametrize("name", DISPLAYS)
def test_makes_one_figure_and_plots_again(name, fitted, plt):
    display = DISPLAYS[name](*fitted)
    assert len(plt.get_fignums()) == 1
    first = display.figure_
    assert display.ax_.figure is first
    assert display.plot() is display
    assert len(plt.get_fignums()) == 2
    assert display.figure_ is not first


@pytest.mark.parametrize("name", DISPLAYS)
def test_unfitted(name):
    with pytest.raises(NotFittedError):
        DISPLAYS[name](SpectralDictionaryLearning(), np.ones((3, 4)))


@pytest.mark.parametrize("name", ["bars", "spectrum", "latent", "correlation"])
def test_other_features_than_in_fit(name, fitted):
    est, X = fitted
    with pytest.raises(ValueError, match="features"):
        DISPLAYS[name](est, X[:, 1:])


@pytest.mark.parametrize("name", DISPLAYS)
def test_nothing_of_the_estimator_or_the_data_changes(name, fitted):
    est, X = fitted
    state, values = {k: repr(v) for k, v in vars(est).items()}, X.copy()
    if name == "samples":
        # Draws continue the estimator's stream.
        state.pop("_stream")
    DISPLAYS[name](est, X)
    np.testing.assert_array_equal(X, values)
    assert {k: repr(vars(est)[k]) for k in state} == state


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("digits", "cycles per signal"),
        ("colours", "cycles per image"),
        ("sounds", "Hz"),
    ],
)
def test_units_of_frequencies(data, kind, unit):
    of_frequency = ("bars", "lines", "heatmap", "modulation", "correlation")
    of_time = ("atoms", "maps", "modulation", "samples")
    text = {
        name: labels(DISPLAYS[name](*data[kind])) for name in {*of_frequency, *of_time}
    }
    for name in of_frequency:
        assert f"({unit}" in text[name]
    assert f" {unit.replace(' per ', '/')}" in text["maps"]
    names = {"digits": " cycles/image", "colours": " px, ", "sounds": " Hz"}
    assert names[kind] in text["atoms"]
    for name in of_time:
        assert ("time (s)" in text[name]) == (kind == "sounds")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("modulation", "(rad)"),
        ("atoms", "% of variance"),
        ("latent", "% of the codes' variance"),
        ("bars", "code (units of the data)"),
        ("heatmap", "code (units of the data)"),
        ("spectrum", "(squared units of the data"),
        ("learning", "(squared units of the data)"),
        ("correlation", "correlation"),
    ],
)
def test_other_labels(name, label, fitted):
    assert label in labels(DISPLAYS[name](*fitted))


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (2, [0, 1]),
        (99, range(8)),
        (None, range(8)),
        ([5, 0], [5, 0]),
        (np.arange(8) % 4 == 1, [1, 5]),
    ],
)
def test_choice_of_atoms(data, atoms, expected):
    est, _ = data["sounds"]
    display = AtomDisplay.from_estimator(est, atoms=atoms)
    np.testing.assert_array_equal(display.components, est.components_[list(expected)])


@pytest.mark.parametrize(
    "atoms", [0, -1, True, 1.5, "all", [], [8], [-1], [0.5], [True], [False] * 8]
)
@pytest.mark.parametrize("name", ["bars", "correlation"])
def test_atoms_that_do_not_exist(data, name, atoms):
    with pytest.raises(ValueError, match=r"atoms=.* indices from 0 to 7"):
        DISPLAYS[name](*data["sounds"], atoms=atoms)


@pytest.mark.parametrize("n_columns", [0, 1.5, "2"])
def test_number_of_columns(data, n_columns):
    est, _ = data["sounds"]
    assert AtomDisplay.from_estimator(est, n_columns=8).axes_.shape == (8,)
    with pytest.raises(ValueError, match="n_columns="):
        AtomDisplay.from_estimator(est, n_columns=n_columns)


def test_axes_without_a_place_in_a_grid(data, plt):
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"plt\.subplots"):
        AtomDisplay.from_estimator(data["digits"][0], ax=ax)


def test_images_without_colours():
    X = np.random.default_rng(0).normal(size=(30, 32))
    est = SpectralDictionaryLearning(2, signal_shape=(4, 4, 2), tol=1.0).fit(X)
    with pytest.raises(ValueError, match="2 channels"):
        AtomDisplay.from_estimator(est)


def test_fitted_to_tensors():
    X = torch.from_numpy(load_digits().data[:200])
    est = SpectralDictionaryLearning(4, signal_shape=(8, 8))
    with config_context(array_api_dispatch=True):
        est.fit(X)
        for name in DISPLAYS:
            DISPLAYS[name](est, X[:6])


@pytest.mark.slow
def test_pyplot_is_imported_only_to_make_figures():
    code = (
        "import sys, skspectral, skspectral.plotting; "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(command, check=False).returncode == 0


def test_frames_of_pandas():
    X, _ = load_digits(return_X_y=True, as_frame=True)
    est = SpectralDictionaryLearning(4, signal_shape=(8, 8), modulation=None)
    est.set_output(transform="pandas").fit(X)
    for name in DISPLAYS:
        DISPLAYS[name](est, X[:6])
