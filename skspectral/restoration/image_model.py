"""Models of images that denoise them, and restore them by denoising."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from skspectral.restoration.operators import ImageOperator
from skspectral.restoration.splitting import WhiteNoiseDenoiser, restored, variances

# Noise below this fraction of the standard deviation of pixels within patches is raised
# to it.
_LEAST_NOISE = 1e-3

Progress = Callable[[int, int], object]
Shape = tuple[int, int, int]


class ImageModel(ABC):
    """Model of images of the shape (height, width, channels)."""

    @property
    @abstractmethod
    def pixel_variance(self) -> float:
        """Mean variance of a pixel within its patch."""

    @abstractmethod
    def new_denoiser(self, shape: Shape) -> WhiteNoiseDenoiser:
        """Return a denoiser of images of a shape, which is not smaller than a patch."""

    @abstractmethod
    def denoise(
        self,
        image: np.ndarray,
        noise: float | np.ndarray,
        progress: Progress | None = None,
        *,
        with_variance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the estimate of an image with white noise, and its variance.

        Parameters
        ----------
        image : ndarray of shape (height, width, channels)
            Noisy image.
        noise : float or ndarray of the shape of the image
            Variance of the noise.
        progress : callable, default=None
            Function of the number of steps done, and of all steps.
        with_variance : bool, default=True
            Whether to compute the variance.

        Returns
        -------
        estimate : ndarray of the shape of the image
            Estimate of the image without noise.
        variance : ndarray of the shape of the image, or None
            Estimate of the squared error of each pixel, before it is corrected by
            `calibration.VarianceCorrection`.
        """

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
        denoiser = self.new_denoiser((height, width, channels))
        level = np.asarray(noise, np.float64)
        steps = variances(self.pixel_variance, float(level.mean()))
        report = reporter(progress, len(steps))
        return restored(observed, operator, level, denoiser, steps, report, stream)

    @property
    def least_noise(self) -> float:
        """Variance to which smaller variances of noise are raised."""
        return _LEAST_NOISE**2 * self.pixel_variance


def reporter(progress: Progress | None, n_steps: int) -> Callable[[], object]:
    """Return a function that reports one step more at each call."""
    if progress is None:
        return lambda: None
    steps = iter(range(1, n_steps + 1))
    return lambda: progress(next(steps, n_steps), n_steps)
