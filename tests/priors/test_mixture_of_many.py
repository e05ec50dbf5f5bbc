"""Mixtures of many rows are fitted by products of coordinates, first on subsets."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import special_ortho_group
from sklearn.mixture import GaussianMixture as ScikitLearns

from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors import GaussianMixture
from skspectral.priors.components import CovarianceModel, SufficientStatistics
from skspectral.priors.quadratic import condition, expect_by_features
from skspectral.priors.warm_up import draw_subset, subset_sizes

PRECISION = {torch.float64: 1e-9, torch.float32: 1e-4}


@pytest.fixture
def codes():
    """Groups of different shapes, which overlap in part."""
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) + 3 * rng.normal(size=5)
        for n in (500, 300, 200)
    ]
    return np.concatenate(parts)


@pytest.fixture
def methods(monkeypatch):
    """Use features for any number of rows, and return the list of types used."""
    used = []

    def recorded(*args):
        used.append(args[-1])
        return expect_by_features(*args)

    monkeypatch.setattr("skspectral.priors.em._MANY_ROWS", 0)
    monkeypatch.setattr("skspectral.priors.em.expect_by_features", recorded)
    return used


def random_mixture(n_codes, ranks, rng, scale=1.0):
    parts = []
    for rank in ranks:
        axes = special_ortho_group.rvs(n_codes, random_state=rng)[:, :rank]
        values = scale * rng.gamma(2.0, size=rank) + 0.1 * scale
        parts.append(Gaussian(rng.normal(size=n_codes), axes, values, 0.2 * scale))
    return Mixture(rng.dirichlet(np.ones(len(ranks))), tuple(parts))


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("n_entries", [1, 2**22])
@pytest.mark.parametrize("n_codes", [1, 2, 17])
def test_one_iteration_is_that_of_the_components(
    dtype, n_entries, n_codes, monkeypatch
):
    """Densities and moments of components of any rank agree with their definitions."""
    monkeypatch.setattr("skspectral.priors.quadratic._ENTRIES", n_entries)
    monkeypatch.setattr("skspectral.priors.quadratic._LEAST_ROWS", 100)
    rng = np.random.default_rng(1)
    mixture = random_mixture(n_codes, [0, 1, n_codes, n_codes], rng)
    X = mixture.draw(1234, rng)
    weights = rng.gamma(1.0, size=len(X)) * rng.integers(0, 2, size=len(X))
    moments, total = expect_by_features(X, weights, mixture, 1e-10, dtype)
    joint = mixture.log_joint(X)
    density = logsumexp(joint, axis=1)
    assert total == pytest.approx(weights @ density, rel=PRECISION[dtype])
    shares = weights[:, None] * np.exp(joint - density[:, None])
    for k, part in enumerate(mixture.components):
        statistics = SufficientStatistics(X, part.mean)
        statistics.add(np.arange(len(X)), shares[:, k])
        model = CovarianceModel("full", 0, 3.0)
        expected, found = (each.fit(model, part) for each in (statistics, moments[k]))
        error = {"atol": PRECISION[dtype], "rtol": PRECISION[dtype]}
        assert moments[k].weight == pytest.approx(statistics.weight, rel=error["rtol"])
        np.testing.assert_allclose(found.mean, expected.mean, **error)
        np.testing.assert_allclose(found.covariance, expected.covariance, **error)


def test_weights_may_be_tiny_and_components_empty():
    rng = np.random.default_rng(2)
    mixture = random_mixture(3, [3, 3], rng)
    X = mixture.draw(200, rng)
    far = Gaussian(np.full(3, 1e3), np.eye(3), np.ones(3))
    three = Mixture(np.append(mixture.weights, 0.0), (*mixture.components, far))
    expected = expect_by_features(X, np.ones(200), mixture, 1e-10, torch.float32)
    found = expect_by_features(X, np.full(200, 1e-60), three, 1e-10, torch.float32)
    assert found[1] == pytest.approx(1e-60 * expected[1], rel=1e-6)
    for ours, theirs in zip(found[0][:2], expected[0], strict=True):
        scale = 1e60 * np.abs(ours.second).max()
        np.testing.assert_allclose(1e60 * ours.second, theirs.second, atol=1e-5 * scale)
    empty = found[0][2]
    assert empty.weight == 0
    kept = empty.fit(CovarianceModel("full", 0, 3.0), far)
    np.testing.assert_array_equal(kept.mean, far.mean)


@pytest.mark.parametrize("squeeze", [1.0, 1e-3, 1e-5])
def test_rounding_errors_are_below_their_bound(squeeze):
    """The bound is sharp enough to be useful: it is not a thousand times too large."""
    rng = np.random.default_rng(3)
    axes = special_ortho_group.rvs(10, random_state=rng)
    values = np.append(np.ones(9), squeeze)
    mixture = Mixture(np.ones(1), (Gaussian(np.ones(10), axes, values),))
    X = mixture.draw(3000, rng)
    exact = mixture.log_density(X)
    for dtype in PRECISION:
        errors = [
            expect_by_features(x[None], np.ones(1), mixture, 0.0, dtype)[1] - right
            for x, right in zip(X[:200], exact, strict=False)
        ]
        bound = torch.finfo(dtype).eps * condition(mixture)
        assert np.std(errors) < bound < 1000 * np.std(errors)


@pytest.mark.parametrize("shrinkage", [0.0, 2.0])
def test_both_methods_end_at_the_same_mixture(codes, shrinkage, methods, monkeypatch):
    options = {"shrinkage": shrinkage, "tol": 1e-9, "max_iter": 2000}
    found = GaussianMixture(3, **options).fit(codes)
    assert set(methods) == {torch.float64}
    monkeypatch.setattr("skspectral.priors.em._MANY_ROWS", 10**9)
    expected = GaussianMixture(3, **options).fit(codes)
    assert found.converged_
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, rtol=1e-9)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, rtol=1e-6)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-6)


def test_float32_serves_large_tolerances(codes, methods, monkeypatch):
    found = GaussianMixture(3).fit(codes)
    assert set(methods) == {torch.float32}
    monkeypatch.setattr("skspectral.priors.em._MANY_ROWS", 10**9)
    expected = GaussianMixture(3).fit(codes)
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, rtol=1e-5)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-3, atol=1e-3)
    assert found.score(codes) == pytest.approx(expected.score(codes), abs=1e-4)


def test_without_shrinkage_it_is_scikit_learns(codes, methods):
    ours = GaussianMixture(3, shrinkage=0.0, tol=1e-10, max_iter=999).fit(codes)
    assert methods
    theirs = ScikitLearns(
        3,
        weights_init=ours.weights_,
        means_init=ours.means_,
        precisions_init=np.linalg.inv(ours.covariances_),
        reg_covar=0,
        tol=1e-10,
    ).fit(codes)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-4)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-4)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-3)
    assert ours.lower_bounds_[-1] == pytest.approx(theirs.score(codes), rel=1e-8)


def test_weights_equal_repetition(codes, methods):
    weights = np.random.default_rng(0).integers(0, 4, size=len(codes))
    prior = GaussianMixture(3, tol=1e-6)
    weighted = prior.fit(codes, sample_weight=weights).score_samples(codes)
    repeated = prior.fit(np.repeat(codes, weights, axis=0)).score_samples(codes)
    assert methods
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


@pytest.mark.parametrize(
    ("distance", "last"),
    [(1e1, torch.float32), (1e4, torch.float64)],
)
def test_groups_far_apart_need_more_precision(distance, last, methods, monkeypatch):
    """Variances within groups are small, relative to those of all samples."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(600, 2)) + distance * rng.integers(3, size=(600, 1))
    found = GaussianMixture(3).fit(codes)
    assert methods[-1] == last
    monkeypatch.setattr("skspectral.priors.em._MANY_ROWS", 10**9)
    theirs = GaussianMixture(3).fit(codes)
    np.testing.assert_allclose(found.lower_bounds_, theirs.lower_bounds_, atol=1e-3)
    np.testing.assert_allclose(found.covariances_, theirs.covariances_, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_precision_rises_while_a_component_collapses(methods, monkeypatch):
    """Without shrinkage, the likelihood of samples on a line is unbounded."""
    rng = np.random.default_rng(0)
    line = rng.normal(size=(300, 1)) * [1.0, 1.0] + [0.0, 1e-7]
    codes = np.concatenate([rng.normal(size=(300, 2)), line])
    found = GaussianMixture(2, shrinkage=0.0).fit(codes)
    assert methods == sorted(methods, key=lambda dtype: dtype.itemsize)
    # Products of coordinates are too coarse for the last steps.
    assert len(methods) < len(found.lower_bounds_) + 1
    assert {*methods} == {torch.float32, torch.float64}
    monkeypatch.setattr("skspectral.priors.em._MANY_ROWS", 10**9)
    expected = GaussianMixture(2, shrinkage=0.0).fit(codes)
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, atol=1e-5)
    assert not found.converged_
    assert not expected.converged_


def test_other_covariances_do_without_products(codes, methods):
    for covariance in ("diag", "low_rank"):
        GaussianMixture(2, covariance=covariance, rank=1).fit(codes)
    assert not methods


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    shapes, means = rng.normal(size=(3, 2, 2)), 4 * rng.normal(size=(3, 2))
    group = np.sort(rng.integers(3, size=45_000))
    white = rng.normal(size=(45_000, 2))
    return np.einsum("nij,nj->ni", shapes[group], white) + means[group]


class Recorder:
    """Callback that notes the stages, and may stop the first of them."""

    def __init__(self, stops_at=None):
        self.told, self.stops_at = [], stops_at

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is not None:
            self.told.append((metadata["stage"], metadata["log_likelihood"]))
        return len(self.told) == self.stops_at


def test_many_rows_begin_with_a_subset(many):
    recorder = Recorder()
    prior = GaussianMixture(3, tol=1e-4).set_callbacks(recorder).fit(many)
    names = list(dict.fromkeys(name for name, _ in recorder.told))
    assert names == [
        "expectation maximisation on 20000 samples",
        "expectation maximisation",
    ]
    told = [bound for name, bound in recorder.told if name == names[1]]
    assert len(told) == len(prior.lower_bounds_) == prior.n_iter_ + 1
    assert prior.converged_
    assert (np.diff(prior.lower_bounds_) > -1e-4).all()
    assert prior.lower_bounds_[-1] == pytest.approx(prior.score(many), abs=1e-2)
    again = GaussianMixture(3, tol=1e-4, random_state=5).fit(many)
    np.testing.assert_array_equal(prior.means_, again.means_)
    theirs = ScikitLearns(3, random_state=0).fit(many)
    assert prior.score(many) == pytest.approx(theirs.score(many), abs=1e-3)


def test_a_stop_on_the_subset_ends_the_fit(many):
    recorder = Recorder(stops_at=2)
    prior = GaussianMixture(3, tol=0.0).set_callbacks(recorder).fit(many)
    assert len(recorder.told) == 2
    assert not prior.converged_
    assert len(prior.lower_bounds_) == prior.n_iter_ == 1
    assert prior.lower_bounds_[-1] == pytest.approx(prior.score(many), abs=1e-2)


def test_values_that_a_subset_lacks():
    """A subset of few different rows gives no start, and all rows give one."""
    codes = np.zeros((45_000, 2))
    codes[:2] = np.eye(2)
    prior = GaussianMixture(3).fit(codes)
    np.testing.assert_allclose(np.sort(prior.weights_)[:2], 1 / 45_000, rtol=0.1)
    with pytest.raises(ValueError, match="n_components=4 needs as many different"):
        GaussianMixture(4).fit(codes)


def test_subsets_represent_the_rows():
    rng = np.random.default_rng(0)
    weights = rng.gamma(0.5, size=5000) * rng.integers(0, 2, size=5000)
    weights[17] = weights.sum() / 10
    rows, drawn = draw_subset(weights, 1000)
    assert (np.diff(rows) > 0).all()
    assert (weights[rows] > 0).all()
    assert drawn.sum() == pytest.approx(1000 * weights.mean())
    share = drawn[rows == 17].sum() / drawn.sum()
    assert share == pytest.approx(weights[17] / weights.sum(), abs=2e-3)
    # The draws follow the weights along the rows, up to one draw.
    share = np.cumsum(np.bincount(rows, drawn, len(weights))) / drawn.sum()
    expected = np.cumsum(weights) / weights.sum()
    np.testing.assert_allclose(share, expected, atol=2.1e-3)
    plain, ones = draw_subset(np.ones(5000), 2500)
    assert len(plain) == 2500
    assert (ones == 1).all()


def test_sizes_of_subsets():
    assert subset_sizes(39_999, 6) == []
    assert subset_sizes(10**6, 200 * 63) == [63_000, 252_000]
    assert subset_sizes(100_000, 200 * 63) == []


@pytest.mark.parametrize("n_samples", [300, 12_000])
@pytest.mark.parametrize("covariance", ["full", "diag", "low_rank"])
def test_components_may_share_the_mean(n_samples, covariance):
    rng = np.random.default_rng(0)
    wide = rng.random(n_samples) < 0.5
    scale = np.where(wide[:, None], [1.0, 8.0, 1.0], [5.0, 0.5, 1.0])
    X = [3.0, -2.0, 1.0] + scale * rng.normal(size=(n_samples, 3))
    options = {"covariance": covariance, "rank": 2, "shrinkage": 0.1, "tol": 1e-4}
    prior = GaussianMixture(2, common_mean=True, **options).fit(X)
    np.testing.assert_allclose(prior.means_, [X.mean(0)] * 2, atol=1e-8)
    assert (np.diff(prior.lower_bounds_) > -1e-6).all()
    found = prior.covariances_.diagonal(axis1=1, axis2=2)
    expected = [[1, 64, 1], [25, 0.25, 1]]
    order = found[:, 1].argsort()[::-1]
    np.testing.assert_allclose(found[order][:, :2], np.array(expected)[:, :2], rtol=0.4)
    free = GaussianMixture(2, **options).fit(X)
    assert prior.n_parameters_ == free.n_parameters_ - 3
