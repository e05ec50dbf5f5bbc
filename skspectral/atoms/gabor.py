"""Gabor atoms: waves in a Gaussian window whose centre and width are learned."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral.atoms.family import Description
from skspectral.atoms.modulated import check_integer
from skspectral.atoms.wave_family import (
    Slopes,
    WaveFamily,
    angle_at_centre,
    own_colour,
)
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid


class Gabor(WaveFamily):
    """Gabor atoms: waves in a Gaussian window, for signals and images.

    An atom is ``exp(-sum_d ((x_d - c_d) / s_d)^2 / 2) sin(2 pi f . x + phi)``, with one
    centre c_d and one width s_d per axis. In images with several channels, it is
    multiplied by a colour. The greedy selection compares waves in windows of several
    centres and widths; learning then moves all parameters. The width is the standard
    deviation of the Gaussian. It is at least one sample.

    Parameters
    ----------
    n_scales : int or None, default=None
        Number of window widths that the selection tries in addition to a window over
        the whole signal. The widths are 1/4, 1/8, ... of each axis, with 2, 4, ...
        centres along the axis; an axis is not divided further when the width would be
        less than one sample. With 0, the selection tries plain waves only. The time of
        the selection is proportional to the number of windows. None means 4 for signals
        and 2 for images.

    Notes
    -----
    An estimator with these atoms has the attributes ``centers_`` and ``widths_``, both
    of shape (n_components, n_axes), as fractions of the length of each axis. A centre
    may lie outside the signal, below 0 or above 1. The window then rises or falls over
    the whole signal.

    References
    ----------
    D. Gabor (1946). Theory of communication. Journal of the IEE 93.

    J. G. Daugman (1985). Uncertainty relation for resolution in space, spatial
    frequency, and orientation optimized by two-dimensional visual cortical filters.
    Journal of the Optical Society of America A 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(10, signal_shape=(8, 8), atoms="gabor").fit(X)
    >>> est.centers_.shape  # One row and one column coordinate per atom.
    (10, 2)
    """

    def __init__(self, n_scales: int | None = None):
        self.n_scales = n_scales

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid of the signal or image itself.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        wave_grid : Grid
            The same grid: waves of images run along rows and columns.
        """
        return grid

    def _windows(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Return centres and widths, (n_windows, D), of the windows to select from."""
        n_scales = self.n_scales
        if n_scales is None:
            n_scales = {1: 4, 2: 2}.get(grid.n_axes, 1)
        check_integer("Gabor", "n_scales", n_scales, 0)
        centres, widths = [np.zeros((1, grid.n_axes))], [np.ones((1, grid.n_axes))]
        for n_places in 2 ** np.arange(1, n_scales + 1):
            width = 0.5 / n_places
            # An axis is not divided if the width would be less than one sample.
            divided = [width * size >= 1 for size in grid.sizes]
            if not any(divided):
                break
            along = (np.arange(n_places) + 0.5) / n_places - 0.5
            lines = [along if part else np.zeros(1) for part in divided]
            mesh = np.meshgrid(*lines, indexing="ij")
            centres.append(np.stack([axis.ravel() for axis in mesh], axis=1))
            axis_widths = np.where(divided, width, 1.0)
            widths.append(np.tile(axis_widths, (len(centres[-1]), 1)))
        return np.concatenate(centres), np.concatenate(widths)

    def envelopes(self, grid: Grid, device: torch.device) -> torch.Tensor:
        """Return the windows that the selection tries.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.
        device : torch.device
            Device of the result.

        Returns
        -------
        envelopes : tensor of shape (n_windows, T), float64
            Gaussian windows with the largest value 1, the widest first.
        """
        centres, widths = (
            as_tensor(part, device, torch.float64) for part in self._windows(grid)
        )
        return _window(centres, _log_width(widths, grid), grid)

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of waves in the windows in which they were selected.

        Parameters
        ----------
        waves : Waves
            The K plain waves to start at, on the grid that `runs_on` returns.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        rows : tensor of shape (K, p), float64
            Wave vector, phase in the middle of the signal, centre, logarithm of the
            width, and colour.
        """
        centres, widths = (
            as_tensor(part, waves.phase.device, torch.float64)[waves.envelope]
            for part in self._windows(grid)
        )
        parts = [
            waves.frequency,
            angle_at_centre(waves)[:, None],
            centres,
            _log_width(widths, grid),
            own_colour(waves),
        ]
        return torch.cat(parts, dim=1)

    def _split(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return wave vector, phase, centre and logarithmic width from the rows."""
        n = grid.n_axes
        stops = (n, n + 1, 2 * n + 1, 3 * n + 1)
        frequency, phase, centre, log_width, _ = torch.tensor_split(params, stops, 1)
        return frequency, phase, centre, log_width

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle of the waves and their windows.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        angle : tensor of shape (K, T), float64
            Argument of the sine, in radians.
        amplitude : tensor of shape (K, T), float64
            Gaussian windows with the largest value 1.
        """
        frequency, phase, centre, log_width = self._split(params, grid)
        angle = 2 * math.pi * (frequency @ grid.coordinates(params.device)) + phase
        return angle, _window(centre, log_width, grid)

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of the angles and of the windows.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        dtype : torch.dtype
            Floating type of the result.

        Returns
        -------
        slopes : Slopes
            Derivatives with respect to wave vector and phase, and to centre and
            logarithmic width.
        """
        _, _, centre, log_width = self._split(params, grid)
        x = grid.coordinates(params.device)
        by_centre = (x - centre[:, :, None]) / _squared_width(log_width, grid)[
            ..., None
        ]
        by_width = by_centre**2 * (2 * log_width).exp()[..., None]
        by_window = torch.cat([by_centre, by_width], dim=1)
        # A window is divided by its largest sample, whose value therefore stays 1.
        largest = _exponent(centre, log_width, grid).argmax(1)
        at_largest = largest[:, None, None].expand(-1, by_window.shape[1], 1)
        return Slopes(
            torch.cat([2 * math.pi * x, torch.ones_like(x[:1])]).to(dtype),
            _window(centre, log_width, grid),
            (by_window - by_window.gather(2, at_largest)).to(dtype),
        )

    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return the plain waves, and the centres and widths of their windows.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        description : Description
            Folded plain waves, amplitudes, and "centers" and "widths" of shape (K, D),
            as fractions of the length of each axis.
        """
        frequency, phase, centre, log_width = self._split(params, grid)
        at_start = phase[:, 0] - math.pi * frequency.sum(1)
        colour = self.colour(params, grid)
        norm = torch.linalg.vector_norm(colour, dim=1)
        waves = Waves.of(frequency, at_start, colour / norm[:, None])
        rms = (_window(centre, log_width, grid) ** 2).mean(1).sqrt()
        widths = _squared_width(log_width, grid).sqrt()
        extras = {"centers": centre + 0.5, "widths": widths}
        return Description(waves.fold(grid.sizes), rms * norm, extras)

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key by which two fits can be compared.

        The key does not contain ``n_scales``, which affects the selection but not the
        atoms.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        key : tuple
            Hashable key that identifies the family and the grid.
        """
        return (type(self), grid.without_units())


def _samples(grid: Grid, like: torch.Tensor) -> torch.Tensor:
    """Return the distance of neighbouring samples along each axis, shape (D,)."""
    return 1 / like.new_tensor(grid.sizes)


def _squared_width(log_width: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the squared widths of the windows, at least one sample squared."""
    return (2 * log_width).exp() + _samples(grid, log_width) ** 2


def _log_width(widths: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the parameter for which `_squared_width` is the square of given widths.

    Widths near one sample, which only an infinite parameter would reach, become
    slightly larger.
    """
    free = widths**2 - _samples(grid, widths) ** 2
    return 0.5 * free.clamp_min(1e-2 * widths.square()).log()


def _exponent(
    centre: torch.Tensor, log_width: torch.Tensor, grid: Grid
) -> torch.Tensor:
    """Return logarithms of Gaussians that are 1 at their centres, shape (K, T)."""
    away = grid.coordinates(centre.device) - centre[:, :, None]
    squared = _squared_width(log_width, grid)[..., None]
    return -(away**2 / (2 * squared)).sum(1)


def _window(centre: torch.Tensor, log_width: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return Gaussian windows, (K, T), divided by their largest sample.

    Without the division, a window whose centre has left the signal would vanish.
    """
    exponent = _exponent(centre, log_width, grid)
    return (exponent - exponent.amax(1, keepdim=True)).exp()
