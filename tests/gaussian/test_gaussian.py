import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture as ScikitLearns

from skspectral.gaussian import Gaussian, Mixture
from skspectral.gaussian.gaussian import flattest, n_parameters
from skspectral.priors import GaussianMixture
from skspectral.priors.third_party import mixture_of as of_scikit_learn

K = 5


def mixture_of(*pairs):
    weights, parts = zip(*pairs, strict=True)
    return Mixture(np.array(weights), parts)


def random_normal(rng, rank=K):
    """A Gaussian, of low rank plus white noise if the rank is less than K."""
    A = rng.normal(size=(K, K))
    normal = Gaussian.from_covariance(rng.normal(size=K), A @ A.T + 0.1 * np.eye(K))
    return normal.flattened(rank)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_of_a_covariance(rng):
    A = rng.normal(size=(K, K))
    normal = Gaussian.from_covariance(np.zeros(K), A @ A.T)
    np.testing.assert_allclose(normal.covariance, A @ A.T)
    assert (np.diff(normal.values) <= 0).all()


@pytest.mark.parametrize("rank", [0, 2, 4, 5])
def test_density_is_scipys(rng, rank):
    normal, X = random_normal(rng, rank), rng.normal(size=(20, K))
    for noise in (0.0, 0.7):
        covariance = normal.covariance + noise * np.eye(K)
        expected = multivariate_normal(normal.mean, covariance).logpdf(X)
        np.testing.assert_allclose(normal.log_density(X, noise), expected, rtol=1e-10)
    assert normal.log_determinant == pytest.approx(
        np.linalg.slogdet(normal.covariance)[1]
    )


@pytest.mark.parametrize("rank", [0, 2, 5])
def test_each_row_with_a_noise_of_its_own(rng, rank):
    normal, X = random_normal(rng, rank), rng.normal(size=(6, K))
    noise = rng.uniform(0.1, 2, size=(6, 1))
    removed = np.minimum(noise, 0.5)
    each = [
        normal.log_density(x[None], float(n[0]), float(r[0]))[0]
        for x, n, r in zip(X, noise, removed, strict=True)
    ]
    np.testing.assert_allclose(normal.log_density(X, noise, removed), each)


@pytest.mark.parametrize("rank", [0, 2, 5])
@pytest.mark.parametrize("removed", [0.0, 0.3])
def test_posterior_mean_is_that_of_the_joint_gaussian(rng, rank, removed):
    normal, X = random_normal(rng, rank), rng.normal(size=(4, K))
    values, vectors = np.linalg.eigh(normal.covariance)
    clean = (vectors * np.maximum(values - removed, 0)) @ vectors.T
    gain = clean @ np.linalg.inv(clean + 0.4 * np.eye(K))
    expected = normal.mean + (X - normal.mean) @ gain.T
    np.testing.assert_allclose(normal.posterior_mean(X, 0.4, removed), expected)


def test_without_noise_the_posterior_mean_is_what_is_seen(rng):
    X = rng.normal(size=(3, K))
    normal = Gaussian(np.zeros(K), np.eye(K)[:, :2], np.array([1.0, 0.0]))
    np.testing.assert_allclose(normal.posterior_mean(X, 0.0), X)


@pytest.mark.parametrize("rank", [0, 2, 5])
def test_root(rng, rank):
    normal = random_normal(rng, rank)
    np.testing.assert_allclose(normal.root @ normal.root.T, normal.covariance)


def test_map(rng):
    normal, matrix, offset = random_normal(rng, 2), rng.normal(size=(4, K)), np.ones(4)
    mapped = normal.mapped(matrix, offset)
    np.testing.assert_allclose(mapped.mean, offset + matrix @ normal.mean)
    expected = matrix @ normal.covariance @ matrix.T
    np.testing.assert_allclose(mapped.covariance, expected)


@pytest.mark.parametrize("rank", range(K))
def test_flattened_is_the_likeliest_choice_of_directions(rng, rank):
    """The choice is the best among all subsets of directions, not only neighbours."""
    for _ in range(5):
        values = np.sort(rng.gamma(1.0, size=K))[::-1]

        def log_determinant(kept, values=values):
            rest = np.delete(values, kept).mean()
            return np.log(values[list(kept)]).sum() + (K - rank) * np.log(rest)

        best = min(map(log_determinant, itertools.combinations(range(K), rank)))
        assert flattest(values, rank)[1] == pytest.approx(best)
        flat = Gaussian(np.zeros(K), np.eye(K), values).flattened(rank)
        assert flat.log_determinant == pytest.approx(best)
        assert np.trace(flat.covariance) == pytest.approx(values.sum())


def test_directions_without_variance_are_never_kept():
    for scale in (1e-3, 1.0, 1e3):
        values = scale * np.array([3.0, 2.0, 1.0, 0.0, 0.0])
        start, log_determinant = flattest(values, 2)
        assert start == 2
        expected = np.log(6) + 3 * np.log(1 / 3) + 5 * np.log(scale)
        assert log_determinant == pytest.approx(expected)


def test_components_agree_where_nothing_varies(rng):
    """Directions without variance change the densities of all samples equally."""
    loud, quiet = (
        (0.5, Gaussian.from_covariance(np.zeros(3), scale * np.diag([3.0, 2.0, 1.0])))
        for scale in (1e4, 1e-4)
    )
    X = rng.normal(size=(50, 3)) * rng.choice([100, 0.01], size=(50, 1))
    axes = np.linalg.qr(rng.normal(size=(6, 3)))[0]
    inside = mixture_of(loud, quiet).log_density(X)
    wider = [(w, part.mapped(axes, np.zeros(6))) for w, part in (loud, quiet)]
    change = mixture_of(*wider).log_density(X @ axes.T) - inside
    np.testing.assert_allclose(change, change[0], rtol=1e-6)


def test_any_noise_makes_a_covariance_regular():
    normal = Gaussian.from_covariance(np.zeros(3), np.diag([1.0, 1e-20, 0.0]))
    X = np.array([[0.3, 1e-9, -1e-9]])
    expected = norm.logpdf(X, 0, np.sqrt([1, 1.01e-18, 1e-18])).sum()
    assert normal.log_density(X, 1e-18)[0] == pytest.approx(expected, abs=1e-6)


def test_free_parameters():
    """The count is the dimension of the tangent space of means and covariances."""
    for rank in (1, 2):
        n_codes = 4
        rng = np.random.default_rng(0)
        factor = rng.normal(size=(n_codes, rank))

        def covariance(x, n_codes=n_codes, rank=rank):
            W = x[:-1].reshape(n_codes, rank)
            return (W @ W.T + x[-1] * np.eye(n_codes)).ravel()

        x = np.append(factor.ravel(), 0.5)
        steps = 1e-6 * np.eye(len(x))
        tangents = [covariance(x + s) - covariance(x - s) for s in steps]
        free = np.linalg.matrix_rank(np.array(tangents), tol=1e-9)
        assert n_parameters(n_codes, rank) == n_codes + free
    assert n_parameters(4, 4) == 4 + 10


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.zeros((2, 2)), "zero"),
        (np.diag([1.0, -1.0]), "negative"),
        (np.full((2, 2), np.nan), "not finite"),
    ],
)
def test_what_is_no_covariance(covariance, message):
    with pytest.raises(ValueError, match=message):
        Gaussian.from_covariance(np.zeros(2), covariance)


def test_mixture_density_integrates_to_one(rng):
    mixture = [
        (
            0.3,
            Gaussian.from_covariance(
                np.array([0.0, 1.0]), np.array([[1.0, 0.6], [0.6, 0.7]])
            ),
        ),
        (0.7, Gaussian(np.array([1.0, -1.0]), np.eye(2)[:, :1], np.array([0.5]), 0.2)),
    ]

    # A sum over a grid this fine is exact up to rounding for so smooth a density.
    x, step = np.linspace(-10, 10, 401, retstep=True)
    points = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    density = np.exp(mixture_of(*mixture).log_density(points))
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-10)


def test_draws_have_the_moments_of_the_mixture(rng):
    mixture = [(0.2, random_normal(rng, 2)), (0.8, random_normal(rng))]
    n = 20_000
    drawn = mixture_of(*mixture).draw(n, np.random.default_rng(1))
    mean = sum(weight * normal.mean for weight, normal in mixture)
    second = sum(
        weight * (normal.covariance + np.outer(normal.mean, normal.mean))
        for weight, normal in mixture
    )
    covariance = second - np.outer(mean, mean)
    spread = np.sqrt(np.diag(covariance))
    # Five standard errors of a mean; those of a covariance allow for tails up to twice
    # as heavy as those of a Gaussian.
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / n**0.5).all()
    error = np.abs(np.cov(drawn.T) - covariance)
    assert (error < 10 * np.outer(spread, spread) * (2 / n) ** 0.5).all()


def test_draws_come_in_random_order():
    far = [
        (0.5, Gaussian.from_covariance(np.full(2, shift), np.eye(2)))
        for shift in (-50.0, 50.0)
    ]
    above = mixture_of(*far).draw(200, np.random.default_rng(0))[:, 0] > 0
    assert 60 < above.sum() < 140
    assert 20 < above[:100].sum() < 80


def test_components_are_weighted(rng):
    mixture = [(0.2, random_normal(rng)), (0.8, random_normal(rng, 1))]
    X = rng.normal(size=(7, K))
    expected = logsumexp(
        [
            np.log(weight) + multivariate_normal(part.mean, part.covariance).logpdf(X)
            for weight, part in mixture
        ],
        axis=0,
    )
    np.testing.assert_allclose(mixture_of(*mixture).log_density(X), expected)


class TestResponsibilities:
    @pytest.fixture
    def X(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(200, 3)) + 2 * rng.integers(2, size=(200, 1))

    @pytest.mark.parametrize("kind", ["full", "diag"])
    def test_are_scikit_learns(self, X, kind):
        fitted = ScikitLearns(2, covariance_type=kind, random_state=0).fit(X)
        found = of_scikit_learn(fitted).responsibilities(X)
        np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-10)

    def test_with_noise(self, X):
        """The reference is the density of the sum; noise per row, partly removed."""
        mixture = of_scikit_learn(ScikitLearns(2, random_state=0).fit(X))
        noise = np.random.default_rng(1).random((200, 1))
        found = mixture.responsibilities(X, noise, 0.1)
        for x, variance, shares in zip(X[:20], noise, found, strict=False):
            joint = [
                weight
                * multivariate_normal(
                    part.mean, part.covariance + (variance - 0.1) * np.eye(3)
                ).pdf(x)
                for weight, part in mixture
            ]
            np.testing.assert_allclose(shares, np.array(joint) / sum(joint))

    @pytest.mark.parametrize("noise", [0.0, 0.3])
    @pytest.mark.parametrize("kind", ["full", "low_rank"])
    def test_of_whitened_mixtures(self, X, noise, kind):
        prior = GaussianMixture(2, covariance=kind, rank=1).fit(X)
        mixture = prior.mixture()
        plain = Mixture(mixture.weights, mixture.components)
        np.testing.assert_allclose(
            mixture.responsibilities(X, noise),
            plain.responsibilities(X, noise),
            atol=1e-9,
        )
        if noise == 0:
            np.testing.assert_array_equal(
                prior.predict_proba(X), mixture.responsibilities(X)
            )
            np.testing.assert_array_equal(
                prior.predict(X), prior.predict_proba(X).argmax(1)
            )

    @pytest.mark.parametrize("whitened", [False, True])
    def test_what_is_outside_the_span_tells_nothing(self, X, whitened):
        axes = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))[0]
        wide = X @ axes[:3]
        away = np.random.default_rng(1).normal(size=(200, 6)) @ axes[3:]
        mixture = GaussianMixture(2).fit(wide).mixture()
        if not whitened:
            mixture = Mixture(mixture.weights, mixture.components)
        np.testing.assert_allclose(
            mixture.responsibilities(wide + 1e3 * away),
            mixture.responsibilities(wide),
            atol=1e-8,
        )


@pytest.mark.parametrize("rank", [1, 2])
def test_ties_between_variances_are_not_broken_by_rounding(rank):
    """The result does not depend on the eigenvectors of equal variances."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    values = np.array([1.3, 1.3, 1.3, 0.4, 0.4, 0.4])
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    other = np.column_stack([vectors[:, :3], vectors[:, 3:] @ turned])
    one, two, short = (
        Gaussian(np.zeros(6), axes, variances, 0.4).flattened(rank).covariance
        for axes, variances in (
            (vectors, values),
            (other, values),
            (vectors[:, :4], values[:4]),
        )
    )
    assert np.linalg.eigvalsh(one)[0] == pytest.approx(0.4)
    np.testing.assert_allclose(two, one, atol=1e-7)
    np.testing.assert_allclose(short, one, atol=1e-7)


def test_scaled():
    rng = np.random.default_rng(0)
    X, shift = rng.normal(size=(5, 4)), rng.normal(size=4)
    low = Gaussian.from_eigenvectors(
        rng.normal(size=4), np.linalg.qr(rng.normal(size=(4, 2)))[0], np.ones(2), 0.3
    )
    mixture = Mixture(np.ones(1), (low,)).scaled(3.0, shift)
    expected = multivariate_normal(shift + 3 * low.mean, 9 * low.covariance).logpdf(X)
    np.testing.assert_allclose(mixture.log_density(X), expected)
