"""What labels of few rows borrow from all: how rows of a label vary."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Rows that differ by less, relative to how rows of a label vary, are the same row.
_SAME = 1e-8
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of all labels, (n, K), less the mean of those of their label; weights (n,).

    A label of m effective rows, fewer than K + 1, borrows the share

        a = 1 - m / (K + 1)

    of its covariance: (1 - a) C + a W, with its own C and the covariance W of the pool.
    A label of one row has a = K / (K + 1); one of K + 1, enough for a covariance of
    full rank, borrows nothing. It is the regularised discriminant analysis of Friedman
    (1989), whose weight is chosen by the number of rows.
    """

    residuals: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> "Pool":
        """Of rows with labels 0 .. n_classes - 1, each of which has a weight > 0.

        If all rows of each label are equal, there is nothing to borrow: a ValueError.
        """
        totals = np.bincount(labels, weights=weights)
        # From the first of each label, so that equal rows leave exactly nothing.
        _, first = np.unique(labels, return_index=True)
        residuals = codes - codes[first][labels]
        means = np.zeros((len(totals), codes.shape[1]))
        np.add.at(means, labels, weights[:, None] * residuals)
        residuals -= (means / totals[:, None])[labels]
        # What is rounding does not vary.
        residuals[np.abs(residuals) <= 4 * _EPS * np.abs(codes).max()] = 0.0
        if not residuals.any():
            raise ValueError(
                "All codes of a label are equal, for each label in y, so that nothing "
                "tells how codes vary. Pass labels y that several different rows share."
            )
        return cls(residuals, weights)

    @cached_property
    def covariance(self) -> np.ndarray:
        """W, the covariance within labels, (K, K)."""
        scaled = np.sqrt(self.weights / self.weights.sum())[:, None] * self.residuals
        return scaled.T @ scaled

    @cached_property
    def _unit(self) -> float:
        largest = np.abs(self.residuals).max()
        shares = self.weights / self.weights.sum()
        return float(
            largest * np.sqrt(shares @ ((self.residuals / largest) ** 2).mean(1))
        )

    def share(self, rows: np.ndarray) -> float:
        """The share a that the label of these rows, by their numbers, borrows."""
        n_rows = effective_rows(self.residuals[rows], self.weights[rows], self._unit)
        return max(0.0, 1 - n_rows / (self.residuals.shape[1] + 1))

    def lent(self, share: float, weight: float) -> np.ndarray:
        """Weights (n,) of the pool's rows, to be the ``share`` beside a ``weight``."""
        total = weight * share / (1 - share)
        return self.weights * (total / self.weights.sum())


def effective_rows(X: np.ndarray, weights: np.ndarray, unit: float) -> float:
    """Number of different rows that count as much as these: (sum w)^2 / sum w^2.

    Weights of rows that are equal are added first, so that a row of weight 2, two equal
    rows and one of weight 1 are the same (Kish 1965). Equal is what differs by rounding
    in the ``unit`` of the rows.
    """
    # Adding 0 makes the zeros that are negative positive.
    cells = np.round(X / (_SAME * unit)) + 0.0
    _, of_row = np.unique(cells, axis=0, return_inverse=True)
    totals = np.bincount(of_row.ravel(), weights=weights / weights.max())
    return float(totals.sum() ** 2 / (totals**2).sum())
