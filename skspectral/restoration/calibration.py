"""Correction of predicted variances by the errors on images that are known."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np

from skspectral.restoration.image_model import ImageModel

# Quantiles of the predictions between which errors are compared with predictions, and
# limits of the power of the predictions.
_N_GROUPS, _POWERS = 8, (0.3, 1.5)


def std_correction(
    model: ImageModel,
    images: list[np.ndarray],
    noises: list[float],
    stream: np.random.Generator,
) -> np.ndarray:
    """Return the numbers a and b of `corrected` for a model, shape (2,).

    Noise of each variance is added to clean images. The mean squared errors of groups
    of pixels with similar predictions follow a power of the mean predictions.
    """
    predicted, errors = [], []
    for noise in noises:
        for image in images:
            noisy = image + noise**0.5 * stream.standard_normal(image.shape)
            estimate, variance = model.denoise(noisy, noise)
            assert variance is not None
            predicted.append(variance.ravel() / noise)
            errors.append((estimate - image).ravel() ** 2 / noise)
    ratio, squared = np.concatenate(predicted), np.concatenate(errors)
    groups = np.array_split(ratio.argsort(), _N_GROUPS)
    means = np.array([[ratio[part].mean(), squared[part].mean()] for part in groups])
    x, y = np.log(np.maximum(means, np.finfo(np.float32).tiny)).T
    power = float(np.clip(np.polyfit(x, y, 1)[0], *_POWERS)) if np.ptp(x) > 0.1 else 1.0
    return np.array([math.exp(y.mean() - power * x.mean()), power])


def corrected(
    variance: np.ndarray, noise: float | np.ndarray, correction: np.ndarray
) -> np.ndarray:
    """Return a noise (variance / noise)^b, and 0 where there is no noise."""
    factor, power = correction.tolist()
    ratio = np.divide(variance, noise, out=np.zeros_like(variance), where=noise != 0)
    return factor * noise * ratio**power
