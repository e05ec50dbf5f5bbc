"""Learning atoms for sparse codes: codes and atoms in turn."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from skspectral._progress import Monitor
from skspectral.atoms.family import AtomModel, Description
from skspectral.atoms.waves import Waves
from skspectral.coding.gram import Gram, SparseRows
from skspectral.coding.sparse import SparseCoding
from skspectral.learning.code_moments import CodeMoments
from skspectral.learning.descent import Step
from skspectral.learning.dictionary import LearnedAtoms, LearningPlan
from skspectral.learning.fixed_codes import lowered, unit_atoms
from skspectral.learning.selection import GreedySelection, waves_of
from skspectral.learning.starts import first_waves, random_waves
from skspectral.learning.stochastic import Batches
from skspectral.moments.second_moment import FactorMoment, SecondMoment

# Number of rows that are coded at a time, and number of random rows from which the
# atoms are learned first, if there are more than twice as many.
_BATCH_ROWS, _FEW_ROWS = 2048, 8192
# The start selects among this number of waves, by the codes of this number of rows.
_MAX_CANDIDATES, _START_ROWS = 4096, 4096
# An atom with less than this fraction of the mean energy of the codes is dead. At most
# this number of rows is kept to draw new atoms from.
_DEAD, _WORST_ROWS = 1e-3, 256
# Errors below this fraction of the energy of the rows are rounding errors.
_ROUNDING = 1e-12
# Passes in which dead atoms may be replaced.
_MAX_RENEWALS = 5
# Atoms with a larger |cosine| are duplicates.
_DUPLICATE_COSINE = 0.995


@dataclass
class _State:
    """Atoms, and sums over the rows with the codes of the last pass."""

    params: torch.Tensor
    atoms: torch.Tensor
    moments: CodeMoments
    # Residuals of rows with a large squared error, times the roots of their weights,
    # and these errors times the weights.
    worst: torch.Tensor
    errors: torch.Tensor
    # Largest absolute product of a row and an atom.
    largest: float
    # Codes of the last pass, in the order of the batches. Only matching pursuit needs
    # them: its codes can be worse than those of the pass before.
    codes: list[SparseRows] = field(default_factory=list)


def learn_sparse(
    C: SecondMoment,
    plan: LearningPlan,
    monitor: Monitor,
    batches: Batches,
    earlier: CodeMoments | None = None,
) -> tuple[LearnedAtoms, CodeMoments]:
    """Learn atoms that represent the rows by sparse codes.

    Sparse codes of all rows, and Gauss-Newton steps of the atoms with fixed codes,
    alternate. The objective is the mean over the rows of::

        |x - w S|^2 + 2 alpha |w|_1

    without the second term for matching pursuit. Every pass lowers it: the codes are
    its minimum for the present atoms or, for matching pursuit, those of the last pass
    in rows where these are better. Dead atoms, and one of two equal atoms, are replaced
    by waves from the rows with the largest errors; if this does not lower the
    objective, they are kept.

    Parameters
    ----------
    C : SecondMoment
        Second moment of the rows, with the trace 1.
    plan : LearningPlan
        What to learn. Its ``coding`` is not None, and refers to the scaled rows.
    monitor : Monitor
        Receives the progress, and can stop the learning.
    batches : Batches
        The rows, centred and scaled.
    earlier : CodeMoments or None, default=None
        Sums over earlier rows, whose codes stay fixed.

    Returns
    -------
    learned : LearnedAtoms
        The atoms, in the order of the energies of their codes.
    moments : CodeMoments
        Sums over all rows, for the codes of the last pass.

    Raises
    ------
    ValueError
        If all codes are zero.

    References
    ----------
    J. Mairal, F. Bach, J. Ponce, G. Sapiro (2010). Online learning for matrix
    factorization and sparse coding. Journal of Machine Learning Research 11.

    M. Aharon, M. Elad, A. Bruckstein (2006). K-SVD: an algorithm for designing
    overcomplete dictionaries for sparse representation. IEEE Transactions on Signal
    Processing 54.
    """
    assert plan.coding is not None
    learner = _Learner(C, plan, plan.coding, monitor, batches, earlier)
    state = learner.learn()
    return learner.ordered(state), state.moments


@dataclass
class _Learner:
    """Alternation of sparse codes and atoms."""

    C: SecondMoment
    plan: LearningPlan
    coding: SparseCoding
    monitor: Monitor
    batches: Batches
    earlier: CodeMoments | None
    history: list[Step] = field(default_factory=list)
    converged: bool = False
    stopped: bool = False

    def learn(self) -> _State:
        """Return the atoms after all passes."""
        params = self._start()
        if self.earlier is not None:
            if len(self.earlier.codes) != self.plan.n_atoms:
                raise ValueError(
                    f"n_components={self.plan.n_atoms} differs from the "
                    f"{len(self.earlier.codes)} atoms of the earlier calls of "
                    "partial_fit. Call fit to start anew."
                )
            # The sums are those of the atoms with the published signs.
            sign = self.plan.model.describe(params).waves.sign
            order = torch.arange(len(sign), device=sign.device)
            self.earlier = self.earlier.reordered(order, sign)
        few = self.batches.some(_FEW_ROWS)
        if 2 * len(few) <= len(self.batches):
            every, self.batches = self.batches, few
            params = self._alternate("sparse codes of some rows", params).params
            self.batches = every
        return self._alternate("sparse codes", params)

    def _alternate(self, stage: str, params: torch.Tensor) -> _State:
        """Lower the objective by passes over the rows, from initial parameters."""
        max_iter, tol = self.plan.settings.max_iter, self.plan.settings.tol
        state = self.coded(params, [])
        if state.moments.n_nonzeros == 0:
            raise ValueError(self._all_zero(state))
        self._record(stage if self.history else "start", state)
        if self.stopped:
            return state
        on_pass = self.monitor.stage(stage, max_iter)
        n_renewals, n_small, self.converged = 0, 0, False
        for _ in range(max_iter):
            before = self.loss(state)
            state = self.coded(self._moved(state), state.codes)
            # Codes that reproduce the rows leave an error of rounding alone.
            rounding = _ROUNDING * state.moments.energy / state.moments.weight
            gain = before - self.loss(state)
            n_small = n_small + 1 if gain <= tol * before + rounding else 0
            renewed = None
            if n_renewals < _MAX_RENEWALS:
                renewed = self._renewed(state)
            if renewed is not None:
                trial, n_renewals = self.coded(renewed, []), n_renewals + 1
                if self.loss(trial) < (1 - tol) * self.loss(state):
                    state, n_small = trial, 0
                else:
                    n_renewals = _MAX_RENEWALS
            self._record(stage, state)
            self.converged = n_small == 2
            self.stopped = bool(
                on_pass(
                    loss=self.loss(state),
                    nonzeros_per_row=state.moments.n_nonzeros / state.moments.weight,
                )
            )
            if self.converged or self.stopped:
                break
        return state

    def coded(self, params: torch.Tensor, previous: list[SparseRows]) -> _State:
        """Compute the codes of all rows, and the sums over them."""
        atoms = unit_atoms(self.plan.model.atoms(params))
        gram, keeps = Gram.of(atoms), self.coding.algorithm == "omp"
        moments = CodeMoments.zeros(len(atoms), atoms.shape[1], atoms.device)
        worst, errors = atoms[:0], atoms.new_zeros(0)
        codes, largest = [], 0.0
        for number, (rows, weights) in enumerate(self.batches.in_order(_BATCH_ROWS)):
            typed = atoms.to(rows.dtype)
            found, report = self.coding.codes(rows @ typed.T, gram)
            largest = max(largest, report.largest)
            residual = rows - found.combine(typed)
            error = (residual**2).sum(1)
            if keeps:
                if previous:
                    found, residual, error = _better(
                        found, residual, error, previous[number], rows, typed
                    )
                codes.append(found)
            moments.add(rows, weights, found)
            errors = torch.cat([errors, error * weights])
            scaled = residual.double() * weights.double().sqrt()[:, None]
            worst = torch.cat([worst, scaled])
            errors, index = errors.topk(min(_WORST_ROWS, len(errors)))
            worst = worst[index]
        if self.earlier is not None:
            moments = moments.plus(self.earlier)
        return _State(params, atoms, moments, worst, errors, largest, codes)

    def loss(self, state: _State) -> float:
        """Return the objective."""
        error = state.moments.squared_error(state.atoms)
        return error + self._penalty(state)

    def _penalty(self, state: _State) -> float:
        if self.coding.algorithm == "omp":
            return 0.0
        return 2 * self.coding.alpha * state.moments.penalty / state.moments.weight

    def _record(self, stage: str, state: _State) -> None:
        error, penalty = state.moments.squared_error(state.atoms), self._penalty(state)
        if not math.isfinite(error + penalty):
            raise ArithmeticError(
                f"The squared error became {error} at pass {len(self.history)}. Check "
                "that the atoms are finite for all parameters."
            )
        self.history.append(Step(error, stage=stage, penalty=penalty))

    def _moved(self, state: _State) -> torch.Tensor:
        """Return parameters that lower the squared error with fixed codes."""
        return lowered(self.plan.model, state.params, state.moments)

    # Start, and replacement of atoms

    def _start(self) -> torch.Tensor:
        """Return initial parameters of all atoms."""
        plan = self.plan
        params = plan.start.params
        if params is not None:
            kept = plan.model.rows(params)[: plan.n_atoms]
            missing = plan.n_atoms - len(kept)
            if missing == 0:
                return plan.model.with_rows(params, kept)
            new = plan.model.rows(plan.model.start(self._first_waves(missing)))
            return plan.model.with_rows(params, torch.cat([kept, new]))
        return plan.model.start(self._first_waves(plan.n_atoms))

    def _first_waves(self, n_atoms: int) -> Waves:
        """Return the waves with the most energy in sparse codes of random rows."""
        start, carrier = self.plan.start, self.plan.carrier
        grid, device = carrier.wave_grid, self.C.device
        rng = start.rng if start.rng is not None else np.random.default_rng(0)
        given = None
        if start.method == "random":
            return random_waves(grid, n_atoms, rng).to(device)
        if start.frequencies is not None or start.waves is not None:
            given = self._given_waves(n_atoms)
            if len(given.phase) == n_atoms:
                return given
        part = self.batches.some(_START_ROWS)
        rows, weights = next(part.in_order(_START_ROWS))
        waves = _candidates(carrier, rows.double(), rng)
        atoms = carrier.atoms(carrier.start(waves))
        norms = torch.linalg.vector_norm(atoms, dim=1)
        usable = (norms > 1e-6 * norms.max()).nonzero()[:, 0]
        waves, atoms = waves.at(usable), unit_atoms(atoms[usable])
        n_nonzero = self.coding.n_nonzero
        if self.coding.algorithm != "omp":
            n_nonzero = max(1, rows.shape[1] // 10)
        coding = SparseCoding("omp", n_nonzero=min(n_nonzero, len(atoms)))
        typed = atoms.to(rows.dtype)
        found, _ = coding.codes(rows @ typed.T, Gram.of(atoms))
        energy = torch.zeros(len(atoms), dtype=torch.float64, device=device)
        squares = weights.double()[:, None] * found.values.double() ** 2
        energy.scatter_add_(0, found.support.flatten(), squares.flatten())
        n_missing = n_atoms - (0 if given is None else len(given.phase))
        order = energy.argsort(descending=True, stable=True)
        chosen = waves.at(order[:n_missing])
        if given is not None:
            chosen = given.joined(chosen)
        n_missing = n_atoms - len(chosen.phase)
        if n_missing > 0:
            chosen = chosen.joined(random_waves(grid, n_missing, rng).to(device))
        return chosen

    def _given_waves(self, n_atoms: int) -> Waves:
        """Return the waves that the start prescribes, with their best phases."""
        start, carrier = self.plan.start, self.plan.carrier
        if start.waves is not None:
            return start.waves
        selection = self._selection(self.C)
        return first_waves(start, carrier, selection, n_atoms, lambda: None)

    def _selection(self, C: SecondMoment) -> GreedySelection:
        """Return the greedy selection of waves from a second moment."""
        carrier = self.plan.carrier
        return GreedySelection(C, carrier.wave_grid, carrier.envelopes(C.device))

    def _renewed(self, state: _State) -> torch.Tensor | None:
        """Return parameters in which dead and equal atoms are replaced, or None."""
        model = self.plan.model
        energy = state.moments.codes.diagonal()
        dead = energy < _DEAD * energy.mean()
        order = energy.argsort(descending=True)
        gram = (state.atoms[order] @ state.atoms[order].T).abs().triu(1)
        dead[order] |= (gram > _DUPLICATE_COSINE).any(0)
        places = dead.nonzero()[:, 0]
        # The residuals of few rows do not span many new waves.
        most = min(len(state.worst), state.atoms.shape[1] // 2)
        places = places[: max(1, most)]
        if len(places) == 0 or not bool((state.errors > 0).any()):
            return None
        moment = FactorMoment(state.worst, 1 / float((state.worst**2).sum()))
        try:
            waves = waves_of(self._selection(moment).select(len(places)))
        except ArithmeticError:
            return None
        rows = model.rows(state.params).clone()
        rows[places] = model.new_atoms(waves)
        return model.with_rows(state.params, rows)

    def _all_zero(self, state: _State) -> str:
        """Return the error for a penalty that makes all codes zero."""
        alpha, largest = (
            part / self.coding.unit for part in (self.coding.alpha, state.largest)
        )
        return (
            f"alpha={alpha:g} makes all codes zero: the largest product of a centred "
            f"row and an atom is {largest:.4g}. Pass a smaller alpha."
        )

    def ordered(self, state: _State) -> LearnedAtoms:
        """Return the atoms in the order of the energies of their codes."""
        model, energy = self.plan.model, state.moments.codes.diagonal()
        order = energy.argsort(descending=True, stable=True)
        found = model.describe(state.params)
        waves = found.waves.at(order)
        norms = torch.linalg.vector_norm(model.atoms(state.params), dim=1)
        state.moments = state.moments.reordered(order, waves.sign)
        return LearnedAtoms(
            components=waves.sign[:, None] * state.atoms[order],
            description=Description(
                waves=waves,
                amplitude=(found.amplitude / norms)[order],
                extras={name: values[order] for name, values in found.extras.items()},
            ),
            variance=energy[order] / state.moments.weight,
            params=model.with_rows(state.params, model.rows(state.params)[order]),
            history=self.history,
            n_steps=len(self.history) - 1,
            converged=self.converged,
            stopped=self.stopped,
        )


def _better(
    found: SparseRows,
    residual: torch.Tensor,
    error: torch.Tensor,
    previous: SparseRows,
    rows: torch.Tensor,
    atoms: torch.Tensor,
) -> tuple[SparseRows, torch.Tensor, torch.Tensor]:
    """Return the codes of the last pass in the rows where they are better."""
    old_residual = rows - previous.combine(atoms)
    old_error = (old_residual**2).sum(1)
    keep = (old_error < error)[:, None]
    width = max(found.values.shape[1], previous.values.shape[1])
    found, previous = found.widened(width), previous.widened(width)
    chosen = SparseRows(
        torch.where(keep, previous.support, found.support),
        torch.where(keep, previous.values, found.values),
    )
    residual = torch.where(keep, old_residual, residual)
    return chosen, residual, torch.minimum(error, old_error)


def _candidates(
    carrier: AtomModel, rows: torch.Tensor, rng: np.random.Generator
) -> Waves:
    """Return waves of all frequencies, envelopes, colours, and two phases.

    If they are too many, a random part of them is returned. The colours are the
    principal directions of the channels of ``rows``.
    """
    grid = carrier.wave_grid
    frequencies = grid.frequencies(rows)
    channels = grid.signals(rows).flatten(2).movedim(1, 0).flatten(1)
    colours = torch.linalg.eigh(channels @ channels.T).eigenvectors.T
    envelopes = carrier.envelopes(rows.device)
    sizes = len(frequencies), 1 if envelopes is None else len(envelopes), len(colours)
    count = 2 * math.prod(sizes)
    chosen = np.arange(count)
    if count > _MAX_CANDIDATES:
        chosen = np.sort(rng.choice(count, _MAX_CANDIDATES, replace=False))
    places = np.unravel_index(chosen, (*sizes, 2))
    number, envelope, colour, quarter = (
        torch.from_numpy(place).to(rows.device) for place in places
    )
    frequency = frequencies[number]
    # The phase is 0 or a quarter of a cycle in the middle of the signal.
    phase = quarter * math.pi / 2 - math.pi * frequency.sum(1)
    return Waves.of(frequency, phase, colours[colour], envelope)
