"""Blocks of dask arrays and data frames, which may lie on many machines.

This module imports dask only when X is a collection of dask.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import numpy as np

from skspectral._missing import is_lazy
from skspectral._sklearn_compat import as_numbers
from skspectral.blocks.row_blocks import (
    Block,
    RowBlocks,
    Rows,
    Sum,
    checked_rows,
    checked_weights,
)


class DaskBlocks(RowBlocks):
    """Rows of a dask array, of a dask data frame, or of an xarray with dask inside.

    Parameters
    ----------
    X : collection of dask
        Rows in chunks, whose sizes may be unknown.

    Raises
    ------
    ValueError
        If X has not two axes, no numbers, or a number of columns that is not known.

    Warns
    -----
    UserWarning
        If the columns are in several chunks, so that X must be rechunked.
    """

    lazy = True

    def __init__(self, X: Any):
        self.names = list(X.columns) if hasattr(X, "columns") else None
        X = _as_dask_array(X)
        if not hasattr(X, "to_delayed") or getattr(X, "ndim", 0) != 2:
            shape = getattr(X, "shape", type(X).__name__)
            raise ValueError(
                f"X of shape {shape} must be a dask array or data frame with two axes: "
                "one signal or flattened image per row."
            )
        if math.isnan(X.shape[1]):
            raise ValueError(
                "The number of columns of X is not known. Call X.compute_chunk_sizes() "
                "first."
            )
        if X.numblocks[1] > 1:
            warnings.warn(
                f"The columns of X are in {X.numblocks[1]} chunks. A row must be in one"
                f" chunk, so that X is rechunked: {_size(X)} may be moved between "
                "workers in each pass. Store X with X.rechunk({0: 'auto', 1: -1}).",
                UserWarning,
                stacklevel=6,
            )
            X = X.rechunk({1: -1})
        self._array = X
        self.n_features = X.shape[1]
        self.dtype = checked_rows(np.empty((0, self.n_features), X.dtype), 0).dtype
        self.n_blocks = X.numblocks[0]
        self.n_rows = None if math.isnan(X.shape[0]) else X.shape[0]

    def reduce(
        self,
        function: Callable[[Block], Sum],
        merge: Callable[[Sum, Sum], Sum],
        *,
        weights: Any = None,
        on_block: Callable[[], object] | None = None,
    ) -> Sum:
        """Return the sum of a function over all blocks, see `RowBlocks.reduce`.

        Neighbours are merged pair by pair, so that the order of the sum is that of the
        blocks. The scheduler is the one that is active in dask, which also shows the
        progress: ``on_block`` is called at the end, once per block.
        """
        import dask

        task = dask.delayed(_block_sum, pure=False)
        add = dask.delayed(_merged, pure=False)
        shared = dask.delayed((function, self.n_features, self.dtype), traverse=False)
        parts = self._array.to_delayed().ravel()
        given = [None] * len(parts)
        if weights is not None:
            if not is_lazy(weights):
                weights = checked_weights(weights, self.n_rows)
            given = self._aligned(weights, "sample_weight").to_delayed().ravel()
        sizes = self._array.chunks[0]
        starts: list[Any] = [None] * len(parts)
        if self.n_rows is not None:
            starts = np.concatenate([[0], np.cumsum(sizes)])[:-1].tolist()
        sums = [
            task(rows, each, number, start, shared)
            for number, (rows, each, start) in enumerate(
                zip(parts, given, starts, strict=True)
            )
        ]
        merge = dask.delayed(merge, traverse=False)
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=False)
            odd = sums[-1:] if len(sums) % 2 else []
            sums = [add(one, two, merge) for one, two in pairs] + odd
        (total,) = dask.compute(sums[0])
        if on_block is not None:
            for _ in parts:
                on_block()
        return total

    def map(
        self,
        function: Callable[..., Rows],
        shared: Any,
        per_row: Mapping[str, Any],
        *,
        example: Rows,
        name: str,
    ) -> Any:
        """Return the values of a function of each block as a lazy dask array.

        Nothing is computed yet. See `RowBlocks.map`.
        """
        import dask
        import dask.array

        arrays = {key: self._aligned(each, key) for key, each in per_row.items()}
        empty = _as_one(example)[:0]
        # Operands of one dimension would be aligned with the columns.
        operands = [each[:, None] for each in arrays.values()]
        inner = empty.shape[1:]
        values = dask.array.map_blocks(
            _block_values,
            self._array,
            *operands,
            function=dask.delayed(function, traverse=False),
            shared=dask.delayed(shared, traverse=False),
            names=tuple(arrays),
            empty=empty,
            dtype=empty.dtype,
            chunks=(self._array.chunks[0], *((size,) for size in inner)),
            drop_axis=() if inner else 1,
            new_axis=2 if len(inner) == 2 else None,
            meta=np.empty((0,) * empty.ndim, empty.dtype),
            name=f"{name}-{uuid4().hex}",
        )
        if isinstance(example, tuple):
            return tuple(values[:, i] for i in range(len(example)))
        return values

    def _aligned(self, values: Any, name: str) -> Any:
        """Return values of the rows as a dask array in the chunks of the rows."""
        import dask.array

        chunks = self._array.chunks[0]
        if not is_lazy(values):
            if self.n_rows is None:
                raise ValueError(
                    f"{name} is an array in memory, but X has chunks of unknown sizes, "
                    "so that it is not known which entry belongs to which row. Call "
                    f"X.compute_chunk_sizes(), or pass {name} as a dask array in the "
                    "chunks of X."
                )
            values = as_numbers(values, name)
            if values.shape != (self.n_rows,):
                raise ValueError(
                    f"{name} of shape {values.shape} must have one entry for each of "
                    f"the {self.n_rows} rows of X."
                )
            return dask.array.from_array(values, chunks=(chunks,))
        values = _as_dask_array(values)
        known = self.n_rows is not None and not math.isnan(values.shape[0])
        if values.ndim != 1 or (known and values.shape[0] != self.n_rows):
            raise ValueError(
                f"{name} of shape {values.shape} must have one entry per row of X, "
                f"which has {self.n_rows} rows."
            )
        if known and values.chunks[0] != chunks:
            return values.rechunk((chunks,))
        if values.numblocks[0] != len(chunks):
            raise ValueError(
                f"{name} has {values.numblocks[0]} chunks, but X has {len(chunks)}. "
                "Pass both with the same chunks, or with chunks of known sizes."
            )
        return values


def _as_dask_array(X: Any) -> Any:
    """Return the dask array of a data frame or an xarray; other objects unchanged."""
    if hasattr(X, "to_dask_array"):
        return X.to_dask_array()
    return X.data if hasattr(X, "dims") else X


def _block_sum(
    rows: Any, weights: Any, number: int, start: int | None, shared: tuple[Any, ...]
) -> Any:
    """Return the function of one block. This runs where the block is."""
    function, n_features, dtype = shared
    rows = checked_rows(rows, number, n_features, dtype)
    if weights is not None:
        weights = as_numbers(weights, "sample_weight")
        if len(weights) != len(rows):
            raise ValueError(
                f"Block {number} of sample_weight has {len(weights)} entries, but that "
                f"of X has {len(rows)} rows. Pass both with the same chunks."
            )
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(
                f"Block {number} of sample_weight has entries that are negative, NaN or"
                " infinite. Pass non-negative weights."
            )
    return function(Block(rows, weights, number, start, (len(rows),)))


def _merged(one: Any, two: Any, merge: Callable[[Any, Any], Any]) -> Any:
    """Return the sum of two results, which stay as they are.

    A scheduler may need them again, if the worker that holds the sum is lost.
    """
    return merge(copy.deepcopy(one), two)


def _block_values(
    rows: Any,
    *per_row: Any,
    function: Callable[..., Rows],
    shared: Any,
    names: tuple[str, ...],
    empty: np.ndarray,
) -> np.ndarray:
    """Return the values of one block. This runs where the block is."""
    if len(rows) == 0:
        return empty
    each = (np.asarray(values)[:, 0] for values in per_row)
    return _as_one(function(rows, shared, **dict(zip(names, each, strict=True))))


def _as_one(values: Rows) -> np.ndarray:
    """Return several arrays as one, with the number of the array as second axis."""
    if isinstance(values, tuple):
        return np.stack(values, axis=1)
    return np.asarray(values)


def _size(X: Any) -> str:
    """Return the size of an array, in words."""
    return "all of it" if math.isnan(X.nbytes) else f"{X.nbytes / 2**30:.3g} GiB"
