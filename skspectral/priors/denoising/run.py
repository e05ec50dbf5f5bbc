"""A run of a training: from codes, until its budget is spent."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import gen_batches

from skspectral._device import as_tensor
from skspectral._progress import Step
from skspectral.priors.denoising.model import Model
from skspectral.priors.denoising.plan import Log, Plan
from skspectral.priors.denoising.training import Examples, Training
from skspectral.priors.synthesis import Synthesis

# Steps between looks at the loss, which wait for an accelerator.
_LOOK = 20
# Seconds between checkpoints.
_INTERVAL = 120.0
# Rows whose coordinates are computed at a time.
_CHUNK = 1000


def train(
    model: Model,
    codes: np.ndarray,
    labels: np.ndarray,
    plan: Plan,
    device: torch.device,
    on_step: Step,
    keep: Callable[[Model], None] | None,
) -> Model:
    """Train the network of a model for one run, or go on with the run.

    Parameters
    ----------
    model : Model
        Unchanged.
    codes : ndarray of shape (n, K)
    labels : ndarray of shape (n,)
        Numbers from 0 to n_labels - 1; of no meaning if the model has none.
    plan : Plan
    device : torch.device
    on_step : callable
        Is told ``n_images`` and the last known ``loss`` after each step; True stops.
    keep : callable or None
        Is given the model every two minutes, and at the end, for a checkpoint.

    Returns
    -------
    model : Model

    Raises
    ------
    ArithmeticError
        If the loss is not finite, naming the step.
    """
    model = replace(model, log=copy.deepcopy(model.log))
    denoiser = model.denoiser().to(device)
    denoiser.mixed_precision = plan.mixed_precision
    training = Training(denoiser, plan, model.seed + 1)
    if model.state:
        training.load(model.state)
    examples = _examples(model, codes, labels, device, mirror=plan.mirror)

    def present() -> Model:
        return replace(model, state=training.state())

    def keep_present() -> None:
        if keep is not None:
            keep(present())

    _until_spent(training, examples, model.log, on_step, keep_present)
    trained = present()
    if keep is not None:
        keep(trained)
    return trained


def _examples(
    model: Model,
    codes: np.ndarray,
    labels: np.ndarray,
    device: torch.device,
    *,
    mirror: bool,
) -> Examples:
    """Rows on the device, in float32."""
    rows = np.empty(codes.shape, np.float32)
    for some in gen_batches(len(codes), _CHUNK):
        rows[some] = model.law.coordinates(codes[some])
    matrix, offset = None, None
    if mirror:
        signals = model.synthesis or Synthesis.identity(codes.shape[1])
        matrix, offset = (
            as_tensor(part, device, torch.float32) for part in model.law.mirror(signals)
        )
    return Examples(
        as_tensor(rows, device),
        as_tensor(labels, device) if model.n_labels else None,
        matrix,
        offset,
    )


def _until_spent(
    training: Training,
    examples: Examples,
    log: Log,
    on_step: Step,
    keep: Callable[[], None],
) -> None:
    before, kept = log.seconds, 0.0
    start = time.perf_counter()
    total, n_summed, loss = torch.zeros((), device=examples.coordinates.device), 0, None
    while (share := training.plan.budget.share(log)) < 1:
        total = total + training.step(examples, share)
        n_summed += 1
        log.n_images += training.plan.batch_size
        log.seconds = before + time.perf_counter() - start
        due = log.seconds - before - kept > _INTERVAL
        if due or n_summed == _LOOK:
            # Also before weights are kept, which may be no numbers.
            loss = _note(log, training, total / n_summed)
            total, n_summed = torch.zeros_like(total), 0
        if due:
            keep()
            kept = log.seconds - before
        if on_step(n_images=training.n_images, loss=loss):
            break
    if n_summed:
        _note(log, training, total / n_summed)


def _note(log: Log, training: Training, mean: torch.Tensor) -> float:
    loss = float(mean)
    if not np.isfinite(loss):
        raise ArithmeticError(
            f"The loss of DiffusionPrior is {loss} after {training.n_steps} steps. Are "
            "codes of very different size? Lower learning_rate, "
            f"{training.plan.learning_rate:g}, or leave out mixed_precision."
        )
    log.history["n_images"].append(training.n_images)
    log.history["loss"].append(loss)
    return loss
