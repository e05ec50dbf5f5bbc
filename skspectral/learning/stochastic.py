"""Learning from minibatches: Adam on the squared error and the spectral loss."""
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from skspectral._device import Samples, as_tensor
from skspectral.atoms.family import AtomModel
from skspectral.coding.linear import least_squares_map
from skspectral.learning.descent import Descent, Settings, Step
from skspectral.learning.projection import Projection, project
from skspectral.moments.second_moment import SecondMoment
from skspectral.stft import STFT

# Samples on which the spectral loss is judged between rounds of steps.
_PROBE = 512
_STEPS_PER_ROUND = 10
_MINIBATCH = 256


@dataclass(frozen=True)
class SpectralLoss:
    """Equation (7) of Kiruluta (2025): weight * || |STFT x| - |STFT x^| ||_1."""

    stft: STFT
    weight: float


Batch = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """Random minibatches of the rows (n, T), centred and multiplied by ``scale``.

    Rows of weight zero are never drawn; None for ``batch_size`` is 256. Numbers are
    drawn on the CPU, so that they are the same on every device. ``offset`` is the
    scaled mean.
    """

    def __init__(
        self,
        samples: Samples,
        weights: np.ndarray | None,
        mean: torch.Tensor,
        scale: float,
        batch_size: int | None,
        dtype: torch.dtype,
        stream: np.random.Generator,
    ):
        self.offset = (mean * scale).to(dtype)
        self._samples = samples
        # In units of their mean, so that a row counts the same in every minibatch.
        self._weights = (
            None if weights is None else weights / weights[weights > 0].mean()
        )
        self._mean = mean.to(dtype)
        self._scale = scale
        self._size = _MINIBATCH if batch_size is None else batch_size
        self._stream = stream
        n = len(samples)
        self._drawn = np.arange(n) if weights is None else np.flatnonzero(weights)

    def _rows(self, chosen: np.ndarray) -> Batch:
        """Rows and weights, which sum to 1 on average over the minibatches."""
        rows = as_tensor(self._samples[chosen], self._mean.device, self._mean.dtype)
        share = np.full(len(chosen), 1 / len(chosen))
        if self._weights is not None:
            share *= self._weights[chosen]
        weights = as_tensor(share, rows.device, rows.dtype)
        return (rows - self._mean) * self._scale, weights

    def epoch(self) -> Iterator[Batch]:
        """All rows once, in random order."""
        order = self._stream.permutation(self._drawn)
        for start in range(0, len(order), self._size):
            yield self._rows(order[start : start + self._size])

    def forever(self) -> Iterator[Batch]:
        """Epoch after epoch."""
        while True:
            yield from self.epoch()

    def probe(self) -> Batch:
        """Rows to judge by."""
        size = min(_PROBE, len(self._drawn))
        return self._rows(self._stream.choice(self._drawn, size, replace=False))


def least_squares_codes(
    rows: torch.Tensor, unit: torch.Tensor, ridge: float
) -> torch.Tensor:
    """Codes of unit atoms, shape (n, K), differentiable by the atoms."""
    return rows @ least_squares_map(unit, ridge).to(rows.dtype).T


def _unit(atoms: torch.Tensor) -> torch.Tensor:
    return atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)


@dataclass(frozen=True)
class MinibatchLoss:
    """The terms of equation (8) on a minibatch, means over its samples.

    Attributes
    ----------
    spectral : SpectralLoss or None
    ridge : float
    offset : tensor of shape (T,)
        What was subtracted from the rows: spectra are those of the signals themselves.
    """

    spectral: SpectralLoss | None
    ridge: float
    offset: torch.Tensor

    def spectral_error(self, atoms: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Equation (7) without its weight, the codes differentiated through.

        NaN where there is no spectral loss.
        """
        if self.spectral is None:
            return torch.full((), math.nan)
        unit = _unit(atoms)
        codes = least_squares_codes(batch[0], unit, self.ridge)
        return self._distance(self.spectral, batch, codes @ unit.to(codes.dtype))

    def with_fixed_codes(self, atoms: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Equation (8), the codes being those of the present atoms."""
        rows, weights = batch
        unit = _unit(atoms)
        codes = least_squares_codes(rows, unit.detach(), self.ridge)
        rebuilt = codes @ unit.to(rows.dtype)
        loss = weights @ ((rows - rebuilt) ** 2).sum(1)
        if self.spectral is not None:
            error = self._distance(self.spectral, batch, rebuilt)
            loss = loss + self.spectral.weight * error
        return loss

    def _distance(
        self, spectral: SpectralLoss, batch: Batch, rebuilt: torch.Tensor
    ) -> torch.Tensor:
        rows, weights = batch
        pair = rows + self.offset, rebuilt + self.offset
        return weights @ spectral.stft.magnitude_error(*pair)

    def total(self, squared_error: float, spectral_error: float) -> float:
        """Equation (8) from its parts."""
        if self.spectral is None:
            return squared_error
        return squared_error + self.spectral.weight * spectral_error


def exact_gradient(
    model: AtomModel,
    point: torch.Tensor,
    C: SecondMoment,
    batch: Batch,
    loss: MinibatchLoss,
) -> torch.Tensor:
    """Gradient of equation (8) by the parameters, the codes being eliminated.

    The squared error is that of the second moment ``C``, the spectral error that of a
    minibatch.
    """
    atoms = model.atoms(point)
    slope = project(atoms.detach(), C, loss.ridge).gradient()
    if loss.spectral is not None:
        error = loss.spectral.weight * loss.spectral_error(atoms, batch)
        slope = slope + torch.autograd.grad(error, atoms, retain_graph=True)[0]
    return torch.autograd.grad(atoms, point, slope)[0]


def polish(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    batches: Batches,
    settings: Settings,
    spectral: SpectralLoss | None,
    on_step: Callable[..., bool],
) -> Descent:
    """Lower squared error plus spectral loss over the parameters of the atoms.

    Rounds of ten Adam steps, with the exact gradient of the squared error from the
    second moment ``C`` and that of the spectral loss from minibatches; the codes are
    eliminated in closed form and differentiated through.
    """
    loss = MinibatchLoss(spectral, settings.ridge, batches.offset)
    draws = batches.forever()

    def gradient(point: torch.Tensor, batch: Batch) -> torch.Tensor:
        return exact_gradient(model, point, C, batch, loss)

    def draw() -> Iterator[Batch]:
        return itertools.islice(draws, _STEPS_PER_ROUND)

    return _adam(model, params, C, batches, settings, loss, gradient, draw, on_step)


def alternate(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    batches: Batches,
    settings: Settings,
    spectral: SpectralLoss | None,
    on_step: Callable[..., bool],
) -> Descent:
    """The published alternation: least-squares codes, an Adam step on the atoms.

    ``max_iter`` epochs of minibatches with equation (8) of Kiruluta (2025), the codes
    of each being held fixed while the atoms are moved. The second moment ``C`` only
    tells the squared error after each epoch.
    """
    loss = MinibatchLoss(spectral, settings.ridge, batches.offset)

    def gradient(point: torch.Tensor, batch: Batch) -> torch.Tensor:
        value = loss.with_fixed_codes(model.atoms(point), batch)
        return torch.autograd.grad(value, point)[0]

    return _adam(
        model, params, C, batches, settings, loss, gradient, batches.epoch, on_step
    )


def _adam(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    batches: Batches,
    settings: Settings,
    loss: MinibatchLoss,
    gradient: Callable[[torch.Tensor, Batch], torch.Tensor],
    draw: Callable[[], Iterable[Batch]],
    on_step: Callable[..., bool],
) -> Descent:
    """At most ``max_iter`` rounds of steps; the best parameters after any of them.

    Rounds are judged by the exact squared error and the spectral error of the same
    few samples.
    """
    probe = batches.probe()

    def judge(point: torch.Tensor) -> tuple[Projection, float]:
        with torch.no_grad():
            atoms = model.atoms(point)
            fit = project(atoms, C, settings.ridge)
            return fit, float(loss.spectral_error(atoms, probe))

    fit, error = judge(params)
    state = Descent(params, fit, Step(fit.loss, error))
    best = loss.total(fit.loss, error)
    point = params.clone().requires_grad_(True)
    adam = torch.optim.Adam([point], settings.learning_rate)
    idle = 0
    for place in range(1, settings.max_iter + 1):
        try:
            for batch in draw():
                point.grad = gradient(point, batch)
                adam.step()
            found = point.detach().clone()
            fit, error = judge(found)
            value = loss.total(fit.loss, error)
            if not math.isfinite(value):
                raise ArithmeticError(f"The loss became {value}.")
            state.add(fit.loss, error)
        except ArithmeticError as failure:
            raise ArithmeticError(
                f"Adam diverged in round {place}: {failure} Lower "
                f"learning_rate={settings.learning_rate}."
            ) from failure
        idle = idle + 1 if best - value <= settings.tol * value else 0
        if value < best:
            state.params, state.fit, best = found, fit, value
        # Without a tolerance all rounds are asked for, better or worse.
        state.converged = settings.tol > 0 and idle == 2
        state.stopped = bool(on_step(explained_variance_ratio=1 - fit.loss))
        if state.converged or state.stopped:
            break
    return state
