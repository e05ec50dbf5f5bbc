"""Draws of codes given observed values of linear functions."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from torch import Tensor

from skspectral._device import as_tensor
from skspectral.gaussian.observation import CovarianceForm, noise_and_root, updated
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.flow import Correction, Flow

_CPU = torch.device("cpu")


class Conditioner:
    """Draws of coordinates z given an observation b of B z.

    If the coordinates are Gaussian with the variances v, the posterior of z given noisy
    coordinates of level s has a mean D and the covariance C = diag(v s^2 / (v + s^2)).
    Given b as well, whose noise has the covariance R, the posterior mean is

        D + C B' (B C B' + R)^(-1) (b - B D).

    The same formula is used with the D that the network corrects. It is exact for the
    Gaussian and an approximation otherwise (moment matching; J. Song et al. 2023,
    Pseudoinverse-guided diffusion models for inverse problems).

    ``values`` (m,) or (n, m) are observations of ``operator @ code``. ``noise`` is the
    variance of white noise in them, or the covariance (m, m) of their noise.
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
        self._gains: dict[float, Tensor] = {}

    @property
    def n_normal(self) -> int:
        """Number of N(0, 1) numbers that `draw` needs per row, 3 K + 2 m."""
        return 3 * len(self._variances) + 2 * len(self._matrix)

    def draw(
        self, flow: Flow, normal: Tensor, correction: Correction, rows: slice
    ) -> Tensor:
        """Return clean coordinates (n, K), given N(0, 1) numbers (n, n_normal).

        The start is a draw from the Gaussian given the observation, plus noise of the
        largest level. It follows the flow of the estimates given the observation to the
        smallest level. The clean coordinates are then drawn from the posterior given
        the observation, with the network's estimate without the observation as the
        mean before conditioning. ``rows`` are the rows of the observed values.
        """
        observed = self._observed if self._observed.ndim == 1 else self._observed[rows]
        n_per_draw = len(self._variances) + len(self._matrix)
        first, last, noise = normal.tensor_split((n_per_draw, 2 * n_per_draw), dim=1)

        def clean(noisy: Tensor, level: float) -> Tensor:
            s = noisy.new_full((1, 1), level)
            return self._denoiser.estimate(noisy, s, correction(noisy, level))

        def conditioned(noisy: Tensor, level: float) -> Tensor:
            s = noisy.new_full((1, 1), level)
            moved = self._updated(clean(noisy, level), observed, level)
            return self._denoiser.correction_to(moved, noisy, s)

        start = self._drawn(torch.zeros_like(noise), first, observed, np.inf)
        start = start + flow.levels[0] * noise
        noisy, least = flow.draw(start, conditioned, clean=False), flow.levels[-1]
        return self._drawn(clean(noisy, least), last, observed, least)

    def _drawn(
        self, mean: Tensor, normal: Tensor, observed: Tensor, level: float
    ) -> Tensor:
        """Return draws from N(mean, C) given the observation (Matheron's rule)."""
        free, of_noise = normal.tensor_split((len(self._variances),), dim=1)
        spread = self._tensor(np.sqrt(self._covariance(level))).to(free)
        noise = of_noise.double() @ self._noise_root.T
        return self._updated(mean + spread * free, observed, level, noise)

    def _updated(
        self, z: Tensor, observed: Tensor, level: float, noise: Tensor | float = 0.0
    ) -> Tensor:
        """Condition estimates on the observation.

        ``z`` holds posterior means before conditioning, with ``noise=0``, or draws
        before conditioning, with draws of the noise of the observation.
        """
        double, gain = z.double(), self._gain(level)
        of_z = double @ self._to_observed + noise
        return updated(double, of_z, observed, lambda left: left @ gain).to(z)

    def _covariance(self, level: float) -> np.ndarray:
        """Return the diagonal of C, which is v at an infinite level."""
        return self._variances / (1 + self._variances / level**2)

    def _gain(self, level: float) -> Tensor:
        """Return the matrix (m, K) that maps innovations b - B D to changes of D."""
        if level not in self._gains:
            root = np.sqrt(self._covariance(level))
            through = as_tensor(self._matrix * root, _CPU)
            gain = CovarianceForm(through, *self._noise).gain * as_tensor(root, _CPU)
            self._gains[level] = gain.to(self._to_observed)
        return self._gains[level]

    def _tensor(self, array: np.ndarray | Tensor) -> Tensor:
        return as_tensor(array, self._denoiser.variances.device, torch.float64)
