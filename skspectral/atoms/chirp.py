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

# Step between sweeps that the selection tries, and the largest one that it tries unless
# it is told, in cycles over the signal. Learning finds the sweeps in between.
_STEP, _LARGEST = 4.0, 64.0


class Chirp(WaveFamily):
    """Linear sweeps sin(2 pi (f x + c x^2 / 2) + phi) along the flattened signal.

    Here x runs from -1/2 to 1/2, so that f is the frequency in the middle of the signal
    and c the change of the frequency from its start to its end. The greedy selection
    looks at waves of several sweeps; learning then moves all parameters.

    Parameters
    ----------
    max_sweep : float or None, default=None
        Largest change of the frequency that the selection looks for, up or down, in
        cycles per signal. The time of the selection is in proportion to it. None is a
        quarter of the number of samples, at most 64.

    Notes
    -----
    The ``frequencies_`` of an estimator with these atoms are those in the middle of the
    signal. Its ``sweep_rates_``, of shape (n_components,), are the changes of the
    frequency, in the unit of ``frequencies_``, per signal or, with ``sampling_rate``,
    per second.

    References
    ----------
    S. Mann, S. Haykin (1995). The chirplet transform: physical considerations.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral import SpectralDictionaryLearning
    >>> t = np.arange(64) / 64
    >>> phases = np.random.default_rng(0).uniform(0, 6, size=(50, 1))
    >>> X = np.sin(2 * np.pi * (5 * t + 5 * t**2) + phases)  # from 5 to 15 cycles
    >>> est = SpectralDictionaryLearning(2, atoms="chirp").fit(X)
    >>> est.frequencies_.round(), est.sweep_rates_.round()
    (array([10., 10.]), array([10., 10.]))
    """

    def __init__(self, max_sweep: float | None = None):
        self.max_sweep = max_sweep

    def _sweeps(self, grid: Grid, like: torch.Tensor) -> torch.Tensor:
        """Sweeps to select from: zero first."""
        largest = self.max_sweep
        if largest is None:
            largest = min(grid.n_features / 4, _LARGEST)
        if not isinstance(largest, Real) or not 0 <= largest < math.inf:
            raise ValueError(
                f"Chirp(max_sweep={largest!r}): max_sweep must be a finite number >= 0 "
                "or None."
            )
        upwards = _STEP * torch.arange(1, 1 + int(largest / _STEP + 0.5))
        return torch.cat([torch.zeros(1), upwards, -upwards]).to(like)

    def envelopes(self, grid: Grid, device: torch.device) -> torch.Tensor:
        """Return the sweeps to select from, (n_sweeps, T), complex."""
        x = self.runs_on(grid).coordinates(device)
        return torch.exp(-1j * math.pi * self._sweeps(grid, x)[:, None] * x**2)

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return rows of frequency, sweep and phase in the middle of the signal."""
        sweep = self._sweeps(grid, waves.phase)[waves.envelope]
        columns = [waves.frequency[:, 0], sweep, angle_at_centre(waves)]
        return torch.stack(columns, dim=1)

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine, and 1; both of shape (K, T)."""
        angle = params @ self._angle_functions(params, grid)
        return angle, torch.ones_like(angle)

    def _angle_functions(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """What the parameters multiply in the angle, (3, T)."""
        x = self.runs_on(grid).coordinates(params.device)
        return torch.cat([2 * math.pi * x, math.pi * x**2, torch.ones_like(x)])

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of the angle; the amplitude has no parameters."""
        functions = self._angle_functions(params, grid).to(dtype)
        ones = params.new_ones(len(params), functions.shape[1])
        return Slopes(functions, ones, functions[:0])

    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return the waves of the frequency in the middle, and the sweeps."""
        on = self.runs_on(grid)
        frequency, sweep, phase = params.unbind(1)
        x = on.coordinates(params.device)[0]
        at_centre = phase + math.pi * sweep * (x**2).mean()
        waves = Waves.of(frequency[:, None], at_centre - math.pi * frequency)
        # A wave that is described by -f sweeps the other way.
        within = frequency - len(x) * torch.round(frequency / len(x))
        rates = torch.where(within < 0, -sweep, sweep) * float(on.units[0]) ** 2
        amplitude = torch.ones_like(frequency)
        return Description(waves.fold(on.sizes), amplitude, {"sweep_rates": rates})

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key without ``max_sweep``, which only the selection uses."""
        return (type(self), grid.without_units())
