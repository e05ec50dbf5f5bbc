import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.mixture import GaussianMixture as ScikitLearns
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    ScaledPrior,
)
from skspectral.priors.protocol import as_prior

LABELS = np.array(["dog", "cat", "emu"])


@pytest.fixture(scope="module")
def codes():
    """Codes of three labels, far apart, with fractions 1/2, 1/3 and 1/6."""
    rng = np.random.default_rng(0)
    y = np.repeat(LABELS, [300, 200, 100])
    centres = {"dog": 0.0, "cat": 50.0, "emu": -50.0}
    X = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 3))
    X += np.array([centres[label] for label in y])[:, None]
    order = rng.permutation(600)
    return X[order], y[order]


def nearest(drawn):
    return LABELS[np.abs(drawn.mean(1)[:, None] - [0.0, 50.0, -50.0]).argmin(1)]


@pytest.mark.parametrize(
    "prior",
    [None, GaussianMixture(2), ScikitLearns(2, random_state=0), KernelDensity()],
)
class TestPriors:
    def test_draws_of_one_label(self, codes, prior):
        fitted = ClassConditionalPrior(prior).fit(*codes)
        for label in LABELS:
            drawn = fitted.sample(50, y=label, random_state=0)
            assert drawn.shape == (50, 3)
            assert (nearest(drawn) == label).all()

    def test_draws_of_given_labels(self, codes, prior):
        labels = np.random.default_rng(1).choice(LABELS, 30)
        drawn = ClassConditionalPrior(prior).fit(*codes).sample(30, y=labels)
        np.testing.assert_array_equal(nearest(drawn), labels)

    def test_without_labels_shares_are_those_of_fit(self, codes, prior):
        fitted = ClassConditionalPrior(prior).fit(*codes)
        np.testing.assert_allclose(fitted.class_prior_, [1 / 3, 1 / 2, 1 / 6])
        found = nearest(fitted.sample(6000, random_state=0))
        shares = [np.mean(found == label) for label in fitted.classes_]
        np.testing.assert_allclose(shares, fitted.class_prior_, atol=0.03)
        assert set(found[:30]) == set(LABELS)

    def test_density_is_the_sum_over_labels(self, codes, prior):
        X, y = codes
        fitted = ClassConditionalPrior(prior).fit(X, y)
        parts = [
            np.log(np.mean(y == label)) + of_label.score_samples(X[:20])
            for label, of_label in zip(fitted.classes_, fitted.priors_, strict=True)
        ]
        expected = logsumexp(parts, axis=0)
        np.testing.assert_allclose(fitted.score_samples(X[:20]), expected)


def test_each_label_alone(codes):
    X, y = codes
    one = ClassConditionalPrior().fit(X, y).priors_[0]
    alone = GaussianPrior().fit(X[y == "cat"])
    np.testing.assert_allclose(one.covariance_, alone.covariance_)
    np.testing.assert_allclose(one.mean_, alone.mean_)


def test_components(codes):
    X = codes[0][:10]
    fitted = ClassConditionalPrior(GaussianMixture(2)).fit(*codes)
    mixture = fitted.mixture()
    assert len(mixture) == 6
    assert sum(weight for weight, _ in mixture) == pytest.approx(1)
    density = sum(
        weight * multivariate_normal(part.mean, part.covariance).pdf(X)
        for weight, part in mixture
    )
    np.testing.assert_allclose(np.log(density), fitted.score_samples(X))
    assert fitted.capabilities.gaussians
    of_kernels = ClassConditionalPrior(KernelDensity()).fit(*codes)
    assert not of_kernels.capabilities.gaussians


def test_labels_agree_where_nothing_varies(codes):
    """Directions without variance change all densities by the same factor."""
    X, y = codes
    scales = np.where(y == "cat", 0.03, 30)[:, None]
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0].T
    inside, wider = (
        ClassConditionalPrior().fit(Z, y).score_samples(Z)
        for Z in (scales * X, scales * X @ axes)
    )
    np.testing.assert_allclose(wider - inside, (wider - inside)[0], rtol=1e-6)


def test_information_criteria(codes):
    fitted = ClassConditionalPrior().fit(*codes)
    assert fitted.n_parameters_ == 3 * 9 + 2
    penalty = 29 * np.log(600)
    likelihood = fitted.score_samples(codes[0]).sum()
    assert fitted.bic(codes[0]) == pytest.approx(penalty - 2 * likelihood)
    # A refit with another prior removes earlier results.
    fitted.set_params(prior=KernelDensity()).fit(*codes)
    with pytest.raises(TypeError, match=r"KernelDensity.*number of free parameters"):
        fitted.bic(codes[0])


def test_weights_equal_repetition(codes):
    X, y = codes
    weights = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = ClassConditionalPrior().fit(X, y, sample_weight=weights)
    repeated = ClassConditionalPrior().fit(
        np.repeat(X, weights, axis=0), np.repeat(y, weights)
    )
    np.testing.assert_allclose(weighted.class_prior_, repeated.class_prior_)
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X))


def test_labels_without_weight_are_none(codes):
    X, y = codes
    fitted = ClassConditionalPrior().fit(X, y, sample_weight=(y != "emu") * 1.0)
    np.testing.assert_array_equal(fitted.classes_, ["cat", "dog"])


def test_bad_labels(codes):
    X, y = codes
    fitted = ClassConditionalPrior().fit(X, y)
    with pytest.raises(
        ValueError, match=r"y=cow is not a label of fit: \['cat', 'dog', 'emu'\]"
    ):
        fitted.sample(3, y="cow")
    with pytest.raises(ValueError, match="one for each of the n_samples=3"):
        fitted.sample(3, y=["cat", "dog"])
    with pytest.raises(ValueError, match="needs a label for each sample"):
        ClassConditionalPrior().fit(X, None)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        ClassConditionalPrior().fit(X, np.linspace(0, 1, len(X)))


def test_labels_by_bayes_rule_are_those_of_discriminant_analysis(codes):
    X, y = codes
    fitted = ClassConditionalPrior().fit(X / 30, y)
    oracle = QuadraticDiscriminantAnalysis(tol=1e-12).fit(X / 30, y)
    near = np.random.default_rng(0).normal(size=(50, 3))
    # scikit-learn's covariances are divided by n - 1.
    np.testing.assert_allclose(
        fitted.predict_proba(near), oracle.predict_proba(near), atol=0.02
    )
    np.testing.assert_array_equal(fitted.predict(X / 30), y)


def test_labels_of_kernels(codes):
    X, y = codes
    fitted = ClassConditionalPrior(KernelDensity(kernel="tophat")).fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), y)
    # Far from all kernels, probabilities are the fractions of the labels.
    np.testing.assert_allclose(
        fitted.predict_proba(np.full((1, 3), 1e4))[0], fitted.class_prior_
    )


def test_labels_outside_the_span_do_not_depend_on_rounding():
    rng = np.random.default_rng(0)
    axes, y = np.linalg.qr(rng.normal(size=(9, 9)))[0], np.arange(60) % 2
    X = (rng.normal(size=(60, 4)) + y[:, None]) @ axes[:4]
    away = rng.normal(size=(20, 5)) @ axes[4:]
    for prior in (GaussianPrior(), GaussianMixture(2)):
        fitted = ClassConditionalPrior(prior).fit(X, y)
        np.testing.assert_allclose(
            fitted.predict_proba(X[:20] + 100 * away),
            fitted.predict_proba(X[:20]),
            atol=1e-6,
        )


class TestRareLabels:
    """Labels of few rows borrow the covariance within labels."""

    def rare(self, codes, n_rare):
        """Return the first codes, of which some get a new label."""
        X, y = codes
        return X[:100], np.where(np.arange(100) < n_rare, "yak", y[:100])

    def within(self, X, y, weights):
        total = np.zeros((X.shape[1], X.shape[1]))
        for label in set(y):
            rows = y == label
            total += weights[rows].sum() * np.cov(
                X[rows].T, bias=True, aweights=weights[rows]
            )
        return total / weights.sum()

    @pytest.mark.parametrize("n_rare", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize(
        "prior", [None, ScaledPrior(GaussianPrior()), GaussianPrior(shrinkage=0.0)]
    )
    def test_covariance(self, codes, n_rare, prior):
        X, y = self.rare(codes, n_rare)
        fitted = ClassConditionalPrior(prior).fit(X, y)
        assert fitted.classes_[-1] == "yak"
        normal = fitted.priors_[-1].mixture().components[0]
        own = X[:n_rare]
        np.testing.assert_allclose(normal.mean, own.mean(0))
        share = max(0, 1 - n_rare / 4)
        C = np.cov(own.T, bias=True).reshape(3, 3) if n_rare > 1 else np.zeros((3, 3))
        expected = (1 - share) * C + share * self.within(X, y, np.ones(100))
        np.testing.assert_allclose(normal.covariance, expected, atol=1e-9)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(
        "prior",
        [
            GaussianPrior("low_rank"),
            GaussianPrior("diag"),
            GaussianPrior(shrinkage="ledoit_wolf"),
            GaussianMixture(2),
            KernelDensity(bandwidth=0.3),
            ScikitLearns(2, random_state=0),
            LocalContrastPrior(),
        ],
    )
    def test_draws_are_about_the_row_and_as_wide_as_others(
        self, codes, prior, weighted
    ):
        X, y = self.rare(codes, 1)
        weights = np.ones(100) if weighted else None
        if weighted and not as_prior(prior).capabilities.weights:
            return
        fitted = ClassConditionalPrior(prior).fit(X, y, sample_weight=weights)
        spread = np.sqrt(np.diag(self.within(X, y, np.ones(100))))
        drawn = fitted.sample(2000, y="yak", random_state=0)
        assert (np.abs(drawn.mean(0) - X[0]) < 0.3 * spread).all()
        assert (drawn.std(0) > 0.5 * spread).all()
        assert (drawn.std(0) < 2 * spread).all()

    def test_weights_are_repetitions(self, codes):
        X, y = self.rare(codes, 2)
        weights = np.random.default_rng(1).integers(0, 4, size=100)
        weights[:2] = [3, 1]
        for prior in (None, GaussianMixture(2), KernelDensity()):
            of_class = ClassConditionalPrior(prior)
            weighted = of_class.fit(X, y, sample_weight=weights)
            expected = weighted.score_samples(X), weighted.predict_proba(X)
            repeated = of_class.fit(
                np.repeat(X, weights, axis=0), np.repeat(y, weights)
            )
            np.testing.assert_allclose(repeated.score_samples(X), expected[0])
            np.testing.assert_allclose(
                repeated.predict_proba(X), expected[1], atol=1e-9
            )
            kept = of_class.fit(
                X[weights > 0], y[weights > 0], sample_weight=weights[weights > 0]
            )
            np.testing.assert_allclose(kept.score_samples(X), expected[0])

    def test_weights_have_no_unit(self, codes):
        X, y = self.rare(codes, 2)
        weights = np.random.default_rng(1).random(100)
        one, other = (
            ClassConditionalPrior().fit(X, y, sample_weight=unit * weights)
            for unit in (1.0, 1e-6)
        )
        np.testing.assert_allclose(one.score_samples(X), other.score_samples(X))

    @pytest.mark.parametrize("noise", [0.0, 1e-13])
    def test_equal_rows_are_one(self, codes, noise):
        """Rows that are equal up to rounding count as one row."""
        X, y = self.rare(codes, 40)
        X = X.copy()
        X[:40] = X[0] + noise * np.random.default_rng(0).normal(size=(40, 3))
        fitted = ClassConditionalPrior().fit(X, y)
        expected = 0.75 * self.within(X, y, np.ones(100))
        np.testing.assert_allclose(fitted.priors_[-1].covariance_, expected, atol=1e-6)

    def test_a_label_that_hardly_counts_is_not_new(self, codes):
        """The borrowed fraction falls steadily with the weight of a second row."""
        X, y = self.rare(codes, 2)
        weights, traces = np.ones(100), []
        for second in (0.0, 1e-9, 0.1, 0.3, 1.0):
            weights[1] = second
            fitted = ClassConditionalPrior().fit(X, y, sample_weight=weights)
            mean = weights[:2] @ X[:2] / weights[:2].sum()
            own = (weights[:2, None] * (X[:2] - mean)).T @ (X[:2] - mean)
            own /= weights[:2].sum()
            within = self.within(X, y, weights)
            left = fitted.priors_[-1].covariance_ - own
            traces.append(np.trace(left) / np.trace(within - own))
        np.testing.assert_allclose(traces[:2], 0.75, atol=1e-6)
        assert (np.diff(traces[1:]) < 0).all()
        assert traces[-1] == pytest.approx(0.5)

    def test_nothing_to_borrow_is_an_error_about_the_labels(self, codes):
        X, _ = codes
        for prior in (None, KernelDensity(), GaussianMixture(2)):
            with pytest.raises(
                ValueError, match="Pass labels y that several different"
            ):
                ClassConditionalPrior(prior).fit(X[:20], np.arange(20))
        equal, y = np.full((9999, 2), 1 / 3), np.arange(9999) % 2
        with pytest.raises(ValueError, match="Pass labels y that several different"):
            ClassConditionalPrior().fit(equal * (7 + y[:, None]), y)

    def test_in_the_estimator(self):
        rng = np.random.default_rng(0)
        y = np.append(rng.integers(2, size=60), 2)
        X = rng.normal(size=(61, 16)) + np.sin(np.arange(16) * (1 + y[:, None])) * 5
        for prior in (None, GaussianMixture(2), KernelDensity()):
            est = SpectralDictionaryLearning(
                4, prior=ClassConditionalPrior(prior), random_state=0
            ).fit(X, y)
            drawn = est.sample(500, y=2).mean(0)
            np.testing.assert_allclose(
                drawn, est.inverse_transform(est.transform(X[-1:]))[0], atol=1
            )


def test_draws_only(codes):
    class Still(BaseEstimator):
        def fit(self, codes):
            self.mean_ = codes.mean(0)
            return self

        def sample(self, n_samples):
            return np.tile(self.mean_, (n_samples, 1))

    fitted = ClassConditionalPrior(Still()).fit(*codes)
    assert (nearest(fitted.sample(3, y="cat")) == "cat").all()
    with pytest.raises(TypeError, match="Still has no score_samples"):
        fitted.score_samples(codes[0])


def test_what_the_prior_lacks_is_named(codes):
    with pytest.raises(TypeError, match="no fit and no sample"):
        ClassConditionalPrior(object()).fit(*codes)


def test_in_the_estimator(codes):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=150)
    X = rng.normal(size=(150, 16)) + np.sin(np.arange(16) * (1 + y[:, None])) * 5
    prior = ClassConditionalPrior(GaussianMixture(2, n_init=2))

    def draws(seed):
        est = SpectralDictionaryLearning(6, prior=prior, random_state=seed).fit(X, y)
        return est.sample(5, y=2), est.sample(5)

    for one, two in zip(draws(0), draws(0), strict=True):
        np.testing.assert_array_equal(one, two)
    est = SpectralDictionaryLearning(6, prior=prior, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        est.sample(4000, y=2).mean(0), X[y == 2].mean(0), atol=0.5
    )
    with pytest.raises(ValueError, match="is not a label of fit"):
        est.sample(1, y=7)
    with pytest.raises(ValueError, match="needs a label for each sample"):
        est.fit(X)


LABELLED = {
    "by class": ClassConditionalPrior(),
    "diffusion": DiffusionPrior(max_images=64, width=4),
}
GAPS = {
    "None": ["a", None] * 20,
    "NaN": [0.0, np.nan] * 20,
    "objects with NaN": np.array(["a", np.nan] * 20, dtype=object),
    "integers with NA": pd.array([1, pd.NA] * 20, dtype="Int64"),
    "strings with NA": pd.Series(["a", None] * 20, dtype="string"),
    "categories": pd.Series(pd.Categorical(["a", None] * 20)),
    "masked": np.ma.masked_equal([1, 2] * 20, 2),
}


@pytest.mark.parametrize("prior", [*LABELLED])
@pytest.mark.parametrize("kind", [*GAPS])
def test_missing_labels_are_refused_before_anything_is_learned(signals, kind, prior):
    est = SpectralDictionaryLearning(2, prior=LABELLED[prior])
    with pytest.raises(ValueError, match=r"y has 20 of 40"):
        est.fit(signals[:40], GAPS[kind])
    assert not hasattr(est, "model_")


@pytest.mark.parametrize("prior", [*LABELLED])
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_of_labels(signals, prior):
    labels = np.repeat([[3], [5]], 20, axis=0)
    est = SpectralDictionaryLearning(2, prior=LABELLED[prior])
    assert est.fit(signals[:40], labels).prior_.classes_.tolist() == [3, 5]
