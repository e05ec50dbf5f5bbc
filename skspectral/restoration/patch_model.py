"""The model of an image by its patches, with which whole images are restored."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.restoration.denoiser import PatchDenoiser
from skspectral.restoration.image_model import ImageModel, Progress, Shape, reporter
from skspectral.restoration.patch_mixture import PatchMixture
from skspectral.restoration.patches import PatchGrid
from skspectral.restoration.splitting import (
    N_DENOISING_STEPS,
    denoised,
    halved,
)

# Number of principal components by which the candidates of a patch are chosen.
_N_SCREENED = 24


@dataclass(frozen=True, eq=False)
class PatchModel(ImageModel):
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
    """

    mixture: PatchMixture
    size: tuple[int, int]
    stride: tuple[int, int]
    n_candidates: int
    n_scales: int

    @property
    def pixel_variance(self) -> float:
        """Mean variance of a pixel within its patch."""
        return self.mixture.pixel_variance

    def new_denoiser(self, shape: Shape) -> PatchDenoiser:
        """Return a denoiser of images of a shape, which is not smaller than a patch."""
        grid = PatchGrid(shape, self.size, self.stride)
        return PatchDenoiser(self.mixture, grid, self.n_candidates, _N_SCREENED)

    def denoise(
        self,
        image: np.ndarray,
        noise: float | np.ndarray,
        progress: Progress | None = None,
        *,
        with_variance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the estimate of an image with white noise, and its variance.

        Parameters and results are those of `ImageModel.denoise`.
        """
        pixels = as_tensor(image, self._device, torch.float32)
        least = self.least_noise
        level: float | torch.Tensor = max(float(np.min(noise)), least)
        if np.ndim(noise):
            level = as_tensor(np.maximum(noise, least), self._device, torch.float32)
        height, width, channels = image.shape
        n_scales = self._n_scales((height, width, channels))
        report = reporter(progress, N_DENOISING_STEPS * n_scales)
        estimate, patches = denoised(pixels, level, self.new_denoiser, n_scales, report)
        if not with_variance:
            return as_array(estimate), None
        variance = as_array(patches.variance(level) / level)
        variance *= noise if np.ndim(noise) else float(noise)
        return as_array(estimate), variance

    @property
    def _device(self) -> torch.device:
        return self.mixture.basis.device

    def _n_scales(self, shape: Shape) -> int:
        """Return the number of sizes of an image into which a patch fits."""
        n_scales = 1
        while n_scales < self.n_scales and self._holds(shape := halved(shape)):
            n_scales += 1
        return n_scales

    def _holds(self, shape: Shape) -> bool:
        return all(n >= size for n, size in zip(shape, self.size, strict=False))
