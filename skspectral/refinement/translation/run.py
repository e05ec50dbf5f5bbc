"""A run of a training: epoch by epoch, until nothing gets better."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from skspectral._progress import Step
from skspectral.refinement.translation.batches import Pairs
from skspectral.refinement.translation.model import Translation
from skspectral.refinement.translation.training import Training


@dataclass
class Course:
    """What happened in a run.

    Attributes
    ----------
    best : Translation or None
        On the CPU, after its best epoch, or its last one if nothing judges them; None
        if none was better than the start.
    n_epochs, n_best : int
        Epochs that ended, and that of ``best``.
    terms : list of dict
        Means of the terms of the loss over each epoch.
    verdicts : list of float
        Of the judge, of the start and after each epoch.
    failure : str or None
        What was not finite, where the run ended for that.
    """

    best: Translation | None = None
    n_epochs: int = 0
    n_best: int = 0
    terms: list[dict[str, float]] = field(default_factory=list)
    verdicts: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def history(self) -> dict[str, np.ndarray]:
        """Each term, epoch by epoch."""
        names = self.terms[0] if self.terms else ()
        return {name: np.array([t[name] for t in self.terms]) for name in names}


def train(
    training: Training,
    pairs: Pairs,
    on_epoch: Step,
    *,
    judge: Callable[[Translation | None], float] | None,
    patience: int,
) -> Course:
    """Train for the number of epochs that is planned, or fewer.

    Parameters
    ----------
    training : Training
    pairs : Pairs
    on_epoch : callable
        Is told of each epoch; True stops.
    judge : callable or None
        How easily images are told that were refined with, or without, a translation.
    patience : int
        Epochs that may be no better than the best.
    """
    course = Course()
    if judge is not None:
        course.verdicts.append(judge(None))
    for epoch in range(1, training.plan.n_epochs + 1):
        try:
            terms = _epoch(training, pairs)
        except ArithmeticError as error:
            course.failure = str(error)
            break
        course.n_epochs = epoch
        course.terms.append(terms)
        present = copy.deepcopy(training.translation).cpu().eval()
        if judge is not None:
            course.verdicts.append(judge(present))
            terms = {**terms, "detector_auc": course.verdicts[-1]}
        if judge is None or course.verdicts[-1] < min(course.verdicts[:-1]):
            course.best, course.n_best = present, epoch
        if on_epoch(**terms) or epoch - course.n_best >= patience:
            break
    return course


def _epoch(training: Training, pairs: Pairs) -> dict[str, float]:
    """Means of the terms; ArithmeticError if terms or weights are not finite."""
    training.translation.train()
    batches = pairs.batches(training.plan.n_steps)
    all_terms = [training.step(generated, real) for generated, real in batches]
    for weight in training.translation.parameters():
        if not torch.isfinite(weight).all():
            raise ArithmeticError(f"a weight is not finite in step {training.n_steps}")
    return {
        name: sum(terms[name] for terms in all_terms) / len(all_terms)
        for name in all_terms[0]
    }
