import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.atoms.windows import smooth_windows
from skspectral.grid import Grid

LENGTH = 256
T = np.arange(LENGTH) / LENGTH


def switching(n, seed=0):
    """Tones of 20, then 40 cycles per signal, and the amplitudes of both."""
    rng = np.random.default_rng(seed)
    a, b, p, q = rng.normal(size=(4, n, 1)) * np.array([1, 1, 9, 9])[:, None, None]
    first = np.abs(a) * np.sin(2 * np.pi * 20 * T + p) * (T < 0.5)
    last = np.abs(b) * np.sin(2 * np.pi * 40 * T + q) * (T >= 0.5)
    noise = 0.05 * rng.normal(size=(n, LENGTH))
    return first + last + noise, np.abs(a)[:, 0], np.abs(b)[:, 0]


@pytest.fixture(scope="module")
def X():
    return switching(300)[0]


def of(X, **parameters):
    est = SpectralDictionaryLearning(
        4, modulation=None, random_state=0, sampling_rate=LENGTH
    )
    return est.set_params(**parameters).fit(X)


@pytest.mark.parametrize(
    ("shape", "counts"),
    [((50,), (5,)), ((50,), (1,)), ((7, 9), (3, 2)), ((6, 5, 3), (2, 5)), ((4,), (4,))],
)
def test_windows_sum_to_one_and_are_centred(shape, counts):
    windows, centers = smooth_windows(Grid.of(shape, math.prod(shape)), counts)
    assert windows.shape == (np.prod(counts), np.prod(shape))
    assert_allclose(windows.sum(0), 1)
    assert windows.min() >= 0
    places = np.indices(shape).reshape(len(shape), -1)[: len(counts)]
    for window, center in zip(windows, centers, strict=True):
        weights = window / window.sum()
        for place, side, middle in zip(places, shape, center, strict=False):
            mean = (weights * place).sum() / (side - 1)
            # Windows at the ends are cut in half.
            edge = middle in (0, 1)
            assert abs(mean - middle) < (0.5 if edge else 0.02)


def test_the_span_of_the_whole_atoms_is_kept(X):
    whole, windowed = of(X), of(X, windows=5)
    assert windowed.components_.shape == (20, LENGTH)
    assert_allclose(np.linalg.norm(windowed.components_, axis=1), 1)
    share = whole.components_ @ windowed.basis_.T
    assert_allclose((share**2).sum(1), 1, atol=1e-9)
    assert_allclose(windowed.frequencies_, np.repeat(whole.frequencies_, 5))
    assert windowed.explained_variance_ratio_.sum() > 0.1 + (
        whole.explained_variance_ratio_.sum()
    )


@pytest.mark.parametrize("windows", [3, 70])
def test_variances_are_those_of_projections(X, windows):
    est = of(X, windows=windows)
    centred = X - X.mean(0)
    total = (centred**2).sum()
    n = windows + 1
    for k in (1, n, 2 * n, len(est.components_)):
        basis = np.linalg.svd(est.components_[:k], full_matrices=False)
        axes = basis.Vh[basis.S**2 > 1e-6]
        expected = ((centred @ axes.T) ** 2).sum() / total
        assert est.explained_variance_ratio_[:k].sum() == pytest.approx(
            expected, abs=2e-3
        )
    shown = est.inverse_transform(est.transform(X))
    error = ((X - shown) ** 2).sum() / total
    assert 1 - est.explained_variance_ratio_.sum() == pytest.approx(error, abs=2e-3)


def test_codes_say_where_a_frequency_acts():
    X, first, last = switching(300)
    est = of(X, windows=8)
    codes, centers = est.transform(X), est.window_centers_[:, 0]
    halves = centers < 0.4, centers > 0.6
    for hertz, amplitude, (there, elsewhere) in (
        (20, first, halves),
        (40, last, halves[::-1]),
    ):
        own = np.abs(est.frequencies_ - hertz) < 1
        strength, other = (
            np.linalg.norm(codes[:, own & part] @ est.components_[own & part], axis=1)
            for part in (there, elsewhere)
        )
        assert np.corrcoef(strength, amplitude)[0, 1] > 0.98
        assert strength.mean() > 5 * other.mean()


def test_names_say_where():
    images, _ = load_digits(return_X_y=True)
    est = of(images, signal_shape=(8, 8), windows=(1, 3), sampling_rate=None)
    names = est.get_feature_names_out()
    prefix = "spectraldictionarylearning"
    assert list(names[:4]) == [
        f"{prefix}0_at_0.5_0",
        f"{prefix}0_at_0.5_0.5",
        f"{prefix}0_at_0.5_1",
        f"{prefix}1_at_0.5_0",
    ]
    assert len(set(names)) == est.transform(images).shape[1]


@pytest.mark.parametrize("windows", [4, 40])
def test_prior_and_inference_work_as_ever(X, windows):
    """They also work if windowed atoms are linearly dependent."""
    est = of(X, windows=windows, n_components=8)
    rank = len(est.basis_)
    assert rank <= LENGTH
    assert_allclose(est.basis_ @ est.basis_.T, np.eye(rank), atol=1e-9)
    law = est.prior_
    values, vectors = np.linalg.eigh(law.covariance_)
    # The distribution inside the span includes noise.
    vectors *= np.sqrt(np.maximum(values, est.noise_variance_))
    covariance = est.basis_.T @ vectors @ vectors.T @ est.basis_
    outside = np.eye(LENGTH) - est.basis_.T @ est.basis_
    # Dense: mean + codes + noise.
    dense = multivariate_normal(
        est.mean_ + law.mean_ @ est.basis_,
        covariance + est.noise_variance_ * outside,
    )
    assert_allclose(est.score_samples(X[:20]), dense.logpdf(X[:20]), rtol=1e-5)
    gaps = X[:20].copy()
    gaps[:, 100:120] = np.nan
    error = est.impute(gaps)[:, 100:120] - X[:20, 100:120]
    assert np.mean(error**2) < 0.5 * np.mean((X[:20] - X.mean(0))[:, 100:120] ** 2)
    drawn = est.sample(400, random_state=0)
    assert_allclose((drawn - est.mean_) @ outside, 0, atol=1e-8)
    again = pickle.loads(pickle.dumps(est))
    assert_allclose(again.transform(X), est.transform(X))


def test_partial_fit_and_warm_start_go_on(X):
    est = of(X, windows=4)
    again = clone(est).partial_fit(X).partial_fit(X)
    assert again.components_.shape == est.components_.shape
    found, expected = (e.explained_variance_ratio_.sum() for e in (again, est))
    assert found == pytest.approx(expected, abs=0.01)
    est.set_params(windows=None).fit(X)
    assert not hasattr(est, "window_centers_")
    assert est.components_.shape == (4, LENGTH)


@pytest.mark.parametrize(
    "windows", [0, True, (2, 2), 300, (1.5,), (), np.array([2, 2])]
)
def test_errors_name_windows(X, windows):
    with pytest.raises(ValueError, match="windows"):
        of(X, windows=windows)


def test_too_many_atoms_are_refused(X):
    with pytest.raises(ValueError, match=r"windows=200 makes 1600 atoms"):
        of(X, n_components=8, windows=200)
    of(X, windows=np.array(3))


def test_names_of_many_windows_differ():
    rng = np.random.default_rng(0)
    est = of(rng.normal(size=(20, 1500)), n_components=1, windows=1200, tol=0.5)
    assert len(set(est.get_feature_names_out())) == 1200
