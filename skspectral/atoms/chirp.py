"""Chirps: waves whose frequency changes linearly over the signal."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from numbers import Real
from typing import Any

import torch

from skspectral.atoms.family import Description
from skspectral.atoms.wave_family import Slopes, WaveFamily, angle_at_centre
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

# Step between the sweeps that the selection tries, in cycles per signal. The later
# learning finds the sweeps in between.
_STEP = 4.0
# Largest sweep that the selection tries by default, in cycles per signal.
_LARGEST = 64.0


class Chirp(WaveFamily):
    """Chirps: sinusoids whose frequency changes linearly along the flattened signal.

    An atom is ``sin(2 pi (f x + c x^2 / 2) + phi)`` with x from -1/2 to 1/2. The
    frequency f is that in the middle of the signal, and the sweep c is the change of
    the frequency from the start to the end. The greedy selection compares waves with
    several sweeps; learning then moves all parameters.

    Parameters
    ----------
    max_sweep : float or None, default=None
        Largest change of the frequency, up or down, that the selection tries, in cycles
        per signal. Choose the largest change that you expect: the time of the selection
        is proportional to it. None means a quarter of the number of samples, at most
        64.

    Notes
    -----
    In an estimator with these atoms, ``frequencies_`` are the frequencies in the middle
    of the signal. Its attribute ``sweep_rates_``, of shape (n_components,), holds the
    sweeps. They are changes of ``frequencies_`` per unit of time with
    ``sampling_rate``, and per signal length without it.

    References
    ----------
    S. Mann, S. Haykin (1995). The chirplet transform: physical considerations. IEEE
    Transactions on Signal Processing 43.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral import SpectralDictionaryLearning
    >>> t = np.arange(64) / 64
    >>> phases = np.random.default_rng(0).uniform(0, 6, size=(50, 1))
    >>> # The frequency rises from 5 to 15 cycles per signal; it is 10 in the middle.
    >>> X = np.sin(2 * np.pi * (5 * t + 5 * t**2) + phases)
    >>> est = SpectralDictionaryLearning(2, atoms="chirp").fit(X)
    >>> est.frequencies_.round(), est.sweep_rates_.round()
    (array([10., 10.]), array([10., 10.]))
    """

    def __init__(self, max_sweep: float | None = None):
        self.max_sweep = max_sweep

    def _sweeps(self, grid: Grid, like: torch.Tensor) -> torch.Tensor:
        """Return the sweeps to select from, in cycles per signal, zero first."""
        largest = self.max_sweep
        if largest is None:
            largest = min(grid.n_features / 4, _LARGEST)
        if not isinstance(largest, Real) or not 0 <= largest < math.inf:
            raise ValueError(
                f"Chirp(max_sweep={largest!r}): max_sweep must be a finite number >= 0 "
                "of cycles per signal, or None for the default."
            )
        upwards = _STEP * torch.arange(1, 1 + int(largest / _STEP + 0.5))
        return torch.cat([torch.zeros(1), upwards, -upwards]).to(like)

    def envelopes(self, grid: Grid, device: torch.device) -> torch.Tensor:
        """Return one complex envelope per sweep that the selection tries.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.
        device : torch.device
            Device of the result.

        Returns
        -------
        envelopes : tensor of shape (n_sweeps, T), complex128
            Envelopes exp(-i pi c x^2). The first one has the sweep c = 0.
        """
        x = self.runs_on(grid).coordinates(device)
        return torch.exp(-1j * math.pi * self._sweeps(grid, x)[:, None] * x**2)

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of chirps with the frequency and sweep of the given waves.

        Parameters
        ----------
        waves : Waves
            The K plain waves to start at, on the grid that `runs_on` returns.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        rows : tensor of shape (K, 3), float64
            Frequency in the middle, sweep, and phase in the middle of the signal.
        """
        sweep = self._sweeps(grid, waves.phase)[waves.envelope]
        columns = [waves.frequency[:, 0], sweep, angle_at_centre(waves)]
        return torch.stack(columns, dim=1)

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle of the chirps, and their constant amplitude 1.

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
            Ones.
        """
        angle = params @ self._angle_functions(params, grid)
        return angle, torch.ones_like(angle)

    def _angle_functions(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the functions, (3, T), whose weighted sum is the angle.

        The weights are the parameters: frequency, sweep and phase.
        """
        x = self.runs_on(grid).coordinates(params.device)
        return torch.cat([2 * math.pi * x, math.pi * x**2, torch.ones_like(x)])

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of the angle; the amplitude has no parameters.

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
            Derivatives with respect to frequency, sweep and phase.
        """
        functions = self._angle_functions(params, grid).to(dtype)
        ones = params.new_ones(len(params), functions.shape[1])
        return Slopes(functions, ones, functions[:0])

    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return plain waves of the frequencies in the middle, and the sweeps.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        description : Description
            Folded plain waves, amplitudes 1, and "sweep_rates" in the units of the
            class's Notes.
        """
        on = self.runs_on(grid)
        frequency, sweep, phase = params.unbind(1)
        x = on.coordinates(params.device)[0]
        at_centre = phase + math.pi * sweep * (x**2).mean()
        waves = Waves.of(frequency[:, None], at_centre - math.pi * frequency)
        # Folding turns a negative frequency around, and with it the sign of the sweep.
        within = frequency - len(x) * torch.round(frequency / len(x))
        rates = torch.where(within < 0, -sweep, sweep) * float(on.units[0]) ** 2
        amplitude = torch.ones_like(frequency)
        return Description(waves.fold(on.sizes), amplitude, {"sweep_rates": rates})

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key by which two fits can be compared.

        The key does not contain ``max_sweep``, which affects the selection but not the
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
