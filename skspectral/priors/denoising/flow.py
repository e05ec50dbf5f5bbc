"""Draws and densities: along the flow from noise to codes."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral.priors.denoising.denoiser import Denoiser, wiener_error

# Noise from the largest to the least level, as a share of the root mean square of the
# values; closer together where there is little (Karras et al. 2022, equation 5).
_LARGEST, _LEAST, _RHO = 40.0, 0.02, 7
# Points of the quadrature between two levels.
_N_POINTS = 33

# F of a denoiser, from noisy coordinates (n, K) and a noise level.
Correction = Callable[[torch.Tensor, float], torch.Tensor]


def noise_levels(n_steps: int) -> np.ndarray:
    """``n_steps`` levels, largest first; after the last comes none."""
    ends = np.array([_LARGEST, _LEAST]) ** (1 / _RHO)
    return np.linspace(ends[0], ends[1], n_steps) ** _RHO


class Flow:
    """The probability flow, in coordinates in which the Gaussian's stands still.

    Noisy coordinates z of level s follow dz/ds = (z - D(z, s)) / s (Song et al. 2021,
    equation 13; Karras et al. 2022, equation 1). Wiener's estimate alone would move
    each by the factor (v + s^2)^(1/2). Relative to that, y = z / (v + s^2)^(1/2),

        dy/ds = -c F / (s (v + s^2)^(1/2))

    so that without a correction nothing moves, however few the steps: N(0, I) becomes
    the Gaussian exactly. Heun's method, with the factors of F integrated over a step.

    Parameters
    ----------
    denoiser : Denoiser
    n_steps : int
        Costs twice as many evaluations of F, less one.
    """

    def __init__(self, denoiser: Denoiser, n_steps: int):
        variances = denoiser.variances.double().cpu().numpy()
        self.levels = noise_levels(n_steps)
        self._like = denoiser.variances
        self._variances = variances
        self._weights = _weights(variances, denoiser.n_values, self.levels)

    def spread(self, level: float) -> torch.Tensor:
        """Of the noisy coordinates under the Gaussian: z / y."""
        return self.tensor(np.sqrt(self._variances + level**2))

    def start(self, normal: torch.Tensor) -> torch.Tensor:
        """Noisy coordinates of the largest level, from N(0, 1) numbers (n, K)."""
        return normal * self.spread(self.levels[0])

    def draw(
        self, start: torch.Tensor, correction: Correction, *, clean: bool = True
    ) -> torch.Tensor:
        """Clean coordinates from noisy ones of the largest level, (n, K).

        Or, if not ``clean``, noisy ones of the least level.
        """
        y = start / self.spread(self.levels[0])
        for i, level in enumerate(self.levels):
            last = i + 1 == len(self.levels)
            if last and not clean:
                return y * self.spread(level)
            weight = self.tensor(self._weights[i])
            slope = correction(y * self.spread(level), level)
            if not last:
                following = self.levels[i + 1]
                ahead = (y + weight * slope) * self.spread(following)
                slope = (slope + correction(ahead, following)) / 2
            y = y + weight * slope
        return y * self.spread(0.0)

    def log_density(
        self, z: torch.Tensor, correction: Correction, probes: torch.Tensor
    ) -> torch.Tensor:
        """Logarithm of the density of clean coordinates (n, K), float64, shape (n,).

        The divergence of the flow is estimated with ``probes`` (m, K), vectors v with
        E v v' = I (Hutchinson; Grathwohl et al. 2019), the same for all rows.
        """
        y = z / self.spread(0.0)
        log_volume = torch.zeros(len(z), dtype=torch.float64, device=z.device)
        with torch.enable_grad():
            for i in range(len(self.levels) - 1, -1, -1):
                y, change = self._up(y, i, correction, probes)
                log_volume = log_volume + change
        log_normal = -(y.double() ** 2 + np.log(2 * np.pi)).sum(1) / 2
        return log_normal + log_volume - self.spread(0.0).double().log().sum()

    def _up(
        self, y: torch.Tensor, i: int, correction: Correction, probes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The step of `draw` at level i, backwards; and log |dy / dy'|."""
        weight, level = self.tensor(self._weights[i]), self.levels[i]
        if i + 1 == len(self.levels):
            slope, trace = self._slope(y, weight, level, correction, probes)
            return y - weight * slope, -trace
        below = self.levels[i + 1]
        first, of_first = self._slope(y, weight, below, correction, probes)
        ahead = y - weight * first
        second, of_second = self._slope(ahead, weight, level, correction, probes)
        return y - weight * (first + second) / 2, -(of_first + of_second) / 2

    def _slope(
        self,
        y: torch.Tensor,
        weight: torch.Tensor,
        level: float,
        correction: Correction,
        probes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """F, and the trace of weight dF/dy."""
        y = y.detach().requires_grad_()
        slope = correction(y * self.spread(level), level)
        trace = torch.zeros(len(y), dtype=torch.float64, device=y.device)
        if slope.requires_grad:
            for probe in probes:
                (along,) = torch.autograd.grad(
                    slope, y, (weight * probe).expand_as(slope), retain_graph=True
                )
                trace = trace + (along * probe).sum(1) / len(probes)
        return slope.detach(), trace.detach()

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Where, and of what type, the denoiser is."""
        return as_tensor(array, self._like.device, self._like.dtype)


def _weights(variances: np.ndarray, n_values: int, levels: np.ndarray) -> np.ndarray:
    """Integrals of c / (s (v + s^2)^(1/2)) over s, between levels and to none."""
    rows = [
        _integral(variances, n_values, below, above)
        for above, below in pairwise(levels)
    ]
    # Below the least variance c is s times a constant.
    last = levels[-1]
    least = min(last, 0.01 * np.sqrt(variances[-1]))
    ratio = np.sqrt(len(variances) / n_values)
    rest = ratio * least / np.sqrt(variances)
    rows.append(_integral(variances, n_values, least, last) + rest)
    return np.array(rows)


def _integral(
    variances: np.ndarray, n_values: int, below: float, above: float
) -> np.ndarray:
    logs = np.linspace(np.log(below), np.log(above), _N_POINTS)
    points = np.exp(logs)[:, None]
    spread = np.sqrt(variances + points**2)
    return np.trapezoid(
        wiener_error(variances, n_values, points) / spread, logs, axis=0
    )
