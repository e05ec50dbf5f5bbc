"""Fits from moments, without the rows."""

import pickle

import numpy as np
import pytest
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.moments import Moments, load_moments, save_moments
from skspectral.priors import GaussianMixture


@pytest.fixture(scope="module")
def X(patches):
    return patches[0][:200]


def estimator(**changes):
    options = {"signal_shape": (8, 8, 3), "random_state": 0}
    return SpectralDictionaryLearning(6, **{**options, **changes})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modulation": None, "shrinkage": "auto"},
        {"center": False, "whiten": True, "windows": (2, 1)},
        {"second_moment": "sketch", "sketch_size": 40},
        {"second_moment": "dense", "atoms": "gabor"},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_result_is_that_of_fit(X, options, dtype):
    fitted = estimator(**options).fit(X.astype(dtype))
    before = pickle.dumps(fitted.moments_)
    again = estimator(**options).fit_moments(fitted.moments_)
    for name in ("components_", "mean_", "explained_variance_", "frequencies_"):
        one, two = getattr(again, name), getattr(fitted, name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert again.n_features_in_ == fitted.n_features_in_
    assert again.n_samples_seen_ == len(X)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(again.sample(3), fitted.sample(3))
    assert pickle.dumps(fitted.moments_) == before


def test_moments_of_two_machines(X, tmp_path):
    for name, rows in (("one", X[:80]), ("two", X[80:])):
        moments = Moments(X.shape[1], torch.device("cpu")).update(rows)
        save_moments(moments, tmp_path / f"{name}.npz")
    moments = load_moments(tmp_path / "one.npz")
    moments.merge(load_moments(tmp_path / "two.npz"))
    merged = estimator(modulation=None).fit_moments(moments)
    whole = estimator(modulation=None).fit(X)
    np.testing.assert_allclose(
        merged.inverse_transform(merged.transform(X)),
        whole.inverse_transform(whole.transform(X)),
        atol=1e-6,
    )


def test_further_rows_do_not_change_the_moments_that_were_passed(X):
    moments = Moments(X.shape[1], torch.device("cpu")).update(X[:100])
    before = pickle.dumps(moments)
    est = estimator().fit_moments(moments)
    est.partial_fit(X[100:])
    assert est.n_samples_seen_ == 200
    assert pickle.dumps(moments) == before
    moments.update(X[100:])
    assert est.moments_.n_samples == 200
    assert not hasattr(estimator(keep_moments=False).fit_moments(moments), "moments_")


def test_names_of_features_are_forgotten(X):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X).add_prefix("pixel ")
    est = estimator().fit(frame)
    est.fit_moments(est.moments_)
    assert not hasattr(est, "feature_names_in_")
    # A failure leaves the estimator as it was.
    est.fit(frame)
    with pytest.raises(ValueError, match="solver='adam'"):
        est.set_params(solver="adam").fit_moments(est.moments_)
    assert list(est.feature_names_in_) == list(frame.columns)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "adam"}, "need the rows of X"),
        ({"stft_weight": 0.1}, "need the rows of X"),
        ({"prior": GaussianMixture(2)}, "fit_moments needs a prior"),
        ({"signal_shape": (9,)}, "signal_shape"),
    ],
)
def test_what_needs_rows_says_so(X, changes, message):
    moments = Moments(X.shape[1], torch.device("cpu")).update(X)
    with pytest.raises(ValueError, match=message):
        estimator(**changes).fit_moments(moments)


def test_shrinkage_needs_the_tails_of_the_moments(X):
    plain = estimator(modulation=None).fit(X)
    with pytest.raises(ValueError, match="gathered without it: by fit"):
        estimator(shrinkage="auto").fit_moments(plain.moments_)


def test_what_is_not_moments_of_rows(X):
    with pytest.raises(TypeError, match="moments of type ndarray"):
        estimator().fit_moments(X)
    empty = Moments(X.shape[1], torch.device("cpu"))
    with pytest.raises(ValueError, match="those of 0 rows"):
        estimator().fit_moments(empty)
    with pytest.raises(ValueError, match="no variance"):
        estimator().fit_moments(empty.update(np.ones((5, X.shape[1]))))
