"""Gaussians that are stored as eigenvectors and eigenvalues."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skspectral._device import as_array, resolve_device
from skspectral._random import standard_normal
from skspectral.coding.linear import combine

# Variances that differ by a smaller share are equal but for rounding. Ties are broken
# by more than that, and by less than matters.
_TIED, _PREFERENCE = 1e-9, 1e-6
_EPS, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, V diag(values) V' + rest (I - V V')) in K dimensions.

    In this form white noise is added to the eigenvalues alone. Densities and posterior
    means therefore cost one product with V, also where each row has noise of its own,
    and a covariance of low rank plus white noise is not a special case.

    Attributes
    ----------
    mean : ndarray of shape (K,)
    vectors : ndarray of shape (K, r)
        Eigenvectors V of the covariance, orthonormal columns.
    values : ndarray of shape (r,)
        Eigenvalues, >= 0: the variances along the eigenvectors.
    rest : float
        Variance in all other directions; it is not used if r = K.
    """

    mean: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    rest: float = 0.0

    @classmethod
    def from_covariance(cls, mean: np.ndarray, covariance: np.ndarray) -> "Gaussian":
        """Return the Gaussian with a covariance matrix; largest variances first.

        A covariance that is not finite, zero, or with negative eigenvalues raises a
        ValueError.
        """
        return cls.from_eigenvectors(mean, *principal_directions(covariance))

    @classmethod
    def from_eigenvectors(
        cls,
        mean: np.ndarray,
        vectors: np.ndarray,
        values: np.ndarray,
        rest: float = 0.0,
    ) -> "Gaussian":
        """Return the Gaussian with these eigenvectors; negative rounding becomes 0.

        Variances that are all zero, or negative, raise a ValueError.
        """
        new = cls(mean, vectors, np.maximum(values, 0.0), rest)
        largest = max(values.max(initial=0.0), new._white)
        if not (largest > 0 and values.min(initial=0.0) > -1e-6 * largest):
            raise ValueError(
                "The covariance of the codes is zero, or has negative eigenvalues. Are "
                "all codes equal?"
            )
        return new

    def flattened(self, rank: int) -> "Gaussian":
        """Return the likeliest Gaussian with ``rank`` variances of their own.

        The other variances become their mean, as in probabilistic PCA (Tipping and
        Bishop 1999, equation 8). The variances that are kept need not be the largest,
        they may be smaller than the mean of the others. The eigenvalues of this
        Gaussian must be sorted, largest first, and ``rest`` must not exceed them.
        """
        n_dimensions, n_own = self.vectors.shape
        if rank >= n_own:
            return self
        vectors = self.vectors
        values = np.append(self.values, np.full(n_dimensions - n_own, self.rest))
        start, _ = flattest(values, rank)
        if start < rank and (
            n_own < n_dimensions or values[-2] <= values[-1] * (1 + _TIED)
        ):
            # Some variances of the rest are kept, so the rest needs eigenvectors first.
            # Which of them is no matter, but it should not be up to rounding.
            ramp = np.linspace(0, _PREFERENCE * values.mean(), n_dimensions)
            covariance = self.covariance + np.diag(ramp)
            vectors, _ = principal_directions(covariance)
        stop = start + n_dimensions - rank
        keep = np.r_[0:start, stop:n_dimensions]
        rest = float(values[start:stop].mean())
        return Gaussian(self.mean, vectors[:, keep], values[keep], rest)

    def without_noise(self, variance: float) -> "Gaussian":
        """Return N(mean, (C - variance I)+): white noise is no longer part of it."""
        values = np.maximum(self.values - variance, 0.0)
        return Gaussian(self.mean, self.vectors, values, max(self.rest - variance, 0.0))

    @property
    def floor(self) -> float:
        """Rounding error of the largest variance."""
        largest = max(self.values.max(initial=0.0), self._white)
        return variance_floor(len(self.mean), largest)

    @property
    def smallest_variance(self) -> float:
        """Smallest eigenvalue of the covariance."""
        return float(np.append(self.values, self.rest)[: len(self.mean)].min())

    @property
    def log_determinant(self) -> float:
        """Log-determinant of the covariance, with eigenvalues raised to `floor`."""
        variances, counts = self._spectrum()
        return float(counts @ np.log(variances))

    @property
    def mean_precision(self) -> float:
        """tr(C^-1) / K, where the eigenvalues of C are raised to `floor`."""
        variances, counts = self._spectrum()
        return float(counts @ (1 / variances) / counts.sum())

    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance, raised to `floor`, and their multiplicity."""
        n_dimensions, rank = self.vectors.shape
        variances = np.maximum(np.append(self.values, self.rest), self.floor)
        return variances, np.append(np.ones(rank), n_dimensions - rank)

    def scaled(self, scale: float, shift: np.ndarray) -> "Gaussian":
        """Return the distribution of ``shift + scale x``, for a scale > 0."""
        mean, squared = shift + scale * self.mean, scale**2
        return Gaussian(mean, self.vectors, squared * self.values, squared * self.rest)

    def mapped(self, matrix: np.ndarray, offset: np.ndarray) -> "Gaussian":
        """Return the distribution of ``offset + matrix @ x``; costs K^3."""
        covariance = self.mapped_covariance(matrix)
        return Gaussian.from_covariance(offset + matrix @ self.mean, covariance)

    def mapped_covariance(self, matrix: np.ndarray) -> np.ndarray:
        """Covariance of ``matrix @ x``."""
        covariance = matrix @ self.covariance @ matrix.T
        return (covariance + covariance.T) / 2

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of shape (K, K)."""
        covariance = (self.vectors * (self.values - self._white)) @ self.vectors.T
        covariance.flat[:: len(covariance) + 1] += self._white
        return covariance

    @cached_property
    def root(self) -> np.ndarray:
        """R with R R' = covariance, of shape (K, r), or (K, K) with a ``rest``.

        Columns without variance are left out, but for one of zeros if all are.
        """
        white = np.sqrt(self._white)
        if white == 0:
            varies = np.flatnonzero(self.values)
            if len(varies) == 0:
                return np.zeros((len(self.mean), 1))
            root = self.vectors[:, varies] * np.sqrt(self.values[varies])
            return np.ascontiguousarray(root)
        root = (self.vectors * (np.sqrt(self.values) - white)) @ self.vectors.T
        root.flat[:: len(root) + 1] += white
        return root

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "root"}

    @property
    def _white(self) -> float:
        n_dimensions, rank = self.vectors.shape
        return self.rest if rank < n_dimensions else 0.0

    def log_density(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
        floor: float | None = None,
    ) -> np.ndarray:
        """log N(x; mean, (C - removed I)+ + noise I) of each row, (n,), in nats.

        ``noise`` and ``removed`` are variances of white noise, numbers or of shape
        (n, 1): of that which is added to C, and of that which is part of C and is
        removed first. Where there is no noise, smaller eigenvalues are raised to the
        ``floor``, so that a singular covariance has a density, too; None is `floor`.
        """
        centred = X - self.mean
        squared = np.einsum("ij,ij->i", centred, centred)
        floor = self.floor if floor is None else floor
        return self.log_density_along(
            centred @ self.vectors, squared, noise, removed, floor
        )

    def log_density_along(
        self,
        along: np.ndarray,
        squared: np.ndarray,
        noise: float | np.ndarray,
        removed: float | np.ndarray,
        floor: float,
    ) -> np.ndarray:
        """`log_density`, from (X - mean) V, (n, r), and ||x - mean||^2, (n,)."""
        n_dimensions, rank = self.vectors.shape
        energy = along**2
        least = np.where(noise > 0, 0.0, floor)
        values = np.maximum(_difference(self.values, removed) + noise, least)
        precisions = np.broadcast_to(1 / values, energy.shape)
        total = np.log(values).sum(-1) + np.einsum("ij,ij->i", energy, precisions)
        if rank < n_dimensions:
            rest = np.maximum(_difference(self.rest, removed) + noise, least)
            left = np.maximum(squared - energy.sum(1), 0.0)[:, None]
            outside = (n_dimensions - rank) * np.log(rest) + left / rest
            total = total + outside[:, 0]
        return -0.5 * (total + n_dimensions * np.log(2 * np.pi))

    def posterior_mean(
        self,
        X: np.ndarray,
        noise: float | np.ndarray,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """Mean of z ~ N(mean, (C - removed I)+) given rows x = z + noise, (n, K).

        It is Wiener's estimate. The variances are as for `log_density`; where there is
        no noise, z is x.
        """
        centred = X - self.mean
        of_rest = wiener_gain(_difference(self._white, removed), noise)
        gain = wiener_gain(_difference(self.values, removed), noise) - of_rest
        within = ((centred @ self.vectors) * gain) @ self.vectors.T
        return self.mean + within + of_rest * centred

    def posterior_deviation(self, noise: float, removed: float = 0.0) -> "Gaussian":
        """Distribution of z - E[z | x] for any x, with z as in `posterior_mean`."""
        values, rest = (
            noise * wiener_gain(_difference(variance, removed), noise)
            for variance in (self.values, self._white)
        )
        return Gaussian(np.zeros_like(self.mean), self.vectors, values, float(rest))

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K); each costs K r."""
        white, spread = np.sqrt(self._white), np.sqrt(self.values)
        if white == 0:
            along = standard_normal(stream, n_samples, len(spread))
            return affine(along * spread, self.mean, self.vectors.T)
        # The root of the covariance is a multiple of I outside the eigenvectors.
        noise = standard_normal(stream, n_samples, len(self.mean))
        along = affine(noise, np.zeros(len(spread)), self.vectors)
        drawn = affine(along * (spread - white), self.mean, self.vectors.T)
        drawn += white * noise
        return drawn


def ridge_gaussian(
    components: np.ndarray, noise_variance: float, ridge: float
) -> Gaussian:
    """Gaussian of the coordinates under which posterior means are ridge codes.

    The codes of the atoms, whose coordinates are ``components`` (K, r), are independent
    with the variance noise_variance / ridge, and the coordinates contain the noise. The
    smallest ridge that rounding leaves room for replaces a ridge of 0.
    """
    smallest = _EPS * len(components)
    _, singular, right = np.linalg.svd(components, full_matrices=False)
    clean = singular**2 * noise_variance / max(ridge, smallest)
    return Gaussian(np.zeros(len(right)), right.T, clean + noise_variance)


def principal_directions(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors, as columns, and eigenvalues of a covariance, largest first.

    A covariance that is not finite raises a ValueError.
    """
    if not np.isfinite(covariance).all():
        raise ValueError("The covariance of the codes is not finite.")
    values, vectors = np.linalg.eigh(covariance)
    return vectors[:, ::-1], values[::-1]


@dataclass(frozen=True, eq=False)
class Span:
    """The affine subspace in which rows vary: mean + coefficients @ vectors.T.

    The ``vectors`` (K, r) are orthonormal; None is all of the space.
    """

    mean: np.ndarray
    vectors: np.ndarray | None

    @classmethod
    def of_covariance(cls, mean: np.ndarray, covariance: np.ndarray) -> "Span":
        """Return the directions whose variance is more than rounding."""
        vectors, values = principal_directions(covariance)
        varies = values > variance_floor(len(values), values[0])
        return cls(mean, None if varies.all() else vectors[:, varies])

    @classmethod
    def of(cls, X: np.ndarray, weights: np.ndarray) -> "Span":
        """Of rows (n, K) with weights (n,)."""
        shares = weights / weights.sum()
        mean = shares @ X
        scaled = np.sqrt(shares)[:, None] * (X - mean)
        return cls.of_covariance(mean, scaled.T @ scaled)

    def project(self, X: np.ndarray) -> np.ndarray:
        """Nearest points of the rows in the span."""
        if self.vectors is None:
            return X
        return self.mean + (X - self.mean) @ self.vectors @ self.vectors.T


def flattest(values: np.ndarray, rank: int) -> tuple[int, float]:
    """Find the variances that are best replaced by their mean: all but ``rank`` < K.

    These are neighbours in size, since otherwise an exchange would raise the
    likelihood. From K variances, largest first, return the position of the first of the
    neighbours, and the log-determinant of the resulting covariance, with which alone
    the likelihood falls.
    """
    width = len(values) - rank
    positive = values > variance_floor(len(values), values[0])
    logs = np.log(values, out=np.zeros_like(values), where=positive)
    sums, log_sums = (np.concatenate([[0.0], part.cumsum()]) for part in (values, logs))
    # A direction without variance would have an infinite density of its own.
    starts = np.arange(rank + 1) if positive[-1] else np.array([rank])
    stops = starts + width
    rest = (sums[stops] - sums[starts]) / width
    outside = log_sums[-1] - (log_sums[stops] - log_sums[starts])
    log_determinants = width * np.log(np.maximum(rest, _TINY)) + outside
    best = int(np.argmin(log_determinants))
    return int(starts[best]), float(log_determinants[best])


def wiener_gain(variance: float | np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Return the gain s / (s + n) of the Wiener filter.

    It is the share of the observed variance that belongs to the signal, of variance s,
    beside noise of variance n. Where both are zero, the gain is 1.
    """
    total = np.asarray(variance + noise)
    return np.divide(variance, total, out=np.ones_like(total), where=total > 0)


def _difference(
    variance: float | np.ndarray, removed: float | np.ndarray
) -> float | np.ndarray:
    return np.maximum(variance - removed, 0.0)


def variance_floor(n_dimensions: int, largest: float) -> float:
    """Rounding error of the variances of a covariance with a largest eigenvalue."""
    return float(10 * n_dimensions * _EPS * largest)


def n_parameters(n_dimensions: int, rank: int) -> int:
    """Free parameters of a Gaussian: mean, ``rank`` eigenpairs, and the rest."""
    if rank >= n_dimensions:
        return n_dimensions + n_dimensions * (n_dimensions + 1) // 2
    return n_dimensions + n_dimensions * rank - rank * (rank - 1) // 2 + 1


def affine(X: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Offset + X matrix."""
    # torch computes it, because torch's threads go on to the signals: numpy's pool of
    # threads beside torch's would slow both down.
    return as_array(combine(X, offset, matrix, device=resolve_device(None)))
