import numpy as np
import pytest
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import WindowedCodeDisplay


def test_panels_of_signals_have_time_and_frequency(plt):
    X = np.random.default_rng(0).normal(size=(60, 64)).cumsum(axis=1)
    est = SpectralDictionaryLearning(5, sampling_rate=100.0, windows=4, tol=0.1).fit(X)
    figure, (_, right) = plt.subplots(1, 2)
    before = plt.get_fignums()
    display = WindowedCodeDisplay.from_estimator(est, X[:2], ax=right)
    assert plt.get_fignums() == before
    assert display.figure_ is figure
    codes = np.abs(est.transform(X[:2])).reshape(2, 5, 4)
    order = np.argsort(est.frequencies_[::4], kind="stable")
    for images, expected in zip(display.images_, codes[:, order], strict=True):
        np.testing.assert_array_equal(images[0].get_array(), expected)
    panel = display.axes_[0, 0]
    assert panel.get_xlabel() == "time (s)"
    assert "Hz" in panel.get_ylabel()
    np.testing.assert_allclose(panel.get_xlim(), (0, 0.63))


def test_maps_of_images_are_in_order_of_frequency():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(6, signal_shape=(8, 8), windows=(2, 3)).fit(X)
    display = WindowedCodeDisplay.from_estimator(est, X[:3], atoms=[4, 0])
    assert display.axes_.shape == (3, 2)
    codes = np.abs(est.transform(X[:3])).reshape(3, 6, 2, 3)
    order = sorted([4, 0], key=lambda i: est.frequencies_[6 * i])
    for row, images in enumerate(display.images_):
        for i, image in zip(order, images, strict=True):
            np.testing.assert_array_equal(image.get_array(), codes[row, i])
    assert "cycles/image" in display.axes_[0, 0].get_title()


def test_bad_input():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(6, signal_shape=(8, 8), windows=2).fit(X)
    with pytest.raises(ValueError, match="9 rows"):
        WindowedCodeDisplay.from_estimator(est, X[:9])
    with pytest.raises(ValueError, match=r"atoms=\[7\]"):
        WindowedCodeDisplay.from_estimator(est, X[:2], atoms=[7])
    with pytest.raises(ValueError, match="no windows"):
        WindowedCodeDisplay.from_estimator(est.set_params(windows=None).fit(X), X[:2])
