import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skspectral.grid import Grid
from skspectral.moments import DenseMoment, FactorScatter, Moments, SketchScatter

CPU = torch.device("cpu")


def moments_of(X, weights=None, **options):
    return Moments(X.shape[1], CPU).update(X, weights, **options)


def assert_same(actual, expected, rtol=1e-12):
    assert actual.weight == pytest.approx(expected.weight)
    actual_matrix, matrix = (
        m.scatter.second_moment().dense() for m in (actual, expected)
    )
    scale = float(matrix.abs().max())
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=rtol)
    np.testing.assert_allclose(actual_matrix, matrix, atol=rtol * scale)
    assert actual.fourth == pytest.approx(expected.fourth, rel=100 * rtol)
    scale = float(expected.third.abs().max())
    np.testing.assert_allclose(actual.third, expected.third, atol=1e3 * rtol * scale)


@pytest.mark.parametrize("n_features", [1, 7, 300])
def test_definition(n_features):
    X = np.random.default_rng(0).normal(size=(50, n_features))
    moments = moments_of(X, batch_size=13)
    np.testing.assert_allclose(moments.mean, X.mean(0), rtol=1e-12, atol=1e-15)
    expected = np.atleast_2d(np.cov(X.T, bias=True))
    np.testing.assert_allclose(moments.covariance().dense(), expected, atol=1e-13)
    assert moments.n_samples == 50


@given(
    cut=st.integers(0, 40),
    batch_size=st.integers(1, 60),
    offset=st.sampled_from([0.0, 1e5]),
    weighted=st.booleans(),
)
def test_parts_equal_the_whole(cut, batch_size, offset, weighted):
    rng = np.random.default_rng(cut)
    X = offset + rng.normal(size=(40, 6))
    weights = rng.integers(0, 4, size=40).astype(float) if weighted else None
    whole = moments_of(X, weights)
    one, two = Moments(6, CPU), Moments(6, CPU)
    for part, rows in ((one, slice(cut)), (two, slice(cut, None))):
        if len(X[rows]):
            share = None if weights is None else weights[rows]
            part.update(X[rows], share, batch_size=batch_size)
    assert_same(one.merge(two), whole, rtol=1e-9)
    assert one.n_samples == 40


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_tails(weighted, offset):
    rng = np.random.default_rng(0)
    X = offset + rng.gamma(0.5, size=(40, 6)) * np.arange(1, 7)
    X[:20] += 3
    weights = rng.integers(0, 4, size=40) * 1.0 if weighted else np.ones(40)
    centred = X - np.average(X, axis=0, weights=weights)
    energies = weights * (centred**2).sum(1)
    moments = moments_of(X, weights if weighted else None, batch_size=7)
    np.testing.assert_allclose(moments.third, energies @ centred, rtol=1e-8)
    assert moments.fourth == pytest.approx(energies @ (centred**2).sum(1), rel=1e-9)
    again = pickle.loads(pickle.dumps(moments))
    assert_same(again, moments, rtol=0)
    # A second call adds to the first.
    twice = Moments(6, CPU)
    for rows in (slice(9), slice(9, None)):
        twice.update(X[rows], weights[rows])
    assert twice.fourth == pytest.approx(moments.fourth, rel=1e-9)


def test_tails_of_a_large_row_without_weight():
    X = np.random.default_rng(0).normal(size=(30, 4))
    X[0] = 1e5
    moments = moments_of(X, np.array([0.0] + [1.0] * 29))
    assert_same(moments, moments_of(X[1:]), rtol=1e-9)


def test_integer_weights_equal_repetition():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(30, 5)), rng.integers(0, 3, size=30)
    repeated = moments_of(np.repeat(X, weights, axis=0))
    assert_same(moments_of(X, weights.astype(float)), repeated)


def test_float32_with_a_large_mean_keeps_its_digits():
    rng = np.random.default_rng(0)
    # These numbers are exact in float32, so that the data are not rounded.
    X = (rng.integers(-128, 128, size=(2000, 8)) / 64 + 1e4).astype(np.float32)
    moments = moments_of(X, batch_size=300)
    np.testing.assert_allclose(moments.mean, X.astype(float).mean(0), rtol=1e-11)
    expected = np.cov(X.astype(float).T, bias=True)
    np.testing.assert_allclose(moments.covariance().dense(), expected, atol=1e-5)


def test_project_is_the_moments_of_the_coordinates():
    rng = np.random.default_rng(0)
    X, axes, origin = (rng.normal(size=size) for size in ((40, 6), (2, 6), 6))
    mean, covariance = moments_of(X).project(axes, origin)
    coordinates = (X - origin) @ axes.T
    np.testing.assert_allclose(mean, coordinates.mean(0))
    np.testing.assert_allclose(covariance, np.cov(coordinates.T, bias=True))


def test_project_another_covariance():
    rng = np.random.default_rng(0)
    X, axes = rng.normal(size=(40, 6)), rng.normal(size=(2, 6))
    other = torch.as_tensor(np.cov(rng.normal(size=(6, 50))))
    moment = DenseMoment(other)
    _, covariance = moments_of(X).project(axes, np.zeros(6), moment)
    np.testing.assert_allclose(covariance, axes @ other.numpy() @ axes.T)


def test_number_of_batches_is_that_of_the_calls():
    X, calls = np.zeros((25, 3)), []
    moments_of(X, batch_size=10, on_batch=lambda: calls.append(1))
    assert len(calls) == Moments(X.shape[1], CPU).n_batches(X, 10) == 3


def test_masked_entries_are_no_rows():
    X, weights = np.arange(12.0).reshape(4, 3), np.ones(4)
    moments = Moments(3, CPU)
    with pytest.raises(ValueError, match=r"^X has 2 of 12 entries that are masked"):
        moments.update(np.ma.masked_less(X, 2), weights)
    with pytest.raises(ValueError, match=r"^sample_weight has 4 of 4 entries"):
        moments.update(X, np.ma.masked_equal(weights, 1))
    assert moments.n_samples == 0


@pytest.mark.parametrize("form", [None, FactorScatter])
@pytest.mark.parametrize("weighted", [False, True])
def test_subtraction_undoes_a_merge(form, weighted):
    rng = np.random.default_rng(0)
    X = 10 + rng.normal(size=(50, 6))
    weights = rng.uniform(0.5, 2, 50) if weighted else None

    def part(rows):
        scatter = None if form is None else form(6, CPU)
        moments = Moments(6, CPU, scatter=scatter)
        return moments.update(X[rows], None if weights is None else weights[rows])

    whole, second = part(slice(None)), part(slice(30, None))
    before = pickle.dumps(second)
    left = whole.subtract(second)
    assert_same(left, part(slice(30)), rtol=1e-9)
    assert left.n_samples == 30
    assert pickle.dumps(second) == before
    # What is left takes further rows.
    assert_same(left.merge(second), part(slice(None)), rtol=1e-9)


def test_nothing_is_left_of_all_rows():
    X = np.random.default_rng(0).normal(size=(8, 3))
    moments = moments_of(X)
    moments.subtract(moments_of(X))
    assert (moments.weight, moments.n_samples) == (0, 0)
    assert_same(moments.update(X), moments_of(X))


def test_subtraction_of_float32_rows_in_other_batches():
    X = np.random.default_rng(0).normal(size=(400, 20)).astype(np.float32) + 5
    left = moments_of(X, batch_size=37).subtract(moments_of(X[:350], batch_size=90))
    np.testing.assert_allclose(
        left.covariance().dense(), np.cov(X[350:].T.astype(float), bias=True), atol=1e-4
    )


def test_rows_that_were_never_added_cannot_be_subtracted():
    X = np.random.default_rng(0).normal(size=(40, 4))
    moments = moments_of(X)
    before = pickle.dumps(moments)
    for other, message in (
        (moments_of(3 * X[:30]), "is not a covariance"),
        (moments_of(np.concatenate([X, X])), "other has 80 rows"),
        (moments_of(X[:, :2]), "other has 2 features"),
    ):
        with pytest.raises(ValueError, match=message):
            moments.subtract(other)
        assert pickle.dumps(moments) == before
    sketch = Moments(4, CPU, scatter=SketchScatter(Grid((4,)), 2, CPU)).update(X[:9])
    with pytest.raises(ValueError, match="is a sketch"):
        moments.subtract(sketch)
