"""The Gaussian that a diffusion corrects, along the axes on which it is diagonal."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.gaussian.gaussian import principal_directions, variance_floor
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.synthesis import Synthesis


@dataclass(frozen=True, eq=False)
class SpectralLaw:
    """Codes are mean + unit z V, where entries of z are uncorrelated.

    Their variances sum to the number T of values of a signal: in this unit the root
    mean square of a value about the mean signal is 1.

    Attributes
    ----------
    mean : ndarray of shape (K,)
    axes : ndarray of shape (K, K)
        V, orthonormal rows; largest variance first.
    variances : ndarray of shape (K,)
        Of z. None is less than the rounding of the largest.
    unit : float
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    unit: float

    @classmethod
    def of(
        cls, codes: np.ndarray, synthesis: Synthesis, *, mirrored: bool
    ) -> "SpectralLaw":
        """Return the law of codes, or of these and those of mirrored signals.

        Raises
        ------
        ValueError
            If the codes do not vary.
        """
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
        unit = np.sqrt(variances.sum() / synthesis.axes.shape[1])
        floor = variance_floor(len(variances), variances[0])
        axes = np.ascontiguousarray(vectors.T)
        return cls(mean, axes, np.maximum(variances, floor) / unit**2, float(unit))

    def coordinates(self, codes: np.ndarray) -> np.ndarray:
        """Coordinates z of codes, shape (n, K)."""
        return (codes - self.mean) @ self.axes.T / self.unit

    def codes(self, coordinates: np.ndarray) -> np.ndarray:
        """Codes of coordinates z, shape (n, K)."""
        return coordinates @ (self.unit * self.axes) + self.mean

    def mirror(self, synthesis: Synthesis) -> tuple[np.ndarray, np.ndarray]:
        """Matrix M and offset o: z @ M + o are coordinates of the mirrored signals."""
        matrix, offset = synthesis.mirror()
        moved = self.mean @ matrix + offset - self.mean
        return self.axes @ matrix @ self.axes.T, moved @ self.axes.T / self.unit

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume of codes over that of coordinates."""
        return float(len(self.mean) * np.log(self.unit))
