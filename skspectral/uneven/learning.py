"""Learning of waves from rows at uneven times.

Waves are selected one after the other, from Fourier sums over the residual of all rows
with times at the nearest positions of a grid. Damped Gauss-Newton steps then move all
frequencies and phases, with the codes of each row eliminated (variable projection) and
the waves evaluated at the exact times.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from skspectral.uneven.codes import NormalEquations, Waves, with_ridge
from skspectral.uneven.rows import TimedRows
from skspectral.uneven.sums import (
    CommonWaveSearch,
    exact_sums,
    grid_sums,
)

# Frequencies of the search grid per cycle over the whole span of the times.
_OVERSAMPLING = 5
# A search takes peaks with at least this fraction of the highest one, at most so many.
_SHARE, _MAX_PEAKS = 0.7, 4
_MAX_DAMPINGS = 12
# Gauss-Newton steps after each search.
_STEPS_BETWEEN = 3


@dataclass(frozen=True, eq=False)
class LearnedWaves:
    """Learned waves.

    Attributes
    ----------
    waves : Waves
        The waves.
    residuals : list of float
        Residual sum of squares of all rows after each step.
    converged : bool
        Whether the last steps lowered it by less than the tolerance.
    """

    waves: Waves
    residuals: list[float]
    converged: bool


@dataclass(frozen=True)
class Plan:
    """What to learn.

    Attributes
    ----------
    n_atoms : int
        Number K of waves.
    max_frequency : float
        Highest frequency, in cycles per span of the times.
    floating_mean : bool
        Whether each row has a constant of its own.
    ridge : float
        Relative ridge of the normal equations.
    max_iter : int
        Largest number of steps at the end.
    tol : float
        Relative tolerance.
    """

    n_atoms: int
    max_frequency: float
    floating_mean: bool
    ridge: float
    max_iter: int
    tol: float


def learn_waves(
    rows: TimedRows, plan: Plan, on_step: Callable[..., object]
) -> LearnedWaves:
    """Learn waves from rows whose times run from -1/2 to 1/2.

    ``on_step`` is called after each Gauss-Newton step, with its state.

    Raises
    ------
    ArithmeticError
        If the residual is not finite.
    """
    none = torch.zeros(0, dtype=torch.float64)
    waves = Waves(none, none, plan.floating_mean)
    while len(waves.frequency) < plan.n_atoms:
        missing = plan.n_atoms - len(waves.frequency)
        found = _select(_residual(rows, waves, plan.ridge), plan, missing)
        waves = Waves(
            torch.cat([waves.frequency, found.frequency]),
            torch.cat([waves.phase, found.phase]),
            plan.floating_mean,
        )
        waves = _descend(rows, waves, plan, _STEPS_BETWEEN, on_step).waves
    return _descend(rows, waves, plan, plan.max_iter, on_step)


def _residual(rows: TimedRows, waves: Waves, ridge: float) -> TimedRows:
    """Return the rows minus their least-squares fits."""
    if waves.n_codes == 0:
        return rows
    values = torch.empty_like(rows.values)
    for which, part in rows.chunks(2 * waves.n_codes):
        atoms = waves.at(part.times, part.observed)
        codes, _ = NormalEquations.of_atoms(part, atoms).least_squares(ridge)
        values[which] = part.values - (codes[:, None] @ atoms)[:, 0]
    return rows.with_values(values)


def _select(residual: TimedRows, plan: Plan, n_waves: int) -> Waves:
    """Return at most ``n_waves`` waves that explain the most of the residual."""
    step = 1 / _OVERSAMPLING
    n_grid = max(2, math.floor(plan.max_frequency / step) + 1)
    search = CommonWaveSearch(n_grid)
    for _, part in residual.chunks(32 * n_grid // max(1, residual.values.shape[1]) + 1):
        sums = grid_sums(part, step, n_grid, floating_mean=plan.floating_mean)
        search.add(sums, part.counts)
    best = search.best()
    score = best.reduction.clone()
    if plan.floating_mean:
        # Less than half a cycle over the span is hardly different from a constant.
        score[: _OVERSAMPLING // 2] = -1
    chosen: list[int] = []
    highest = float(score.max())
    while len(chosen) < min(n_waves, _MAX_PEAKS):
        place = int(score.argmax())
        if chosen and float(score[place]) < _SHARE * highest:
            break
        chosen.append(place)
        score[max(0, place - 2 * _OVERSAMPLING) : place + 2 * _OVERSAMPLING + 1] = -1
    index = torch.tensor(chosen)
    frequency = index * step
    # Positions of the grid are wrong by up to half a step in time: the phase is
    # computed from the exact times.
    exact = CommonWaveSearch(len(index))
    for _, part in residual.chunks(4 * len(index)):
        sums = exact_sums(part, frequency, floating_mean=plan.floating_mean)
        exact.add(sums, part.counts)
    return Waves(frequency, exact.best().phase, plan.floating_mean)


def _descend(
    rows: TimedRows,
    waves: Waves,
    plan: Plan,
    n_steps: int,
    on_step: Callable[..., object],
) -> LearnedWaves:
    """Lower the residual by damped Gauss-Newton steps of frequencies and phases."""
    matrix, gradient, loss = _system(rows, waves, plan.ridge)
    residuals, damping, small = [loss], 1e-2, 0
    for _ in range(n_steps):
        if loss <= 1e-14 * float((rows.values**2).sum()):
            return LearnedWaves(waves, residuals, True)
        for _ in range(_MAX_DAMPINGS):
            diagonal = matrix.diagonal()
            added = damping * (diagonal + 1e-3 * diagonal.mean()) + 1e-12
            change = -torch.linalg.solve(matrix + torch.diag(added), gradient)
            moved = _moved(waves, change, plan)
            trial = _system(rows, moved, plan.ridge)
            if trial[2] < loss:
                break
            damping *= 4
        else:
            return LearnedWaves(waves, residuals, True)
        if not math.isfinite(trial[2]):
            raise ArithmeticError("The residual sum of squares is not finite.")
        gain, waves = loss - trial[2], moved
        matrix, gradient, loss = trial
        damping = max(damping / 5, 1e-7)
        residuals.append(loss)
        on_step(n_waves=len(waves.frequency), residual_sum_of_squares=loss)
        small = small + 1 if gain < plan.tol * loss else 0
        if small >= 2:
            return LearnedWaves(waves, residuals, True)
    return LearnedWaves(waves, residuals, False)


def _moved(waves: Waves, change: torch.Tensor, plan: Plan) -> Waves:
    """Return waves with changed parameters, with frequencies within their limits."""
    by_frequency, by_phase = change.chunk(2)
    # A longer step would leave the basin of the minimum.
    by_frequency = by_frequency.clamp(-0.5, 0.5)
    frequency = (waves.frequency + by_frequency).clamp(0, plan.max_frequency)
    return Waves(frequency, waves.phase + by_phase, waves.floating_mean)


def _system(
    rows: TimedRows, waves: Waves, ridge: float
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return Gauss-Newton matrix, half the gradient, and the residual sum of squares.

    The parameters are all frequencies, then all phases. Kaufman's simplification of
    variable projection is used. Costs O(n L K^2).
    """
    n_params = 2 * len(waves.frequency)
    matrix = torch.zeros(n_params, n_params, dtype=torch.float64)
    gradient, loss = torch.zeros(n_params, dtype=torch.float64), 0.0
    for _, part in rows.chunks(4 * waves.n_codes):
        atoms = waves.at(part.times, part.observed)
        equations = NormalEquations.of_atoms(part, atoms)
        codes, _ = equations.least_squares(ridge)
        residual = part.values - (codes[:, None] @ atoms)[:, 0]
        loss += float((residual**2).sum())
        slope = waves.angle(part.times).cos() * part.observed[:, None]
        slope *= codes[:, : len(waves.frequency), None]
        derivatives = torch.cat(
            [2 * math.pi * part.times[:, None] * slope, slope], dim=1
        )
        inside = derivatives @ atoms.mT
        solved = torch.linalg.solve(with_ridge(equations.gram, ridge), inside.mT)
        products = derivatives @ derivatives.mT - inside @ solved
        matrix += products.sum(0)
        gradient -= torch.einsum("npl,nl->p", derivatives, residual)
    return (matrix + matrix.T) / 2, gradient, loss
