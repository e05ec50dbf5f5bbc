"""From a second moment to a dictionary: selection, refinement, tidying, ordering."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import torch

from skspectral._progress import Monitor
from skspectral.dictionary.atoms import Sinusoids
from skspectral.dictionary.descent import Descent, Settings, descend
from skspectral.dictionary.projection import added_variance, cost_of_removal, project
from skspectral.dictionary.selection import GreedySelection, as_waves

# Two atoms with a larger |cosine| are one atom twice: their codes would explode.
_DUPLICATE = 0.999
# Steps on plain sinusoids that are to drift later: they need only be near their place.
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
    frequency, phase, amplitude : tensors of shape (K,), float64
        Cycles per signal in [0, T/2]; radians in [0, pi) at t = 0; root mean square of
        A_i(t).
    variance : tensor of shape (K,), float64
        Variance added by each atom to those before it, summed over the features.
    history : list of (str, float)
        Stage and loss of each step, after that of the selection.
    converged, stopped : bool
        Whether the last stage reached its tolerance; whether the monitor stopped it.
    """

    components: torch.Tensor
    frequency: torch.Tensor
    phase: torch.Tensor
    amplitude: torch.Tensor
    variance: torch.Tensor
    history: list[tuple[str, float]]
    converged: bool
    stopped: bool


@dataclass(frozen=True)
class LearningPlan:
    """What to learn and how.

    Attributes
    ----------
    n_atoms : int
    static : Sinusoids
        Plain sinusoids.
    drift : Sinusoids or None
        The atoms' final form; None keeps plain sinusoids.
    settings : Settings
    """

    n_atoms: int
    static: Sinusoids
    drift: Sinusoids | None
    settings: Settings


def learn_dictionary(
    C: torch.Tensor, plan: LearningPlan, monitor: Monitor
) -> Dictionary:
    """Learn the atoms that leave the least squared error on the second moment ``C``.

    Greedy selection, a first correction of the frequencies, then the atoms' full form;
    atoms that became equal are drawn anew from the residual.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
    plan : LearningPlan
    monitor : Monitor
    """
    picked = monitor.stage("selection", plan.n_atoms)
    whole = GreedySelection(C)
    selection = whole.restart()
    waves = as_waves(selection.select(plan.n_atoms, picked), C)
    left = selection.best().score
    history: list[tuple[str, float]] = []
    learner = _Learner(C, whole, left, plan.settings, monitor, history)
    model = plan.static
    n_steps = plan.settings.max_iter if plan.drift is None else _WARM_UP
    state = learner.refine("frequencies", model, model.start(*waves), n_steps)
    if plan.drift is not None:
        found = model.waves(state.params)
        model = plan.drift
        # The sign of an atom is free, and so is the half turn of its phase.
        start = model.start(found.frequency, found.phase)
        n_steps = plan.settings.max_iter
        state = learner.refine("modulation", model, start, n_steps)
    return _ordered(model, state, history)


@dataclass(frozen=True)
class _Learner:
    """Refinement in turn with the renewal of atoms that are not worth their place."""

    C: torch.Tensor
    whole: GreedySelection
    left: float
    settings: Settings
    monitor: Monitor
    history: list[tuple[str, float]]

    def refine(
        self, stage: str, model: Sinusoids, params: torch.Tensor, n_steps: int
    ) -> Descent:
        state = self._descend(stage, model, params, n_steps)
        if not self.history:
            self.history.append(("selection", state.start_loss))
        self._keep(stage, state)
        for attempt in range(_MAX_RENEWALS + 1):
            if state.stopped:
                break
            renewal = renew(model, state, self.whole, self.left, self.settings.ridge)
            if renewal is None:
                break
            if attempt == _MAX_RENEWALS:
                # They come together again and again: keep them apart.
                return self._at(model, renewal.params) if renewal.forced else state
            trial = self._descend(stage, model, renewal.params, n_steps)
            if not renewal.forced and trial.fit.loss >= state.fit.loss:
                break
            state = trial
            self._keep(stage, state)
        return state

    def _at(self, model: Sinusoids, params: torch.Tensor) -> Descent:
        fit = project(model.atoms(params), self.C, self.settings.ridge)
        return Descent(params, fit, start_loss=fit.loss)

    def _keep(self, stage: str, state: Descent) -> None:
        self.history.extend((stage, loss) for loss in state.losses)

    def _descend(
        self, stage: str, model: Sinusoids, params: torch.Tensor, n_steps: int
    ) -> Descent:
        settings = replace(self.settings, max_iter=n_steps)
        step = self.monitor.stage(stage, settings.most_steps(params))
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
    model: Sinusoids,
    state: Descent,
    whole: GreedySelection,
    left: float,
    ridge: float,
) -> Renewal | None:
    """Replace atoms that another one repeats, or that cost less than they could gain.

    The weakest atom gives its place to the sinusoid that removes the most from the
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
    params = torch.cat([state.params[kept], model.start(*as_waves(fresh, cosine))])
    return Renewal(params, forced=bool(twice.any()))


def _ordered(
    model: Sinusoids, state: Descent, history: list[tuple[str, float]]
) -> Dictionary:
    order, variance = added_variance(state.fit)
    waves = model.waves(state.params[order])
    components = waves.sign[:, None] * state.fit.atoms[order]
    return Dictionary(
        components=components,
        frequency=waves.frequency,
        phase=waves.phase,
        amplitude=model.amplitude(state.params[order]) / state.fit.norms[order],
        variance=variance,
        history=history,
        converged=state.converged,
        stopped=state.stopped,
    )
