"""Blocks that are read one after the other, by a function or a data loader."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, SequentialSampler

from skspectral.blocks.row_blocks import (
    Block,
    RowBlocks,
    Rows,
    Sum,
    checked_rows,
    checked_weights,
)

# Blocks are joined, or cut along the chunks of a file, to about this size. Their
# products run at full speed, and three of them fit into any memory.
BLOCK_BYTES = 64 * 2**20
# Name in the table of arguments of the weights.
_WEIGHTS = "sample_weight"


class SequentialBlocks(RowBlocks):
    """Blocks that one process reads in their order.

    The next block is read by a second thread while one is used. A subclass defines
    `read`, and sets the attributes of `RowBlocks`.
    """

    @abstractmethod
    def read(self) -> Iterator[Any]:
        """Yield the blocks, from the first.

        Yields
        ------
        block : array-like of shape (n, T)
            Consecutive rows.
        """

    def reduce(
        self,
        function: Callable[[Block], Sum],
        merge: Callable[[Sum, Sum], Sum],
        *,
        weights: Any = None,
        on_block: Callable[[], object] | None = None,
    ) -> Sum:
        """Return the sum of a function over all blocks in their order.

        See `RowBlocks.reduce`. ``on_block`` is called once per block of the source.
        """
        per_row = {}
        if weights is not None:
            per_row[_WEIGHTS] = checked_weights(weights, self.n_rows)
        total: Any = None
        for block, found in self._blocks(per_row):
            part = function(replace(block, weights=found.get(_WEIGHTS)))
            total = part if total is None else merge(total, part)
            if on_block is not None:
                for _ in block.lengths:
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
        """Return the values of a function of each block in memory.

        See `RowBlocks.map`.
        """
        given = {name: np.asarray(values) for name, values in per_row.items()}
        parts = [
            function(block.rows, shared, **found)
            for block, found in self._blocks(given)
        ]
        if isinstance(parts[0], tuple):
            return tuple(np.concatenate(each) for each in zip(*parts, strict=True))
        return np.concatenate(parts)

    def _blocks(
        self, per_row: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[Block, dict[str, np.ndarray]]]:
        """Yield joined blocks, with the values of their rows in other arrays."""
        if per_row:
            self.require_order(next(iter(per_row)))
        stop = 0
        for block in _one_ahead(self._joined()):
            start = stop
            stop += len(block.rows)
            for name, each in per_row.items():
                if len(each) < stop:
                    raise ValueError(
                        f"{name} has {len(each)} entries, but X has at least {stop} "
                        "rows. Pass one entry per row."
                    )
            yield block, {name: each[start:stop] for name, each in per_row.items()}
        if stop == 0:
            raise ValueError(
                "X has no rows: its blocks are empty, or there are none. If X is a "
                "function, each call of it must return a new iterator over the blocks."
            )
        for name, each in per_row.items():
            if len(each) > stop:
                raise ValueError(
                    f"{name} has {len(each)} entries, but X has {stop} rows. Pass one "
                    "entry per row."
                )

    def _joined(self) -> Iterator[Block]:
        """Yield blocks of about `BLOCK_BYTES`, made of whole blocks of the source."""
        parts: list[np.ndarray] = []
        first = start = size = 0
        for number, rows in enumerate(self.read()):
            part = checked_rows(rows, number, self.n_features, self.dtype)
            parts.append(part)
            size += part.nbytes
            if size >= BLOCK_BYTES:
                yield _join(parts, first, start)
                start += sum(map(len, parts))
                parts, first, size = [], number + 1, 0
        if any(map(len, parts)):
            yield _join(parts, first, start)


class StreamBlocks(SequentialBlocks):
    """Blocks that a function, or a data loader, yields.

    Parameters
    ----------
    source : callable or DataLoader
        Function without arguments that returns a new iterable of blocks, or a
        `torch.utils.data.DataLoader`. Of blocks that are tuples, such as samples and
        labels, the first entry is used.

    Raises
    ------
    TypeError
        If the function returns no iterable.
    ValueError
        If there are no blocks, or the first one is no matrix of numbers.

    Notes
    -----
    The first block is read once more than the others, to find the number of columns.
    """

    def __init__(self, source: Callable[[], Any] | DataLoader[Any]):
        self._source = source
        self.n_rows, self.n_blocks, self.names = None, None, None
        if hasattr(source, "__len__"):
            self.n_blocks = len(source)
        first = next(self.read(), None)
        if first is None:
            raise ValueError("X has no blocks. Pass a function that returns some.")
        rows = checked_rows(first, 0)
        self.n_features, self.dtype = rows.shape[1], rows.dtype

    def read(self) -> Iterator[Any]:
        """Yield the blocks, from the first.

        Yields
        ------
        block : array-like of shape (n, T)
            Consecutive rows.
        """
        source = self._source
        blocks = source if isinstance(source, DataLoader) else source()
        if hasattr(blocks, "dtype") or not isinstance(blocks, Iterable):
            raise TypeError(
                f"X is a function that returns an object of type "
                f"{type(blocks).__name__}, but it must return an iterator over blocks "
                "of rows. Pass, for example, lambda: (read(path) for path in paths)."
            )
        for block in blocks:
            yield block[0] if isinstance(block, (tuple, list)) else block

    def require_order(self, name: str) -> None:
        """Raise an error if the order of the rows is random.

        Parameters
        ----------
        name : str
            Name of an argument with one entry per row.

        Raises
        ------
        ValueError
            If X is a data loader that shuffles.
        """
        source = self._source
        if isinstance(source, DataLoader):
            sampler = getattr(source.batch_sampler, "sampler", source.sampler)
            if not isinstance(sampler, SequentialSampler):
                raise ValueError(
                    f"{name} has one entry per row, but the DataLoader returns the rows"
                    " in another order. Pass a DataLoader with shuffle=False."
                )


def _join(parts: list[np.ndarray], first: int, start: int) -> Block:
    """Return one block with the rows of consecutive blocks."""
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return Block(rows, None, first, start, tuple(map(len, parts)))


def _one_ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the blocks, while a second thread reads the next one."""
    with ThreadPoolExecutor(1, "skspectral-reader") as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block
