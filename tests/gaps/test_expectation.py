"""The steps of the EM algorithm, against brute force on the joint Gaussian."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal

from skspectral.gaps import expectation
from skspectral.gaps.expectation import (
    GappyRows,
    GaussianModel,
    expect,
    expected_moments,
    maximise,
)
from skspectral.gaps.pairwise import PairwiseMoments, moments_of_pairs
from skspectral.grid import Grid

CPU = torch.device("cpu")
T, R = 9, 3


def model_and_rows(n=40, share=0.4, seed=0, patterns=None):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(T, R)))[0].T
    root = rng.normal(size=(R, R))
    model = GaussianModel(
        *map(
            torch.from_numpy,
            (rng.normal(size=T), basis, rng.normal(size=R), root),
        ),
        0.3,
    )
    X = rng.normal(size=(n, R)) @ root.T @ basis + rng.normal(size=(n, T))
    if patterns is None:
        X[rng.random(X.shape) < share] = np.nan
    else:
        masks = rng.random((patterns, T)) < share
        X[masks[rng.integers(patterns, size=n)]] = np.nan
    weights = rng.uniform(0.5, 2, n)
    return model, X, weights


def joint(model):
    """Mean and covariance of complete rows."""
    basis, root = model.basis.numpy(), model.root.numpy()
    mean = model.mean.numpy() + model.coordinate_mean.numpy() @ basis
    return mean, basis.T @ root @ root.T @ basis + model.noise * np.eye(T)


def by_brute_force(model, X):
    """Filled rows, covariances of their missing entries, and log-densities."""
    mean, covariance = joint(model)
    filled, spreads, densities = X.copy(), [], []
    for row in filled:
        o = ~np.isnan(row)
        gain = covariance[np.ix_(~o, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
        spread = np.zeros((T, T))
        spread[np.ix_(~o, ~o)] = (
            covariance[np.ix_(~o, ~o)] - gain @ covariance[np.ix_(o, ~o)]
        )
        spreads.append(spread)
        part = multivariate_normal(mean[o], covariance[np.ix_(o, o)])
        densities.append(part.logpdf(row[o]) if o.any() else 0.0)
        row[~o] = mean[~o] + gain @ (row[o] - mean[o])
    return filled, np.array(spreads), np.array(densities)


@pytest.mark.parametrize("patterns", [None, 4])
def test_expectation_is_that_of_the_joint_gaussian(patterns):
    model, X, weights = model_and_rows(patterns=patterns)
    rows = GappyRows.of(X, weights, CPU)
    found = expect(rows, model)
    filled, spreads, densities = by_brute_force(model, X)
    np.testing.assert_allclose(found.filled, filled, atol=1e-10)
    assert found.log_likelihood == pytest.approx(weights @ densities)
    basis = model.basis.numpy()
    total = np.einsum("n,nst->st", weights, spreads)
    np.testing.assert_allclose(found.inside, basis @ total @ basis.T, atol=1e-10)
    traces = found.traces[rows.patterns.of_row]
    np.testing.assert_allclose(traces, np.trace(spreads, axis1=1, axis2=2), atol=1e-10)


@pytest.mark.parametrize("patterns", [None, 4])
def test_expected_moments_are_those_of_complete_rows(patterns):
    model, X, weights = model_and_rows(patterns=patterns)
    rows = GappyRows.of(X, weights, CPU)
    moments = expected_moments(rows, model, expect(rows, model))
    filled, spreads, _ = by_brute_force(model, X)
    mean = np.average(filled, axis=0, weights=weights)
    scatter = np.einsum("n,nst->st", weights, spreads)
    scatter += (filled - mean).T * weights @ (filled - mean)
    np.testing.assert_allclose(moments.mean, mean, atol=1e-10)
    found = moments.scatter.second_moment().dense()
    np.testing.assert_allclose(found, scatter, atol=1e-9)
    assert moments.weight == pytest.approx(weights.sum())
    assert moments.n_samples == len(X)


def test_many_patterns_share_covariances(monkeypatch):
    """The trace and the mean stay, and the matrix stays near the exact one."""
    model, X, weights = model_and_rows(300, 0.3)
    rows = GappyRows.of(X, weights, CPU)
    found = expect(rows, model)
    exact = expected_moments(rows, model, found).scatter.second_moment().dense()
    monkeypatch.setattr(expectation, "_EXACT_COST", 20 * R * T * T)
    near = expected_moments(rows, model, found).scatter.second_moment().dense()
    error = torch.linalg.matrix_norm(near - exact) / torch.linalg.matrix_norm(exact)
    assert 0 < float(error) < 0.01
    assert float(torch.linalg.eigvalsh(near)[0]) > 0


def test_chunks_do_not_matter(monkeypatch):
    model, X, weights = model_and_rows()
    rows = GappyRows.of(X, weights, CPU)
    whole = expect(rows, model)
    monkeypatch.setattr(expectation, "_CHUNK_BYTES", 3 * 8 * R * T)
    parts = expect(rows, model)
    torch.testing.assert_close(whole.filled, parts.filled)
    assert whole.log_likelihood == pytest.approx(parts.log_likelihood)


@pytest.mark.parametrize("center", [True, False])
def test_each_step_raises_the_likelihood(center):
    model, X, weights = model_and_rows(80, 0.5)
    if not center:
        model = GaussianModel(torch.zeros(T).double(), *list(vars(model).values())[1:])
    rows = GappyRows.of(X, weights, CPU)
    likelihoods = []
    for _ in range(30):
        found = expect(rows, model)
        likelihoods.append(found.log_likelihood)
        model = maximise(rows, model, found, center=center)
    assert (np.diff(likelihoods) > -1e-9 * abs(likelihoods[0])).all()
    assert likelihoods[-1] > likelihoods[0] + 10


def test_a_fixed_point_has_no_gradient():
    """At the limit, the likelihood has zero derivative along mean and covariance."""
    model, X, weights = model_and_rows(80, 0.3)
    rows = GappyRows.of(X, weights, CPU)
    for _ in range(3000):
        model = maximise(rows, model, expect(rows, model), center=True)
    best = expect(rows, model).log_likelihood
    covariance = model.root @ model.root.T + model.noise * torch.eye(R).double()
    rng = np.random.default_rng(5)
    for _ in range(5):
        step = torch.from_numpy(rng.normal(size=(R, R))) * 1e-4
        changed = (
            model.with_moments(
                model.mean, model.coordinate_mean, covariance + s, model.noise
            )
            for s in (step + step.T, -step - step.T)
        )
        one, two = (expect(rows, each).log_likelihood for each in changed)
        assert abs(one - two) < 1e-6 * abs(best)
        assert max(one, two) < best


def test_pairwise_covariances_are_those_of_pandas():
    _, X, _ = model_and_rows(60, 0.3)
    pairs = PairwiseMoments.of(GappyRows.of(X, None, CPU))
    table = pd.DataFrame(X)
    np.testing.assert_allclose(pairs.means(), table.mean(), atol=1e-12)
    counts = pairs.counts.numpy()
    expected = table.cov() * (counts - 1) / counts
    np.testing.assert_allclose(pairs.covariances(), expected, atol=1e-12)


def test_sums_of_pairs_are_mergeable_and_weights_are_repetitions():
    _, X, _ = model_and_rows(30)
    weights = np.arange(30) % 3 + 0.0
    whole = PairwiseMoments.of(GappyRows.of(X, weights, CPU))
    one = PairwiseMoments.of(GappyRows.of(X[:11], weights[:11], CPU))
    two = PairwiseMoments.of(GappyRows.of(X[11:], weights[11:], CPU))
    repeated = np.repeat(X, weights.astype(int), axis=0)
    again = PairwiseMoments.of(GappyRows.of(repeated, None, CPU))
    for other in (one.merge(two), again):
        for part, expected in zip(
            vars(other).values(), vars(whole).values(), strict=True
        ):
            torch.testing.assert_close(part, expected)


def test_moments_of_pairs_are_a_covariance_without_bias():
    """The process is stationary; one pair of entries was never observed together."""
    rng = np.random.default_rng(0)
    lags = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    truth = 0.8**lags
    X = rng.multivariate_normal(np.arange(12.0), truth, size=4000)
    X[rng.random(X.shape) < 0.3] = np.nan
    X[::2, 3], X[1::2, 8] = np.nan, np.nan
    pairs = PairwiseMoments.of(GappyRows.of(X, None, CPU))
    assert float(pairs.counts[3, 8]) == 0
    moments = moments_of_pairs(pairs, Grid((12,)), len(X), X.dtype)
    covariance = moments.covariance().dense()
    np.testing.assert_allclose(moments.mean, np.arange(12), atol=0.1)
    np.testing.assert_allclose(covariance, truth, atol=0.12)
    assert float(torch.linalg.eigvalsh(covariance)[0]) > 0


def test_the_mean_of_an_unseen_entry_is_that_between_its_neighbours():
    _, X, _ = model_and_rows(30, 0.2)
    X[:, 4] = np.nan
    pairs = PairwiseMoments.of(GappyRows.of(X, None, CPU))
    mean = moments_of_pairs(pairs, Grid((T,)), 30, X.dtype).mean
    assert float(mean[4]) == pytest.approx(float(mean[3] + mean[5]) / 2)
