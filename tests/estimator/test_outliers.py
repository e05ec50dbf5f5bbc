"""The outlier detector: its threshold, its ranks, and scikit-learn's conventions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture as PlainMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral import SpectralDictionaryLearning, SpectralOutlierDetector
from skspectral.gaussian import Gaussian, Mixture
from skspectral.likelihood import log_density, log_density_quantile
from skspectral.outliers import contamination_threshold
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    LocalContrastPrior,
)


@parametrize_with_checks(
    [
        SpectralOutlierDetector(),
        SpectralOutlierDetector(contamination=0.1),
        SpectralOutlierDetector(
            SpectralDictionaryLearning(n_components=1, modulation=None)
        ),
        SpectralOutlierDetector(
            SpectralDictionaryLearning(2, prior=GaussianMixture(3, random_state=0))
        ),
    ]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def plain(n_components, **parameters):
    return SpectralDictionaryLearning(n_components, modulation=None, **parameters)


@pytest.fixture(scope="module")
def correlated():
    rng = np.random.default_rng(0)
    return rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 3


# Oracles


def test_full_rank_ranks_as_the_mahalanobis_distance(correlated):
    detector = SpectralOutlierDetector(plain(6), contamination=0.1).fit(correlated)
    distance = EmpiricalCovariance().fit(correlated).mahalanobis(correlated)
    decision = detector.decision_function(correlated)
    # Of one Gaussian the log-density is a constant less half the distance.
    assert_allclose(decision - decision[0], (distance[0] - distance) / 2, rtol=1e-6)
    threshold = np.sort(distance)[-50]
    assert_array_equal(
        detector.predict(correlated), np.where(distance < threshold, 1, -1)
    )


@pytest.mark.parametrize("n_components", [6, 2])
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_threshold_of_a_gaussian_is_exact(correlated, n_components, rate):
    """Fresh samples of the model itself are called outliers at the stated rate."""
    detector = SpectralOutlierDetector(plain(n_components), false_alarm_rate=rate)
    est = detector.fit(correlated).estimator_
    rng = np.random.default_rng(1)
    clean = est.sample(20000, random_state=0)
    # `sample` includes the noise within the span, none outside.
    outside = rng.normal(size=clean.shape) * est.noise_variance_**0.5
    outside -= outside @ est.basis_.T @ est.basis_
    found = np.mean(detector.predict(clean + outside) == -1)
    assert found == pytest.approx(rate, abs=5 * (rate * (1 - rate) / 20000) ** 0.5)


@pytest.mark.parametrize("rank", [2, 4])
def test_the_threshold_of_a_mixture(rank):
    """Against draws in all dimensions, one after the other."""
    rng = np.random.default_rng(0)
    parts = [
        Gaussian.from_covariance(
            rng.normal(size=rank) * 3, np.diag(rng.uniform(0.1, 4, rank))
        )
        for _ in range(3)
    ]
    mixture, noise = Mixture(np.array([0.5, 0.3, 0.2]), tuple(parts)), 0.5
    quantiles = [
        log_density_quantile(share, 4, mixture, noise) for share in (0.05, 0.5)
    ]
    kind = rng.choice(3, 40000, p=mixture.weights)
    # What varies less than the noise is raised to it.
    spread = np.stack([np.maximum(np.diag(p.covariance), noise) ** 0.5 for p in parts])
    inside = mixture.means[kind] + spread[kind] * rng.normal(size=(40000, rank))
    rest = noise**0.5 * rng.normal(size=(40000, 4 - rank))
    energy = (inside**2).sum(1) + (rest**2).sum(1)
    density = log_density(inside, energy, 4, mixture, noise)
    assert_allclose(
        [(density < q).mean() for q in quantiles], [0.05, 0.5], rtol=0.1, atol=0.01
    )


def test_one_gaussian_in_two_halves_has_the_threshold_of_one():
    """The draws for mixtures against the exact law."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3))
    part = Gaussian.from_covariance(rng.normal(size=3), A @ A.T)
    exact, drawn = (
        log_density_quantile(0.05, 5, Mixture(np.full(n, 1 / n), (part,) * n), 0.1)
        for n in (1, 2)
    )
    assert drawn == pytest.approx(exact, abs=0.1)


def test_the_law_of_scores_is_chi_squared(correlated):
    est = plain(6).fit(correlated)
    scores = est.score_samples(correlated)
    mixture, noise = est.prior_.mixture(), est.noise_variance_
    shares = np.linspace(0.05, 0.95, 19)
    below = [
        np.mean(scores < log_density_quantile(q, 6, mixture, noise)) for q in shares
    ]
    assert_allclose(below, shares, atol=0.05)


# The share of outliers


@pytest.mark.parametrize("share", [0.001, 0.05, 0.1, 0.29, 1 / 3, 0.5])
@pytest.mark.parametrize("n", [20, 300])
def test_the_share_of_outliers_in_the_training_samples(correlated, share, n):
    X = correlated[:n]
    detector = SpectralOutlierDetector(plain(3), contamination=share)
    labels = detector.fit_predict(X)
    assert (labels == -1).sum() == int(n * share + 1e-6)
    # One by one: another order of the sums must not change a label.
    assert_array_equal([detector.predict(row[None])[0] for row in X], labels)


def test_the_share_is_one_of_weight():
    scores = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 0.0])
    weights = np.array([2.0, 1.0, 3.0, 1.0, 1.0, 0.0])
    for share in (0.1, 0.125, 0.3, 0.5):
        weighted = contamination_threshold(scores, share, weights)
        repeated = np.repeat(scores, weights.astype(int))
        assert weighted == contamination_threshold(repeated, share)
        assert (repeated < weighted).mean() <= share
        # The next higher score would leave more below.
        higher = min((s for s in repeated if s > weighted + 0.1), default=np.inf)
        assert (repeated < higher).mean() > share


def test_the_unit_of_the_weights_is_no_matter():
    scores, weights = np.arange(5.0), np.array([2.0, 1, 1, 0, 2]) / 2
    expected = contamination_threshold(scores, 0.4, weights)
    assert contamination_threshold(scores, 0.4, 1e308 * weights) == expected


def test_ties_are_not_outliers():
    assert contamination_threshold(np.zeros(10), 0.5) <= 0
    scores = np.repeat([-1.0, 0.0], [6, 4])
    assert (scores < contamination_threshold(scores, 0.5)).sum() == 0


def test_a_weight_is_a_repetition(correlated):
    weights = np.random.default_rng(0).integers(0, 3, len(correlated))
    one = SpectralOutlierDetector(plain(3), contamination=0.2)
    two = clone(one)
    one.fit(correlated, sample_weight=weights)
    two.fit(np.repeat(correlated, weights, axis=0))
    assert one.offset_ == pytest.approx(two.offset_, rel=1e-6)
    assert one.offset_ != pytest.approx(clone(one).fit(correlated).offset_, rel=1e-6)


# Learning in pieces


def test_partial_fit_finds_the_threshold_of_the_whole(correlated):
    whole = SpectralOutlierDetector(plain(6)).fit(correlated)
    pieces = clone(whole)
    for rows in np.array_split(correlated, 5):
        pieces.partial_fit(rows)
    assert pieces.estimator_.n_samples_seen_ == len(correlated)
    assert pieces.offset_ == pytest.approx(whole.offset_, rel=1e-6)
    assert_array_equal(pieces.predict(correlated), whole.predict(correlated))


def test_partial_fit_with_a_share_takes_that_of_the_last_rows(correlated):
    detector = SpectralOutlierDetector(plain(3), contamination=0.2)
    detector.partial_fit(correlated[:300]).partial_fit(correlated[300:])
    assert np.mean(detector.predict(correlated[300:]) == -1) == 0.2


def test_partial_fit_does_not_change_a_frozen_estimator(correlated):
    est = plain(3).fit(correlated)
    detector = SpectralOutlierDetector(FrozenEstimator(est))
    detector.partial_fit(correlated).partial_fit(10 * correlated)
    assert est.n_samples_seen_ == len(correlated)
    assert_allclose(detector.score_samples(correlated), est.score_samples(correlated))


def test_failure_leaves_the_fitted_detector_as_it_was(correlated):
    detector = SpectralOutlierDetector(plain(3)).fit(correlated)
    expected = detector.decision_function(correlated)
    for method in (detector.fit, detector.partial_fit):
        with pytest.raises(ValueError, match="NaN"):
            method(np.full((10, 6), np.nan))
    assert_array_equal(detector.decision_function(correlated), expected)


# Priors and estimators


@pytest.mark.parametrize(
    "prior",
    [
        KernelDensity(),
        LocalContrastPrior(),
        DiffusionPrior(),
        ClassConditionalPrior(KernelDensity()),
    ],
    ids=lambda prior: type(prior).__name__,
)
@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_a_prior_without_closed_form_is_refused_before_learning(prior, contamination):
    est = SpectralDictionaryLearning(2, prior=prior)
    detector = SpectralOutlierDetector(est, contamination=contamination)
    with pytest.raises(TypeError, match=r"SpectralOutlierDetector needs a prior made"):
        # No X at all: nothing is learned.
        detector.fit(None)


def test_a_prior_in_a_pipeline_is_refused_by_fit(correlated):
    model = make_pipeline(StandardScaler(), plain(3, prior=KernelDensity()))
    with pytest.raises(TypeError, match="made of Gaussians"):
        SpectralOutlierDetector(model, contamination=0.1).fit(correlated)


@pytest.mark.parametrize(
    "prior", [PlainMixture(2, random_state=0), GaussianMixture(2, shrinkage=0.1)]
)
def test_mixtures(correlated, prior):
    X = np.vstack([correlated, 40 - correlated])
    detector = SpectralOutlierDetector(plain(6, prior=prior), false_alarm_rate=0.1)
    detector.fit(X)
    assert np.mean(detector.predict(X) == -1) == pytest.approx(0.1, abs=0.04)
    # Between the two, where one Gaussian would have its peak.
    assert detector.predict(X.mean(axis=0)[None]) == [-1]


def test_labels_are_for_the_prior():
    X, y = load_digits(return_X_y=True)
    detector = SpectralOutlierDetector(plain(8, prior=ClassConditionalPrior()))
    with pytest.raises(ValueError, match="y"):
        detector.fit(X)
    assert set(detector.fit_predict(X, y)) == {-1, 1}
    assert_array_equal(detector.estimator_.prior_.classes_, np.arange(10))


def test_any_estimator_with_a_density_will_do_for_a_share(correlated):
    model = make_pipeline(StandardScaler(), PCA(2))
    detector = SpectralOutlierDetector(model, contamination=0.1)
    assert np.mean(detector.fit_predict(correlated) == -1) == 0.1
    with pytest.raises(TypeError, match="Set contamination to a number"):
        detector.set_params(contamination="auto").fit(correlated)


# Parameters and conventions


@pytest.mark.parametrize("value", [0, 0.6, -0.1, "some", None, np.nan])
@pytest.mark.parametrize("name", ["contamination", "false_alarm_rate"])
def test_what_is_no_share(correlated, name, value):
    with pytest.raises(ValueError, match=name):
        SpectralOutlierDetector(plain(2), **{name: value}).fit(correlated)


def test_a_share_that_is_set_between_the_pieces(correlated):
    detector = SpectralOutlierDetector(plain(2)).partial_fit(correlated)
    detector.set_params(contamination=np.float64(0.25)).partial_fit(correlated)
    assert np.mean(detector.predict(correlated) == -1) == 0.25
    with pytest.raises(ValueError, match="contamination"):
        detector.set_params(contamination=7.0).partial_fit(correlated)


class OfNoLibrary:
    """Has the two methods, and nothing else that scikit-learn knows of."""

    def fit(self, X, y=None):
        self.mean = X.mean(axis=0)
        return self

    def score_samples(self, X):
        return -((X - self.mean) ** 2).sum(axis=1)

    def get_params(self, deep=True):
        return {}


def test_an_estimator_of_no_library(correlated):
    detector = SpectralOutlierDetector(OfNoLibrary(), contamination=0.1)
    assert not get_tags(detector).input_tags.allow_nan
    assert np.mean(detector.fit_predict(correlated) == -1) == 0.1


def test_masked_samples_and_weights_are_refused(correlated):
    masked = np.ma.masked_greater(correlated, 8)
    detector = SpectralOutlierDetector(plain(2), contamination=0.1)
    with pytest.raises(ValueError, match="masked"):
        detector.fit(masked)
    weights = np.ma.masked_less(np.arange(500.0), 3)
    with pytest.raises(ValueError, match="masked"):
        detector.fit(correlated, sample_weight=weights)
    with pytest.raises(ValueError, match="masked"):
        detector.fit(correlated).predict(masked)


def test_tables_keep_their_names(correlated):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(correlated, columns=list("abcdef"))
    detector = SpectralOutlierDetector(plain(2))
    assert not hasattr(detector, "feature_names_in_")
    detector.fit(table)
    assert_array_equal(detector.feature_names_in_, list("abcdef"))
    with pytest.raises(ValueError, match="feature names"):
        detector.predict(table[list("fedcba")])
    assert not hasattr(detector.fit(correlated), "feature_names_in_")


def test_parameters_of_the_model_in_a_grid_search():
    X, y = load_digits(return_X_y=True)
    chosen = (y == 3) | (np.arange(len(y)) % 20 == 0)
    X, normal = X[chosen], np.where(y[chosen] == 3, 1, -1)
    search = GridSearchCV(
        SpectralOutlierDetector(plain(4)),
        {"estimator__n_components": [1, 12]},
        scoring="roc_auc",
        cv=3,
    ).fit(X, normal)
    areas = search.cv_results_["mean_test_score"]
    assert areas.min() > 0.6
    assert areas[0] != areas[1]
    best = search.best_params_["estimator__n_components"]
    assert len(search.best_estimator_.estimator_.components_) == best


def test_weights_are_routed(correlated):
    weights = np.random.default_rng(0).uniform(size=len(correlated))
    detector = SpectralOutlierDetector(plain(3), contamination=0.1)
    expected = clone(detector).fit(
        StandardScaler().fit_transform(correlated), sample_weight=weights
    )
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            detector.set_fit_request(sample_weight=True),
        ).fit(correlated, sample_weight=weights)
    assert model[-1].offset_ == pytest.approx(expected.offset_)


def test_one_digit_among_the_others():
    """Held-out digits: the other nine are found better than by an isolation forest."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=0
    )
    areas = {SpectralOutlierDetector: [], IsolationForest: []}
    for digit in (1, 8):
        for kind, found in areas.items():
            options = {"random_state": 0} if kind is IsolationForest else {}
            decision = kind(**options).fit(X[y == digit]).decision_function(X_test)
            found.append(roc_auc_score(y_test == digit, decision))
    ours, forest = areas.values()
    assert min(ours) > 0.97
    assert np.all(np.array(ours) > forest)
