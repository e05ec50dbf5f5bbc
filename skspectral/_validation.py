"""Checks of the input in addition to those of scikit-learn."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._advice import brief
from skspectral._device import memory_advice
from skspectral._sklearn_compat import (
    as_numbers,
    as_numpy,
    check_array,
    check_sample_weight,
)


class NonFiniteError(ValueError):
    """Error of the numerics: a result is not finite, and the input may be the cause."""


@contextmanager
def input_errors(
    X: Any, estimator: Any, *, batch_size: int | None = None
) -> Iterator[None]:
    """Turn errors of the numerics into errors that name the input or a parameter.

    X is checked for NaN and infinite values only if a result is not finite, because
    checking X first would cost a pass over the data.
    """
    try:
        with memory_advice(batch_size):
            yield
    except NonFiniteError:
        check_finite(X, estimator)
        raise


def check_finite(X: Any, estimator: Any) -> None:
    """Raise an error that says where, if X has NaN or infinite values."""
    check_array(X, "X", estimator)


def fitted_attribute(estimator: Any, name: str) -> Any:
    """Return an attribute that every fitted `SpectralDictionaryLearning` has."""
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(
            f"estimator={brief(estimator)} has no attribute {name}. Pass a fitted "
            "SpectralDictionaryLearning."
        )
    return getattr(estimator, name)


@contextmanager
def input_names_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Restore names and number of the features of an estimator if the block fails."""
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
    """Raise a ValueError if X is a tensor that scikit-learn cannot handle."""
    if not isinstance(X, torch.Tensor):
        return
    if X.requires_grad:
        raise ValueError("X is a tensor that requires gradients. Pass X.detach().")
    if X.dtype in (torch.bfloat16, torch.float16):
        raise ValueError(f"X is a tensor of type {X.dtype}. Pass X.float().")


def check_weights(
    sample_weight: ArrayLike | None, X: Any, estimator: Any
) -> np.ndarray | None:
    """Return the weights of the rows of X, shape (n,), or None.

    With weights, X is also checked for infinite values.
    """
    if sample_weight is None:
        return None
    weights = row_weights(sample_weight, X.shape[0])
    # A row of weight 0 affects no result, which would otherwise reveal such values.
    check_array(X, "X", estimator, ensure_all_finite="allow-nan")
    return weights


def row_weights(sample_weight: ArrayLike | None, n_rows: int) -> np.ndarray:
    """Return the weights of the rows as a float64 array of shape (n_rows,).

    A single number is the weight of every row, and None means 1. A ValueError is raised
    for weights that are negative, not finite, missing, all zero, or of a wrong shape.
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
    """Check an operator and observed values, and return them in float64.

    Parameters
    ----------
    operator : array-like of shape (m, n_columns)
        Matrix of the measurements.
    observed : array-like of shape (m,) or (n_samples, m)
        Measured values, the same for all draws or one row per draw.
    n_samples : int
        Number of draws.
    n_columns : int
        Number of columns that the operator must have.

    Returns
    -------
    operator : ndarray of shape (m, n_columns)
        The operator.
    observed : ndarray of shape (m,) or (n_samples, m)
        The measured values.

    Raises
    ------
    ValueError
        If an array has a wrong shape, or NaN or infinite values.
    ValueError
        If the operator is empty or zero.
    """
    operator, observed = (
        as_numbers(operator, "operator"),
        as_numbers(observed, "observed"),
    )
    if operator.ndim != 2 or operator.shape[1] != n_columns:
        raise ValueError(
            f"operator of shape {operator.shape} must be of shape (m, {n_columns}), so "
            "that operator @ x are the m measured values of x."
        )
    m = len(operator)
    for name, array in (("operator", operator), ("observed", observed)):
        if not np.isfinite(array).all():
            n_bad = np.count_nonzero(~np.isfinite(array))
            raise ValueError(
                f"{name} must be finite, but {n_bad} of {array.size} values are NaN or "
                "infinite. Leave out the measurements without a value."
            )
    if not operator.any():
        raise ValueError(
            f"operator of shape {operator.shape} measures nothing, because it is empty "
            "or zero. Use sample to draw without measurements."
        )
    if observed.shape not in ((m,), (n_samples, m)):
        raise ValueError(
            f"observed of shape {observed.shape} must be of shape ({m},), or of shape "
            f"({n_samples}, {m}) with separate values per draw."
        )
    return operator, observed
