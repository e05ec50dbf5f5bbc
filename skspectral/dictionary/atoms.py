"""Parameters of sinusoidal atoms -> the atoms and their derivatives."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor
from skspectral.dictionary.waves import Waves, fold, nearest_waves

_SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))


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
        """Return the plain sinusoid that is nearest to each atom.

        That of the atom itself where it does not drift. Where it does, the parameters
        do not tell: with a phase for each of n channels, f and f + T/n are one atom.
        """
        if len(self.basis) > 1:
            return nearest_waves(self.atoms(params))
        frequency, phase = params[:, 0], params[:, 1] * self.constant[0]
        return fold(frequency, phase - math.pi * frequency, len(self.time))
