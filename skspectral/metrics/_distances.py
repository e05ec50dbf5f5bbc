"""Squared Euclidean distances between many pairs of samples.

A matrix product computes them fast, but its rounding errors grow with the squared
norms, so that the distances of near duplicates are inaccurate. Distances that are close
to a threshold are therefore computed again, from the differences of the samples.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
from sklearn.utils import gen_batches

# Number of distances in memory at once: 16 MiB, about the size of a processor cache.
_BLOCK_SIZE = 2**21
# A block has at least this many rows, because smaller matrix products are slow.
_MIN_BLOCK_ROWS = 32
# Number of differences (pairs times features) in memory at once.
_EXACT_SIZE = 2**23


class SquaredDistances:
    """Squared distances between the rows of X (n, d) and the rows of Y (m, d)."""

    def __init__(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.X, self.Y = X, Y
        # Subtracting the common mean makes the norms, and the rounding errors, smaller.
        centre = Y.mean(axis=0)
        self._A, self._B = X - centre, Y - centre
        self._a, self._b = ((Z**2).sum(axis=1) for Z in (self._A, self._B))
        self._B *= -2
        # Relative bound of the rounding error of a sum of d products.
        self._error = 4 * (X.shape[1] + 4) * np.finfo(np.float64).eps

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows of X with their approximate distances to all rows of Y.

        The memory of a block is used again for the next block.
        """
        step = max(_MIN_BLOCK_ROWS, _BLOCK_SIZE // len(self.Y))
        memory = np.empty((min(step, len(self.X)), len(self.Y)))
        for rows in gen_batches(len(self.X), step):
            block = memory[: rows.stop - rows.start]
            np.matmul(self._A[rows], self._B.T, out=block)
            block += self._a[rows, None]
            block += self._b
            yield rows, block

    def correct_near_(
        self, rows: slice, block: np.ndarray, threshold: np.ndarray
    ) -> None:
        """Recompute, in place, the distances that are within rounding of a threshold.

        ``threshold`` holds squared distances and broadcasts against ``block``.
        """
        largest = self._error * (self._a[rows].max() + self._b.max())
        i, j = np.nonzero(np.abs(block - threshold) <= largest)
        # Use the bound of each pair: only outliers have bounds near the largest one.
        errors = self._error * (self._a[rows][i] + self._b[j])
        threshold = np.broadcast_to(threshold, block.shape)
        near = np.abs(block[i, j] - threshold[i, j]) <= errors
        i, j = i[near], j[near]
        for part in gen_batches(len(i), max(1, _EXACT_SIZE // self.X.shape[1])):
            differences = self.X[rows][i[part]] - self.Y[j[part]]
            block[i[part], j[part]] = (differences**2).sum(axis=1)


def kth_nearest(X: np.ndarray, Y: np.ndarray, k: int = 1) -> np.ndarray:
    """Return the exact squared distance of each row of X to its k-th nearest row of Y.

    If X and Y are the same object, a row does not count as its own neighbour, but its
    duplicates do.
    """
    distances = SquaredDistances(X, Y)
    result = np.empty(len(X))
    for rows, block in distances.blocks():
        if X is Y:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        distances.correct_near_(rows, block, _kth_smallest(block, k)[:, None])
        result[rows] = _kth_smallest(block, k)
    return result


def nearest(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest row of Y for each row of X.

    The result holds the squared distances and the indices of the nearest rows.
    """
    distances = SquaredDistances(X, Y)
    squared, index = np.empty(len(X)), np.empty(len(X), dtype=int)
    for rows, block in distances.blocks():
        distances.correct_near_(rows, block, block.min(axis=1, keepdims=True))
        index[rows] = block.argmin(axis=1)
        squared[rows] = block[np.arange(len(block)), index[rows]]
    return squared, index


def _kth_smallest(block: np.ndarray, k: int) -> np.ndarray:
    if k == 1:
        return block.min(axis=1)
    return np.partition(block, k - 1, axis=1)[:, k - 1]
