"""Entries that masked arrays and tables of pandas mark as missing.

numpy drops the mask of an array without a word, so that what lies under it, such as
-9999, becomes data. Every entrance therefore comes through one of these functions.
"""
# SPDX-License-Identifier: BSD-3-Clause

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

_FLOATS = (np.float32, np.float64)


def missing_as_nan(X: Any) -> Any:
    """Return X with NaN for entries that are masked, or NA; else X without its mask.

    Marked entries turn integers into floats: uint8 into float32, others into float64.
    X is not modified. A table stays a table, with its names.
    """
    X = _as_one_array(X)
    if isinstance(X, np.ma.MaskedArray):
        if not np.ma.is_masked(X) or X.dtype.kind == "c":
            # Complex numbers are refused by the check that follows.
            return X.data
        kept = X.dtype if X.dtype in _FLOATS else None
        small = X.dtype in (np.uint8, np.float16)
        filled = np.array(X.data, dtype=kept or (np.float32 if small else np.float64))
        filled[np.ma.getmaskarray(X)] = np.nan
        return filled
    return _na_as_nan(X)


def refuse_missing(X: Any, name: str) -> Any:
    """Return X without its mask, or raise where that marks an entry as missing.

    Raises
    ------
    ValueError
        If entries are masked, or NA.
    """
    X = _as_one_array(X)
    if isinstance(X, np.ma.MaskedArray):
        if not np.ma.is_masked(X):
            return X.data
        mask = np.ma.getmaskarray(X)
        n_missing, size, marked = int(mask.sum()), mask.size, "masked"
    else:
        filled = _na_as_nan(X)
        if filled is X:
            return X
        values = np.asarray(filled)
        n_missing, size, marked = int(np.isnan(values).sum()), values.size, "NA"
        if n_missing == 0:
            return X
    raise ValueError(
        f"{name} has {n_missing} of {size} entries that are {marked}, and missing "
        "entries are not accepted here. Drop the rows that have them, or fill them "
        "first, as SpectralDictionaryLearning.impute does."
    )


def refuse_missing_labels(y: Any) -> Any:
    """Return labels, or raise where one is masked, None, NaN or NA; None is no labels.

    Raises
    ------
    ValueError
        If labels are missing.
    """
    y = refuse_missing(y, "y")
    if y is None or (hasattr(y, "__dlpack__") and not isinstance(y, np.ndarray)):
        return y
    labels = np.asarray(y)
    if labels.dtype.kind not in ("f", "O"):
        return y
    if labels.dtype.kind == "f":
        n_missing = int(np.isnan(labels).sum())
    else:
        n_missing = sum(map(_is_missing, labels.flat))
    if n_missing:
        raise ValueError(
            f"y has {n_missing} of {labels.size} labels that are missing (None, NaN or "
            "NA). Drop their rows, or give them a label of their own."
        )
    return y


def _is_missing(label: Any) -> bool:
    """Whether a label is None, NaN, or pandas' NA, which has no truth value."""
    return label is None or type(label).__name__ == "NAType" or label != label


def dtype_kind(values: Any) -> str:
    """The letter by which numpy calls the kind of a dtype; empty for other things."""
    return str(getattr(getattr(values, "dtype", None), "kind", ""))


def _as_one_array(X: Any) -> Any:
    """Lists that hold masked arrays as one masked array; other things as they are."""
    if not isinstance(X, (list, tuple)) or not _holds(
        X, lambda value: isinstance(value, np.ma.MaskedArray)
    ):
        return X
    try:
        return np.ma.stack([np.ma.asarray(_as_one_array(row)) for row in X])
    except ValueError:
        # Rows of several lengths: the check that follows says so.
        return X


def _na_as_nan(X: Any) -> Any:
    """X with NaN for NA in columns of objects; the same object if it has none."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return X
    table = isinstance(X, pandas.DataFrame)
    if table:
        looked_at = any(pandas.api.types.is_object_dtype(kind) for kind in X.dtypes)
    elif isinstance(X, (list, tuple)):
        # A list may be large: only what may be NA makes it worth a copy.
        looked_at = _holds(
            X, lambda value: value is pandas.NA or dtype_kind(value) == "O"
        )
    else:
        looked_at = dtype_kind(X) == "O"
    if not looked_at:
        return X
    try:
        array = X.to_numpy(dtype=object) if table else np.asarray(X, dtype=object)
        values = np.where(pandas.isna(array), np.nan, array).astype(np.float64)
    except (TypeError, ValueError):
        # Strings and the like: the check that follows names them.
        return X
    return pandas.DataFrame(values, X.index, X.columns) if table else values


def _holds(values: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether a list, or a list in it, holds an object of some kind."""
    return any(
        wanted(value) or (isinstance(value, (list, tuple)) and _holds(value, wanted))
        for value in values
    )
