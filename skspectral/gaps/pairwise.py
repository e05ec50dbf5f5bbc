"""Moments of rows with gaps, from the pairs of entries that were observed together.

The mean of an entry is that over the rows that contain it, and a covariance that over
the rows that contain both entries. Such covariances are unbiased if entries are missing
at random, but they are no covariance matrix: eigenvalues may be negative.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.gaps.expectation import GappyRows
from skspectral.grid import Grid
from skspectral.moments.moments import Moments
from skspectral.moments.scatter import DenseScatter
from skspectral.moments.second_moment import DenseMoment
from skspectral.moments.stationary import StationaryMoment

# A covariance of two entries counts as much as that of its lag over all positions, if
# the entries were observed together in this number of rows.
_PRIOR_ROWS = 2.0
# The smallest eigenvalue that is kept, as a fraction of the largest.
_SMALLEST = 1e-8


@dataclass(frozen=True, eq=False)
class PairwiseMoments:
    """Sums over the rows that contain an entry, or a pair of entries.

    Attributes
    ----------
    counts : tensor of shape (T, T)
        Weight of the rows that contain both entries.
    sums : tensor of shape (T, T)
        Entry [s, t] is the weighted sum of entry s over these rows.
    products : tensor of shape (T, T)
        Weighted sums of products.
    """

    counts: torch.Tensor
    sums: torch.Tensor
    products: torch.Tensor

    @classmethod
    def of(cls, rows: GappyRows) -> "PairwiseMoments":
        """Return the sums of rows; costs 3 n T^2 multiplications."""
        observed = rows.observed
        weighted = observed * rows.weights[:, None]
        values = rows.values * rows.weights[:, None]
        return cls(weighted.T @ observed, values.T @ observed, values.T @ rows.values)

    def merge(self, other: "PairwiseMoments") -> "PairwiseMoments":
        """Return the sums of these and of other rows."""
        return PairwiseMoments(
            self.counts + other.counts,
            self.sums + other.sums,
            self.products + other.products,
        )

    def means(self) -> torch.Tensor:
        """Return the mean of each entry over its rows; NaN if it has none."""
        return self.sums.diagonal() / self.counts.diagonal()

    def covariances(self) -> torch.Tensor:
        """Return the covariance of each pair over its rows; NaN if it has none."""
        counts = self.counts
        means = self.sums / counts
        return self.products / counts - means * means.T


def moments_of_pairs(
    pairs: PairwiseMoments, grid: Grid, n_samples: int, dtype: np.dtype
) -> Moments:
    """Return moments with a covariance matrix near the pairwise covariances.

    Entries that were seldom observed together are shrunk towards the mean covariance of
    their lag. Negative eigenvalues are then replaced by 0, and all are multiplied so
    that the trace stays. An entry that was never observed gets the mean that is
    interpolated between its neighbours.

    Notes
    -----
    Costs O(T^3).
    """
    counts, found = pairs.counts, pairs.covariances()
    found = torch.where(counts > 0, found, 0.0)
    found = (found + found.T) / 2
    by_lag = DenseMoment(counts).lag_products(grid)
    lags = DenseMoment(counts * found).lag_products(grid)
    lags = torch.where(by_lag > 0, lags / by_lag, 0.0)
    of_lags = StationaryMoment(lags, grid).dense()
    covariance = (counts * found + _PRIOR_ROWS * of_lags) / (counts + _PRIOR_ROWS)
    values, vectors = torch.linalg.eigh(covariance)
    kept = values.clamp_min(_SMALLEST * float(values[-1]))
    kept = kept * (float(values.sum().clamp_min(0.0)) / float(kept.sum()))
    covariance = (vectors * kept) @ vectors.T
    moments = Moments(grid.n_features, counts.device, tails=False)
    moments.mean = _interpolated(pairs.means(), grid)
    moments.weight = float(counts.diagonal().max())
    moments.n_samples, moments.dtype = n_samples, np.dtype(dtype)
    # The fourth moment is that of a Gaussian.
    squares = float(torch.linalg.vector_norm(covariance)) ** 2
    moments.fourth = moments.weight * (float(covariance.trace()) ** 2 + 2 * squares)
    scatter = (covariance + covariance.T) * (moments.weight / 2)
    moments.scatter = DenseScatter.of_matrix(scatter)
    return moments


def _interpolated(means: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return means in which missing values are interpolated along the last axis.

    Lines without any value get the mean of all values.
    """
    signals = as_array(grid.signals(means)).copy()
    lines = signals.reshape(-1, signals.shape[-1])
    lines[np.isnan(lines).all(axis=1)] = np.nanmean(lines)
    places = np.arange(lines.shape[1])
    for line in lines:
        known = ~np.isnan(line)
        line[~known] = np.interp(places[~known], places[known], line[known])
    return as_tensor(grid.rows(lines.reshape(signals.shape)), means.device)
