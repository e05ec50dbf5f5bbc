import numpy as np
import pytest
import torch

from skspectral.atoms import BasisModulation, PlaneWave, Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.modulated import ModulatedWaves
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.newton import DenseSystem, IterativeSystem
from skspectral.learning.projection import (
    added_variance,
    project,
)
from skspectral.moments import DenseMoment


@pytest.fixture(params=["static", "drift", "plane waves"])
def problem(request):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 12)) @ rng.normal(size=(12, 12))
    order = 0 if request.param == "static" else 1
    carrier, grid = Sinusoid(), Grid((3, 4))
    frequency = torch.tensor([[0.4], [1.7], [3.1]]).double()
    colour = None
    if request.param == "plane waves":
        carrier, grid = PlaneWave(), Grid((2, 3), 2)
        frequency = torch.cat([frequency, frequency.flip(0)], dim=1)
        colour = torch.tensor(rng.normal(size=(3, 2)))
    family = ModulatedWaves(carrier, BasisModulation(order)) if order else carrier
    model = AtomModel(family, grid)
    waves = Waves.of(frequency, torch.tensor([0.3, 1.2, 2.0]).double(), colour)
    params = model.start(waves)
    params = params + 0.2 * torch.tensor(rng.normal(size=params.shape))
    return X, DenseMoment(torch.tensor(X.T @ X / len(X))), model, params


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_loss_is_that_of_the_best_codes(problem, ridge):
    X, C, model, params = problem
    fit = project(model.atoms(params), C, ridge)
    S = fit.atoms.numpy()
    np.testing.assert_allclose((S**2).sum(1), 1)
    codes = np.linalg.solve(S @ S.T + ridge * np.eye(3), S @ X.T).T
    squared_error = ((X - codes @ S) ** 2).sum() / len(X)
    penalty = ridge * (codes**2).sum() / len(X)
    assert fit.loss == pytest.approx(squared_error + penalty, rel=1e-12)
    np.testing.assert_allclose(fit.code_moment, codes.T @ codes / len(X), rtol=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_gradient_by_finite_differences(problem, ridge):
    _, C, model, params = problem

    def loss(p):
        return project(model.atoms(p), C, ridge).loss

    fit = project(model.atoms(params), C, ridge)
    jacobian = model.jacobian(params, torch.float64)
    gradient = DenseSystem(fit, jacobian).gradient
    step = 1e-5
    for index in np.ndindex(*params.shape):
        shift = torch.zeros_like(params)
        shift[index] = step
        slope = (loss(params + shift) - loss(params - shift)) / (2 * step)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_gauss_newton_step_is_dense_least_squares(problem):
    """The step from moments equals least squares on all residuals and derivatives."""
    X, C, model, params = problem
    fit = project(model.atoms(params), C, 0.0)
    D = model.jacobian(params, torch.float64)
    normal = DenseSystem(fit, D.clone())
    system, gradient = normal.matrix, normal.gradient

    S = model.atoms(params).numpy()
    codes = X @ np.linalg.pinv(S)
    complement = np.eye(12) - np.linalg.pinv(S) @ S
    residual = (X - codes @ S).ravel()
    n_params = D.shape[1]
    dense = np.stack(
        [
            -np.outer(codes[:, i], D[i, p].numpy() @ complement).ravel()
            for i in range(3)
            for p in range(n_params)
        ],
        axis=1,
    )
    np.testing.assert_allclose(system, dense.T @ dense / len(X), atol=1e-10)
    np.testing.assert_allclose(
        gradient.ravel(), 2 * dense.T @ residual / len(X), atol=1e-10
    )
    ours = np.linalg.lstsq(system.numpy(), -gradient.ravel().numpy() / 2, rcond=1e-10)
    theirs = np.linalg.lstsq(dense, -residual, rcond=1e-7)
    np.testing.assert_allclose(dense @ ours[0], dense @ theirs[0], atol=1e-5)


def systems(problem, ridge=1e-8):
    """The system of a problem with its matrix, and without it."""
    _, C, model, params = problem
    fit = project(model.atoms(params), C, ridge)
    dense = DenseSystem(fit, model.jacobian(params, torch.float64))
    derivatives = model.derivatives(params, torch.float64)
    return dense, IterativeSystem(fit, derivatives, torch.float64)


def test_the_system_without_its_matrix_has_the_same_products(problem):
    dense, iterative = systems(problem)
    change = torch.tensor(np.random.default_rng(0).normal(size=dense.gradient.shape))
    for one, two in (
        (iterative.gradient, dense.gradient),
        (iterative.blocks, dense.blocks),
        (iterative.product(change), dense.product(change)),
    ):
        # The ridge enters the projection in two ways.
        np.testing.assert_allclose(one, two, atol=1e-6 * float(two.abs().max()))


def test_a_few_conjugate_gradients_come_close_to_the_direct_step(problem):
    dense, iterative = systems(problem)
    added = torch.full_like(dense.gradient, float(dense.matrix.diagonal().mean()))
    direct, none = dense.solve(added)
    assert not bool(none.any())
    damped = dense.matrix + torch.diag(added.flatten())
    np.testing.assert_allclose(
        damped @ direct.flatten(), -dense.gradient.flatten() / 2, atol=1e-9
    )
    rough, residual = iterative.solve(added)
    error = (rough - direct).flatten()
    # Each iteration comes closer to the direct solution in the norm of the matrix.
    assert error @ damped @ error < 0.03 * direct.flatten() @ damped @ direct.flatten()
    left = -dense.gradient / 2 - (damped @ rough.flatten()).view_as(rough)
    np.testing.assert_allclose(residual, left, atol=1e-6 * float(left.abs().max()))


def test_conjugate_gradients_end_at_the_direct_step(problem, monkeypatch):
    monkeypatch.setattr("skspectral.learning.newton._MAX_ITERATIONS", 200)
    monkeypatch.setattr("skspectral.learning.newton._FORCING", 1e-10)
    dense, iterative = systems(problem)
    added = 0.1 * torch.full_like(dense.gradient, float(dense.matrix.diagonal().mean()))
    step, _ = dense.solve(added)
    np.testing.assert_allclose(
        iterative.solve(added)[0], step, atol=1e-5 * float(step.abs().max())
    )


def test_predicted_decrease_is_that_of_the_quadratic_model(problem):
    for system in systems(problem):
        step = system.step(0.5, 1e-4)
        curvature = (step.change * system.product(step.change)).sum()
        slope = (step.change * system.gradient).sum()
        assert step.predicted == pytest.approx(float(-slope - curvature))
        assert step.predicted > 0


def test_added_variance_is_forward_selection():
    rng = np.random.default_rng(0)
    S = rng.normal(size=(4, 9))
    A = rng.normal(size=(9, 9))
    C = A @ A.T
    order, variance = added_variance(
        project(torch.tensor(S), DenseMoment(torch.tensor(C)), 0.0)
    )

    def explained(rows):
        P = np.linalg.pinv(S[rows]) @ S[rows]
        return np.trace(P @ C)

    chosen, previous = [], 0.0
    for place in range(4):
        gains = {
            k: explained([*chosen, k]) - previous for k in range(4) if k not in chosen
        }
        best = max(gains, key=gains.get)
        assert int(order[place]) == best
        assert float(variance[place]) == pytest.approx(gains[best])
        chosen.append(best)
        previous += gains[best]


def test_added_variance_of_a_repeated_atom_is_zero():
    S = torch.tensor(np.random.default_rng(0).normal(size=(2, 5)))
    S = torch.cat([S, S[:1]])
    _, variance = added_variance(project(S, DenseMoment(torch.eye(5).double()), 1e-6))
    np.testing.assert_allclose(variance, [1, 1, 0], atol=1e-9)


def test_an_atom_that_vanished_is_reported():
    with pytest.raises(ArithmeticError, match="atom is zero"):
        project(torch.zeros(2, 4).double(), DenseMoment(torch.eye(4).double()), 1e-6)
