"""Fitted models as ONNX graphs, which run without Python.

`to_onnx` turns one method of an estimator into a graph. After `register`, skl2onnx also
converts pipelines that contain the estimator as a transformer. A graph computes in
float64, and casts its input and output. In float32 the codes of nearly parallel atoms
would lose digits, and so would densities with variances of very different size. All
operators used here exist in float64 in onnxruntime.
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

# Default version of the operator set. skl2onnx 1.20 supports versions up to 22.
_OPSET = 18
_ALIAS = "SkspectralSpectralDictionaryLearning"


def register() -> None:
    """Register the conversion of `SpectralDictionaryLearning` with skl2onnx.

    ``skl2onnx.to_onnx`` then converts the ``transform`` of the estimator, also as a
    step of a pipeline. Further calls change nothing.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : Convert a single method of the estimator.

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
    >>> codes = SpectralDictionaryLearning(8, signal_shape=(8, 8), whiten=True)
    >>> model = make_pipeline(codes, LogisticRegression(max_iter=500)).fit(X, y)
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
    """Convert one method of a fitted estimator to an ONNX model.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator.
    method : {"transform", "inverse_transform", "score_samples"}, default="transform"
        Method that the graph computes. The output is called "codes", "signals" or
        "log_density", respectively, and has the shape that the method returns.
    dtype : {float32, float64}, default=float32
        Type of the input, which is called "X", and of the output. The computation in
        between is in float64.
    target_opset : int, default=18
        Version of the ONNX operator set, at least 13. Choose one that your runtime
        supports.

    Returns
    -------
    model : onnx.ModelProto
        The model. Runtimes load ``model.SerializeToString()``.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        If ``method="transform"`` and ``transform_stft_weight`` is not 0, because
        iterations compute these codes.
    ValueError
        If a parameter has an invalid value.
    TypeError
        If ``estimator`` is not a `SpectralDictionaryLearning`.
    TypeError
        If ``method="score_samples"`` and the prior is not made of Gaussians.

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
    """Return the name of a dtype, or an empty string if it is not a dtype."""
    try:
        return "" if dtype is None else np.dtype(dtype).name
    except TypeError:
        return ""


def _skl2onnx() -> ModuleType:
    """Return the module ``skl2onnx``, which is an optional dependency."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "ONNX graphs need skl2onnx, which is not installed. Install it with: "
            'python -m pip install "skspectral[onnx]"'
        ) from error
    return skl2onnx


def _operators() -> ModuleType:
    """Return the module of skl2onnx with one function per ONNX operator."""
    _skl2onnx()
    from skl2onnx.algebra import onnx_ops

    return onnx_ops


def _check(estimator: Any, method: str = "transform") -> None:
    """Raise an error if there is no graph for this method of this estimator."""
    if not isinstance(estimator, SpectralDictionaryLearning):
        raise TypeError(
            f"estimator={estimator!r} must be a SpectralDictionaryLearning. To convert "
            "a pipeline that contains one, call skspectral.onnx.register(), and then "
            "skl2onnx.to_onnx."
        )
    if method == "transform" and estimator.computes_sparse_codes:
        raise ValueError(
            f"transform_algorithm={estimator.transform_algorithm!r} has no graph, "
            "because sparse codes are computed by iterations. Set it to 'lstsq' to "
            "export least-squares codes."
        )
    if method in ("transform", "inverse_transform") and estimator.split_sign:
        raise ValueError(
            "split_sign=True has no graph. Set it to False to export codes with their "
            "signs."
        )
    weight = estimator.transform_stft_weight
    if method == "transform" and weight != 0:
        raise ValueError(
            f"transform_stft_weight={weight!r} has no graph, because its codes are "
            "computed by iterations. Set it to 0 to export least-squares codes."
        )


# The graphs are functions of the model, the prior, the input and the operators. Their
# constants are numpy arrays in float64.


def _codes(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """Return the graph of (X - mean) @ encoder.T."""
    centred = _centred(model, X, ops, opset)
    return ops.OnnxMatMul(centred, as_numbers(model.encoder).T, op_version=opset)


def _signals(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """Return the graph of mean + X @ decoder."""
    codes = ops.OnnxCast(X, to=np.float64, op_version=opset)
    decoder, mean = as_numbers(model.decoder), as_numbers(model.mean)
    combined = ops.OnnxMatMul(codes, decoder, op_version=opset)
    return ops.OnnxAdd(combined, mean, op_version=opset)


def _log_density(model: LinearModel, prior: Any, X: Any, ops: Any, opset: int) -> Any:
    """Return the graph of `likelihood.log_density`, for all components at once."""
    prior.require("gaussians", "to_onnx with method='score_samples'")
    means, roots, peaks = _whitened(prior.mixture(), model.noise_variance)
    centred = _centred(model, X, ops, opset)
    basis = as_numbers(model.basis)
    coordinates = ops.OnnxMatMul(centred, basis.T, op_version=opset)
    # The shapes are ((1, n, K) - (M, 1, K)) @ (M, K, K), hence (M, n, K).
    axis = np.zeros(1, np.int64)
    repeated = ops.OnnxUnsqueeze(coordinates, axis, op_version=opset)
    deviation = ops.OnnxSub(repeated, means[:, None], op_version=opset)
    white = ops.OnnxMatMul(deviation, roots, op_version=opset)
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
    """Return means (M, K), roots of precisions (M, K, K), and log-densities at means.

    The log-densities contain the log-weights of the components. The components have the
    covariances (C - v I)+ + v I: variances below the noise variance v are raised to v.
    The roots are symmetric.
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
    """Return the graph of X - mean in float64."""
    samples = ops.OnnxCast(X, to=np.float64, op_version=opset)
    return ops.OnnxSub(samples, as_numbers(model.mean), op_version=opset)


def _sum_of_squares(X: Any, axis: int, ops: Any, opset: int) -> Any:
    return ops.OnnxReduceSumSquareApi18(X, axes=[axis], keepdims=0, op_version=opset)


def _log_sum_exp(X: Any, ops: Any, opset: int) -> Any:
    """Return the graph of the log of the sum of exponentials over the first axis.

    The largest exponent is subtracted first, so that the sum cannot overflow or vanish.
    """
    largest = ops.OnnxReduceMaxApi18(X, axes=[0], keepdims=0, op_version=opset)
    powers = ops.OnnxExp(ops.OnnxSub(X, largest, op_version=opset), op_version=opset)
    total = ops.OnnxReduceSumApi11(powers, axes=[0], keepdims=0, op_version=opset)
    return ops.OnnxAdd(ops.OnnxLog(total, op_version=opset), largest, op_version=opset)


# Name of the output and function of the graph, per method.
_GRAPHS: dict[str, tuple[str, Callable[..., Any]]] = {
    "transform": ("codes", _codes),
    "inverse_transform": ("signals", _signals),
    "score_samples": ("log_density", _log_density),
}


# Functions that skl2onnx calls to convert a step of a pipeline


def _set_shape(operator: Any) -> None:
    """Set type and shape of the output of the step."""
    tensors = _skl2onnx().common.data_types
    given = operator.inputs[0]
    double = isinstance(given.type, tensors.DoubleTensorType)
    kind = tensors.DoubleTensorType if double else tensors.FloatTensorType
    n_codes = len(operator.raw_operator.model_.components)
    operator.outputs[0].type = kind([given.get_first_dimension(), n_codes])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of ``transform`` to that of the pipeline."""
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
