"""From a second moment to a dictionary: start, refinement, tidying, ordering."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, replace

import torch

from skspectral._progress import Monitor
from skspectral.dictionary.atoms import BasisWaves, DriftingWaves
from skspectral.dictionary.descent import Descent, Settings, Step, descend
from skspectral.dictionary.projection import added_variance, cost_of_removal, project
from skspectral.dictionary.selection import GreedySelection
from skspectral.dictionary.starts import Start, first_waves
from skspectral.dictionary.stochastic import Batches, SpectralLoss, alternate, polish
from skspectral.dictionary.waves import Waves

# Two atoms with a larger |cosine| are one atom twice: their codes would explode.
_DUPLICATE = 0.999
# Steps on plain waves that are to drift later: they need only be near their place.
_WARM_UP = 2
_MAX_RENEWALS = 3
_MOST_RENEWED = 16
_WORTH_RENEWING = 2.0


@dataclass(frozen=True)
class Dictionary:
    """Learned atoms, ordered by the variance they add.

    Attributes
    ----------
    components : tensor of shape (K, T), float64
        Atoms of unit norm.
    waves : Waves
        The plain wave that each atom is, or is nearest to.
    amplitude : tensor of shape (K,), float64
        Root mean square of A_i(t).
    variance : tensor of shape (K,), float64
        Variance added by each atom to those before it, summed over the features.
    params : tensor
        The atoms' parameters, to start from again.
    history : list of Step
        The start, then each step; before those of the spectral loss, its start.
    n_steps : int
        Number of steps.
    converged, stopped : bool
        Whether the last stage reached its tolerance; whether the monitor stopped it.
    """

    components: torch.Tensor
    waves: Waves
    amplitude: torch.Tensor
    variance: torch.Tensor
    params: torch.Tensor
    history: list[Step]
    n_steps: int
    converged: bool
    stopped: bool


@dataclass(frozen=True)
class LearningPlan:
    """What to learn and how.

    Attributes
    ----------
    n_atoms : int
    plain : BasisWaves
        Waves that do not drift.
    model : DriftingWaves
        The atoms' final form.
    start : Start
    settings : Settings
    spectral : SpectralLoss or None
        The second term of the loss; None is squared error alone.
    """

    n_atoms: int
    plain: BasisWaves
    model: DriftingWaves
    start: Start
    settings: Settings
    spectral: SpectralLoss | None = None

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
    C: torch.Tensor,
    plan: LearningPlan,
    monitor: Monitor,
    batches: Batches | None = None,
) -> Dictionary:
    """Learn the atoms that leave the least error.

    First waves, a correction of their frequencies, then the atoms' full form; atoms
    that became equal are drawn anew from the residual. All that on the second moment
    ``C`` alone; a spectral loss or Adam also takes ``batches`` of the samples.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
    plan : LearningPlan
    monitor : Monitor
    batches : Batches or None
        Needed where the plan says so.
    """
    whole = GreedySelection(C, plan.plain.axes)
    learner = _Learner(C, whole, plan, monitor, [])
    if plan.settings.method == "adam" and batches is not None:
        params = learner.starting_params()
        step = monitor.stage("adam", plan.settings.max_iter)
        state = alternate(
            plan.model, params, C, batches, plan.settings, plan.spectral, step
        )
        learner.keep("adam", state)
    else:
        state = learner.learn()
        if plan.spectral is not None and batches is not None and not state.stopped:
            step = monitor.stage("spectral loss", plan.settings.max_iter)
            state = polish(
                plan.model, state.params, C, batches, plan.settings, plan.spectral, step
            )
            learner.keep("spectral loss", state)
    return _ordered(plan.model, state, learner)


@dataclass
class _Learner:
    """Stages on the second moment, in turn with the renewal of weak atoms."""

    C: torch.Tensor
    whole: GreedySelection
    plan: LearningPlan
    monitor: Monitor
    history: list[Step]
    # The best score when the selection ended, which renewals can hope for.
    left: float = math.inf
    n_steps: int = 0

    def learn(self) -> Descent:
        """Start and refine."""
        plan, n_steps = self.plan, self.plan.settings.max_iter
        if plan.start.params is not None:
            return self.refine("refinement", plan.model, plan.start.params, n_steps)
        plain = plan.plain
        start = plain.start(self._first_waves())
        if plan.model is plain:
            return self.refine("frequencies", plain, start, n_steps)
        state = self.refine("frequencies", plain, start, min(_WARM_UP, n_steps))
        # The sign of an atom is free, and so is the half turn of its phase.
        start = plan.model.start(plain.waves(state.params))
        return self.refine("modulation", plan.model, start, n_steps)

    def starting_params(self) -> torch.Tensor:
        """First parameters of the atoms' final form, as they are."""
        if self.plan.start.params is not None:
            return self.plan.start.params
        return self.plan.model.start(self._first_waves())

    def _first_waves(self) -> Waves:
        plan = self.plan
        picked = self.monitor.stage("selection", plan.n_atoms)
        selection = self.whole.restart()
        waves = first_waves(plan.start, plan.plain, selection, plan.n_atoms, picked)
        if plan.start.method == "greedy":
            self.left = selection.best().score
        return waves

    def refine(
        self, stage: str, model: DriftingWaves, params: torch.Tensor, n_steps: int
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
                # They come together again and again: keep them apart.
                return self._at(model, renewal.params) if renewal.forced else state
            trial = self._descend(stage, model, renewal.params, n_steps)
            if not renewal.forced and trial.fit.loss >= state.fit.loss:
                break
            state = trial
            self.keep(stage, state)
        return state

    def _at(self, model: DriftingWaves, params: torch.Tensor) -> Descent:
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
        self, stage: str, model: DriftingWaves, params: torch.Tensor, n_steps: int
    ) -> Descent:
        settings = replace(self.plan.settings, max_iter=n_steps)
        step = self.monitor.stage(stage, settings.most_steps(model, params))
        total = float(self.C.trace())
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
    model: DriftingWaves,
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
    for _ in range(min(_MOST_RENEWED, len(fit.atoms))):
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
    rows = [model.rows(state.params)[kept], model.new_rows(Waves.of_picks(fresh))]
    params = model.with_rows(state.params, torch.cat(rows))
    return Renewal(params, forced=bool(twice.any()))


def _ordered(model: DriftingWaves, state: Descent, learner: _Learner) -> Dictionary:
    order, variance = added_variance(state.fit)
    waves = model.waves(state.params).at(order)
    amplitude = model.amplitude(state.params) / state.fit.norms
    return Dictionary(
        components=waves.sign[:, None] * state.fit.atoms[order],
        waves=waves,
        amplitude=amplitude[order],
        variance=variance,
        params=model.with_rows(state.params, model.rows(state.params)[order]),
        history=learner.history,
        n_steps=learner.n_steps,
        converged=state.converged,
        stopped=state.stopped,
    )
