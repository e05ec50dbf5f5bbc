"""Learning from rows with missing entries, and results for such rows."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning, SpectralImputer
from skspectral.priors import ClassConditionalPrior, GaussianMixture

FREQUENCIES = (1.3, 2.7, 5.2)
TIME = np.arange(40) / 40


def tones(n=200, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    waves = np.stack([np.sin(2 * np.pi * f * TIME + f) for f in FREQUENCIES])
    return (
        rng.normal(size=(n, 3)) * [3, 2, 1] @ waves
        + noise * rng.normal(size=(n, 40))
        + np.linspace(0, 2, 40)
    )


def with_gaps(X, share=0.4, seed=1):
    gone = np.random.default_rng(seed).random(X.shape) < share
    return np.where(gone, np.nan, X), gone


def model(n_components=3, **options):
    return SpectralDictionaryLearning(
        n_components, modulation=None, random_state=0, **options
    )


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6])
def test_the_atoms_are_those_of_complete_rows(share):
    complete = tones()
    X, gone = with_gaps(complete, share)
    before = X.copy()
    est, reference = model().fit(X), model().fit(complete)
    np.testing.assert_array_equal(X, before)
    assert sorted(est.frequencies_) == pytest.approx(FREQUENCIES, abs=0.05)
    assert est.noise_variance_ == pytest.approx(0.04, rel=0.2)
    error, least = (np.std((e.impute(X) - complete)[gone]) for e in (est, reference))
    assert error < 1.05 * least
    assert est.score(complete) > reference.score(complete) - 1


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("shrinkage", [None, 0.3])
@pytest.mark.parametrize("center", [True, False])
def test_the_likelihood_never_falls(share, shrinkage, center):
    X, _ = with_gaps(tones(60), share)
    est = model(4, shrinkage=shrinkage, center=center).fit(X)
    path = est.observed_log_likelihoods_
    assert (np.diff(path) > 0).all()
    if shrinkage is None:
        assert est.score(X) == pytest.approx(path[-1], abs=0.01)


def test_it_is_better_than_to_fill_the_mean_first():
    complete = tones(100)
    X, gone = with_gaps(complete, 0.5)
    filled = SimpleImputer().fit_transform(X)
    ours, theirs = model().fit(X), model().fit(filled)
    assert ours.score(complete) > theirs.score(complete) + 10
    errors = [np.std((e.impute(X) - complete)[gone]) for e in (ours, theirs)]
    assert errors[0] < 0.5 * errors[1]


def test_nothing_missing_is_the_ordinary_fit():
    X = tones()
    est = model().fit(X)
    assert not hasattr(est, "observed_log_likelihoods_")
    masked = model().fit(np.ma.masked_array(X, np.zeros(X.shape, bool)))
    np.testing.assert_array_equal(est.components_, masked.components_)
    gaps, _ = with_gaps(X)
    assert hasattr(est.fit(gaps), "observed_log_likelihoods_")
    again = est.fit(X)
    assert not hasattr(again, "observed_log_likelihoods_")
    np.testing.assert_array_equal(again.components_, masked.components_)


def test_almost_nothing_missing_is_almost_the_ordinary_fit():
    X = tones()
    one = X.copy()
    one[3, 4] = np.nan
    plain, gap = model(tol=1e-6).fit(X), model(tol=1e-6).fit(one)
    assert np.abs(np.sum(plain.components_ * gap.components_, 1)).min() > 0.9999


def test_blocks_that_are_missing():
    """Half of the rows miss the first half, as sensors that fail do."""
    complete = tones(200)
    X = complete.copy()
    X[::2, :20], X[1::4, 25:35] = np.nan, np.nan
    est = model().fit(X)
    assert sorted(est.frequencies_) == pytest.approx(FREQUENCIES, abs=0.05)
    errors = (est.impute(X) - complete)[np.isnan(X)]
    assert np.std(errors) < 0.4


def test_columns_and_rows_that_were_never_observed():
    """The mean is interpolated, and atoms are functions of time: there is no NaN."""
    complete = tones()
    X, _ = with_gaps(complete, 0.2)
    X[:, 13], X[5] = np.nan, np.nan
    est = model().fit(X)
    assert est.n_samples_seen_ == len(X)
    for name, value in vars(est).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert np.isfinite(value).all(), name
    filled, std = est.impute(X, return_std=True)
    assert np.std((filled - complete)[:, 13]) < 0.4
    expected = est.mean_ + est.prior_.mixture().mean @ est.basis_
    np.testing.assert_allclose(filled[5], expected)
    assert std[5].min() > std[4][np.isnan(X[4])].min()
    assert est.score_samples(X)[5] == 0
    assert np.isfinite(est.transform(X)).all()


@pytest.mark.parametrize(
    "prior", [None, GaussianMixture(2, random_state=0), ClassConditionalPrior()]
)
def test_results_of_rows_with_gaps(prior):
    complete = tones()
    X, _ = with_gaps(complete)
    y = np.arange(len(X)) % 2
    est = model(prior=prior).fit(X, y)
    filled = est.impute(X)
    np.testing.assert_allclose(est.transform(X), est.transform(filled))
    np.testing.assert_allclose(est.coordinates(X), est.coordinates(filled))
    assert np.isfinite(est.score_samples(X)).all()
    p = est.predict_component_proba(X)
    np.testing.assert_allclose(p.sum(1), 1)
    mixed = np.concatenate([X[:3], complete[:3]])
    np.testing.assert_allclose(
        est.score_samples(mixed),
        np.concatenate([est.score_samples(X[:3]), est.score_samples(complete[:3])]),
    )
    assert est.aic(X) < est.bic(X)


def test_the_score_is_the_density_of_the_observed_entries():
    X, gone = with_gaps(tones())
    est = model().fit(X)
    mean = est.mean_ + est.prior_.mixture().mean @ est.basis_
    covariance = est.get_covariance()
    for row, missing, score in zip(X[:9], gone, est.score_samples(X[:9]), strict=False):
        o = ~missing
        density = multivariate_normal(mean[o], covariance[np.ix_(o, o)])
        assert score == pytest.approx(density.logpdf(row[o]))


def test_probabilities_of_observed_entries():
    """The components differ in the first half only, which some rows miss."""
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=400)
    X = rng.normal(size=(400, 8)) * 0.3
    X[:, :4] += np.where(side, 3, -3)[:, None]
    est = model(8, prior=GaussianMixture(2, random_state=0)).fit(X)
    rows = X[:20].copy()
    rows[:10, :4] = np.nan
    p = est.predict_component_proba(rows)
    assert p[10:].max(1).min() > 0.99
    assert p[:10].max() < 0.9


def test_priors_see_draws_of_the_missing_entries():
    """The posterior mean would make the spread of the prior too small."""
    complete = tones(400)
    X, _ = with_gaps(complete, 0.6)
    est = model(prior=GaussianMixture(1, random_state=0)).fit(X)
    reference = model().fit(complete)
    ours, theirs = (np.trace(e.get_covariance()) for e in (est, reference))
    assert ours == pytest.approx(theirs, rel=0.15)


def test_weights_are_repetitions():
    X, _ = with_gaps(tones(40))
    weights = np.arange(40) % 3
    est = model().fit(X, sample_weight=weights)
    again = model().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(est.components_, again.components_, atol=1e-6)
    assert est.noise_variance_ == pytest.approx(again.noise_variance_, rel=1e-4)


def test_partial_fit_adds_expected_moments():
    complete = tones(300)
    X, _ = with_gaps(complete)
    est = model().partial_fit(X[:100])
    for start in (100, 200):
        est.partial_fit(X[start : start + 100])
    assert est.n_samples_seen_ == 300
    assert sorted(est.frequencies_) == pytest.approx(FREQUENCIES, abs=0.05)
    whole = model().fit(X)
    assert est.score(complete) > whole.score(complete) - 1
    # Complete rows after rows with gaps, and the other way round.
    mixed = model().partial_fit(X[:100]).partial_fit(complete[100:])
    other = model().partial_fit(complete[:100]).partial_fit(X[100:])
    for each in (mixed, other):
        assert sorted(each.frequencies_) == pytest.approx(FREQUENCIES, abs=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    X, _ = with_gaps(tones().astype(dtype))
    X = X.astype(dtype)
    est = model().fit(X)
    assert est.components_.dtype == est.transform(X).dtype == dtype
    assert est.impute(X).dtype == dtype
    again = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(again.transform(X), est.transform(X))


def test_tensors_are_filled():
    X, _ = with_gaps(tones())
    est = model().fit(torch.from_numpy(X))
    np.testing.assert_allclose(est.components_, model().fit(X).components_)


@pytest.mark.parametrize("shape", [(8, 5), (2, 20)])
def test_images_and_channels(shape):
    X, _ = with_gaps(tones())
    axis = 0 if shape == (2, 20) else "auto"
    est = model(6, signal_shape=shape, channel_axis=axis)
    est.fit(X.reshape(-1, *shape))
    assert np.isfinite(est.impute(X)).all()


def test_shrinkage_helps_few_rows_with_gaps():
    rng = np.random.default_rng(0)
    truth = 0.9 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    complete = rng.multivariate_normal(np.zeros(30), truth, size=400)
    X, _ = with_gaps(complete[:25], 0.3)
    plain, shrunk, auto = (
        model(12, shrinkage=weight).fit(X).score(complete)
        for weight in (None, 0.5, "auto")
    )
    assert min(shrunk, auto) > plain


def test_what_is_refused():
    X, _ = with_gaps(tones())
    with pytest.raises(ValueError, match="no observed entry"):
        model().fit(np.full((5, 8), np.nan))
    with pytest.raises(ValueError, match="infinity"):
        model().fit(np.where(np.isnan(X), np.inf, X))
    both = X.copy()
    both[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model().fit(both)
    for options in ({"solver": "adam"}, {"stft_weight": 1.0, "stft_window": 8}):
        with pytest.raises(ValueError, match="need complete rows"):
            model(**options).fit(X)
    est = model().fit(X)
    for method in (est.denoise, est.mahalanobis):
        with pytest.raises(ValueError, match="NaN"):
            method(X)


def test_grid_search_and_pipelines():
    X, _ = with_gaps(tones())
    search = GridSearchCV(model(), {"n_components": [1, 3, 8]}, cv=3).fit(X)
    assert search.best_params_["n_components"] == 3
    pipeline = make_pipeline(StandardScaler(), model())
    assert np.isfinite(pipeline.fit_transform(X)).all()


class TestImputer:
    def test_it_fills_as_the_model_does(self):
        X, gone = with_gaps(tones())
        imputer = SpectralImputer(model())
        filled = imputer.fit_transform(X)
        np.testing.assert_array_equal(filled, model().fit(X).impute(X))
        np.testing.assert_array_equal(filled[~gone], X[~gone])
        assert not hasattr(imputer.estimator, "components_")

    def test_indicator_is_that_of_scikit_learn(self):
        X, _ = with_gaps(tones())
        X[:, :5] = tones()[:, :5]
        imputer = SpectralImputer(model(), add_indicator=True).fit(X)
        found = imputer.transform(X)
        marks = MissingIndicator().fit_transform(X)
        np.testing.assert_array_equal(found[:, 40:], marks)
        names = imputer.get_feature_names_out()
        assert len(names) == found.shape[1] == 75
        assert names[40] == "missingindicator_x5"
        # Features that miss entries only later have no column.
        later = X.copy()
        later[:, 0] = np.nan
        assert imputer.transform(later).shape == found.shape

    def test_draws_have_the_posterior_spread(self):
        X, gone = with_gaps(tones(50), 0.5)
        imputer = SpectralImputer(model(), sample_posterior=True).fit(X)
        draws = np.stack([imputer.transform(X) for _ in range(200)])
        mean, std = imputer.estimator_.impute(X, return_std=True)
        z = (draws.mean(0) - mean)[gone] / std[gone] * np.sqrt(200)
        assert abs(z.std() - 1) < 0.15
        np.testing.assert_allclose(draws.std(0)[gone], std[gone], rtol=0.4)
        np.testing.assert_array_equal(draws[0][~gone], X[~gone])

    def test_a_seed_repeats_the_draws(self):
        X, _ = with_gaps(tones(50))
        imputer = SpectralImputer(model(), sample_posterior=True, random_state=3)
        imputer.fit(X)
        np.testing.assert_array_equal(imputer.transform(X), imputer.transform(X))

    def test_signals_keep_their_axes(self):
        X, _ = with_gaps(tones())
        X = X.reshape(-1, 2, 20)
        est = model(signal_shape=(2, 20), channel_axis=0)
        assert SpectralImputer(est).fit_transform(X).shape == X.shape
