"""Correction of predicted variances by the errors on images that are known."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from skspectral.restoration.image_model import ImageModel

# Number of groups of pixels with similar predictions, in which the mean squared errors
# are compared with the predictions.
_N_GROUPS = 16


@dataclass(frozen=True, eq=False)
class VarianceCorrection:
    """Mean predictions and mean squared errors of groups of pixels of known images.

    Attributes
    ----------
    noises : ndarray of shape (n_levels,)
        Variances of the noise, in ascending order.
    predicted : ndarray of shape (n_levels, n_groups)
        Mean predicted variances of the groups, relative to the noise.
    errors : ndarray of shape (n_levels, n_groups)
        Mean squared errors of the groups, relative to the noise.
    """

    noises: np.ndarray
    predicted: np.ndarray
    errors: np.ndarray

    @classmethod
    def of_images(
        cls,
        model: ImageModel,
        images: list[np.ndarray],
        noises: list[float],
        margin: int,
        stream: np.random.Generator,
    ) -> "VarianceCorrection":
        """Return the correction for a model.

        Noise of each variance is added to clean images. Pixels with similar predictions
        are a group. Squared errors are made to grow with the predictions. Pixels nearer
        to a border than ``margin``, which belong to fewer patches, are left out of
        images that have other pixels.
        """
        levels = [_groups(model, images, noise, margin, stream) for noise in noises]
        predicted, errors = np.moveaxis(np.array(levels), 1, 0)
        return cls(np.array(noises), predicted, errors)

    def __call__(self, variance: np.ndarray, noise: float | np.ndarray) -> np.ndarray:
        """Return corrected variances.

        Logarithms of the variances and of the noise are interpolated. Below the first
        and above the last group, variances are multiplied by the factors of these
        groups. The result is 0 where there is no noise.
        """
        ratio = np.divide(
            variance, noise, out=np.zeros_like(variance), where=noise != 0
        )
        tiny = np.finfo(np.float64).tiny
        at = np.log(np.maximum(ratio, tiny))
        x, y = np.log(self.predicted), np.log(self.errors)
        factors = [np.interp(at, a, b - a) for a, b in zip(x, y, strict=True)]
        level = np.log(np.maximum(noise, tiny))
        # The place of the noise among the levels, as a number from 0 to n_levels - 1.
        place = np.interp(level, np.log(self.noises), np.arange(len(self.noises)))
        weights = [np.clip(1 - np.abs(place - i), 0, 1) for i in range(len(factors))]
        factor = sum(w * f for w, f in zip(weights, factors, strict=True))
        return noise * ratio * np.exp(factor)


def _groups(
    model: ImageModel,
    images: list[np.ndarray],
    noise: float,
    margin: int,
    stream: np.random.Generator,
) -> np.ndarray:
    """Return mean predictions and errors of groups for one noise, (2, n_groups)."""
    predicted, errors = [], []
    for image in images:
        noisy = image + noise**0.5 * stream.standard_normal(image.shape)
        estimate, variance = model.denoise(noisy, noise)
        assert variance is not None
        inside = tuple(
            slice(margin, -margin) if margin and n > 3 * margin else slice(None)
            for n in image.shape[:2]
        )
        predicted.append(variance[inside].ravel() / noise)
        errors.append((estimate - image)[inside].ravel() ** 2 / noise)
    ratio, squared = np.concatenate(predicted), np.concatenate(errors)
    groups = np.array_split(ratio.argsort(), min(_N_GROUPS, len(ratio)))
    means = np.array([[ratio[part].mean(), squared[part].mean()] for part in groups])
    # Rounding may change the order of equal means.
    x = np.maximum.accumulate(means[:, 0])
    y = IsotonicRegression().fit_transform(x, means[:, 1])
    return np.maximum([x, y], np.finfo(np.float32).tiny)
