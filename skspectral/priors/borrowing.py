"""Pooled covariance, to which the covariances of labels with few rows are shrunk."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Two rows that differ by less than this fraction of the typical residual are equal.
_SAME = 1e-8
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Pool:
    """Residuals of the rows of all labels about the means of their labels.

    ``residuals`` has the shape (n, K), and ``weights``, the sample weights, the shape
    (n,). If a label has m < K + 1 effective rows, its covariance becomes

        (1 - a) C + a W,   a = 1 - m / (K + 1)

    where C is the covariance of its own rows, and W that of the pool. A label of one
    row has a = K / (K + 1). A label of K + 1 rows, which suffice for a covariance of
    full rank, has a = 0. This is the regularised discriminant analysis of Friedman
    (1989), with a weight that depends on the number of rows.
    """

    residuals: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> "Pool":
        """Make the pool of rows with the labels 0 .. n_classes - 1.

        Each label must occur and have a total weight > 0. A ValueError is raised if the
        rows of each label are equal, because all residuals are then zero.
        """
        totals = np.bincount(labels, weights=weights)
        # The first row of each label is subtracted before the mean, so that the
        # residuals of equal rows are exactly zero.
        _, first = np.unique(labels, return_index=True)
        residuals = codes - codes[first][labels]
        means = np.zeros((len(totals), codes.shape[1]))
        np.add.at(means, labels, weights[:, None] * residuals)
        residuals -= (means / totals[:, None])[labels]
        # Residuals of the size of rounding errors are not variation.
        residuals[np.abs(residuals) <= 4 * _EPS * np.abs(codes).max()] = 0.0
        if not residuals.any():
            raise ValueError(
                "Within each label in y all codes are equal, so that there is no "
                "covariance within labels. Pass labels y that several different rows "
                "share."
            )
        return cls(residuals, weights)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Pooled covariance W within labels, shape (K, K)."""
        scaled = np.sqrt(self.weights / self.weights.sum())[:, None] * self.residuals
        return scaled.T @ scaled

    @cached_property
    def _typical(self) -> float:
        """Root mean square of the residuals."""
        largest = np.abs(self.residuals).max()
        fractions = self.weights / self.weights.sum()
        squares = ((self.residuals / largest) ** 2).mean(1)
        return float(largest * np.sqrt(fractions @ squares))

    def fraction(self, rows: np.ndarray) -> float:
        """Return the weight a of W for the label whose rows have these indices."""
        n_rows = effective_rows(self.residuals[rows], self.weights[rows], self._typical)
        return max(0.0, 1 - n_rows / (self.residuals.shape[1] + 1))

    def weights_for(self, fraction: float, own_weight: float) -> np.ndarray:
        """Return weights (n,) that give the pool this fraction of the total weight.

        The rest of the total weight is ``own_weight``, that of the rows of a label.
        """
        total = own_weight * fraction / (1 - fraction)
        return self.weights * (total / self.weights.sum())


def effective_rows(X: np.ndarray, weights: np.ndarray, unit: float) -> float:
    """Return the effective sample size (sum w)^2 / sum w^2 of weighted rows (n, K).

    The formula is that of Kish (1965). The weights of equal rows are added first, so
    that one row of weight 2 and two equal rows of weight 1 have the same effect. Rows
    are equal if they differ only by a tiny fraction of the ``unit``.
    """
    # Adding 0.0 turns negative zeros into positive ones.
    cells = np.round(X / (_SAME * unit)) + 0.0
    _, of_row = np.unique(cells, axis=0, return_inverse=True)
    totals = np.bincount(of_row.ravel(), weights=weights / weights.max())
    return float(totals.sum() ** 2 / (totals**2).sum())
