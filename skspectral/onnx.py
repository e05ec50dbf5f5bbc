"""Fitted models as ONNX graphs, which run where there is no Python.

`to_onnx` turns one method of an estimator into a graph. After `register` skl2onnx also
converts pipelines, in which the estimator is a transformer. Input is cast to float64,
and the result back: the codes of nearly parallel atoms, and densities where variances
differ by much, would lose digits in float32. onnxruntime has all operators in float64.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from numbers import Integral
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import Interval, StrOptions, as_numbers, validated
from skspectral.gaussian import Mixture
from skspectral.model import LinearModel
from skspectral.spectral_dictionary import SpectralDictionaryLearning

__all__ = ["register", "to_onnx"]

# Of the operators; skl2onnx 1.20 knows those up to 22.
_OPSET = 18
_ALIAS = "SkspectralSpectralDictionaryLearning"


def register() -> None:
    """Tell skl2onnx how `SpectralDictionaryLearning` is converted: its ``transform``.

    ``skl2onnx.to_onnx`` then takes the estimator, also as a step of a pipeline. A
    second call changes nothing.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.onnx import register
    >>> X, y = load_digits(return_X_y=True)
    >>> codes = SpectralDictionaryLearning(8, signal_shape=(8, 8), modulation=None)
    >>> model = make_pipeline(codes, LogisticRegression(max_iter=5000)).fit(X, y)
    >>> register()
    >>> graph = skl2onnx.to_onnx(model, X[:1].astype(np.float32), target_opset=18)
    >>> [output.name for output in graph.graph.output]
    ['output_label', 'output_probability']
    """
    _skl2onnx().update_registered_converter(
        SpectralDictionaryLearning, _ALIAS, _set_shape, _convert
    )


@validated(
    estimator="no_validation",
    method=[StrOptions({"transform", "inverse_transform", "score_samples"})],
    dtype="no_validation",
    target_opset=[Interval(Integral, 13, None, closed="left")],
)
def to_onnx(
    estimator: SpectralDictionaryLearning,
    method: str = "transform",
    *,
    dtype: Any = np.float32,
    target_opset: int = _OPSET,
) -> Any:
    """One method of a fitted estimator as an ONNX model.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted.
    method : {"transform", "inverse_transform", "score_samples"}, default="transform"
        Which method the graph computes: codes, of shape (n_samples, n_components);
        signals of codes; or the log-density of samples, of shape (n_samples,).
    dtype : {float32, float64}, default=float32
        Type of the input, named "X", and of the output, named "codes", "signals" or
        "log_density". In between is float64.
    target_opset : int, default=18
        Version of the operators, 13 or more.

    Returns
    -------
    model : onnx.ModelProto
        ``model.SerializeToString()`` is what runtimes load.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        If ``transform_stft_weight`` is not 0: these codes are found by iterations; or
        if a parameter does not fit.
    TypeError
        If the estimator is another one; or if the prior is not made of Gaussians and
        the method is "score_samples".

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.onnx import to_onnx
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8), modulation=None).fit(X)
    >>> model = to_onnx(est, "score_samples")
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> (density,) = session.run(None, {"X": X.astype(np.float32)})
    >>> np.allclose(density, est.score_samples(X), rtol=1e-5)
    True
    """
    operators, tensors = _operators(), _skl2onnx().common.data_types
    check_is_fitted(estimator)
    _check(estimator, method)
    kinds = {"float32": tensors.FloatTensorType, "float64": tensors.DoubleTensorType}
    name_of_type = _name_of_type(dtype)
    if name_of_type not in kinds:
        raise ValueError(f"dtype={dtype!r} must be numpy.float32 or numpy.float64.")
    tensor, opset = kinds[name_of_type], int(target_opset)
    n_codes, n_features = estimator.model_.components.shape
    width = n_codes if method == "inverse_transform" else n_features
    name, graph = _GRAPHS[method]
    computed = graph(estimator.model_, estimator.prior_, "X", operators, opset)
    output = operators.OnnxCast(
        computed, to=np.dtype(name_of_type).type, op_version=opset, output_names=[name]
    )
    shapes = {"codes": [None, n_codes], "signals": [None, n_features]}
    return output.to_onnx(
        inputs=[("X", tensor([None, width]))],
        outputs=[(name, tensor(shapes.get(name, [None])))],
        target_opset=opset,
    )


def _name_of_type(dtype: Any) -> str:
    """Name of a dtype; the empty string for None and for what is no dtype."""
    try:
        return "" if dtype is None else np.dtype(dtype).name
    except TypeError:
        return ""


def _skl2onnx() -> ModuleType:
    """The package, which is an extra."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "ONNX graphs need skl2onnx, which is not installed. Install it with: "
            'python -m pip install "skspectral[onnx]"'
        ) from error
    return skl2onnx


def _operators() -> ModuleType:
    """Module of skl2onnx with one function for each operator of ONNX."""
    _skl2onnx()
    from skl2onnx.algebra import onnx_ops

    return onnx_ops


def _check(estimator: Any, method: str = "transform") -> None:
    """Raise where there is no graph for a method of an estimator."""
    if not isinstance(estimator, SpectralDictionaryLearning):
        raise TypeError(
            f"estimator={estimator!r} must be a SpectralDictionaryLearning. For a "
            "pipeline that has one, call skspectral.onnx.register(), and then "
            "skl2onnx.to_onnx."
        )
    weight = estimator.transform_stft_weight
    if method == "transform" and weight != 0:
        raise ValueError(
            f"transform_stft_weight={weight!r}: codes are then found by iterations, "
            "and a graph has closed forms alone. Set it to 0."
        )


# The graphs: functions of the model, the prior, the input and the operators. Constants
# are arrays of numpy in float64.


def _codes(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """(X - mean) encoder'."""
    centred = _centred(model, X, ops, opset)
    return ops.OnnxMatMul(centred, as_numbers(model.encoder).T, op_version=opset)


def _signals(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """Mean + X decoder."""
    codes = ops.OnnxCast(X, to=np.float64, op_version=opset)
    decoder, mean = as_numbers(model.decoder), as_numbers(model.mean)
    combined = ops.OnnxMatMul(codes, decoder, op_version=opset)
    return ops.OnnxAdd(combined, mean, op_version=opset)


def _log_density(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """`skspectral.likelihood.log_density`, of all components at once."""
    prior.require("gaussians", "to_onnx with method='score_samples'")
    means, roots, peaks = _whitened(prior.mixture(), model.noise_variance)
    centred = _centred(model, X, ops, opset)
    basis = as_numbers(model.basis)
    coordinates = ops.OnnxMatMul(centred, basis.T, op_version=opset)
    # Shapes (1, n, K) less (M, 1, K), times (M, K, K).
    axis = np.zeros(1, np.int64)
    each = ops.OnnxUnsqueeze(coordinates, axis, op_version=opset)
    apart = ops.OnnxSub(each, means[:, None], op_version=opset)
    white = ops.OnnxMatMul(apart, roots, op_version=opset)
    distance = _sum_of_squares(white, 2, ops, opset)
    half = ops.OnnxMul(distance, np.array([-0.5]), op_version=opset)
    joint = ops.OnnxAdd(half, peaks[:, None], op_version=opset)
    density = _log_sum_exp(joint, ops, opset)
    n_rest = basis.shape[1] - basis.shape[0]
    if n_rest == 0:
        return density
    rest = ops.OnnxSub(
        _sum_of_squares(centred, 1, ops, opset),
        _sum_of_squares(coordinates, 1, ops, opset),
        op_version=opset,
    )
    rest = ops.OnnxMax(rest, np.zeros(1), op_version=opset)
    scale = np.array([-0.5 / model.noise_variance])
    outside = ops.OnnxMul(rest, scale, op_version=opset)
    constant = -0.5 * n_rest * np.log(2 * np.pi * model.noise_variance)
    outside = ops.OnnxAdd(outside, np.array([constant]), op_version=opset)
    return ops.OnnxAdd(density, outside, op_version=opset)


def _whitened(
    mixture: Mixture, noise_variance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (M, K), roots of the precisions (M, K, K), and log-joints at the means.

    Components have the covariances (C - v I)+ + v I, that is, C with variances raised
    to that of the noise. The roots are symmetric.
    """
    means, roots, peaks = [], [], []
    for weight, part in mixture:
        if weight == 0:
            continue
        n_dimensions, rank = part.vectors.shape
        values = np.maximum(part.values, noise_variance)
        rest = max(part.rest, noise_variance) if rank < n_dimensions else 1.0
        root = (part.vectors * (values**-0.5 - rest**-0.5)) @ part.vectors.T
        root.flat[:: n_dimensions + 1] += rest**-0.5
        log_determinant = np.log(values).sum() + (n_dimensions - rank) * np.log(rest)
        constant = n_dimensions * np.log(2 * np.pi)
        means.append(part.mean)
        roots.append(root)
        peaks.append(np.log(weight) - 0.5 * (log_determinant + constant))
    return np.stack(means), np.stack(roots), np.array(peaks)


def _centred(model: LinearModel, X: Any, ops: Any, opset: int) -> Any:
    samples = ops.OnnxCast(X, to=np.float64, op_version=opset)
    return ops.OnnxSub(samples, as_numbers(model.mean), op_version=opset)


def _sum_of_squares(X: Any, axis: int, ops: Any, opset: int) -> Any:
    return ops.OnnxReduceSumSquareApi18(X, axes=[axis], keepdims=0, op_version=opset)


def _log_sum_exp(X: Any, ops: Any, opset: int) -> Any:
    """Over the first axis; less the largest, so that nothing underflows."""
    largest = ops.OnnxReduceMaxApi18(X, axes=[0], keepdims=0, op_version=opset)
    powers = ops.OnnxExp(ops.OnnxSub(X, largest, op_version=opset), op_version=opset)
    total = ops.OnnxReduceSumApi11(powers, axes=[0], keepdims=0, op_version=opset)
    return ops.OnnxAdd(ops.OnnxLog(total, op_version=opset), largest, op_version=opset)


# For each method: the name of the output, and its graph.
_GRAPHS: dict[str, tuple[str, Callable[..., Any]]] = {
    "transform": ("codes", _codes),
    "inverse_transform": ("signals", _signals),
    "score_samples": ("log_density", _log_density),
}


# What skl2onnx calls for a step of a pipeline


def _set_shape(operator: Any) -> None:
    tensors = _skl2onnx().common.data_types
    given = operator.inputs[0]
    double = isinstance(given.type, tensors.DoubleTensorType)
    kind = tensors.DoubleTensorType if double else tensors.FloatTensorType
    n_codes = len(operator.raw_operator.model_.components)
    operator.outputs[0].type = kind([given.get_first_dimension(), n_codes])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    operators, tensors = _operators(), _skl2onnx().common.data_types
    estimator, opset = operator.raw_operator, container.target_opset
    _check(estimator)
    given, result = operator.inputs[0], operator.outputs[0]
    double = isinstance(result.type, tensors.DoubleTensorType)
    codes = _codes(estimator.model_, None, given, operators, opset)
    operators.OnnxCast(
        codes,
        to=np.float64 if double else np.float32,
        op_version=opset,
        output_names=[result.full_name],
    ).add_to(scope, container)
