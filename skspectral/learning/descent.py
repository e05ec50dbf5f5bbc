"""Refinement of atom parameters: damped Gauss-Newton, or L-BFGS where that is large."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize

from skspectral._device import as_array, as_tensor
from skspectral.atoms.family import AtomModel
from skspectral.learning.projection import Projection, gauss_newton_system, project
from skspectral.moments.second_moment import SecondMoment

# Rejected trials before the damping is so large that no step is left.
_MAX_TRIALS = 8
# Added to the diagonal of the normal matrix, as a share of its mean. With less, it is
# the order of the rows that decides which minimum single precision finds.
_LEAST_DAMPING = 1e-4
# It falls with the loss below this share of the whole: where nearly all is explained,
# only full steps converge.
_NEARLY_ALL = 0.02
# Normal matrices of at most so many products are computed in double precision anyway.
_FEW_PRODUCTS = 2e8
# L-BFGS steps are an order of magnitude cheaper than Gauss-Newton's, and shorter.
_LBFGS_STEPS_PER_ITERATION = 10


@dataclass(frozen=True)
class Step:
    """Errors of one dictionary, mean over the samples; NaN where not evaluated."""

    squared_error: float
    stft_error: float = float("nan")
    stage: str = ""


@dataclass
class Descent:
    """Where a refinement stands.

    ``steps`` holds the errors after each step, ``start`` those before; ``converged`` is
    True where two steps in a row lowered the loss by less than the tolerance, or none
    could lower it.
    """

    params: torch.Tensor
    fit: Projection
    start: Step
    steps: list[Step] = field(default_factory=list)
    converged: bool = False
    stopped: bool = False

    @property
    def losses(self) -> list[float]:
        """Squared errors after each step."""
        return [step.squared_error for step in self.steps]

    def add(self, squared_error: float, stft_error: float = float("nan")) -> None:
        """Note a step, which must not have failed."""
        _finite(squared_error, len(self.steps) + 1)
        self.steps.append(Step(squared_error, stft_error))


@dataclass(frozen=True)
class Settings:
    """What the refinements share.

    ``tol`` is relative to the loss; ``dtype`` is that of the large products;
    ``method`` is "gauss-newton", "lbfgs", "adam" or "auto": the first where each
    parameter belongs to one atom and the normal matrix has at most ``max_system`` rows,
    else the second. ``learning_rate`` is that of Adam.
    """

    ridge: float
    max_iter: int
    tol: float
    dtype: torch.dtype
    method: str = "auto"
    learning_rate: float = 3e-3
    max_system: int = 4096

    def by_gauss_newton(self, model: AtomModel, params: torch.Tensor) -> bool:
        """Whether to take Gauss-Newton steps."""
        if self.method == "auto":
            return model.separable and params.numel() <= self.max_system
        return self.method == "gauss-newton"

    def most_steps(self, model: AtomModel, params: torch.Tensor) -> int:
        """Largest number of steps that a descent takes."""
        newton = self.by_gauss_newton(model, params)
        return self.max_iter * (1 if newton else _LBFGS_STEPS_PER_ITERATION)


def descend(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """Lower the squared error over the parameters of the atoms, from ``params``.

    ``on_step`` is called with the loss after each step; True stops.

    Raises
    ------
    ArithmeticError
        If the squared error is not finite, naming the step.
    """
    start = project(model.atoms(params), C, settings.ridge)
    state = Descent(params, start, Step(_finite(start.loss, 0)))
    if _all_explained(start, C):
        state.converged = True
        return state
    method = _gauss_newton if settings.by_gauss_newton(model, params) else _lbfgs
    return method(model, state, C, settings, on_step)


def _all_explained(fit: Projection, C: SecondMoment) -> bool:
    """Whether only the ridge is left in the loss.

    This is true once the atoms span the data.
    """
    total = C.trace()
    if fit.loss > 1e-3 * total:
        return False
    return project(fit.atoms, C, 0.0).loss <= 1e-9 * total


def _finite(loss: float, step: int) -> float:
    if not np.isfinite(loss):
        raise ArithmeticError(f"The squared error became {loss} at step {step}.")
    return loss


def _gauss_newton(
    model: AtomModel,
    state: Descent,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """Levenberg-Marquardt on Kaufman's normal matrix: each step lowers the loss."""
    damping, small_steps = 1e-3, 0
    dtype, total = settings.dtype, C.trace()
    if state.params.numel() ** 2 * C.n_features <= _FEW_PRODUCTS:
        dtype = torch.float64
    for _ in range(settings.max_iter):
        jacobian = model.jacobian(state.params, dtype)
        system, gradient = gauss_newton_system(state.fit, jacobian)
        previous = state.fit.loss
        least = _LEAST_DAMPING * min(1.0, previous / (_NEARLY_ALL * total))
        for _ in range(_MAX_TRIALS):
            try:
                step = _damped_step(system, gradient, damping, least)
                trial = state.params + step
                fit = project(model.atoms(trial), C, settings.ridge)
            except ArithmeticError:
                # Too long a step: an atom has vanished, or the matrix is singular.
                damping *= 4
                continue
            if fit.loss < previous:
                state.params, state.fit = trial, fit
                damping = max(damping / 5, 1e-8)
                break
            damping *= 4
        else:
            state.converged = True
            break
        loss = state.fit.loss
        state.add(loss)
        # A single short step may only mean that the damping was too large.
        small_steps = small_steps + 1 if previous - loss <= settings.tol * loss else 0
        state.converged = small_steps == 2 or _all_explained(state.fit, C)
        state.stopped = bool(on_step(loss))
        if state.converged or state.stopped:
            break
    return state


def _damped_step(
    system: torch.Tensor, gradient: torch.Tensor, damping: float, least: float
) -> torch.Tensor:
    """Solve for the step; ArithmeticError where the matrix is not positive definite."""
    diagonal = system.diagonal()
    mean = diagonal.mean()
    # Directions that change nothing, such as the length of an atom, have a zero
    # diagonal. Others that change little would follow the rounding of the products.
    added = damping * (diagonal + 1e-2 * mean) + least * mean
    damped = system.clone()
    damped.diagonal().add_(added)
    factor, info = torch.linalg.cholesky_ex(damped)
    if info != 0:
        raise ArithmeticError("The damped normal matrix is not positive definite.")
    flat = gradient.reshape(-1, 1).to(system.dtype)
    step = torch.cholesky_solve(flat, factor).reshape(gradient.shape)
    return -step.to(gradient.dtype) / 2


def _lbfgs(
    model: AtomModel,
    state: Descent,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """SciPy's L-BFGS with the closed-form gradient by the atoms."""
    params, start = state.params, state.start.squared_error

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = as_tensor(flat.reshape(params.shape), params.device)
        point.requires_grad_(True)
        atoms = model.atoms(point)
        fit = project(atoms.detach(), C, settings.ridge)
        (slope,) = torch.autograd.grad(atoms, point, fit.gradient())
        return fit.loss / start, as_array(slope).ravel() / start

    def after_step(intermediate_result: OptimizeResult) -> None:
        loss = float(intermediate_result.fun) * start
        state.add(loss)
        state.stopped = bool(on_step(loss))
        losses = [start, *state.losses][-_LBFGS_STEPS_PER_ITERATION - 1 :]
        full = len(losses) > _LBFGS_STEPS_PER_ITERATION
        state.converged = full and losses[0] - loss <= settings.tol * loss
        if state.stopped or state.converged:
            raise StopIteration

    result = minimize(
        evaluate,
        as_array(params).ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=after_step,
        options={
            "maxiter": settings.most_steps(model, params),
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    state.params = as_tensor(result.x.reshape(params.shape), params.device)
    state.fit = project(model.atoms(state.params), C, settings.ridge)
    # Status 1: out of steps. Otherwise, not stopped, it found no lower point.
    if result.status != 1 and not state.stopped:
        state.converged = True
    return state
