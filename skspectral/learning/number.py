"""The number of atoms, chosen on one path along which atoms are added.

Atoms are added a few at a time, and all are refined together. At each size the atoms
are ordered by the variance that they add, so that the models of the first k atoms are
compared for all k. With the share s_k of the variance outside k atoms, noise of the
variance s2 = s_k / (T - k), the covariance L_k of the coordinates and N rows, the
largest log-likelihood of the Gaussian model is, up to a constant,

    l_k = -N / 2 (log det L_k + (T - k) log s2).

"bic" is l_k less log(N) / 2 per parameter (Schwarz 1978). The parameters are those of
the atoms, the noise, and the k (k + 1) / 2 entries of L_k. "evidence" approximates the
integral of the likelihood over the parameters of atom i, which lie near one of T / 2
frequencies: instead of log(N) / 2 for each of q parameters it subtracts

    log(T / 2) + q / 2 log(1 + N v_i / s2),

for the variance v_i that the atom adds (Laplace's method, with derivatives of unit norm
and priors of the width 1).

References
----------
G. Schwarz (1978). Estimating the dimension of a model. Annals of Statistics 6, 461-464.

P. M. Djuric (1996). A model selection rule for sinusoids in white Gaussian noise. IEEE
Transactions on Signal Processing 44, 1744-1751.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from skspectral._device import as_array
from skspectral._progress import Monitor
from skspectral.learning.dictionary import (
    LearnedAtoms,
    LearningPlan,
    learn_dictionary,
    new_selection,
)
from skspectral.learning.projection import project
from skspectral.learning.starts import Start
from skspectral.moments.second_moment import SecondMoment

# Atoms that are added at a time, relative to those that there are, and the largest
# number of refining steps after it.
_GROWTH, _STEPS = 1 / 4, 10
# The path ends after the best number of atoms by this number of atoms, or by this
# fraction of the best number.
_BEYOND, _BEYOND_SHARE = 4, 1 / 2


@dataclass(frozen=True)
class NumberRule:
    """Rule by which the number of atoms is chosen.

    Attributes
    ----------
    criterion : {"bic", "evidence"} or None
        The criterion, whose largest value is taken. None means the share.
    share : float
        Share of the variance that the atoms must explain, if there is no criterion.
    """

    criterion: str | None
    share: float = 1.0


@dataclass(frozen=True)
class NumberPath:
    """The choice of a number of atoms, and what it was chosen from.

    Attributes
    ----------
    n_atoms : int
        The chosen number.
    params : tensor
        Parameters of the chosen atoms, from which learning goes on.
    criterion : ndarray of shape (n_tried,)
        Criterion for 1, 2, .. atoms: log-evidence, or log-likelihood less penalty, in
        nats and relative to one atom; or the explained share of the variance.
    """

    n_atoms: int
    params: torch.Tensor
    criterion: np.ndarray


def choose_number(
    C: SecondMoment,
    plan: LearningPlan,
    rule: NumberRule,
    n_samples: float,
    monitor: Monitor,
) -> NumberPath:
    """Choose the number of atoms.

    Parameters
    ----------
    C : SecondMoment
        Second moment with the trace 1.
    plan : LearningPlan
        What to learn. ``n_atoms`` is the largest number of atoms.
    rule : NumberRule
        How to choose.
    n_samples : float
        Number of rows, or the sum of their weights.
    monitor : Monitor
        Receives the progress.

    Returns
    -------
    path : NumberPath
        The choice.
    """
    most, settings = plan.n_atoms, plan.settings
    if rule.criterion is not None:
        # The covariance of more coordinates is singular, and its density infinite.
        most = min(most, max(1, int(n_samples) - 1))
    quick = replace(settings, max_iter=min(settings.max_iter, _STEPS))
    plan = replace(plan, settings=quick, second=None, spectral=None)
    selection = new_selection(C, plan)
    n_atoms, values = 1, np.full(most, -math.inf)
    # Parameters of the atoms with which each number has had its best value.
    params = [torch.empty(0)] * most
    while True:
        larger = replace(plan, n_atoms=n_atoms)
        learned = learn_dictionary(C, larger, monitor, selection=selection)
        found = _criteria(C, plan, learned, rule, n_samples)
        for i in np.flatnonzero(found > values[:n_atoms]):
            values[i], params[i] = found[i], learned.params
        best = _best(values[:n_atoms], rule)
        is_last = n_atoms == most or learned.stopped
        if is_last or _is_over(n_atoms, best, values[best - 1], rule):
            break
        n_atoms = min(most, n_atoms + max(1, int(_GROWTH * n_atoms)))
        plan = replace(plan, start=Start("params", params=learned.params))
    values = values[:n_atoms]
    if rule.criterion is not None:
        values = values - values[0]
    model, chosen = plan.model, params[best - 1]
    first = model.with_rows(chosen, model.rows(chosen)[:best])
    return NumberPath(best, first, values)


def _criteria(
    C: SecondMoment,
    plan: LearningPlan,
    learned: LearnedAtoms,
    rule: NumberRule,
    n: float,
) -> np.ndarray:
    """Return the criterion of the first 1, 2, .. K atoms."""
    variance = as_array(learned.variance)
    explained = variance.cumsum()
    if rule.criterion is None:
        return explained
    fit = project(learned.components, C, plan.settings.ridge)
    q = as_array(plan.model.n_independent(learned.params))
    n_atoms, n_features = learned.components.shape
    k = np.arange(1, n_atoms + 1)
    left = np.maximum(C.trace() - explained, np.finfo(float).tiny)
    noise = left / np.maximum(n_features - k, 1)
    # The covariance of the coordinates of the first k atoms is a leading block.
    moment = fit.axes_moment
    moment = moment + 1e-14 * torch.eye(n_atoms).to(moment) * moment.diagonal().max()
    factor, _ = torch.linalg.cholesky_ex(moment)
    pivots = as_array(factor.diagonal()).clip(np.finfo(float).tiny)
    log_det = 2 * np.log(pivots).cumsum()
    likelihood = -n / 2 * (log_det + (n_features - k) * np.log(noise))
    penalty = math.log(n) / 2 * (k * (k + 1) / 2 + 1)
    if rule.criterion == "bic":
        return likelihood - penalty - math.log(n) / 2 * q.cumsum()
    # The variance of an atom is compared with the noise of each model.
    ratio = variance[:, None] / noise
    per_atom = math.log(max(n_features / 2, 1)) + q[:, None] / 2 * np.log1p(n * ratio)
    return likelihood - penalty - np.triu(per_atom).sum(0)


def _best(values: np.ndarray, rule: NumberRule) -> int:
    if rule.criterion is None:
        enough = values >= rule.share
        return int(enough.argmax()) + 1 if enough.any() else len(values)
    return int(values.argmax()) + 1


def _is_over(n_atoms: int, best: int, value: float, rule: NumberRule) -> bool:
    if rule.criterion is None:
        return value >= rule.share
    return n_atoms >= best + max(_BEYOND, int(_BEYOND_SHARE * best))
