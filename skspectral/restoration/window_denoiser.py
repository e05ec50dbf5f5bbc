"""Estimates of noisy images by a prior of large windows that overlap."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.priors.prior import Prior
from skspectral.restoration.patches import PatchGrid


@dataclass(frozen=True, eq=False)
class WindowPrior:
    """Prior of windows of an image less their mean.

    Attributes
    ----------
    prior : Prior
        Prior of the codes, with the capability "denoising".
    basis : ndarray of shape (K, D), float64
        Orthonormal basis of the codes.
    mean : ndarray of shape (D,), float64
        Mean window.
    outside : float
        Variance of windows in each direction outside the span of the basis.
    n_channels : int
        Number of channels.
    """

    prior: Prior
    basis: np.ndarray
    mean: np.ndarray
    outside: float
    n_channels: int

    @classmethod
    def of(cls, estimator: Any, n_channels: int) -> "WindowPrior":
        """Return the prior of a fitted `SpectralDictionaryLearning`."""
        mean, _, basis = estimator.model_.float64()
        residual = float(estimator.noise_variance_)
        return cls(estimator.prior_, basis, mean, residual, n_channels)

    def posterior_mean(self, windows: np.ndarray, noise: float) -> np.ndarray:
        """Return the posterior means of windows (n, D) with noise of a variance.

        The mean of a window in each channel is kept as it is.
        """
        by_channel = windows.reshape(len(windows), -1, self.n_channels)
        levels = by_channel.mean(1, keepdims=True)
        centred = (by_channel - levels).reshape(windows.shape) - self.mean
        codes = centred @ self.basis.T
        estimate = self.prior.posterior_mean(codes, noise) @ self.basis + self.mean
        if len(self.basis) < len(self.mean):
            gain = self.outside / (self.outside + noise)
            estimate += gain * (centred - codes @ self.basis)
        return (estimate.reshape(by_channel.shape) + levels).reshape(windows.shape)


class WindowDenoiser:
    """Denoiser of images of one shape by the posterior means of overlapping windows.

    Estimates are averaged with weights that fall towards the border of a window, where
    the prior sees only one side of the surroundings.

    Parameters
    ----------
    windows : WindowPrior
        Prior of the windows.
    grid : PatchGrid
        Positions of the windows.
    device : torch.device
        Device of the images.
    """

    def __init__(self, windows: WindowPrior, grid: PatchGrid, device: torch.device):
        self._windows, self._grid, self._device = windows, grid, device
        rows, columns = (_hann(size) for size in grid.size)
        by_pixel = torch.outer(rows, columns).flatten()
        self._weights = by_pixel.repeat_interleave(grid.shape[2]).to(device)
        self._totals = grid.totals(device, (rows, columns))

    def as_image(self, image: np.ndarray) -> torch.Tensor:
        """Return an array as an image on the device of the denoiser, in float32."""
        return as_tensor(image, self._device, torch.float32)

    def estimate(self, image: torch.Tensor, noise: float) -> torch.Tensor:
        """Return the weighted average of the posterior means of all windows.

        The ``image``, (height, width, channels), is the true one plus white noise of
        the variance ``noise``.
        """
        total = torch.zeros(self._grid.shape, dtype=torch.float32, device=self._device)
        for stripe in self._grid.stripes():
            windows = as_array(stripe.cut(image), np.float64)
            means = self._windows.posterior_mean(windows, noise)
            stripe.add(self.as_image(means) * self._weights, total)
        return total / self._totals


def _hann(size: int) -> torch.Tensor:
    """Return the weights of the rows or columns of a window: all > 0."""
    return torch.sin((torch.arange(size) + 0.5) * torch.pi / size).square()
