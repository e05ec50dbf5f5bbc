"""Check counts and arrays that users pass, before any array is copied."""
# SPDX-License-Identifier: BSD-3-Clause

import operator
from typing import Any

import numpy as np

from skspectral._missing import dtype_kind, missing_as_nan
from skspectral._sklearn_compat import as_numpy


def check_count(name: str, value: Any, unit: str, least: int = 1) -> int:
    """Return the value of the parameter ``name`` as an int.

    The message of an error ends with the ``unit``, such as "pixel".

    Raises
    ------
    ValueError
        If the value is not an integer, or is less than ``least``.
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
    """Return the values as an array of integers, floats or booleans.

    An array of such a dtype is not copied, unless some of its entries are masked.
    Masked entries and NA of pandas become NaN, which turns integers into floats. Python
    objects become float64.

    Raises
    ------
    ValueError
        If the values are not real numbers.
    ValueError
        If the values are nested lists of different lengths.
    """
    if dtype_kind(values) == "c":
        raise ValueError(_not_real(name, "complex"))
    try:
        array = as_numpy(missing_as_nan(values), name)
        if array.dtype.kind == "O":
            # A pandas column of integers with NA becomes an array of objects only here.
            array = np.asarray(missing_as_nan(array)).astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} must be an array of real numbers, but NumPy cannot convert it: "
            f"{str(error).rstrip('.')}. Pass an array, or lists of equal length."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(_not_real(name, str(array.dtype)))
    return array


def given_dtype(values: Any, array: np.ndarray) -> np.dtype:
    """Return the dtype of the values before a mask turned integers into floats."""
    return values.dtype if isinstance(values, np.ma.MaskedArray) else array.dtype


def _not_real(name: str, dtype: str) -> str:
    return (
        f"{name} has the dtype {dtype}, but must have real numbers. Convert it first, "
        "for example by np.abs, np.real or astype(float)."
    )
