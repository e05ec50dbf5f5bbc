"""Priors of somebody else have the unit of the data."""

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as ScikitLearns
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.gaussian import Gaussian, LinearObservation, Mixture
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    ScaledPrior,
)
from skspectral.priors.synthesis import Synthesis

SCALES = [1e-6, 1e6]
THIRD_PARTY = [
    ScikitLearns(2, random_state=0),
    ScikitLearns(2, covariance_type="spherical", random_state=0),
    BayesianGaussianMixture(n_components=2, random_state=0),
    KernelDensity(),
    KernelDensity(bandwidth="scott"),
    KernelDensity(kernel="tophat", bandwidth=0.2),
]


@pytest.fixture(scope="module")
def codes():
    """Far from the origin, as without ``center``."""
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=(120, 3)) * [3.0, 1.0, 0.3]
    return quiet * rng.choice([0.3, 2.0], size=(120, 1)) + [50.0, -20.0, 3.0]


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=80)
    waves = np.sin(2 * np.pi * np.outer([1, 2.2, 3.5], np.arange(16) / 16))
    codes = rng.normal(size=(80, 3)) * np.where(y, 2.0, 0.7)[:, None]
    return 3 + codes @ waves + 0.1 * rng.normal(size=(80, 16)), y


class Unscaled:
    """As somebody else would write it, with a constant that has a unit."""

    def fit(self, codes, synthesis=None):
        self.codes, self.synthesis = codes, synthesis
        covariance = np.cov(codes.T, bias=True) + 1e-2 * np.eye(codes.shape[1])
        normal = Gaussian.from_covariance(codes.mean(0), covariance)
        self.mixture = Mixture(np.ones(1), (normal,))

    def sample(self, n_samples, random_state=None):
        return self.mixture.draw(n_samples, np.random.default_rng(random_state))

    def sample_given(
        self, operator, observed, n_samples, *, noise_variance, random_state
    ):
        observation = LinearObservation(operator, noise_variance)
        posterior = observation.condition(self.mixture, np.atleast_2d(observed))
        return posterior.draw(n_samples, np.random.default_rng(random_state))[:, 0]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("prior", THIRD_PARTY, ids=str)
class TestUnits:
    def test_draws_and_densities_follow_the_scale(self, codes, prior, scale):
        one, other = (ScaledPrior(prior).fit(s * codes) for s in (1.0, scale))
        drawn = one.sample(50, random_state=0)
        np.testing.assert_allclose(
            other.sample(50, random_state=0), scale * drawn, rtol=1e-7
        )
        if prior == THIRD_PARTY[-1]:
            # Outside the kernels the density is zero.
            drawn = codes[:10]
        np.testing.assert_allclose(
            other.score_samples(scale * drawn),
            one.score_samples(drawn) - 3 * np.log(scale),
            atol=1e-6,
        )

    def test_in_the_estimator(self, signals, prior, scale):
        X, y = signals
        for whole in (prior, ClassConditionalPrior(prior), LocalContrastPrior(prior)):
            for center in (True, False):
                one, other = (
                    SpectralDictionaryLearning(
                        3, modulation=None, prior=whole, center=center, random_state=0
                    ).fit(s * X, y)
                    for s in (1.0, scale)
                )
                np.testing.assert_allclose(
                    other.sample(20, random_state=1) / scale,
                    one.sample(20, random_state=1),
                    atol=1e-5,
                )


def test_volts_are_drawn_as_volts(signals):
    """With constants in the unit of the data draws were 700 or 300,000 times larger."""
    X = 1e-6 * signals[0]
    for prior in THIRD_PARTY:
        est = SpectralDictionaryLearning(3, prior=prior, random_state=0).fit(X)
        drawn = est.inverse_coordinates(est.prior_.sample(200, random_state=0))
        assert 0.5 < drawn.std() / X.std() < 2


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "prior",
    [
        GaussianPrior(),
        GaussianPrior("low_rank", rank=1, shrinkage="ledoit_wolf"),
        GaussianPrior("diag"),
        GaussianMixture(2),
        GaussianMixture(2, covariance="low_rank", rank=1, n_init=2, random_state=0),
        ClassConditionalPrior(),
        ClassConditionalPrior(GaussianMixture(2)),
        LocalContrastPrior(),
        LocalContrastPrior(ClassConditionalPrior()),
        DiffusionPrior(max_images=128, width=4),
    ],
    ids=str,
)
def test_our_own_have_no_constants_with_a_unit(signals, prior, scale):
    X, y = signals
    one, other = (
        SpectralDictionaryLearning(3, modulation=None, prior=prior, random_state=0).fit(
            s * X, y
        )
        for s in (1.0, scale)
    )
    np.testing.assert_allclose(
        other.sample(20, random_state=1) / scale,
        one.sample(20, random_state=1),
        atol=1e-4,
    )


def test_the_scale_is_the_root_mean_square(codes):
    weights = np.random.default_rng(0).integers(0, 3, size=len(codes))
    fitted = ScaledPrior(KernelDensity()).fit(codes, sample_weight=weights)
    repeated = np.repeat(codes, weights, axis=0)
    np.testing.assert_allclose(fitted.mean_, repeated.mean(0))
    np.testing.assert_allclose(fitted.scale_, np.sqrt(repeated.var(0).mean()))


@pytest.mark.parametrize("bandwidth", [0.5, "scott"])
def test_weights_are_repetitions_and_none_at_zero(codes, bandwidth):
    prior = ScaledPrior(KernelDensity(bandwidth=bandwidth))
    weights = np.arange(len(codes)) % 2
    weighted = prior.fit(codes, sample_weight=weights).score_samples(codes)
    without = prior.fit(codes[1::2]).score_samples(codes)
    np.testing.assert_allclose(weighted, without, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_no_square_is_out_of_range(codes, scale):
    fitted = ScaledPrior(KernelDensity()).fit(scale * codes)
    expected = ScaledPrior(KernelDensity()).fit(codes).scale_
    assert fitted.scale_ / scale == pytest.approx(expected)


def test_gaussians_of_scikit_learns_mixture(codes):
    """Its own, where its constant is as small in the unit of the codes."""
    fitted = ScaledPrior(ScikitLearns(2, random_state=0, reg_covar=0.0)).fit(codes)
    own = ScikitLearns(2, random_state=0, reg_covar=0.0).fit(codes)
    for k, (weight, normal) in enumerate(fitted.mixture()):
        assert weight == pytest.approx(own.weights_[k], rel=1e-4)
        np.testing.assert_allclose(normal.mean, own.means_[k], rtol=1e-3)
        np.testing.assert_allclose(normal.covariance, own.covariances_[k], atol=1e-2)
    np.testing.assert_allclose(
        fitted.mixture().log_density(codes), fitted.score_samples(codes)
    )


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_information_criteria_are_scikit_learns(codes, kind):
    options = {"covariance_type": kind, "random_state": 0}
    standard = (codes - codes.mean(0)) / np.sqrt(codes.var(0).mean())
    fitted = ScaledPrior(ScikitLearns(2, **options)).fit(standard)
    own = ScikitLearns(2, **options).fit(standard)
    assert fitted.bic(standard) == pytest.approx(own.bic(standard))
    assert fitted.aic(standard) == pytest.approx(own.aic(standard))


def test_components_are_scikit_learns(codes):
    fitted = ScaledPrior(ScikitLearns(2, random_state=0)).fit(codes)
    standard = (codes - fitted.mean_) / fitted.scale_
    np.testing.assert_allclose(
        fitted.predict_proba(codes), fitted.prior_.predict_proba(standard), atol=1e-9
    )
    np.testing.assert_array_equal(
        fitted.predict(codes), fitted.prior_.predict(standard)
    )
    with pytest.raises(AttributeError, match="predict"):
        ScaledPrior(KernelDensity()).predict  # noqa: B018


@pytest.mark.parametrize("scale", [1.0, *SCALES])
def test_its_own_conditional_draws(codes, scale):
    """They agree with what was observed, whatever the unit, and follow it."""
    rng = np.random.default_rng(0)
    fitted = ScaledPrior(Unscaled()).fit(scale * codes)
    operator, observed = rng.normal(size=(2, 3)), scale * np.array([40.0, 10.0])
    drawn = fitted.sample_given(operator, observed, 500, random_state=0)
    np.testing.assert_allclose(drawn @ operator.T, [observed] * 500, rtol=1e-3)
    noise = scale**2 * np.array([[4.0, 1.0], [1.0, 9.0]])
    for variance in (noise, noise[0, 0]):
        drawn = fitted.sample_given(
            operator, observed, 20_000, noise_variance=variance, random_state=0
        )
        C = np.cov(codes.T, bias=True) * scale**2
        C += 1e-2 * fitted.scale_**2 * np.eye(3)
        S = operator @ C @ operator.T + variance * (
            np.eye(2) if np.ndim(variance) == 0 else 1
        )
        gain = C @ operator.T @ np.linalg.inv(S)
        mean = scale * codes.mean(0)
        mean = mean + gain @ (observed - operator @ mean)
        spread = np.sqrt(np.diag(C - gain @ operator @ C))
        assert (np.abs(drawn.mean(0) - mean) < 5 * spread / 20_000**0.5).all()
        np.testing.assert_allclose(drawn.std(0), spread, rtol=0.03)


def test_synthesis_makes_signals_in_the_unit(codes):
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 3)))[0].T
    synthesis = Synthesis(basis, np.arange(8.0), (8,))
    fitted = ScaledPrior(Unscaled()).fit(codes, synthesis=synthesis)
    inner = fitted.prior_
    np.testing.assert_allclose(
        fitted.scale_ * inner.synthesis.signals(inner.codes), synthesis.signals(codes)
    )


def test_a_prior_of_ours_may_be_wrapped(codes):
    fitted, plain = ScaledPrior(GaussianPrior()).fit(codes), GaussianPrior().fit(codes)
    assert fitted.capabilities.gaussians
    assert not fitted.capabilities.moments
    assert fitted.n_parameters_ == plain.n_parameters_
    np.testing.assert_allclose(fitted.score_samples(codes), plain.score_samples(codes))
    normal = fitted.mixture().components[0]
    expected = multivariate_normal(normal.mean, normal.covariance).logpdf(codes)
    np.testing.assert_allclose(expected, plain.score_samples(codes))
    operator, observed = np.eye(3)[:1], [51.0]
    drawn = fitted.sample_given(operator, observed, 5, random_state=0)
    np.testing.assert_allclose(drawn[:, 0], 51.0, rtol=1e-4)
    of_images = ScaledPrior(DiffusionPrior(max_images=128, width=4, random_state=0))
    found = of_images.fit(codes).sample_given(operator, observed, 5, random_state=0)
    np.testing.assert_allclose(found[:, 0], 51.0, rtol=1e-2)


def test_nothing_that_is_given_changes(codes):
    prior, before = KernelDensity(), codes.copy()
    ScaledPrior(prior).fit(codes)
    np.testing.assert_array_equal(codes, before)
    assert not hasattr(prior, "tree_")


def test_equal_codes_have_no_unit():
    for value in (0.0, 1.0, 1e8 / 3):
        with pytest.raises(ValueError, match="Are all codes equal"):
            ScaledPrior(KernelDensity()).fit(np.full((5, 2), value))


class TestKnownBeforeLearning:
    """What cannot work is refused before the atoms are learned."""

    @pytest.fixture(autouse=True)
    def _no_learning(self, monkeypatch):
        def learned(*args, **options):
            raise AssertionError("The atoms were learned first.")

        monkeypatch.setattr("skspectral.spectral_dictionary.fit_model", learned)

    @pytest.mark.parametrize("wrap", [lambda p: p, ScaledPrior, LocalContrastPrior])
    @pytest.mark.parametrize(
        ("prior", "message"),
        [
            (KernelDensity(kernel="cosine"), "kernel='cosine'.*'gaussian' or 'tophat'"),
            (KernelDensity(kernel="linear"), "kernel='linear'.*'gaussian' or 'tophat'"),
            (KernelDensity(metric="manhattan"), "metric='manhattan'.*Euclid"),
            (
                KernelDensity(metric="minkowski", metric_params={"p": 1}),
                "metric='minkowski'.*Euclid",
            ),
            (KernelDensity(bandwidth=-1.0), "'bandwidth' parameter of KernelDensity"),
            (ScikitLearns(0), "'n_components' parameter of GaussianMixture"),
            (GaussianMixture(0), "'n_components' parameter of GaussianMixture"),
            (GaussianPrior(rank=-1), "'rank' parameter of GaussianPrior"),
            (object(), "no fit and no sample"),
            (KernelDensity, "is a class"),
        ],
    )
    def test_prior(self, signals, prior, message, wrap):
        for whole in (wrap(prior), ClassConditionalPrior(wrap(prior))):
            est = SpectralDictionaryLearning(3, prior=whole)
            with pytest.raises((TypeError, ValueError), match=message):
                est.fit(*signals)

    def test_labels(self, signals):
        est = SpectralDictionaryLearning(3, prior=ClassConditionalPrior())
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            est.fit(signals[0], np.linspace(0, 1, len(signals[0])))


def test_what_works_is_not_refused(codes):
    for prior in (
        KernelDensity(kernel="tophat", metric="l2"),
        KernelDensity(metric="minkowski"),
        type("Own", (KernelDensity,), {"sample": lambda self, n: np.zeros((n, 3))})(
            kernel="cosine"
        ),
    ):
        assert ScaledPrior(prior).fit(codes).sample(2).shape == (2, 3)


def test_draws_that_fail_show_at_fit(signals):
    class Shapeless(KernelDensity):
        def sample(self, n_samples=1, random_state=None):
            return np.zeros(n_samples)

    class FromMoments(GaussianPrior):
        def sample(self, n_samples=1, random_state=None, *, y=None):
            return np.zeros(n_samples)

    with pytest.raises(ValueError, match=r"FromMoments.*must return finite codes"):
        SpectralDictionaryLearning(3, prior=FromMoments()).fit(*signals)
    for prior in (Shapeless(), ClassConditionalPrior(Shapeless())):
        with pytest.raises(ValueError, match=r"Shapeless.*must return finite codes"):
            SpectralDictionaryLearning(3, prior=prior).fit(*signals)


def test_the_trial_draw_leaves_no_trace(signals):
    """Neither in numpy's global state nor in later draws."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est = SpectralDictionaryLearning(3, prior=ScikitLearns(2)).fit(signals[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(est.prior_.sample(3), est.prior_.sample(3))


def test_another_fit_forgets_the_prior_before(codes):
    prior = ScaledPrior(ScikitLearns(2, random_state=0)).fit(codes)
    assert prior.bic(codes) > 0
    prior.set_params(prior=KernelDensity()).fit(codes, sample_weight=np.ones(120))
    assert not prior.capabilities.gaussians
    with pytest.raises(TypeError, match="number of free parameters"):
        prior.bic(codes)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("center", [True, False])
def test_conditional_draws_in_the_estimator(signals, scale, center):
    X = signals[0]
    one, other = (
        SpectralDictionaryLearning(
            3, modulation=None, prior=Unscaled(), center=center, random_state=0
        ).fit(s * X)
        for s in (1.0, scale)
    )
    gaps = np.where(np.arange(16) < 9, X[:2], np.nan)
    np.testing.assert_allclose(
        other.sample_posterior(scale * gaps, 5, random_state=1) / scale,
        one.sample_posterior(gaps, 5, random_state=1),
        atol=1e-5,
    )
    operator = np.eye(16)[:3]
    np.testing.assert_allclose(
        other.sample_given(operator, scale * X[0, :3], 5, random_state=1) / scale,
        one.sample_given(operator, X[0, :3], 5, random_state=1),
        atol=1e-4,
    )


def test_weights_are_repetitions_in_the_estimator(signals):
    X, _ = signals
    weights = np.random.default_rng(0).integers(0, 3, size=len(X))
    est = SpectralDictionaryLearning(
        3, modulation=None, prior=KernelDensity(), random_state=0
    )
    weighted = est.fit(X, sample_weight=weights).prior_
    repeated = est.fit(np.repeat(X, weights, axis=0)).prior_
    assert weighted.scale_ == pytest.approx(repeated.scale_)
    codes = weighted.sample(20, random_state=0)
    np.testing.assert_allclose(
        weighted.score_samples(codes), repeated.score_samples(codes), rtol=1e-5
    )
