"""Covariances of few samples, shrunk towards that of a stationary process."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from functools import cached_property

import torch

from skspectral.grid import Grid
from skspectral.moments.envelopes import pair_factors
from skspectral.moments.lags import (
    lags_from,
    power_of_lags,
    row_chunks,
    sums_of_lags,
)
from skspectral.moments.quadratic_form import QuadraticForm
from skspectral.moments.second_moment import SecondMoment, SumMoment


class StationaryMoment(SecondMoment):
    """The covariance matrix S of a stationary process on a grid.

    Its entries depend only on the pair of channels and on the lag, the difference of
    two positions. For signals S is a Toeplitz matrix, for images or several channels a
    block Toeplitz matrix.

    Parameters
    ----------
    lags : tensor of shape (channels, channels, 2 n_1 - 1, ..., 2 n_D - 1), float64
        Covariances per pair of channels and lag, see `SecondMoment.lag_products`.
    grid : Grid
        Axes and channels of the signals.
    """

    def __init__(self, lags: torch.Tensor, grid: Grid):
        self.n_features, self.device = grid.n_features, lags.device
        self.lags, self.grid = lags, grid

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product ``rows @ S``, a convolution with the lags.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Left factor.

        Returns
        -------
        product : tensor of shape (n, T), float64
            The product.

        Notes
        -----
        Costs O(n T log T).
        """
        product = torch.empty_like(rows)
        start = 0
        for chunk in row_chunks(rows, self.grid):
            product[start : start + len(chunk)] = self._convolved(chunk)
            start += len(chunk)
        return product

    def _convolved(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product for rows whose spectra fit into memory."""
        sizes, channels = self.grid.sizes, self.grid.channels
        axes = tuple(range(-len(sizes), 0))
        spectra = self.grid.transform(self.grid.signals(rows))
        if channels == 1:
            spectra *= self._spectrum[0]
        else:
            spectra = torch.einsum("nc...,ck...->nk...", spectra, self._spectrum)
        whole = torch.fft.irfftn(spectra, [2 * n for n in sizes], dim=axes)
        # The circular convolution wraps around, but not in the part that is read.
        inside = tuple(slice(n - 1, 2 * n - 1) for n in sizes)
        product: torch.Tensor = self.grid.rows(whole[(slice(None),) * 2 + inside])
        return product

    @cached_property
    def _spectrum(self) -> torch.Tensor:
        """Fourier transform of the lags, which start with the smallest lag."""
        return self.grid.transform(self.lags)

    @property
    def _variances(self) -> torch.Tensor:
        """Variance in each channel, (channels,): the values at lag zero."""
        lags = self.lags.flatten(2)
        return lags[:, :, lags.shape[2] // 2].diagonal()

    def trace(self) -> float:
        """Return the trace of S.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """
        return self.grid.n_places * float(self._variances.sum())

    def scaled(self, factor: float) -> "StationaryMoment":
        """Return the multiple ``factor * S``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : StationaryMoment
            The multiple, with lags of its own.
        """
        return StationaryMoment(self.lags * factor, self.grid)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return consecutive rows of S.

        Parameters
        ----------
        start : int
            Index of the first row.
        stop : int
            Index after the last row.

        Returns
        -------
        rows : tensor of shape (stop - start, T), float64
            Rows of S: the lags from each position to all positions.
        """
        rows = []
        for row in range(start, stop):
            place, channel = self.grid.place_and_channel(row)
            rows.append(self.lags[channel][lags_from(place, self.grid)])
        block: torch.Tensor = self.grid.rows(torch.stack(rows))
        return block

    def lag_products(self, grid: Grid) -> torch.Tensor:
        """Return the sums of S over all positions, per lag and pair of channels.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the signals.

        Returns
        -------
        lags : tensor of shape (channels, channels, 2 n_1 - 1, ..., 2 n_D - 1), float64
            Sums over all pairs of positions with a given lag.
        """
        if grid.without_units() != self.grid.without_units():
            return super().lag_products(grid)
        return self.lags * self._counts()

    def _counts(self) -> torch.Tensor:
        """Return the number of pairs of positions with each lag."""
        counts = torch.ones((), dtype=self.lags.dtype, device=self.lags.device)
        for n in self.grid.sizes:
            counts = counts[..., None] * (n - torch.arange(1 - n, n).to(counts).abs())
        return counts

    def inner(self, other: SecondMoment) -> float:
        """Return the inner product, the sum of all products of two entries.

        Parameters
        ----------
        other : SecondMoment
            Matrix of the same size.

        Returns
        -------
        inner : float
            Inner product. It depends on the lag products of ``other`` alone.
        """
        return float((self.lags * other.lag_products(self.grid)).sum())

    def norm(self) -> float:
        """Return the Frobenius norm of S.

        Returns
        -------
        norm : float
            Square root of the sum of all squared entries.
        """
        return self.inner(self) ** 0.5

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of S.

        Returns
        -------
        diagonal : tensor of shape (T,), float64
            Variance of each feature, which depends on its channel alone.
        """
        return self._variances @ self.grid.channel_indicator(self.device)

    def quadratic_form(
        self, grid: Grid, envelope: torch.Tensor | None = None
    ) -> QuadraticForm:
        """Return the values of S at the waves of a grid.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the waves.
        envelope : tensor of shape (T,) or None, default=None
            Real or complex factor of all waves. None means 1.

        Returns
        -------
        form : QuadraticForm
            Values at the waves in half-cycle steps.

        Notes
        -----
        Costs O(T log T) on the grid of S if there is no envelope, or if the envelope is
        a Gaussian window or, for signals, a chirp. Otherwise it costs T^2.
        """
        if grid.without_units() != self.grid.without_units():
            return super().quadratic_form(grid, envelope)
        if envelope is None:
            power = power_of_lags(self.lag_products(grid), grid)
            return QuadraticForm(power, sums_of_lags(self.lags, grid))
        factors = pair_factors(envelope, grid)
        if factors is None:
            return super().quadratic_form(grid, envelope)
        of_sums, of_lags = factors
        # The sum over all pairs of positions with a lag is that of the envelope's
        # products, its autocorrelation, times the entry of S.
        products = _autocorrelation(grid.first_channel(envelope))
        return QuadraticForm(
            power_of_lags(self.lags * products, grid),
            sums_of_lags(self.lags * of_lags, grid, of_sums),
        )

    def excess(self) -> float:
        """Return the difference ||C - S||^2 - ||C||^2 of squared Frobenius norms.

        C is the matrix whose ``stationary_mean`` is S. The difference equals
        ||S||^2 - 2 <C, S> and depends on the lags alone, so that C is not needed.

        Returns
        -------
        excess : float
            The difference, at most zero.
        """
        pairs = self._counts() - 2 * self.grid.n_places
        return float((pairs * self.lags**2).sum())


def _autocorrelation(values: torch.Tensor) -> torch.Tensor:
    """Return the sums of conj(g(t)) g(t + l) over t, for all lags l of a signal g.

    The result has the shape (2 n_1 - 1, ..., 2 n_D - 1), with lag zero in the middle.
    """
    padded = [2 * n for n in values.shape]
    whole = torch.fft.ifftn(torch.fft.fftn(values, padded).abs() ** 2)
    centred = torch.fft.fftshift(whole)[(slice(1, None),) * values.ndim]
    return centred if values.is_complex() else centred.real


def stationary_mean(C: SecondMoment, grid: Grid) -> StationaryMoment:
    """Return the mean of a second moment over all positions.

    Notes
    -----
    This is the biased autocorrelation: the sum over all positions at which a lag exists
    is divided by the number of all positions. Its (block) Toeplitz matrix is positive
    semi-definite and has the trace of C, because it is the expected correlogram of the
    samples. The matrix of unbiased means along the diagonals may be indefinite. If the
    process is stationary, the bias multiplies each lag by
    the product of 1 - |l|/n over the axes: it smooths spectra a little.
    """
    return StationaryMoment(C.lag_products(grid) / grid.n_places, grid)


def shrunk(C: SecondMoment, target: StationaryMoment, weight: float) -> SecondMoment:
    """Return the weighted mean (1 - weight) C + weight S of C and its target S."""
    if weight == 0:
        return C
    return SumMoment([C.scaled(1 - weight), target.scaled(weight)])


def best_weight(
    C: SecondMoment, target: StationaryMoment, fourth: float, n_samples: float
) -> float:
    """Return the shrinkage weight, in [0, 1], that brings C nearest to the truth.

    It minimises the expected squared Frobenius error of (1 - weight) C + weight S for
    the stationary mean S of C (Ledoit and Wolf 2004; Schaefer and Strimmer 2005 for
    general targets). The weight is the uncertainty of the sample covariance C, divided
    by its squared distance from S, and at most 1::

        (E ||x||^4 - ||C||^2) / (n - 2) / ||C - S||^2

    Parameters
    ----------
    C : SecondMoment
        Covariance of the samples.
    target : StationaryMoment
        Stationary mean S of C.
    fourth : float
        Mean E ||x||^4 over the centred samples.
    n_samples : float
        Number n of samples, or the sum of their weights.

    Returns
    -------
    weight : float
        Weight of S.

    Raises
    ------
    ValueError
        If ``fourth`` is NaN, because some rows were gathered without fourth moments.
    ValueError
        If the fourth moment overflows or underflows.

    Notes
    -----
    The divisor n - 2 in place of n makes the numerator unbiased for Gaussian samples
    about their own mean. This matters if there are few samples. Heavy tails, such as
    those of sound with occasional loud parts, enlarge the numerator. The uncertainty of
    S is neglected, because each of its entries is a mean of many entries of C.

    References
    ----------
    O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88.

    J. Schaefer, K. Strimmer (2005). A shrinkage approach to large-scale covariance
    matrix estimation. Statistical Applications in Genetics and Molecular Biology 4.
    """
    if math.isnan(fourth):
        raise ValueError(
            "shrinkage='auto' needs the fourth moment of all rows, but some rows were "
            "gathered without it: by fit or partial_fit with another value of "
            "shrinkage, or by Moments(tails=False). Gather the moments again with "
            "shrinkage='auto' or tails=True, or pass a number in [0, 1] as shrinkage."
        )
    if not math.isfinite(fourth):
        raise ValueError(
            f"shrinkage='auto' needs the fourth moment of X, which is {fourth}: it "
            "overflows. Divide X by a large number, or pass a number in [0, 1] as "
            "shrinkage."
        )
    if n_samples <= 2:
        return 1.0
    # All norms are divided by the trace of C, so that their squares do not overflow.
    total = C.trace()
    if total > 0 and fourth == 0:
        raise ValueError(
            "shrinkage='auto' needs the fourth moment of X, which underflows to 0. "
            "Multiply X by a large number, or pass a number in [0, 1] as shrinkage."
        )
    squared = (C.norm() / total) ** 2
    uncertainty = max(0.0, fourth / total / total - squared) / (n_samples - 2)
    misfit = squared + target.scaled(1 / total).excess()
    return 1.0 if misfit <= uncertainty else uncertainty / misfit
