"""A mixture of Gaussians on whitened coordinates."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skspectral.priors.normal import (
    Mixture,
    affine,
    draw_from,
    log_mixture_density,
)

# Rows that are whitened at a time.
_CHUNK = 4096


@dataclass(frozen=True)
class Whitened:
    """Law of codes x = mean + axes (spread u), where u is of a mixture of Gaussians.

    A component of few samples is of low rank plus white noise in u alone. Draws and
    densities therefore stay there; the Gaussians of x, with K^2 numbers each, are made
    when they are asked for.

    Attributes
    ----------
    mixture : list of (weight, Normal)
        Of u.
    mean : ndarray of shape (K,)
    axes : ndarray of shape (K, r)
        Orthonormal columns: no code varies across them.
    spread : ndarray of shape (r,)
        Standard deviations, > 0.
    """

    mixture: Mixture
    mean: np.ndarray
    axes: np.ndarray
    spread: np.ndarray

    @property
    def _matrix(self) -> np.ndarray:
        return self.axes * self.spread

    @property
    def weights(self) -> np.ndarray:
        """Shape (M,)."""
        return np.array([weight for weight, _ in self.mixture])

    @property
    def means(self) -> np.ndarray:
        """Of the components in x, shape (M, K)."""
        white = np.stack([normal.mean for _, normal in self.mixture])
        return self.mean + white @ self._matrix.T

    @property
    def covariances(self) -> np.ndarray:
        """Of the components in x, shape (M, K, K)."""
        matrix = self._matrix
        return np.stack([part.mapped_covariance(matrix) for _, part in self.mixture])

    @cached_property
    def components(self) -> Mixture:
        """Gaussians of x; K^3 for each."""
        matrix = self._matrix
        return [(share, part.mapped(matrix, self.mean)) for share, part in self.mixture]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "components"}

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K), in random order."""
        white = draw_from(self.mixture, n_samples, stream)
        return affine(white, self.mean, self._matrix.T)

    def log_density(self, X: np.ndarray, floor: float) -> np.ndarray:
        """Log-density of each row, where all variances are raised to ``floor``."""
        least = min(normal.least for _, normal in self.mixture)
        if least * self.spread.min() ** 2 < floor:
            # Which ones are to be raised, the Gaussians of x alone tell.
            return log_mixture_density(X, self.components, floor)
        parts = [
            self._log_density(X[rows], floor) for rows in gen_batches(len(X), _CHUNK)
        ]
        return np.concatenate(parts)

    def _log_density(self, X: np.ndarray, floor: float) -> np.ndarray:
        centred = X - self.mean
        principal = centred @ self.axes
        inside = log_mixture_density(principal / self.spread, self.mixture, 0.0)
        inside -= np.log(self.spread).sum()
        n_outside = self.axes.shape[0] - self.axes.shape[1]
        if n_outside == 0:
            return inside
        # Not as a difference of norms: rounding would be as large as the floor.
        outside = ((centred - principal @ self.axes.T) ** 2).sum(1) / floor
        return inside - 0.5 * (outside + n_outside * np.log(2 * np.pi * floor))
