"""Signals as coarse part plus local contrast times details, and back."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline

from skspectral.grid import Grid

# Width of the window in which contrast is measured, in steps of its grid.
_WINDOW = 0.6


class Parts(NamedTuple):
    """Signals taken apart.

    They are a coarse part (n, *coarse grid, *channels), the logarithm of the local root
    mean square of what it leaves (n, *contrast grid), and the details: what is left,
    over its contrast, (n, *signal_shape).
    """

    coarse: np.ndarray
    log_contrast: np.ndarray
    details: np.ndarray


class ContrastField:
    """Take signals apart into their `Parts`, and put them together.

    The grids of the coarse part and of the contrast have steps of so many samples. The
    ``floor`` is the contrast where there is none.
    """

    def __init__(self, grid: Grid, coarse: int, contrast: int, floor: float = 1):
        self.sizes = grid.sizes
        # The axis of channels, where signals have one.
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
        """One for each axis."""
        sizes = zip(self.sizes, grid, strict=True)
        return [make(size, n_points, *options) for size, n_points in sizes]

    def rest(self, signals: np.ndarray) -> np.ndarray:
        """What the coarse part leaves."""
        return signals - apply(self._from_coarse, apply(self._to_coarse, signals))

    def split(self, signals: np.ndarray) -> Parts:
        """Parts of signals of shape (n, *signal_shape)."""
        coarse = apply(self._to_coarse, signals)
        rest = signals - apply(self._from_coarse, coarse)
        energy = (rest**2).mean(-1) if self.channels else rest**2
        energy = apply(self._to_contrast, energy)
        log_contrast = 0.5 * np.log(energy + self.floor**2)
        return Parts(coarse, log_contrast, rest / self._contrast(log_contrast))

    def join(self, parts: Parts) -> np.ndarray:
        """Signals of shape (n, *signal_shape)."""
        rest = parts.details * self._contrast(parts.log_contrast)
        return apply(self._from_coarse, parts.coarse) + rest

    def _contrast(self, log_contrast: np.ndarray) -> np.ndarray:
        contrast = np.exp(apply(self._from_contrast, log_contrast))
        return contrast[..., None] if self.channels else contrast


def centres(size: int, n_points: int) -> np.ndarray:
    """Places of the points of a grid among samples 0 .. size - 1."""
    return (np.arange(n_points) + 0.5) * size / n_points - 0.5


def splines(size: int, n_points: int, degree: int) -> np.ndarray:
    """B-splines about the points, of sum 1 at each sample; shape (size, n_points)."""
    away = np.arange(size)[:, None] - centres(size, n_points)
    spline = BSpline.basis_element(np.arange(degree + 2) - (degree + 1) / 2)
    reach = (degree + 1) / 2
    values = spline(np.clip(away * n_points / size, -reach, reach))
    return values / values.sum(1, keepdims=True)


def windows(size: int, n_points: int) -> np.ndarray:
    """Gaussian windows of unit sum about the points, of shape (n_points, size)."""
    width = _WINDOW * size / n_points
    away = (np.arange(size) - centres(size, n_points)[:, None]) / width
    weights = np.exp(-(away**2) / 2)
    return weights / weights.sum(1, keepdims=True)


def apply(matrices: Sequence[np.ndarray], signals: np.ndarray) -> np.ndarray:
    """One matrix along each axis after the first."""
    for axis, matrix in enumerate(matrices, start=1):
        signals = np.moveaxis(np.tensordot(signals, matrix, (axis, 1)), -1, axis)
    return signals
