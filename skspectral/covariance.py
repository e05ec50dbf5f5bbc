"""Covariance, precision and Mahalanobis distances under the model and its prior.

The coordinates of a sample in the orthonormal basis Q of the atoms have the covariance

    S = cov(prior without noise of variance v) + v I,

as in the likelihood. Outside the span of the atoms a sample consists of noise only. A
sample therefore has the covariance v I + Q' (S - v I) Q. The inverse has the same form,
with 1 / v and the inverse of S in place of v and S (Tipping and Bishop 1999, for one
Gaussian).
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
    """Covariance of samples: S in the span of the atoms, and v I outside.

    Attributes
    ----------
    inside : Gaussian
        Gaussian with the mean and the covariance S of the coordinates.
    basis : ndarray of shape (r, T)
        Orthonormal basis Q of the span of the atoms.
    noise_variance : float
        Variance v of the noise.
    """

    inside: Gaussian
    basis: np.ndarray
    noise_variance: float

    @classmethod
    def of(cls, model: LinearModel, prior: Prior, method: str) -> "ModelCovariance":
        """Return the covariance of samples under a model and its fitted prior.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians. The error names the ``method`` of the
            estimator that was called.
        """
        prior.require("gaussians", method)
        noise = model.noise_variance
        clean = prior.mixture().without_noise(noise)
        covariance = clean.covariance
        covariance.flat[:: len(covariance) + 1] += noise
        _, _, basis = model.float64()
        return cls(Gaussian.from_covariance(clean.mean, covariance), basis, noise)

    @cached_property
    def _variances(self) -> np.ndarray:
        # The eigenvalues of S are at least the noise variance, up to rounding.
        return np.maximum(self.inside.values, self.noise_variance)

    @property
    def _directions(self) -> np.ndarray:
        """Eigenvectors of S as signals, shape (r, T)."""
        return self.inside.vectors.T @ self.basis

    def covariance(self) -> np.ndarray:
        """Return the covariance of samples, shape (T, T)."""
        return self._matrix(self._variances, self.noise_variance)

    def precision(self) -> np.ndarray:
        """Return the inverse of the covariance, shape (T, T)."""
        return self._matrix(1 / self._variances, 1 / self.noise_variance)

    def _matrix(self, inside: np.ndarray, outside: float) -> np.ndarray:
        """Return the matrix with given eigenvalues inside and outside the span."""
        directions = self._directions
        if len(directions) == directions.shape[1]:
            # There is nothing outside the span, and to add and subtract an eigenvalue
            # much larger than the others would cost digits.
            outside = 0.0
        matrix = (directions.T * (inside - outside)) @ directions
        matrix.flat[:: len(matrix) + 1] += outside
        return (matrix + matrix.T) / 2

    def squared_distances(
        self, coordinates: np.ndarray, squared_norm: np.ndarray
    ) -> np.ndarray:
        """Return the squared Mahalanobis distance of samples to the mean, shape (n,).

        The samples are given by their coordinates (n, r), and by the squared norms (n,)
        of x minus the mean of the linear model.
        """
        along = (coordinates - self.inside.mean) @ self.inside.vectors
        distances = (along**2 / self._variances).sum(1)
        if len(self.basis) == self.basis.shape[1]:
            return distances
        rest = np.maximum(squared_norm - (coordinates**2).sum(1), 0.0)
        return distances + rest / self.noise_variance

    def mean_log_density(
        self, mean: np.ndarray, covariance: np.ndarray, squared_norm: float
    ) -> float:
        """Return the mean log-density of samples with given moments, in nats.

        The samples are given by mean (r,) and covariance (r, r) of their coordinates,
        and by the mean squared norm of x minus the mean of the linear model.
        """
        second = covariance + np.outer(mean, mean)
        rest = max(squared_norm - float(np.trace(second)), 0.0)
        gap = mean - self.inside.mean
        vectors = self.inside.vectors
        along = ((covariance + np.outer(gap, gap)) @ vectors * vectors).sum(0)
        total = float(
            (along / self._variances + np.log(2 * np.pi * self._variances)).sum()
        )
        n_rest = self.basis.shape[1] - len(self.basis)
        if n_rest:
            total += rest / self.noise_variance
            total += n_rest * float(np.log(2 * np.pi * self.noise_variance))
        return -0.5 * total


def mahalanobis(
    model: LinearModel,
    prior: Prior,
    X: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray:
    """Return the squared Mahalanobis distance per row of X to the mean, shape (n,)."""
    covariance = ModelCovariance.of(model, prior, "mahalanobis")
    found = checked_coordinates(model, X, device=device, batch_size=batch_size)
    return covariance.squared_distances(*found)
