"""Refinement of the atoms' parameters by damped Gauss-Newton steps or L-BFGS."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize

from skspectral._device import as_array, as_tensor
from skspectral.atoms.family import AtomModel
from skspectral.learning.newton import normal_system
from skspectral.learning.projection import Projection, project
from skspectral.moments.second_moment import SecondMoment

# Number of rejected steps, each with more damping, after which the descent ends.
_MAX_TRIALS = 8
# Smallest damping, as a fraction of the mean diagonal of the normal matrix. With less,
# rounding errors in single precision, which change with the order of the rows, decide
# which minimum is found.
_MIN_DAMPING = 1e-4
# If the loss is below this fraction of the total variance, the smallest damping
# decreases with the loss: near a perfect fit, only undamped steps converge.
_SMALL_LOSS = 0.02
# Damping of the first step.
_FIRST_DAMPING = 0.1
# Number of L-BFGS steps per iteration of ``max_iter``. A step of L-BFGS is shorter than
# a Gauss-Newton step and costs about a tenth of it.
_LBFGS_STEPS_PER_ITERATION = 10


@dataclass(frozen=True)
class Step:
    """Errors of the dictionary after one step, as means over the samples.

    An error that was not evaluated is NaN. The penalty is that of sparse codes.
    """

    squared_error: float
    stft_error: float = float("nan")
    stage: str = ""
    penalty: float = 0.0


@dataclass
class Descent:
    """State of a refinement.

    Attributes
    ----------
    params : tensor, float64
        Current parameters of the atoms.
    fit : Projection
        Least squares on the current atoms.
    start : Step
        Errors before the first step.
    steps : list of Step
        Errors after each step.
    converged : bool
        Whether the refinement has converged: several steps in a row lowered the loss by
        less than the tolerance, or no step could lower the loss.
    stopped : bool
        Whether the callback ended the refinement.
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
        """Append a step, or raise an ArithmeticError if its loss is not finite."""
        _finite(squared_error, len(self.steps) + 1)
        self.steps.append(Step(squared_error, stft_error))


@dataclass(frozen=True)
class Settings:
    """Settings that all refinements use.

    Attributes
    ----------
    ridge : float
        Ridge of the least-squares codes, relative to the mean diagonal of their Gram
        matrix.
    max_iter : int
        Largest number of Gauss-Newton steps or of rounds of Adam. L-BFGS takes up to
        ten times as many steps.
    tol : float
        Tolerance relative to the loss. A refinement has converged when two steps or
        rounds in a row, or ten L-BFGS steps together, lower the loss by less.
    dtype : torch.dtype
        Floating type of the large matrix products.
    method : str
        "gauss-newton", "lbfgs", "adam" or "auto". "auto" means Gauss-Newton if the
        atoms are separable, and otherwise L-BFGS.
    learning_rate : float
        Step size of Adam. Ignored by the other methods.
    """

    ridge: float
    max_iter: int
    tol: float
    dtype: torch.dtype
    method: str = "auto"
    learning_rate: float = 3e-3

    def uses_gauss_newton(self, model: AtomModel) -> bool:
        """Return whether a descent takes Gauss-Newton steps."""
        if self.method == "auto":
            return model.separable
        return self.method == "gauss-newton"

    def max_steps(self, model: AtomModel) -> int:
        """Return the largest number of steps of a descent."""
        newton = self.uses_gauss_newton(model)
        return self.max_iter * (1 if newton else _LBFGS_STEPS_PER_ITERATION)


def descend(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """Lower the squared error over the parameters of the atoms, starting at ``params``.

    ``on_step`` is called with the loss after each step. The descent stops when it
    returns True.

    Raises
    ------
    ArithmeticError
        If the squared error is not finite.
    """
    start = project(model.atoms(params), C, settings.ridge)
    state = Descent(params, start, Step(_finite(start.loss, 0)))
    if _all_explained(start, C):
        state.converged = True
        return state
    method = _gauss_newton if settings.uses_gauss_newton(model) else _lbfgs
    return method(model, state, C, settings, on_step)


def _all_explained(fit: Projection, C: SecondMoment) -> bool:
    """Return whether the loss consists of nothing but the bias of the ridge.

    This is the case if the atoms span the data.
    """
    total = C.trace()
    if fit.loss > 1e-3 * total:
        return False
    return project(fit.atoms, C, 0.0).loss <= 1e-9 * total


def _finite(loss: float, step: int) -> float:
    """Return a loss, or raise an ArithmeticError if it is not finite."""
    if not np.isfinite(loss):
        raise ArithmeticError(
            f"The squared error became {loss} at step {step}. Increase ridge, or check "
            "that the atoms are finite for all parameters."
        )
    return loss


def _gauss_newton(
    model: AtomModel,
    state: Descent,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """Take Levenberg-Marquardt steps with Kaufman's normal matrix.

    Each step lowers the loss. The damping follows the ratio of the actual to the
    predicted decrease (Nielsen 1999).

    References
    ----------
    H. B. Nielsen (1999). Damping parameter in Marquardt's method. Technical University
    of Denmark, IMM-REP-1999-05.
    """
    damping, small_steps = _FIRST_DAMPING, 0
    for _ in range(settings.max_iter):
        previous = state.fit.loss
        damping = _take_step(model, state, C, settings, damping)
        if state.converged:
            break
        loss = state.fit.loss
        state.add(loss)
        # Two small steps are required, because a single one may only mean that the
        # damping was too large.
        small_steps = small_steps + 1 if previous - loss <= settings.tol * loss else 0
        state.converged = small_steps == 2 or _all_explained(state.fit, C)
        state.stopped = bool(on_step(loss))
        if state.converged or state.stopped:
            break
    return state


def _take_step(
    model: AtomModel,
    state: Descent,
    C: SecondMoment,
    settings: Settings,
    damping: float,
) -> float:
    """Take a step that lowers the loss, and return the damping of the next step.

    If no step lowers the loss, or none would lower it by more than the tolerance, the
    descent has converged and stays where it is.
    """
    system = normal_system(model, state.params, state.fit, settings.dtype)
    loss, total = state.fit.loss, C.trace()
    min_damping = _MIN_DAMPING * min(1.0, loss / (_SMALL_LOSS * total))
    for attempt in range(_MAX_TRIALS):
        try:
            step = system.step(damping, min_damping)
            trial = state.params + step.change
            fit = project(model.atoms(trial), C, settings.ridge)
        except ArithmeticError:
            # The step was too long, so that an atom vanished, or the normal matrix was
            # singular. Both need more damping.
            damping *= 4
            continue
        if fit.loss < loss:
            state.params, state.fit = trial, fit
            ratio = (loss - fit.loss) / max(step.predicted, 1e-300)
            factor = 1 - (2 * min(ratio, 2.0) - 1) ** 3
            return max(damping * max(0.2, factor), 1e-8)
        # The memory is needed for the next attempt.
        del fit
        damping *= 4
        if attempt == 0 and step.predicted <= settings.tol * loss:
            # Even a step as good as predicted would be a small one. The next attempts,
            # with more damping, are predicted to be smaller.
            break
    state.converged = True
    return damping


def _lbfgs(
    model: AtomModel,
    state: Descent,
    C: SecondMoment,
    settings: Settings,
    on_step: Callable[[float], bool],
) -> Descent:
    """Minimise by SciPy's L-BFGS.

    The gradient with respect to the atoms has a closed form.
    """
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
            "maxiter": settings.max_steps(model),
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    state.params = as_tensor(result.x.reshape(params.shape), params.device)
    state.fit = project(model.atoms(state.params), C, settings.ridge)
    # Status 1 means that the largest number of steps was reached. Any other end that
    # on_step did not cause means that L-BFGS found no lower point.
    if result.status != 1 and not state.stopped:
        state.converged = True
    return state
