"""Fits to random rows of any type, range, layout, mask and size."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skspectral import SpectralDictionaryLearning

# Set the variable to run more examples.
EXAMPLES = int(os.environ.get("SKSPECTRAL_EXAMPLES", "100"))
DTYPES = ["float64", "float32", "float16", "uint8", "int8", "int64", "uint16", "bool"]
LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "strided": lambda X: np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3],
    "swapped bytes": lambda X: X.astype(X.dtype.newbyteorder()),
    "list": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "table": pd.DataFrame,
    "masked": lambda X: np.ma.masked_array(X, np.zeros(X.shape, bool)),
    "read-only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
    "tensor": lambda X: torch.from_numpy(X.copy()),
}


@st.composite
def rows(draw):
    """Rows of a type, and the power of ten by which floats are scaled."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.integers(2, 30)), draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype == "bool":
        return rng.random(shape) < 0.5, 0
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype), 0
    limit = {"float64": 100, "float32": 12, "float16": 2}[dtype]
    power = draw(st.integers(-limit, limit))
    return (rng.normal(1, 1, shape) * 10.0**power).astype(dtype), power


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(rows(), st.sampled_from(sorted(LAYOUTS)), st.booleans())
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_layout_and_type_change_no_result(drawn, layout, plain):
    X, _ = drawn
    if (X[:1] == X).all():
        return
    laid = LAYOUTS[layout](X)
    if layout == "tensor" and X.dtype.name in ("uint16", "float16"):
        return
    before = laid.copy() if isinstance(laid, np.ndarray) else None
    exact = SpectralDictionaryLearning(
        min(3, X.shape[1]), modulation=None if plain else "auto"
    )
    expected = exact.fit(np.array(X, dtype="float64"))
    est = SpectralDictionaryLearning(**exact.get_params()).fit(laid)
    assert type(est.components_) is np.ndarray
    single = X.dtype.name in ("float32", "uint8") and layout not in ("list", "objects")
    assert est.transform(laid).dtype == (np.float32 if single else np.float64)
    # In single precision the atoms may differ, but they explain as much.
    ours, theirs = (e.explained_variance_ratio_.sum() for e in (est, expected))
    assert ours <= 1
    assert ours == pytest.approx(theirs, abs=0.02 if single else 1e-6)
    np.testing.assert_allclose(
        est.mean_, expected.mean_, rtol=1e-5, atol=1e-5 * np.abs(expected.mean_).max()
    )
    if before is not None:
        np.testing.assert_array_equal(laid, before)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["masked", "NaN", "objects", "table of objects", "nullable"]),
    st.sampled_from(["float64", "float32", "uint8", "int64"]),
    st.floats(0, 1),
)
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_gaps_are_filled_alike_however_they_are_marked(seed, kind, dtype, share):
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 200, (12, 10)).astype(dtype)
    gone = rng.random(X.shape) < share
    with_nan = np.where(gone, np.nan, X)
    marked = {
        "masked": np.ma.masked_array(np.where(gone, 0, X).astype(dtype), gone),
        "NaN": with_nan,
        "objects": np.where(gone, pd.NA, X.astype(object)),
        "table of objects": pd.DataFrame(X.astype(object)).mask(gone, pd.NA),
        "nullable": pd.DataFrame(with_nan).convert_dtypes(),
    }[kind]
    est = SpectralDictionaryLearning(3, modulation=None).fit(X.astype("float64"))
    filled = est.impute(marked)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~gone], X[~gone])
    np.testing.assert_allclose(filled, est.impute(with_nan), rtol=1e-4)
    codes = est.transform(marked)
    np.testing.assert_allclose(codes, est.transform(filled), rtol=1e-3, atol=1e-2)
    if gone.any():
        with pytest.raises(ValueError, match=r"masked|NA|NaN"):
            est.denoise(marked)


def data(rng, n, T):
    """Rows of one of several kinds: noise, walks, one direction, bits, tones."""
    X = rng.normal(size=(n, T))
    tones = np.sin(
        2 * np.pi * rng.integers(1, 4) * np.arange(T) / T + rng.uniform(0, 6, (n, 1))
    )
    kinds = [X, X.cumsum(1), X[:1] * rng.normal(size=(n, 1)), (X > 0) * 1.0, tones]
    return kinds[rng.integers(len(kinds))] * 10.0 ** rng.integers(-6, 7)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32))
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_every_small_fit_is_a_model(seed):
    rng = np.random.default_rng(seed)
    n, T = int(rng.integers(2, 30)), int(rng.integers(2, 20))
    X = data(rng, n, T)
    if np.ptp(X, axis=0).max() <= 1e-12 * np.abs(X).max():
        return
    options = {
        "n_components": T if rng.random() < 0.5 else int(rng.integers(1, T + 1)),
        "init": ("greedy", "spectrum", "random")[rng.integers(3)],
        "modulation": ("auto", None)[rng.integers(2)],
        "shrinkage": (None, "auto", 0.3)[rng.integers(3)],
        "center": bool(rng.random() < 0.8),
    }
    if T % 2 == 0 and rng.random() < 0.5:
        options["signal_shape"] = (2, T // 2)
        options["atoms"] = ("sinusoid", "plane_wave")[rng.integers(2)]
    est = SpectralDictionaryLearning(random_state=0, **options).fit(X)
    shares = est.explained_variance_ratio_
    assert shares.min() >= 0
    assert shares.sum() <= 1
    np.testing.assert_allclose(np.linalg.norm(est.components_, axis=1), 1)
    for found in (est.transform(X), est.score_samples(X), est.sample(2)):
        assert np.isfinite(found).all()
