"""Parameters of sinusoidal atoms -> the atoms and their derivatives."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor

_SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))


@dataclass(frozen=True)
class Waves:
    """The sinusoid that each atom follows best.

    ``frequency`` in cycles per signal within [0, T/2], ``phase`` in radians within
    [0, pi) at t = 0, ``sign`` by which the atom must be multiplied to have that phase.
    """

    frequency: torch.Tensor
    phase: torch.Tensor
    sign: torch.Tensor


class Sinusoids:
    """Sinusoids whose amplitude and phase drift along fixed functions b_m(t).

    s_i(t) = A_i(t) sin(2 pi f_i (t - 1/2) + phi_i(t)),  A_i(t) = softplus(sum_m a_im
    b_m(t)),  phi_i(t) = sum_m p_im b_m(t),  t = 0, 1/T, .., (T-1)/T: equations (2), (3)
    and (5) of Kiruluta (2025). Time is counted from the middle, where frequency and
    phase are almost uncorrelated. With the constant as the only b_m the atoms are
    plain sinusoids.

    The parameters of K atoms are one tensor of shape (K, 1 + 2M), float64, with the
    columns f, p_1..p_M, a_1..a_M.

    Parameters
    ----------
    basis : ndarray of shape (M, T)
        The functions b_m.
    constant : ndarray of shape (M,)
        Coefficients of the function that is 1 everywhere.
    device : torch.device
    """

    def __init__(self, basis: np.ndarray, constant: np.ndarray, device: torch.device):
        self.basis = as_tensor(basis, device, torch.float64)
        self.constant = as_tensor(constant, device, torch.float64)
        n_features = basis.shape[1]
        index = torch.arange(n_features, dtype=torch.float64, device=device)
        self.time = index / n_features - 0.5

    def start(self, frequency: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        """Parameters of undrifting atoms sin(2 pi f t + phase), t from 0."""
        phase_at_centre = phase + math.pi * frequency
        return torch.cat(
            [
                frequency[:, None],
                phase_at_centre[:, None] * self.constant,
                (_SOFTPLUS_INVERSE_OF_ONE * self.constant).expand(len(frequency), -1),
            ],
            dim=1,
        )

    def _split(self, params: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Angle, raw amplitude: both (K, T)."""
        n_terms = len(self.basis)
        angle = 2 * math.pi * params[:, :1] * self.time
        angle = angle + params[:, 1 : 1 + n_terms] @ self.basis
        return angle, params[:, 1 + n_terms :] @ self.basis

    def atoms(self, params: torch.Tensor) -> torch.Tensor:
        """The atoms, shape (K, T), float64, not normalised; differentiable."""
        angle, amplitude = self._split(params)
        return softplus(amplitude) * angle.sin()

    def jacobian(self, params: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Derivatives of the atoms by their parameters, shape (K, 1 + 2M, T)."""
        angle, raw = self._split(params)
        by_phase = (softplus(raw) * angle.cos()).to(dtype)[:, None]
        by_amplitude = (raw.sigmoid() * angle.sin()).to(dtype)[:, None]
        basis = self.basis.to(dtype)
        by_frequency = 2 * math.pi * self.time.to(dtype) * by_phase
        return torch.cat([by_frequency, by_phase * basis, by_amplitude * basis], dim=1)

    def amplitude(self, params: torch.Tensor) -> torch.Tensor:
        """Root mean square of A_i(t), shape (K,)."""
        return (softplus(self._split(params)[1]) ** 2).mean(1).sqrt()

    def waves(self, params: torch.Tensor) -> Waves:
        """Frequency and phase of the straight line that fits each atom's angle best.

        The line is fitted with weights A_i(t)^2. A drift of the phase may contain a
        trend, which is a change of frequency: this counts it as one.
        """
        angle, raw = self._split(params)
        weight = softplus(raw) ** 2
        weight = weight / weight.sum(1, keepdim=True)
        centre = (weight * self.time).sum(1, keepdim=True)
        lag = self.time - centre
        spread = (weight * lag**2).sum(1).clamp_min(torch.finfo(weight.dtype).tiny)
        slope = (weight * lag * angle).sum(1) / spread
        slope = torch.where(slope.isfinite(), slope, 2 * math.pi * params[:, 0])
        level = (weight * angle).sum(1) - slope * centre[:, 0]
        frequency = slope / (2 * math.pi)
        return fold(frequency, level - slope / 2, len(self.time))


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
