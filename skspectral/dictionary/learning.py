"""From a second moment to a dictionary: selection, refinement, tidying, ordering."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import torch

from skspectral._progress import Monitor
from skspectral.dictionary.atoms import Sinusoids
from skspectral.dictionary.descent import Descent, Settings, refine
from skspectral.dictionary.projection import added_variance, project
from skspectral.dictionary.selection import GreedySelection

# Two atoms with a larger |cosine| are one atom twice: their codes would explode.
_DUPLICATE = 0.999
_MAX_REPLACEMENTS = 3
# Plain sinusoids that are to drift later need only be near their place.
_WARM_UP_ITERATIONS = 1


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
    n_iter : int
        Steps of refinement.
    converged : bool
        Whether the last stage reached its tolerance.
    """

    components: torch.Tensor
    frequency: torch.Tensor
    phase: torch.Tensor
    amplitude: torch.Tensor
    variance: torch.Tensor
    history: list[tuple[str, float]]
    n_iter: int
    converged: bool


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

    @property
    def n_stages(self) -> int:
        """Number of stages told to the monitor, without replacements."""
        return 2 if self.drift is None else 3


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
    settings, drift, static = plan.settings, plan.drift, plan.static
    n_atoms = plan.n_atoms
    picked = monitor.stage("selection", n_atoms)
    frequency, phase = GreedySelection(C).select(n_atoms, picked)
    history: list[tuple[str, float]] = []

    model, params = static, static.start(frequency, phase)
    if drift is not None:
        warm_up = replace(settings, max_iter=_WARM_UP_ITERATIONS)
        params = _run(
            "frequencies", static, params, C, warm_up, monitor, history
        ).params
        waves = static.waves(params)
        model = drift
        # The sign of an atom is free, and so is the half turn of its phase.
        params = drift.start(waves.frequency, waves.phase)
    stage = "frequencies" if drift is None else "modulation"
    state = _run(stage, model, params, C, settings, monitor, history)
    for _ in range(_MAX_REPLACEMENTS):
        renewed = _replace_duplicates(model, state, C)
        if renewed is None:
            break
        state = _run(stage, model, renewed, C, settings, monitor, history)
    else:
        renewed = _replace_duplicates(model, state, C)
        if renewed is not None:
            fit = project(model.atoms(renewed), C, settings.ridge)
            state = replace(state, params=renewed, fit=fit, converged=False)
    return _ordered(model, state, history)


def _run(
    stage: str,
    model: Sinusoids,
    params: torch.Tensor,
    C: torch.Tensor,
    settings: Settings,
    monitor: Monitor,
    history: list[tuple[str, float]],
) -> Descent:
    step = monitor.stage(stage, settings.max_iter)
    total = float(C.trace())
    state = refine(
        model,
        params,
        C,
        settings,
        lambda loss: step(loss=loss, explained_variance_ratio=1 - loss / total),
    )
    if not history:
        history.append(("selection", state.start_loss))
    history.extend((stage, loss) for loss in state.losses)
    return state


def _replace_duplicates(
    model: Sinusoids, state: Descent, C: torch.Tensor
) -> torch.Tensor | None:
    """Parameters with duplicates drawn anew from the residual; None without any."""
    order, _ = added_variance(state.fit)
    atoms = state.fit.atoms[order]
    cosine = (atoms @ atoms.T).abs().tril(diagonal=-1)
    duplicate = (cosine > _DUPLICATE).any(dim=1)
    if not bool(duplicate.any()):
        return None
    kept = order[~duplicate]
    selection = GreedySelection(C)
    for atom in state.fit.atoms[kept]:
        selection.deflate(atom)
    frequency, phase = selection.select(int(duplicate.sum()))
    return torch.cat([state.params[kept], model.start(frequency, phase)])


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
        n_iter=max(1, len(history) - 1),
        converged=state.converged,
    )
