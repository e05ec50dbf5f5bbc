"""Correction of predicted variances by the errors on images that are known."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.isotonic import IsotonicRegression

from skspectral.restoration.image_model import ImageModel

# Number of groups of pixels with similar predictions, in which the mean squared errors
# are compared with the predictions.
_N_GROUPS = 16


def variance_correction(
    model: ImageModel,
    images: list[np.ndarray],
    noises: list[float],
    margin: int,
    stream: np.random.Generator,
) -> np.ndarray:
    """Return mean predictions and mean squared errors of groups of pixels.

    Noise of each variance is added to clean images. Pixels with similar predictions are
    a group. Squared errors are made to grow with the predictions. Pixels nearer to a
    border than ``margin``, which belong to fewer patches, are left out of images that
    have other pixels.

    Returns
    -------
    correction : ndarray of shape (2, n_groups)
        Mean predicted variances, and mean squared errors, relative to the noise.
    """
    predicted, errors = [], []
    for noise in noises:
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
    groups = np.array_split(ratio.argsort(), _N_GROUPS)
    means = np.array([[ratio[part].mean(), squared[part].mean()] for part in groups])
    # Rounding may change the order of equal means.
    x = np.maximum.accumulate(means[:, 0])
    y = IsotonicRegression().fit_transform(x, means[:, 1])
    return np.maximum([x, y], np.finfo(np.float32).tiny)


def corrected(
    variance: np.ndarray, noise: float | np.ndarray, correction: np.ndarray
) -> np.ndarray:
    """Return predicted variances, corrected by `variance_correction`.

    Logarithms of the variances are interpolated. Below the first and above the last
    group, variances are multiplied by the factors of these groups. The result is 0
    where there is no noise.
    """
    ratio = np.divide(variance, noise, out=np.zeros_like(variance), where=noise != 0)
    x, y = np.log(correction)
    at = np.log(np.maximum(ratio, np.finfo(np.float64).tiny))
    factor = np.exp(np.interp(at, x, y - x))
    return noise * ratio * factor
