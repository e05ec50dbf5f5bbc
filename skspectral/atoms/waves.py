"""Plain waves: the readable summary of atoms."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, replace

import torch

from skspectral.grid import Grid
from skspectral.moments.quadratic_form import QuadraticForm

# Gauss-Newton steps from the best frequency of a half-cycle grid. Few are enough: the
# start lies well inside the basin of the optimum.
_STEPS = 8


@dataclass(frozen=True)
class Waves:
    """K plain waves colour_c sin(2 pi sum_d f_d x_d + phase).

    The coordinate x_d of axis d is 0 at the first sample and grows by 1 per length of
    the axis.

    Different parameters can define equal samples, up to the sign. `fold` chooses one of
    them; the ranges below are those of folded waves.

    Parameters
    ----------
    frequency : tensor of shape (K, D)
        Wave vectors, in cycles per signal along each of the D axes. Folded frequencies
        lie within the Nyquist frequencies, and their first component that is not zero
        is positive.
    phase : tensor of shape (K,)
        Phases at the first sample, in radians. Folded phases lie in [0, pi).
    colour : tensor of shape (K, channels)
        Amplitudes in the channels, of unit norm. Folded colours have a sum of at least
        zero.
    sign : tensor of shape (K,)
        Factor +1 or -1 by which an atom must be multiplied to have this phase and
        colour.
    envelope : tensor of shape (K,), int64
        Index, into `AtomFamily.envelopes`, of the envelope in which the wave was
        selected. It is 0 if the wave was not selected.
    """

    frequency: torch.Tensor
    phase: torch.Tensor
    colour: torch.Tensor
    sign: torch.Tensor
    envelope: torch.Tensor

    @classmethod
    def of(
        cls,
        frequency: torch.Tensor,
        phase: torch.Tensor,
        colour: torch.Tensor | None = None,
        envelope: torch.Tensor | None = None,
    ) -> "Waves":
        """Return waves with the sign +1.

        Parameters
        ----------
        frequency : tensor of shape (K, D)
            Wave vectors, in cycles per signal along each axis.
        phase : tensor of shape (K,)
            Phases at the first sample, in radians.
        colour : tensor of shape (K, channels) or None, default=None
            Amplitudes in the channels, of unit norm. None means one channel.
        envelope : tensor of shape (K,), int64 or None, default=None
            Index of the envelope in which each wave was selected. None means the first
            envelope.

        Returns
        -------
        waves : Waves
            The waves, not folded.
        """
        one = torch.ones_like(phase)
        if colour is None:
            colour = one[:, None]
        if envelope is None:
            envelope = torch.zeros_like(phase, dtype=torch.int64)
        return cls(frequency, phase, colour, one, envelope)

    def at(self, order: torch.Tensor) -> "Waves":
        """Return the waves at given indices, in their order.

        Parameters
        ----------
        order : tensor of shape (n,), int64
            Indices of the waves to return.

        Returns
        -------
        waves : Waves
            The n chosen waves.
        """
        return Waves(*(part[order] for part in vars(self).values()))

    def to(self, device: torch.device) -> "Waves":
        """Return the waves on another device.

        Parameters
        ----------
        device : torch.device
            Device of the result.

        Returns
        -------
        waves : Waves
            The same waves.
        """
        return Waves(*(part.to(device) for part in vars(self).values()))

    def joined(self, other: "Waves") -> "Waves":
        """Return these waves, followed by other waves.

        Parameters
        ----------
        other : Waves
            Waves with the same number of axes and channels.

        Returns
        -------
        waves : Waves
            All waves of ``self``, then all waves of ``other``.
        """
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Waves(*(torch.cat(pair) for pair in pairs))

    def fold(self, sizes: tuple[int, ...]) -> "Waves":
        """Return folded waves, whose parameters lie in the ranges of this class.

        The samples of a folded wave, divided by its sign, equal those of the original
        wave, divided by the original sign.

        Parameters
        ----------
        sizes : tuple of int
            Number of samples along each axis.

        Returns
        -------
        waves : Waves
            The folded waves.
        """
        sizes_ = self.frequency.new_tensor(sizes)
        frequency = self.frequency - sizes_ * torch.round(self.frequency / sizes_)
        first = torch.zeros_like(self.phase)
        for component in frequency.flip(1).unbind(1):
            first = torch.where(component != 0, component, first)
        # Negative frequencies become positive: sin(-a + phase) = sin(a + pi - phase).
        backwards = first < 0
        frequency = torch.where(backwards[:, None], -frequency, frequency)
        phase = torch.where(backwards, math.pi - self.phase, self.phase)
        half_turns = torch.floor(phase / math.pi)
        phase = phase - math.pi * half_turns
        sign = self.sign * (1 - 2 * torch.remainder(half_turns, 2))
        # Rounding may leave a phase of exactly pi: a phase of 0 with the other sign.
        wrapped = phase >= math.pi
        negative = torch.where(self.colour.sum(1) < 0, -1.0, 1.0).to(phase)
        return replace(
            self,
            frequency=frequency,
            phase=torch.where(wrapped, torch.zeros_like(phase), phase),
            colour=self.colour * negative[:, None],
            sign=torch.where(wrapped, -sign, sign) * negative,
        )


def nearest_waves(atoms: torch.Tensor) -> Waves:
    """Return the sinusoid that has the largest absolute cosine with each atom.

    The best frequency of a half-cycle grid is refined by Gauss-Newton steps over
    frequency, phase and amplitude.

    Parameters
    ----------
    atoms : tensor of shape (K, T), float64
        Atoms on signals of one channel.

    Returns
    -------
    waves : Waves
        The K folded sinusoids.

    Notes
    -----
    Costs O(K T log T).
    """
    n_features = atoms.shape[1]
    time = torch.arange(n_features, dtype=atoms.dtype, device=atoms.device) / n_features
    frequency = _grid_frequency(atoms)
    explained, weights = _fit(atoms, _carriers(frequency, time))
    best, best_weights, best_frequency = explained, weights, frequency
    # At the frequencies 0 and T/2 the derivative is zero by symmetry. The descent
    # therefore starts a quarter of a cycle away from them.
    frequency = frequency.clamp(min(0.25, n_features / 4), n_features / 2 - 0.25)
    carriers = _carriers(frequency, time)
    _, weights = _fit(atoms, carriers)
    for _ in range(_STEPS):
        frequency = frequency + _newton_step(atoms, carriers, weights, time)
        carriers = _carriers(frequency, time)
        explained, weights = _fit(atoms, carriers)
        better = explained > best
        best = torch.where(better, explained, best)
        best_frequency = torch.where(better, frequency, best_frequency)
        best_weights = torch.where(better[:, None], weights, best_weights)
    # The fit is a cos + b sin, with time counted from the middle of the signal, where
    # its phase is atan2(a, b).
    phase = torch.atan2(best_weights[:, 0], best_weights[:, 1])
    phase = phase - math.pi * best_frequency
    return Waves.of(best_frequency[:, None], phase).fold((n_features,))


def _grid_frequency(atoms: torch.Tensor) -> torch.Tensor:
    """Return the grid frequency that explains most of each atom, shape (K,)."""
    n_features = atoms.shape[1]
    spectrum = torch.fft.rfft(atoms, 2 * n_features)
    in_phase, quadrature = spectrum.real, -spectrum.imag
    whole = QuadraticForm.of_identity(Grid((n_features,)), atoms).pencil()
    cos_cos, cos_sin = whole.cos_cos[0, 0], whole.cross[0, 0] / 2
    # The sine of frequency 0 is zero. The small constant keeps the solution finite.
    sin_sin = whole.sin_sin[0, 0] + 1e-9 * n_features
    explained = (
        sin_sin * in_phase**2
        - 2 * cos_sin * in_phase * quadrature
        + cos_cos * quadrature**2
    ) / (cos_cos * sin_sin - cos_sin**2)
    return explained.argmax(dim=1).to(atoms.dtype) / 2


def _carriers(frequency: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Return cosine and sine about the middle of the signal, shape (K, 2, T)."""
    angle = 2 * math.pi * frequency[:, None] * (time - 0.5)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def _solve(columns: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return least-squares weights (K, m) of columns (K, m, T) for targets (K, T).

    A small damping keeps dependent columns solvable.
    """
    gram = columns @ columns.mT
    damping = 1e-9 * gram.diagonal(dim1=1, dim2=2).sum(1)
    gram = gram + damping[:, None, None] * torch.eye(
        gram.shape[1], dtype=gram.dtype, device=gram.device
    )
    return torch.linalg.solve(gram, columns @ target[:, :, None])[:, :, 0]


def _fit(
    atoms: torch.Tensor, carriers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the energy that the carriers explain, (K,), and their weights, (K, 2)."""
    weights = _solve(carriers, atoms)
    wave = (weights[:, :, None] * carriers).sum(1)
    return (wave * atoms).sum(1), weights


def _newton_step(
    atoms: torch.Tensor,
    carriers: torch.Tensor,
    weights: torch.Tensor,
    time: torch.Tensor,
) -> torch.Tensor:
    """Return the Gauss-Newton step of the frequency, with the weights free to adapt."""
    cosine, sine = carriers.unbind(1)
    slope = (
        2 * math.pi * (time - 0.5) * (weights[:, 1:] * cosine - weights[:, :1] * sine)
    )
    wave = (weights[:, :, None] * carriers).sum(1)
    columns = torch.cat([carriers, slope[:, None]], dim=1)
    return _solve(columns, atoms - wave)[:, 2].clamp(-0.25, 0.25)
