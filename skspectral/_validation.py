"""Checks of the input that scikit-learn does not make, or not in time."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite

from skspectral._device import memory_advice
from skspectral._sklearn_compat import as_numbers, as_numpy, check_sample_weight


class NonFiniteError(ValueError):
    """A result is not finite: the input is not, or its powers overflow."""


@contextmanager
def input_errors(
    X: Any, estimator: Any, *, batch_size: int | None = None
) -> Iterator[None]:
    """Turn errors of the numerics into those that name the input or a parameter.

    Whether X is finite is looked at only where a result is not: to look at X first
    would cost a pass over the data.
    """
    try:
        with memory_advice(batch_size):
            yield
    except NonFiniteError:
        check_finite(X, estimator)
        raise


def check_finite(X: Any, estimator: Any) -> None:
    """Raise scikit-learn's error if X has NaN or infinite values."""
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")


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


def refuse_unusable_tensors(X: Any) -> None:
    """Raise where a tensor is of a type that scikit-learn does not take."""
    if not isinstance(X, torch.Tensor):
        return
    if X.requires_grad:
        raise ValueError("X is a tensor that requires a gradient. Pass X.detach().")
    if X.dtype in (torch.bfloat16, torch.float16):
        raise ValueError(f"X is a tensor of type {X.dtype}. Pass X.float().")


def check_weights(
    sample_weight: ArrayLike | None, X: Any, estimator: Any
) -> np.ndarray | None:
    """Weights of the rows of X, whose numbers are looked at too, shape (n,)."""
    if sample_weight is None:
        return None
    weights = row_weights(sample_weight, X.shape[0])
    # A row of weight 0 does not show in any result.
    check_finite(X, estimator)
    return weights


def row_weights(sample_weight: ArrayLike | None, n_rows: int) -> np.ndarray:
    """Weights as an array of numpy, (n_rows,), float64.

    One number is that of each row, and None is 1.

    Weights that are negative, not finite, missing, all zero, or of another number raise
    a ValueError.
    """
    if not (sample_weight is None or isinstance(sample_weight, Real)):
        sample_weight = as_numpy(sample_weight, "sample_weight")
    weights: np.ndarray = check_sample_weight(
        sample_weight, np.empty(n_rows), dtype=np.float64, ensure_non_negative=True
    )
    return weights


def check_observation(
    operator: ArrayLike, observed: ArrayLike, n_samples: int, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Operator and observed values, float64.

    Parameters
    ----------
    operator : array-like of shape (m, n_columns)
    observed : array-like of shape (m,) or (n_samples, m)
    n_samples, n_columns : int

    Raises
    ------
    ValueError
        If they are not finite or of other shapes, or the operator observes nothing.
    """
    operator, observed = (
        as_numbers(operator, "operator"),
        as_numbers(observed, "observed"),
    )
    if operator.ndim != 2 or operator.shape[1] != n_columns:
        raise ValueError(
            f"operator of shape {operator.shape} must be of shape (m, {n_columns}): "
            "operator @ x is what is observed of x."
        )
    m = len(operator)
    if not (np.isfinite(operator).all() and np.isfinite(observed).all()):
        raise ValueError("operator and observed must be finite.")
    if not operator.any():
        raise ValueError(
            f"operator of shape {operator.shape} tells nothing: it is empty, or zero. "
            "Use sample."
        )
    if observed.shape not in ((m,), (n_samples, m)):
        raise ValueError(
            f"observed of shape {observed.shape} must be of shape ({m},), or of "
            f"({n_samples}, {m}) for each draw to have its own."
        )
    return operator, observed
