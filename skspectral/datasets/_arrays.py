"""Numbers that users give, checked before any of them is copied."""
# SPDX-License-Identifier: BSD-3-Clause

import operator
from typing import Any

import numpy as np

from skspectral._missing import dtype_kind, missing_as_nan
from skspectral._sklearn_compat import as_numpy


def check_count(name: str, value: Any, unit: str, least: int = 1) -> int:
    """Return the value as an int.

    Raises
    ------
    ValueError
        If it is no integer, or less than ``least``.
    """
    try:
        count = operator.index(value)
    except TypeError as error:
        raise ValueError(
            f"{name}={value!r} must be an integer of at least {least} {unit}."
        ) from error
    if count < least:
        raise ValueError(f"{name}={count} must be at least {least} {unit}.")
    return count


def as_real_array(values: Any, name: str) -> np.ndarray:
    """Return an array of integers, floats or truth values; not a copy if it was one.

    Entries that are masked, or NA, are NaN, in floats. Objects become float64.

    Raises
    ------
    ValueError
        If the values are no real numbers, or nested lists that differ in length.
    """
    if dtype_kind(values) == "c":
        raise ValueError(_not_real(name, "complex"))
    try:
        array = as_numpy(missing_as_nan(values), name)
        if array.dtype.kind == "O":
            # Only here does a column of integers with NA show its objects.
            array = np.asarray(missing_as_nan(array)).astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} must be an array of real numbers, but numpy cannot make one of "
            f"it: {str(error).rstrip('.')}."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(_not_real(name, str(array.dtype)))
    return array


def given_dtype(values: Any, array: np.ndarray) -> np.dtype:
    """The dtype that values had before a mask turned integers into floats."""
    return values.dtype if isinstance(values, np.ma.MaskedArray) else array.dtype


def _not_real(name: str, dtype: str) -> str:
    return (
        f"{name} has the dtype {dtype}, but must have real numbers. Convert it first, "
        "as by np.abs, np.real or astype."
    )
