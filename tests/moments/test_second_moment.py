"""Second moments, compared with the matrices that they represent."""

import math
import weakref

import numpy as np
import pytest
import torch

from skspectral.grid import Grid
from skspectral.moments import (
    DenseMoment,
    FactorMoment,
    SecondMoment,
    StationaryMoment,
    SumMoment,
)
from skspectral.moments.quadratic_form import QuadraticForm
from skspectral.moments.stationary import stationary_mean

# Shapes, or grids whose channels are not on the last of three axes.
SHAPES = [
    *((1,), (12,), (1, 5), (4, 3), (3, 4, 2), (2, 2, 3)),
    *(Grid((5,), 3, 0), Grid((5,), 2), Grid((3, 2), 2, 0), Grid((2, 3, 2))),
    *(Grid((2, 2, 3), 2, 1), Grid((2, 2, 2), 2)),
]


class Bare(SecondMoment):
    """A second moment with only the three required methods."""

    def __init__(self, matrix):
        self.matrix, self.n_features, self.device = matrix, len(matrix), matrix.device

    def left_matmul(self, rows):
        return rows @ self.matrix

    def trace(self):
        return float(self.matrix.trace())

    def scaled(self, factor):
        return Bare(factor * self.matrix)


def matrix_of(n, seed=0):
    A = np.random.default_rng(seed).normal(size=(n, n + 3))
    return torch.as_tensor(A @ A.T)


def kinds(shape):
    """Second moments of all kinds, and their matrices."""
    grid = grid_of(shape)
    n = grid.n_features
    C = matrix_of(n)
    target = stationary_mean(DenseMoment(C), grid)
    S = by_loops(target, grid)
    B = torch.as_tensor(np.random.default_rng(1).normal(size=(2, n)))
    return {
        "dense": (DenseMoment(C, 0.5), 0.5 * C),
        "factor": (FactorMoment(B), B.T @ B),
        "stationary": (target, S),
        "sum": (
            SumMoment([DenseMoment(C, 0.7), target.scaled(0.3)]),
            0.7 * C + 0.3 * S,
        ),
        "bare": (Bare(C), C),
    }


def by_loops(moment, grid):
    """A stationary matrix, entry by entry, from its lags."""
    places = list(np.ndindex(*grid.shape))
    at = grid.index_of_channels
    S = torch.empty(len(places), len(places), dtype=torch.float64)
    for i, one in enumerate(places):
        for j, two in enumerate(places):
            c, d = (0, 0) if at is None else (one[at], two[at])
            lag = [
                b - a for k, (a, b) in enumerate(zip(one, two, strict=True)) if k != at
            ]
            index = [n - 1 + each for n, each in zip(grid.sizes, lag, strict=True)]
            S[i, j] = moment.lags[c, d, *index]
    return S


def grid_of(shape):
    return shape if isinstance(shape, Grid) else Grid.of(shape, math.prod(shape))


@pytest.mark.parametrize("kind", ["dense", "factor", "stationary", "sum", "bare"])
@pytest.mark.parametrize("shape", SHAPES)
def test_everything_is_that_of_the_matrix(shape, kind):
    moment, matrix = kinds(shape)[kind]
    n = len(matrix)
    rows = torch.as_tensor(np.random.default_rng(2).normal(size=(3, n)))
    close = {"atol": 1e-12 * n * float(matrix.abs().max())}
    np.testing.assert_allclose(moment.left_matmul(rows), rows @ matrix, **close)
    np.testing.assert_allclose(moment.dense(), matrix, **close)
    np.testing.assert_allclose(moment.block(0, 1), matrix[:1], **close)
    np.testing.assert_allclose(moment.diagonal(), matrix.diagonal(), **close)
    np.testing.assert_allclose(
        moment.restricted(rows), rows @ matrix @ rows.T, rtol=1e-9, atol=1e-9
    )
    assert moment.trace() == pytest.approx(float(matrix.trace()))
    assert moment.norm() == pytest.approx(float(torch.linalg.norm(matrix)))
    assert moment.n_features == n
    doubled = moment.scaled(2.0)
    np.testing.assert_allclose(doubled.dense(), 2 * matrix, **close)
    assert doubled.trace() == pytest.approx(2 * float(matrix.trace()))


@pytest.mark.parametrize("kind", ["factor", "stationary", "sum", "bare"])
@pytest.mark.parametrize("shape", SHAPES)
def test_forms_and_lags_are_those_of_the_dense_matrix(shape, kind):
    moment, matrix = kinds(shape)[kind]
    grid, dense = grid_of(shape), DenseMoment(matrix)
    ours, theirs = (C.quadratic_form(grid) for C in (moment, dense))
    np.testing.assert_allclose(ours.hermitian, theirs.hermitian, atol=1e-9)
    np.testing.assert_allclose(ours.bilinear, theirs.bilinear, atol=1e-9)
    lags = moment.lag_products(grid)
    np.testing.assert_allclose(lags, dense.lag_products(grid), atol=1e-12)


@pytest.mark.parametrize("shape", [(7,), *SHAPES[2:]])
@pytest.mark.parametrize("kind", ["none", "real", "complex"])
def test_forms_on_carriers_by_products(shape, kind):
    """Compare e^H C e and e' C e with products of explicit carriers."""
    grid = grid_of(shape)
    n = grid.n_features
    C = matrix_of(n)
    rng = np.random.default_rng(3)
    of_places = rng.normal(size=grid.n_places)
    if kind == "complex":
        of_places = of_places * np.exp(1j * rng.uniform(0, 6, grid.n_places))
    g = np.array(grid.spread(of_places))
    envelope = None if kind == "none" else torch.as_tensor(g)
    if kind == "none":
        g = np.ones(n)
    places = grid.coordinates(C.device).numpy() + 0.5
    waves = np.exp(-2j * np.pi * grid.frequencies(C).numpy() @ places) * g
    indicator = grid.channel_indicator(C.device).numpy()
    for moment, matrix in (
        (DenseMoment(C).quadratic_form(grid, envelope), C.numpy()),
        (QuadraticForm.of_identity(grid, C, envelope), np.eye(n)),
    ):
        e = waves[:, None] * indicator
        image = e @ matrix
        for form, left in ((moment.hermitian, e.conj()), (moment.bilinear, e)):
            expected = np.einsum("fct,fdt->cdf", left, image)
            np.testing.assert_allclose(form, expected, atol=1e-9)


def test_the_total_of_many_forms_keeps_few_of_them():
    """The forms of the chunks of long rows would not fit into memory together."""
    grid, rows = Grid((6,)), torch.as_tensor(matrix_of(6))
    alive, most = weakref.WeakSet(), 0

    def forms():
        nonlocal most
        for row in rows:
            form = QuadraticForm.of_factor(row[None], grid)
            alive.add(form)
            most = max(most, len(alive))
            yield form
            del form

    total = QuadraticForm.total(forms(), 0.5)
    assert most <= 2
    at_once = QuadraticForm.of_factor(rows, grid)
    torch.testing.assert_close(total.hermitian, at_once.hermitian / 2)
    torch.testing.assert_close(total.bilinear, at_once.bilinear / 2)


def test_a_stationary_product_of_a_long_signal_is_toeplitz():
    """The product uses the FFT, because the matrix would not fit into memory."""
    n = 50_000
    lags = torch.zeros(1, 1, 2 * n - 1, dtype=torch.float64)
    lags[0, 0, n - 1], lags[0, 0, n - 2], lags[0, 0, n] = 2.0, -1.0, -1.0
    moment = StationaryMoment(lags, Grid((n,)))
    x = torch.linspace(0, 1, n, dtype=torch.float64)[None] ** 2
    found = moment.left_matmul(x)[0]
    expected = 2 * x[0]
    expected[1:] -= x[0, :-1]
    expected[:-1] -= x[0, 1:]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert moment.trace() == pytest.approx(2.0 * n)
