"""What every metric of feature rows asks of its input."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numpy, check_array
from skspectral.metrics._ranges import Values, check_one_range, refuse_overflow


def check_features(X: Any, name: str, min_rows: int = 1) -> np.ndarray:
    """Rows of features as float64, from arrays and tensors of any library.

    They must be real and finite, none of them masked or NA, and so small that their
    powers do not overflow.
    """
    if hasattr(X, "__dlpack__"):
        X = as_numpy(X, name)
    # scikit-learn's errors of shapes do not tell which set it is.
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
            f"{name} has shape {array.shape}. Pass rows of features, of shape "
            f"(n_samples, n_features), at least {min_rows} of them."
        )
    refuse_overflow(array, name)
    return array


def check_feature_sets(
    min_rows: int = 1, /, **sets: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Several sets in the order given, by name, of one number of features.

    Bytes, which are pixels, must not meet floats of another range. Features of other
    types have no range.
    """
    arrays = {name: check_features(X, name, min_rows) for name, X in sets.items()}
    check_widths(**{name: X.shape[1] for name, X in arrays.items()})
    values = {name: Values.of(X) for name, X in arrays.items()}
    for name in filter(lambda name: _is_of_bytes(sets[name]), sets):
        of_bytes = values[name]._replace(type=np.dtype(np.uint8))
        for other in set(sets) - {name}:
            if not _is_of_bytes(sets[other]):
                check_one_range(name, of_bytes, other, values[other])
    return tuple(arrays.values())


def _is_of_bytes(X: Any) -> bool:
    """Whether an array or tensor, or all columns of a table, are of type uint8."""
    types = X.dtypes if hasattr(X, "dtypes") else [getattr(X, "dtype", None)]
    return all(str(each).endswith("uint8") for each in types)


def check_widths(**widths: int) -> None:
    """Raise unless all sets have one number of features."""
    if len(set(widths.values())) > 1:
        found = ", ".join(f"{name} has {width}" for name, width in widths.items())
        raise ValueError(
            f"The numbers of features differ: {found}. Pass features of one extractor."
        )
