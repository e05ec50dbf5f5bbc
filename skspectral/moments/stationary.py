"""Covariances of few samples, shrunk towards that of a stationary process."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from functools import cached_property

import torch

from skspectral.grid import Grid
from skspectral.moments.second_moment import SecondMoment, SumMoment


class StationaryMoment(SecondMoment):
    """The (block) Toeplitz matrix S of a process that is stationary over the places.

    Parameters
    ----------
    lags : tensor, float64
        Mean products for each lag and pair of channels, see ``lag_products``.
    grid : Grid
        Of the signals.
    """

    def __init__(self, lags: torch.Tensor, grid: Grid):
        self.n_features, self.device = grid.n_features, lags.device
        self.lags, self.grid = lags, grid

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ S``, a convolution with the lags. Costs n T log T."""
        height, width, _ = _image_shape(self.grid)
        sides, channels = (2 * height, 2 * width), self.grid.channels
        signals = rows.reshape(-1, height, width, channels)
        spectra = torch.fft.rfft2(signals, sides, dim=(1, 2))
        spectra = torch.einsum("nyxc,cyxd->nyxd", spectra, self._spectrum)
        whole = torch.fft.irfft2(spectra, sides, dim=(1, 2))
        # The convolution is longer than the circle, but not where it is read.
        found = whole[:, height - 1 : 2 * height - 1, width - 1 : 2 * width - 1]
        return found.reshape(rows.shape)

    @cached_property
    def _spectrum(self) -> torch.Tensor:
        """Transform of the lags; the lag zero stands at (height - 1, width - 1)."""
        height, width, _ = _image_shape(self.grid)
        return torch.fft.rfft2(self.lags, (2 * height, 2 * width), dim=(1, 2))

    def trace(self) -> float:
        """Return the trace."""
        height, width, _ = _image_shape(self.grid)
        of_place = self.lags[:, height - 1, width - 1].diagonal()
        return self.grid.n_places * float(of_place.sum())

    def scaled(self, factor: float) -> "StationaryMoment":
        """Return a multiple."""
        return StationaryMoment(self.lags * factor, self.grid)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return rows of S: the lags from each place to all places."""
        height, width, channels = _image_shape(self.grid)
        rows = []
        for row in range(start, stop):
            place, channel = divmod(row, channels)
            y, x = divmod(place, width)
            window = self.lags[
                channel,
                height - 1 - y : 2 * height - 1 - y,
                width - 1 - x : 2 * width - 1 - x,
            ]
            rows.append(window.reshape(-1))
        return torch.stack(rows)

    def excess(self) -> float:
        """Return ||C - S||^2 - ||C||^2 for the C that S is the stationary mean of.

        It is ||S||^2 - 2 <C, S>, which the lags alone tell.
        """
        height, width, _ = _image_shape(self.grid)
        dy, dx = (torch.arange(1 - n, n).to(self.lags).abs() for n in (height, width))
        pairs = torch.outer(height - dy, width - dx) - 2 * height * width
        return float((pairs[None, :, :, None] * self.lags**2).sum())


def stationary_mean(C: SecondMoment, grid: Grid) -> StationaryMoment:
    """The mean of a second moment over all places: that of a stationary process."""
    return StationaryMoment(lag_products(C, grid), grid)


def shrunk(C: SecondMoment, target: StationaryMoment, weight: float) -> SecondMoment:
    """(1 - weight) C + weight S."""
    if weight == 0:
        return C
    return SumMoment([C.scaled(1 - weight), target.scaled(weight)])


def lag_products(C: SecondMoment, grid: Grid) -> torch.Tensor:
    """Mean of a second moment over all places, for each lag; costs T^2 additions.

    This is the biased autocorrelation: for each lag and pair of channels the sum over
    the places that have it, divided by the number of all places. It is the expected
    correlogram of the samples, and so its (block) Toeplitz matrix is positive
    semi-definite, with the trace of C; the unbiased mean along diagonals is not. Of a
    process that is stationary it keeps the share (1 - |dy|/height)(1 - |dx|/width) of
    each lag: spectra are smoothed a little.

    The result has the shape (channels, 2 height - 1, 2 width - 1, channels): its entry
    [c, height - 1 + dy, width - 1 + dx, c'] is the mean over y and x of C[(y, x, c), (y
    + dy, x + dx, c')]. A signal is an image of height 1.
    """
    height, width, channels = _image_shape(grid)
    lags = torch.zeros(
        channels,
        2 * height - 1,
        2 * width - 1,
        channels,
        dtype=torch.float64,
        device=C.device,
    )
    for start, rows in C.blocks(multiple=channels):
        of_places = rows.reshape(-1, channels, height, width, channels)
        for place, products in enumerate(of_places, start // channels):
            y, x = divmod(place, width)
            at_rows = slice(height - 1 - y, 2 * height - 1 - y)
            at_columns = slice(width - 1 - x, 2 * width - 1 - x)
            lags[:, at_rows, at_columns] += products
    lags /= height * width
    # Symmetric to the last digit, as S has to be.
    return (lags + lags.flip(1, 2).transpose(0, 3)) / 2


def best_weight(
    C: SecondMoment, target: StationaryMoment, fourth: float, n_samples: float
) -> float:
    """Weight in [0, 1] of the stationary mean S that brings C nearest to the truth.

    It is the weight of the least expected squared Frobenius error (Ledoit and Wolf
    2004, and Schaefer and Strimmer 2005 for other targets than theirs): the uncertainty
    of the sample covariance C, over its squared distance to its stationary mean S,
    ``target``::

        (E ||x||^4 - ||C||^2) / (n - 2) / ||C - S||^2,     at most 1.

    ``fourth`` is the mean E ||x||^4 of centred samples, n their number or the sum of
    their weights. With n - 2 in place of n the numerator is unbiased for Gaussian
    samples about their own mean, which matters for a handful of them. Heavy tails, such
    as those of sound that is loud now and then, enlarge the numerator. The uncertainty
    of S is left out, because S is a mean of many entries of C.

    Raises
    ------
    ValueError
        If the fourth moment overflows, underflows, or is NaN because some rows were
        gathered without it.

    References
    ----------
    O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88. J. Schaefer, K. Strimmer
    (2005). A shrinkage approach to large-scale covariance matrix estimation.
    Statistical Applications in Genetics and Molecular Biology 4.
    """
    if math.isnan(fourth):
        raise ValueError(
            "shrinkage='auto' has to be set from the first rows on: call fit anew, or "
            "pass a weight in [0, 1]."
        )
    if not math.isfinite(fourth):
        raise ValueError(
            "shrinkage='auto': the fourth moment of X overflows. Scale X down, or pass "
            "a weight in [0, 1]."
        )
    if n_samples <= 2:
        return 1.0
    # As shares of the whole, so that no square overflows.
    total = C.trace()
    if total > 0 and fourth == 0:
        raise ValueError(
            "shrinkage='auto': the fourth moment of X underflows. Scale X up, or pass "
            "a weight in [0, 1]."
        )
    squared = (C.norm() / total) ** 2
    uncertain = max(0.0, fourth / total / total - squared) / (n_samples - 2)
    misfit = squared + target.scaled(1 / total).excess()
    return 1.0 if misfit <= uncertain else uncertain / misfit


def _image_shape(grid: Grid) -> tuple[int, int, int]:
    """Height, width and channels; a signal is an image of height 1."""
    return (1, *grid.sizes, grid.channels)[-3:]  # type: ignore[return-value]
