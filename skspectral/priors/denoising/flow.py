"""The flow from noise to codes, for draws and densities."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from skspectral._device import as_tensor
from skspectral.priors.denoising.denoiser import Denoiser, wiener_error

# Largest and least level of the noise, in units of the root mean square of the values,
# and the exponent that puts more levels at the low end (Karras et al. 2022, eq. 5).
LARGEST, _LEAST, _RHO = 40.0, 0.02, 7
# Points of the quadrature between two levels.
_N_POINTS = 33

# F of a denoiser, from noisy coordinates (n, K) and a noise level.
Correction = Callable[[Tensor, float], Tensor]


def noise_levels(n_steps: int) -> np.ndarray:
    """``n_steps`` levels of the noise, largest first; zero, not listed, is the last."""
    ends = np.array([LARGEST, _LEAST]) ** (1 / _RHO)
    return np.linspace(ends[0], ends[1], n_steps) ** _RHO


class Flow:
    """The probability flow, relative to the exact flow of the Gaussian.

    Noisy coordinates z of level s follow dz/ds = (z - D(z, s)) / s (Song et al. 2021,
    equation 13; Karras et al. 2022, equation 1). Wiener's estimate alone would scale
    each of them by (v + s^2)^(1/2). Relative to that, y = z / (v + s^2)^(1/2),

        dy/ds = -c F / (s (v + s^2)^(1/2))

    so that y stands still without a correction, and N(0, I) becomes the Gaussian
    exactly in any number of steps. The method is Heun's, with the factors of F
    integrated over each step: it evaluates F ``2 * n_steps - 1`` times.
    """

    def __init__(self, denoiser: Denoiser, n_steps: int):
        self.levels = noise_levels(n_steps)
        self._like = denoiser.variances
        self._variances = denoiser.variances.double().cpu().numpy()
        weights = _weights(self._variances, denoiser.n_values, self.levels)
        self._weights = self.tensor(weights)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Tensor with the device and the type of the denoiser."""
        return as_tensor(array, self._like.device, self._like.dtype)

    def spread(self, level: float) -> Tensor:
        """Factors z / y: deviations of noisy coordinates under the Gaussian."""
        return self.tensor(np.sqrt(self._variances + level**2))

    def draw(
        self, start: Tensor, correction: Correction, *, clean: bool = True
    ) -> Tensor:
        """Coordinates (n, K), clean or of the least level, from the largest level."""
        y = start / self.spread(self.levels[0])
        for level, following, weight in zip(
            self.levels, self.levels[1:], self._weights[:-1], strict=False
        ):
            slope = correction(y * self.spread(level), level)
            ahead = (y + weight * slope) * self.spread(following)
            y = y + weight * (slope + correction(ahead, following)) / 2
        least = self.levels[-1]
        if not clean:
            return y * self.spread(least)
        y = y + self._weights[-1] * correction(y * self.spread(least), least)
        return y * self.spread(0.0)

    def log_density(self, z: Tensor, correction: Correction, probes: Tensor) -> Tensor:
        """Log-density of clean coordinates (n, K), float64, shape (n,).

        The flow of `draw` is followed backwards. Its divergence is estimated with
        ``probes`` (m, K), vectors v with E v v' = I (Hutchinson; Grathwohl et al.
        2019), the same for all rows.
        """

        def slope_and_trace(
            y: Tensor, weight: Tensor, level: float
        ) -> tuple[Tensor, Tensor]:
            """F, and the trace of weight dF/dy."""
            trace = torch.zeros(len(y), dtype=torch.float64, device=y.device)
            with torch.enable_grad():
                y = y.detach().requires_grad_()
                slope = correction(y * self.spread(level), level)
                for probe in probes if slope.requires_grad else ():
                    along = (weight * probe).expand_as(slope)
                    (moved,) = torch.autograd.grad(slope, y, along, retain_graph=True)
                    trace = trace + (moved * probe).sum(1) / len(probes)
            return slope.detach(), trace.detach()

        y = z / self.spread(0.0)
        log_volume = torch.zeros(len(z), dtype=torch.float64, device=z.device)
        for i in range(len(self.levels) - 1, -1, -1):
            weight, ahead, steps = self._weights[i], y, []
            # The lower level first; the last step, to no noise, has only one level.
            for level in self.levels[i : i + 2][::-1]:
                steps.append(slope_and_trace(ahead, weight, level))
                ahead = y - weight * steps[-1][0]
            slopes, traces = (torch.stack(parts) for parts in zip(*steps, strict=True))
            y, log_volume = y - weight * slopes.mean(0), log_volume - traces.mean(0)
        log_normal = -(y.double() ** 2 + np.log(2 * np.pi)).sum(1) / 2
        return log_normal + log_volume - self.spread(0.0).double().log().sum()


def _weights(variances: np.ndarray, n_values: int, levels: np.ndarray) -> np.ndarray:
    """Integrals of c / (s (v + s^2)^(1/2)) over s, between levels and down to zero."""
    least = min(levels[-1], 0.01 * np.sqrt(variances[-1]))
    weights = []
    for above, below in pairwise([*levels, least]):
        logs = np.linspace(np.log(below), np.log(above), _N_POINTS)
        points = np.exp(logs)[:, None]
        error = wiener_error(variances, n_values, points)
        values = error / np.sqrt(variances + points**2)
        weights.append(np.trapezoid(values, logs, axis=0))
    # Far below the least deviation, c is s times a constant.
    weights[-1] += np.sqrt(len(variances) / n_values) * least / np.sqrt(variances)
    return np.array(weights)
