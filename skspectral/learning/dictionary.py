"""Learning a dictionary: start, refinement, replacement of atoms, and order."""
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
from skspectral.coding.sparse import SparseCoding
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

# Two atoms with a larger |cosine| are duplicates: their codes would become very large.
_DUPLICATE_COSINE = 0.999
# Number of steps on plain waves before they are modulated. The later steps correct the
# frequencies further, so that few steps are enough.
_WARM_UP_STEPS = 2
# Largest number of times that weak atoms are replaced and all atoms refined again.
_MAX_RENEWALS = 3
# Largest number of weak atoms that are replaced at a time.
_MAX_REPLACED = 16
# An atom is replaced if the new wave removes more variance than this multiple of the
# rise of the loss without the atom.
_MIN_GAIN_RATIO = 2.0


@dataclass(frozen=True)
class LearnedAtoms:
    """Learned atoms, ordered by the variance they add, and the history of the learning.

    Attributes
    ----------
    components : tensor of shape (K, T)
        Atoms of unit norm.
    description : Description
        Description of the atoms of unit norm.
    variance : tensor of shape (K,)
        Variance that each atom adds to the atoms before it, summed over the features.
    params : tensor
        Parameters of the atoms.
    history : list of Step
        Errors at the start and after each step. If a later stage is the first to
        evaluate the spectral loss, the errors at its start are included.
    n_steps : int
        Number of steps of all stages.
    converged : bool
        Whether the last stage reached its tolerance.
    stopped : bool
        Whether a callback stopped the learning.
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
        """Plain wave that each atom is, or that is nearest to the atom."""
        return self.description.waves


@dataclass(frozen=True)
class LearningPlan:
    """What to learn, and how.

    Attributes
    ----------
    n_atoms : int
        Number K of atoms.
    carrier : AtomModel
        The atoms without modulation. Their waves are learned first.
    model : AtomModel
        The atoms in their final form. Without modulation, it is ``carrier``.
    start : Start
        Where learning starts.
    settings : Settings
        Settings of the refinements.
    spectral : SpectralLoss or None
        Spectral loss. None means the squared error alone.
    in_pieces : bool
        Whether the samples are only a part of those from which the second moment was
        computed.
    second : Start or None
        Second start. Learning from both starts is compared, and the better result is
        kept. Ignored by Adam.
    windows : tensor of shape (B, T) or None
        Windows. An atom has one code per window. Results are then compared by the
        squared error with these codes.
    renews : bool
        Whether weak atoms are replaced after a refinement.
    coding : SparseCoding or None
        Sparse codes for which the atoms are learned, see `learn_sparse`. None means
        least-squares codes.
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
    renews: bool = True
    coding: SparseCoding | None = None

    def error(self, state: Descent, C: SecondMoment) -> float:
        """Return the squared error of the atoms, with one code per window.

        Without windows, each atom has one code.
        """
        if self.windows is None:
            return state.fit.loss
        atoms = windowed_atoms(state.fit.atoms, self.windows)
        basis, kept = basis_of_dependent(atoms)
        return C.trace() - float(windowed_variance(basis, kept, len(atoms), C).sum())

    @property
    def needs_samples(self) -> bool:
        """Whether learning needs minibatches of samples besides the second moment."""
        return (
            self.spectral is not None
            or self.settings.method == "adam"
            or self.coding is not None
        )

    def in_units(self, unit: float) -> "LearningPlan":
        """Return the plan for samples that were multiplied by ``unit``.

        The spectral error and the absolute values of the codes are proportional to
        ``unit``, and the squared error to its square. Multiplying the weights of the
        former by ``unit`` preserves their ratios.
        """
        spectral, coding = self.spectral, self.coding
        if spectral is not None:
            spectral = replace(spectral, weight=spectral.weight * unit)
        if coding is not None:
            coding = coding.in_units(unit)
        return replace(self, spectral=spectral, coding=coding)


def learn_dictionary(
    C: SecondMoment,
    plan: LearningPlan,
    monitor: Monitor,
    batches: Batches | None = None,
    selection: GreedySelection | None = None,
) -> LearnedAtoms:
    """Learn the atoms that have the least squared error under the second moment C.

    Initial waves are selected, their frequencies are refined, and then all parameters
    of the atoms. Atoms that have become equal are replaced by waves selected from the
    residual. These stages need C alone. A spectral loss or Adam also needs ``batches``
    of the samples.

    Raises
    ------
    ValueError
        If the plan needs minibatches and ``batches`` is None.
    """
    learner = _Learner(C, plan, monitor, selection)
    if plan.settings.method == "adam":
        # The published alternation uses the given samples alone. If these are only a
        # part of the data, `polish` takes the earlier samples into account through C.
        algorithm = polish if plan.in_pieces else alternate
        params = learner.starting_params()
        state = learner.learn_with_adam("adam", algorithm, params, batches)
    else:
        state = learner.learn()
        if plan.second is not None and not state.stopped:
            second = replace(plan, start=plan.second)
            other = _Learner(C, second, monitor, selection)
            found = other.learn()
            # If both results are equally good, the first one is kept, so that the atoms
            # do not change without need.
            if plan.error(found, C) < (1 - plan.settings.tol) * plan.error(state, C):
                learner, state = other, found
        if plan.spectral is not None and not state.stopped:
            state = learner.learn_with_adam(
                "spectral loss", polish, state.params, batches
            )
    return _ordered(plan.model, state, learner)


def new_selection(C: SecondMoment, plan: LearningPlan) -> GreedySelection:
    """Return a selection of the plan's waves, from which no wave has been taken."""
    envelopes = plan.carrier.envelopes(C.device)
    return GreedySelection(C, plan.carrier.wave_grid, envelopes)


@dataclass
class _Learner:
    """The stages of learning, each followed by the replacement of weak atoms."""

    C: SecondMoment
    plan: LearningPlan
    monitor: Monitor
    selection: GreedySelection | None = None
    history: list[Step] = field(default_factory=list)
    # Score of the best wave that was not selected: what a replacement could gain.
    best_remaining_score: float = math.inf
    n_steps: int = 0

    @cached_property
    def empty_selection(self) -> GreedySelection:
        """Selection from which no wave has been taken."""
        return self.selection or new_selection(self.C, self.plan)

    def learn(self) -> Descent:
        """Start and refine the atoms on the second moment."""
        plan, n_steps = self.plan, self.plan.settings.max_iter
        if plan.start.params is not None:
            start = self.starting_params()
            return self.refine("refinement", plan.model, start, n_steps)
        carrier = plan.carrier
        start = carrier.start(self._first_waves())
        if plan.model is carrier:
            return self.refine("frequencies", carrier, start, n_steps)
        state = self.refine("frequencies", carrier, start, min(_WARM_UP_STEPS, n_steps))
        # The described waves are folded, which may change the sign of an atom. The sign
        # does not matter, because the codes adapt to it.
        start = plan.model.start(carrier.describe(state.params).waves)
        return self.refine("modulation", plan.model, start, n_steps)

    def learn_with_adam(
        self,
        stage: str,
        algorithm: Callable[..., Descent],
        params: torch.Tensor,
        batches: Batches | None,
    ) -> Descent:
        """Learn from minibatches, then replace atoms that have become equal."""
        if batches is None:
            raise ValueError(
                f"batches=None, but the stage {stage!r} needs minibatches of the "
                "samples. Pass an instance of Batches."
            )
        plan, settings = self.plan, self.plan.settings
        params = self._without_zero_atoms(plan.model, params)
        step = self.monitor.stage(stage, settings.max_iter)
        state = algorithm(
            plan.model, params, self.C, batches, settings, plan.spectral, step
        )
        self.record(stage, state)
        renewal = renew(plan.model, state, self.empty_selection, 0.0, settings.ridge)
        if renewal is None:
            return state
        renewed = self._state_at(plan.model, renewal.params)
        return replace(renewed, converged=state.converged, stopped=state.stopped)

    def starting_params(self) -> torch.Tensor:
        """Return initial parameters of the atoms in their final form.

        Missing atoms are selected greedily.
        """
        model, params = self.plan.model, self.plan.start.params
        if params is None:
            return model.start(self._first_waves())
        kept = torch.arange(min(len(model.rows(params)), self.plan.n_atoms))
        return self._completed(model, params, kept)

    def _completed(
        self, model: AtomModel, params: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Return parameters of the ``kept`` atoms and of greedily selected ones."""
        rows = model.rows(params)[kept]
        missing = self.plan.n_atoms - len(rows)
        if missing > 0:
            on_pick = self.monitor.stage("selection", missing)
            selection = self.empty_selection.restart()
            _deflate(selection, model.atoms(params)[kept])
            selected = waves_of(selection.select(missing, on_pick))
            rows = torch.cat([rows, model.new_atoms(selected)])
        return model.with_rows(params, rows)

    def _without_zero_atoms(
        self, model: AtomModel, params: torch.Tensor
    ) -> torch.Tensor:
        """Return parameters in which atoms that are zero have been replaced."""
        is_nonzero = present(torch.linalg.vector_norm(model.atoms(params), dim=1))
        if bool(is_nonzero.all()):
            return params
        return self._completed(model, params, is_nonzero.nonzero()[:, 0])

    def _first_waves(self) -> Waves:
        """Return the initial waves of the plan's start."""
        plan = self.plan
        on_pick = self.monitor.stage("selection", plan.n_atoms)
        selection = self.empty_selection.restart()
        waves = first_waves(plan.start, plan.carrier, selection, plan.n_atoms, on_pick)
        if plan.start.method == "greedy":
            self.best_remaining_score = selection.best().score
        return waves

    def refine(
        self, stage: str, model: AtomModel, params: torch.Tensor, n_steps: int
    ) -> Descent:
        """Lower the loss, replace weak or duplicate atoms, and repeat."""
        ridge = self.plan.settings.ridge
        state = self._descend(stage, model, params, n_steps)
        self.record(stage, state)
        for attempt in range(_MAX_RENEWALS + 1):
            if state.stopped or not self.plan.renews:
                break
            renewal = renew(
                model, state, self.empty_selection, self.best_remaining_score, ridge
            )
            if renewal is None:
                break
            if attempt == _MAX_RENEWALS:
                # Duplicates recur after every descent. The replacements are returned as
                # they are.
                if renewal.forced:
                    return self._state_at(model, renewal.params)
                return state
            trial = self._descend(stage, model, renewal.params, n_steps)
            if not renewal.forced and trial.fit.loss >= state.fit.loss:
                break
            state = trial
            self.record(stage, state)
        return state

    def _state_at(self, model: AtomModel, params: torch.Tensor) -> Descent:
        """Return the state of a descent that starts at given parameters."""
        fit = project(model.atoms(params), self.C, self.plan.settings.ridge)
        return Descent(params, fit, Step(fit.loss))

    def record(self, stage: str, state: Descent) -> None:
        """Append the steps of a stage to the history.

        The errors at the start of a stage are also appended if the history is empty, or
        if the spectral error begins or ceases to be evaluated.
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
        """Refine all atoms by at most ``n_steps`` iterations."""
        settings = replace(self.plan.settings, max_iter=n_steps)
        params = self._without_zero_atoms(model, params)
        step = self.monitor.stage(stage, settings.max_steps(model))
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
    """Parameters after the replacement of atoms; ``forced`` if some were duplicates."""

    params: torch.Tensor
    forced: bool


def renew(
    model: AtomModel,
    state: Descent,
    empty_selection: GreedySelection,
    best_remaining_score: float,
    ridge: float,
) -> Renewal | None:
    """Replace duplicate atoms, and weak atoms that a better wave can replace.

    A weak atom is replaced by the wave that removes the most variance from the
    residual, as long as this variance is more than twice the rise of the loss without
    the atom. Weak atoms arise, for instance, because the first frequency of a strong
    wave is not exact: atoms that explain its residual become useless once that
    frequency has been refined.

    Returns None if no atom is replaced. The residual need not be computed if there are
    no duplicates and if ``best_remaining_score``, that of the best wave not selected at
    the start, is too small for a replacement.
    """
    fit = state.fit
    cosine = fit.gram.abs()
    duplicated = (cosine.triu(1) > _DUPLICATE_COSINE).any(dim=0)
    kept = (~duplicated).nonzero()[:, 0]
    cheapest = float(cost_of_removal(fit, kept, ridge).min())
    required = _MIN_GAIN_RATIO * cheapest
    if not bool(duplicated.any()) and best_remaining_score <= required:
        return None
    selection = empty_selection.restart()
    atoms = fit.atoms[kept]
    _deflate(selection, atoms)
    replacements = selection.select(int(duplicated.sum()))
    for _ in range(min(_MAX_REPLACED, len(kept))):
        cost = cost_of_removal(fit, kept, ridge)
        weakest = int(cost.argmin())
        pick = selection.best()
        if pick.score <= _MIN_GAIN_RATIO * float(cost[weakest]):
            break
        if selection.take(pick):
            kept = torch.cat([kept[:weakest], kept[weakest + 1 :]])
            replacements.append(pick)
    if not replacements:
        return None
    rows = [model.rows(state.params)[kept], model.new_atoms(waves_of(replacements))]
    params = model.with_rows(state.params, torch.cat(rows))
    return Renewal(params, forced=bool(duplicated.any()))


def _deflate(selection: GreedySelection, atoms: torch.Tensor) -> None:
    """Remove atoms from the residual, without those in the span of others."""
    if len(atoms) == 0 or selection.deflate(atoms):
        return
    for atom in atoms:
        selection.deflate(atom[None])


def _ordered(model: AtomModel, state: Descent, learner: _Learner) -> LearnedAtoms:
    """Return the learned atoms, ordered by the variance they add."""
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
