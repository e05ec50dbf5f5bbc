"""Forms of the scatter: factor, dense and sketch, their choice and their merging."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.moments import DenseScatter, FactorScatter, Moments, SketchScatter
from skspectral.moments.choice import (
    KINDS,
    choose_kind,
    default_sketch_size,
    merged,
    new_scatter,
)

CPU = torch.device("cpu")
T = 12


def empty(kind, n_features=T, size=None):
    size = n_features if size is None else size
    return new_scatter(
        kind, Grid((n_features,)), CPU, n_rows=4, itemsize=8, sketch_size=size
    )


def matrix(scatter, factor=1.0):
    return scatter.second_moment(factor).dense().numpy()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def rows(rng):
    return torch.from_numpy(rng.normal(size=(7, T)))


@pytest.mark.parametrize("kind", KINDS)
def test_sum_of_products(kind, rows):
    scatter = empty(kind)
    assert scatter.kind == kind
    given = rows.clone()
    scatter.add(given[:5], 2.0)
    # The caller may reuse the memory of the rows.
    given[:5] = 0
    scatter.add(given[5:])
    factors = torch.tensor([2.0] * 5 + [1.0] * 2).double()
    expected = (rows * factors[:, None]).T @ rows
    np.testing.assert_allclose(matrix(scatter, 3.0), 3 * expected, atol=1e-11)
    assert scatter.second_moment().trace() == pytest.approx(float(expected.trace()))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(KINDS, repeat=2)))
def test_merging_any_two_forms(first, second, rows):
    one, other = empty(first), empty(second)
    one.add(rows[:3])
    other.add(rows[3:])
    before = matrix(other)
    total = merged(one, other)
    assert total.kind == max(first, second, key=KINDS.index)
    np.testing.assert_allclose(matrix(total), rows.T @ rows, atol=1e-11)
    total.add(rows)
    np.testing.assert_array_equal(matrix(other), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_in_each_form_are_those_of_the_dense_form(kind, weighted, dtype, rng):
    X = (rng.normal(size=(40, T)) + 50).astype(dtype)
    weights = rng.integers(0, 3, size=40) * 1.0 if weighted else None
    expected = Moments(T, CPU).update(X, weights)
    parts = [Moments(T, CPU, scatter=empty(kind)) for _ in range(2)]
    for part, half in zip(parts, (slice(25), slice(25, None)), strict=True):
        part.update(X[half], None if weights is None else weights[half], batch_size=7)
    moments = parts[0].merge(parts[1])
    np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-6)
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(
        moments.covariance().dense(), expected.covariance().dense(), atol=rtol
    )
    assert moments.fourth == pytest.approx(expected.fourth, rel=10 * rtol)
    again = pickle.loads(pickle.dumps(moments))
    np.testing.assert_array_equal(
        again.covariance().dense(), moments.covariance().dense()
    )
    again.update(X)
    assert again.n_samples == 80


def test_factor_grows_and_keeps_the_dtype_of_its_rows(rows):
    scatter = FactorScatter(T, CPU)
    for row in rows.float():
        scatter.add(row[None])
    assert scatter.square_root().dtype == torch.float32
    scatter.add(rows)
    assert scatter.square_root().dtype == torch.float64
    expected = rows.T @ rows + (rows.float().T @ rows.float()).double()
    np.testing.assert_allclose(matrix(scatter), expected, rtol=1e-5, atol=1e-5)


def test_square_root_of_a_dense_scatter_of_low_rank(rows):
    scatter = DenseScatter(T, CPU)
    scatter.add(rows[:3])
    root = scatter.square_root()
    assert len(root) == 3
    np.testing.assert_allclose(root.T @ root, matrix(scatter), atol=1e-11)


def test_choice_by_size():
    assert choose_kind(500, 3072, 4) == "factor"
    assert choose_kind(64, 10**6, 4) == "factor"
    assert choose_kind(1536, 3072, 4) == "factor"
    assert choose_kind(1537, 3072, 4) == "dense"
    assert choose_kind(11_586, 11_586, 4) == "factor"
    assert choose_kind(11_587, 11_586, 4) == "sketch"
    assert choose_kind(50_000, 11_585, 4) == "dense"
    assert choose_kind(50_000, 11_586, 4) == "sketch"
    assert choose_kind(10**5, 10**6, 4) == "sketch"


def test_default_size_of_a_sketch_is_bounded_by_memory():
    assert default_sketch_size(100) == 100
    assert default_sketch_size(2**17) == 256
    assert default_sketch_size(10**6) == 67
    assert default_sketch_size(10**8) == 16


@pytest.mark.parametrize(
    ("kind", "n_rows", "n_features", "size", "advice"),
    [
        ("dense", 10, 10**7, None, "second_moment='factor'"),
        ("dense", 10**8, 10**7, None, r"second_moment='sketch' with sketch_size=\d+"),
        ("factor", 10**8, 10**6, None, r"second_moment='sketch' with sketch_size=\d+"),
        ("sketch", 10**8, 10**7, 10**7, r"sketch_size=\d"),
        ("sketch", 10**8, 10**13, None, "Cut signals into shorter windows"),
    ],
)
def test_not_enough_memory(kind, n_rows, n_features, size, advice):
    sizes = {"n_rows": n_rows, "itemsize": 4, "sketch_size": size}
    with pytest.raises(MemoryError, match=advice) as error:
        new_scatter(kind, Grid((n_features,)), CPU, **sizes)
    assert f"second_moment={kind!r}" in str(error.value)


def test_sketch_size_above_the_number_of_features():
    with pytest.raises(ValueError, match=r"sketch_size=13 .* Pass sketch_size=12"):
        empty("sketch", size=13)


@pytest.fixture(scope="module")
def sines():
    rng = np.random.default_rng(0)
    t = np.arange(64) / 64
    waves = np.stack(
        [np.sin(2 * np.pi * f * t + p) for f, p in ((3.2, 0.3), (7.7, 1), (20.1, 2))]
    )
    return rng.normal(size=(40, 3)) @ waves + 0.01 * rng.normal(size=(40, 64))


def fitted(X, kind, **params):
    params = {"modulation": None, "random_state": 0} | params
    return SpectralDictionaryLearning(3, second_moment=kind, **params).fit(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("modulation", [None, "basis"])
@pytest.mark.parametrize("shrinkage", [None, "auto", 0.3])
def test_atoms_of_factor_and_dense_agree(sines, dtype, modulation, shrinkage):
    X = sines.astype(dtype)
    one, other = (
        fitted(X, kind, modulation=modulation, shrinkage=shrinkage)
        for kind in ("factor", "dense")
    )
    tolerance = 1e-3 if dtype == np.float32 else 1e-7
    np.testing.assert_allclose(one.components_, other.components_, atol=tolerance)
    np.testing.assert_allclose(
        one.noise_variance_, other.noise_variance_, rtol=10 * tolerance
    )
    np.testing.assert_allclose(
        one.score_samples(X), other.score_samples(X), rtol=10 * tolerance
    )


@pytest.mark.parametrize("kind", ["auto", *KINDS])
def test_three_sines_in_each_form(sines, kind):
    est = fitted(sines, kind, sketch_size=8)
    np.testing.assert_allclose(np.sort(est.frequencies_), [3.2, 7.7, 20.1], atol=0.02)
    assert est.second_moment_error_ >= 0
    assert (est.second_moment_error_ == 0) == (kind != "sketch")
    again = fitted(sines, kind, sketch_size=8, batch_size=11)
    np.testing.assert_allclose(again.components_, est.components_, atol=1e-6)


def test_partial_fit_goes_over_to_the_dense_form(sines):
    est = SpectralDictionaryLearning(3, modulation=None)
    for start in range(0, 30, 10):
        est.partial_fit(sines[start : start + 10])
    assert est.moments_.scatter.kind == "factor"
    est.partial_fit(sines)
    assert est.moments_.scatter.kind == "dense"
    whole = fitted(np.concatenate([sines[:30], sines]), "dense")
    np.testing.assert_allclose(
        est.moments_.covariance().dense(), whole.moments_.covariance().dense()
    )
    np.testing.assert_allclose(est.components_, whole.components_, atol=1e-3)


def test_partial_fit_does_not_change_the_moments_of_a_copy(sines):
    est = fitted(sines, "factor")
    kept = pickle.loads(pickle.dumps(est.moments_))
    shared = est.moments_
    est.partial_fit(sines[:5])
    np.testing.assert_array_equal(
        shared.covariance().dense(), kept.covariance().dense()
    )


def test_moments_that_are_not_kept(sines):
    est = fitted(sines, "auto")
    small = fitted(sines, "auto", keep_moments=False)
    assert not hasattr(small, "moments_")
    saved = len(pickle.dumps(est)) - len(pickle.dumps(small))
    assert saved > sines.nbytes
    np.testing.assert_array_equal(
        small.sample(5, random_state=1), est.sample(5, random_state=1)
    )
    with pytest.raises(ValueError, match="Pass keep_moments=True"):
        small.partial_fit(sines)
    est.set_params(keep_moments=False).fit(sines)
    assert not hasattr(est, "moments_")


@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_and_one_row(kind, sines):
    repeated = np.repeat(sines[:2], 20, axis=0)
    est = fitted(repeated, kind, sketch_size=5)
    assert np.isfinite(est.components_).all()
    assert np.isfinite(est.score_samples(repeated)).all()
    with pytest.raises(ValueError, match="all its rows are equal"):
        fitted(np.repeat(sines[:1], 5, axis=0), kind, sketch_size=5)
    with pytest.raises(ValueError, match="minimum of 2"):
        fitted(sines[:1], kind, sketch_size=5)
    est = fitted(sines, kind, sketch_size=5).partial_fit(sines[:1])
    assert est.n_samples_seen_ == len(sines) + 1


def test_sketch_size_is_checked_at_fit(sines):
    with pytest.raises(ValueError, match="sketch_size=65"):
        fitted(sines, "sketch", sketch_size=65)
    with pytest.raises(ValueError, match="sketch_size"):
        fitted(sines, "sketch", sketch_size=0)


def test_sketch_has_few_rows():
    assert SketchScatter(Grid((64,)), 8, CPU).kind == "sketch"
