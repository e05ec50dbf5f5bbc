"""Linear operators: adjoints, solutions and first estimates."""

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.sparse import random_array

from skspectral.restoration.operators import (
    Binning,
    Blur,
    Masking,
    MatrixOperator,
    interpolated,
)

RNG = np.random.default_rng(0)
OPERATORS = {
    "mask": Masking(RNG.random((6, 7, 2)) < 0.5),
    "means of blocks": Binning((6, 8, 2), 2),
    "means of intervals": Binning((1, 12, 1), 3),
    "blur": Blur(RNG.random((3, 4)), (6, 7, 2)),
    "kernel as large as the image": Blur(RNG.random((5, 5)), (5, 5, 1)),
    "dense matrix": MatrixOperator(RNG.standard_normal((9, 24)), (4, 6), None),
    "sparse matrix": MatrixOperator(
        random_array((9, 24), density=0.3, rng=0), (2, 3, 4), 0
    ),
}


def dense(operator):
    n = int(np.prod(operator.image_shape))
    columns = [
        operator.forward(e.reshape(operator.image_shape)).ravel() for e in np.eye(n)
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoint(name):
    operator, rng = OPERATORS[name], np.random.default_rng(1)
    x = rng.standard_normal(operator.image_shape)
    y = rng.standard_normal(operator.observed_shape)
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == y.shape
    assert adjoint.shape == x.shape
    np.testing.assert_allclose(np.vdot(y, forward), np.vdot(adjoint, x))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("varies", [False, True])
def test_solution_of_the_system(name, varies):
    operator, rng = OPERATORS[name], np.random.default_rng(2)
    matrix = dense(operator)
    shape = operator.observed_shape
    ridge = rng.uniform(0.1, 0.5, shape) if varies else np.asarray(0.2)
    residual = operator.forward(rng.standard_normal(operator.image_shape))
    system = matrix @ matrix.T + np.diag(np.broadcast_to(ridge, shape).ravel())
    expected = np.linalg.solve(system, residual.ravel())
    found = operator.solve(residual, ridge).ravel()
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", OPERATORS)
def test_first_estimate_of_a_constant(name):
    operator = OPERATORS[name]
    if "matrix" in name:
        assert np.isfinite(operator.start(np.ones(operator.observed_shape))).all()
        return
    constant = np.full(operator.image_shape, 0.7)
    start = operator.start(operator.forward(constant))
    np.testing.assert_allclose(start, constant, rtol=1e-6)


def test_blur_is_a_convolution_within_the_image():
    kernel, image = RNG.random((3, 5)), RNG.random((9, 10, 1))
    found = Blur(kernel, (7, 6, 1)).forward(image)
    whole = convolve(image[..., 0], kernel, mode="constant")
    np.testing.assert_allclose(found[..., 0], whole[1:-1, 2:-2])


def test_unknown_entries_are_means_of_their_neighbours():
    image, known = np.ones((9, 9, 2)), np.ones((9, 9, 2), dtype=bool)
    image[..., 0] = np.arange(9)
    known[4, 4] = False
    image[4, 4] = np.nan
    filled = interpolated(image, known)
    np.testing.assert_allclose(filled[4, 4], [4, 1])
    np.testing.assert_array_equal(filled[known], image[known])


def test_a_channel_without_known_entries_gets_the_mean():
    known = np.zeros((4, 5, 2), dtype=bool)
    known[0, 0, 0] = True
    filled = interpolated(np.where(known, 3.0, np.nan), known)
    np.testing.assert_allclose(filled, 3.0)
    assert (interpolated(filled, ~known & known) == 0).all()
