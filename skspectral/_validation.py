"""Checks of the input that scikit-learn does not make, or not in time."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite

from skspectral._device import Samples, as_array, numpy_dtype, working_dtype
from skspectral._sklearn_compat import as_numbers, check_sample_weight, from_namespace
from skspectral.moments import Moments

# Variance of a feature whose products still have all their digits in float32.
_SMALLEST_SINGLE = 1e-30
# Of atoms in windows, for each feature.
_MOST_ATOMS = 4


@contextmanager
def input_names_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Leave an estimator as it was where what follows its validation fails."""
    names = ("n_features_in_", "feature_names_in_")
    before = {name: value for name, value in vars(estimator).items() if name in names}
    try:
        yield
    except BaseException:
        for name in names:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise


def check_signal_shape(
    signal_shape: Sequence[int] | None, n_features: int
) -> tuple[int, ...]:
    """The shape as a tuple of ints, checked against the number of features."""
    if signal_shape is None:
        return (n_features,)
    shape = tuple(signal_shape)
    if not all(isinstance(size, Integral) and size > 0 for size in shape):
        raise ValueError(
            f"signal_shape={signal_shape!r} must be a tuple of positive integers."
        )
    if not 1 <= len(shape) <= 3:
        raise ValueError(
            f"signal_shape={signal_shape!r} must have one to three axes: (length,), "
            "(height, width) or (height, width, channels)."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"signal_shape={signal_shape!r} holds {math.prod(shape)} values, but X has "
            f"{n_features} features."
        )
    return tuple(int(size) for size in shape)


def check_windows(
    windows: int | Sequence[int], shape: tuple[int, ...], n_waves: int = 1
) -> tuple[int, ...]:
    """Number of windows along each axis of the places of signals."""
    n_axes = 2 if len(shape) > 1 else 1
    windows = windows.tolist() if isinstance(windows, np.ndarray) else windows
    one = isinstance(windows, Integral)
    counts: tuple[Any, ...] = (windows,) * n_axes if one else tuple(windows)  # type: ignore[arg-type]
    fits = len(counts) == n_axes and all(
        isinstance(n, Integral) and not isinstance(n, bool) and 1 <= int(n) <= side
        for n, side in zip(counts, shape, strict=False)
    )
    if not fits:
        raise ValueError(
            f"windows={windows!r} must be a number of windows, or one for each of the "
            f"{n_axes} axes of signal_shape={shape} (n_features={math.prod(shape)}), "
            "not more than its samples."
        )
    n_atoms = n_waves * math.prod(int(n) for n in counts)
    if n_atoms > _MOST_ATOMS * math.prod(shape):
        raise ValueError(
            f"windows={windows!r} makes {n_atoms} atoms of {n_waves}, more than "
            f"{_MOST_ATOMS} for each of n_features={math.prod(shape)}. Pass fewer "
            "windows, or a smaller n_components."
        )
    return tuple(int(n) for n in counts)


def refuse_what_is_not_finite(X: Samples, estimator: Any) -> None:
    """Raise scikit-learn's error if X has NaN or infinite values.

    Called where a result is not finite: looking at X itself first would cost a pass.
    """
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")


def refuse_tensors_of_no_use(X: Any) -> None:
    """Raise where a tensor is of a type that scikit-learn does not take."""
    if not isinstance(X, torch.Tensor):
        return
    if X.requires_grad:
        raise ValueError("X is a tensor that requires a gradient. Pass X.detach().")
    if X.dtype in (torch.bfloat16, torch.float16):
        raise ValueError(f"X is a tensor of type {X.dtype}. Pass X.float().")


def check_weights(
    sample_weight: ArrayLike | None, X: Samples, estimator: Any
) -> np.ndarray | None:
    """Weights of shape (n,), float64."""
    if sample_weight is None:
        return None
    weights = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    # A row of weight 0 does not show in any result.
    refuse_what_is_not_finite(X, estimator)
    return as_array(from_namespace(weights))


def check_variance(X: Samples, moments: Moments, estimator: Any) -> None:
    """Raise if the second moment of X is not finite, zero, or out of range."""
    variance = float(moments.scatter.trace()) / moments.weight
    if not np.isfinite(variance):
        refuse_what_is_not_finite(X, estimator)
        raise ValueError(
            "The second moment of X overflows. Scale X down before fitting."
        )
    dtype = numpy_dtype(working_dtype(X))
    if variance <= np.finfo(dtype).eps ** 2 * float((moments.mean**2).sum()):
        raise ValueError(
            "X has no variance: all rows are equal, so there is nothing to learn."
        )
    if dtype == np.float32 and variance < _SMALLEST_SINGLE * X.shape[1]:
        raise ValueError(
            "The second moment of X underflows in float32. Scale X up before fitting, "
            "or pass float64."
        )


def check_observation(
    operator: ArrayLike, seen: ArrayLike, n_samples: int, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Operator and observed values, float64.

    Parameters
    ----------
    operator : array-like of shape (m, n_columns)
    seen : array-like of shape (m,) or (n_samples, m)
    n_samples, n_columns : int

    Raises
    ------
    ValueError
        If they are not finite or of other shapes, or the operator observes nothing.
    """
    operator, seen = as_numbers(operator), as_numbers(seen)
    if operator.ndim != 2 or operator.shape[1] != n_columns:
        raise ValueError(
            f"operator of shape {operator.shape} must be of shape (m, {n_columns}): "
            "operator @ x is what is seen of x."
        )
    m = len(operator)
    if not (np.isfinite(operator).all() and np.isfinite(seen).all()):
        raise ValueError("operator and seen must be finite.")
    if not operator.any():
        raise ValueError(
            f"operator of shape {operator.shape} tells nothing: it is empty, or zero. "
            "Use sample."
        )
    if seen.shape not in ((m,), (n_samples, m)):
        raise ValueError(
            f"seen of shape {seen.shape} must be of shape ({m},), or of "
            f"({n_samples}, {m}) for each draw to have its own."
        )
    return operator, seen
