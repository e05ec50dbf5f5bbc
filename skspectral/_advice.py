"""Errors that say what to type: diagnoses of input that the checks have refused.

The checks of scikit-learn run first. The functions of this module look for a well-known
mistake only after a check has failed, so that valid input costs nothing.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch

# Number of characters of a value that an error shows.
_MAX_CHARACTERS = 60
# Integers with at most this many different values may be labels.
_MAX_LABELS = 100
# An axis of images with at most this many entries may hold the channels.
_MAX_CHANNELS = 4


def brief(value: Any) -> str:
    """Return a short description of a value; an array is described by its shape."""
    if isinstance(value, type):
        return value.__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {tuple(shape)}"
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    text = " ".join(repr(value).split())
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."


def closest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that is spelled like ``name``, in any case, or None."""
    in_lower_case = {option.lower(): option for option in sorted(options)}
    found = get_close_matches(name.lower(), in_lower_case, n=1)
    return in_lower_case[found[0]] if found else None


def explained(
    error: Exception, X: Any, name: str = "X", estimator: Any = None, y: Any = None
) -> Exception:
    """Return an error that says what to type.

    Parameters
    ----------
    error : Exception
        Error that a check of scikit-learn has raised.
    X : object
        What the check has refused.
    name : str, default="X"
        Name of X in errors.
    estimator : object, default=None
        Estimator that checks X. The advice depends on its parameters, and on its number
        of features if it is fitted.
    y : object, default=None
        Labels that were checked together with X.

    Returns
    -------
    error : Exception
        A TypeError or ValueError like the given error, or the given error itself if the
        mistake is not known.
    """
    text = _diagnosis(error, X, name, estimator, y)
    if text is None:
        return error
    return TypeError(text) if isinstance(error, TypeError) else ValueError(text)


def explained_weights(error: Exception, sample_weight: Any, n_rows: int) -> Exception:
    """Return an error about the weights of ``n_rows`` rows that says what to type."""
    values = _as_array(sample_weight)
    if values is None or values.dtype.kind not in "biuf":
        problem = f"sample_weight={brief(sample_weight)} is not an array of numbers"
    elif values.shape not in ((), (n_rows,)):
        problem = f"sample_weight has shape {values.shape}, but X has {n_rows} rows"
    else:
        wrong = np.flatnonzero(~(values >= 0) | np.isinf(values))
        if len(wrong):
            problem = (
                f"sample_weight has {len(wrong)} of {values.size} values that are "
                f"negative, NaN or infinite, first {values.flat[wrong[0]]:g} in row "
                f"{wrong[0]}"
            )
        elif not values.any():
            problem = (
                "sample_weight must contain at least one non-zero number, but it is "
                f"zero for all {n_rows} rows"
            )
        else:
            return error
    return ValueError(
        f"{problem}. Pass one weight >= 0 per row, an array of shape ({n_rows},), or "
        "None for equal weights. A weight of 0 leaves a row out."
    )


def _diagnosis(
    error: Exception, X: Any, name: str, estimator: Any, y: Any
) -> str | None:
    """Return the text of an error that says what to type, or None."""
    first = str(error).partition("\n")[0].rstrip(".")
    if "sparse" in first.lower():
        # scikit-learn says what to type.
        return None
    values = _as_array(X)
    if values is None:
        return _unequal_rows(X, name)
    if first.startswith(f"Input {name} contains"):
        found = _not_finite(X, values, name, estimator, nan="NaN" in first)
        return None if found is None else f"{first}. {found}"
    if values.ndim == 0:
        return _no_array(X, name)
    if values.dtype.kind == "c":
        code = _with_method(X, name, "real")
        return (
            f"Complex data not supported: {name} has dtype {values.dtype}. Pass "
            f"{code}.real or abs({code}). If {name} holds Fourier transforms, pass the "
            "signals themselves."
        )
    text = _text(X, values, name)
    if text is not None:
        return f"{first}. {text}" if "float" in first else text
    if values.ndim == 1:
        return _one_axis(X, values, name, estimator)
    if values.ndim > 2:
        return _many_axes(X, values.shape, name, estimator)
    n_labels = np.shape(y)[:1]
    if n_labels not in ((), (len(values),)):
        return (
            f"{name} has {len(values)} rows, but y has {n_labels[0]} labels. Pass one "
            f"label per row of {name}."
        )
    return _rows(first, X, values.shape, name, estimator)


def _as_array(X: Any) -> np.ndarray | None:
    """Return X as a numpy array of any kind, or None if its rows are not alike."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
    try:
        return np.asarray(X)
    except (TypeError, ValueError):
        return None


def _with_method(X: Any, name: str, method: str) -> str:
    """Return code for an array that has a method, such as a list converted to one."""
    return name if hasattr(X, method) else f"np.asarray({name})"


def _no_array(X: Any, name: str) -> str:
    """Describe an object that is no array: text, a number, a dictionary, ..."""
    if isinstance(X, (str, bytes)):
        return (
            f"{name}={brief(X)} is text, not an array of numbers. Read a file first, "
            f"such as {name} = numpy.loadtxt(path, delimiter=',') or {name} = "
            "pandas.read_csv(path), and pass the array or table."
        )
    if isinstance(X, Mapping) and "data" in X:
        return (
            f"{name} is a {type(X).__name__}, not an array of numbers. Pass its entry "
            f'{name}["data"].'
        )
    found = (
        f"{name}={brief(X)} must be an array of numbers of shape (n_samples, "
        "n_features)."
    )
    if isinstance(X, Iterator):
        return f"{found} Pass np.array(list({name}))."
    return f"{found} Pass one signal or flattened image per row."


def _unequal_rows(X: Any, name: str) -> str | None:
    """Describe a list whose entries are arrays of different shapes."""
    try:
        shapes = [np.shape(entry) for entry in X]
    except (TypeError, ValueError):
        return None
    if len(shapes) == 2 and [len(shape) for shape in shapes] == [2, 1]:
        return (
            f"{name} has two entries of the shapes {shapes[0]} and {shapes[1]}, which "
            f"look like signals and labels. Pass them one by one: fit(*{name})."
        )
    least, largest = min(shapes), max(shapes)
    if least == largest:
        return None
    if len(least) == len(largest) == 1:
        return (
            f"The rows of {name} have different lengths, from {least[0]} to "
            f"{largest[0]} samples. Cut them into windows of one length: {name} = "
            f"skspectral.datasets.cut_windows({name}, length={max(least[0], 1)}). To "
            "cut recordings in WAV files, use skspectral.datasets.load_recordings."
        )
    if min(map(len, shapes)) > 1:
        return (
            f"{name} has images of different shapes, such as {least} and {largest}. Cut"
            f" patches of one size: {name} = skspectral.datasets.cut_patches({name}, "
            f"n_patches=1000, size={min(min(shape[:2]) for shape in shapes)}), and pass"
            f" {name}.reshape(len({name}), -1)."
        )
    return (
        f"The rows of {name} have different shapes, such as {least} and {largest}. "
        "Pass one row of numbers per signal, all of the same length."
    )


def _not_finite(
    X: Any, values: np.ndarray, name: str, estimator: Any, *, nan: bool
) -> str | None:
    """Say where values are NaN or infinite, and how to remove or fill them."""
    if values.dtype.kind == "O":
        # Nullable columns of pandas hold NA, which is no number.
        numbers = [float(v) if is_number(v) else np.nan for v in values.ravel()]
        values = np.array(numbers).reshape(values.shape)
    wrong = ~np.isfinite(values.astype(np.float64, copy=False))
    if not wrong.any():
        # The values are finite, but too large for the dtype of the check.
        return None
    code = _with_method(X, name, "__array__")
    place = tuple(map(int, np.unravel_index(wrong.argmax(), wrong.shape)))
    if values.ndim == 1:
        return (
            f"{wrong.sum()} of {len(wrong)} values are NaN or infinite, first at index "
            f"{place[0]}. Leave them out: {code}[np.isfinite({code})]."
        )
    in_row = wrong.reshape(len(wrong), -1).any(axis=1)
    at = f"in row {place[0]}, column {place[1]}"
    rows = code
    if values.ndim > 2:
        at, rows = f"at index {place}", f"{code}.reshape(len({name}), -1)"
    found = (
        f"{in_row.sum()} of {len(wrong)} rows have NaN or infinite values, first {at}."
    )
    if np.count_nonzero(~in_row) < 2 and values.ndim == 2:
        return (
            f"{found} Too few rows are complete. Fill the gaps, for example with the "
            "means of the columns: sklearn.impute.SimpleImputer("
            f"keep_empty_features=True).fit_transform({name})."
        )
    library = "torch" if isinstance(X, torch.Tensor) else "np"
    complete = f"{code}[{library}.isfinite({rows}).all(axis=1)]"
    if nan and hasattr(X, "dropna"):
        complete = f"{name}.dropna()"
    advice = f"{found} Keep the complete rows: {complete}."
    if hasattr(estimator, "impute"):
        finite = f"{library}.isfinite({name})"
        gaps = name if nan else f"{library}.where({finite}, {name}, {library}.nan)"
        advice += (
            " To fill the gaps instead, fit an estimator est to the complete rows, and "
            f"pass est.impute({gaps})."
        )
    return advice


def is_number(entry: Any) -> bool:
    """Return whether ``float`` can convert an entry, such as the text of a cell."""
    try:
        float(entry)
    except (TypeError, ValueError):
        return False
    return True


def _text(X: Any, values: np.ndarray, name: str) -> str | None:
    """Say where X has text or other objects in place of numbers, or return None."""
    if values.dtype.kind not in "OSU":
        return None
    wrong = np.array([not is_number(entry) for entry in values.ravel()])
    if not wrong.any():
        return None
    entry = values.flat[wrong.argmax()]
    if values.ndim != 2:
        return (
            f"{name} has shape {values.shape} and holds text or other objects, first "
            f"{brief(entry)}. Pass numbers. Load pictures from files with "
            "skspectral.datasets.load_image_folder, and recordings with "
            "skspectral.datasets.load_recordings. Pass labels after the signals: "
            "fit(X, y)."
        )
    wrong = wrong.reshape(values.shape)
    columns = np.flatnonzero(wrong.any(axis=0)).tolist()
    row = int(wrong[:, columns[0]].argmax())
    names = [X.columns[j] for j in columns] if hasattr(X, "columns") else columns
    found = (
        f"{name} has {len(columns)} of {values.shape[1]} columns with text or other "
        f"objects, first {brief(values[row, columns[0]])} in row {row}, column "
        f"{names[0]!r}."
    )
    if len(columns) == values.shape[1]:
        return f"{found} Pass numbers only."
    if hasattr(X, "columns"):
        return f"{found} Leave them out: {name}.drop(columns={names})."
    return (
        f"{found} Leave them out: np.delete({name}, {columns}, axis=1).astype(float)."
    )


def _one_axis(X: Any, values: np.ndarray, name: str, estimator: Any) -> str:
    """Describe an array of one axis: labels, one row, or one long signal."""
    n = len(values)
    found = (
        f"{name} has shape ({n},), but it must have two axes, with one row per sample."
    )
    row = f"{_with_method(X, name, 'reshape')}.reshape(1, -1)"
    fits = n == getattr(estimator, "n_features_in_", n)
    if hasattr(estimator, "n_features_in_") and fits:
        return f"{found} Reshape your data to one row of {n} features: {row}."
    if values.dtype.kind in "biu":
        n_different = len(np.unique(values))
        if n_different <= min(_MAX_LABELS, n // 2):
            return (
                f"{found} Its {n_different} different integers look like labels. Pass "
                "the signals first, and the labels second: fit(X, y)."
            )
    if not hasattr(estimator, "signal_shape"):
        return f"{found} Reshape your data to a single row: {row}."
    return (
        f"{found} To cut one long signal into windows of, for example, "
        f"{max(1, n // 10)} samples, pass skspectral.datasets.cut_windows({name}, "
        f"length={max(1, n // 10)}). For a single row, pass {row}."
    )


def _many_axes(X: Any, shape: tuple[int, ...], name: str, estimator: Any) -> str:
    """Describe an array of three or more axes: images, or signals with channels."""
    found = (
        f"{name} has shape {shape}, but it must have two axes, with one flattened image"
        " or signal per row."
    )
    code, inner = _with_method(X, name, "reshape"), shape[1:]
    rows = f"{code}.reshape(len({name}), -1)"
    if not hasattr(estimator, "channel_axis") or len(inner) > 4:
        return f"{found} Pass {rows}."
    if hasattr(estimator, "n_features_in_"):
        return f"{found} Pass {rows}, or {name} with the axes of signal_shape."
    passed = "Pass" if hasattr(X, "reshape") else f"Pass {code} with"
    if len(inner) == 2 and inner[0] != inner[1] and min(inner) <= _MAX_CHANNELS:
        last = inner[1] < inner[0]
        advice = (
            f"{found} For signals with {min(inner)} channels: {passed} "
            f"signal_shape={inner}, channel_axis={-1 if last else 0}."
        )
        if last:
            size = max(1, min(shape[:2]) // 4)
            advice += (
                " For a single image with channels, cut patches first: "
                f"skspectral.datasets.cut_patches([{name}], n_patches=1000, "
                f"size={size})."
            )
        return advice
    if len(inner) == 3 and inner[0] <= _MAX_CHANNELS < inner[2]:
        return (
            f"{found} For images with {inner[0]} channels on axis 1: {passed} "
            f"signal_shape={inner}, channel_axis=0."
        )
    return f"{found} {passed} signal_shape={inner}."


def _rows(
    first: str, X: Any, shape: tuple[int, ...], name: str, estimator: Any
) -> str | None:
    """Describe rows that are too few, or of a wrong length."""
    n_rows, n_columns = shape
    if "minimum of" in first and "sample(s)" in first:
        advice = "Pass more rows, one per sample."
        if n_rows == 1 and hasattr(estimator, "signal_shape"):
            length = max(1, n_columns // 10)
            advice += (
                f" To cut one long signal into windows of, for example, {length} "
                f"samples, pass skspectral.datasets.cut_windows({name}, "
                f"length={length})."
            )
        return f"{first}. {advice}"
    expected = getattr(estimator, "n_features_in_", None)
    if not first.startswith(f"X has {n_columns} features") or expected is None:
        return None
    if n_rows == expected:
        return f"{first}. Its {n_rows} rows look like the features: pass {name}.T."
    if n_rows * n_columns == expected:
        row = f"{_with_method(X, name, 'reshape')}.reshape(1, -1)"
        return f"{first}. To pass one image or signal, pass {row}."
    return f"{first}. Pass rows of the same length and layout as in fit."
