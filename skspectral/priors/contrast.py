"""Decomposition of signals into a coarse part, local contrast and details."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline

from skspectral.grid import Grid

# Standard deviation of the Gaussian windows in which the contrast is measured, in steps
# of the grid of the contrast.
_WINDOW = 0.6


class Parts(NamedTuple):
    """The three parts of n signals.

    ``coarse`` (n, *coarse grid, *channels) is the coarse part. ``log_contrast``
    (n, *contrast grid) is the logarithm of the contrast, which is the local root mean
    square of the residual: signal minus interpolated coarse part. ``details``
    (n, *signal_shape) is the residual divided by the interpolated contrast.
    """

    coarse: np.ndarray
    log_contrast: np.ndarray
    details: np.ndarray


class ContrastField:
    """Decompose signals into `Parts`, and compose signals from `Parts`.

    ``coarse`` and ``contrast`` are the steps of the two grids, in samples. ``floor`` is
    added in quadrature to the contrast, so that flat regions have a finite logarithm.
    """

    def __init__(self, grid: Grid, coarse: int, contrast: int, floor: float = 1):
        self.sizes = grid.sizes
        # The axis of the channels, or () if signals have no such axis.
        self.channels = grid.shape[grid.n_axes :]
        self.coarse_shape, self.contrast_shape = (
            tuple(max(1, round(size / step)) for size in self.sizes)
            for step in (coarse, contrast)
        )
        self._from_coarse = self._matrices(splines, self.coarse_shape, 3)
        self._to_coarse = [np.linalg.pinv(matrix) for matrix in self._from_coarse]
        self._from_contrast = self._matrices(splines, self.contrast_shape, 1)
        self._to_contrast = self._matrices(windows, self.contrast_shape)
        self.floor = floor

    def _matrices(
        self, make: Callable[..., np.ndarray], grid: tuple[int, ...], *options: int
    ) -> list[np.ndarray]:
        """Return one matrix per axis, made by ``make(size, n_points, *options)``."""
        sizes = zip(self.sizes, grid, strict=True)
        return [make(size, n_points, *options) for size, n_points in sizes]

    def residual(self, signals: np.ndarray) -> np.ndarray:
        """Return the signals minus their interpolated coarse parts."""
        return signals - apply(self._from_coarse, apply(self._to_coarse, signals))

    def split(self, signals: np.ndarray) -> Parts:
        """Decompose signals of shape (n, *signal_shape)."""
        coarse = apply(self._to_coarse, signals)
        residual = signals - apply(self._from_coarse, coarse)
        energy = (residual**2).mean(-1) if self.channels else residual**2
        energy = apply(self._to_contrast, energy)
        log_contrast = 0.5 * np.log(energy + self.floor**2)
        return Parts(coarse, log_contrast, residual / self._contrast(log_contrast))

    def join(self, parts: Parts) -> np.ndarray:
        """Compose signals of shape (n, *signal_shape): the inverse of `split`."""
        residual = parts.details * self._contrast(parts.log_contrast)
        return apply(self._from_coarse, parts.coarse) + residual

    def _contrast(self, log_contrast: np.ndarray) -> np.ndarray:
        """Return the contrast at all samples, from its logarithm on the grid."""
        contrast = np.exp(apply(self._from_contrast, log_contrast))
        return contrast[..., None] if self.channels else contrast


def centres(size: int, n_points: int) -> np.ndarray:
    """Return the positions of ``n_points`` grid points, in samples 0 .. size - 1."""
    return (np.arange(n_points) + 0.5) * size / n_points - 0.5


def splines(size: int, n_points: int, degree: int) -> np.ndarray:
    """Return B-splines centred on the grid points, shape (size, n_points).

    They are normalised to the sum 1 at each sample.
    """
    distance = np.arange(size)[:, None] - centres(size, n_points)
    spline = BSpline.basis_element(np.arange(degree + 2) - (degree + 1) / 2)
    reach = (degree + 1) / 2
    values = spline(np.clip(distance * n_points / size, -reach, reach))
    return values / values.sum(1, keepdims=True)


def windows(size: int, n_points: int) -> np.ndarray:
    """Return Gaussian windows of sum 1 at the grid points, shape (n_points, size)."""
    width = _WINDOW * size / n_points
    distance = (np.arange(size) - centres(size, n_points)[:, None]) / width
    weights = np.exp(-(distance**2) / 2)
    return weights / weights.sum(1, keepdims=True)


def apply(matrices: Sequence[np.ndarray], signals: np.ndarray) -> np.ndarray:
    """Multiply signals by one matrix along each axis after the first axis."""
    for axis, matrix in enumerate(matrices, start=1):
        signals = np.moveaxis(np.tensordot(signals, matrix, (axis, 1)), -1, axis)
    return signals
