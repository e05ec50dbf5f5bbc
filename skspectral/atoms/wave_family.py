"""The base class of atoms that are waves with a varying amplitude and angle."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import abstractmethod
from typing import NamedTuple

import torch

from skspectral.atoms.derivatives import (
    DenseDerivatives,
    Derivatives,
    ProductDerivatives,
)
from skspectral.atoms.family import AtomFamily, Description
from skspectral.atoms.waves import Waves, nearest_waves
from skspectral.grid import Grid


class Slopes(NamedTuple):
    """Derivatives of the angle and of the amplitude of K waves.

    The derivatives are with respect to the parameters of an atom that are not its
    colour.

    Parameters
    ----------
    angle : tensor of shape (p_angle, T) or (K, p_angle, T)
        Derivatives of the angle with respect to its parameters. These parameters are
        the first columns of the rows. The shape without K means that all atoms have the
        same derivatives.
    amplitude_factor : tensor of shape (K, T), float64
        Factor by which ``amplitude`` is multiplied. It may be 1 everywhere.
    amplitude : tensor of shape (p_amplitude, T) or (K, p_amplitude, T)
        Derivatives of the amplitude with respect to its parameters, divided by
        ``amplitude_factor``. These parameters are the columns after those of the angle.
        The shape without K means that all atoms have the same quotients.
    """

    angle: torch.Tensor
    amplitude_factor: torch.Tensor
    amplitude: torch.Tensor


class WaveFamily(AtomFamily):
    """Waves colour_c A(t) sin(angle(t)): the base class of waves.

    A subclass defines the amplitude A and the angle by `angle_and_amplitude`, their
    derivatives by `slopes`, and the first parameters by `new_atoms`. If the signals
    have several channels, the last parameters of an atom are its colour, with one entry
    per channel. With one channel there is no colour. By convention, coordinates run
    from -1/2 to 1/2, and phases are those in the middle of the signal: there, frequency
    and phase are almost uncorrelated.

    Attributes
    ----------
    is_modulated : bool
        Whether the phase may deviate from a straight line or plane. If it may,
        `describe` searches for the sinusoid that is nearest to the atom of a signal,
        instead of fitting a line to the angle. The default is False.

    References
    ----------
    Equation (2) of Kiruluta (2025), extended by the colour.
    """

    is_modulated = False

    @abstractmethod
    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle and the amplitude of the waves.

        Both must be differentiable with respect to ``params``.

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
            Factor A(t) of the sine.
        """

    @abstractmethod
    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of the angle and of the amplitude.

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
            Derivatives with respect to all parameters of the rows except the colour.
        """

    def colour(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the colours of the atoms.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        colour : tensor of shape (K, channels), float64
            Amplitudes in the channels, not normalised. With one channel, they are 1.
        """
        rows, channels = self.rows(params, grid), self.runs_on(grid).channels
        return rows[:, -channels:] if channels > 1 else torch.ones_like(rows[:, :1])

    def atoms(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the atoms that the parameters define.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        atoms : tensor of shape (K, T), float64
            One atom per row, not normalised, differentiable with respect to ``params``.
        """
        angle, amplitude = self.angle_and_amplitude(params, grid)
        wave = amplitude * angle.sin()
        on = self.runs_on(grid)
        if on.channels == 1:
            return wave
        return (self.colour(params, grid) @ on.channel_indicator(wave.device)) * wave

    def jacobian(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the derivatives of the atoms with respect to their own parameters.

        The derivatives follow from `slopes` by the product rule.

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
        jacobian : tensor of shape (K, p, T)
            Entry [i, j] is the derivative of atom i with respect to its parameter j.
        """
        return _dense(self._terms(params, grid, dtype))

    def derivatives(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> Derivatives:
        """Return the derivatives as an operator.

        If all atoms have the same slopes, the products need no array of the size of
        `jacobian`.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        dtype : torch.dtype
            Floating type of the products.

        Returns
        -------
        derivatives : Derivatives
            Operator with the entries of `jacobian`.
        """
        terms = self._terms(params, grid, dtype)
        if all(slopes.ndim == 2 for _, slopes in terms):
            return ProductDerivatives(terms)
        return DenseDerivatives(_dense(terms))

    def _terms(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the derivatives as products of a row per atom and slopes.

        The rows have the shape (K, T), and the slopes (n, T) or (K, n, T).
        """
        angle, amplitude = self.angle_and_amplitude(params, grid)
        slopes = self.slopes(params, grid, dtype)
        sine, cosine = angle.sin(), angle.cos()
        terms, on = [], self.runs_on(grid)
        if on.channels > 1:
            own = on.channel_indicator(params.device)
            terms = [((amplitude * sine).to(dtype), own.to(dtype))]
            colour = self.colour(params, grid) @ own
            sine, cosine = colour * sine, colour * cosine
        by_angle = (amplitude * cosine).to(dtype)
        by_amplitude = (slopes.amplitude_factor * sine).to(dtype)
        return [
            (by_angle, slopes.angle),
            (by_amplitude, slopes.amplitude),
            *terms,
        ]

    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return the plain waves that the atoms are, or that are nearest to them.

        If ``is_modulated`` is True and the waves run along one axis, the plain wave is
        the sinusoid that has the largest absolute cosine with the atom. Otherwise it is
        the least-squares plane through the angle, weighted by the squared amplitude.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        description : Description
            Folded plain waves and amplitudes, without further quantities.

        Notes
        -----
        The parameters of a modulated sinusoid do not identify its frequency. With n
        channels, each with a constant phase of its own, the frequencies f and f + T/n
        define the same atom.
        """
        on = self.runs_on(grid)
        angle, amplitude = self.angle_and_amplitude(params, grid)
        colour = self.colour(params, grid)
        norm = torch.linalg.vector_norm(colour, dim=1, keepdim=True)
        rms = (amplitude**2).mean(1).sqrt() * norm[:, 0]
        if self.is_modulated and on.n_axes == 1:
            return Description(nearest_waves(self.atoms(params, grid)), rms)
        frequency, phase = _plane_through(angle, amplitude**2, on)
        waves = Waves.of(frequency, phase, colour / norm).fold(on.sizes)
        return Description(waves, rms)


def _dense(terms: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return products of rows per atom and slopes as one tensor, (K, p, T)."""
    return torch.cat([factors[:, None] * slopes for factors, slopes in terms], 1)


def angle_at_centre(waves: Waves) -> torch.Tensor:
    """Return the angle of plain waves in the middle of the signal, shape (K,)."""
    return waves.phase + math.pi * waves.frequency.sum(1)


def own_colour(waves: Waves) -> torch.Tensor:
    """Return the colours as columns of the rows of parameters.

    With one channel there is no colour, and the result has no columns.
    """
    return waves.colour if waves.colour.shape[1] > 1 else waves.colour[:, :0]


def _plane_through(
    angle: torch.Tensor, weights: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit planes to angles, by weighted least squares.

    Returns wave vectors (K, D), in cycles per signal, and phases at the first sample
    (K,).
    """
    places = grid.coordinates(angle.device) + 0.5
    columns = torch.cat([places, torch.ones_like(places[:1])])
    products = (columns[:, None] * columns[None]).flatten(0, 1)
    normal = (weights @ products.T).reshape(-1, len(columns), len(columns))
    right = (weights * angle) @ columns.T
    damping = 1e-12 * normal.diagonal(dim1=1, dim2=2).sum(1)
    normal.diagonal(dim1=1, dim2=2).add_(damping[:, None])
    plane = torch.linalg.solve(normal, right[:, :, None])[:, :, 0]
    return plane[:, :-1] / (2 * math.pi), plane[:, -1]
