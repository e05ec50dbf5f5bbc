"""Rows of X that come in blocks, because they do not fit into one memory.

`RowBlocks` is what the estimator needs of them: a sum over all blocks, and a function
of each block. A new source of blocks is a subclass in a new file and one line in
``recognition.py``.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from skspectral._sklearn_compat import as_numbers, check_array, input_dtypes
from skspectral._validation import row_weights

Sum = TypeVar("Sum")
Rows = np.ndarray | tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive rows of X.

    Attributes
    ----------
    rows : ndarray of shape (n, T)
        The rows, in float64, float32 or uint8.
    weights : ndarray of shape (n,) or None
        Weights of the rows. None means weights of 1.
    number : int
        Number of the block, from 0. If several blocks of the source were joined, that
        of the first.
    start : int or None
        Index of the first row in X, or None if it is not known.
    lengths : tuple of int
        Numbers of rows of the blocks of the source that are joined in this one.
    """

    rows: np.ndarray
    weights: np.ndarray | None
    number: int
    start: int | None
    lengths: tuple[int, ...]

    def check_finite(self) -> None:
        """Raise an error that names block and row, if rows have NaN or infinite values.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        bad = np.flatnonzero(~np.isfinite(self.rows).all(axis=1))
        if not len(bad):
            return
        stops = np.cumsum(self.lengths)
        part = int(np.searchsorted(stops, bad[0], side="right"))
        row = bad[0] - (stops[part] - self.lengths[part])
        place = f"row {row} of block {self.number + part}"
        if self.start is not None:
            place += f", which is row {self.start + bad[0]} of X"
        raise ValueError(
            f"X has NaN or infinite values in {place}. Remove such rows, or replace "
            "the values, for example with impute."
        )


class RowBlocks(ABC):
    """Rows of X in blocks.

    Attributes
    ----------
    n_rows : int or None
        Number of rows, or None if it is not known.
    n_features : int
        Number T of columns.
    dtype : dtype
        Type of the rows: float64, float32 or uint8.
    names : sequence or None
        Names of the columns, or None.
    n_blocks : int or None
        Number of blocks, or None if it is not known.
    lazy : bool
        Whether `map` returns lazy arrays.
    """

    lazy: bool = False
    n_rows: int | None
    n_features: int
    dtype: np.dtype
    names: Sequence[Any] | None
    n_blocks: int | None

    @abstractmethod
    def reduce(
        self,
        function: Callable[[Block], Sum],
        merge: Callable[[Sum, Sum], Sum],
        *,
        weights: Any = None,
        on_block: Callable[[], object] | None = None,
    ) -> Sum:
        """Return the sum of a function over all blocks, in a fixed order.

        Parameters
        ----------
        function : callable
            Function of a `Block`. It may run in another process.
        merge : callable
            Function that adds its second argument to its first, and returns it. It may
            run in another process.
        weights : array-like of shape (n,), dask array or None, default=None
            Weights of the rows of X.
        on_block : callable or None, default=None
            Function without arguments that is called after each block, where the
            progress is known.

        Returns
        -------
        total : object
            The sum. It depends on the blocks, and not on who was faster.

        Raises
        ------
        ValueError
            If there are no blocks, or a block has an invalid shape or type.
        """

    @abstractmethod
    def map(
        self,
        function: Callable[..., Rows],
        shared: Any,
        per_row: Mapping[str, Any],
        *,
        example: Rows,
        name: str,
    ) -> Any:
        """Return the values of a function of each block, put together.

        Parameters
        ----------
        function : callable
            Function of rows, of ``shared`` and of the arguments ``per_row``. It returns
            an array with one row per row, or a tuple of arrays of the same shape.
        shared : object
            Second argument of the function, which is sent to each worker once.
        per_row : mapping of str to array-like of shape (n,)
            Further arguments, with one value per row of X.
        example : ndarray or tuple of ndarray
            Values of some rows, which give type and shape.
        name : str
            Name of the computation, for displays of its progress.

        Returns
        -------
        values : array or tuple of arrays
            The values of all rows. A lazy X gives lazy values.
        """

    def require_order(self, name: str) -> None:  # noqa: B027
        """Raise an error if the rows come in another order each time.

        Parameters
        ----------
        name : str
            Name of an argument with one entry per row.

        Raises
        ------
        ValueError
            If the order is random. By default it is not.
        """

    def stand_in(self) -> Any:
        """Return two rows of zeros with the columns and the type of X, for checks.

        Returns
        -------
        rows : ndarray or DataFrame of shape (2, T)
            The rows of zeros.
        """
        zeros = np.zeros((2, self.n_features), self.dtype)
        if self.names is None:
            return zeros
        # Only data frames have names, so that pandas is there.
        import pandas

        return pandas.DataFrame(zeros, columns=list(self.names))


def checked_rows(
    rows: Any,
    number: int,
    n_features: int | None = None,
    dtype: np.dtype | None = None,
) -> np.ndarray:
    """Return one block as a numpy array in float64, float32 or uint8.

    Parameters
    ----------
    rows : array-like of shape (n, T)
        The rows. There may be none.
    number : int
        Number of the block, for errors.
    n_features : int or None, default=None
        Number of columns that the block must have. None means any number.
    dtype : dtype or None, default=None
        Type that the checked rows must have. None means any of the three.

    Returns
    -------
    rows : ndarray of shape (n, T)
        The rows. NaN and infinite values pass.

    Raises
    ------
    ValueError
        If the block is no matrix of numbers, has missing entries, or another number of
        columns or another type than required.
    """
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().cpu().numpy()
    try:
        checked: np.ndarray = check_array(
            rows,
            "X",
            dtype=input_dtypes(np.empty(0)),
            ensure_all_finite=False,
            ensure_min_samples=0,
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"Block {number} of X cannot be used. {error}") from error
    if n_features is not None and checked.shape[1] != n_features:
        raise ValueError(
            f"Block {number} of X has {checked.shape[1]} columns, but the blocks before"
            f" have {n_features}. Pass blocks of equal width."
        )
    if dtype is not None and checked.dtype != dtype:
        raise ValueError(
            f"Block {number} of X has the type {checked.dtype}, but X has the type "
            f"{dtype}. Convert the blocks to one type."
        )
    return checked


def checked_weights(weights: Any, n_rows: int | None) -> np.ndarray:
    """Return weights in memory as a float64 array of shape (n,).

    Parameters
    ----------
    weights : array-like of shape (n,)
        Weights of the rows.
    n_rows : int or None
        Number of rows, or None if it is not known.

    Returns
    -------
    weights : ndarray of shape (n,)
        The weights.

    Raises
    ------
    ValueError
        If there is not one finite, non-negative weight per row.
    """
    if n_rows is None:
        n_rows = len(as_numbers(weights, "sample_weight"))
    return row_weights(weights, n_rows)
