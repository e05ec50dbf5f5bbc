"""The base class of atoms that are waves with a varying amplitude and angle."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import abstractmethod
from dataclasses import replace
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

    If ``complex_patterns`` is True, each channel has a phase of its own: the atoms are
    A(t) (colour_c sin(angle(t)) + quadrature_c cos(angle(t))), and the last parameters
    of an atom are its colour and its quadrature.

    Attributes
    ----------
    complex_patterns : bool
        Whether each channel has a phase of its own. The default is False.
    is_modulated : bool
        Whether the phase may deviate from a straight line or plane. If it may,
        `describe` searches for the sinusoid that is nearest to the atom of a signal,
        instead of fitting a line to the angle. The default is False.

    References
    ----------
    Equation (2) of Kiruluta (2025), extended by the colour.
    """

    is_modulated: bool = False
    complex_patterns: bool = False

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
        if channels == 1:
            return torch.ones_like(rows[:, :1])
        return (
            rows[:, -2 * channels : -channels]
            if self.complex_patterns
            else (rows[:, -channels:])
        )

    def quadrature(self, params: torch.Tensor, grid: Grid) -> torch.Tensor | None:
        """Return the amplitudes in the channels of the waves a quarter cycle ahead.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        quadrature : tensor of shape (K, channels), float64, or None
            Factors of A(t) cos(angle(t)), not normalised. None means 0.
        """
        channels = self.runs_on(grid).channels
        if channels == 1 or not self.complex_patterns:
            return None
        return self.rows(params, grid)[:, -channels:]

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
        own = on.channel_indicator(wave.device)
        atoms = (self.colour(params, grid) @ own) * wave
        quadrature = self.quadrature(params, grid)
        if quadrature is None:
            return atoms
        return atoms + (quadrature @ own) * (amplitude * angle.cos())

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
            quadrature = self.quadrature(params, grid)
            if quadrature is None:
                sine, cosine = colour * sine, colour * cosine
            else:
                terms.append(((amplitude * cosine).to(dtype), own.to(dtype)))
                ahead = quadrature @ own
                sine, cosine = (
                    colour * sine + ahead * cosine,
                    colour * cosine - ahead * sine,
                )
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
            Folded plain waves and amplitudes. With complex patterns, the further
            quantity "patterns", (K, channels), complex128, is such that an atom is
            proportional to Re(pattern_c) sin(angle) + Im(pattern_c) cos(angle) with the
            angle of the plain wave. The sum of its squares is a positive number.

        Notes
        -----
        The parameters of a modulated sinusoid do not identify its frequency. With n
        channels, each with a constant phase of its own, the frequencies f and f + T/n
        define the same atom.
        """
        on = self.runs_on(grid)
        angle, amplitude = self.angle_and_amplitude(params, grid)
        colour = self.colour(params, grid)
        quadrature = self.quadrature(params, grid)
        pattern = None
        norm = torch.linalg.vector_norm(colour, dim=1, keepdim=True)
        if quadrature is not None:
            pattern = torch.complex(colour, quadrature)
            norm = torch.linalg.vector_norm(pattern, dim=1, keepdim=True)
            # The phase that the pattern and the angle share is that of the angle.
            turn = (pattern**2).sum(1, keepdim=True).angle() / 2
            pattern, angle = pattern * torch.exp(-1j * turn), angle + turn
            colour = pattern.real
        rms = (amplitude**2).mean(1).sqrt() * norm[:, 0]
        if self.is_modulated and on.n_axes == 1:
            waves = nearest_waves(on.first_channel(amplitude * angle.sin()))
            waves = replace(waves, colour=colour / norm).fold(on.sizes)
        else:
            frequency, phase = _plane_through(angle, amplitude**2, on)
            waves = Waves.of(frequency, phase, colour / norm).fold(on.sizes)
        if pattern is None:
            return Description(waves, rms)
        patterns = _patterns_at(waves, pattern / norm, angle, on)
        return Description(waves, rms, {"patterns": patterns})


def _dense(terms: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return products of rows per atom and slopes as one tensor, (K, p, T)."""
    return torch.cat([factors[:, None] * slopes for factors, slopes in terms], 1)


def angle_at_centre(waves: Waves) -> torch.Tensor:
    """Return the angle of plain waves in the middle of the signal, shape (K,)."""
    return waves.phase + math.pi * waves.frequency.sum(1)


def own_colour(waves: Waves, complex_patterns: bool = False) -> torch.Tensor:
    """Return the colours as columns of the rows of parameters.

    With one channel there is no colour, and the result has no columns. With complex
    patterns, columns of zeros for the quadrature follow.
    """
    if waves.colour.shape[1] == 1:
        return waves.colour[:, :0]
    if not complex_patterns:
        return waves.colour
    return torch.cat([waves.colour, torch.zeros_like(waves.colour)], dim=1)


def _patterns_at(
    waves: Waves, pattern: torch.Tensor, angle: torch.Tensor, grid: Grid
) -> torch.Tensor:
    """Return complex patterns that belong to the angles of folded plain waves.

    The given patterns belong to the angles before they were folded, (K, T).
    """
    places = grid.coordinates(angle.device) + 0.5
    plain = 2 * math.pi * waves.frequency @ places + waves.phase[:, None]
    # Folding reflects some angles, a to -a or pi - a, and shifts others by half turns.
    forwards = torch.exp(1j * (angle - plain)).mean(1)
    backwards = torch.exp(1j * (angle + plain)).mean(1)
    reflected = backwards.abs() > forwards.abs()
    # sin(a) with a = -b + s equals sin(b + pi - s), and cos(a) = -cos(b + pi - s).
    turn = torch.where(reflected, math.pi - backwards.angle(), forwards.angle())
    pattern = torch.where(reflected[:, None], pattern.conj(), pattern)
    return waves.sign[:, None] * pattern * torch.exp(1j * turn)[:, None]


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
