"""Activations, their sums, and the products of which they are made."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

from skspectral.convolutional.activations import (
    Events,
    correlations,
    cross_correlations,
    encode,
)
from skspectral.convolutional.moments import ActivationMoments


def problem(n_atoms=3, n_channels=2, length=7, n_times=100, seed=0):
    torch.manual_seed(seed)
    atoms = torch.randn(n_atoms, n_channels, length, dtype=torch.float64)
    atoms /= atoms.flatten(1).norm(dim=1)[:, None, None]
    return torch.randn(n_channels, n_times, dtype=torch.float64), atoms


def shifted(atoms, n_times):
    """Return the atoms at all starts as rows, (K * n_starts, C * n_times)."""
    n_atoms, n_channels, length = atoms.shape
    n_starts = n_times - length + 1
    rows = torch.zeros(n_atoms, n_starts, n_channels, n_times, dtype=torch.float64)
    for t in range(n_starts):
        rows[:, t, :, t : t + length] = atoms
    return rows.flatten(0, 1).flatten(1)


@pytest.mark.parametrize("n_times", [7, 8, 30, 100, 301])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_products_at_all_starts(n_times, n_channels):
    signal, atoms = problem(n_channels=n_channels, n_times=n_times)
    expected = shifted(atoms, n_times) @ signal.flatten()
    torch.testing.assert_close(correlations(signal, atoms).flatten(), expected)


def test_products_of_shifted_atoms():
    _, atoms = problem(length=5)
    rows = shifted(atoms, 13).view(3, 9, -1)
    # The second atom stands in the middle, at the start 4.
    expected = torch.einsum("kmt,lt->klm", rows, rows[:, 4])
    torch.testing.assert_close(cross_correlations(atoms), expected)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("alpha", [0.8, 0.2])
def test_activations_are_those_of_a_lasso_on_all_shifted_atoms(positive, alpha):
    signal, atoms = problem()
    rows = shifted(atoms, 100)
    reference = Lasso(
        alpha / signal.numel(),
        fit_intercept=False,
        positive=positive,
        tol=1e-14,
        max_iter=10**6,
    ).fit(rows.T.numpy(), signal.flatten().numpy())
    events, converged = encode(signal, atoms, alpha, positive=positive, tol=1e-9)
    assert converged
    found = events.dense(3, 94).flatten()
    np.testing.assert_allclose(found, reference.coef_, atol=1e-6)
    torch.testing.assert_close(events.signal(atoms, 100).flatten(), found @ rows)
    # From another start, too, and with the default tolerance nearly.
    again, _ = encode(signal, atoms, alpha, positive=positive, start=events, tol=1e-9)
    np.testing.assert_allclose(again.dense(3, 94).flatten(), found, atol=1e-7)
    rough, _ = encode(signal, atoms, alpha, positive=positive)
    np.testing.assert_allclose(rough.dense(3, 94).flatten(), found, atol=0.02)


def test_smooth_atoms_whose_neighbours_are_almost_equal():
    t = torch.arange(40, dtype=torch.float64)
    atom = torch.exp(-(((t - 19.5) / 8) ** 2) / 2)[None, None]
    atom /= atom.norm()
    true = Events(
        torch.zeros(3, dtype=torch.int64),
        torch.tensor([10, 60, 75]),
        torch.tensor([1.0, 2.0, 1.5], dtype=torch.float64),
    )
    signal = true.signal(atom, 200)
    events, converged = encode(signal, atom, 1e-3, positive=True, tol=1e-6)
    assert converged
    residual = signal - events.signal(atom, 200)
    products = correlations(residual, atom)[0]
    assert float(products.max()) <= 1e-3 * (1 + 1e-4)
    torch.testing.assert_close(
        products[events.start], torch.full((len(events.start),), 1e-3).double(),
        rtol=1e-3, atol=1e-9,
    )  # fmt: skip


def test_recordings_that_are_joined_do_not_influence_each_other():
    one, atoms = problem(n_times=40)
    two, _ = problem(n_times=55, seed=1)
    usable = torch.ones(89, dtype=torch.bool)
    usable[34:40] = False
    joined, _ = encode(torch.cat([one, two], 1), atoms, 0.5, usable=usable, tol=1e-8)
    for signal, first, end in ((one, 0, 40), (two, 40, 95)):
        alone, _ = encode(signal, atoms, 0.5, tol=1e-8)
        part = joined.between(first, end)
        n_starts = end - first - 6
        torch.testing.assert_close(
            part.dense(3, n_starts), alone.dense(3, n_starts), atol=1e-6, rtol=0
        )


def test_a_descent_that_ends_early_says_so():
    signal, atoms = problem()
    assert not encode(signal, atoms, 0.1, max_iter=2)[1]


def test_sums_determine_the_squared_error():
    signal, atoms = problem()
    events, _ = encode(signal, atoms, 0.4)
    sums = ActivationMoments.of(signal, events, 3, 7)
    rows = atoms.flatten(1)

    def error(rows):
        return ((signal - events.signal(rows.view(3, 2, 7), 100)) ** 2).sum() / 100

    assert sums.squared_error(rows) == pytest.approx(float(error(rows)))
    change = torch.randn_like(rows)
    numeric = (error(rows + 1e-5 * change) - error(rows - 1e-5 * change)) / 2e-5
    assert float((sums.gradient(rows) * change).sum()) == pytest.approx(float(numeric))
    curvature = (error(rows + change) + error(rows - change) - 2 * error(rows)) / 2
    assert float((sums.apply(change) * change).sum()) == pytest.approx(float(curvature))
    assert sums.n_events == len(events.value)
    assert sums.code_energy.sum() == pytest.approx(float((events.value**2).sum() / 100))


def test_sums_of_recordings_are_added():
    one, atoms = problem(n_times=40)
    two, _ = problem(n_times=55, seed=1)
    parts = []
    for signal in (one, two):
        events, _ = encode(signal, atoms, 0.5)
        parts.append((signal, events, ActivationMoments.of(signal, events, 3, 7)))
    both = parts[0][2].plus(parts[1][2])
    errors = [
        float(((x - events.signal(atoms, x.shape[1])) ** 2).sum())
        for x, events, _ in parts
    ]
    assert both.squared_error(atoms.flatten(1)) * 95 == pytest.approx(sum(errors))
    order, sign = torch.tensor([2, 0, 1]), torch.tensor([1.0, -1.0, 1.0]).double()
    moved = sign[:, None] * atoms.flatten(1)[order]
    assert both.reordered(order, sign).squared_error(moved) == pytest.approx(
        both.squared_error(atoms.flatten(1))
    )


def test_no_events():
    _, atoms = problem()
    events, converged = encode(torch.zeros(2, 50).double(), atoms, 0.1)
    assert converged
    assert len(events.value) == 0
    assert float(events.signal(atoms, 50).abs().max()) == 0
