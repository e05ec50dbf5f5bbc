"""Mean, covariance and precision of samples under the model and its prior.

The coordinates of a sample in the orthonormal basis Q of the atoms have the covariance

    S = cov(prior without noise of variance v) + v I,

which is how the likelihood counts noise. Outside the span of the atoms there is noise
alone, so that a sample has the covariance v I + Q' (S - v I) Q. Its inverse has the
same form, with 1 / v and the inverse of S (Tipping and Bishop 1999, of one Gaussian).
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from skspectral._device import Samples
from skspectral.gaussian import Gaussian
from skspectral.likelihood import checked_coordinates
from skspectral.model import LinearModel
from skspectral.priors import Prior


@dataclass(frozen=True, eq=False)
class ModelCovariance:
    """The covariance of samples, as S in the span of the atoms and v outside.

    Attributes
    ----------
    inside : Gaussian
        Distribution with the mean and the covariance of the coordinates.
    basis : ndarray of shape (r, T)
    noise_variance : float
    """

    inside: Gaussian
    basis: np.ndarray
    noise_variance: float

    @classmethod
    def of(cls, model: LinearModel, prior: Prior, asked: str) -> "ModelCovariance":
        """Return that of a model and a fitted prior, for a method of the estimator.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        prior.require("gaussians", asked)
        noise = model.noise_variance
        clean = prior.mixture().without_noise(noise)
        covariance = clean.covariance
        covariance.flat[:: len(covariance) + 1] += noise
        _, _, basis = model.float64()
        return cls(Gaussian.from_covariance(clean.mean, covariance), basis, noise)

    @cached_property
    def _variances(self) -> np.ndarray:
        # Of S no variance is less than that of the noise, but for rounding.
        return np.maximum(self.inside.values, self.noise_variance)

    @property
    def _directions(self) -> np.ndarray:
        """Eigenvectors of S as signals, shape (r, T)."""
        return self.inside.vectors.T @ self.basis

    def covariance(self) -> np.ndarray:
        """Covariance of samples, shape (T, T)."""
        return self._whole(self._variances, self.noise_variance)

    def precision(self) -> np.ndarray:
        """Inverse of the covariance, shape (T, T)."""
        return self._whole(1 / self._variances, 1 / self.noise_variance)

    def _whole(self, inside: np.ndarray, outside: float) -> np.ndarray:
        directions = self._directions
        if len(directions) == directions.shape[1]:
            # Nothing is outside. That value may be far from the others.
            outside = 0.0
        matrix = (directions.T * (inside - outside)) @ directions
        matrix.flat[:: len(matrix) + 1] += outside
        return (matrix + matrix.T) / 2

    def squared_distances(
        self, coordinates: np.ndarray, squared_norm: np.ndarray
    ) -> np.ndarray:
        """Squared Mahalanobis distance of samples to the mean, shape (n,).

        From their coordinates (n, r) and the squared norms ||x - mean||^2, (n,), about
        the mean of the model.
        """
        along = (coordinates - self.inside.mean) @ self.inside.vectors
        distances = (along**2 / self._variances).sum(1)
        if len(self.basis) == self.basis.shape[1]:
            return distances
        rest = np.maximum(squared_norm - (coordinates**2).sum(1), 0.0)
        return distances + rest / self.noise_variance


def mahalanobis(
    model: LinearModel,
    prior: Prior,
    X: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray:
    """Squared Mahalanobis distance of each row of X to the mean, shape (n,)."""
    covariance = ModelCovariance.of(model, prior, "mahalanobis")
    found = checked_coordinates(model, X, device=device, batch_size=batch_size)
    return covariance.squared_distances(*found)
