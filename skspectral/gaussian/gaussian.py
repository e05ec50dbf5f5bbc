"""Gaussian distributions, stored as eigenvectors and eigenvalues of the covariance."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skspectral._device import as_array, resolve_device
from skspectral._random import standard_normal
from skspectral.coding.linear import combine

# Variances whose relative difference is below the tolerance are equal up to rounding.
# The relative perturbation that breaks ties is larger than rounding errors, but too
# small to matter in practice.
_TIE_TOLERANCE, _TIE_BREAK = 1e-9, 1e-6
_EPS, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Gaussian distribution in K dimensions.

    The covariance is V diag(values) V' + rest (I - V V'), with r eigenvectors V and one
    variance in all directions orthogonal to them. A full covariance has r = K. The
    parameters are also attributes, which are read-only.

    Parameters
    ----------
    mean : ndarray of shape (K,)
        Mean of the distribution.
    vectors : ndarray of shape (K, r)
        Eigenvectors V of the covariance, as orthonormal columns.
    values : ndarray of shape (r,)
        Eigenvalues >= 0 of the covariance: the variances along the eigenvectors.
    rest : float, default=0.0
        Variance in the directions orthogonal to the eigenvectors. It is ignored if
        r = K.

    See Also
    --------
    Mixture : Mixture of several Gaussian distributions.

    Notes
    -----
    White noise changes the eigenvalues of a covariance, but not its eigenvectors.
    Densities and posterior means therefore cost one product with V, even if each sample
    has its own noise variance.
    """

    mean: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    rest: float = 0.0

    @classmethod
    def from_covariance(cls, mean: np.ndarray, covariance: np.ndarray) -> "Gaussian":
        """Construct a Gaussian from its covariance matrix.

        Parameters
        ----------
        mean : ndarray of shape (K,)
            Mean of the distribution.
        covariance : ndarray of shape (K, K)
            Symmetric and positive semi-definite covariance matrix.

        Returns
        -------
        gaussian : Gaussian
            Distribution with K eigenvectors, in the order of decreasing variances.

        Raises
        ------
        ValueError
            If the covariance is not finite, is zero, or has negative eigenvalues.
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
        """Construct a Gaussian from eigenvectors and eigenvalues of its covariance.

        Parameters
        ----------
        mean : ndarray of shape (K,)
            Mean of the distribution.
        vectors : ndarray of shape (K, r)
            Eigenvectors of the covariance, as orthonormal columns.
        values : ndarray of shape (r,)
            Eigenvalues of the covariance. Small negative eigenvalues, which are
            rounding errors, are set to 0.
        rest : float, default=0.0
            Variance in the directions orthogonal to the eigenvectors.

        Returns
        -------
        gaussian : Gaussian
            Distribution with these eigenvectors.

        Raises
        ------
        ValueError
            If all variances are zero, or one is negative beyond rounding errors.
        """
        new = cls(mean, vectors, np.maximum(values, 0.0), rest)
        largest = max(values.max(initial=0.0), new._variance_outside)
        if not (largest > 0 and values.min(initial=0.0) > -1e-6 * largest):
            raise ValueError(
                "The covariance of the codes is zero, or has negative eigenvalues: its "
                f"eigenvalues range from {values.min(initial=0.0):g} to {largest:g}. "
                "Are all codes equal? Pass codes that vary."
            )
        return new

    def flattened(self, rank: int) -> "Gaussian":
        """Reduce the covariance to low rank plus white noise, by maximum likelihood.

        ``rank`` variances are kept, and all other variances are replaced by their mean
        [1]_. The variances that are kept need not be the largest ones: some may be
        smaller than the mean of the others. The eigenvalues must be sorted in
        decreasing order, and ``rest`` must not exceed them.

        Parameters
        ----------
        rank : int
            Number of variances that are kept, >= 0. The distribution is returned
            unchanged if it has no more than ``rank`` eigenvectors.

        Returns
        -------
        gaussian : Gaussian
            Distribution with the same mean, and with ``rank`` eigenvectors.

        References
        ----------
        .. [1] M. E. Tipping, C. M. Bishop (1999). Probabilistic principal component
           analysis. Journal of the Royal Statistical Society B 61(3), 611-622,
           equation 8.
        """
        n_dimensions, n_vectors = self.vectors.shape
        if rank >= n_vectors:
            return self
        vectors = self.vectors
        values = np.append(self.values, np.full(n_dimensions - n_vectors, self.rest))
        start, _ = flattest(values, rank)
        if start < rank and (
            n_vectors < n_dimensions or values[-2] <= values[-1] * (1 + _TIE_TOLERANCE)
        ):
            # Some of the smallest variances are kept, and need eigenvectors. These are
            # not unique if the variances are equal. A small perturbation of the
            # covariance makes them unique, so that rounding errors do not choose them.
            ramp = np.linspace(0, _TIE_BREAK * values.mean(), n_dimensions)
            covariance = self.covariance + np.diag(ramp)
            vectors, _ = principal_directions(covariance)
        stop = start + n_dimensions - rank
        keep = np.r_[0:start, stop:n_dimensions]
        rest = float(values[start:stop].mean())
        return Gaussian(self.mean, vectors[:, keep], values[keep], rest)

    def without_noise(self, variance: float) -> "Gaussian":
        """Subtract the variance of white noise from the covariance.

        Parameters
        ----------
        variance : float
            Variance of the white noise, >= 0.

        Returns
        -------
        gaussian : Gaussian
            Distribution without the noise. Variances that would become negative are 0.
        """
        values = np.maximum(self.values - variance, 0.0)
        return Gaussian(self.mean, self.vectors, values, max(self.rest - variance, 0.0))

    @property
    def floor(self) -> float:
        """Rounding error of the largest variance.

        Densities raise smaller variances to this value.
        """
        largest = max(self.values.max(initial=0.0), self._variance_outside)
        return variance_floor(len(self.mean), largest)

    @property
    def smallest_variance(self) -> float:
        """Smallest eigenvalue of the covariance."""
        return float(np.append(self.values, self.rest)[: len(self.mean)].min())

    @property
    def log_determinant(self) -> float:
        """Log-determinant of the covariance, with eigenvalues >= `floor`."""
        variances, counts = self._spectrum()
        return float(counts @ np.log(variances))

    @property
    def mean_precision(self) -> float:
        """Mean of the inverse eigenvalues of the covariance, with values >= `floor`."""
        variances, counts = self._spectrum()
        return float(counts @ (1 / variances) / counts.sum())

    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the eigenvalues of the covariance, >= `floor`, and multiplicities."""
        n_dimensions, rank = self.vectors.shape
        variances = np.maximum(np.append(self.values, self.rest), self.floor)
        return variances, np.append(np.ones(rank), n_dimensions - rank)

    def scaled(self, scale: float, shift: np.ndarray) -> "Gaussian":
        """Return the distribution of ``shift + scale * x``.

        Parameters
        ----------
        scale : float
            Positive factor.
        shift : ndarray of shape (K,)
            Vector that is added.

        Returns
        -------
        gaussian : Gaussian
            Distribution of ``shift + scale * x`` if x has this distribution.
        """
        mean, squared = shift + scale * self.mean, scale**2
        return Gaussian(mean, self.vectors, squared * self.values, squared * self.rest)

    def mapped(self, matrix: np.ndarray, offset: np.ndarray) -> "Gaussian":
        """Return the distribution of ``offset + matrix @ x``.

        Parameters
        ----------
        matrix : ndarray of shape (L, K)
            Matrix that multiplies x.
        offset : ndarray of shape (L,)
            Vector that is added.

        Returns
        -------
        gaussian : Gaussian
            Distribution in L dimensions.

        Raises
        ------
        ValueError
            If ``matrix @ x`` has no variance.

        Notes
        -----
        The costs are L K^2 + L^2 K for the products, and L^3 for the eigenvectors.
        """
        covariance = self.mapped_covariance(matrix)
        return Gaussian.from_covariance(offset + matrix @ self.mean, covariance)

    def mapped_covariance(self, matrix: np.ndarray) -> np.ndarray:
        """Compute the covariance of ``matrix @ x``.

        Parameters
        ----------
        matrix : ndarray of shape (L, K)
            Matrix that multiplies x.

        Returns
        -------
        covariance : ndarray of shape (L, L)
            Covariance matrix, exactly symmetric.
        """
        covariance = matrix @ self.covariance @ matrix.T
        return (covariance + covariance.T) / 2

    @property
    def covariance(self) -> np.ndarray:
        """Covariance matrix of shape (K, K)."""
        outside = self._variance_outside
        covariance = (self.vectors * (self.values - outside)) @ self.vectors.T
        covariance.flat[:: len(covariance) + 1] += outside
        return covariance

    @cached_property
    def root(self) -> np.ndarray:
        """Square root R of the covariance, with R R' = covariance.

        The shape is (K, K) if there is variance outside the eigenvectors. Otherwise R
        has one column per eigenvector with a positive variance, but at least one.
        """
        outside = np.sqrt(self._variance_outside)
        if outside == 0:
            varies = np.flatnonzero(self.values)
            if len(varies) == 0:
                return np.zeros((len(self.mean), 1))
            root = self.vectors[:, varies] * np.sqrt(self.values[varies])
            return np.ascontiguousarray(root)
        root = (self.vectors * (np.sqrt(self.values) - outside)) @ self.vectors.T
        root.flat[:: len(root) + 1] += outside
        return root

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "root"}

    @property
    def _variance_outside(self) -> float:
        """Variance outside the eigenvectors; 0 if these span all dimensions."""
        n_dimensions, rank = self.vectors.shape
        return self.rest if rank < n_dimensions else 0.0

    def log_density(
        self,
        X: np.ndarray,
        noise: float | np.ndarray = 0.0,
        removed: float | np.ndarray = 0.0,
        floor: float | None = None,
    ) -> np.ndarray:
        """Compute the log-density of samples, with white noise added or removed.

        The density is N(x; mean, (C - removed I)+ + noise I), where C is the covariance
        and (.)+ sets negative eigenvalues to 0.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Samples.
        noise : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is added to the covariance, for all samples or
            per sample.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the covariance, and is subtracted
            from it before ``noise`` is added.
        floor : float, default=None
            Value to which smaller variances are raised, so that a singular covariance
            has a density. None means the attribute `floor`. It is ignored for samples
            with ``noise``.

        Returns
        -------
        log_density : ndarray of shape (n,)
            Log-density of each sample in nats.
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
        """Compute `log_density` from the coordinates along the eigenvectors.

        Parameters
        ----------
        along : ndarray of shape (n, r)
            Coordinates (X - mean) V of the samples X.
        squared : ndarray of shape (n,)
            Squared distances of the samples to the mean.
        noise : float or ndarray of shape (n, 1)
            Variance of white noise that is added to the covariance.
        removed : float or ndarray of shape (n, 1)
            Variance of white noise that is subtracted from the covariance first.
        floor : float
            Value to which smaller variances are raised. It is ignored for samples with
            ``noise``.

        Returns
        -------
        log_density : ndarray of shape (n,)
            Log-density of each sample in nats.
        """
        n_dimensions, rank = self.vectors.shape
        energy = along**2
        least = np.where(noise > 0, 0.0, floor)
        values = np.maximum(_difference(self.values, removed) + noise, least)
        precisions = np.broadcast_to(1 / values, energy.shape)
        total = np.log(values).sum(-1) + np.einsum("ij,ij->i", energy, precisions)
        if rank < n_dimensions:
            rest = np.maximum(_difference(self.rest, removed) + noise, least)
            residual = np.maximum(squared - energy.sum(1), 0.0)[:, None]
            outside = (n_dimensions - rank) * np.log(rest) + residual / rest
            total = total + outside[:, 0]
        return -0.5 * (total + n_dimensions * np.log(2 * np.pi))

    def posterior_mean(
        self,
        X: np.ndarray,
        noise: float | np.ndarray,
        removed: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """Compute the posterior mean of z given x = z + white noise.

        Without the noise z has the distribution N(mean, (C - removed I)+), where C is
        the covariance. The posterior mean is the estimate of the Wiener filter.

        Parameters
        ----------
        X : ndarray of shape (n, K)
            Observed samples x.
        noise : float or ndarray of shape (n, 1)
            Variance of the white noise in x, for all samples or per sample. Samples
            without noise are returned unchanged.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the covariance, but not of z.

        Returns
        -------
        mean : ndarray of shape (n, K)
            Posterior mean of z per sample.
        """
        centred = X - self.mean
        gain_outside = wiener_gain(_difference(self._variance_outside, removed), noise)
        gain = wiener_gain(_difference(self.values, removed), noise) - gain_outside
        within = ((centred @ self.vectors) * gain) @ self.vectors.T
        return self.mean + within + gain_outside * centred

    def posterior_deviation(self, noise: float, removed: float = 0.0) -> "Gaussian":
        """Return the distribution of z - E[z | x], the error of `posterior_mean`.

        Parameters
        ----------
        noise : float
            Variance of the white noise in x.
        removed : float, default=0.0
            Variance of white noise that is part of the covariance, but not of z.

        Returns
        -------
        gaussian : Gaussian
            Distribution of the error. It has zero mean, and does not depend on x.
        """
        values, rest = (
            noise * wiener_gain(_difference(variance, removed), noise)
            for variance in (self.values, self._variance_outside)
        )
        return Gaussian(np.zeros_like(self.mean), self.vectors, values, float(rest))

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
            Independent samples.

        Notes
        -----
        A sample costs about K r multiplications.
        """
        outside, spread = np.sqrt(self._variance_outside), np.sqrt(self.values)
        if outside == 0:
            along = standard_normal(stream, n_samples, len(spread))
            return affine(along * spread, self.mean, self.vectors.T)
        # White noise with the variance outside is drawn in all directions. Then its
        # components along the eigenvectors are rescaled to the eigenvalues.
        noise = standard_normal(stream, n_samples, len(self.mean))
        along = affine(noise, np.zeros(len(spread)), self.vectors)
        drawn = affine(along * (spread - outside), self.mean, self.vectors.T)
        drawn += outside * noise
        return drawn


def ridge_gaussian(
    components: np.ndarray, noise_variance: float, ridge: float
) -> Gaussian:
    """Return the prior under which posterior means equal ridge regression.

    The prior is a distribution of r coordinates that include white noise. The codes of
    K atoms with the coordinates ``components`` (K, r) are independent and have the
    variance noise_variance / ridge. A ridge smaller than rounding errors is raised
    to their size.
    """
    smallest = _EPS * len(components)
    _, singular_values, right = np.linalg.svd(components, full_matrices=False)
    clean = singular_values**2 * noise_variance / max(ridge, smallest)
    return Gaussian(np.zeros(len(right)), right.T, clean + noise_variance)


def principal_directions(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvectors, as columns, and eigenvalues in decreasing order.

    Raises
    ------
    ValueError
        If the covariance is not finite.
    """
    if not np.isfinite(covariance).all():
        raise ValueError(
            "The covariance of the codes is not finite. Remove codes that are NaN or "
            "infinite, or scale the data so that squares do not overflow."
        )
    values, vectors = np.linalg.eigh(covariance)
    return vectors[:, ::-1], values[::-1]


@dataclass(frozen=True, eq=False)
class Span:
    """Affine subspace in which samples vary: mean + coefficients @ vectors.T.

    The ``vectors`` (K, r) are orthonormal columns. None means the whole space.
    """

    mean: np.ndarray
    vectors: np.ndarray | None

    @classmethod
    def of_covariance(cls, mean: np.ndarray, covariance: np.ndarray) -> "Span":
        """Return the span of the directions whose variance is more than rounding."""
        vectors, values = principal_directions(covariance)
        varies = values > variance_floor(len(values), values[0])
        return cls(mean, None if varies.all() else vectors[:, varies])

    @classmethod
    def of(cls, X: np.ndarray, weights: np.ndarray) -> "Span":
        """Return the span of samples (n, K) with weights (n,)."""
        fractions = weights / weights.sum()
        mean = fractions @ X
        scaled = np.sqrt(fractions)[:, None] * (X - mean)
        return cls.of_covariance(mean, scaled.T @ scaled)

    def project(self, X: np.ndarray) -> np.ndarray:
        """Project each sample to the nearest point of the span."""
        if self.vectors is None:
            return X
        return self.mean + (X - self.mean) @ self.vectors @ self.vectors.T


def flattest(values: np.ndarray, rank: int) -> tuple[int, float]:
    """Find the variances that are best replaced by their mean, all but ``rank``.

    The K variances ``values`` are sorted in decreasing order, and rank < K. The best
    choice is a block of neighbours in this order: for any other choice, exchanging two
    variances raises the likelihood. The log-likelihood per sample is a constant minus
    half the log-determinant of the covariance.

    Returns
    -------
    start : int
        Index of the first variance of the block.
    log_determinant : float
        Log-determinant of the covariance after the replacement.
    """
    width = len(values) - rank
    positive = values > variance_floor(len(values), values[0])
    logs = np.log(values, out=np.zeros_like(values), where=positive)
    sums, log_sums = (np.concatenate([[0.0], part.cumsum()]) for part in (values, logs))
    # Variances of zero must be in the block. If one is kept, the density is infinite.
    starts = np.arange(rank + 1) if positive[-1] else np.array([rank])
    stops = starts + width
    rest = (sums[stops] - sums[starts]) / width
    outside = log_sums[-1] - (log_sums[stops] - log_sums[starts])
    log_determinants = width * np.log(np.maximum(rest, _TINY)) + outside
    best = int(np.argmin(log_determinants))
    return int(starts[best]), float(log_determinants[best])


def wiener_gain(variance: float | np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Return the gain variance / (variance + noise) of the Wiener filter.

    The gain is the fraction of the observed variance that belongs to the signal. It is
    1 if the variances of signal and noise are both zero.
    """
    total = np.asarray(variance + noise)
    return np.divide(variance, total, out=np.ones_like(total), where=total > 0)


def _difference(
    variance: float | np.ndarray, removed: float | np.ndarray
) -> float | np.ndarray:
    """Subtract the removed variance; negative results become 0."""
    return np.maximum(variance - removed, 0.0)


def variance_floor(n_dimensions: int, largest: float) -> float:
    """Return the rounding error of variances, given the largest variance."""
    return float(10 * n_dimensions * _EPS * largest)


def n_parameters(n_dimensions: int, rank: int) -> int:
    """Count the free parameters of a Gaussian of rank ``rank`` plus white noise.

    They are the mean, the eigenvectors and eigenvalues, and the variance outside. A
    Gaussian with rank >= n_dimensions has a full covariance.
    """
    if rank >= n_dimensions:
        return n_dimensions + n_dimensions * (n_dimensions + 1) // 2
    return n_dimensions + n_dimensions * rank - rank * (rank - 1) // 2 + 1


def affine(X: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Compute offset + X @ matrix with the threads of torch.

    The next step of sampling uses torch as well. A second pool of threads, that of
    NumPy, would slow down both.
    """
    return as_array(combine(X, offset, matrix, device=resolve_device(None)))
