"""Draws that agree with what is known of them."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral._linalg import cholesky
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.flow import Correction
from skspectral.priors.given import noise_of

# Relative to the mean variance of what is seen.
_RIDGE = 1e-9
_CPU = torch.device("cpu")


class Observation:
    """Linear functions B z of coordinates, seen as b, with noise or without.

    Where codes are Gaussian of variances v, the posterior of z given its noisy version
    of level s has some mean D and covariance C = diag(v s^2 / (v + s^2)), and given b
    as well the mean

        D + C B' (B C B' + r)^(-1) (b - B D)

    with the covariance r of the noise in b. That is used with the corrected D, too: an
    approximation there (moment matching: Song et al. 2023, pseudoinverse-guided
    diffusion), and exact for the Gaussian.

    Parameters
    ----------
    denoiser : Denoiser
    matrix : ndarray of shape (m, K)
        B.
    seen : ndarray of shape (n, m) or (m,)
        b.
    noise_variance : float or ndarray of shape (m, m)
        r, or its covariance.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        matrix: np.ndarray,
        seen: np.ndarray,
        noise_variance: float | np.ndarray,
    ):
        self._denoiser = denoiser
        self._noise_covariance, root = noise_of(noise_variance, len(matrix))
        self._variances = denoiser.variances.double().cpu().numpy()
        self._matrix = matrix
        self._seen = self._tensor(seen)
        self._to_seen = self._tensor(matrix.T)
        self._noise_root = self._tensor(root.T)
        self._gains: dict[float, torch.Tensor] = {}

    @property
    def n_numbers(self) -> int:
        """N(0, 1) numbers that `start` and `finish` need for each draw."""
        return len(self._variances) + len(self._matrix)

    def start(
        self, normal: torch.Tensor, noise: torch.Tensor, rows: slice, level: float
    ) -> torch.Tensor:
        """Noisy coordinates of a level, of the Gaussian given what is seen.

        From N(0, 1) numbers of shapes (n, n_numbers) and (n, K).
        """
        zero = torch.zeros_like(noise)
        return self._moved(zero, normal, rows, np.inf) + level * noise

    def finish(
        self,
        noisy: torch.Tensor,
        normal: torch.Tensor,
        rows: slice,
        level: float,
        correction: Correction,
    ) -> torch.Tensor:
        """Clean coordinates from noisy ones: a draw of the Gaussian posterior.

        Its mean is the estimate, corrected without what is seen.
        """
        return self._moved(self._clean(noisy, level, correction), normal, rows, level)

    def agreeing(self, correction: Correction, rows: slice) -> Correction:
        """F of estimates that agree with what is seen, for some of the n rows."""

        def agreed(noisy: torch.Tensor, level: float) -> torch.Tensor:
            noise = noisy.new_full((1, 1), level)
            clean = self._clean(noisy, level, correction)
            wiener = self._denoiser.gain(noise) * noisy
            pulled = self._pulled(clean, self._of(rows), level)
            return (pulled - wiener) / self._denoiser.error(noise)

        return agreed

    def _clean(
        self, noisy: torch.Tensor, level: float, correction: Correction
    ) -> torch.Tensor:
        noise = noisy.new_full((1, 1), level)
        return self._denoiser.estimate(noisy, noise, correction(noisy, level))

    def _moved(
        self, mean: torch.Tensor, normal: torch.Tensor, rows: slice, level: float
    ) -> torch.Tensor:
        """Draws of N(mean, C) given what is seen, by Matheron's rule."""
        free, of_seen = torch.tensor_split(normal, (len(self._variances),), dim=1)
        spread = self._tensor(np.sqrt(self._covariance(level))).to(free)
        noise = of_seen.double() @ self._noise_root
        return self._pulled(mean + spread * free, self._of(rows) - noise, level)

    def _of(self, rows: slice) -> torch.Tensor:
        return self._seen if self._seen.ndim == 1 else self._seen[rows]

    def _pulled(
        self, clean: torch.Tensor, seen: torch.Tensor, level: float
    ) -> torch.Tensor:
        """Estimates of coordinates, from noise of a level, moved to agree."""
        double = clean.double()
        moved = double + (seen - double @ self._to_seen) @ self._gain(level)
        return moved.to(clean)

    def _covariance(self, level: float) -> np.ndarray:
        """C, as a diagonal; without noisy coordinates for an infinite level."""
        return self._variances / (1 + self._variances / level**2)

    def _gain(self, level: float) -> torch.Tensor:
        """From differences of what is seen (m) to coordinates (K)."""
        if level not in self._gains:
            weighted = as_tensor(self._covariance(level) * self._matrix, _CPU)
            inner = weighted @ as_tensor(self._matrix.T, _CPU)
            inner += as_tensor(self._noise_covariance, _CPU)
            factor = cholesky(inner, _RIDGE)
            gain = torch.cholesky_solve(weighted, factor)
            self._gains[level] = gain.to(self._to_seen)
        return self._gains[level]

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return as_tensor(array, self._denoiser.variances.device, torch.float64)
