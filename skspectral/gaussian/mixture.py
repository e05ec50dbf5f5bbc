"""Mixtures of Gaussian distributions."""
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

# Samples are multiplied by the eigenvectors of several components at a time, because a
# product with few eigenvectors is inefficient. A product has about this many entries.
_PRODUCT_ENTRIES = 2**21
# Number of samples whose densities are computed at a time.
_BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Mixture:
    """Mixture of Gaussian distributions.

    The density is the sum of weights_k N(x; mean_k, C_k) over M components. Iterating
    over a mixture gives pairs of a weight and a `Gaussian`. The parameters are also
    attributes, which are read-only.

    Parameters
    ----------
    weights : ndarray of shape (M,)
        Probabilities of the components: non-negative numbers whose sum is 1.
    components : tuple of Gaussian
        The M components, Gaussian distributions of the same dimension K.

    See Also
    --------
    LinearObservation : Posterior of a mixture given a linear observation.
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
        """Covariance of the mixture, shape (K, K), within and between components."""
        mean, covariance = self.mean, np.zeros(2 * (len(self.mean),))
        for weight, part in self:
            between = np.outer(part.mean - mean, part.mean - mean)
            covariance += weight * (part.covariance + between)
        return covariance

    @property
    def floor(self) -> float:
        """Rounding error of the largest variance in all components.

        Densities raise smaller variances to this value. It is the same for all
        components. Otherwise directions without variance would change the posterior
        probabilities of the components.
        """
        return max(part.floor for part in self.components)

    def without_noise(self, variance: float) -> "Mixture":
        """Subtract the variance of white noise from the covariances of all components.

        Parameters
        ----------
        variance : float
            Variance of the white noise, >= 0.

        Returns
        -------
        mixture : Mixture
            Mixture without the noise. Variances that would become negative are 0.
        """
        clean = tuple(part.without_noise(variance) for part in self.components)
        return Mixture(self.weights, clean)

    def scaled(self, scale: float, shift: np.ndarray) -> "Mixture":
        """Return the distribution of ``shift + scale * x``.

        Parameters
        ----------
        scale : float
            Positive factor.
        shift : ndarray of shape (K,)
            Vector that is added.

        Returns
        -------
        mixture : Mixture
            Distribution of ``shift + scale * x`` if x has this distribution.
        """
        parts = tuple(part.scaled(scale, shift) for part in self.components)
        return Mixture(self.weights, parts)

    def log_joint(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
        floor: float | None = None,
    ) -> np.ndarray:
        """Compute the joint log-density of samples and components.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Samples.
        noise : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is added to the covariances, for all samples or
            per sample.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the covariances, and is subtracted
            from them before ``noise`` is added.
        floor : float, default=None
            Value to which smaller variances are raised. None means the attribute
            `floor`. It is ignored for samples with ``noise``.

        Returns
        -------
        log_joint : ndarray of shape (n, M)
            Logarithm of the weight times the density of each component, in nats.
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
        """Compute the posterior probabilities of the components.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Samples.
        noise : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise in the samples that is not part of the mixture, for
            all samples or per sample.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the mixture, but not of the samples.

        Returns
        -------
        probability : ndarray of shape (n, M), float64
            Probability that a sample belongs to a component. The sum over the
            components is 1.

        Notes
        -----
        The probability is weights_k N(x; mean_k, C_k), divided by the sum of these
        products over all components [1]_. Without noise, samples are first projected to
        the subspace in which the mixture varies, because no component describes
        deviations from it.

        References
        ----------
        .. [1] C. M. Bishop (2006). Pattern Recognition and Machine Learning, equation
           9.23. Springer.
        """
        if np.all(np.asarray(noise) == 0):
            X = self._within(X)
        return softmax(self.log_joint(X, noise, removed), axis=1)

    def _within(self, X: np.ndarray) -> np.ndarray:
        """Project samples to the span of the mixture, if it is not the whole space."""
        least = min(part.smallest_variance for part in self.components)
        if least > self.floor:
            return X
        return Span.of_covariance(self.mean, self.covariance).project(X)

    def log_density(self, X: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Compute the log-density of samples.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Samples.
        floor : float, default=None
            Value to which smaller variances are raised, so that a singular covariance
            has a density. None means the attribute `floor`.

        Returns
        -------
        log_density : ndarray of shape (n,)
            Log-density of each sample in nats.
        """
        return logsumexp(self.log_joint(X, floor=floor), axis=1)

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draw samples from the distribution.

        Parameters
        ----------
        n_samples : int
            Number of samples.
        stream : numpy.random.Generator
            Source of the random numbers.

        Returns
        -------
        samples : ndarray of shape (n_samples, K)
            Independent samples in random order.
        """
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
    """Mixture of Gaussians that is stored in whitened coordinates u.

    It is the distribution of mean + basis @ (spread * u), where u has the distribution
    ``white``. Components that were fitted to few samples have low rank plus white noise
    in u, but not in K dimensions. Samples and densities are therefore computed in u.
    The attribute `components` is computed on first access, and is not pickled.

    Parameters
    ----------
    white : Mixture
        Distribution of u, in r dimensions.
    mean : ndarray of shape (K,)
        Origin of u, stored as the attribute ``shift``.
    basis : ndarray of shape (K, r)
        Orthonormal columns. The distribution does not vary outside their span.
    spread : ndarray of shape (r,)
        Positive standard deviations along the columns of the basis.
    """

    white: Mixture
    shift: np.ndarray
    basis: np.ndarray
    spread: np.ndarray

    def __init__(
        self, white: Mixture, mean: np.ndarray, basis: np.ndarray, spread: np.ndarray
    ):
        # A frozen dataclass does not allow assignments to its attributes.
        self.__dict__.update(
            weights=white.weights, white=white, shift=mean, basis=basis, spread=spread
        )

    @cached_property
    def components(self) -> tuple[Gaussian, ...]:
        """Components in K dimensions; computing each costs K^3 multiplications."""
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
        """Rounding error of the largest variance of the whole mixture."""
        return variance_floor(len(self.shift), self.spread.max() ** 2)

    def responsibilities(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """Compute the posterior probabilities; see `Mixture.responsibilities`."""
        if np.any(np.asarray(noise) != 0) or np.any(np.asarray(removed) != 0):
            return super().responsibilities(X, noise, removed)
        # Without noise the probabilities in u are the same, at lower cost.
        principal = (X - self.shift) @ self.basis
        return self.white.responsibilities(principal / self.spread)

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draw samples from the distribution; see `Mixture.draw`."""
        return affine(self.white.draw(n_samples, stream), self.shift, self._matrix.T)

    def log_density(self, X: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Compute the log-density of samples; see `Mixture.log_density`."""
        floor = self.floor if floor is None else floor
        least = min(part.smallest_variance for part in self.white.components)
        if least * self.spread.min() ** 2 < floor:
            # Some variances in K dimensions may have to be raised to the floor.
            return super().log_density(X, floor)
        batches = gen_batches(len(X), _BATCH_ROWS)
        return np.concatenate([self._log_density(X[rows], floor) for rows in batches])

    def _log_density(self, X: np.ndarray, floor: float) -> np.ndarray:
        """Log-density if all variances in the span are above the floor."""
        centred = X - self.shift
        principal = centred @ self.basis
        inside = self.white.log_density(principal / self.spread, 0.0)
        inside -= np.log(self.spread).sum()
        n_outside = self.basis.shape[0] - self.basis.shape[1]
        if n_outside == 0:
            return inside
        # The residual is computed explicitly, because the rounding errors of a
        # difference of squared norms would be as large as the floor.
        outside = ((centred - principal @ self.basis.T) ** 2).sum(1) / floor
        return inside - 0.5 * (outside + n_outside * np.log(2 * np.pi * floor))


def _projected(
    X: np.ndarray, parts: tuple[Gaussian, ...]
) -> Iterator[tuple[Gaussian, np.ndarray, np.ndarray]]:
    """Yield each Gaussian with (X - mean) V, (n, r), and ||x - mean||^2, (n,)."""
    for group in _groups(parts, _PRODUCT_ENTRIES // max(1, len(X))):
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
    """Yield groups of consecutive Gaussians with about ``n_vectors`` eigenvectors."""
    group, width = list[Gaussian](), 0
    for part in parts:
        group.append(part)
        width += len(part.values)
        if width >= n_vectors:
            yield group
            group, width = [], 0
    if group:
        yield group
