"""From a second moment to a dictionary: start, refinement, tidying, ordering."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from skspectral._progress import Monitor
from skspectral.atoms.family import AtomModel, Description
from skspectral.atoms.waves import Waves
from skspectral.atoms.windows import (
    basis_of_dependent,
    windowed_atoms,
    windowed_variance,
)
from skspectral.learning.descent import Descent, Settings, Step, descend
from skspectral.learning.projection import (
    added_variance,
    cost_of_removal,
    present,
    project,
)
from skspectral.learning.selection import GreedySelection, waves_of
from skspectral.learning.starts import Start, first_waves
from skspectral.learning.stochastic import Batches, SpectralLoss, alternate, polish
from skspectral.moments.second_moment import SecondMoment

# Two atoms with a larger |cosine| are one atom twice: their codes would explode.
_DUPLICATE = 0.999
# Steps on plain waves that are to drift later: they need only be near their place.
_WARM_UP = 2
_MAX_RENEWALS = 3
_MOST_RENEWED = 16
_WORTH_RENEWING = 2.0


@dataclass(frozen=True)
class LearnedAtoms:
    """Atoms, ordered by the variance they add, and how they were found.

    The components (K, T) have unit norm, and the description is that of atoms of unit
    norm. ``variance`` (K,) is what each atom adds to those before it, summed over the
    features. The history begins with the start; before the steps of the spectral loss
    stands its start. ``converged`` says whether the last stage reached its tolerance.
    """

    components: torch.Tensor
    description: Description
    variance: torch.Tensor
    params: torch.Tensor
    history: list[Step]
    n_steps: int
    converged: bool
    stopped: bool

    @property
    def waves(self) -> Waves:
        """The plain wave that each atom is, or is nearest to."""
        return self.description.waves


@dataclass(frozen=True)
class LearningPlan:
    """What to learn and how.

    The waves of the ``carrier``, without modulation, are learned first; ``model`` is
    the atoms' final form, and the carrier itself without modulation. Without
    ``spectral`` the loss is the squared error alone. ``in_pieces`` says that the
    samples are only a part of those that made the second moment. The ``second`` start
    is tried, too, where the second moment is enough, and the better result is kept.
    With ``windows``, of shape (B, T), the better one is that whose atoms leave less
    where each has a code of its own in each window.
    """

    n_atoms: int
    carrier: AtomModel
    model: AtomModel
    start: Start
    settings: Settings
    spectral: SpectralLoss | None = None
    in_pieces: bool = False
    second: Start | None = None
    windows: torch.Tensor | None = None

    def error(self, state: Descent, C: SecondMoment) -> float:
        """Squared error that the atoms leave, each in its windows if there are any."""
        if self.windows is None:
            return state.fit.loss
        whole = windowed_atoms(state.fit.atoms, self.windows)
        basis, kept = basis_of_dependent(whole)
        return C.trace() - float(windowed_variance(basis, kept, len(whole), C).sum())

    @property
    def needs_samples(self) -> bool:
        """Whether the second moment is not enough."""
        return self.spectral is not None or self.settings.method == "adam"

    def in_units(self, unit: float) -> "LearningPlan":
        """Return the plan for samples that were multiplied by ``unit``.

        Magnitudes then count ``unit`` times, squares as often again.
        """
        if self.spectral is None:
            return self
        weight = self.spectral.weight * unit
        return replace(self, spectral=replace(self.spectral, weight=weight))


def learn_dictionary(
    C: SecondMoment,
    plan: LearningPlan,
    monitor: Monitor,
    batches: Batches | None = None,
) -> LearnedAtoms:
    """Learn the atoms that leave the least error under the second moment C.

    First waves, a correction of their frequencies, then the atoms' full form; atoms
    that became equal are drawn anew from the residual. All that on C alone; a spectral
    loss or Adam also takes ``batches`` of the samples.
    """
    learner = _Learner(C, plan, monitor)
    if plan.settings.method == "adam":
        # The published alternation sees the samples alone.
        way = polish if plan.in_pieces else alternate
        state = learner.by_adam("adam", way, learner.starting_params(), batches)
    else:
        state = learner.learn()
        if plan.second is not None and not state.stopped:
            other = _Learner(C, replace(plan, start=plan.second), monitor)
            found = other.learn()
            # Atoms that are as good stay: those who read them want the same ones.
            if plan.error(found, C) < (1 - plan.settings.tol) * plan.error(state, C):
                learner, state = other, found
        if plan.spectral is not None and not state.stopped:
            state = learner.by_adam("spectral loss", polish, state.params, batches)
    return _ordered(plan.model, state, learner)


@dataclass
class _Learner:
    """Stages on the second moment, in turn with the renewal of weak atoms."""

    C: SecondMoment
    plan: LearningPlan
    monitor: Monitor
    history: list[Step] = field(default_factory=list)
    # The best score when the selection ended: what a replacement could gain.
    left: float = math.inf
    n_steps: int = 0

    @cached_property
    def whole(self) -> GreedySelection:
        """The selection before it has taken anything."""
        carrier = self.plan.carrier
        envelopes = carrier.envelopes(self.C.device)
        return GreedySelection(self.C, carrier.wave_grid, envelopes)

    def learn(self) -> Descent:
        """Start and refine on the second moment."""
        plan, n_steps = self.plan, self.plan.settings.max_iter
        if plan.start.params is not None:
            start = self.starting_params()
            return self.refine("refinement", plan.model, start, n_steps)
        carrier = plan.carrier
        start = carrier.start(self._first_waves())
        if plan.model is carrier:
            return self.refine("frequencies", carrier, start, n_steps)
        state = self.refine("frequencies", carrier, start, min(_WARM_UP, n_steps))
        # The sign of an atom is free, and so is the half turn of its phase.
        start = plan.model.start(carrier.describe(state.params).waves)
        return self.refine("modulation", plan.model, start, n_steps)

    def by_adam(
        self,
        stage: str,
        way: Callable[..., Descent],
        params: torch.Tensor,
        batches: Batches | None,
    ) -> Descent:
        """Learn from minibatches; only atoms that became equal are drawn anew."""
        if batches is None:
            raise ValueError(f"The stage {stage!r} needs minibatches of the samples.")
        plan, settings = self.plan, self.plan.settings
        params = self._present(plan.model, params)
        step = self.monitor.stage(stage, settings.max_iter)
        state = way(plan.model, params, self.C, batches, settings, plan.spectral, step)
        self.keep(stage, state)
        renewal = renew(plan.model, state, self.whole, 0.0, settings.ridge)
        if renewal is None:
            return state
        apart = self._at(plan.model, renewal.params)
        return replace(apart, converged=state.converged, stopped=state.stopped)

    def starting_params(self) -> torch.Tensor:
        """First parameters of the atoms' final form, missing atoms being selected."""
        model, params = self.plan.model, self.plan.start.params
        if params is None:
            return model.start(self._first_waves())
        kept = torch.arange(min(len(model.rows(params)), self.plan.n_atoms))
        return self._completed(model, params, kept)

    def _completed(
        self, model: AtomModel, params: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Parameters of the ``kept`` atoms, and of others selected beside them."""
        rows = model.rows(params)[kept]
        missing = self.plan.n_atoms - len(rows)
        if missing > 0:
            picked = self.monitor.stage("selection", missing)
            selection = self.whole.restart()
            for atom in model.atoms(params)[kept]:
                selection.deflate(atom[None])
            fresh = waves_of(selection.select(missing, picked))
            rows = torch.cat([rows, model.new_atoms(fresh)])
        return model.with_rows(params, rows)

    def _present(self, model: AtomModel, params: torch.Tensor) -> torch.Tensor:
        """Parameters with others for atoms that are zero at all places."""
        there = present(torch.linalg.vector_norm(model.atoms(params), dim=1))
        if bool(there.all()):
            return params
        return self._completed(model, params, there.nonzero()[:, 0])

    def _first_waves(self) -> Waves:
        plan = self.plan
        picked = self.monitor.stage("selection", plan.n_atoms)
        selection = self.whole.restart()
        waves = first_waves(plan.start, plan.carrier, selection, plan.n_atoms, picked)
        if plan.start.method == "greedy":
            self.left = selection.best().score
        return waves

    def refine(
        self, stage: str, model: AtomModel, params: torch.Tensor, n_steps: int
    ) -> Descent:
        """Lower the loss; draw anew what is not worth its place; again."""
        ridge = self.plan.settings.ridge
        state = self._descend(stage, model, params, n_steps)
        self.keep(stage, state)
        for attempt in range(_MAX_RENEWALS + 1):
            if state.stopped:
                break
            renewal = renew(model, state, self.whole, self.left, ridge)
            if renewal is None:
                break
            if attempt == _MAX_RENEWALS:
                # Duplicates recur after every descent: return the replacements.
                return self._at(model, renewal.params) if renewal.forced else state
            trial = self._descend(stage, model, renewal.params, n_steps)
            if not renewal.forced and trial.fit.loss >= state.fit.loss:
                break
            state = trial
            self.keep(stage, state)
        return state

    def _at(self, model: AtomModel, params: torch.Tensor) -> Descent:
        fit = project(model.atoms(params), self.C, self.plan.settings.ridge)
        return Descent(params, fit, Step(fit.loss))

    def keep(self, stage: str, state: Descent) -> None:
        """Add the steps of a stage to the history, which begins with the start.

        So does a stage that sees an error for the first time.
        """
        if not self.history:
            self.history.append(replace(state.start, stage="start"))
        elif math.isnan(self.history[-1].stft_error) != math.isnan(
            state.start.stft_error
        ):
            self.history.append(replace(state.start, stage=stage))
        self.n_steps += len(state.steps)
        self.history.extend(replace(step, stage=stage) for step in state.steps)

    def _descend(
        self, stage: str, model: AtomModel, params: torch.Tensor, n_steps: int
    ) -> Descent:
        settings = replace(self.plan.settings, max_iter=n_steps)
        params = self._present(model, params)
        step = self.monitor.stage(stage, settings.most_steps(model, params))
        total = self.C.trace()
        return descend(
            model,
            params,
            self.C,
            settings,
            lambda loss: step(explained_variance_ratio=1 - loss / total),
        )


@dataclass(frozen=True)
class Renewal:
    """Parameters with some atoms drawn anew; ``forced`` if one was there twice."""

    params: torch.Tensor
    forced: bool


def renew(
    model: AtomModel,
    state: Descent,
    whole: GreedySelection,
    left: float,
    ridge: float,
) -> Renewal | None:
    """Replace atoms that another one repeats, or that cost less than they could gain.

    The weakest atom gives its place to the wave that removes the most from the
    residual, as long as that is at least twice the rise of the loss without it: so the
    rest that a strong wave left at the first choice's wrong frequency is freed once
    that frequency is right. None where all atoms are worth their place, which needs no
    look at the residual if no atom costs less than what ``left``, the best score when
    the selection ended, promises.
    """
    fit = state.fit
    cosine = (fit.atoms @ fit.atoms.T).abs()
    twice = (cosine.triu(1) > _DUPLICATE).any(dim=0)
    kept = (~twice).nonzero()[:, 0]
    cheapest = float(cost_of_removal(fit, kept, ridge).min())
    if not bool(twice.any()) and left <= _WORTH_RENEWING * cheapest:
        return None
    selection = whole.restart()
    if not selection.deflate(fit.atoms[kept]):
        for atom in fit.atoms[kept]:
            selection.deflate(atom[None])
    fresh = selection.select(int(twice.sum()))
    for _ in range(min(_MOST_RENEWED, len(kept))):
        cost = cost_of_removal(fit, kept, ridge)
        weakest = int(cost.argmin())
        pick = selection.best()
        if pick.score <= _WORTH_RENEWING * float(cost[weakest]):
            break
        if selection.take(pick):
            kept = torch.cat([kept[:weakest], kept[weakest + 1 :]])
            fresh.append(pick)
    if not fresh:
        return None
    rows = [model.rows(state.params)[kept], model.new_atoms(waves_of(fresh))]
    params = model.with_rows(state.params, torch.cat(rows))
    return Renewal(params, forced=bool(twice.any()))


def _ordered(model: AtomModel, state: Descent, learner: _Learner) -> LearnedAtoms:
    order, variance = added_variance(state.fit)
    found = model.describe(state.params)
    waves = found.waves.at(order)
    return LearnedAtoms(
        components=waves.sign[:, None] * state.fit.atoms[order],
        description=Description(
            waves=waves,
            amplitude=(found.amplitude / state.fit.norms)[order],
            extras={name: values[order] for name, values in found.extras.items()},
        ),
        variance=variance,
        params=model.with_rows(state.params, model.rows(state.params)[order]),
        history=learner.history,
        n_steps=learner.n_steps,
        converged=state.converged,
        stopped=state.stopped,
    )
