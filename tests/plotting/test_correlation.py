"""The display of correlations."""

import numpy as np
import pytest
from scipy.signal import periodogram

from skspectral.plotting import CorrelationDisplay


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
    np.testing.assert_allclose(display.image_.get_array(), expected, atol=1e-12)


def test_correlations_of_signals(sounds):
    est, X = sounds
    display = CorrelationDisplay.from_estimator(est, X, atoms=[2])
    centred = X - X.mean(axis=1, keepdims=True)
    crossings = [sum(np.diff(np.sign(row)) != 0) for row in centred]
    frequencies, power = periodogram(X, scaling="spectrum", return_onesided=True)
    # SciPy does not double the last of the one-sided powers; it is doubled here.
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
    # The correlation with a constant is undefined.
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
