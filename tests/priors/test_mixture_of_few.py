"""Components with fewer samples than codes are fitted without K x K matrices."""

import itertools
import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from skspectral._random import standard_normal
from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior
from skspectral.priors.components import CovarianceModel, SufficientStatistics

K = 40


@pytest.fixture
def codes():
    """Groups of 8 to 32 samples, of different shapes, partly mixed."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(K, K))
    parts = [
        (rng.normal(size=(n, K)) * rng.gamma(1.0, size=K) + rng.normal(size=K)) @ common
        for n in (8, 11, 14, 32)
    ]
    return np.concatenate(parts)


def fits(prior, monkeypatch, *args, **kwargs):
    """Return fits by rows, by covariances, and by the method that is chosen."""
    found = []
    for few in (100.0, 0.0, 0.5):
        monkeypatch.setattr("skspectral.priors.components._FEW", few)
        found.append(prior.__class__(**prior.get_params()).fit(*args, **kwargs))
    return found


def assert_same_law(one, two, X):
    np.testing.assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-8)
    np.testing.assert_allclose(one.weights_, two.weights_, rtol=1e-6)
    np.testing.assert_allclose(one.means_, two.means_, rtol=1e-6, atol=1e-8)
    scale = np.abs(two.covariances_).max()
    np.testing.assert_allclose(one.covariances_, two.covariances_, atol=1e-8 * scale)
    np.testing.assert_allclose(one.score_samples(X), two.score_samples(X), rtol=1e-7)


@pytest.mark.parametrize(
    ("covariance", "shrinkage"),
    [
        *itertools.product(["full", "diag"], [0.02, 0.5, 5.0]),
        # With less shrinkage, the three directions include some without variance, which
        # are arbitrary.
        *itertools.product(["low_rank"], [0.5, 5.0]),
    ],
)
def test_by_rows_or_by_covariances(codes, covariance, shrinkage, monkeypatch):
    prior = GaussianMixture(5, covariance=covariance, rank=3, shrinkage=shrinkage)
    thin, dense, mixed = fits(prior, monkeypatch, codes)
    assert_same_law(thin, dense, codes)
    assert_same_law(mixed, dense, codes)


def test_weights_and_repeated_rows(codes, monkeypatch):
    weights = np.random.default_rng(1).integers(0, 4, size=len(codes))
    prior = GaussianMixture(4, shrinkage=0.1)
    weighted = fits(prior, monkeypatch, codes, sample_weight=weights)
    repeated = fits(prior, monkeypatch, np.repeat(codes, weights, axis=0))
    for one in weighted + repeated[1:]:
        assert_same_law(one, repeated[0], codes)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_what_is_fitted_to_few_rows(n):
    """Covariance and target agree with the formula, also without any rows."""
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(20, K)), rng.uniform(0.1, 2, size=n)
    before = Gaussian(rng.normal(size=K), np.eye(K)[:, :2], np.array([3.0, 0.2]), 0.7)
    statistics = SufficientStatistics(X, before.mean)
    statistics.add(np.arange(n), weights)
    normal = statistics.fit(CovarianceModel("full", 0, 4.0), before)
    assert normal.vectors.shape == (K, n)
    mean = weights @ X[:n] / weights.sum() if n else before.mean
    np.testing.assert_allclose(normal.mean, mean)
    scatter = (weights[:, None] * (X[:n] - mean)).T @ (X[:n] - mean)
    scale = K / np.trace(np.linalg.inv(before.covariance))
    expected = scatter + (4.0 * scale + 0.01) * np.eye(K)
    expected /= weights.sum() + 4.0 + 0.01
    np.testing.assert_allclose(normal.covariance, expected, atol=1e-12)
    np.testing.assert_allclose(normal.vectors.T @ normal.vectors, np.eye(n), atol=1e-12)


def test_a_component_that_loses_its_samples_goes_on(codes):
    """Two components at one position compete for its samples."""
    X = np.concatenate([codes, np.repeat(codes[:1], 5, axis=0) + 100])
    prior = GaussianMixture(12, shrinkage=0.02, max_iter=50, tol=1e-6).fit(X)
    assert prior.weights_.sum() == pytest.approx(1)
    assert (np.diff(prior.lower_bounds_) > -1e-8).all()
    assert np.isfinite(prior.score_samples(X)).all()
    assert np.isfinite(prior.sample(500, random_state=0)).all()


def test_without_shrinkage_few_rows_are_singular_as_ever(codes, monkeypatch):
    prior = GaussianMixture(3, shrinkage=0.0, tol=1e6)
    thin, dense, _ = fits(prior, monkeypatch, codes)
    assert_same_law(thin, dense, codes)
    far = np.concatenate([codes, codes[:1] + 1e3])
    with pytest.raises(ValueError, match="of 1 samples, has no variance"):
        GaussianMixture(2, shrinkage=0.0).fit(far)


@pytest.mark.parametrize("rank", range(K))
@pytest.mark.parametrize("rest", [1e-3, 0.5])
def test_flattening_what_is_thin_already(rank, rest):
    """The result equals that from the full covariance."""
    rng = np.random.default_rng(rank)
    axes = np.linalg.qr(rng.normal(size=(K, 5)))[0]
    values = rest + np.sort(rng.gamma(1.0, size=5))[::-1]
    thin = Gaussian(rng.normal(size=K), axes, values, rest)
    whole = Gaussian.from_covariance(thin.mean, thin.covariance).flattened(rank)
    found = thin.flattened(rank)
    assert found.log_determinant == pytest.approx(whole.log_determinant)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(found.covariance), np.linalg.eigvalsh(whole.covariance)
    )


def test_small_directions_of_the_rest_may_be_kept():
    """If most variances are large and equal, they become the rest."""
    values = np.array([5.0, 5.0, 5.0, 5.0])
    thin = Gaussian(np.zeros(6), np.eye(6)[:, :4], values, 0.01)
    np.testing.assert_allclose(thin.flattened(2).covariance, thin.covariance)
    assert thin.flattened(2).rest == pytest.approx(5.0)


@pytest.mark.parametrize("rank", [0, 2, K])
def test_draws_are_noise_through_the_root(rank):
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(K, K)))[0][:, :rank]
    normal = Gaussian(rng.normal(size=K), axes, rng.gamma(1.0, size=rank), 0.3)
    drawn = normal.draw(50, np.random.default_rng(1))
    noise = standard_normal(np.random.default_rng(1), 50, K)
    np.testing.assert_allclose(drawn, normal.mean + noise @ normal.root.T, atol=1e-12)


@pytest.mark.parametrize("n_varying", [K, 25])
def test_density_is_that_of_the_components(codes, n_varying):
    """This also holds if codes vary in a subspace, and outside of the subspace."""
    axes = np.linalg.qr(np.random.default_rng(2).normal(size=(K, n_varying)))[0]
    X = codes[:, :n_varying] @ axes.T
    prior = GaussianMixture(6, shrinkage=0.05).fit(X)
    off = X + 1e-7 * np.random.default_rng(3).normal(size=X.shape)
    for points in (X, off):
        found = prior.score_samples(points)
        components = prior.mixture()
        plain = Mixture(components.weights, components.components)
        expected = plain.log_density(points, components.floor)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    if n_varying == K:
        expected = sum(
            share * multivariate_normal(mean, covariance).pdf(X)
            for share, mean, covariance in zip(
                prior.weights_, prior.means_, prior.covariances_, strict=True
            )
        )
        np.testing.assert_allclose(prior.score_samples(X), np.log(expected))


@pytest.mark.parametrize("numbers", [0, 700, 10**6])
def test_densities_in_products_of_any_size(numbers, monkeypatch):
    """Components have large and small variances, different means and any rank."""
    rng = np.random.default_rng(0)
    X, mixture = [], []
    for rank, scale in ((0, 1.0), (5, 1e-3), (K, 0.1), (11, 100.0), (2, 1.0)):
        axes = np.linalg.qr(rng.normal(size=(K, K)))[0][:, :rank]
        mean, values = 30 * rng.normal(size=K), scale * rng.gamma(1.0, size=rank)
        mixture.append((0.2, Gaussian(mean, axes, values, 0.1 * scale)))
        X.append(mixture[-1][1].draw(20, rng))
    X = np.concatenate(X)
    expected = logsumexp(
        [
            np.log(share) + multivariate_normal(part.mean, part.covariance).logpdf(X)
            for share, part in mixture
        ],
        axis=0,
    )
    parts = tuple(part for _, part in mixture)
    monkeypatch.setattr("skspectral.gaussian.mixture._PRODUCT_ENTRIES", numbers)
    np.testing.assert_allclose(
        Mixture(np.full(5, 0.2), parts).log_density(X), expected, rtol=1e-8
    )


def test_components_of_less_variance_than_rounding():
    """Variances are raised to the rounding error of the largest variance."""
    rng = np.random.default_rng(0)
    scales = np.logspace(0, -6.2, K)
    X = rng.normal(size=(40, K)) * scales
    prior = GaussianMixture(4, shrinkage=0.02).fit(X)
    components = prior.mixture()
    assert min(normal.values.min() for _, normal in components) < components.floor
    plain = Mixture(components.weights, components.components)
    expected = plain.log_density(X, components.floor)
    np.testing.assert_allclose(prior.score_samples(X), expected)


def test_draws_have_the_moments_of_the_components(codes):
    prior = GaussianMixture(5, shrinkage=0.05).fit(codes)
    n = 20_000
    drawn = prior.sample(n, random_state=0)
    mean = prior.weights_ @ prior.means_
    centred = prior.means_ - mean
    covariance = np.einsum("k,kij->ij", prior.weights_, prior.covariances_)
    covariance += (prior.weights_[:, None] * centred).T @ centred
    spread = np.sqrt(np.diag(covariance))
    # Five standard errors of a mean, and ten of a Gaussian's covariance, because the
    # tails of a mixture may be heavier.
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / n**0.5).all()
    error = np.abs(np.cov(drawn.T) - covariance)
    assert (error < 10 * np.outer(spread, spread) * (2 / n) ** 0.5).all()


def test_covariances_are_made_when_asked_for(codes):
    """They are computed once, not pickled, and removed by another fit."""
    labels = np.arange(len(codes)) % 2
    prior = GaussianMixture(4, shrinkage=0.05)
    of_labels = ClassConditionalPrior(prior).fit(codes, labels)
    of_labels.sample(5, random_state=0)
    scores = of_labels.score_samples(codes)
    before = len(pickle.dumps(of_labels))
    components = of_labels.mixture()
    assert of_labels.mixture().components[0] is components.components[0]
    again = pickle.loads(pickle.dumps(of_labels))
    assert len(pickle.dumps(of_labels)) == before
    np.testing.assert_allclose(again.score_samples(codes), scores, rtol=1e-12)
    np.testing.assert_array_equal(
        again.sample(5, random_state=0), of_labels.sample(5, random_state=0)
    )
    for (_, one), (_, two) in zip(again.mixture(), components, strict=True):
        np.testing.assert_array_equal(one.covariance, two.covariance)
    found = prior.fit(codes).mixture().components[0].covariance
    other = prior.fit(2 * codes).mixture().components[0].covariance
    np.testing.assert_allclose(other, 4 * found)


def test_labels_of_few_samples_each():
    """Embedding in a larger space shifts all log-densities by the same number."""
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], 200)
    codes = rng.standard_t(3, size=(400, 3)) * np.where(y, 10.0, 0.1)[:, None]
    axes = np.linalg.qr(rng.normal(size=(6, 3)))[0]

    def scores(X):
        priors = [GaussianPrior(), GaussianMixture(2), GaussianMixture(3)]
        return [ClassConditionalPrior(p).fit(X, y).score_samples(X) for p in priors]

    inside, outside = np.array(scores(codes)), np.array(scores(codes @ axes.T))
    change = outside - inside
    np.testing.assert_allclose(change, change[0, 0], rtol=1e-5)
