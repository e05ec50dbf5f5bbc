"""The model of an image by large windows, with any prior that estimates noisy codes."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from skspectral._device import as_array
from skspectral.restoration.image_model import ImageModel, Progress, Shape, reporter
from skspectral.restoration.operators import Masking
from skspectral.restoration.patches import PatchGrid
from skspectral.restoration.window_denoiser import WindowDenoiser, WindowPrior

# Number of directions in which derivatives of an estimate are computed, the length of
# the difference relative to the noise, and the width in pixels of the average over
# neighbouring derivatives.
_N_PROBES, _DIFFERENCE, _SMOOTHING = 4, 0.1, 1.5
# Least variance of an estimate, relative to the noise: averages of few derivatives may
# be negative.
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class WindowModel(ImageModel):
    """Prior of windows, and the settings of its use for whole images.

    Attributes
    ----------
    windows : WindowPrior
        Prior of the windows.
    window_variance : float
        Mean variance of a pixel within its window.
    size : tuple of int
        Height and width of a window.
    stride : tuple of int
        Distances of neighbouring windows.
    device : torch.device
        Device of the images.
    """

    windows: WindowPrior
    window_variance: float
    size: tuple[int, int]
    stride: tuple[int, int]
    device: torch.device

    @property
    def pixel_variance(self) -> float:
        """Mean variance of a pixel within its window."""
        return self.window_variance

    def new_denoiser(self, shape: Shape) -> WindowDenoiser:
        """Return a denoiser of images of a shape, at least as large as a window."""
        grid = PatchGrid(shape, self.size, self.stride)
        return WindowDenoiser(self.windows, grid, self.device)

    def denoise(
        self,
        image: np.ndarray,
        noise: float | np.ndarray,
        progress: Progress | None = None,
        *,
        with_variance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the estimate of an image with white noise, and its variance.

        If the posterior mean is exact, the variance of a pixel is the noise times the
        derivative of its estimate with respect to its noisy value (Efron 2011,
        Tweedie's formula and selection bias, JASA 106). The derivatives are estimated
        from differences in random directions (Ramani, Blu and Unser 2008, Monte-Carlo
        SURE, IEEE Transactions on Image Processing 17), and averaged over neighbouring
        pixels.

        If the noise differs between pixels, the image is restored as one of which
        pixels are known to different precision.

        Parameters and results are those of `ImageModel.denoise`.
        """
        if np.ndim(noise) > 0 and np.ptp(noise) > 0:
            everywhere = Masking(np.ones(image.shape, bool))
            estimate = self.restore(image, everywhere, noise, None, progress)
            if not with_variance:
                return estimate, None
            _, ratio = self._estimate(image, float(np.mean(noise)), reporter(None, 0))
        else:
            level = float(np.mean(noise))
            report = reporter(progress, 1 + _N_PROBES * with_variance)
            if not with_variance:
                return self._estimate(image, level, report, n_probes=0)[0], None
            estimate, ratio = self._estimate(image, level, report)
        return estimate, ratio * noise

    def _estimate(
        self,
        image: np.ndarray,
        noise: float,
        report: Callable[[], object],
        n_probes: int = _N_PROBES,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate for one variance of the noise, and its derivatives."""
        height, width, channels = image.shape
        denoiser = self.new_denoiser((height, width, channels))
        level = max(noise, self.least_noise)
        usual = denoiser.estimate(denoiser.as_image(image), level)
        report()
        stream, length = np.random.default_rng(0), _DIFFERENCE * level**0.5
        derivatives = np.zeros(image.shape)
        for _ in range(n_probes):
            signs = stream.choice([-1.0, 1.0], image.shape)
            moved = denoiser.estimate(denoiser.as_image(image + length * signs), level)
            derivatives += signs * as_array(moved - usual, np.float64) / length
            report()
        ratio = derivatives / max(n_probes, 1)
        smooth = gaussian_filter(ratio, (_SMOOTHING, _SMOOTHING, 0))
        return as_array(usual, image.dtype), smooth.clip(_LEAST, 1.0)
