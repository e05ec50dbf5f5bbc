"""Methods that return one result per row, for rows that come in blocks."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, overload

import numpy as np

from skspectral._sklearn_compat import as_numbers, transform_output
from skspectral.blocks.recognition import row_blocks
from skspectral.blocks.row_blocks import Block
from skspectral.grid import as_rows

Method = TypeVar("Method", bound=Callable[..., Any])

# Attributes of an estimator that its methods for rows do not need: large ones, names
# that blocks do not have, and the type of their results.
_LEFT_OUT = ("moments_", "feature_names_in_", "_sklearn_output_config")


@overload
def row_wise(method: Method, /) -> Method: ...


@overload
def row_wise(*, signals: bool) -> Callable[[Method], Method]: ...


def row_wise(method: Any = None, /, *, signals: bool = False) -> Any:
    """Let a method of a fitted estimator take rows in blocks, and signals with axes.

    The results of arrays in memory are those of the method. A lazy X gives lazy
    results. Other blocks are processed one after the other, and give results in memory.
    X may also have the shape (n, *signal_shape).

    Parameters
    ----------
    method : callable
        Method whose first argument is X, and that returns one result per row, or a
        tuple of them. Its other arguments may have one value per row.
    signals : bool, default=False
        Whether the results are signals, which get the axes of X.

    Returns
    -------
    method : callable
        The method.
    """
    if method is None:
        return lambda method: _row_wise(method, signals)
    return _row_wise(method, signals)


def _row_wise(method: Method, signals: bool) -> Method:
    """Return the method that takes rows in blocks, and signals with axes."""

    @wraps(method)
    def call(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        blocks = row_blocks(X)
        if blocks is None:
            rows = as_rows(X, self.signal_shape)
            found = method(self, rows, *args, **kwargs)
            if rows is X or not signals:
                return found
            if isinstance(found, tuple):
                return tuple(part.reshape(X.shape) for part in found)
            return found.reshape(X.shape)
        options = signature(method).bind(self, X, *args, **kwargs).arguments
        options = dict(list(options.items())[2:])
        per_row = {name: each for name, each in options.items() if np.ndim(each) > 0}
        options = {name: options[name] for name in options.keys() - per_row.keys()}
        output = transform_output(self)
        if blocks.lazy and method.__name__ == "transform" and output != "default":
            raise ValueError(
                f"set_output(transform={output!r}) would gather the lazy results in "
                "the memory of this machine. Call set_output(transform='default')."
            )
        trial = blocks.stand_in()
        # Errors about the columns of X, and about options, are raised before any block
        # is read.
        ones = dict.fromkeys(per_row, np.ones(len(trial)))
        example = method(self, trial, **options, **ones)
        shared = (without_moments(self), method.__name__, options)
        return blocks.map(
            _results, shared, per_row, example=example, name=method.__name__
        )

    return call  # type: ignore[return-value]


def without_moments(estimator: Any) -> Any:
    """Return a copy of a fitted estimator without its moments, for workers.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator.

    Returns
    -------
    copy : estimator instance
        Shallow copy without moments and names. It keeps its results if the estimator is
        fitted again.
    """
    light = copy.copy(estimator)
    for name in _LEFT_OUT:
        vars(light).pop(name, None)
    return light


def _results(
    rows: np.ndarray, shared: tuple[Any, str, dict[str, Any]], **per_row: np.ndarray
) -> Any:
    """Return the results of some rows."""
    estimator, name, options = shared
    return getattr(estimator, name)(rows, **options, **per_row)


def score_sums(
    X: Any, estimator: Any, sample_weight: Any = None
) -> tuple[float, float] | None:
    """Return the sums of ``estimator.score_samples`` and of the weights of blocks.

    Parameters
    ----------
    X : object
        Rows in blocks.
    estimator : estimator instance
        Fitted estimator.
    sample_weight : array-like of shape (n,), dask array or None, default=None
        Weights of the rows. None means weights of 1.

    Returns
    -------
    sums : tuple of two floats, or None
        The weighted sum of the scores, and the sum of the weights. None if X is an
        array in memory.

    Raises
    ------
    ValueError
        If all weights are zero, or X has no rows.
    """
    blocks = row_blocks(X)
    if blocks is None:
        return None
    estimator.score_samples(blocks.stand_in())
    function = _ScoresOfBlock(without_moments(estimator))
    sums = blocks.reduce(function, _add, weights=sample_weight)
    if sums[1] == 0:
        raise ValueError(
            "X has no rows, or all entries of sample_weight are zero, so that there is "
            "no mean."
        )
    return sums


class _ScoresOfBlock:
    """Function that returns the sum of scores and weights of a block."""

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def __call__(self, block: Block) -> tuple[float, float]:
        if not len(block.rows):
            return 0.0, 0.0
        density = as_numbers(self._estimator.score_samples(block.rows))
        if block.weights is None:
            return float(density.sum()), float(len(density))
        return float(block.weights @ density), float(block.weights.sum())


def _add(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    return one[0] + two[0], one[1] + two[1]
