import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ScikitLearns

from skspectral.priors import GaussianMixture, GaussianPrior
from skspectral.priors.em import partition


@pytest.fixture
def codes():
    """Three groups in four dimensions, of different shapes and sizes."""
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 6 * rng.normal(size=4)
        for n in (300, 200, 100)
    ]
    return np.concatenate(parts)


def test_without_shrinkage_it_is_scikit_learns(codes):
    ours = GaussianMixture(3, shrinkage=0.0, tol=1e-10, max_iter=500).fit(codes)
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
    assert ours.score(codes) == pytest.approx(theirs.score(codes), rel=1e-6)
    assert ours.n_parameters_ == theirs._n_parameters()
    assert ours.bic(codes) == pytest.approx(theirs.bic(codes), rel=1e-6)
    assert ours.aic(codes) == pytest.approx(theirs.aic(codes), rel=1e-6)


@pytest.mark.parametrize("covariance", ["full", "diag", "low_rank"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.5, 20.0])
def test_the_bound_never_falls(codes, covariance, shrinkage):
    prior = GaussianMixture(
        4, covariance=covariance, rank=1, shrinkage=shrinkage, tol=1e-6, max_iter=999
    ).fit(codes)
    bounds = prior.lower_bounds_
    assert len(bounds) == prior.n_iter_ + 1 > 3
    assert (np.diff(bounds) > -1e-10 * np.abs(bounds[1:])).all()
    assert bounds[-1] > bounds[0]
    if shrinkage == 0:
        assert bounds[-1] == pytest.approx(prior.score(codes))


def test_one_component_is_the_gaussian(codes):
    prior, gaussian = GaussianMixture().fit(codes), GaussianPrior().fit(codes)
    np.testing.assert_allclose(prior.means_[0], gaussian.mean_)
    np.testing.assert_allclose(prior.covariances_[0], gaussian.covariance_, rtol=1e-2)
    assert prior.score(codes) == pytest.approx(gaussian.score(codes), rel=1e-4)


def test_full_rank_is_full(codes):
    low, full = (
        GaussianMixture(3, covariance=covariance, rank=4).fit(codes)
        for covariance in ("low_rank", "full")
    )
    np.testing.assert_allclose(low.covariances_, full.covariances_)
    assert low.n_parameters_ == full.n_parameters_


def test_low_rank_is_white_but_for_the_rank(codes):
    """Compare in coordinates whitened by the covariance of all codes."""
    prior = GaussianMixture(2, covariance="low_rank", rank=1).fit(codes)
    root = np.linalg.cholesky(np.cov(codes.T, bias=True))
    for covariance in prior.covariances_:
        white = np.linalg.solve(root, np.linalg.solve(root, covariance).T)
        values = np.linalg.eigvalsh(white)
        gaps = np.diff(values)
        # Among equal eigenvalues, directions of large variance are preferred.
        assert np.sum(np.abs(gaps) < 2e-6 * values[-1]) == 2
    assert prior.n_parameters_ == 2 * (4 + 4 + 1) + 1


def test_scale_and_rotation_do_not_matter(codes):
    """All parameters are relative to the covariance of the codes."""
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    for covariance in ("full", "diag", "low_rank"):
        prior = GaussianMixture(3, covariance=covariance, rank=2)
        expected = prior.fit(codes).score_samples(codes)
        moved = 1e4 * codes @ rotation + 1e5
        found = prior.fit(moved).score_samples(moved)
        np.testing.assert_allclose(found, expected - 4 * np.log(1e4), atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "diag", "low_rank"])
def test_weights_equal_repetition(codes, covariance):
    weights = np.random.default_rng(0).integers(0, 4, size=len(codes))
    prior = GaussianMixture(3, covariance=covariance, rank=2)
    weighted = prior.fit(codes, sample_weight=weights).score_samples(codes)
    repeated = prior.fit(np.repeat(codes, weights, axis=0)).score_samples(codes)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_chunks_do_not_matter(codes, monkeypatch):
    expected = GaussianMixture(3).fit(codes)
    monkeypatch.setattr("skspectral.priors.em._CHUNK", 7)
    found = GaussianMixture(3).fit(codes)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, rtol=1e-6)


def test_few_samples_do_no_harm():
    """With 10 components for 40 samples of 12 codes, maximum likelihood overfits."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(40, 12)), rng.normal(size=(500, 12))
    prior = GaussianMixture(10).fit(train)
    loss = GaussianPrior().fit(train).score(test) - prior.score(test)
    theirs = ScikitLearns(10, random_state=0).fit(train).score(test)
    assert loss < 10
    assert prior.score(test) > theirs + 100


def test_loud_and_quiet_components_have_a_shape_in_common():
    """Components of equal shape require fewer samples than arbitrary components."""
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(8, 8))
    loud, quiet = 10 * rng.normal(size=(30, 8)), 0.1 * rng.normal(size=(30, 8))
    codes = np.concatenate([loud, quiet]) @ shape
    prior = GaussianMixture(2).fit(codes)
    sizes = np.sort([np.trace(covariance) for covariance in prior.covariances_])
    assert 1_000 < sizes[1] / sizes[0] < 100_000


def test_codes_in_a_subspace():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 6)) + 1
    for covariance in ("full", "diag", "low_rank"):
        prior = GaussianMixture(2, covariance=covariance, rank=1).fit(codes)
        drawn = prior.sample(100, random_state=0)
        assert np.linalg.matrix_rank(drawn - 1, tol=1e-5) == 3
        assert np.isfinite(prior.score_samples(codes)).all()


def test_a_component_of_one_sample_is_safe(codes):
    far = np.concatenate([codes, codes[:1] + 1e3])
    prior = GaussianMixture(4).fit(far)
    assert prior.weights_.min() == pytest.approx(1 / len(far))
    assert np.isfinite(prior.score_samples(far)).all()
    with pytest.raises(ValueError, match=r"no variance. Use fewer components, or shri"):
        GaussianMixture(4, shrinkage=0.0).fit(far)


def test_fewer_distinct_samples_than_components():
    codes = np.repeat(np.eye(3), 5, axis=0)
    with pytest.raises(ValueError, match="n_components=4 needs as many different"):
        GaussianMixture(4).fit(codes)
    assert np.isfinite(GaussianMixture(3).fit(codes).score(codes))


def test_starts(codes):
    one = GaussianMixture(5).fit(codes)
    again = GaussianMixture(5, random_state=7).fit(codes)
    np.testing.assert_array_equal(one.means_, again.means_)
    best = GaussianMixture(5, n_init=4, random_state=0).fit(codes)
    # On these data, another start is better than the first.
    assert best.lower_bounds_[-1] > one.lower_bounds_[-1] + 1e-3
    apart = GaussianMixture(5, n_init=4, n_jobs=2, random_state=0).fit(codes)
    np.testing.assert_allclose(apart.means_, best.means_, rtol=1e-8)


def test_partition_finds_groups_that_are_apart():
    rng = np.random.default_rng(0)
    group = rng.integers(5, size=200)
    X = (
        rng.normal(size=(200, 2))
        + 40 * np.eye(5)[group][:, :2]
        + 90 * (group > 2)[:, None]
    )
    X += 300 * (group == 4)[:, None]
    labels = partition(X, np.ones(200), 5, None)
    assert len({*zip(group, labels, strict=True)}) == 5


def test_draws(codes):
    prior = GaussianMixture(3).fit(codes)
    drawn = prior.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, 4)
    np.testing.assert_array_equal(drawn, prior.sample(20_000, random_state=0))
    spread = codes.std(0)
    assert (np.abs(drawn.mean(0) - codes.mean(0)) < 0.05 * spread).all()
    # Shrinkage makes components slightly wider than their samples.
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.1, atol=0.5)


def test_bic_finds_the_number_of_groups(codes):
    fits = {n: GaussianMixture(n).fit(codes) for n in range(1, 6)}
    assert min(fits, key=lambda n: fits[n].bic(codes)) == 3


def test_float32_codes_are_taken_as_float64(codes):
    single = codes.astype(np.float32)
    found = GaussianMixture(3).fit(single).covariances_
    assert found.dtype == np.float64
    expected = GaussianMixture(3).fit(single.astype(np.float64)).covariances_
    np.testing.assert_array_equal(found, expected)


def test_progress_and_stop(codes):
    told = []

    class StopAtThree:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, metadata=None):
            if metadata is not None:
                told.append(metadata["log_likelihood"])
            return len(told) >= 3

    # A requested stop raises no warning.
    prior = GaussianMixture(3, tol=0.0).set_callbacks(StopAtThree()).fit(codes)
    assert len(told) == 3
    assert not prior.converged_
    assert prior.n_iter_ == 2


def test_a_warning_where_iterations_run_out(codes):
    with pytest.warns(ConvergenceWarning, match="after 1 iterations"):
        prior = GaussianMixture(4, max_iter=1).fit(codes)
    assert not prior.converged_


def test_the_scale_of_weights_does_not_matter_without_shrinkage(codes):
    priors = [
        GaussianMixture(3, shrinkage=0.0).fit(codes, sample_weight=np.full(600, weight))
        for weight in (1.0, 1e-11)
    ]
    np.testing.assert_allclose(*(prior.covariances_ for prior in priors), rtol=1e-6)


def test_weights_far_apart():
    codes = np.array([[0.0], [1.0], [2.0], [10.0]])
    prior = GaussianMixture(2).fit(codes, sample_weight=[1, 1, 1, 1e-20])
    assert np.isfinite(prior.score_samples(codes)).all()


def test_subspaces_have_the_same_criterion():
    """Embedding the codes in a larger space does not change the choice of BIC."""
    rng = np.random.default_rng(1)
    codes = rng.standard_t(3, size=(600, 3))
    axes = np.linalg.qr(rng.normal(size=(6, 3)))[0]

    def scores(X):
        return [GaussianMixture(n).fit(X).score(X) for n in (1, 2, 3)]

    inside, outside = scores(codes), scores(codes @ axes.T)
    np.testing.assert_allclose(np.diff(inside), np.diff(outside), atol=0.01)


def test_a_collapse_is_no_convergence():
    """The likelihood of low rank is unbounded on few samples."""
    collapsed = 0
    for seed in range(12):
        codes = np.random.default_rng(seed).standard_t(3, size=(26, 7))
        prior = GaussianMixture(
            2, covariance="low_rank", rank=1, shrinkage=0.0, tol=1e-6
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                prior.fit(codes)
            except ValueError as error:
                assert "no variance" in str(error)  # noqa: PT017
                continue
        bounds = prior.lower_bounds_
        assert (np.diff(bounds) > -1e-8 * np.abs(bounds[1:])).all()
        assert prior.converged_ or caught
        collapsed += not prior.converged_
    assert collapsed
