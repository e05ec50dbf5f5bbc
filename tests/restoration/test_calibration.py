"""Correction of predicted variances, which may be any growing function of errors."""

import numpy as np
import pytest

from skspectral.restoration.calibration import VarianceCorrection


class Guess:
    """Model whose errors are known, and whose predictions are a function of them."""

    def __init__(self, prediction):
        self.prediction = prediction
        self.stream = np.random.default_rng(1)

    def denoise(self, image, noise):
        share = self.stream.uniform(0.001, 0.5, image.shape)
        errors = (share * noise) ** 0.5 * self.stream.standard_normal(image.shape)
        return np.full(image.shape, 0.5) + errors, self.prediction(share) * noise


PREDICTIONS = {
    "right": lambda v: v,
    "too large": lambda v: 4 * v,
    "a power": lambda v: v**0.3,
    "a step": lambda v: np.where(v < 0.1, 0.5 * v, 3 * v),
    "opposite": lambda v: 1 / v,
    "constant": np.ones_like,
}


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_predictions_are_corrected(kind):
    model = Guess(PREDICTIONS[kind])
    images = [np.full((80, 80, 1), 0.5)] * 4
    correction = VarianceCorrection.of_images(
        model, images, [0.01, 0.3], 8, model.stream
    )
    assert (np.diff(correction.predicted) >= 0).all()
    assert (np.diff(correction.errors) >= 0).all()
    image = np.full((300, 300, 1), 0.5)
    estimate, variance = model.denoise(image, 0.2)
    found = correction(variance, 0.2)
    ratios = ((estimate - image) / np.sqrt(found)).ravel()
    assert 0.9 < np.std(ratios) < 1.1
    if kind not in ("opposite", "constant"):
        for part in np.array_split(found.ravel().argsort(), 4):
            assert 0.85 < np.std(ratios[part]) < 1.15


def test_there_is_no_error_without_noise():
    parts = np.array([[0.1, 0.2]]), np.array([[0.3, 0.4]])
    correction = VarianceCorrection(np.array([0.5]), *parts)
    noise = np.array([0.0, 0.5])
    found = correction(np.array([0.0, 0.05]), noise)
    np.testing.assert_allclose(found, [0.0, 0.15])


@pytest.mark.parametrize(("size", "margin"), [(60, 8), (20, 8), (60, 0)])
def test_borders_are_left_out_of_large_images(size, margin):
    class WorseAtBorders(Guess):
        def denoise(self, image, noise):
            errors = np.full(image.shape, 10.0)
            errors[margin : -margin or None, margin : -margin or None] = 0.5
            return image + errors * noise**0.5, np.ones(image.shape) * noise

    model = WorseAtBorders(None)
    images = [np.zeros((size, size, 1))]
    found = VarianceCorrection.of_images(model, images, [0.1], margin, model.stream)
    # The estimates contain the noise itself, of variance 1.
    assert (found.errors.mean() < 3) == (size > 3 * margin)


def test_corrections_of_levels_of_noise_are_interpolated():
    predicted = np.ones((2, 3)) * [[0.1, 0.2, 0.3]]
    correction = VarianceCorrection(
        np.array([0.01, 1.0]), predicted, predicted * [[2.0], [8.0]]
    )
    for noise, factor in ((0.001, 2), (0.01, 2), (0.1, 4), (1.0, 8), (5.0, 8)):
        found = correction(np.array([0.15 * noise]), noise)
        np.testing.assert_allclose(found, 0.15 * noise * factor)
    noise = np.array([0.01, 0.1, 1.0])
    np.testing.assert_allclose(correction(0.2 * noise, noise), 0.2 * noise * [2, 4, 8])
