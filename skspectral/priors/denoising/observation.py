"""Draws that agree with an observation."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral.gaussian.observation import CovarianceForm, noise_and_root, updated
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.flow import Correction

_CPU = torch.device("cpu")


class Conditioner:
    """Estimates and draws of coordinates z that agree with an observation b of B z.

    Where codes are Gaussian with the variances v, the posterior of z given its noisy
    version of level s has a mean D and the covariance C = diag(v s^2 / (v + s^2)).
    Given b as well, whose noise has the covariance R, its mean is

        D + C B' (B C B' + R)^(-1) (b - B D).

    This is used with the corrected D, too. There it is an approximation (moment
    matching: Song et al. 2023, pseudoinverse-guided diffusion); for the Gaussian it is
    exact.

    Parameters
    ----------
    denoiser : Denoiser
    operator : ndarray of shape (m, K)
        Of codes: ``operator @ code``, plus noise, is observed.
    values : ndarray of shape (m,) or (n, m)
        What was observed.
    noise : float or ndarray of shape (m, m)
        Variance of white noise, or covariance of any.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        operator: np.ndarray,
        values: np.ndarray,
        noise: float | np.ndarray,
    ):
        self._denoiser = denoiser
        codes = denoiser.distribution
        self._noise = noise_and_root(noise, len(operator))
        self._variances = denoiser.variances.double().cpu().numpy()
        self._matrix = codes.unit * operator @ codes.axes.T
        self._observed = self._tensor(values - operator @ codes.mean)
        self._to_observed = self._tensor(self._matrix.T)
        self._noise_root = self._tensor(self._noise[1])
        self._gains: dict[float, torch.Tensor] = {}

    @property
    def n_numbers(self) -> int:
        """N(0, 1) numbers that `start` and `finish` need for each draw."""
        return len(self._variances) + len(self._matrix)

    def start(
        self, normal: torch.Tensor, noise: torch.Tensor, rows: slice, level: float
    ) -> torch.Tensor:
        """Noisy coordinates of a level, for the Gaussian given the observation.

        From N(0, 1) numbers of shapes (n, n_numbers) and (n, K).
        """
        zero = torch.zeros_like(noise)
        return self._drawn(zero, normal, rows, np.inf) + level * noise

    def finish(
        self,
        noisy: torch.Tensor,
        normal: torch.Tensor,
        rows: slice,
        level: float,
        correction: Correction,
    ) -> torch.Tensor:
        """Clean coordinates from noisy ones: a draw of the Gaussian posterior.

        Its mean is the estimate that the network corrects without the observation.
        """
        return self._drawn(self._clean(noisy, level, correction), normal, rows, level)

    def agreeing(self, correction: Correction, rows: slice) -> Correction:
        """F of estimates that agree with the observation, for some of the n rows."""

        def agreed(noisy: torch.Tensor, level: float) -> torch.Tensor:
            noise = noisy.new_full((1, 1), level)
            clean = self._clean(noisy, level, correction)
            wiener = self._denoiser.gain(noise) * noisy
            return (self._updated(clean, rows, level) - wiener) / self._denoiser.error(
                noise
            )

        return agreed

    def _clean(
        self, noisy: torch.Tensor, level: float, correction: Correction
    ) -> torch.Tensor:
        noise = noisy.new_full((1, 1), level)
        return self._denoiser.estimate(noisy, noise, correction(noisy, level))

    def _drawn(
        self, mean: torch.Tensor, normal: torch.Tensor, rows: slice, level: float
    ) -> torch.Tensor:
        """Draws of N(mean, C) given the observation."""
        free, of_noise = torch.tensor_split(normal, (len(self._variances),), dim=1)
        spread = self._tensor(np.sqrt(self._covariance(level))).to(free)
        noise = of_noise.double() @ self._noise_root.T
        return self._updated(mean + spread * free, rows, level, noise)

    def _updated(
        self,
        z: torch.Tensor,
        rows: slice,
        level: float,
        noise: torch.Tensor | float = 0.0,
    ) -> torch.Tensor:
        """Estimates, or draws with their draws of the noise, moved to agree."""
        observed = self._observed if self._observed.ndim == 1 else self._observed[rows]
        double, gain = z.double(), self._gain(level)
        of_z = double @ self._to_observed + noise
        return updated(double, of_z, observed, lambda left: left @ gain).to(z)

    def _covariance(self, level: float) -> np.ndarray:
        """Diagonal of C; the prior's variances for an infinite level."""
        return self._variances / (1 + self._variances / level**2)

    def _gain(self, level: float) -> torch.Tensor:
        """From innovations (m) to coordinates (K)."""
        if level not in self._gains:
            root = np.sqrt(self._covariance(level))
            through = as_tensor(self._matrix * root, _CPU)
            gain = CovarianceForm(through, *self._noise).gain * as_tensor(root, _CPU)
            self._gains[level] = gain.to(self._to_observed)
        return self._gains[level]

    def _tensor(self, array: np.ndarray | torch.Tensor) -> torch.Tensor:
        return as_tensor(array, self._denoiser.variances.device, torch.float64)
