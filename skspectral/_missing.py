"""Entries that are masked or missing, and arrays that are not in memory.

numpy silently drops the mask of an array, so that the value under the mask, such as
-9999, would become data, and gathers lazy arrays into the memory of one machine. All
input therefore passes through one of these functions.
"""
# SPDX-License-Identifier: BSD-3-Clause

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

_FLOATS = (np.float32, np.float64)


def missing_as_nan(X: Any) -> Any:
    """Return X with NaN in place of masked entries and NA, or X without its mask.

    If entries are missing, integers become floats: uint8 becomes float32, other
    integers become float64. X is not modified. A pandas table stays a table with its
    names.
    """
    X = _as_one_array(X)
    if isinstance(X, np.ma.MaskedArray):
        if not np.ma.is_masked(X) or X.dtype.kind == "c":
            # Later checks refuse complex numbers.
            return X.data
        kept = X.dtype if X.dtype in _FLOATS else None
        small = X.dtype in (np.uint8, np.float16)
        filled = np.array(X.data, dtype=kept or (np.float32 if small else np.float64))
        filled[np.ma.getmaskarray(X)] = np.nan
        return filled
    return _na_as_nan(X)


def has_nan(X: Any) -> bool:
    """Return whether an array or tensor may have NaN: whether its sum is NaN.

    The sum is NaN, too, if positive and negative values are infinite.
    """
    if dtype_kind(X) in ("u", "i", "b"):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(X.sum())
    return total != total


def is_lazy(X: Any) -> bool:
    """Return whether X is a collection of dask, or an xarray around one.

    Such objects are recognised by dask's protocol, so that dask is not imported.
    """
    graph = None if isinstance(X, type) else getattr(X, "__dask_graph__", None)
    return callable(graph) and graph() is not None


def refuse_missing(X: Any, name: str) -> Any:
    """Return X without its mask, or raise an error if an entry is missing.

    Raises
    ------
    ValueError
        If entries are masked, or NA. The error calls X by its ``name``.
    TypeError
        If X is lazy.
    """
    if is_lazy(X):
        raise TypeError(
            f"{name} is a lazy collection of dask, which does not work here: all of it "
            f"would be gathered into the memory of this machine. Pass {name}.compute() "
            "if it fits. SpectralDictionaryLearning takes lazy collections in fit, "
            "partial_fit, score, and in methods that return one result per row."
        )
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
        "with SpectralDictionaryLearning.impute."
    )


def refuse_missing_labels(y: Any) -> Any:
    """Return the labels, or raise an error if a label is masked, None, NaN or NA.

    ``y=None`` means that there are no labels, and is returned.

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
            "NA). Drop the rows without a label, or give them a separate label."
        )
    return y


def _is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN or pandas' NA, which has no truth value."""
    return label is None or type(label).__name__ == "NAType" or label != label


def dtype_kind(values: Any) -> str:
    """Return numpy's one-letter code of the kind of a dtype, or an empty string."""
    return str(getattr(getattr(values, "dtype", None), "kind", ""))


def _as_one_array(X: Any) -> Any:
    """Join a list that contains masked arrays; return other objects unchanged."""
    if not isinstance(X, (list, tuple)) or not _contains(
        X, lambda value: isinstance(value, np.ma.MaskedArray)
    ):
        return X
    try:
        return np.ma.stack([np.ma.asarray(_as_one_array(row)) for row in X])
    except ValueError:
        # The rows have different lengths, which a later check reports.
        return X


def _na_as_nan(X: Any) -> Any:
    """Return X with NaN for NA in columns of objects; X itself if it has none."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return X
    table = isinstance(X, pandas.DataFrame)
    if table:
        may_have_na = any(pandas.api.types.is_object_dtype(kind) for kind in X.dtypes)
    elif isinstance(X, (list, tuple)):
        # A list may be large, and is copied only if it can contain NA.
        may_have_na = _contains(
            X, lambda value: value is pandas.NA or dtype_kind(value) == "O"
        )
    else:
        may_have_na = dtype_kind(X) == "O"
    if not may_have_na:
        return X
    try:
        array = X.to_numpy(dtype=object) if table else np.asarray(X, dtype=object)
        values = np.where(pandas.isna(array), np.nan, array).astype(np.float64)
    except (TypeError, ValueError):
        # X has strings or other objects, which a later check reports.
        return X
    return pandas.DataFrame(values, X.index, X.columns) if table else values


def _contains(values: Any, condition: Callable[[Any], bool]) -> bool:
    """Return whether a list, or a list in it, contains an object with a property."""
    return any(
        condition(value)
        or (isinstance(value, (list, tuple)) and _contains(value, condition))
        for value in values
    )
