import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from skspectral.gaussian import Gaussian, LinearObservation, Mixture
from skspectral.gaussian.observation import rows_by_missing_entries

T, V = 7, 0.3


def mixture_of(*pairs):
    weights, parts = zip(*pairs, strict=True)
    return Mixture(np.array(weights), parts)


class Entries:
    """The model x = mean + z axes + noise, of which some entries are observed."""

    def __init__(self, mean, axes, mixture, noise_variance=V):
        self.mean, self.axes, self.noise_variance = mean, axes, noise_variance
        self.mixture = mixture_of(*mixture)

    def given(self, seen):
        observation = LinearObservation(self.axes[:, seen].T, self.noise_variance)
        return Given(self, seen, observation.factorise(self.mixture))


class Given:
    """Distribution of the missing entries of the model given the others."""

    def __init__(self, model, seen, factorisation):
        self.model, self.factorisation = model, factorisation
        self.seen_mean, self.mean = model.mean[seen], model.mean[~seen]
        self.axes = model.axes[:, ~seen]

    def mean_and_variance(self, seen):
        posterior = self.factorisation.condition(seen - self.seen_mean)
        variance = posterior.variance(self.axes) + self.model.noise_variance
        return self.mean + posterior.mean(self.axes), variance

    def draw(self, seen, n_samples, stream):
        posterior = self.factorisation.condition(seen - self.seen_mean)
        noise = self.model.noise_variance
        return self.mean + posterior.draw(n_samples, stream, self.axes, noise)


def random_mixture(rng, n_codes, n_components, rank):
    mixture = []
    for weight in rng.dirichlet(np.ones(n_components)):
        A = rng.normal(size=(n_codes, n_codes))
        normal = Gaussian.from_covariance(rng.normal(size=n_codes), A @ A.T)
        mixture.append((weight, normal.flattened(min(rank, n_codes))))
    return mixture


class Dense:
    """The reference: dense T x T matrices, one row at a time."""

    def __init__(self, mean, axes, mixture):
        self.parts = [
            (
                weight,
                mean + normal.mean @ axes,
                axes.T @ normal.covariance @ axes + V * np.eye(T),
            )
            for weight, normal in mixture
        ]

    def given(self, row):
        """Return weights, means and covariances of the missing entries."""
        o, m = ~np.isnan(row), np.isnan(row)
        conditioned = []
        for weight, mean, S in self.parts:
            gain = S[np.ix_(m, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            density = (
                multivariate_normal(mean[o], S[np.ix_(o, o)]).pdf(row[o])
                if o.any()
                else 1
            )
            conditioned.append(
                (
                    weight * density,
                    mean[m] + gain @ (row[o] - mean[o]),
                    S[np.ix_(m, m)] - gain @ S[np.ix_(o, m)],
                )
            )
        total = sum(weight for weight, _, _ in conditioned)
        return [(weight / total, *rest) for weight, *rest in conditioned]

    def mean_and_covariance(self, row):
        parts = self.given(row)
        mean = sum(weight * centre for weight, centre, _ in parts)
        second = sum(weight * (S + np.outer(c, c)) for weight, c, S in parts)
        return mean, second - np.outer(mean, mean)


@pytest.fixture(params=[2, 5, 7], ids="K={}".format)
def n_codes(request):
    return request.param


@pytest.fixture(params=[(1, 9), (3, 9), (2, 1)], ids="M,rank={}".format)
def model(request, n_codes):
    """The model, its dense form, and rows with all kinds of gaps."""
    rng = np.random.default_rng(0)
    mean, axes = rng.normal(size=T), np.linalg.qr(rng.normal(size=(T, n_codes)))[0].T
    mixture = random_mixture(rng, n_codes, *request.param)
    return (
        Entries(mean, axes, mixture),
        Dense(mean, axes, mixture),
    )


def law_and_seen(model, row):
    seen = ~np.isnan(row)
    return model.given(seen), row[None, seen]


@pytest.mark.parametrize("n_missing", [1, 3, 6, 7])
def test_mean_and_variance_are_those_of_the_joint_gaussian(model, n_missing):
    sparse, dense = model
    rng = np.random.default_rng(1)
    for _ in range(3):
        row = rng.normal(size=T)
        row[rng.permutation(T)[:n_missing]] = np.nan
        law, seen = law_and_seen(sparse, row)
        mean, variance = law.mean_and_variance(seen)
        expected, covariance = dense.mean_and_covariance(row)
        np.testing.assert_allclose(mean[0], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(variance[0], np.diag(covariance), rtol=1e-8)


@pytest.mark.parametrize("n_missing", [2, 5])
def test_draws_have_the_moments_of_the_joint_gaussian(model, n_missing):
    sparse, dense = model
    row = np.random.default_rng(2).normal(size=T)
    row[:n_missing] = np.nan
    law, seen = law_and_seen(sparse, row)
    n = 20_000
    drawn = law.draw(seen, n, np.random.default_rng(3))[:, 0]
    mean, covariance = dense.mean_and_covariance(row)
    spread = np.sqrt(np.diag(covariance))
    # Five standard errors; those of a covariance allow for tails up to twice as heavy.
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / n**0.5).all()
    error = np.abs(np.cov(drawn.T) - covariance)
    assert (error < 10 * np.outer(spread, spread) * (2 / n) ** 0.5).all()


def test_rows_do_not_matter_to_each_other(model):
    sparse, _ = model
    rows = np.random.default_rng(4).normal(size=(4, T))
    seen = np.arange(T) != 2
    law = sparse.given(seen)
    together = law.mean_and_variance(rows[:, seen])
    for i, row in enumerate(rows):
        alone = law.mean_and_variance(row[None, seen])
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_[i], rtol=1e-9)


def test_by_integration():
    """Two entries, one code, two components: the missing entry, by quadrature."""
    mixture = [
        (0.4, Gaussian.from_covariance(np.array([-1.0]), np.array([[0.5]]))),
        (0.6, Gaussian.from_covariance(np.array([2.0]), np.array([[1.5]]))),
    ]
    axes = np.array([[0.6, 0.8]])
    model = Entries(np.zeros(2), axes, mixture)
    law, x = model.given(np.array([True, False])), 0.7
    mean, variance = law.mean_and_variance(np.array([[x]]))

    def joint(z):
        prior = 0.4 * norm.pdf(z, -1, 0.5**0.5) + 0.6 * norm.pdf(z, 2, 1.5**0.5)
        return prior * norm.pdf(x, 0.6 * z, V**0.5)

    def moment(power):
        return quad(lambda z: z**power * joint(z), -15, 15, epsabs=1e-12)[0]

    z = moment(1) / moment(0)
    assert mean.item() == pytest.approx(0.8 * z)
    spread = 0.64 * (moment(2) / moment(0) - z**2) + V
    assert variance.item() == pytest.approx(spread)


def test_tiny_noise_is_no_trouble():
    """If the noise is as small as rounding, the observed entries determine the rest."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(40, 6)))[0].T
    mixture = [(1.0, Gaussian(np.zeros(6), np.eye(6), 10.0 ** -np.arange(6)))]
    x = rng.normal(size=6) * 10.0 ** (-np.arange(6) / 2) @ axes
    seen = rng.random(40) < 0.5
    model = Entries(np.zeros(40), axes, mixture, 1e-14)
    mean, variance = model.given(seen).mean_and_variance(x[None, seen])
    np.testing.assert_allclose(mean[0], x[~seen], atol=1e-5)
    assert (variance < 1e-9).all()


@pytest.mark.parametrize("n_seen", [0, 1, 5])
def test_a_component_without_variance(n_seen):
    """A component without variance: the samples contain noise only."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0].T
    still = Gaussian(np.ones(3), np.eye(3), np.zeros(3))
    model = Entries(np.zeros(6), axes, [(1.0, still)])
    seen = np.arange(6) < n_seen
    law, x = model.given(seen), np.full((2, n_seen), 7.0)
    mean, variance = law.mean_and_variance(x)
    np.testing.assert_allclose(mean, [axes.sum(0)[~seen]] * 2)
    np.testing.assert_allclose(variance, V)
    assert law.draw(x, 4, np.random.default_rng(0)).shape == (4, 2, 6 - n_seen)


def test_rows_by_missing_entries():
    missing = np.random.default_rng(0).random((50, 3)) < 0.5
    seen_rows = []
    masks = []
    for rows, mask in rows_by_missing_entries(missing):
        assert (missing[rows] == mask).all()
        seen_rows.extend(rows)
        masks.append(tuple(mask))
    assert len(set(masks)) == len(masks)
    assert sorted(seen_rows) == list(np.flatnonzero(missing.any(1)))
    assert list(rows_by_missing_entries(np.zeros((3, 4), dtype=bool))) == []


@pytest.mark.parametrize("noise", [0.4, 2.0])
@pytest.mark.parametrize("rank", [2, 9])
def test_without_an_operator_it_is_the_identity(noise, rank):
    """The eigenvectors give the same result as the matrix, and draws its moments."""
    rng = np.random.default_rng(0)
    mixture, y = mixture_of(*random_mixture(rng, 5, 3, rank)), rng.normal(size=(4, 5))
    found = LinearObservation(None, noise).condition(mixture, y, removed=0.3)
    clean, functions = mixture.without_noise(0.3), rng.normal(size=(5, 2))
    for matrix in (noise, noise * np.eye(5)):
        same = LinearObservation(np.eye(5), matrix).condition(clean, y)
        for ours, expected in (
            (found.log_evidence, same.log_evidence),
            (found.mean(), same.mean()),
            (found.mean(functions), same.mean(functions)),
            (found.variance(), same.variance()),
            (found.variance(functions), same.variance(functions)),
        ):
            np.testing.assert_allclose(ours, expected, rtol=1e-6)
    n = 20_000
    drawn = found.draw(n, np.random.default_rng(1), functions)
    spread = found.variance(functions) ** 0.5
    assert drawn.shape == (n, 4, 2)
    assert (np.abs(drawn.mean(0) - found.mean(functions)) < 5 * spread / n**0.5).all()
    np.testing.assert_allclose(drawn.std(0), spread, rtol=0.05)


def test_variances_of_rows_with_noise_of_their_own_are_refused():
    mixture = mixture_of((1.0, Gaussian.from_covariance(np.zeros(2), np.eye(2))))
    observation = LinearObservation(None, np.array([[0.1], [0.2]]))
    posterior = observation.condition(mixture, np.ones((2, 2)))
    np.testing.assert_allclose(posterior.mean()[:, 0], [1 / 1.1, 1 / 1.2])
    with pytest.raises(ValueError, match="the same noise in all rows"):
        posterior.variance()


def test_moments_of_a_mixture():
    rng = np.random.default_rng(0)
    mixture = mixture_of(*random_mixture(rng, 3, 4, 9))
    drawn = mixture.draw(200_000, rng)
    scale = np.diag(mixture.covariance).max()
    np.testing.assert_allclose(drawn.mean(0), mixture.mean, atol=0.02 * scale**0.5)
    np.testing.assert_allclose(np.cov(drawn.T), mixture.covariance, atol=0.03 * scale)
