"""One signal or several, as users give them, and the windows that they hold."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Sized
from typing import Any

import numpy as np

from skspectral._missing import dtype_kind
from skspectral.datasets._arrays import as_real_array, given_dtype


def n_windows(size: int, length: int, hop: int) -> int:
    """Number of windows in a signal that has at least ``length`` samples."""
    return (size - length) // hop + 1


def refuse_longer(
    length: int, longest: int, n_signals: int, advice: str = "Pass a shorter length."
) -> None:
    """Raise if no signal has ``length`` samples."""
    if longest < length:
        raise ValueError(
            f"length={length} is longer than every signal: the longest of {n_signals} "
            f"has {longest} samples. {advice}"
        )


def as_signals(signals: Any, length: int) -> tuple[list[np.ndarray], np.dtype]:
    """Signals as the rows of arrays (m, n), and the floating dtype of windows.

    Raises
    ------
    ValueError
        If a signal is not one-dimensional, or has no real numbers, or all are shorter
        than ``length``; that first, as no copy is needed to tell.
    """
    if not _is_array(signals) and isinstance(signals, Iterable):
        signals = signals if isinstance(signals, (list, tuple)) else list(signals)
        if _is_nested(signals):
            return _as_several(signals, length)
    shape = tuple(getattr(signals, "shape", ()))
    if len(shape) == 2:
        _refuse_columns(length, shape[1], shape[0])
    array = as_real_array(signals, "signals")
    if array.ndim not in (1, 2):
        raise ValueError(
            f"signals of shape {array.shape} must be one-dimensional, or a matrix "
            "whose rows are signals."
        )
    rows = np.atleast_2d(array)
    refuse_longer(length, rows.shape[1] if len(rows) else 0, len(rows))
    return [rows], _floating({given_dtype(signals, array)})


def _as_several(signals: Any, length: int) -> tuple[list[np.ndarray], np.dtype]:
    """The same for a list of signals."""
    _refuse_columns(length, max(map(_size, signals), default=0), len(signals))
    arrays = [as_real_array(part, f"signals[{i}]") for i, part in enumerate(signals)]
    for i, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(
                f"signals must be one-dimensional, but signals[{i}] has the shape "
                f"{array.shape}. Pass a list of one-dimensional arrays."
            )
    given = {given_dtype(*pair) for pair in zip(signals, arrays, strict=True)}
    return [array[None] for array in arrays], _floating(given)


def _refuse_columns(length: int, longest: int, n_signals: int) -> None:
    """Raise if the rows of a matrix are too short, as channels of sound often are."""
    axis = (
        "Signals run along axis 1, as the rows of a matrix: pass signals.T if yours "
        "run along axis 0, as channels of sound do."
    )
    refuse_longer(length, longest, n_signals, *([axis] if n_signals >= length else []))


def _floating(dtypes: set[np.dtype]) -> np.dtype:
    """The floating dtype that holds all signals; float64 for integers."""
    dtype = np.result_type(*dtypes)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _is_array(values: Any) -> bool:
    """Whether values are an array, a tensor or a table, but no array of objects."""
    has_values = hasattr(values, "__array__") or hasattr(values, "__dlpack__")
    return has_values and dtype_kind(values) != "O"


def _is_nested(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is one of signals, not of samples; an empty one has none."""
    return not values or isinstance(values[0], (list, tuple)) or np.ndim(values[0]) > 0


def _size(signal: Any) -> int:
    """Length along the first axis; 0 for a number."""
    shape = getattr(signal, "shape", None)
    if shape is None:
        return len(signal) if isinstance(signal, Sized) else _size(np.asarray(signal))
    return shape[0] if len(shape) else 0
