"""The model of an image by its patches, with which whole images are restored."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.restoration.denoiser import PatchDenoiser
from skspectral.restoration.operators import ImageOperator
from skspectral.restoration.patch_mixture import PatchMixture
from skspectral.restoration.patches import PatchGrid
from skspectral.restoration.splitting import (
    N_DENOISING_STEPS,
    denoised,
    halved,
    restored,
    variances,
)

# Number of principal components by which the candidates of a patch are chosen.
_N_SCREENED = 24
# Noise below this fraction of the standard deviation of pixels within patches is raised
# to it.
_LEAST_NOISE = 1e-3
# Quantiles of the predictions between which errors are compared with predictions, and
# limits of the power of the predictions.
_N_GROUPS, _POWERS = 8, (0.3, 1.5)

Progress = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class PatchModel:
    """Mixture of Gaussians of patches, and the settings of its use for whole images.

    Images have the shape (height, width, channels).

    Attributes
    ----------
    mixture : PatchMixture
        Prior of the patches.
    size : tuple of int
        Height and width of a patch.
    stride : tuple of int
        Distances of neighbouring patches.
    n_candidates : int
        Number of components per patch that are compared exactly.
    n_scales : int
        Largest number of sizes at which an image is denoised.
    std_correction : ndarray of shape (2,)
        Numbers a and b, by which a predicted variance v becomes
        a noise (v / noise)^b.
    """

    mixture: PatchMixture
    size: tuple[int, int]
    stride: tuple[int, int]
    n_candidates: int
    n_scales: int
    std_correction: np.ndarray

    def denoise(
        self,
        image: np.ndarray,
        noise: float | np.ndarray,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate of an image with white noise, and its variance.

        Parameters
        ----------
        image : ndarray of shape (height, width, channels)
            Noisy image.
        noise : float or ndarray of the shape of the image
            Variance of the noise.
        progress : callable, default=None
            Function of the number of steps done, and of all steps.

        Returns
        -------
        estimate : ndarray of the shape of the image
            Estimate of the image without noise.
        variance : ndarray of the shape of the image
            Estimate of the squared error of each pixel.
        """
        pixels = as_tensor(image, self._device, torch.float32)
        least = _LEAST_NOISE**2 * self.mixture.pixel_variance
        level: float | torch.Tensor = max(float(np.min(noise)), least)
        if np.ndim(noise):
            level = as_tensor(np.maximum(noise, least), self._device, torch.float32)
        report = _reporter(progress, N_DENOISING_STEPS * self._n_scales(image.shape))
        estimate, patches = denoised(
            pixels, level, self._new_denoiser, self.n_scales, report
        )
        variance = as_array(patches.variance(level) / level)
        factor, power = self.std_correction.tolist()
        np.power(variance, power, out=variance)
        variance *= noise * factor if np.ndim(noise) else float(noise) * factor
        return as_array(estimate), variance

    def restore(
        self,
        observed: np.ndarray,
        operator: ImageOperator,
        noise: float | np.ndarray,
        stream: np.random.Generator | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Return the estimate, or a draw, of an image given a linear observation.

        Parameters
        ----------
        observed : ndarray
            Observation.
        operator : ImageOperator
            Operator of the observation. Its images are not smaller than a patch.
        noise : float or ndarray of the shape of the observation
            Variance of the noise of the observation.
        stream : Generator, default=None
            Source of the random numbers of a draw. None means the estimate.
        progress : callable, default=None
            Function of the number of steps done, and of all steps.
        """
        height, width, channels = operator.image_shape
        patches = self._new_denoiser((height, width, channels))
        assert patches is not None
        level = np.asarray(noise, np.float64)
        steps = variances(self.mixture.pixel_variance, float(level.mean()))
        report = _reporter(progress, len(steps))
        return restored(observed, operator, level, patches, steps, report, stream)

    @property
    def _device(self) -> torch.device:
        return self.mixture.basis.device

    def _n_scales(self, shape: tuple[int, ...]) -> int:
        n_scales = 1
        while n_scales < self.n_scales and self._holds(shape := halved(shape)):
            n_scales += 1
        return n_scales

    def _holds(self, shape: tuple[int, ...]) -> bool:
        return all(n >= size for n, size in zip(shape, self.size, strict=False))

    def _new_denoiser(self, shape: tuple[int, ...]) -> PatchDenoiser | None:
        """Return a denoiser of images of a shape, or None if a patch is larger."""
        if not self._holds(shape):
            return None
        height, width, channels = shape
        grid = PatchGrid((height, width, channels), self.size, self.stride)
        return PatchDenoiser(self.mixture, grid, self.n_candidates, _N_SCREENED)


def std_correction(
    model: PatchModel,
    images: list[np.ndarray],
    noises: list[float],
    stream: np.random.Generator,
) -> np.ndarray:
    """Return the correction of the predicted variances of a model, shape (2,).

    Noise of each variance is added to clean images. The mean squared errors of groups
    of pixels with similar predictions follow a power of the mean predictions.
    """
    predicted, errors = [], []
    for noise in noises:
        for image in images:
            noisy = image + noise**0.5 * stream.standard_normal(image.shape)
            estimate, variance = model.denoise(noisy, noise)
            predicted.append(variance.ravel() / noise)
            errors.append((estimate - image).ravel() ** 2 / noise)
    ratio, squared = np.concatenate(predicted), np.concatenate(errors)
    groups = np.array_split(ratio.argsort(), _N_GROUPS)
    means = np.array([[ratio[part].mean(), squared[part].mean()] for part in groups])
    x, y = np.log(np.maximum(means, np.finfo(np.float32).tiny)).T
    power = float(np.clip(np.polyfit(x, y, 1)[0], *_POWERS)) if np.ptp(x) > 0.1 else 1.0
    return np.array([math.exp(y.mean() - power * x.mean()), power])


def _reporter(progress: Progress | None, n_steps: int) -> Callable[[], object]:
    """Return a function that reports one step more at each call."""
    if progress is None:
        return lambda: None
    steps = iter(range(1, n_steps + 1))
    return lambda: progress(next(steps, n_steps), n_steps)
