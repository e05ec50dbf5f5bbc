"""Gaussians in the form of their eigenvectors, and mixtures of them."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skspectral._device import as_array, resolve_device
from skspectral._random import standard_normal
from skspectral.coding.linear import combine
from skspectral.priors.spectrum import flattest, less, principal_axes, wiener_gain

_EPS = np.finfo(np.float64).eps
# Products with the vectors of several components at a time, of this many numbers: with
# few vectors they would take several times as long for each.
_NUMBERS = 2**21


@dataclass(frozen=True)
class Normal:
    """N(mean, V diag(values) V' + rest (I - V V')) on K coordinates.

    In this form white noise adds to the eigenvalues alone: densities and posterior
    means cost one product with V, also where each row has a noise of its own; and
    covariances of low rank plus white noise are no special case.

    Attributes
    ----------
    mean : ndarray of shape (K,)
    vectors : ndarray of shape (K, r)
        V, orthonormal columns.
    values : ndarray of shape (r,)
        Variances along them, >= 0.
    rest : float
        Variance in all other directions; of no meaning if r = K.
    """

    mean: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    rest: float = 0.0

    @classmethod
    def of(cls, mean: np.ndarray, covariance: np.ndarray) -> "Normal":
        """Return the Gaussian with a covariance matrix; largest variances first.

        Raises
        ------
        ValueError
            If the covariance is not finite, zero, or has negative eigenvalues.
        """
        return cls.along_axes(mean, *principal_axes(covariance))

    @classmethod
    def along_axes(
        cls,
        mean: np.ndarray,
        axes: np.ndarray,
        variances: np.ndarray,
        rest: float = 0.0,
    ) -> "Normal":
        """Return the Gaussian whose coordinates along ``axes`` are independent.

        Raises
        ------
        ValueError
            If the variances are zero, or some of them negative.
        """
        normal = cls(mean, axes, np.maximum(variances, 0.0), rest)
        largest = max(variances.max(initial=0.0), normal._white)
        if not (largest > 0 and variances.min(initial=0.0) > -1e-6 * largest):
            raise ValueError(
                "The covariance of the codes is zero, or has negative eigenvalues. Are "
                "all codes equal?"
            )
        return normal

    def flattened(self, rank: int) -> "Normal":
        """Return the likeliest Gaussian with ``rank`` variances of their own.

        All others become their mean, as in probabilistic PCA (Tipping and Bishop 1999,
        equation 8), but those that are kept need not be the largest: they may be
        smaller than the rest, too. Of a Gaussian with the largest variances first and
        a ``rest`` that is not larger.
        """
        n_codes, n_own = self.vectors.shape
        if rank >= n_own:
            return self
        values = np.append(self.values, np.full(n_codes - n_own, self.rest))
        start, _ = flattest(values, rank)
        if start < rank and n_own < n_codes:
            # Some of the rest are to be kept: give them directions first.
            return Normal.of(self.mean, self.covariance).flattened(rank)
        stop = start + n_codes - rank
        keep = np.r_[0:start, stop:n_codes]
        rest = float(values[start:stop].mean())
        return Normal(self.mean, self.vectors[:, keep], values[keep], rest)

    def without_noise(self, variance: float) -> "Normal":
        """Return the law without white noise that was part of it: (C - vI)+."""
        values = np.maximum(self.values - variance, 0.0)
        return Normal(self.mean, self.vectors, values, max(self.rest - variance, 0.0))

    @property
    def floor(self) -> float:
        """Rounding of the largest variance."""
        largest = max(self.values.max(initial=0.0), self._white)
        return float(10 * len(self.mean) * _EPS * largest)

    @property
    def log_determinant(self) -> float:
        """Of the covariance, with variances not below `floor`."""
        variances, counts = self._spectrum()
        return float(counts @ np.log(variances))

    @property
    def mean_precision(self) -> float:
        """Mean of the inverse variances, which are not below `floor`: tr(C^-1) / K."""
        variances, counts = self._spectrum()
        return float(counts @ (1 / variances) / counts.sum())

    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance, not below `floor`, and how often each is."""
        n_codes, rank = self.vectors.shape
        variances = np.maximum(np.append(self.values, self.rest), self.floor)
        return variances, np.append(np.ones(rank), n_codes - rank)

    def mapped(self, matrix: np.ndarray, offset: np.ndarray) -> "Normal":
        """Return the law of ``offset`` + ``matrix`` x, for any matrix; costs K^3."""
        return Normal.of(offset + matrix @ self.mean, self.mapped_covariance(matrix))

    def mapped_covariance(self, matrix: np.ndarray) -> np.ndarray:
        """Covariance of ``matrix`` x."""
        covariance = matrix @ self.covariance @ matrix.T
        return (covariance + covariance.T) / 2

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of shape (K, K)."""
        covariance = (self.vectors * (self.values - self._white)) @ self.vectors.T
        covariance.flat[:: len(covariance) + 1] += self._white
        return covariance

    @property
    def root(self) -> np.ndarray:
        """R with R R' = covariance, of shape (K, r), or (K, K) with a ``rest``."""
        if self._white == 0:
            return self.vectors * np.sqrt(self.values)
        white = np.sqrt(self._white)
        root = (self.vectors * (np.sqrt(self.values) - white)) @ self.vectors.T
        root.flat[:: len(root) + 1] += white
        return root

    @property
    def _white(self) -> float:
        n_codes, rank = self.vectors.shape
        return self.rest if rank < n_codes else 0.0

    def log_density(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
        floor: float | None = None,
    ) -> np.ndarray:
        """log N(x; mean, (C - removed I)+ + noise I) of each row.

        Parameters
        ----------
        X : ndarray of shape (n, K), float64
        noise, removed : float or ndarray of shape (n, 1)
            Variances of the white noise of the rows, and of that which is part of C.
        floor : float or None
            Without noise, what the variances are raised to, so that a singular
            covariance has a density, too. None is `floor`.

        Returns
        -------
        log_density : ndarray of shape (n,), in nats
        """
        ((_, along, squared),) = _projected(X, [self])
        return self._log_density(along, squared, noise, removed, floor)

    def _log_density(
        self,
        along: np.ndarray,
        squared: np.ndarray,
        noise: float | np.ndarray,
        removed: float | np.ndarray,
        floor: float | None,
    ) -> np.ndarray:
        """From coordinates along the vectors, and squared distances to the mean."""
        n_codes, rank = self.vectors.shape
        energy = along**2
        least = np.where(noise > 0, 0.0, self.floor if floor is None else floor)
        values = np.maximum(less(self.values, removed) + noise, least)
        precisions = np.broadcast_to(1 / values, energy.shape)
        total = np.log(values).sum(-1) + np.einsum("ij,ij->i", energy, precisions)
        if rank < n_codes:
            rest = np.maximum(less(self.rest, removed) + noise, least)
            left = np.maximum(squared - energy.sum(1), 0.0)[:, None]
            outside = (n_codes - rank) * np.log(rest) + left / rest
            total = total + outside[:, 0]
        return -0.5 * (total + n_codes * np.log(2 * np.pi))

    def posterior_mean(
        self,
        X: np.ndarray,
        noise: float | np.ndarray,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """Mean of z ~ N(mean, (C - removed I)+) given x = z + noise: Wiener's estimate.

        Parameters
        ----------
        X : ndarray of shape (n, K), float64
        noise, removed : float or ndarray of shape (n, 1)
            Variances, as for `log_density`. Where there is no noise, z is x.

        Returns
        -------
        mean : ndarray of shape (n, K)
        """
        centred = X - self.mean
        of_rest = wiener_gain(less(self._white, removed), noise)
        gain = wiener_gain(less(self.values, removed), noise) - of_rest
        return (
            self.mean
            + ((centred @ self.vectors) * gain) @ self.vectors.T
            + (of_rest * centred)
        )

    @property
    def least(self) -> float:
        """Smallest variance."""
        return float(np.append(self.values, self.rest)[: len(self.mean)].min())

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K); each costs K r."""
        white, spread = np.sqrt(self._white), np.sqrt(self.values)
        if white == 0:
            along = standard_normal(stream, n_samples, len(spread))
            return affine(along * spread, self.mean, self.vectors.T)
        # The root of the covariance is white, but along the vectors.
        noise = standard_normal(stream, n_samples, len(self.mean))
        along = affine(noise, np.zeros(len(spread)), self.vectors)
        drawn = affine(along * (spread - white), self.mean, self.vectors.T)
        drawn += white * noise
        return drawn


def affine(X: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Offset + X matrix."""
    # By torch, whose threads go on to the signals: two pools of threads at once, its
    # and numpy's, would slow each other down.
    return as_array(combine(X, offset, matrix, device=resolve_device(None)))


def n_parameters(n_codes: int, rank: int) -> int:
    """Free parameters of a Gaussian: of its mean, directions, variances, the rest."""
    if rank >= n_codes:
        return n_codes + n_codes * (n_codes + 1) // 2
    return n_codes + n_codes * rank - rank * (rank - 1) // 2 + 1


# Weights, of sum 1, and Gaussians.
Mixture = list[tuple[float, Normal]]


def log_joint(
    X: np.ndarray,
    mixture: Mixture,
    noise: float | np.ndarray = 0.0,
    removed: float | np.ndarray = 0.0,
    floor: float | None = None,
) -> np.ndarray:
    """Log of weight times density, see `Normal.log_density`; shape (n, M)."""
    with np.errstate(divide="ignore"):
        weights = np.log([weight for weight, _ in mixture])
    if floor is None:
        # Where codes vary in a part of the space only, all components have to agree on
        # the rest.
        floor = max(normal.floor for _, normal in mixture)
    densities = [
        normal._log_density(along, squared, noise, removed, floor)
        for normal, along, squared in _projected(X, [normal for _, normal in mixture])
    ]
    return np.stack(densities, axis=1) + weights


def _projected(
    X: np.ndarray, normals: list[Normal]
) -> Iterator[tuple[Normal, np.ndarray, np.ndarray]]:
    """Gaussians, coordinates (n, r) along their vectors, squared distances (n,)."""
    for group in _groups(normals, _NUMBERS // max(1, len(X))):
        centre = np.mean([normal.mean for normal in group], axis=0)
        shifts = np.stack([normal.mean - centre for normal in group])
        vectors = np.concatenate([normal.vectors for normal in group], axis=1)
        centred = X - centre
        along = centred @ vectors
        along -= np.concatenate(
            [
                shift @ normal.vectors
                for shift, normal in zip(shifts, group, strict=True)
            ]
        )
        squared = np.einsum("ij,ij->i", centred, centred)[:, None]
        squared = squared - centred @ (2 * shifts.T) + (shifts**2).sum(1)
        stops = np.cumsum([len(normal.values) for normal in group])
        each = np.split(along, stops[:-1], axis=1)
        yield from zip(group, each, squared.T, strict=True)


def _groups(normals: list[Normal], n_vectors: int) -> list[list[Normal]]:
    """Of neighbours; each but the last has as many vectors, or one Gaussian."""
    groups: list[list[Normal]] = [[]]
    width = 0
    for normal in normals:
        if width >= n_vectors and groups[-1]:
            groups.append([])
            width = 0
        groups[-1].append(normal)
        width += len(normal.values)
    return groups


def log_mixture_density(
    X: np.ndarray, mixture: Mixture, floor: float | None = None
) -> np.ndarray:
    """Log-density of each row under a mixture, of shape (n,), in nats."""
    return logsumexp(log_joint(X, mixture, floor=floor), axis=1)


def draw_from(
    mixture: Mixture, n_samples: int, stream: np.random.Generator
) -> np.ndarray:
    """``n_samples`` draws in random order, shape (n_samples, K)."""
    if len(mixture) == 1:
        return mixture[0][1].draw(n_samples, stream)
    counts = stream.multinomial(n_samples, [weight for weight, _ in mixture])
    drawn = [
        normal.draw(count, stream)
        for count, (_, normal) in zip(counts, mixture, strict=True)
        if count
    ]
    return stream.permutation(np.concatenate(drawn))
