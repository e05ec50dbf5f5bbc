"""Stationary second moments at waves with envelopes, compared with their matrices."""

import math

import numpy as np
import pytest
import torch

from skspectral.grid import Grid
from skspectral.moments import DenseMoment, StationaryMoment
from skspectral.moments.envelopes import pair_factors
from skspectral.moments.stationary import stationary_mean

# Shapes, or grids whose channels are not on the last of three axes.
SHAPES = [
    *((9,), (1, 6), (4, 3), (3, 4, 2), (1, 5, 2)),
    *(Grid((5,), 2, 0), Grid((2, 3, 4))),
]


def gaussian(grid, centre, width):
    coordinates = grid.coordinates(torch.device("cpu"))
    return torch.exp(-(((coordinates - centre) / width) ** 2).sum(0) / 2)


def chirp(grid, sweep):
    x = grid.coordinates(torch.device("cpu"))[0]
    return torch.exp(-1j * math.pi * sweep * x**2)


def stationary(grid):
    A = np.random.default_rng(0).normal(size=(grid.n_features, grid.n_features + 3))
    return stationary_mean(DenseMoment(torch.as_tensor(A @ A.T)), grid)


def assert_same_form(moment, grid, envelope):
    ours = moment.quadratic_form(grid, envelope)
    dense = DenseMoment(moment.dense()).quadratic_form(grid, envelope)
    scale = 1e-11 * float(dense.hermitian.abs().max())
    np.testing.assert_allclose(ours.hermitian, dense.hermitian, atol=scale)
    np.testing.assert_allclose(ours.bilinear, dense.bilinear, atol=scale)


def grid_of(shape):
    return shape if isinstance(shape, Grid) else Grid.of(shape, math.prod(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("centre", [0.0, -0.45, 0.8])
@pytest.mark.parametrize("width", [0.02, 0.2, 1.0])
def test_gaussian_windows(shape, centre, width):
    grid = grid_of(shape)
    assert_same_form(stationary(grid), grid, gaussian(grid, centre, width))


@pytest.mark.parametrize("sweep", [0.0, 1.5, -3.0])
@pytest.mark.parametrize("width", [0.2, math.inf])
def test_chirps(sweep, width):
    grid = Grid((24,))
    envelope = chirp(grid, sweep) * gaussian(grid, 0.1, width)
    assert pair_factors(envelope, grid) is not None
    assert_same_form(stationary(grid), grid, envelope)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["random", "negative", "complex", "growing", "zero"])
def test_other_envelopes(shape, kind):
    grid = grid_of(shape)
    rng = np.random.default_rng(1)
    of_places = rng.normal(size=grid.n_places)
    if kind == "negative":
        of_places = -np.ones(grid.n_places)
    if kind == "complex":
        of_places = of_places + 1j * rng.normal(size=grid.n_places)
    if kind == "growing":
        of_places = np.exp(-300 * np.linspace(-1, 0.5, grid.n_places) ** 2)
        of_places = 1e-120 / (of_places + 1e-120)
    if kind == "zero":
        of_places = np.zeros(grid.n_places)
    envelope = torch.as_tensor(np.array(grid.spread(of_places)))
    assert_same_form(stationary(grid), grid, envelope)


def test_factors_that_overflow():
    grid = Grid((9,))
    growing = torch.exp(700 * grid.coordinates(torch.device("cpu"))[0] ** 2 * 4)
    assert pair_factors(growing, grid) is None


@pytest.mark.parametrize("kind", ["gaussian", "narrow", "chirp"])
def test_factors_multiply_to_the_products(kind):
    grid = Grid((200,))
    envelope = {
        "gaussian": gaussian(grid, -0.25, 0.125),
        "narrow": gaussian(grid, -0.49, 0.004),
        "chirp": chirp(grid, 30.0),
    }[kind]
    p, q = pair_factors(envelope, grid)
    i = torch.arange(200)
    products = p[i[:, None] + i] * q[i - i[:, None] + 199]
    expected = envelope[:, None] * envelope
    np.testing.assert_allclose(products, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "chirp"])
def test_long_signals(kind):
    """The T x T matrix would not fit into memory."""
    n, frequency = 100_000, 2 * 1234
    grid = Grid((n,))
    lags = torch.exp(-torch.arange(1.0 - n, n, dtype=torch.float64).abs() / 50)
    moment = StationaryMoment(lags[None, None], grid)
    envelope = gaussian(grid, 0.1, 1 / 8) if kind == "gaussian" else chirp(grid, 40.0)
    form = moment.quadratic_form(grid, envelope)
    t = torch.arange(n, dtype=torch.float64) / n
    for index in (0, 3, frequency):
        e = torch.exp(-1j * math.pi * index * t) * envelope
        image = torch.complex(*moment.left_matmul(torch.stack([e.real, e.imag])))
        hermitian, bilinear = e.conj() @ image, e @ image
        scale = float(hermitian.abs())
        assert abs(form.hermitian[0, 0, index] - hermitian) < 1e-9 * scale
        assert abs(form.bilinear[0, 0, index] - bilinear) < 1e-9 * scale
