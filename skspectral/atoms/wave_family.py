"""Atoms that are waves with an amplitude and an angle of their own at each place."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import abstractmethod
from typing import NamedTuple

import torch

from skspectral.atoms.family import AtomFamily, Description
from skspectral.atoms.waves import Waves, nearest_waves
from skspectral.grid import Grid


class Slopes(NamedTuple):
    """Derivatives of the angle and of the amplitude by the parameters of an atom.

    Attributes
    ----------
    angle : tensor of shape (p_angle, T) or (K, p_angle, T)
        Derivatives of the angle by its parameters, which come first in a row.
    amplitude_factor : tensor of shape (K, T)
    amplitude : tensor of shape (p_amplitude, T) or (K, p_amplitude, T)
        Derivatives of the amplitude by its parameters, which come next, divided by
        ``amplitude_factor``.
    """

    angle: torch.Tensor
    amplitude_factor: torch.Tensor
    amplitude: torch.Tensor


class WaveFamily(AtomFamily):
    """Waves g_c A(t) sin(angle(t)): equation (2) of Kiruluta (2025), with a colour.

    A subclass says what A and the angle are. Where the signals have several channels,
    the last parameters of an atom are its colour g, a number for each channel. Places
    are counted from the middle of the signal, where frequency and phase are almost
    uncorrelated.
    """

    # Whether the angle is more than a plane, so that the nearest plain wave of a
    # signal has to be searched for.
    drifts = False

    @abstractmethod
    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and A(t), both of shape (K, T), float64."""

    @abstractmethod
    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of both by the parameters that are not the colour."""

    def colour(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return g, shape (K, channels); 1 for a single channel."""
        rows, channels = self.rows(params, grid), self.runs_on(grid).channels
        return rows[:, -channels:] if channels > 1 else torch.ones_like(rows[:, :1])

    def atoms(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the atoms, (K, T), float64, not normalised; differentiable."""
        angle, amplitude = self.angle_and_amplitude(params, grid)
        wave = amplitude * angle.sin()
        on = self.runs_on(grid)
        if on.channels == 1:
            return wave
        return (self.colour(params, grid) @ on.channel_indicator(wave.device)) * wave

    def jacobian(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the derivatives of the atoms by their parameters, (K, p, T)."""
        angle, amplitude = self.angle_and_amplitude(params, grid)
        slopes = self.slopes(params, grid, dtype)
        sine, cosine = angle.sin(), angle.cos()
        parts, on = [], self.runs_on(grid)
        if on.channels > 1:
            own = on.channel_indicator(params.device)
            by_colour = (amplitude * sine).to(dtype)[:, None] * own.to(dtype)
            colour = self.colour(params, grid) @ own
            sine, cosine = colour * sine, colour * cosine
            parts = [by_colour]
        by_angle = (amplitude * cosine).to(dtype)[:, None] * slopes.angle
        factor = (slopes.amplitude_factor * sine).to(dtype)[:, None]
        return torch.cat([by_angle, factor * slopes.amplitude, *parts], dim=1)

    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return the folded plain wave that each atom is, or is nearest to.

        Of a drifting sinusoid the parameters do not tell it: with a phase for each of n
        channels, f and f + T/n are one atom. There it is the sinusoid with the largest
        absolute cosine; else the least-squares plane through the angle, weighted with
        the squared amplitude.
        """
        on = self.runs_on(grid)
        angle, amplitude = self.angle_and_amplitude(params, grid)
        colour = self.colour(params, grid)
        norm = torch.linalg.vector_norm(colour, dim=1, keepdim=True)
        rms = (amplitude**2).mean(1).sqrt() * norm[:, 0]
        if self.drifts and on.n_axes == 1:
            return Description(nearest_waves(self.atoms(params, grid)), rms)
        frequency, phase = _plane_through(angle, amplitude**2, on)
        waves = Waves.of(frequency, phase, colour / norm).fold(on.sizes)
        return Description(waves, rms)


def angle_at_centre(waves: Waves) -> torch.Tensor:
    """The angle of plain waves in the middle of the signal, shape (K,)."""
    return waves.phase + math.pi * waves.frequency.sum(1)


def own_colour(waves: Waves) -> torch.Tensor:
    """The colours as the last columns of rows of parameters: none for one channel."""
    return waves.colour if waves.colour.shape[1] > 1 else waves.colour[:, :0]


def _plane_through(
    angle: torch.Tensor, weights: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frequencies (K, D) and phases at the first sample (K,) of the nearest planes."""
    places = grid.coordinates(angle.device) + 0.5
    columns = torch.cat([places, torch.ones_like(places[:1])])
    products = (columns[:, None] * columns[None]).flatten(0, 1)
    normal = (weights @ products.T).reshape(-1, len(columns), len(columns))
    right = (weights * angle) @ columns.T
    damping = 1e-12 * normal.diagonal(dim1=1, dim2=2).sum(1)
    normal.diagonal(dim1=1, dim2=2).add_(damping[:, None])
    plane = torch.linalg.solve(normal, right[:, :, None])[:, :, 0]
    return plane[:, :-1] / (2 * math.pi), plane[:, -1]
