"""The Gaussian distribution that a diffusion corrects, in principal coordinates."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.gaussian.gaussian import principal_directions, variance_floor
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.synthesis import Synthesis


@dataclass(frozen=True, eq=False)
class PrincipalGaussian:
    """Gaussian distribution of the codes ``mean + unit * z @ axes``.

    The coordinates z are uncorrelated. ``axes`` (K, K) has orthonormal rows, the
    principal axes, largest variance first. The ``variances`` (K,) of z are raised to
    the rounding error of the largest one. ``unit`` is the root mean square of the
    values of the centred signals, so that the variances sum to ``n_values``, the number
    T of values per signal.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    unit: float
    n_values: int

    @classmethod
    def fit(
        cls, codes: np.ndarray, synthesis: Synthesis, *, mirrored: bool
    ) -> "PrincipalGaussian":
        """Fit to codes and, if ``mirrored``, also to the codes of mirrored signals."""
        gaussian = GaussianPrior().fit(codes)
        mean, covariance = gaussian.mean_, gaussian.covariance_
        if mirrored:
            matrix, offset = synthesis.mirror()
            other = mean @ matrix + offset
            apart = (mean - other) / 2
            covariance = (covariance + matrix.T @ covariance @ matrix) / 2
            covariance += np.outer(apart, apart)
            mean = (mean + other) / 2
        vectors, variances = principal_directions(covariance)
        n_values = synthesis.basis.shape[1]
        unit = float(np.sqrt(variances.sum() / n_values))
        floor = variance_floor(len(variances), variances[0])
        axes = np.ascontiguousarray(vectors.T)
        variances = np.maximum(variances, floor) / unit**2
        return cls(mean, axes, variances, unit, n_values)

    def coordinates(self, codes: np.ndarray) -> np.ndarray:
        """Return the coordinates z (n, K) of codes (n, K)."""
        return (codes - self.mean) @ self.axes.T / self.unit

    def codes(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the codes (n, K) with the coordinates z (n, K)."""
        return coordinates @ (self.unit * self.axes) + self.mean

    def mirror(self, synthesis: Synthesis) -> tuple[np.ndarray, np.ndarray]:
        """Return M and o such that mirroring signals maps z to ``z @ M + o``."""
        matrix, offset = synthesis.mirror()
        moved = self.mean @ matrix + offset - self.mean
        return self.axes @ matrix @ self.axes.T, moved @ self.axes.T / self.unit
