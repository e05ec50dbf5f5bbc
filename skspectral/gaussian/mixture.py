"""Mixtures of Gaussians."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.utils import gen_batches

from skspectral.gaussian.gaussian import (
    Gaussian,
    Span,
    affine,
    variance_floor,
)

# Rows are multiplied by the eigenvectors of several components at a time, with results
# of about this many numbers: a product with few eigenvectors would be inefficient.
_NUMBERS = 2**21
# Rows that are whitened at a time.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Mixture:
    """Mixture of Gaussians: sum of weights_k N(mean_k, C_k).

    Iterating gives pairs of a weight and a `Gaussian`.

    Attributes
    ----------
    weights : ndarray of shape (M,)
        Non-negative, of sum 1.
    components : tuple of M Gaussian
    """

    weights: np.ndarray
    components: tuple[Gaussian, ...]

    def __iter__(self) -> Iterator[tuple[float, Gaussian]]:
        return zip(self.weights.tolist(), self.components, strict=True)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def means(self) -> np.ndarray:
        """Means of the components, shape (M, K)."""
        return np.stack([part.mean for part in self.components])

    @property
    def mean(self) -> np.ndarray:
        """Mean of the mixture, shape (K,)."""
        return self.weights @ self.means

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the mixture, within and between components, shape (K, K)."""
        mean, covariance = self.mean, np.zeros(2 * (len(self.mean),))
        for weight, part in self:
            between = np.outer(part.mean - mean, part.mean - mean)
            covariance += weight * (part.covariance + between)
        return covariance

    @property
    def floor(self) -> float:
        """Rounding error of the largest variance, to which densities raise others.

        All components have to agree on it: otherwise the directions in which nothing
        varies would decide between them.
        """
        return max(part.floor for part in self.components)

    def without_noise(self, variance: float) -> "Mixture":
        """Return the mixture whose components no longer contain white noise."""
        clean = tuple(part.without_noise(variance) for part in self.components)
        return Mixture(self.weights, clean)

    def scaled(self, scale: float, shift: np.ndarray) -> "Mixture":
        """Return the distribution of ``shift + scale x``, for a scale > 0."""
        parts = tuple(part.scaled(scale, shift) for part in self.components)
        return Mixture(self.weights, parts)

    def log_joint(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
        floor: float | None = None,
    ) -> np.ndarray:
        """Log of weight times density of each component, shape (n, M), in nats.

        The parameters are those of `Gaussian.log_density`.
        """
        with np.errstate(divide="ignore"):
            weights = np.log(self.weights)
        floor = self.floor if floor is None else floor
        densities = [
            part.log_density_along(along, squared, noise, removed, floor)
            for part, along, squared in _projected(X, self.components)
        ]
        return np.stack(densities, axis=1) + weights

    def responsibilities(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """Posterior probability of each component, shape (n, M), of sum 1 in a row.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Rows, with noise if it has a variance.
        noise : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise in the rows, beside what the mixture describes.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the mixture and not of the rows, as
            in `Gaussian.log_density`.

        Returns
        -------
        probability : ndarray of shape (n, M), float64

        Notes
        -----
        weights_k N(x; mean_k, C_k) over the sum of all (Bishop 2006, equation 9.23).
        Where no component varies, and there is no noise, rows tell nothing of the
        component: they are projected onto the span of the mixture.
        """
        if np.all(np.asarray(noise) == 0):
            X = self._within(X)
        return softmax(self.log_joint(X, noise, removed), axis=1)

    def _within(self, X: np.ndarray) -> np.ndarray:
        """Rows projected on the span, outside which the variance is only rounding."""
        least = min(part.smallest_variance for part in self.components)
        if least > self.floor:
            return X
        return Span.of_covariance(self.mean, self.covariance).project(X)

    def log_density(self, X: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Log-density of each row, shape (n,), in nats; the `floor` is as given."""
        return logsumexp(self.log_joint(X, floor=floor), axis=1)

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K), in random order."""
        if len(self) == 1:
            return self.components[0].draw(n_samples, stream)
        counts = stream.multinomial(n_samples, self.weights)
        drawn = [
            part.draw(count, stream)
            for count, part in zip(counts, self.components, strict=True)
            if count
        ]
        return stream.permutation(np.concatenate(drawn))


class WhitenedMixture(Mixture):
    """Distribution of mean + basis (spread u), where u follows a mixture.

    The basis (K, r) has orthonormal columns, outside whose span nothing varies, and the
    standard deviations ``spread`` (r,) are positive.

    A component that was fitted to few samples is of low rank plus white noise in u
    alone. Draws and densities are therefore computed there; `components`, with K^2
    numbers each, are computed when they are first asked for, at K^3 each, and are not
    pickled.
    """

    white: Mixture
    shift: np.ndarray
    basis: np.ndarray
    spread: np.ndarray

    def __init__(
        self, white: Mixture, mean: np.ndarray, basis: np.ndarray, spread: np.ndarray
    ):
        # The fields of a frozen class are set through its dictionary.
        self.__dict__.update(
            weights=white.weights, white=white, shift=mean, basis=basis, spread=spread
        )

    @cached_property
    def components(self) -> tuple[Gaussian, ...]:
        """Gaussians in K dimensions; costs K^3 for each."""
        matrix = self._matrix
        return tuple(part.mapped(matrix, self.shift) for part in self.white.components)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "components"}

    @property
    def _matrix(self) -> np.ndarray:
        return self.basis * self.spread

    @property
    def means(self) -> np.ndarray:
        """Means of the components, shape (M, K)."""
        return self.shift + self.white.means @ self._matrix.T

    @property
    def covariances(self) -> np.ndarray:
        """Covariances of the components, shape (M, K, K)."""
        matrix = self._matrix
        parts = self.white.components
        return np.stack([part.mapped_covariance(matrix) for part in parts])

    @property
    def floor(self) -> float:
        """Rounding error of the largest variance, whatever the components."""
        return variance_floor(len(self.shift), self.spread.max() ** 2)

    def responsibilities(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """As for a `Mixture`. Without noise they are computed in u, at less cost."""
        if np.any(np.asarray(noise) != 0) or np.any(np.asarray(removed) != 0):
            return super().responsibilities(X, noise, removed)
        principal = (X - self.shift) @ self.basis
        return self.white.responsibilities(principal / self.spread)

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K), in random order."""
        return affine(self.white.draw(n_samples, stream), self.shift, self._matrix.T)

    def log_density(self, X: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Log-density of each row, shape (n,), in nats; see `Mixture.log_density`."""
        floor = self.floor if floor is None else floor
        least = min(part.smallest_variance for part in self.white.components)
        if least * self.spread.min() ** 2 < floor:
            # Only the Gaussians in K dimensions tell which variances are to be raised.
            return super().log_density(X, floor)
        batches = gen_batches(len(X), _CHUNK)
        return np.concatenate([self._log_density(X[rows], floor) for rows in batches])

    def _log_density(self, X: np.ndarray, floor: float) -> np.ndarray:
        centred = X - self.shift
        principal = centred @ self.basis
        inside = self.white.log_density(principal / self.spread, 0.0)
        inside -= np.log(self.spread).sum()
        n_outside = self.basis.shape[0] - self.basis.shape[1]
        if n_outside == 0:
            return inside
        # The rounding errors of a difference of norms would be as large as the floor.
        outside = ((centred - principal @ self.basis.T) ** 2).sum(1) / floor
        return inside - 0.5 * (outside + n_outside * np.log(2 * np.pi * floor))


def _projected(
    X: np.ndarray, parts: tuple[Gaussian, ...]
) -> Iterator[tuple[Gaussian, np.ndarray, np.ndarray]]:
    """Gaussians, (X - mean) V of shape (n, r), and ||x - mean||^2 of shape (n,)."""
    for group in _groups(parts, _NUMBERS // max(1, len(X))):
        centre = np.mean([part.mean for part in group], axis=0)
        shifts = np.stack([part.mean - centre for part in group])
        vectors = np.concatenate([part.vectors for part in group], axis=1)
        centred = X - centre
        along = centred @ vectors
        along -= np.concatenate(
            [shift @ part.vectors for shift, part in zip(shifts, group, strict=True)]
        )
        squared = np.einsum("ij,ij->i", centred, centred)[:, None]
        squared = squared - centred @ (2 * shifts.T) + (shifts**2).sum(1)
        stops = np.cumsum([len(part.values) for part in group])
        each = np.split(along, stops[:-1], axis=1)
        yield from zip(group, each, squared.T, strict=True)


def _groups(parts: tuple[Gaussian, ...], n_vectors: int) -> Iterator[list[Gaussian]]:
    """Neighbouring Gaussians in groups of about ``n_vectors`` eigenvectors, or one."""
    group, width = list[Gaussian](), 0
    for part in parts:
        group.append(part)
        width += len(part.values)
        if width >= n_vectors:
            yield group
            group, width = [], 0
    if group:
        yield group
