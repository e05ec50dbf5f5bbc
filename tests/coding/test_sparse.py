"""Sparse codes: scikit-learn's as reference, and the conditions of the minimum."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import sparse_encode
from sklearn.linear_model import Lasso

from skspectral.coding.gram import Gram, SparseRows, largest
from skspectral.coding.sparse import SparseCoding, sparse_codes, split_signs

CPU = torch.device("cpu")


def encode(X, atoms, batch_size=None, **options):
    """Return the codes and the report."""
    return sparse_codes(
        X,
        np.zeros(X.shape[1]),
        atoms,
        Gram.of(torch.from_numpy(atoms)),
        SparseCoding(**options),
        device=CPU,
        batch_size=batch_size,
    )


def problem(n_rows, n_atoms, n_features, seed=0):
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(n_atoms, n_features))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return rng.normal(size=(n_rows, n_features)), atoms


@pytest.mark.parametrize(
    ("n_atoms", "n_features"), [(1, 3), (5, 8), (40, 64), (64, 32), (200, 16)]
)
@pytest.mark.parametrize("n_nonzero", [1, 3, 12])
def test_matching_pursuit_is_that_of_scikit_learn(n_atoms, n_features, n_nonzero):
    X, atoms = problem(50, n_atoms, n_features)
    L = min(n_nonzero, n_atoms, n_features)
    expected = sparse_encode(X, atoms, algorithm="omp", n_nonzero_coefs=L)
    codes, report = encode(X, atoms, algorithm="omp", n_nonzero=L)
    np.testing.assert_allclose(codes, expected, atol=1e-10)
    assert report.n_nonzeros == (expected != 0).sum()
    in_parts, _ = encode(X, atoms, batch_size=7, algorithm="omp", n_nonzero=L)
    np.testing.assert_allclose(in_parts, codes, atol=1e-12)


def test_matching_pursuit_stops_at_rows_that_are_complete():
    _, atoms = problem(1, 30, 20)
    true = np.zeros((3, 30))
    true[0, 4], true[1, [2, 9]] = 2.0, [1.0, -3.0]
    X = true @ atoms
    codes, _ = encode(X, atoms, algorithm="omp", n_nonzero=6)
    assert (codes[2] == 0).all()
    np.testing.assert_allclose(codes[:2] @ atoms, X[:2], atol=1e-10)
    assert (codes[0] != 0).sum() == 1
    # Atoms that occur twice are linearly dependent. The second one is never needed.
    twice = np.concatenate([atoms, atoms])
    codes, _ = encode(X, twice, algorithm="omp", n_nonzero=10)
    np.testing.assert_allclose(codes @ twice, X, atol=1e-10)


@pytest.mark.parametrize(
    ("n_atoms", "n_features"), [(1, 3), (5, 8), (40, 64), (64, 32), (200, 16)]
)
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("alpha", [1.5, 0.3, 0.05])
def test_the_lasso_is_that_of_scikit_learn(n_atoms, n_features, positive, alpha):
    X, atoms = problem(20, n_atoms, n_features)
    if positive:
        # scikit-learn's lasso_lars does not find the minimum for positive codes.
        model = Lasso(alpha / n_features, fit_intercept=False, positive=True, tol=1e-13)
        model.set_params(max_iter=10**6)
        expected = np.array([model.fit(atoms.T, row).coef_ for row in X])
    else:
        expected = sparse_encode(X, atoms, algorithm="lasso_lars", alpha=alpha)
    codes, report = encode(X, atoms, algorithm="lasso", alpha=alpha, positive=positive)
    assert report.n_unfinished == 0

    def objective(codes):
        return ((X - codes @ atoms) ** 2).sum(1) / 2 + alpha * np.abs(codes).sum(1)

    assert (objective(codes) <= objective(expected) + 1e-9).all()
    if n_atoms <= n_features:
        # The minimum is unique.
        np.testing.assert_allclose(codes, expected, atol=1e-6)
        assert ((codes != 0) == (np.abs(expected) > 1e-9)).mean() > 0.999


@given(
    st.integers(0, 1000),
    st.sampled_from([np.float64, np.float32]),
    st.floats(1e-3, 2),
    st.booleans(),
    st.sampled_from([1e-12, 1.0, 1e12]),
)
def test_lasso_codes_satisfy_the_conditions_of_the_minimum(
    seed, dtype, alpha, positive, unit
):
    X, atoms = problem(12, 24, 10, seed)
    X[0] = 0
    codes, report = encode(
        (unit * X).astype(dtype),
        atoms,
        algorithm="lasso",
        alpha=unit * alpha,
        positive=positive,
    )
    assert codes.dtype == dtype
    codes = codes.astype(np.float64) / unit
    products = (X - codes @ atoms) @ atoms.T
    tolerance = 1e-6 if dtype == np.float64 else 3e-4
    size = products if positive else np.abs(products)
    assert (size <= alpha + tolerance).all()
    used = codes != 0
    np.testing.assert_allclose(
        products[used], alpha * np.sign(codes[used]), atol=tolerance
    )
    assert not positive or (codes >= 0).all()
    assert report.largest == pytest.approx(unit * np.abs(X @ atoms.T).max(), rel=1e-5)


def test_equal_atoms_do_not_keep_the_lasso_from_its_minimum():
    X, atoms = problem(30, 20, 12)
    nearly = atoms + 1e-9 * np.random.default_rng(1).normal(size=atoms.shape)
    both = np.concatenate([atoms, nearly, atoms[:5]])
    alone, _ = encode(X, atoms, algorithm="lasso", alpha=0.1)
    codes, report = encode(X, both, algorithm="lasso", alpha=0.1)
    assert report.n_unfinished == 0
    np.testing.assert_allclose(codes @ both, alone @ atoms, atol=1e-5)


def test_a_lasso_that_ends_early_says_for_how_many_rows():
    X, atoms = problem(30, 20, 12)
    _, report = encode(X, atoms, algorithm="lasso", alpha=0.01, max_iter=2)
    assert 0 < report.n_unfinished <= 30


@pytest.mark.parametrize("positive", [False, True])
def test_thresholding_is_that_of_scikit_learn(positive):
    X, atoms = problem(20, 9, 6)
    codes, _ = encode(X, atoms, algorithm="threshold", alpha=0.4, positive=positive)
    expected = sparse_encode(
        X, atoms, algorithm="threshold", alpha=0.4, positive=positive
    )
    np.testing.assert_allclose(codes, expected, atol=1e-12)


def test_rows_that_are_not_finite_have_codes_that_are_not():
    X, atoms = problem(6, 20, 12)
    clean, _ = encode(X, atoms, algorithm="lasso", alpha=0.1)
    X[2, 3], X[4, 0] = np.nan, np.inf
    codes, _ = encode(X, atoms, algorithm="lasso", alpha=0.1)
    assert np.isnan(codes[[2, 4]]).all()
    np.testing.assert_array_equal(codes[[0, 1, 3, 5]], clean[[0, 1, 3, 5]])


def test_tensors_give_tensors():
    X, atoms = problem(6, 20, 12)
    expected, _ = encode(X, atoms, algorithm="omp", n_nonzero=3)
    codes, _ = encode(torch.from_numpy(X), atoms, algorithm="omp", n_nonzero=3)
    np.testing.assert_array_equal(codes.numpy(), expected)
    both = split_signs(codes)
    assert (both >= 0).all()
    np.testing.assert_array_equal(both[:, :20] - both[:, 20:], expected)
    np.testing.assert_array_equal(split_signs(expected), both.numpy())


def test_the_largest_entries():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 96)))
    found, column = largest(values, 96, 3)
    np.testing.assert_array_equal(column[:, 0], values.argmax(1))
    np.testing.assert_array_equal(found, values.gather(1, column))
    assert (found.diff(dim=1) <= 0).all()


def test_sparse_rows():
    rows = SparseRows(torch.tensor([[2, 0], [1, 3]]), torch.tensor([[5.0, 0], [1, -2]]))
    dense = torch.tensor([[0, 0, 5.0, 0], [0, 1, 0, -2]])
    torch.testing.assert_close(rows.dense(4), dense)
    torch.testing.assert_close(rows.widened(4).dense(4), dense)
    matrix = torch.randn(4, 7)
    torch.testing.assert_close(rows.combine(matrix), dense @ matrix)
