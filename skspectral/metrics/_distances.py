"""Squared Euclidean distances of many pairs: fast, and exact where it matters.

A matrix product gives them fast, but to the digits of the squared norms only: near
duplicates come out at any small distance. So whatever is near a threshold that decides
something is computed again, from differences.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
from sklearn.utils import gen_batches

# Distances that are held at once: 16 MiB, beside masks and copies, near the caches; but
# of fewer rows than these a matrix product is slow.
_BLOCK_SIZE = 2**21
_LEAST_ROWS = 32
# Differences, of all features, that are held at once.
_EXACT_SIZE = 2**23


class SquaredDistances:
    """Squared distances between the rows of X (n, d) and of Y (m, d)."""

    def __init__(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.X, self.Y = X, Y
        # Without the common offset the norms, and so the errors, are smaller.
        centre = Y.mean(axis=0)
        self._A, self._B = X - centre, Y - centre
        self._a, self._b = ((Z**2).sum(axis=1) for Z in (self._A, self._B))
        self._B *= -2
        # Bound of the rounding errors of sums of d products.
        self._error = 4 * (X.shape[1] + 4) * np.finfo(np.float64).eps

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Consecutive rows of X and their distances to all rows of Y, not exact.

        The memory of a block is used again for the next.
        """
        step = max(_LEAST_ROWS, _BLOCK_SIZE // len(self.Y))
        memory = np.empty((min(step, len(self.X)), len(self.Y)))
        for rows in gen_batches(len(self.X), step):
            block = memory[: rows.stop - rows.start]
            np.matmul(self._A[rows], self._B.T, out=block)
            block += self._a[rows, None]
            block += self._b
            yield rows, block

    def settle_(self, rows: slice, block: np.ndarray, threshold: np.ndarray) -> None:
        """Make exact, in place, the distances that may be on either side of another.

        ``threshold`` broadcasts against the block.
        """
        largest = self._error * (self._a[rows].max() + self._b.max())
        i, j = np.nonzero(np.abs(block - threshold) <= largest)
        # Outliers have large errors; the others' are smaller.
        errors = self._error * (self._a[rows][i] + self._b[j])
        threshold = np.broadcast_to(threshold, block.shape)
        near = np.abs(block[i, j] - threshold[i, j]) <= errors
        i, j = i[near], j[near]
        for part in gen_batches(len(i), max(1, _EXACT_SIZE // self.X.shape[1])):
            differences = self.X[rows][i[part]] - self.Y[j[part]]
            block[i[part], j[part]] = (differences**2).sum(axis=1)


def kth_nearest(X: np.ndarray, Y: np.ndarray, k: int = 1) -> np.ndarray:
    """Squared distance from each row of X to the k-th nearest row of Y, exact.

    Where X and Y are one object, a row is no neighbour of itself; its duplicates are.
    """
    distances = SquaredDistances(X, Y)
    result = np.empty(len(X))
    for rows, block in distances.blocks():
        if X is Y:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        distances.settle_(rows, block, _kth_smallest(block, k)[:, None])
        result[rows] = _kth_smallest(block, k)
    return result


def nearest(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance from each row of X to the nearest row of Y, and which it is."""
    distances = SquaredDistances(X, Y)
    squared, index = np.empty(len(X)), np.empty(len(X), dtype=int)
    for rows, block in distances.blocks():
        distances.settle_(rows, block, block.min(axis=1, keepdims=True))
        index[rows] = block.argmin(axis=1)
        squared[rows] = block[np.arange(len(block)), index[rows]]
    return squared, index


def _kth_smallest(block: np.ndarray, k: int) -> np.ndarray:
    if k == 1:
        return block.min(axis=1)
    return np.partition(block, k - 1, axis=1)[:, k - 1]
