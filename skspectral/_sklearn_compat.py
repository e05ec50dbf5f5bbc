"""The only place that uses parts of scikit-learn outside its public interface."""
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
    """Check the parameters of a public function, by name, as scikit-learn does."""
    return validate_params(constraints, prefer_skip_nested_validation=True)


def validate_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator before its ``fit`` does, if it has rules.

    A parameter of a wrong type or out of range raises scikit-learn's error.
    """
    if (
        hasattr(estimator, "_parameter_constraints")
        and not (get_config()["skip_parameter_validation"])
    ):
        estimator._validate_params()


def validate_data(
    estimator: Any, X: Any, y: Any = "no_validation", **options: Any
) -> Any:
    """scikit-learn's function of that name, which would drop masks: here they refuse.

    Raises
    ------
    ValueError
        If entries of X are masked, or NA, or labels of y are missing.
    """
    X = refuse_missing(X, "X")
    if not isinstance(y, str):
        y = refuse_missing_labels(y)
    return _validate_data(estimator, X, y, **options)


def check_array(X: Any, input_name: str, **options: Any) -> Any:
    """The same for an array that no estimator owns, called by its ``input_name``."""
    X = refuse_missing(X, input_name)
    return utils.check_array(X, input_name=input_name, **options)


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> Any:
    """The same for weights of the rows of X; None stands for ones."""
    sample_weight = refuse_missing(sample_weight, "sample_weight")
    return _check_sample_weight(sample_weight, X, **options)


def callback_context(estimator: Any) -> Any:
    """The context of callbacks of an estimator, of any number of tasks."""
    return estimator._init_callback_context(max_subtasks=None)


def input_dtypes(X: Any) -> list[Any]:
    """Types of data that are kept; others become the first."""
    xp, _ = get_namespace(X)
    return [xp.float64, xp.float32, xp.uint8]


def in_native_form(X: Any) -> Any:
    """X in a form whose type scikit-learn knows, so that float32 remains float32.

    Arrays of the other byte order are turned round, and tensors of the CPU become
    arrays where ``array_api_dispatch`` is off.
    """
    if isinstance(X, torch.Tensor) and X.device.type == "cpu":
        X = X if get_config()["array_api_dispatch"] else X.numpy()
    if isinstance(X, np.ndarray):
        return X.astype(X.dtype.newbyteorder("="), copy=False)
    return X


def from_namespace(array: Any) -> Samples:
    """What the numerics take: arrays of other libraries than torch become numpy's."""
    if isinstance(array, (np.ndarray, torch.Tensor)):
        return array
    numpy_namespace, _ = get_namespace(np.empty(0))
    return move_to(array, xp=numpy_namespace, device="cpu")


def as_numpy(values: Any, name: str = "An array") -> np.ndarray:
    """Numbers, lists, or arrays of any library on any device, as an array of numpy.

    Masked entries raise a ValueError that calls the values by their ``name``.
    """
    values = refuse_missing(values, name)
    if isinstance(values, torch.Tensor) and values.dtype == torch.bfloat16:
        raise ValueError(
            f"{name} is a tensor of bfloat16, which numpy does not have. Convert it "
            "first, by float()."
        )
    if hasattr(values, "__dlpack__"):
        values = as_array(from_namespace(values))
    return np.asarray(values)


def as_numbers(values: Any, name: str = "An array") -> np.ndarray:
    """The same in float64."""
    return as_numpy(values, name).astype(np.float64, copy=False)


def to_namespace_of(reference: Any, array: Samples) -> Any:
    """``array`` in the library, and on the device, of another one."""
    if isinstance(reference, torch.Tensor):
        return torch.as_tensor(array).to(reference.device)
    if isinstance(reference, np.ndarray):
        return as_array(array)
    xp, _, device = get_namespace_and_device(reference)
    return move_to(as_array(array), xp=xp, device=device)
