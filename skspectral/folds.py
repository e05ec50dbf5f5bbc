"""Moments of the training and test rows of a cross-validation, from one pass.

The rows are divided into cells: rows of one cell are together in the training set, in
the test set, or in neither, in every split. Each row is used once, for the moments of
its cell. Training and test sets are sums of cells.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral.blocks.moments_pass import Gathered, MomentsPass
from skspectral.blocks.row_blocks import Block, RowBlocks
from skspectral.moments.moments import Moments

Split = tuple[np.ndarray, np.ndarray]


class MomentsFolds:
    """Moments of the splits of a cross-validation.

    Iteration yields the moments of the training rows and of the test rows of each
    split, in the order of the splits. Moments are not to be changed, because splits may
    share them.

    Parameters
    ----------
    cells : sequence of Gathered
        Moments of the cells.
    members : ndarray of shape (2, n_splits, n_cells), bool
        Which cells belong to the training set (first) and to the test set (second) of
        each split.
    """

    def __init__(self, cells: Sequence[Gathered], members: np.ndarray):
        self._cells, self._members = cells, members

    def __len__(self) -> int:
        return self._members.shape[1]

    def __iter__(self) -> Iterator[tuple[Moments, Moments]]:
        for train, test in zip(*self._members, strict=True):
            yield self._sum(train), self._sum(test)

    def total(self) -> Moments:
        """Return the moments of all rows.

        Returns
        -------
        moments : Moments
            The sum of all cells.
        """
        return self._sum(np.ones(len(self._cells), bool))

    def _sum(self, kept: np.ndarray) -> Moments:
        """Return the moments of some cells, in a fixed order."""
        chosen = [self._cells[cell] for cell in np.flatnonzero(kept).tolist()]
        if len(chosen) == 1:
            return chosen[0].moments
        total = copy.deepcopy(chosen[0])
        for other in chosen[1:]:
            total.merge(other)
        return total.finish()


def gather_folds(
    X: np.ndarray | RowBlocks,
    splits: Sequence[Split],
    gather: MomentsPass,
    weights: Any = None,
    stage: Callable[[int | None], Callable[..., object]] | None = None,
) -> MomentsFolds:
    """Return the moments of the splits of a cross-validation, from one pass.

    Parameters
    ----------
    X : ndarray of shape (n, T) or RowBlocks
        All rows. The number of rows in blocks must be known.
    splits : sequence of pairs of ndarray of int
        Indices of the training rows and of the test rows of each split.
    gather : MomentsPass
        How moments are gathered.
    weights : ndarray of shape (n,), dask array or None, default=None
        Weights of the rows. None means weights of 1.
    stage : callable or None, default=None
        Function of the number of steps. It returns a function that is called after each
        step, to show the progress.

    Returns
    -------
    folds : MomentsFolds
        The moments.

    Raises
    ------
    ValueError
        If a set has fewer than two rows of training or no row of test, or its weights
        are all zero.

    Notes
    -----
    K-fold splits have K cells. Random splits have up to 2^K, which are merged for each
    set; cells of few rows are kept as rows.
    """
    n_rows = X.n_rows if isinstance(X, RowBlocks) else len(X)
    assert n_rows is not None
    inside = _members(splits, n_rows, weights)
    patterns = np.packbits(inside.reshape(-1, n_rows), axis=0).T
    _, first, found = np.unique(
        patterns, axis=0, return_index=True, return_inverse=True
    )
    # Cells are numbered in the order of their first rows.
    order = np.argsort(first)
    cell_of_row = np.argsort(order).astype(np.int32)[found.ravel()]
    stage = _no_stage if stage is None else stage
    if isinstance(X, RowBlocks):
        by_cell = X.reduce(
            _CellsOfBlock(gather, cell_of_row),
            _merge_cells,
            weights=weights,
            on_block=stage(X.n_blocks),
        )
        cells = [by_cell[cell] for cell in range(len(order))]
    else:
        on_cell, cells = stage(len(order)), []
        for cell in range(len(order)):
            rows = np.flatnonzero(cell_of_row == cell)
            # Consecutive rows are not copied.
            run = slice(rows[0], rows[-1] + 1)
            chosen = run if run.stop - run.start == len(rows) else rows
            cells.append(gather(_part(X, weights, chosen)))
            on_cell()
    return MomentsFolds(cells, inside[:, :, first[order]])


def _members(splits: Sequence[Split], n_rows: int, weights: Any) -> np.ndarray:
    """Return which rows are in which sets, as an array (2, n_splits, n_rows)."""
    inside = np.zeros((2, len(splits), n_rows), bool)
    for number, sets in enumerate(splits):
        for flags, rows, least in zip(inside[:, number], sets, (2, 1), strict=True):
            flags[rows] = True
            if flags.sum() < least:
                name = "training" if least == 2 else "test"
                raise ValueError(
                    f"cv has a split whose {name} set has {flags.sum()} rows, but at "
                    f"least {least} are needed. Pass fewer splits, or more rows."
                )
            if isinstance(weights, np.ndarray) and not weights[flags].any():
                raise ValueError(
                    "cv has a split with a set in which all entries of sample_weight "
                    "are zero. Pass other splits, or other weights."
                )
    return inside


@dataclass(frozen=True, eq=False)
class _CellsOfBlock:
    """Function of a `Block` that returns the moments of its rows by cell."""

    gather: MomentsPass
    cell_of_row: np.ndarray

    def __call__(self, block: Block) -> dict[int, Gathered]:
        assert block.start is not None
        cells = self.cell_of_row[block.start : block.start + len(block.rows)]
        found = {}
        for cell in np.unique(cells).tolist():
            chosen = slice(None) if (cells == cell).all() else cells == cell
            try:
                found[cell] = self.gather(_part(block.rows, block.weights, chosen))
            except ValueError:
                # The error of the block has the right number of the row.
                block.check_finite()
                raise
        return found


def _merge_cells(
    one: dict[int, Gathered], other: dict[int, Gathered]
) -> dict[int, Gathered]:
    """Add the moments of the second dictionary to those of the first."""
    for cell, gathered in other.items():
        if cell in one:
            one[cell].merge(gathered)
        else:
            one[cell] = copy.deepcopy(gathered)
    return one


def _part(rows: np.ndarray, weights: np.ndarray | None, chosen: Any) -> Block:
    """Return some rows as a block."""
    part = rows[chosen]
    return Block(
        rows=part,
        weights=None if weights is None else weights[chosen],
        number=0,
        start=None,
        lengths=(len(part),),
    )


def _no_stage(n_steps: int | None) -> Callable[..., object]:
    """Return a function that shows no progress."""
    return lambda: None
