"""The Gaussian that a diffusion corrects, in its principal coordinates."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.gaussian.gaussian import principal_directions, variance_floor
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.synthesis import Synthesis


@dataclass(frozen=True, eq=False)
class PrincipalGaussian:
    """Gaussian distribution of the codes mean + unit z V, with uncorrelated z.

    V, ``axes``, has orthonormal rows, that of the largest variance first. The
    ``variances`` (K,) of z are at least the rounding error of the largest one, and sum
    to the number T of values of a signal, ``n_values``: in this unit a value has a root
    mean square of 1 about the mean signal.
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
        """Fit to codes or, if ``mirrored``, to these and those of mirrored signals."""
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
        """Coordinates z of codes, shape (n, K)."""
        return (codes - self.mean) @ self.axes.T / self.unit

    def codes(self, coordinates: np.ndarray) -> np.ndarray:
        """Codes with the coordinates z, shape (n, K)."""
        return coordinates @ (self.unit * self.axes) + self.mean

    def mirror(self, synthesis: Synthesis) -> tuple[np.ndarray, np.ndarray]:
        """Matrix M and offset o: z @ M + o are the coordinates of mirrored signals."""
        matrix, offset = synthesis.mirror()
        moved = self.mean @ matrix + offset - self.mean
        return self.axes @ matrix @ self.axes.T, moved @ self.axes.T / self.unit
