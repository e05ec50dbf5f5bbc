"""Plain waves: the readable summary of an atom."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, replace

import torch

from skspectral.grid import Grid
from skspectral.moments.quadratic_form import QuadraticForm

# Gauss-Newton steps from the best of a half-cycle grid: far inside the basin.
_STEPS = 8


@dataclass(frozen=True)
class Waves:
    """K waves colour_c sin(2 pi sum_d f_d x_d + phase), x from 0 along each axis.

    Attributes
    ----------
    frequency : tensor of shape (K, D)
        Cycles along each axis. Once folded, within the Nyquist frequencies, the first
        component that is not zero positive.
    phase : tensor of shape (K,)
        Radians; once folded, in [0, pi).
    colour : tensor of shape (K, channels)
        Of unit norm; once folded, with a sum that is not negative.
    sign : tensor of shape (K,)
        By which an atom must be multiplied to have this phase and colour.
    envelope : tensor of shape (K,), int64
        Number of the envelope in which the wave was selected, among those of its
        family; 0 where it was not selected.
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
        """Return waves with the sign +1, by default of one channel."""
        one = torch.ones_like(phase)
        if colour is None:
            colour = one[:, None]
        if envelope is None:
            envelope = torch.zeros_like(phase, dtype=torch.int64)
        return cls(frequency, phase, colour, one, envelope)

    def at(self, order: torch.Tensor) -> "Waves":
        """Return some of them, in the given order."""
        return Waves(*(part[order] for part in vars(self).values()))

    def to(self, device: torch.device) -> "Waves":
        """Return the waves on a device."""
        return Waves(*(part.to(device) for part in vars(self).values()))

    def joined(self, other: "Waves") -> "Waves":
        """Return these and then the others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Waves(*(torch.cat(pair) for pair in pairs))

    def fold(self, sizes: tuple[int, ...]) -> "Waves":
        """Return the same samples in the folded form."""
        sizes_ = self.frequency.new_tensor(sizes)
        frequency = self.frequency - sizes_ * torch.round(self.frequency / sizes_)
        first = torch.zeros_like(self.phase)
        for component in frequency.flip(1).unbind(1):
            first = torch.where(component != 0, component, first)
        # sin(-a + phase) = sin(a + pi - phase)
        backwards = first < 0
        frequency = torch.where(backwards[:, None], -frequency, frequency)
        phase = torch.where(backwards, math.pi - self.phase, self.phase)
        half_turns = torch.floor(phase / math.pi)
        phase = phase - math.pi * half_turns
        sign = self.sign * (1 - 2 * torch.remainder(half_turns, 2))
        # Rounding may leave pi itself, which is 0 with the other sign.
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
    """Sinusoid with the largest |cosine| to each atom, shape (K, T), float64.

    The best of a half-cycle grid, then least squares over frequency and phase.
    O(K T log T).
    """
    n_features = atoms.shape[1]
    time = torch.arange(n_features, dtype=atoms.dtype, device=atoms.device) / n_features
    frequency = _grid_frequency(atoms)
    explained, weights = _fit(atoms, _carriers(frequency, time))
    best, best_weights, best_frequency = explained, weights, frequency
    # At 0 and at T/2 the slope is zero, by symmetry: the descent starts beside them.
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
    # a cos + b sin, about the middle of the signal
    phase = torch.atan2(best_weights[:, 0], best_weights[:, 1])
    phase = phase - math.pi * best_frequency
    return Waves.of(best_frequency[:, None], phase).fold((n_features,))


def _grid_frequency(atoms: torch.Tensor) -> torch.Tensor:
    """Grid frequency whose cosine and sine explain most of each atom."""
    n_features = atoms.shape[1]
    spectrum = torch.fft.rfft(atoms, 2 * n_features)
    in_phase, quadrature = spectrum.real, -spectrum.imag
    whole = QuadraticForm.of_identity(Grid((n_features,)), atoms).pencil()
    cos_cos, cos_sin = whole.cos_cos[0, 0], whole.cross[0, 0] / 2
    # At the frequency 0 there is no sine: the floor only keeps the solution finite.
    sin_sin = whole.sin_sin[0, 0] + 1e-9 * n_features
    explained = (
        sin_sin * in_phase**2
        - 2 * cos_sin * in_phase * quadrature
        + cos_cos * quadrature**2
    ) / (cos_cos * sin_sin - cos_sin**2)
    return explained.argmax(dim=1).to(atoms.dtype) / 2


def _carriers(frequency: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Cosine and sine about the middle of the signal, shape (K, 2, T)."""
    angle = 2 * math.pi * frequency[:, None] * (time - 0.5)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def _solve(columns: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Least squares of each target (K, T) on its columns (K, m, T), slightly damped."""
    gram = columns @ columns.mT
    damping = 1e-9 * gram.diagonal(dim1=1, dim2=2).sum(1)
    gram = gram + damping[:, None, None] * torch.eye(
        gram.shape[1], dtype=gram.dtype, device=gram.device
    )
    return torch.linalg.solve(gram, columns @ target[:, :, None])[:, :, 0]


def _fit(
    atoms: torch.Tensor, carriers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energy explained by cosine and sine of a frequency, and their weights."""
    weights = _solve(carriers, atoms)
    wave = (weights[:, :, None] * carriers).sum(1)
    return (wave * atoms).sum(1), weights


def _newton_step(
    atoms: torch.Tensor,
    carriers: torch.Tensor,
    weights: torch.Tensor,
    time: torch.Tensor,
) -> torch.Tensor:
    """Gauss-Newton step of the frequency, the weights being free."""
    cosine, sine = carriers.unbind(1)
    slope = (
        2 * math.pi * (time - 0.5) * (weights[:, 1:] * cosine - weights[:, :1] * sine)
    )
    wave = (weights[:, :, None] * carriers).sum(1)
    columns = torch.cat([carriers, slope[:, None]], dim=1)
    return _solve(columns, atoms - wave)[:, 2].clamp(-0.25, 0.25)
