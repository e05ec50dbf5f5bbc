import itertools

import numpy as np
import pytest
import torch

from skspectral.atoms import Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.descent import Settings
from skspectral.learning.projection import project
from skspectral.learning.stochastic import (
    Batches,
    MinibatchLoss,
    SpectralLoss,
    alternate,
    exact_gradient,
    polish,
)
from skspectral.moments import DenseMoment
from skspectral.stft import STFT


def batches_of(X, weights=None, size=None, seed=0):
    mean = torch.tensor(X.mean(0))
    stream = np.random.default_rng(seed)
    return Batches(X, weights, mean, 0.5, size, torch.float64, stream)


def test_an_epoch_is_every_row_once():
    X = np.random.default_rng(0).normal(size=(10, 3))
    drawn = list(batches_of(X, size=4).epoch())
    assert [len(rows) for rows, _ in drawn] == [4, 4, 2]
    rows = torch.cat([rows for rows, _ in drawn]).numpy()
    expected = (X - X.mean(0)) * 0.5
    np.testing.assert_allclose(np.sort(rows, axis=0), np.sort(expected, axis=0))
    for _, weights in drawn:
        np.testing.assert_allclose(weights, 1 / len(weights))


def test_weights_are_shares_and_rows_without_are_never_drawn():
    X = np.arange(12.0).reshape(6, 2)
    weights = np.array([0, 1, 2, 0, 3, 4.0])
    batches = batches_of(X, weights, size=10)
    ((rows, share),) = batches.epoch()
    original = rows.numpy() / 0.5 + X.mean(0)
    np.testing.assert_allclose(share, weights[(original[:, 0] / 2).astype(int)] / 10)
    # The weight of a row does not depend on the size of its minibatch.
    for rows, share in batches_of(X, weights, size=3).epoch():
        original = rows.numpy() / 0.5 + X.mean(0)
        expected = weights[(original[:, 0] / 2).astype(int)] / 2.5 / len(rows)
        np.testing.assert_allclose(share, expected)
    assert len(batches.probe()[0]) == 4
    # The iterator continues with further epochs.
    assert len(list(itertools.islice(batches.forever(), 3))) == 3


@pytest.fixture
def problem():
    t = np.arange(32) / 32
    rng = np.random.default_rng(0)
    waves = [np.sin(2 * np.pi * f * t + 1) for f in (3.2, 5.9)]
    X = rng.normal(size=(200, 2)) @ waves + 0.05 * rng.normal(size=(200, 32))
    centred = (X - X.mean(0)) * 0.5
    model = AtomModel(Sinusoid(), Grid((32,)))
    start = Waves.of(
        torch.tensor([[3.0], [6.2]]).double(), torch.tensor([1.0, 1.0]).double()
    )
    C = DenseMoment(torch.tensor(centred.T @ centred / 200))
    return X, C, model, model.start(start)


def settings(**changes):
    options = {"ridge": 1e-6, "max_iter": 5, "tol": 0.0, "dtype": torch.float64}
    return Settings(**{**options, "learning_rate": 0.02, **changes})


SPECTRAL = SpectralLoss(STFT(8, 2), 0.1)


@pytest.mark.parametrize("spectral", [None, SPECTRAL])
def test_the_alternation_finds_near_frequencies(problem, spectral):
    X, C, model, params = problem
    batches = batches_of(X, size=20)
    told = []
    state = alternate(
        model, params, C, batches, settings(), spectral, lambda **s: told.append(s)
    )
    assert len(state.steps) == len(told) == 5
    found = np.sort(state.params[:, 0].abs().numpy())
    np.testing.assert_allclose(found, [3.2, 5.9], atol=0.05)
    exact = project(model.atoms(state.params), C, 1e-6).loss
    assert state.fit.loss == pytest.approx(exact)
    assert exact < 0.3 * state.start.squared_error
    assert np.isnan(state.steps[-1].stft_error) == (spectral is None)


def test_the_spectral_stage_never_raises_the_loss(problem):
    X, C, model, params = problem
    for rate in (0.01, 100.0):
        state = polish(
            model,
            params,
            C,
            batches_of(X),
            settings(learning_rate=rate),
            SPECTRAL,
            lambda **s: False,
        )
        start = state.start.squared_error + 0.1 * state.start.stft_error
        best = min(s.squared_error + 0.1 * s.stft_error for s in state.steps)
        if rate < 1:
            assert best < 0.9 * start
        if best < start:
            assert state.fit.loss in [s.squared_error for s in state.steps]
        else:
            # With steps that are far too long, the initial parameters are kept.
            np.testing.assert_array_equal(state.params, params)


def test_it_stops_when_asked_and_when_nothing_is_gained(problem):
    X, C, model, params = problem
    options = model, params, C, batches_of(X)
    state = polish(*options, settings(), SPECTRAL, lambda **s: True)
    assert state.stopped
    assert len(state.steps) == 1
    state = polish(*options, settings(tol=10.0), SPECTRAL, lambda **s: False)
    assert state.converged
    assert len(state.steps) == 2
    # With a tolerance of 0, all rounds are made even without improvement.
    rate = settings(tol=0.0, learning_rate=100.0)
    state = polish(*options, rate, SPECTRAL, lambda **s: False)
    assert len(state.steps) == 5
    assert not state.converged


def test_draws_repeat(problem):
    X, C, model, params = problem
    found = [
        alternate(
            model,
            params,
            C,
            batches_of(X, size=20),
            settings(),
            None,
            lambda **s: False,
        ).params
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)


def test_the_gradient_of_both_losses_by_finite_differences(problem):
    X, C, model, params = problem
    batches = batches_of(X)
    batch = batches.probe()
    loss = MinibatchLoss(SPECTRAL, 1e-3, batches.offset)
    point = params.clone().requires_grad_(True)
    gradient = exact_gradient(model, point, C, batch, loss)

    def value(p):
        atoms = model.atoms(p)
        squared = project(atoms, C, 1e-3).loss
        return loss.total(squared, float(loss.spectral_error(atoms, batch)))

    for index in np.ndindex(*params.shape):
        shift = torch.zeros_like(params)
        shift[index] = 1e-6
        numeric = (value(params + shift) - value(params - shift)) / 2e-6
        assert float(gradient[index]) == pytest.approx(numeric, rel=1e-4, abs=1e-7)


def test_the_codes_of_the_alternation_are_held_fixed(problem):
    """Its gradient is that of equation (8) with constant codes."""
    X, _, model, params = problem
    batches = batches_of(X)
    rows, weights = batches.probe()
    loss = MinibatchLoss(SPECTRAL, 1e-3, batches.offset)
    point = params.clone().requires_grad_(True)
    value = loss.with_fixed_codes(model.atoms(point), (rows, weights))
    (gradient,) = torch.autograd.grad(value, point)

    def unit(p):
        atoms = model.atoms(p)
        return atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)

    S = unit(params)
    codes = torch.linalg.solve(S @ S.T + 1e-3 * torch.eye(2), S @ rows.T).T

    def fixed(p):
        rebuilt = codes @ unit(p)
        squared = weights @ ((rows - rebuilt) ** 2).sum(1)
        error = SPECTRAL.stft.magnitude_error(
            rows + batches.offset, rebuilt + batches.offset
        )
        return float(squared + 0.1 * weights @ error)

    for index in np.ndindex(*params.shape):
        shift = torch.zeros_like(params)
        shift[index] = 1e-6
        numeric = (fixed(params + shift) - fixed(params - shift)) / 2e-6
        assert float(gradient[index]) == pytest.approx(numeric, rel=1e-4, abs=1e-7)


def test_rows_come_in_random_order():
    X = np.arange(40.0).reshape(20, 2)
    ((one, _),) = batches_of(X).epoch()
    assert not np.array_equal(one, (X - X.mean(0)) * 0.5)


def test_divergence_names_the_round_and_the_learning_rate(problem):
    X, C, model, params = problem
    message = r"round 1.*Lower learning_rate=inf"
    with pytest.raises(ArithmeticError, match=message):
        alternate(
            model,
            params,
            C,
            batches_of(X),
            settings(learning_rate=1e400),
            None,
            lambda **s: False,
        )
