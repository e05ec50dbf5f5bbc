"""Convert one or several signals, in any form that users pass, to arrays of rows."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Sized
from typing import Any

import numpy as np

from skspectral._missing import dtype_kind
from skspectral.datasets._arrays import as_real_array, given_dtype


def n_windows(size: int, length: int, hop: int) -> int:
    """Count the windows in a signal of ``size`` samples; ``size`` >= ``length``."""
    return (size - length) // hop + 1


def refuse_longer(
    length: int, longest: int, n_signals: int, advice: str = "Pass a shorter length."
) -> None:
    """Raise a ValueError if no signal has ``length`` samples."""
    if longest < length:
        raise ValueError(
            f"length={length} is longer than every signal: the longest of {n_signals} "
            f"has {longest} samples. {advice}"
        )


def as_signals(signals: Any, length: int) -> tuple[list[np.ndarray], np.dtype]:
    """Return arrays whose rows are the signals, and the floating dtype of the windows.

    Lengths are checked first, because the check needs no copy of the signals.

    Raises
    ------
    ValueError
        If a signal is not one-dimensional, or is not made of real numbers.
    ValueError
        If all signals are shorter than ``length``.
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
            "whose rows are signals. Pass a list of one-dimensional arrays for signals "
            "of several lengths."
        )
    rows = np.atleast_2d(array)
    refuse_longer(length, rows.shape[1] if len(rows) else 0, len(rows))
    return [rows], _floating({given_dtype(signals, array)})


def _as_several(signals: Any, length: int) -> tuple[list[np.ndarray], np.dtype]:
    """Do the work of `as_signals` for a list of signals."""
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
    """Raise a ValueError if all rows are too short, with advice if transposed."""
    advice = (
        "Signals run along axis 1, as the rows of a matrix. If yours run along axis 0, "
        "as the channels of sound often do, pass signals.T."
    )
    # With fewer rows than ``length`` the columns would be too short as well.
    is_transposed = n_signals >= length
    refuse_longer(length, longest, n_signals, *([advice] if is_transposed else []))


def _floating(dtypes: set[np.dtype]) -> np.dtype:
    """Return the floating dtype that holds all signals; float64 for integers."""
    dtype = np.result_type(*dtypes)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _is_array(values: Any) -> bool:
    """Whether the values are an array, tensor or table, but not an array of objects."""
    has_values = hasattr(values, "__array__") or hasattr(values, "__dlpack__")
    return has_values and dtype_kind(values) != "O"


def _is_nested(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list contains signals, not samples; True for an empty list."""
    return not values or isinstance(values[0], (list, tuple)) or np.ndim(values[0]) > 0


def _size(signal: Any) -> int:
    """Length of a signal along its first axis; 0 for a single number."""
    shape = getattr(signal, "shape", None)
    if shape is None:
        return len(signal) if isinstance(signal, Sized) else _size(np.asarray(signal))
    return shape[0] if len(shape) else 0
