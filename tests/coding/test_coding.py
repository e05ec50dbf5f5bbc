import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from skspectral._linalg import add_gram_, cholesky, mirror_upper_
from skspectral.coding.linear import (
    apply_centred,
    combine,
    least_squares_map,
    orthonormal_basis,
)


@pytest.fixture
def atoms():
    S = np.random.default_rng(0).normal(size=(4, 20))
    return S / np.linalg.norm(S, axis=1, keepdims=True)


def test_codes_are_ridge_regression(atoms):
    X = np.random.default_rng(1).normal(size=(6, 20))
    codes = X @ least_squares_map(torch.tensor(atoms), 0.01).numpy().T
    expected = Ridge(alpha=0.01, fit_intercept=False).fit(atoms.T, X.T).coef_
    np.testing.assert_allclose(codes, expected, atol=1e-12)


def test_axes_span_the_atoms(atoms):
    Q = orthonormal_basis(torch.tensor(atoms)).numpy()
    np.testing.assert_allclose(Q @ Q.T, np.eye(4), atol=1e-14)
    np.testing.assert_allclose(atoms @ Q.T @ Q, atoms, atol=1e-14)
    assert np.linalg.det(atoms @ Q.T) > 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_products(dtype, batch_size, cpu):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, size=(10, 6)).astype(dtype)
    mean, matrix = rng.normal(size=6), rng.normal(size=(2, 6))
    codes = apply_centred(X, mean, matrix, batch_size=batch_size, device=cpu)
    assert codes.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(codes, (X - mean) @ matrix.T, rtol=1e-4)
    back = combine(codes, mean, matrix, device=cpu)
    assert back.dtype == codes.dtype
    np.testing.assert_allclose(back, mean + codes @ matrix, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 100, 300])
def test_blocked_gram(n):
    A = torch.tensor(np.random.default_rng(0).normal(size=(5, n)))
    out = torch.zeros(n, n, dtype=torch.float64)
    add_gram_(out, A)
    add_gram_(out, A)
    np.testing.assert_allclose(mirror_upper_(out), 2 * A.T @ A, atol=1e-12)


def test_cholesky_raises_the_ridge_for_a_singular_matrix():
    A = torch.ones(3, 3, dtype=torch.float64)
    factor = cholesky(A)
    np.testing.assert_allclose(factor @ factor.T, A, atol=1e-3)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_cholesky_refuses(bad):
    with pytest.raises(ArithmeticError, match="not"):
        cholesky(bad * torch.eye(3, dtype=torch.float64))
