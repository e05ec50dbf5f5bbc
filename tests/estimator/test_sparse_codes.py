"""Sparse codes and atoms for them, through the estimator."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skspectral import SpectralDictionaryLearning, SpectralDictionaryLearningCV
from skspectral.onnx import to_onnx
from skspectral.plotting import CodeDisplay
from skspectral.priors import GaussianPrior, SpikeAndSlabPrior

X = load_digits().data[:300]


def learning(n_components=12, **options):
    return SpectralDictionaryLearning(
        n_components, signal_shape=(8, 8), modulation=None, **options
    )


@pytest.fixture(scope="module")
def fitted():
    return learning().fit(X)


@pytest.fixture(scope="module")
def overcomplete():
    return learning(96, atoms="gabor", n_nonzero_coefs=3, max_iter=15, tol=0.01).fit(X)


@pytest.mark.parametrize("algorithm", ["omp", "lasso_lars", "lasso_cd", "threshold"])
def test_codes_are_those_of_scikit_learn(fitted, algorithm):
    fitted.set_params(
        transform_algorithm=algorithm, transform_n_nonzero_coefs=4, transform_alpha=3.0
    )
    codes = fitted.transform(X)
    names = {"lasso_cd": "lasso_lars"}
    expected = sparse_encode(
        X - fitted.mean_,
        fitted.components_,
        algorithm=names.get(algorithm, algorithm),
        n_nonzero_coefs=4 if algorithm == "omp" else None,
        alpha=3.0,
    )
    np.testing.assert_allclose(codes, expected, atol=1e-6)
    assert fitted.computes_sparse_codes
    half = fitted.transform(X.astype(np.float32))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=2e-3)


def test_default_number_of_nonzeros_and_weight(fitted):
    fitted.set_params(
        transform_algorithm="omp", transform_n_nonzero_coefs=None, transform_alpha=None
    )
    assert ((fitted.transform(X) != 0).sum(1) == 6).all()
    fitted.set_params(transform_algorithm="lasso_cd")
    default = fitted.transform(X)
    fitted.set_params(transform_alpha=1.0)
    np.testing.assert_array_equal(fitted.transform(X), default)


def test_signs_in_columns_of_their_own(fitted):
    fitted.set_params(transform_algorithm="lasso_cd", transform_alpha=2.0)
    codes = fitted.transform(X)
    signals = fitted.inverse_transform(codes)
    fitted.set_params(split_sign=True)
    both = fitted.transform(X)
    assert both.shape == (300, 24)
    assert (both >= 0).all()
    np.testing.assert_array_equal(both[:, :12] - both[:, 12:], codes)
    np.testing.assert_allclose(fitted.inverse_transform(both), signals)
    names = fitted.get_feature_names_out()
    assert len(names) == 24
    assert names[0].endswith("0_positive")
    assert names[-1].endswith("11_negative")
    frame = fitted.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == list(names)
    fitted.set_output(transform="default").set_params(split_sign=False)
    with pytest.raises(ValueError, match="expects 12 codes"):
        fitted.inverse_transform(both)


def test_rows_with_missing_entries_get_codes_of_filled_rows(fitted):
    fitted.set_params(transform_algorithm="omp", transform_n_nonzero_coefs=3)
    hidden = X[:5].copy()
    hidden[1, 20:30] = np.nan
    codes = fitted.transform(hidden)
    filled = fitted.impute(hidden)
    np.testing.assert_allclose(codes, fitted.transform(filled))


def test_a_weight_that_makes_all_codes_zero_warns(fitted):
    fitted.set_params(transform_algorithm="lasso_cd", transform_alpha=1e4)
    with pytest.warns(UserWarning, match=r"transform_alpha=10000 makes all codes zero"):
        assert (fitted.transform(X) == 0).all()
    fitted.set_params(transform_alpha=0.01, transform_max_iter=1)
    with pytest.warns(ConvergenceWarning, match="300 rows had not converged"):
        fitted.transform(X)
    fitted.set_params(transform_max_iter=1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "The 'alpha' parameter"),
        ({"alpha": 1e6}, r"alpha=1e\+06 makes all codes zero"),
        ({"alpha": 1.0, "n_nonzero_coefs": 2}, "two ways to learn"),
        ({"n_nonzero_coefs": 13}, "must not be larger than n_components=12"),
        ({"n_nonzero_coefs": 2, "positive_code": True}, "no positive form"),
        ({"alpha": 1.0, "windows": 2}, "combined with windows=2"),
        ({"alpha": 1.0, "solver": "lbfgs"}, "combined with solver='lbfgs'"),
        ({"alpha": 1.0, "stft_weight": 1.0}, "combined with stft_weight=1.0"),
        ({"n_components": 65}, "with n_nonzero_coefs or alpha"),
        ({"n_components": 513, "alpha": 1.0}, "at most 8 times"),
        (
            {"transform_algorithm": "omp", "transform_n_nonzero_coefs": 13},
            "transform_n_nonzero_coefs=13 must not be larger than the number of atoms",
        ),
        ({"transform_algorithm": "omp", "whiten": True}, "whiten=True is for least"),
        ({"transform_algorithm": "omp", "positive_code": True}, "Pass transform_alg"),
        ({"positive_code": True}, "transform_algorithm='auto'"),
        ({"prior": SpikeAndSlabPrior()}, "Pass transform_algorithm='omp'"),
    ],
)
def test_what_does_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        learning(**{"n_components": 12, **options}).fit(X)


def test_codes_that_the_atoms_were_learned_for_are_the_default(overcomplete):
    assert overcomplete.components_.shape == (96, 64)
    assert overcomplete.basis_.shape == (64, 64)
    codes = overcomplete.transform(X)
    assert ((codes != 0).sum(1) == 3).all()
    error = ((X - overcomplete.inverse_transform(codes)) ** 2).sum(1).mean()
    assert error == pytest.approx(overcomplete.history_["squared_error"][-1], rel=0.1)
    assert (np.diff(overcomplete.history_["loss"]) <= 0).all()
    few = learning(3).fit(X)
    three = few.inverse_transform(few.transform(X))
    assert error < 0.8 * ((X - three) ** 2).sum(1).mean()
    assert overcomplete.sample(2).shape == (2, 64)
    assert overcomplete.denoise(X[:3], 2.0).shape == (3, 64)
    assert 0 < overcomplete.explained_variance_ratio_.sum() <= 1
    CodeDisplay.from_estimator(overcomplete, X[:5])
    back = pickle.loads(pickle.dumps(overcomplete))
    np.testing.assert_array_equal(back.transform(X), codes)


def test_partial_fit_adds_sums_over_codes():
    est = learning(70, atoms="gabor", alpha=3.0, tol=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for start in (0, 100, 200):
            est.partial_fit(X[start : start + 100])
            assert est.code_moments_.weight == pytest.approx(start + 100)
        whole = learning(70, atoms="gabor", alpha=3.0, tol=0.05).fit(X)
    found = est.code_moments_.squared_error
    codes = est.transform(X)
    loss = ((X - est.inverse_transform(codes)) ** 2).sum(1) + 6 * np.abs(codes).sum(1)
    assert loss.mean() < 1.1 * whole.history_["loss"][-1]
    # The sums describe the published atoms.
    error = found(est.components_)
    assert error == pytest.approx(est.history_["squared_error"][-1], rel=1e-6)
    with pytest.raises(ValueError, match="differs from the 70 atoms"):
        est.set_params(n_components=71).partial_fit(X)
    dense = learning().fit(X)
    with pytest.raises(ValueError, match="fitted for least-squares codes"):
        dense.set_params(alpha=1.0).partial_fit(X)


def test_rows_are_needed():
    est = learning(alpha=3.0)
    with pytest.raises(ValueError, match="need the rows of X"):
        est.fit_moments(learning().fit(X).moments_)
    with pytest.raises(ValueError, match="need rows in memory"):
        est.fit(lambda: iter([X[:100], X[100:]]))


def test_missing_entries_are_filled_before_sparse_codes_are_learned():
    hidden = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    est = learning(20, n_nonzero_coefs=3, tol=0.05).fit(hidden[:200])
    whole = learning(20, n_nonzero_coefs=3, tol=0.05).fit(X[:200])
    errors = [
        ((X - each.inverse_transform(each.transform(X))) ** 2).mean()
        for each in (est, whole)
    ]
    assert errors[0] < 1.1 * errors[1]
    est.partial_fit(hidden[200:])
    assert est.n_samples_seen_ == 300


def test_draws_of_sparse_codes():
    est = learning(
        n_nonzero_coefs=3, prior=SpikeAndSlabPrior(), random_state=0, tol=0.05
    ).fit(X)
    codes = est.transform(X)
    np.testing.assert_allclose(est.prior_.probabilities_, (codes != 0).mean(0))
    assert est.prior_.probabilities_.sum() == pytest.approx(3)
    drawn = est.prior_.sample_codes(4000, random_state=1)
    np.testing.assert_allclose(
        (drawn != 0).mean(0), est.prior_.probabilities_, atol=0.04
    )
    np.testing.assert_allclose((drawn > 0).mean(0), (codes > 0).mean(0), atol=0.04)
    np.testing.assert_allclose((drawn**2).mean(0), (codes**2).mean(0), rtol=0.4)
    signals = est.inverse_coordinates(est.prior_.sample(4000, random_state=1))
    np.testing.assert_allclose(signals, est.inverse_transform(drawn), atol=1e-6)
    assert est.sample(5).shape == (5, 64)
    # Denoising falls back to least squares, as for every prior without Gaussians.
    assert np.isfinite(est.denoise(X[:5])).all()


def test_search_over_the_number_of_nonzeros():
    search = GridSearchCV(
        learning(tol=0.1, prior=GaussianPrior(shrinkage=0.1)),
        {"n_nonzero_coefs": [2, 3]},
        cv=2,
    ).fit(X)
    assert search.best_estimator_.n_nonzero_coefs in (2, 3)
    cv = SpectralDictionaryLearningCV(
        learning(tol=0.1), {"n_nonzero_coefs": [2, 3]}, cv=2
    )
    with pytest.raises(ValueError, match="In a search, use GridSearchCV"):
        cv.fit(X)


def test_weights_of_the_rows_count():
    weights = np.where(np.arange(300) < 150, 1.0, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = learning(alpha=5.0, tol=0.05).fit(X, sample_weight=weights)
        two = learning(alpha=5.0, tol=0.05).fit(X[:150])
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-6)


def test_displays_and_graphs_of_codes_with_split_signs():
    est = learning(transform_algorithm="lasso_cd", transform_alpha=2.0).fit(X)
    codes = CodeDisplay.from_estimator(est, X[:3]).codes
    est.set_params(split_sign=True)
    np.testing.assert_array_equal(CodeDisplay.from_estimator(est, X[:3]).codes, codes)
    pytest.importorskip("skl2onnx")
    with pytest.raises(ValueError, match="'lasso_cd' has no graph"):
        to_onnx(est, method="transform")
    with pytest.raises(ValueError, match="split_sign=True has no graph"):
        to_onnx(est, method="inverse_transform")
