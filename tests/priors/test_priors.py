import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

from skspectral.priors import GaussianPrior, Prior, ScaledPrior
from skspectral.priors.protocol import draw, fit_prior, new_prior


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    return 2 + rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))


@pytest.mark.parametrize("shrinkage", [None, 0.0, 0.3, 1.0])
def test_covariance(codes, shrinkage):
    prior = GaussianPrior(shrinkage=shrinkage).fit(codes)
    np.testing.assert_allclose(prior.mean_, codes.mean(0))
    expected = shrunk_covariance(empirical_covariance(codes), shrinkage or 0.0)
    np.testing.assert_allclose(prior.covariance_, expected)


def test_ledoit_wolf_is_scikit_learns():
    rng = np.random.default_rng(0)
    for n in (8, 60):
        few = rng.normal(size=(n, 10)) @ rng.normal(size=(10, 10))
        prior = GaussianPrior(shrinkage="ledoit_wolf").fit(few)
        expected, weight = ledoit_wolf(few)
        np.testing.assert_allclose(prior.covariance_, expected)
        assert prior.shrinkage_ == pytest.approx(weight)


def test_ledoit_wolf_leaves_what_is_isotropic():
    codes = np.random.default_rng(0).normal(size=(50, 1))
    prior = GaussianPrior(shrinkage="ledoit_wolf").fit(codes)
    np.testing.assert_allclose(prior.covariance_[0, 0], codes.var())


def test_diagonal(codes):
    prior = GaussianPrior("diag").fit(codes)
    np.testing.assert_allclose(prior.covariance_, np.diag(codes.var(0)), atol=1e-12)
    assert prior.n_parameters_ == 8


def test_low_rank_is_probabilistic_pca():
    """Where the small variances are alike, which is what its model says."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(5000, 2)) @ rng.normal(size=(2, 6)) * 3
    codes += rng.normal(size=codes.shape)
    prior = GaussianPrior("low_rank", rank=2).fit(codes)
    pca = PCA(2).fit(codes)
    # scikit-learn's divides by n - 1.
    expected = pca.get_covariance() * (1 - 1 / 5000)
    np.testing.assert_allclose(prior.covariance_, expected, rtol=1e-6, atol=1e-6)
    assert prior.score(codes) == pytest.approx(pca.score(codes), abs=1e-4)
    chosen = GaussianPrior("low_rank").fit(codes)
    assert chosen.rank_ == 2
    ranks = [GaussianPrior("low_rank", rank=r).fit(codes).bic(codes) for r in range(6)]
    assert np.argmin(ranks) == chosen.rank_


def test_low_rank_of_few_samples():
    codes = np.random.default_rng(0).normal(size=(5, 20))
    prior = GaussianPrior("low_rank").fit(codes)
    assert prior.rank_ <= 2
    assert np.isfinite(prior.score_samples(codes)).all()


def test_what_moments_do_not_tell():
    prior = GaussianPrior(shrinkage="ledoit_wolf")
    assert not prior.capabilities.moments
    with pytest.raises(ValueError, match=r"is estimated from the codes.*Call fit"):
        prior.fit_moments(np.zeros(2), np.eye(2), 10)


@pytest.mark.parametrize("scale", [1e80, 1e-90])
def test_ledoit_wolf_has_no_scale(codes, scale):
    few = codes[:10]
    expected = GaussianPrior(shrinkage="ledoit_wolf").fit(few).shrinkage_
    found = GaussianPrior(shrinkage="ledoit_wolf").fit(scale * few).shrinkage_
    assert found == pytest.approx(expected)
    assert expected > 0.01


def test_density_is_scipys(codes):
    prior = GaussianPrior().fit(codes)
    expected = multivariate_normal(prior.mean_, prior.covariance_).logpdf(codes)
    np.testing.assert_allclose(prior.score_samples(codes), expected, rtol=1e-10)
    assert prior.score(codes) == pytest.approx(expected.mean())


def test_information_criteria_are_those_of_a_mixture_of_one(codes):
    prior = GaussianPrior().fit(codes)
    mixture = GaussianMixture(reg_covar=0).fit(codes)
    assert prior.n_parameters_ == 14
    assert prior.bic(codes) == pytest.approx(mixture.bic(codes))
    assert prior.aic(codes) == pytest.approx(mixture.aic(codes))


def test_draws_have_the_fitted_moments(codes):
    prior = GaussianPrior().fit(codes)
    n = 20_000
    drawn = prior.sample(n, random_state=0)
    spread = np.sqrt(np.diag(prior.covariance_))
    # Five standard errors of a mean and of a covariance.
    assert (np.abs(drawn.mean(0) - prior.mean_) < 5 * spread / n**0.5).all()
    error = np.cov(drawn.T) - prior.covariance_
    assert (np.abs(error) < 5 * np.outer(spread, spread) * (2 / n) ** 0.5).all()


def test_weights_equal_repetition(codes):
    weights = np.random.default_rng(0).integers(0, 4, size=len(codes))
    weighted = GaussianPrior().fit(codes, sample_weight=weights)
    repeated = GaussianPrior().fit(np.repeat(codes, weights, axis=0))
    np.testing.assert_allclose(weighted.covariance_, repeated.covariance_)


@pytest.mark.parametrize("kind", ["full", "diag", "low_rank"])
def test_moments_are_enough(codes, kind):
    prior = GaussianPrior(kind, shrinkage=0.1).fit(codes)
    other = GaussianPrior(kind, shrinkage=0.1).fit_moments(
        codes.mean(0), np.cov(codes.T, bias=True), len(codes)
    )
    np.testing.assert_allclose(prior.covariance_, other.covariance_, atol=1e-12)
    assert prior.rank_ == other.rank_
    np.testing.assert_array_equal(
        prior.sample(5, random_state=1).round(9),
        other.sample(5, random_state=1).round(9),
    )


def test_singular_covariance_can_be_drawn_from_and_scored():
    codes = np.random.default_rng(0).normal(size=(3, 6))
    prior = GaussianPrior().fit(codes)
    drawn = prior.sample(100, random_state=0)
    offset = (drawn - prior.mean_) @ np.linalg.svd(codes - codes.mean(0))[2][2:].T
    assert np.abs(offset).max() < 1e-5
    assert np.isfinite(prior.score_samples(codes)).all()


def test_equal_codes_are_refused():
    with pytest.raises(ValueError, match="Are all codes equal"):
        GaussianPrior().fit(np.ones((5, 2)))


def global_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002


def test_global_random_state_is_untouched(codes):
    prior = GaussianPrior().fit(codes)
    before = global_state()
    one, two = prior.sample(3), prior.sample(3)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(global_state(), before)


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", None])
def test_bad_number_of_draws(codes, n_samples):
    with pytest.raises(ValueError, match="n_samples"):
        GaussianPrior().fit(codes).sample(n_samples)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("mixture", [GaussianMixture, BayesianGaussianMixture])
def test_components_of_scikit_learns_mixtures(codes, mixture, covariance_type):
    own = mixture(n_components=2, covariance_type=covariance_type, random_state=0)
    prior = ScaledPrior(own).fit(codes)
    density = sum(
        weight * multivariate_normal(normal.mean, normal.covariance).pdf(codes)
        for weight, normal in prior.mixture()
    )
    if mixture is GaussianMixture:
        np.testing.assert_allclose(np.log(density), prior.score_samples(codes))
    else:
        # The Bayesian one scores by its variational bound.
        assert np.corrcoef(np.log(density), prior.score_samples(codes))[0, 1] > 0.99


@pytest.mark.parametrize(
    "prior",
    [
        None,
        GaussianMixture(3),
        KernelDensity(),
        BayesianGaussianMixture(n_components=2),
    ],
)
def test_draws_repeat_and_differ(codes, prior):
    def draws():
        stream = np.random.default_rng(0)
        fitted = new_prior(prior, stream)
        fit_prior(fitted, codes, None, None)
        return [draw(fitted, 50, 4, None, stream) for _ in range(2)]

    one, two = draws()
    assert one.shape == (50, 4)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(draws()[1], two)


def test_mixture_draws_come_in_random_order(codes):
    stream = np.random.default_rng(0)
    far = np.concatenate([codes, codes + 100])
    fitted = ScaledPrior(GaussianMixture(2, random_state=0)).fit(far)
    above = draw(fitted, 200, 4, None, stream)[:, 0] > 50
    assert 0 < above[:100].sum() < 100
    assert 0 < above[100:].sum() < 100


def test_a_prior_is_not_changed(codes):
    prior = GaussianMixture(2)
    new = new_prior(prior, np.random.default_rng(0))
    fit_prior(new, codes, None, None)
    assert prior.random_state is None
    assert not hasattr(prior, "means_")


class Constant:
    """The least a prior can be."""

    def fit(self, codes):
        self.mean = codes.mean(0)

    def sample(self, n_samples):
        return np.tile(self.mean, (n_samples, 1))


def test_duck_typed_prior(codes):
    stream = np.random.default_rng(0)
    prior = new_prior(Constant(), stream)
    fit_prior(prior, codes, None, None)
    np.testing.assert_allclose(draw(prior, 2, 4, None, stream)[1], codes.mean(0))
    with pytest.raises(ValueError, match="Constant cannot sample for a label"):
        draw(prior, 2, 4, "cat", stream)
    with pytest.raises(ValueError, match=r"Constant\.fit takes none"):
        new_prior(Constant(), stream, sample_weight=np.ones(2))
    with pytest.raises(TypeError, match="prior Constant has no closed form"):
        prior.mixture()


def test_labels_reach_a_prior_that_takes_them(codes):
    class PerLabel(Constant):
        def fit(self, codes, y=None):
            self.means = {label: codes[y == label].mean(0) for label in set(y)}

        def sample(self, n_samples, y=None):
            return np.tile(self.means[y], (n_samples, 1))

    labels = np.arange(len(codes)) % 2
    prior = new_prior(PerLabel(), np.random.default_rng(0))
    fit_prior(prior, codes, labels, None)
    drawn = draw(prior, 2, 4, 1, np.random.default_rng(0))
    np.testing.assert_allclose(drawn[0], codes[1::2].mean(0))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(4),
        np.zeros((1, 4)),
        np.zeros((2, 5)),
        np.full((2, 4), np.nan),
        np.zeros((2, 4), dtype=complex),
        "codes",
        None,
        ([[0, 0, 0, 0]], [1]),
    ],
)
def test_wrong_draws_are_reported_by_fit(codes, wrong):
    class Wrong(Constant):
        def sample(self, n_samples):
            return wrong

    class WrongPrior(Prior):
        def fit(self, X, y=None):
            return self

        def sample(self, n_samples=1, random_state=None, *, y=None):
            return wrong

    for prior in (Wrong(), WrongPrior()):
        new = new_prior(prior, np.random.default_rng(0))
        with pytest.raises(
            ValueError,
            match=r"^The prior Wrong.*must return finite codes of shape \(2, 4\)",
        ):
            fit_prior(new, codes, None, None)


def test_draws_that_fail_are_reported_by_fit(codes):
    class Fails(Constant):
        def sample(self, n_samples):
            raise NotImplementedError

    new = new_prior(Fails(), np.random.default_rng(0))
    with pytest.raises(
        ValueError, match=r"prior Fails was fitted, but.*\(NotImplementedError\)\. Pass"
    ):
        fit_prior(new, codes, None, None)


def test_moments_that_do_not_fit():
    with pytest.raises(ValueError, match="does not fit a mean of 2 codes"):
        GaussianPrior().fit_moments(np.zeros(2), np.eye(3), 10)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (object(), "no fit and no sample"),
        (GaussianPrior, "is a class"),
        ("gaussian", "no fit and no sample"),
        (type("Half", (), {"fit": print})(), "has no sample"),
        (type("Data", (), {"fit": print, "sample": 3})(), "has no sample"),
    ],
)
def test_what_a_prior_lacks_is_named(prior, message):
    with pytest.raises(TypeError, match=message):
        new_prior(prior, np.random.default_rng(0))
