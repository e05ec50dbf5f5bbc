"""Methods known from PCA and GaussianMixture, compared with their definitions."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture as TheirMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture, GaussianPrior

SHAPE = (3, 4)


def fitted(X, n_components=5, **options):
    options = {"modulation": None, "random_state": 0, **options}
    return SpectralDictionaryLearning(n_components, **options).fit(X)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 3, (3, 12))
    return centres[rng.integers(3, size=400)] + rng.normal(size=(400, 12)).cumsum(1)


PRIORS = {
    "Gaussian": GaussianPrior(),
    "low rank": GaussianPrior("low_rank"),
    "mixture": GaussianMixture(3, random_state=0),
    "theirs": TheirMixture(3, random_state=0),
}


@pytest.fixture(scope="module", params=[*PRIORS])
def est(request, X):
    return fitted(X, prior=PRIORS[request.param])


def test_with_as_many_atoms_as_features_it_is_pca(X):
    n = len(X)
    est = fitted(X, 12)
    theirs = PCA().fit(X)
    np.testing.assert_allclose(
        est.get_covariance(), theirs.get_covariance() * (n - 1) / n, atol=1e-8
    )
    np.testing.assert_allclose(
        est.get_precision(), theirs.get_precision() * n / (n - 1), rtol=1e-5, atol=1e-7
    )
    assert est.n_components_ == 12
    total = theirs.explained_variance_.sum() * (n - 1) / n
    assert est.explained_variance_.sum() == pytest.approx(total)
    np.testing.assert_allclose(
        est.explained_variance_, est.explained_variance_ratio_ * total
    )
    np.testing.assert_allclose(
        est.mahalanobis(X), EmpiricalCovariance().fit(X).mahalanobis(X), rtol=1e-6
    )


def test_the_covariance_is_that_of_draws_with_their_noise(est):
    rng = np.random.default_rng(1)
    draws = est.sample(200_000, random_state=2)
    # Draws have the noise inside the span, and none outside.
    noise = rng.normal(0, est.noise_variance_**0.5, draws.shape)
    draws += noise - noise @ est.basis_.T @ est.basis_
    covariance = est.get_covariance()
    error = np.abs(covariance - np.cov(draws.T)).max()
    assert error < 0.03 * covariance.diagonal().max()


def test_precision_and_distances_are_those_of_the_covariance(est, X):
    covariance = est.get_covariance()
    np.testing.assert_allclose(covariance, covariance.T)
    precision = est.get_precision()
    np.testing.assert_allclose(precision @ covariance, np.eye(12), atol=1e-7)
    mean = est.mean_ + est.prior_.mixture().mean @ est.basis_
    centred = X - mean
    expected = np.einsum("ij,jk,ik->i", centred, precision, centred)
    np.testing.assert_allclose(est.mahalanobis(X), expected, rtol=1e-7)


@pytest.mark.parametrize("center", [True, False])
def test_of_one_gaussian_distance_and_density_are_one(X, center):
    est = fitted(X, center=center)
    constant = est.score_samples(X) + est.mahalanobis(X) / 2
    np.testing.assert_allclose(constant, constant[0])
    sign, log_determinant = np.linalg.slogdet(est.get_covariance())
    assert sign == 1
    assert constant[0] == pytest.approx(
        -0.5 * (log_determinant + 12 * np.log(2 * np.pi))
    )


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_criteria_are_those_of_a_mixture_of_the_same_coordinates(X, kind):
    theirs = TheirMixture(3, covariance_type=kind, random_state=0)
    est = fitted(X, 12, prior=theirs)
    codes = est.coordinates(X)
    scale = getattr(est.prior_, "scale_", 1.0)
    same = clone(theirs).set_params(random_state=est.prior_.prior_.random_state)
    same.fit((codes - codes.mean(0)) / scale)
    # Scaling the codes changes their log-density by the logarithm of the scale.
    units = 2 * len(X) * 12 * np.log(scale)
    standard = (codes - codes.mean(0)) / scale
    assert est.aic(X) == pytest.approx(same.aic(standard) + units)
    assert est.bic(X) == pytest.approx(same.bic(standard) + units)
    np.testing.assert_array_equal(est.predict_component(X), same.predict(standard))
    np.testing.assert_allclose(
        est.predict_component_proba(X), same.predict_proba(standard), atol=1e-6
    )


def test_criteria_count_what_atoms_can_change(X):
    # A sinusoid has a frequency and a phase; the prior a mean and a covariance.
    est = fitted(X, 2, init=[1.3, 2.7])
    n_parameters = 2 * 2 + (2 + 3) + 1 + (12 - 2)
    assert est.aic(X) == pytest.approx(2 * n_parameters - 2 * len(X) * est.score(X))
    assert est.bic(X) - est.aic(X) == pytest.approx((np.log(len(X)) - 2) * n_parameters)
    plane = fitted(X.reshape(len(X), -1), 2, signal_shape=(4, 3))
    assert plane.aic(X) == pytest.approx(
        2 * (2 * 3 + 5 + 1 + 10) - 2 * len(X) * plane.score(X)
    )
    uncentred = fitted(X, 2, init=[1.3, 2.7], center=False)
    assert uncentred.bic(X) - uncentred.aic(X) == pytest.approx(
        (np.log(len(X)) - 2) * (2 * 2 + 5 + 1)
    )


def test_the_criterion_finds_how_many_waves_there_are():
    rng = np.random.default_rng(0)
    t = np.arange(64) / 64
    waves = [np.sin(2 * np.pi * f * t + p) for f, p in ((3.2, 0), (8, 1), (20.4, 2))]
    X = rng.normal(size=(200, 3)) @ waves + 0.5 * rng.normal(size=(200, 64))
    found = [fitted(X, K).bic(X) for K in range(1, 7)]
    assert 1 + int(np.argmin(found)) == 3


def test_weights_of_the_score_are_repetitions(X, est):
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    expected = est.score(np.repeat(X, weights, axis=0))
    assert est.score(X, sample_weight=weights) == pytest.approx(expected)
    with pytest.raises(ValueError, match="sample_weight"):
        est.score(X, sample_weight=weights[:-1])


def test_weights_reach_the_score_in_a_search(X):
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    with config_context(enable_metadata_routing=True):
        model = SpectralDictionaryLearning(modulation=None)
        model.set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"n_components": [2, 3]}, cv=2)
        search.fit(X, sample_weight=weights)
    half = len(X) // 2
    by_hand = [
        fitted_on.score(X[test], sample_weight=weights[test])
        for train, test in (
            (slice(half, None), slice(half)),
            (slice(half), slice(half, None)),
        )
        for fitted_on in [
            SpectralDictionaryLearning(3, modulation=None).fit(
                X[train], sample_weight=weights[train]
            )
        ]
    ]
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(np.mean(by_hand))


def test_probabilities_of_components(est, X):
    probabilities = est.predict_component_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(
        est.predict_component(X), probabilities.argmax(axis=1)
    )
    # Bayes' rule, in the space of the samples.
    mixture, rest = est.prior_.mixture(), est.noise_variance_
    outside = rest * (np.eye(12) - est.basis_.T @ est.basis_)
    joint = []
    for weight, part in mixture.without_noise(rest):
        inside = part.covariance + rest * np.eye(5)
        covariance = est.basis_.T @ inside @ est.basis_ + outside
        centred = X - est.mean_ - part.mean @ est.basis_
        _, log_determinant = np.linalg.slogdet(covariance)
        distance = (centred @ np.linalg.inv(covariance) * centred).sum(1)
        joint.append(np.log(weight) - 0.5 * (log_determinant + distance))
    joint = np.exp(np.transpose(joint) - np.max(joint, axis=0)[:, None])
    expected = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-8)


@pytest.mark.parametrize(
    "method",
    [
        "get_covariance",
        "get_precision",
        "mahalanobis",
        "aic",
        "bic",
        "predict_component",
        "predict_component_proba",
    ],
)
def test_a_prior_without_gaussians_is_named(X, method):
    est = fitted(X, prior=KernelDensity())
    arguments = () if method.startswith("get") else (X,)
    with pytest.raises(TypeError, match="KernelDensity"):
        getattr(est, method)(*arguments)


# Whitened codes


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("modulation", [None, "basis"])
def test_white_codes_are_uncorrelated_and_undone(X, dtype, modulation):
    X = X.astype(dtype)
    plain, white = (
        fitted(X, modulation=modulation, whiten=whiten) for whiten in (False, True)
    )
    codes = white.transform(X)
    assert codes.dtype == dtype
    tolerance = {"atol": 1e-9 if dtype == np.float64 else 1e-3}
    np.testing.assert_allclose(codes.mean(0), 0, **tolerance)
    np.testing.assert_allclose(np.cov(codes.T, bias=True), np.eye(5), **tolerance)
    np.testing.assert_allclose(
        white.inverse_transform(codes),
        plain.inverse_transform(plain.transform(X)),
        **tolerance,
    )
    np.testing.assert_array_equal(white.components_, plain.components_)
    np.testing.assert_array_equal(white.score_samples(X), plain.score_samples(X))
    np.testing.assert_array_equal(
        white.sample(3, random_state=0), plain.sample(3, random_state=0)
    )


def test_no_white_codes_are_nearer_to_the_codes(X):
    codes = fitted(X).transform(X)
    white = fitted(X, whiten=True).transform(X)

    def agreement(candidate):
        return sum(np.corrcoef(codes[:, i], candidate[:, i])[0, 1] for i in range(5))

    rng = np.random.default_rng(0)
    best = agreement(white)
    assert agreement(PCA(whiten=True).fit_transform(codes)) < best
    for _ in range(100):
        turn = np.linalg.qr(np.eye(5) + 0.3 * rng.normal(size=(5, 5)))[0]
        turn *= np.sign(turn.diagonal())
        assert agreement(white @ turn) < best


def test_codes_that_do_not_vary_are_whitened_to_zero(X):
    few = X[:4]
    est = fitted(few, 8, whiten=True, tol=0.02)
    codes = est.transform(few)
    values = np.linalg.eigvalsh(codes.T @ codes / len(few))
    np.testing.assert_allclose(values[-3:], 1, atol=1e-6)
    np.testing.assert_allclose(values[:-3], 0, atol=1e-6)
    plain = fitted(few, 8, tol=0.02)
    np.testing.assert_allclose(
        est.inverse_transform(codes),
        plain.inverse_transform(plain.transform(few)),
        atol=1e-6,
    )


def test_white_codes_of_windows_spectra_and_pieces(X):
    windowed = fitted(X, 6, windows=3, whiten=True)
    plain = fitted(X, 6, windows=3)
    np.testing.assert_allclose(
        windowed.inverse_transform(windowed.transform(X)),
        plain.inverse_transform(plain.transform(X)),
        atol=1e-6,
    )
    options = {"transform_stft_weight": 0.5, "stft_window": 6}
    np.testing.assert_allclose(
        *(
            est.inverse_transform(est.transform(X))
            for est in (fitted(X, whiten=whiten, **options) for whiten in (True, False))
        ),
        atol=1e-6,
    )
    pieces = SpectralDictionaryLearning(5, modulation=None, whiten=True)
    for rows in np.array_split(X, 3):
        pieces.partial_fit(rows)
    np.testing.assert_allclose(
        np.cov(pieces.transform(X).T, bias=True), np.eye(5), atol=1e-9
    )


# Defaults and conventions


def test_the_atoms_of_images_are_plane_waves(X):
    image = fitted(X, signal_shape=SHAPE)
    np.testing.assert_array_equal(
        image.components_,
        fitted(X, signal_shape=SHAPE, atoms="plane_wave").components_,
    )
    assert image.wave_vectors_.shape == (5, 2)
    for shape in (None, (12,)):
        signal = fitted(X, signal_shape=shape)
        assert not hasattr(signal, "wave_vectors_")
        np.testing.assert_array_equal(
            signal.components_, fitted(X, atoms="sinusoid").components_
        )


def test_in_a_pipeline_the_new_methods_are_reached(X):
    model = make_pipeline(StandardScaler(), SpectralDictionaryLearning(5))
    model.set_output(transform="pandas").fit(X)
    assert model.transform(X[:2]).columns[0] == "spectraldictionarylearning0"
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("method", ["get_covariance", "get_precision"])
def test_an_unfitted_estimator_has_no_covariance(method):
    with pytest.raises(NotFittedError):
        getattr(SpectralDictionaryLearning(), method)()


@pytest.mark.parametrize("unit", [1e-310, 1e308])
def test_the_unit_of_the_weights_of_a_score_is_no_matter(X, unit):
    est, weights = fitted(X), np.arange(len(X)) % 3 / 2
    score = est.score(X, sample_weight=weights)
    assert est.score(X, sample_weight=unit * weights) == pytest.approx(score)


@pytest.mark.parametrize("prior", [KernelDensity(), GaussianMixture(2)])
def test_one_row_more_is_enough_where_moments_are(X, prior):
    est = fitted(X, prior=prior)
    before = dict(vars(est))
    with pytest.raises(ValueError, match="partial_fit of one row needs a prior that"):
        est.partial_fit(X[:1])
    assert vars(est) == before
    assert est.set_params(prior=None).partial_fit(X[:1]).n_samples_seen_ == len(X) + 1
