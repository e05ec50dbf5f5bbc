"""Gaussians in the form of their eigenvectors, and mixtures of them."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skspectral._device import as_array, resolve_device
from skspectral._random import standard_normal
from skspectral.coding import combine

_EPS, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


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
        if not np.isfinite(covariance).all():
            raise ValueError("The covariance of the codes is not finite.")
        values, vectors = np.linalg.eigh(covariance)
        return cls.along_axes(mean, vectors[:, ::-1], values[::-1])

    @classmethod
    def along_axes(
        cls, mean: np.ndarray, axes: np.ndarray, variances: np.ndarray
    ) -> "Normal":
        """Return the Gaussian whose coordinates along ``axes`` are independent.

        Raises
        ------
        ValueError
            If the variances are zero, or some of them negative.
        """
        largest = variances.max()
        if not (largest > 0 and variances.min() > -1e-6 * largest):
            raise ValueError(
                "The covariance of the codes is zero, or has negative eigenvalues. Are "
                "all codes equal?"
            )
        return cls(mean, axes, np.maximum(variances, 0.0))

    def flattened(self, rank: int) -> "Normal":
        """Return the likeliest Gaussian with ``rank`` variances of their own.

        All others become their mean, as in probabilistic PCA (Tipping and Bishop 1999,
        equation 8), but those that are kept need not be the largest: they may be
        smaller than the rest, too.
        """
        if rank >= len(self.values):
            return self
        start, _ = flattest(self.values, rank)
        stop = start + len(self.values) - rank
        keep = np.r_[0:start, stop : len(self.values)]
        rest = float(self.values[start:stop].mean())
        return Normal(self.mean, self.vectors[:, keep], self.values[keep], rest)

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
        covariance = matrix @ self.covariance @ matrix.T
        return Normal.of(offset + matrix @ self.mean, (covariance + covariance.T) / 2)

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
        n_codes, rank = self.vectors.shape
        centred = X - self.mean
        along = centred @ self.vectors
        least = np.where(noise > 0, 0.0, self.floor if floor is None else floor)
        values = np.maximum(_less(self.values, removed) + noise, least)
        total = np.log(values).sum(-1) + (along**2 / values).sum(-1)
        if rank < n_codes:
            rest = np.maximum(_less(self.rest, removed) + noise, least)
            left = (centred**2).sum(1, keepdims=True)
            left -= (along**2).sum(1, keepdims=True)
            outside = (n_codes - rank) * np.log(rest) + np.maximum(left, 0.0) / rest
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
        of_rest = wiener_gain(_less(self._white, removed), noise)
        gain = wiener_gain(_less(self.values, removed), noise) - of_rest
        return (
            self.mean
            + ((centred @ self.vectors) * gain) @ self.vectors.T
            + (of_rest * centred)
        )

    def draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        """Draws of shape (n_samples, K)."""
        root = self.root
        noise = standard_normal(stream, n_samples, root.shape[1])
        # By torch, whose threads go on to the signals: two pools of threads at once,
        # its and numpy's, would slow each other down.
        return as_array(combine(noise, self.mean, root.T, device=resolve_device(None)))


def flattest(values: np.ndarray, rank: int) -> tuple[int, float]:
    """Where all but ``rank`` variances are best replaced by their mean.

    They are neighbours in size: otherwise an exchange would raise the likelihood.

    Parameters
    ----------
    values : ndarray of shape (K,)
        Largest first.
    rank : int
        From 0 to K - 1.

    Returns
    -------
    start : int
        Of the K - rank neighbours.
    log_determinant : float
        What remains of the covariance; the likelihood falls with it alone.
    """
    width = len(values) - rank
    positive = values > 10 * len(values) * _EPS * values[0]
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


def _less(
    variance: float | np.ndarray, removed: float | np.ndarray
) -> float | np.ndarray:
    return np.maximum(variance - removed, 0.0)


def wiener_gain(variance: float | np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Share of what is seen that is signal: s / (s + n), and 1 without noise."""
    total = np.asarray(variance + noise)
    return np.divide(variance, total, out=np.ones_like(total), where=total > 0)


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
    densities = [normal.log_density(X, noise, removed, floor) for _, normal in mixture]
    return np.stack(densities, axis=1) + weights


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
