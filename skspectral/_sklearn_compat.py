"""The only module that uses parts of scikit-learn outside its public interface."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn import get_config, utils
from sklearn.base import _fit_context as fit_context
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import validate_data as _validate_data

from skspectral._device import Samples, as_array
from skspectral._missing import refuse_missing, refuse_missing_labels

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "as_numbers",
    "as_numpy",
    "callback_context",
    "check_array",
    "check_same_namespace",
    "check_sample_weight",
    "fit_context",
    "from_namespace",
    "in_native_form",
    "input_dtypes",
    "to_namespace_of",
    "validate_data",
    "validate_parameters",
    "validated",
]


Function = TypeVar("Function", bound=Callable[..., Any])


def validated(**constraints: Any) -> Callable[[Function], Function]:
    """Check the parameters of a public function against named constraints."""
    return validate_params(constraints, prefer_skip_nested_validation=True)


def validate_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator before its ``fit`` does.

    Estimators without constraints on their parameters pass. scikit-learn's error is
    raised if a parameter has a wrong type or is out of range.
    """
    if (
        hasattr(estimator, "_parameter_constraints")
        and not (get_config()["skip_parameter_validation"])
    ):
        estimator._validate_params()


def validate_data(
    estimator: Any, X: Any, y: Any = "no_validation", **options: Any
) -> Any:
    """Call scikit-learn's ``validate_data``, after refusing missing entries and labels.

    scikit-learn would silently drop the mask of a masked array.

    Raises
    ------
    ValueError
        If entries of X are masked or NA, or if labels in y are missing.
    """
    X = refuse_missing(X, "X")
    if not isinstance(y, str):
        y = refuse_missing_labels(y)
    return _validate_data(estimator, X, y, **options)


def check_array(X: Any, input_name: str, **options: Any) -> Any:
    """Call scikit-learn's ``check_array``, after refusing missing entries of X."""
    X = refuse_missing(X, input_name)
    return utils.check_array(X, input_name=input_name, **options)


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> Any:
    """Check the weights of the rows of X, and refuse missing ones; None means ones."""
    sample_weight = refuse_missing(sample_weight, "sample_weight")
    return _check_sample_weight(sample_weight, X, **options)


def callback_context(estimator: Any) -> Any:
    """Return the callback context of an estimator, for any number of tasks."""
    return estimator._init_callback_context(max_subtasks=None)


def input_dtypes(X: Any) -> list[Any]:
    """Return the dtypes of X that are kept; other data become the first of them."""
    xp, _ = get_namespace(X)
    return [xp.float64, xp.float32, xp.uint8]


def in_native_form(X: Any) -> Any:
    """Return X in a form whose dtype scikit-learn recognises, so that float32 is kept.

    Arrays in the foreign byte order are converted to the native one. CPU tensors become
    arrays if ``array_api_dispatch`` is off.
    """
    if isinstance(X, torch.Tensor) and X.device.type == "cpu":
        X = X if get_config()["array_api_dispatch"] else X.numpy()
    if isinstance(X, np.ndarray):
        return X.astype(X.dtype.newbyteorder("="), copy=False)
    return X


def from_namespace(array: Any) -> Samples:
    """Return a numpy array or tensor; arrays of other libraries become numpy arrays."""
    if isinstance(array, (np.ndarray, torch.Tensor)):
        return array
    numpy_namespace, _ = get_namespace(np.empty(0))
    return move_to(array, xp=numpy_namespace, device="cpu")


def as_numpy(values: Any, name: str = "An array") -> np.ndarray:
    """Return numbers, lists, or arrays of any library and device as a numpy array.

    Masked entries, and tensors of bfloat16, raise a ValueError with the ``name`` of the
    values.
    """
    values = refuse_missing(values, name)
    if isinstance(values, torch.Tensor) and values.dtype == torch.bfloat16:
        raise ValueError(
            f"{name} is a tensor of bfloat16, which numpy does not support. Pass "
            f"{name}.float()."
        )
    if hasattr(values, "__dlpack__"):
        values = as_array(from_namespace(values))
    return np.asarray(values)


def as_numbers(values: Any, name: str = "An array") -> np.ndarray:
    """Return the values as a numpy array in float64, see `as_numpy`."""
    return as_numpy(values, name).astype(np.float64, copy=False)


def to_namespace_of(reference: Any, array: Samples) -> Any:
    """Return ``array`` in the library, and on the device, of ``reference``."""
    if isinstance(reference, torch.Tensor):
        return torch.as_tensor(array).to(reference.device)
    if isinstance(reference, np.ndarray):
        return as_array(array)
    xp, _, device = get_namespace_and_device(reference)
    return move_to(as_array(array), xp=xp, device=device)
