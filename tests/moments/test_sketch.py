"""The sketch of the scatter: its bound, its lags, its order of rows and its merging."""

import pickle

import numpy as np
import pytest
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.moments import FactorMoment, SketchScatter

CPU = torch.device("cpu")


def rows_of(kind, grid, n=60):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, grid.n_features))
    if kind == "low rank":
        rows = rng.normal(size=(n, 3)) @ rows[:3]
    if kind == "adversarial":
        # Each new direction is stronger than all before it.
        rows = np.eye(grid.n_features)[np.arange(n) % grid.n_features]
        rows = rows * np.geomspace(1, 1e3, n)[:, None]
    return torch.as_tensor(rows)


def sketch_of(rows, grid, size, batch=7):
    scatter = SketchScatter(grid, size, CPU)
    for start in range(0, len(rows), batch):
        scatter.add(rows[start : start + batch])
    return scatter


@pytest.mark.parametrize("kind", ["normal", "low rank", "adversarial"])
@pytest.mark.parametrize("shape", [(15,), (4, 5), (3, 2, 2)])
@pytest.mark.parametrize("size", [1, 4, 9])
def test_bound_trace_and_lags(kind, shape, size):
    grid = Grid.of(shape, int(np.prod(shape)))
    rows = rows_of(kind, grid)
    exact = rows.T @ rows
    scatter = sketch_of(rows, grid, size)
    total = scatter.second_moment().dense()
    scale = float(exact.trace())
    # What the kept rows leave out is positive semi-definite, and below the bound.
    kept = scatter.kept_rows()
    assert len(kept) <= 2 * size
    left_out = torch.linalg.eigvalsh(exact - kept.T @ kept)
    assert float(left_out[0]) > -1e-10 * scale
    assert float(left_out[-1]) <= scatter.error + 1e-10 * scale
    # With l rows, the bound is at most the sum of squares divided by l + 1.
    assert scatter.error <= scale / (size + 1) * (1 + 1e-9)
    # The stationary remainder restores the trace, and the sum stays semi-definite.
    assert float(total.trace()) == pytest.approx(scale)
    assert float(torch.linalg.eigvalsh(total)[0]) > -1e-10 * scale
    remainder = total - kept.T @ kept
    of_data = FactorMoment(rows).lag_products(grid)
    of_kept = FactorMoment(kept).lag_products(grid)
    np.testing.assert_allclose(
        remainder.diagonal().sum(),
        (of_data - of_kept)[
            range(grid.channels),
            range(grid.channels),
            *(n - 1 for n in grid.sizes),
        ].sum(),
        atol=1e-9 * scale,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_do_not_matter(dtype):
    grid = Grid((40,))
    rows = rows_of("normal", grid, 90).to(dtype)
    one, other = (sketch_of(rows, grid, 8, batch) for batch in (1, 90))
    np.testing.assert_array_equal(one.kept_rows(), other.kept_rows())
    matrices = [each.second_moment().dense() for each in (one, other)]
    np.testing.assert_allclose(*matrices, rtol=1e-9, atol=1e-9)


def test_a_sketch_from_a_pickle_goes_on():
    grid = Grid((40,))
    rows = rows_of("normal", grid, 90)
    whole, part = sketch_of(rows, grid, 8), sketch_of(rows[:50], grid, 8)
    again = pickle.loads(pickle.dumps(part))
    again.add(rows[50:])
    np.testing.assert_array_equal(again.kept_rows(), whole.kept_rows())
    assert again.error == whole.error


def test_merged_in_any_order_the_bounds_add():
    grid = Grid((30,))
    rows = rows_of("normal", grid, 90)
    exact = rows.T @ rows
    for order in ((0, 1, 2), (2, 0, 1)):
        parts = [sketch_of(rows[30 * i : 30 * i + 30], grid, 6) for i in order]
        total = parts[0]
        for part in parts[1:]:
            total.merge(part)
        kept = total.kept_rows()
        left_out = torch.linalg.eigvalsh(exact - kept.T @ kept)
        assert float(left_out[-1]) <= total.error * (1 + 1e-9)
        assert float(left_out[0]) > -1e-9 * float(exact.trace())
        assert total.second_moment().trace() == pytest.approx(float(exact.trace()))


def test_stationary_data_need_few_rows():
    """Eight rows and the autocorrelation give the atoms of the whole matrix."""
    rng = np.random.default_rng(0)
    t = np.arange(256)
    phases = rng.uniform(0, 2 * np.pi, (3, 400, 1))
    strengths = rng.exponential(size=(3, 400, 1)) * [[[3.0]], [[2.0]], [[1.0]]]
    periods = np.array([40.0, 13.0, 7.0])[:, None, None]
    X = (strengths * np.cos(2 * np.pi * t / periods + phases)).sum(0)
    X += rng.normal(size=X.shape)
    exact, sketched = (
        SpectralDictionaryLearning(12, modulation=None, **how).fit(X[:300])
        for how in (
            {"second_moment": "dense"},
            {"second_moment": "sketch", "sketch_size": 8},
        )
    )

    def explained(est):
        error = X[300:] - est.inverse_transform(est.transform(X[300:]))
        return 1 - (error**2).sum() / (X[300:] ** 2).sum()

    assert explained(sketched) > explained(exact) - 0.01
    assert sketched.second_moment_error_ > 0
    stated = sketched.explained_variance_ratio_.sum()
    assert stated == pytest.approx(exact.explained_variance_ratio_.sum(), abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["factor", "sketch"])
def test_three_sines_in_long_rows(kind):
    T = 100_000
    rng = np.random.default_rng(0)
    t = np.arange(T) / T
    found = [1234.5, 20_000.25, 33_333.4]
    X = sum(rng.normal(size=(12, 1)) * np.sin(2 * np.pi * f * t + 1) for f in found)
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)
    est = SpectralDictionaryLearning(
        3, modulation=None, second_moment=kind, sketch_size=4
    ).fit(X)
    np.testing.assert_allclose(np.sort(est.frequencies_), found, atol=0.01)
