"""Plain sinusoids: the readable summary of an atom."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch

from skspectral.dictionary.selection import QuadraticForm

# Gauss-Newton steps from the best of a half-cycle grid: far inside the basin.
_STEPS = 8


@dataclass(frozen=True)
class Waves:
    """The sinusoid that each atom follows best; tensors of shape (K,).

    ``frequency`` in cycles per signal within [0, T/2], ``phase`` in radians within
    [0, pi) at t = 0, ``sign`` by which the atom must be multiplied to have that phase.
    """

    frequency: torch.Tensor
    phase: torch.Tensor
    sign: torch.Tensor


def fold(frequency: torch.Tensor, phase: torch.Tensor, n_features: int) -> Waves:
    """Alias sampled sinusoids into frequencies [0, T/2] and phases [0, pi)."""
    frequency = frequency - n_features * torch.round(frequency / n_features)
    # sin(-a + phase) = sin(a + pi - phase)
    backwards = frequency < 0
    frequency = frequency.abs()
    phase = torch.where(backwards, math.pi - phase, phase)
    half_turns = torch.floor(phase / math.pi)
    phase = phase - math.pi * half_turns
    sign = 1 - 2 * torch.remainder(half_turns, 2)
    # Rounding may leave pi itself, which is 0 with the other sign.
    wrapped = phase >= math.pi
    return Waves(
        frequency=frequency,
        phase=torch.where(wrapped, torch.zeros_like(phase), phase),
        sign=torch.where(wrapped, -sign, sign),
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
    return fold(best_frequency, phase - math.pi * best_frequency, n_features)


def _grid_frequency(atoms: torch.Tensor) -> torch.Tensor:
    """Grid frequency whose cosine and sine explain most of each atom."""
    n_features = atoms.shape[1]
    spectrum = torch.fft.rfft(atoms, 2 * n_features)
    in_phase, quadrature = spectrum.real, -spectrum.imag
    cos_cos, cos_sin, sin_sin = QuadraticForm.of_identity(atoms[0]).entries()
    # At the frequency 0 there is no sine: the floor only keeps the solution finite.
    sin_sin = sin_sin + 1e-9 * n_features
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
