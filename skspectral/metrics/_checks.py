"""Input checks of the metrics that compare sets of feature vectors."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numpy, check_array
from skspectral.metrics._ranges import Values, check_one_range, refuse_overflow


def check_features(X: Any, name: str, min_rows: int = 1) -> np.ndarray:
    """Return features of shape (n_samples, n_features) as float64.

    The features may come from arrays or tensors of any library. An error is raised if
    they are not real and finite, if entries are masked or NA, or if they are so large
    that their powers overflow.
    """
    if hasattr(X, "__dlpack__"):
        X = as_numpy(X, name)
    # Shapes are checked below: scikit-learn's errors about them do not name the set.
    array: np.ndarray = check_array(
        X,
        name,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        ensure_min_features=0,
    )
    if array.ndim != 2 or len(array) < min_rows or array.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, but features must have shape "
            f"(n_samples, n_features) with n_samples >= {min_rows}. Pass one row of "
            f"features per sample, such as {name}.reshape(len({name}), -1) for small "
            "images."
        )
    refuse_overflow(array, name)
    return array


def check_feature_sets(
    min_rows: int = 1, /, **sets: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Check several sets of features, given by name, and return them in this order.

    All sets must have the same number of features. A set of type uint8 is taken to hold
    pixels: an error is raised if a set of another type has a different range of values.
    Sets of other types have no range that could be checked.
    """
    arrays = {name: check_features(X, name, min_rows) for name, X in sets.items()}
    check_widths(**{name: X.shape[1] for name, X in arrays.items()})
    values = {name: Values.of(X) for name, X in arrays.items()}
    for name in filter(lambda name: _is_uint8(sets[name]), sets):
        as_uint8 = values[name]._replace(type=np.dtype(np.uint8))
        for other in set(sets) - {name}:
            if not _is_uint8(sets[other]):
                check_one_range(name, as_uint8, other, values[other])
    return tuple(arrays.values())


def _is_uint8(X: Any) -> bool:
    """Return whether an array or tensor, or every column of a table, is uint8."""
    types = X.dtypes if hasattr(X, "dtypes") else [getattr(X, "dtype", None)]
    return all(str(each).endswith("uint8") for each in types)


def check_widths(**widths: int) -> None:
    """Raise an error unless all sets have the same number of features."""
    if len(set(widths.values())) > 1:
        found = ", ".join(f"{name} has {width}" for name, width in widths.items())
        raise ValueError(
            f"The numbers of features differ: {found}. Compute the features of all "
            "sets with the same extractor."
        )
