"""The only module that uses parts of scikit-learn outside its public interface."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn import base, get_config, utils
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _param_validation
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    make_constraint,
    validate_params,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import validate_data as _validate_data

from skspectral._advice import brief, closest, explained, explained_weights
from skspectral._device import Samples, as_array
from skspectral._missing import refuse_missing, refuse_missing_labels

__all__ = [
    "Estimator",
    "HasMethods",
    "Interval",
    "StrOptions",
    "as_numbers",
    "as_numpy",
    "assert_all_finite",
    "callback_context",
    "check_array",
    "check_same_namespace",
    "check_sample_weight",
    "fit_context",
    "from_namespace",
    "in_native_form",
    "input_dtypes",
    "to_namespace_of",
    "transform_output",
    "validate_data",
    "validate_parameters",
    "validated",
]


Function = TypeVar("Function", bound=Callable[..., Any])


class StrOptions(_param_validation.StrOptions):
    """Constraint: a string among some options, which errors list in sorted order."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class HasMethods(_param_validation.HasMethods):
    """Constraint: an object, and not a class, that has some methods."""

    def is_satisfied_by(self, val: Any) -> bool:
        return not isinstance(val, type) and bool(super().is_satisfied_by(val))


class Estimator(base.BaseEstimator):
    """A `BaseEstimator` whose errors about parameters say what to type."""

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            params = self.get_params(deep=False)
            raise _with_advice(
                error, self._parameter_constraints, params, self._advice_on
            ) from None

    def _advice_on(self, name: str, value: Any) -> str:
        """Return advice on an invalid value of a parameter, or an empty string."""
        return ""


def validated(**constraints: Any) -> Callable[[Function], Function]:
    """Check the parameters of a public function against named constraints."""

    def decorate(function: Function) -> Function:
        check = validate_params(constraints, prefer_skip_nested_validation=True)
        checked = check(function)

        @wraps(checked)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return checked(*args, **kwargs)
            except InvalidParameterError as error:
                params = signature(function).bind(*args, **kwargs).arguments
                raise _with_advice(error, constraints, params) from None

        return call  # type: ignore[return-value]

    return decorate


def _with_advice(
    error: InvalidParameterError,
    constraints: Mapping[str, Any],
    params: Mapping[str, Any],
    advice_on: Callable[[str, Any], str] | None = None,
) -> InvalidParameterError:
    """Return the error with advice on the first parameter that is invalid.

    The error is returned as it is if all parameters are valid: it is then about the
    parameter of another object.
    """
    for name in constraints.keys() & params.keys():
        if constraints[name] == "no_validation":
            continue
        value = params[name]
        valid = [make_constraint(constraint) for constraint in constraints[name]]
        if any(constraint.is_satisfied_by(value) for constraint in valid):
            continue
        if f"The {name!r} parameter of" not in str(error):
            # scikit-learn reports another invalid parameter first.
            continue
        found = str(error).replace(
            f"Got {value!r} instead", f"Got {brief(value)} instead"
        )
        advice = advice_on(name, value) if advice_on else ""
        return InvalidParameterError(
            f"{found} {advice or _advice_on_value(name, value, valid)}".strip()
        )
    return error


def _advice_on_value(name: str, value: Any, valid: list[Any]) -> str:
    """Return which valid value was probably meant, or an empty string."""
    if isinstance(value, type):
        return f"{value.__name__} is a class. Pass an instance: {value.__name__}()."
    if isinstance(value, str):
        options = set().union(*(getattr(rule, "options", ()) for rule in valid))
        meant = closest(value, options)
        if meant is not None:
            return f"Did you mean {meant!r}?"
        if len(options) == 1:
            return f"Pass {name}={options.pop()!r}."
    for meant in _conversions(value):
        if any(rule.is_satisfied_by(meant) for rule in valid):
            return f"Pass {name}={meant!r}."
    return ""


def _conversions(value: Any) -> Iterator[Any]:
    """Yield a value as an int and as a float, or the only entry of a sequence."""
    if isinstance(value, (str, float, np.floating)):
        for kind in (int, float):
            try:
                yield kind(value)
            except (ValueError, OverflowError):
                # The text is no number, or the number is infinite.
                continue
    elif isinstance(value, (list, tuple, np.ndarray)) and len(value) == 1:
        yield value[0]


def validate_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator before its ``fit`` does.

    Estimators without constraints on their parameters pass. scikit-learn's error is
    raised if a parameter has a wrong type or is out of range.
    """
    skipped = get_config()["skip_parameter_validation"]
    if hasattr(estimator, "_parameter_constraints") and not skipped:
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
    try:
        return _validate_data(estimator, X, y, **options)
    except (TypeError, ValueError) as error:
        raise explained(error, X, "X", estimator, y) from None


def check_array(X: Any, input_name: str, estimator: Any = None, **options: Any) -> Any:
    """Call scikit-learn's ``check_array``, after refusing missing entries of X.

    The advice in errors depends on the estimator that checks X.
    """
    X = refuse_missing(X, input_name)
    try:
        return utils.check_array(X, input_name=input_name, **options)
    except (TypeError, ValueError) as error:
        raise explained(error, X, input_name, estimator) from None


def assert_all_finite(X: Any, input_name: str) -> None:
    """Raise an error that says where, if X has NaN or infinite values."""
    try:
        utils.assert_all_finite(X, input_name=input_name)
    except ValueError as error:
        raise explained(error, X, input_name) from None


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> Any:
    """Check the weights of the rows of X, and refuse missing ones; None means ones."""
    sample_weight = refuse_missing(sample_weight, "sample_weight")
    try:
        return _check_sample_weight(sample_weight, X, **options)
    except (TypeError, ValueError) as error:
        raise explained_weights(error, sample_weight, len(X)) from None


def callback_context(estimator: Any) -> Any:
    """Return the callback context of an estimator, for any number of tasks."""
    return estimator._init_callback_context(max_subtasks=None)


def transform_output(estimator: Any) -> str:
    """Return the container that ``set_output`` has chosen for ``transform``."""
    return str(_get_output_config("transform", estimator)["dense"])


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
