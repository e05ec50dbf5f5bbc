"""Moments of the training and test rows of a cross-validation, from one pass.

The rows are divided into cells: rows of one cell are together in the training set, in
the test set, or in neither, in every split. Each row is used once, for the moments of
its cell. Training and test sets are sums of cells.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from skspectral.blocks.moments_pass import Gathered, MomentsPass
from skspectral.blocks.row_blocks import Block
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
    X: np.ndarray,
    splits: Sequence[Split],
    gather: MomentsPass,
    weights: np.ndarray | None = None,
    stage: Callable[[int], Callable[..., object]] | None = None,
) -> MomentsFolds:
    """Return the moments of the splits of a cross-validation, from one pass.

    Parameters
    ----------
    X : ndarray of shape (n, T)
        All rows.
    splits : sequence of pairs of ndarray of int
        Indices of the training rows and of the test rows of each split.
    gather : MomentsPass
        How moments are gathered.
    weights : ndarray of shape (n,) or None, default=None
        Weights of the rows. None means weights of 1.
    stage : callable or None, default=None
        Function of the number of cells. It returns a function that is called after each
        cell, to show the progress.

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
    inside = np.zeros((2, len(splits), len(X)), bool)
    for number, sets in enumerate(splits):
        for flags, rows, least in zip(inside[:, number], sets, (2, 1), strict=True):
            flags[rows] = True
            if flags.sum() < least:
                name = "training" if least == 2 else "test"
                raise ValueError(
                    f"cv has a split whose {name} set has {flags.sum()} rows, but at "
                    f"least {least} are needed. Pass fewer splits, or more rows."
                )
            if weights is not None and not weights[flags].any():
                raise ValueError(
                    "cv has a split with a set in which all entries of sample_weight "
                    "are zero. Pass other splits, or other weights."
                )
    patterns = np.packbits(inside.reshape(-1, len(X)), axis=0).T
    # Cells are in the order of their first rows.
    _, first, cell_of_row = np.unique(
        patterns, axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    on_cell = None if stage is None else stage(len(order))
    cells = []
    for cell in order:
        rows = np.flatnonzero(cell_of_row.ravel() == cell)
        # Consecutive rows are not copied.
        run = slice(rows[0], rows[-1] + 1)
        chosen = run if run.stop - run.start == len(rows) else rows
        block = Block(
            rows=X[chosen],
            weights=None if weights is None else weights[chosen],
            number=0,
            start=None,
            lengths=(len(rows),),
        )
        cells.append(gather(block))
        if on_cell is not None:
            on_cell()
    return MomentsFolds(cells, inside[:, :, first[order]])
