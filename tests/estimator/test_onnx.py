"""ONNX graphs, as onnxruntime runs them, against the estimator in float64."""

import runpy
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture as PlainMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning
from skspectral import onnx as onnx_module
from skspectral.onnx import register, to_onnx
from skspectral.priors import (
    ClassConditionalPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
)

METHODS = ("transform", "inverse_transform", "score_samples")


def run(model, X):
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


def digits():
    return load_digits(return_X_y=True)


def shaped(n_components, **parameters):
    parameters = {"signal_shape": (8, 8), "modulation": None, **parameters}
    return SpectralDictionaryLearning(n_components, **parameters)


def check_method(est, X, method, dtype, opset=18):
    """The graph and the method agree on X, which is exact in float32."""
    given = X if method != "inverse_transform" else est.transform(X)
    given = given.astype(np.float32).astype(dtype)
    expected = getattr(est, method)(given.astype(np.float64))
    (found,) = run(to_onnx(est, method, dtype=dtype, target_opset=opset), given)
    assert found.dtype == dtype
    assert found.shape == expected.shape
    rtol = 1e-5 if dtype == np.float32 else 1e-9
    assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).min())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "est",
    [
        shaped(10),
        shaped(64),
        # These atoms are far from orthonormal: codes are huge and cancel each other.
        shaped(40, modulation="basis", ridge=0, max_iter=3, tol=1.0),
        shaped(10, center=False),
        shaped(6, atoms="plane_wave", windows=2),
        shaped(10, shrinkage="auto"),
        shaped(12, prior=GaussianPrior("low_rank", rank=3)),
        shaped(12, prior=GaussianPrior("diag")),
        shaped(12, prior=GaussianMixture(4)),
        shaped(20, prior=GaussianMixture(3, covariance="low_rank", rank=2)),
        shaped(12, prior=PlainMixture(3, covariance_type="tied", random_state=0)),
        shaped(12, prior=PlainMixture(3, covariance_type="spherical", random_state=0)),
        shaped(12, prior=ClassConditionalPrior()),
    ],
    ids=lambda est: repr(est)[27:].replace("\n", ""),
)
def test_agrees_with_the_estimator(est, method, dtype):
    X, y = digits()
    # The mean is much larger than the variation.
    X = (X + 1000).astype(np.float32).astype(np.float64)
    check_method(est.fit(X, y), X[:50], method, dtype)


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("method", METHODS)
def test_the_operators_are_of_the_stated_version(opset, method):
    X, _ = digits()
    est = shaped(8, prior=GaussianMixture(2)).fit(X)
    model = to_onnx(est, method, target_opset=opset)
    assert max(one.version for one in model.opset_import) <= opset
    check_method(est, X[:20], method, np.float32, opset)


def test_what_was_learned_in_float32():
    X, _ = digits()
    est = shaped(20).fit(X.astype(np.float32))
    assert est.components_.dtype == np.float32
    for method in METHODS:
        check_method(est, X[:20], method, np.float32)


def test_samples_that_are_nowhere_near():
    """The exponentials of these log-densities underflow."""
    X, _ = digits()
    est = shaped(12, prior=GaussianMixture(4)).fit(X)
    far = 1e4 * (1 + X[:20])
    assert est.score_samples(far).max() < -1e6
    check_method(est, far, "score_samples", np.float32)


def test_a_component_without_weight():
    X, _ = digits()
    est = shaped(6, prior=PlainMixture(3, random_state=0)).fit(X)
    est.prior_.weights_ = np.array([0.5, 0.5, 0.0])
    check_method(est, X[:20], "score_samples", np.float64)


def test_names_and_shapes():
    X, _ = digits()
    est = shaped(8).fit(X)
    described = {}
    for method in METHODS:
        graph = to_onnx(est, method).graph
        (given,), (result,) = graph.input, graph.output
        width = given.type.tensor_type.shape.dim[1].dim_value
        described[method] = (given.name, width, result.name)
    assert described == {
        "transform": ("X", 64, "codes"),
        "inverse_transform": ("X", 8, "signals"),
        "score_samples": ("X", 64, "log_density"),
    }
    # The graph accepts any number of rows.
    assert run(to_onnx(est), X[:1].astype(np.float32))[0].shape == (1, 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_a_pipeline(dtype):
    X, y = digits()
    model = make_pipeline(
        StandardScaler(), shaped(16), LogisticRegression(max_iter=5000)
    ).fit(X, y)
    register()
    register()
    given = X.astype(dtype)
    options = {id(model): {"zipmap": False}}
    graph = skl2onnx.to_onnx(model, given[:1], target_opset=18, options=options)
    labels, probabilities = run(graph, given)
    assert probabilities.dtype == dtype
    assert_array_equal(labels, model.predict(X))
    assert_allclose(probabilities, model.predict_proba(X), atol=1e-4)


def test_integers_in_a_pipeline():
    X, _ = digits()
    model = make_pipeline(shaped(16)).fit(X)
    register()
    graph = skl2onnx.to_onnx(model, X[:1].astype(np.int64), target_opset=18)
    (codes,) = run(graph, X.astype(np.int64))
    assert codes.dtype == np.float32
    assert_allclose(codes, model.transform(X), rtol=1e-5, atol=1e-5)


def test_two_steps_of_the_same_class():
    X, _ = digits()
    model = make_pipeline(shaped(32), shaped(4, signal_shape=None)).fit(X)
    register()
    graph = skl2onnx.to_onnx(model, X[:1], target_opset=18)
    assert_allclose(run(graph, X)[0], model.transform(X), rtol=1e-9, atol=1e-9)


def test_codes_by_iterations_are_refused():
    X, _ = digits()
    est = shaped(8, transform_stft_weight=0.5, stft_window=16).fit(X)
    with pytest.raises(ValueError, match=r"transform_stft_weight=0\.5.*Set it to 0"):
        to_onnx(est)
    register()
    with pytest.raises(ValueError, match=r"transform_stft_weight=0\.5"):
        skl2onnx.to_onnx(make_pipeline(est), X[:1], target_opset=18)
    # The other methods do not depend on it.
    check_method(est, X[:5], "score_samples", np.float32)
    codes = est.components_[:, :8].astype(np.float32)
    expected = est.inverse_transform(codes.astype(np.float64))
    (signals,) = run(to_onnx(est, "inverse_transform"), codes)
    assert_allclose(signals, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("prior", [KernelDensity(), LocalContrastPrior(coarse=2)])
def test_a_prior_without_closed_form_has_no_density(prior):
    X, _ = digits()
    est = shaped(8, prior=prior).fit(X)
    with pytest.raises(TypeError, match=r"score_samples.*made of Gaussians"):
        to_onnx(est, "score_samples")
    check_method(est, X[:5], "transform", np.float32)


def test_what_cannot_be():
    X, _ = digits()
    with pytest.raises(NotFittedError):
        to_onnx(shaped(8))
    with pytest.raises(TypeError, match="must be a SpectralDictionaryLearning"):
        to_onnx(PCA(2).fit(X))
    with pytest.raises(TypeError, match=r"skspectral\.onnx\.register"):
        to_onnx(make_pipeline(shaped(8)).fit(X))
    est = shaped(8).fit(X)
    for name, value in (
        ("method", "sample"),
        ("dtype", np.float16),
        ("dtype", None),
        ("dtype", "no type"),
        ("target_opset", 12),
    ):
        with pytest.raises(ValueError, match=name):
            to_onnx(est, **{name: value})


def test_the_package_that_is_missing_is_named_where_it_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    # Run the module again: its import must not require the packages.
    names = runpy.run_path(onnx_module.__file__)
    for function in (names["register"], lambda: names["to_onnx"](shaped(2))):
        with pytest.raises(ImportError, match=r"skspectral\[onnx\]"):
            function()
