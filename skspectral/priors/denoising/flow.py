"""The probability flow from noise to codes, for draws and densities."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from skspectral._device import as_tensor
from skspectral.priors.denoising.denoiser import Denoiser, wiener_error

# Largest and smallest level of the noise, in units of the root mean square of the
# values, and the exponent that places more levels at the low end (Karras et al. 2022,
# equation 5).
LARGEST, _LEAST, _RHO = 40.0, 0.02, 7
# Number of points of the quadrature between two levels.
_N_POINTS = 33

# Function that returns F of a denoiser for noisy coordinates (n, K) and a noise level.
Correction = Callable[[Tensor, float], Tensor]


def noise_levels(n_steps: int) -> np.ndarray:
    """Return ``n_steps`` levels of the noise, largest first.

    The final level, zero, is not part of the array.
    """
    ends = np.array([LARGEST, _LEAST]) ** (1 / _RHO)
    return np.linspace(ends[0], ends[1], n_steps) ** _RHO


class Flow:
    """The probability flow, relative to the exact flow of the Gaussian.

    Noisy coordinates z at the noise level s follow dz/ds = (z - D(z, s)) / s (Song et
    al. 2021, equation 13; Karras et al. 2022, equation 1). If D is the Wiener estimate,
    z is proportional to (v + s^2)^(1/2). The relative coordinates
    y = z / (v + s^2)^(1/2) therefore follow

        dy/ds = -c F / (s (v + s^2)^(1/2))

    Without a correction F, y is constant, and N(0, I) becomes exactly the Gaussian in
    any number of steps. The equation is integrated by Heun's method, with the factors
    of F integrated over each step. F is evaluated ``2 * n_steps - 1`` times.
    """

    def __init__(self, denoiser: Denoiser, n_steps: int):
        self.levels = noise_levels(n_steps)
        self._like = denoiser.variances
        self._variances = denoiser.variances.double().cpu().numpy()
        weights = _weights(self._variances, denoiser.n_values, self.levels)
        self._weights = self.tensor(weights)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return a tensor with the device and the dtype of the denoiser."""
        return as_tensor(array, self._like.device, self._like.dtype)

    def spread(self, level: float) -> Tensor:
        """Return z / y, the standard deviations of the Gaussian's noisy coordinates."""
        return self.tensor(np.sqrt(self._variances + level**2))

    def draw(
        self, start: Tensor, correction: Correction, *, clean: bool = True
    ) -> Tensor:
        """Follow the flow from noisy coordinates (n, K) at the largest level.

        Return clean coordinates, or coordinates at the smallest level if not ``clean``.
        """
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
        """Return the log-density (n,), float64, of clean coordinates (n, K).

        The flow of `draw` is followed backwards. Its divergence is estimated with the
        ``probes`` (m, K), which are random vectors v with E v v' = I, the same ones for
        all rows (Hutchinson's estimator; Grathwohl et al. 2019).
        """

        def slope_and_trace(
            y: Tensor, weight: Tensor, level: float
        ) -> tuple[Tensor, Tensor]:
            """Return F, and the estimated trace of weight * dF/dy."""
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
            # The lower level comes first. The step to zero noise has only one level.
            for level in self.levels[i : i + 2][::-1]:
                steps.append(slope_and_trace(ahead, weight, level))
                ahead = y - weight * steps[-1][0]
            slopes, traces = (torch.stack(parts) for parts in zip(*steps, strict=True))
            y, log_volume = y - weight * slopes.mean(0), log_volume - traces.mean(0)
        log_normal = -(y.double() ** 2 + np.log(2 * np.pi)).sum(1) / 2
        return log_normal + log_volume - self.spread(0.0).double().log().sum()


def _weights(variances: np.ndarray, n_values: int, levels: np.ndarray) -> np.ndarray:
    """Return the integrals of c / (s (v + s^2)^(1/2)) over s between the levels.

    The last integral is from the smallest level to zero.
    """
    least = min(levels[-1], 0.01 * np.sqrt(variances[-1]))
    weights = []
    for above, below in pairwise([*levels, least]):
        logs = np.linspace(np.log(below), np.log(above), _N_POINTS)
        points = np.exp(logs)[:, None]
        error = wiener_error(variances, n_values, points)
        values = error / np.sqrt(variances + points**2)
        weights.append(np.trapezoid(values, logs, axis=0))
    # Far below the smallest standard deviation, c is proportional to s.
    weights[-1] += np.sqrt(len(variances) / n_values) * least / np.sqrt(variances)
    return np.array(weights)
