"""Blocks of an array in a file, such as those of zarr and h5py."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np

from skspectral.blocks.row_blocks import checked_rows
from skspectral.blocks.stream import BLOCK_BYTES, SequentialBlocks


class StoredBlocks(SequentialBlocks):
    """Rows of an array in a file, such as those of zarr and h5py.

    A block has the rows of whole chunks of the file, so that no chunk is read twice.

    Parameters
    ----------
    X : array-like of shape (n, T)
        Array with ``shape``, ``dtype`` and ``chunks``.

    Raises
    ------
    ValueError
        If X is no matrix of numbers.
    """

    def __init__(self, X: Any):
        if len(X.shape) != 2:
            raise ValueError(
                f"X of shape {tuple(X.shape)} must have two axes: one signal or "
                "flattened image per row."
            )
        self._stored = X
        self.n_rows, self.n_features = (int(size) for size in X.shape)
        self.dtype = checked_rows(np.empty((0, self.n_features), X.dtype), 0).dtype
        self.names = None
        in_chunk = int(X.chunks[0]) if X.chunks else 1
        row_bytes = self.n_features * max(self.dtype.itemsize, X.dtype.itemsize)
        n_chunks = max(1, BLOCK_BYTES // max(1, in_chunk * row_bytes))
        self._block_rows = in_chunk * n_chunks
        self.n_blocks = -(-self.n_rows // self._block_rows)

    def read(self) -> Iterator[Any]:
        """Yield the blocks.

        Yields
        ------
        block : array of shape (n, T)
            Consecutive rows.
        """
        assert self.n_rows is not None
        for start in range(0, self.n_rows, self._block_rows):
            yield self._stored[start : start + self._block_rows]
