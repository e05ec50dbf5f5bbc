import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture as ScikitLearns
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

LABELS = np.array(["dog", "cat", "emu"])


@pytest.fixture(scope="module")
def codes():
    """Codes far apart for each label, in shares of 1/2, 1/3 and 1/6."""
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
    """Directions that no code has change each density by the same factor."""
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
    # What was known of another prior is forgotten.
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


def test_a_label_with_one_sample_is_named(codes):
    X, y = codes
    rare = np.where(np.arange(len(y)) == 5, "yak", y)
    with pytest.raises(
        ValueError, match=r"label yak, of which there are 1 .* Leave out"
    ):
        ClassConditionalPrior().fit(X, rare)
    # A prior that can be fitted to one sample may be.
    fitted = ClassConditionalPrior(KernelDensity()).fit(X, rare)
    assert fitted.class_prior_[-1] == pytest.approx(1 / 600)


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
