"""Learning from minibatches: Adam on the squared error and the spectral loss."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
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

# Number of samples on which the spectral loss is evaluated after each round.
_PROBE_SIZE = 512
# Number of Adam steps per round of `polish`.
_STEPS_PER_ROUND = 10
# Default number of rows of a minibatch.
_MINIBATCH_SIZE = 256


@dataclass(frozen=True)
class SpectralLoss:
    """The spectral loss weight * || |STFT x| - |STFT x^| ||_1, x^ the reconstruction.

    It is equation (7) of Kiruluta (2025).

    Attributes
    ----------
    stft : STFT
        Short-time Fourier transform.
    weight : float
        Weight of the spectral error relative to the squared error.
    """

    stft: STFT
    weight: float


Batch = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """Random minibatches of rows, centred and scaled.

    Random numbers are drawn on the CPU, so that they are equal on every device. Rows of
    weight zero are never drawn.

    Parameters
    ----------
    samples : array of shape (n, T)
        Rows to draw from.
    weights : ndarray of shape (n,) or None
        Non-negative weights of the rows. None means that all weights are 1.
    mean : tensor of shape (T,)
        Vector that is subtracted from the rows.
    scale : float
        Factor of the centred rows.
    batch_size : int or None
        Number of rows of a minibatch. None means 256.
    dtype : torch.dtype
        Floating type of the minibatches.
    stream : numpy.random.Generator
        Source of the random order.

    Attributes
    ----------
    offset : tensor of shape (T,)
        The scaled mean.
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
        # Weights are divided by their mean and not by their sum over the minibatch, so
        # that the influence of a row does not depend on its minibatch.
        self._weights = (
            None if weights is None else weights / weights[weights > 0].mean()
        )
        self._mean = mean.to(dtype)
        self._scale = scale
        self._size = _MINIBATCH_SIZE if batch_size is None else batch_size
        self._stream = stream
        n = len(samples)
        self._usable = np.arange(n) if weights is None else np.flatnonzero(weights)

    def _rows(self, chosen: np.ndarray) -> Batch:
        """Return the rows of given indices and their weights.

        The weights sum to 1 on average over the minibatches.
        """
        rows = as_tensor(self._samples[chosen], self._mean.device, self._mean.dtype)
        fractions = np.full(len(chosen), 1 / len(chosen))
        if self._weights is not None:
            fractions *= self._weights[chosen]
        weights = as_tensor(fractions, rows.device, rows.dtype)
        return (rows - self._mean) * self._scale, weights

    def epoch(self) -> Iterator[Batch]:
        """Iterate over all rows once, in random order."""
        order = self._stream.permutation(self._usable)
        for start in range(0, len(order), self._size):
            yield self._rows(order[start : start + self._size])

    def __len__(self) -> int:
        """Number of rows with a positive weight."""
        return len(self._usable)

    def some(self, n_rows: int) -> "Batches":
        """Return minibatches of at most ``n_rows`` rows, which are drawn at random."""
        if n_rows >= len(self._usable):
            return self
        new = copy.copy(self)
        chosen = self._stream.choice(len(self._usable), n_rows, replace=False)
        new._usable = self._usable[np.sort(chosen)]
        return new

    def in_order(self, size: int) -> Iterator[Batch]:
        """Iterate over all rows once, in their order, ``size`` rows at a time.

        The weights sum to the number of rows with a positive weight.
        """
        for start in range(0, len(self._usable), size):
            rows, weights = self._rows(self._usable[start : start + size])
            yield rows, weights * len(rows)

    def forever(self) -> Iterator[Batch]:
        """Iterate over epochs without end."""
        while True:
            yield from self.epoch()

    def probe(self) -> Batch:
        """Return random rows on which the spectral loss is evaluated."""
        size = min(_PROBE_SIZE, len(self._usable))
        return self._rows(self._stream.choice(self._usable, size, replace=False))


def least_squares_codes(
    rows: torch.Tensor, unit: torch.Tensor, ridge: float
) -> torch.Tensor:
    """Return codes of unit atoms, (n, K), differentiable with respect to the atoms."""
    return rows @ least_squares_map(unit, ridge).to(rows.dtype).T


def _unit(atoms: torch.Tensor) -> torch.Tensor:
    """Return the atoms divided by their norms."""
    return atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)


@dataclass(frozen=True)
class MinibatchLoss:
    """The terms of equation (8) of Kiruluta (2025), as means over a minibatch.

    Attributes
    ----------
    spectral : SpectralLoss or None
        Spectral loss. None means the squared error alone.
    ridge : float
        Ridge of the least-squares codes.
    offset : tensor of shape (T,)
        Vector that was subtracted from the rows. It is added again before the spectra
        are computed, which are those of the signals themselves.
    """

    spectral: SpectralLoss | None
    ridge: float
    offset: torch.Tensor

    def spectral_error(self, atoms: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return equation (7) without its weight, or NaN if there is no spectral loss.

        The derivative includes the dependence of the codes on the atoms.
        """
        if self.spectral is None:
            return torch.full((), math.nan)
        unit = _unit(atoms)
        codes = least_squares_codes(batch[0], unit, self.ridge)
        rebuilt = codes @ unit.to(codes.dtype)
        return self._spectral_distance(self.spectral, batch, rebuilt)

    def with_fixed_codes(self, atoms: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return equation (8) with the codes treated as constants.

        The codes are the least-squares codes of the current atoms.
        """
        rows, weights = batch
        unit = _unit(atoms)
        codes = least_squares_codes(rows, unit.detach(), self.ridge)
        rebuilt = codes @ unit.to(rows.dtype)
        loss = weights @ ((rows - rebuilt) ** 2).sum(1)
        if self.spectral is not None:
            error = self._spectral_distance(self.spectral, batch, rebuilt)
            loss = loss + self.spectral.weight * error
        return loss

    def _spectral_distance(
        self, spectral: SpectralLoss, batch: Batch, rebuilt: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean error of the spectra of reconstructions."""
        rows, weights = batch
        pair = rows + self.offset, rebuilt + self.offset
        return weights @ spectral.stft.magnitude_error(*pair)

    def total(self, squared_error: float, spectral_error: float) -> float:
        """Return equation (8) from its two terms."""
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
    """Return the gradient of equation (8) with the codes eliminated.

    The squared error is exact, from the second moment ``C``; the spectral error is that
    of a minibatch.
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

    Each round takes ten Adam steps. The gradient of the squared error is exact, from
    the second moment ``C``; that of the spectral loss is estimated from minibatches.
    Both include the dependence of the codes on the atoms.
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
    """Alternate between least-squares codes and Adam steps, as published.

    Each round is one epoch of minibatches on equation (8) of Kiruluta (2025), with the
    codes fixed while the atoms move. The second moment ``C`` only serves to evaluate
    the squared error after each epoch.
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
    """Run at most ``max_iter`` rounds of Adam, and return the best parameters.

    Rounds are compared by the exact squared error and by the spectral error of one
    fixed set of samples.
    """
    probe = batches.probe()

    def evaluate(point: torch.Tensor) -> tuple[Projection, float]:
        with torch.no_grad():
            atoms = model.atoms(point)
            fit = project(atoms, C, settings.ridge)
            return fit, float(loss.spectral_error(atoms, probe))

    fit, error = evaluate(params)
    state = Descent(params, fit, Step(fit.loss, error))
    best = loss.total(fit.loss, error)
    point = params.clone().requires_grad_(True)
    adam = torch.optim.Adam([point], settings.learning_rate)
    rounds_without_gain = 0
    for round_number in range(1, settings.max_iter + 1):
        try:
            for batch in draw():
                point.grad = gradient(point, batch)
                adam.step()
            found = point.detach().clone()
            fit, error = evaluate(found)
            value = loss.total(fit.loss, error)
            if not math.isfinite(value):
                raise ArithmeticError(f"The loss became {value}.")
            state.add(fit.loss, error)
        except ArithmeticError as failure:
            raise ArithmeticError(
                f"Adam diverged in round {round_number}. {failure} Lower "
                f"learning_rate={settings.learning_rate}."
            ) from failure
        rounds_without_gain = (
            rounds_without_gain + 1 if best - value <= settings.tol * value else 0
        )
        if value < best:
            state.params, state.fit, best = found, fit, value
        # With tol=0, all rounds are run, even if some do not lower the loss.
        state.converged = settings.tol > 0 and rounds_without_gain == 2
        state.stopped = bool(on_step(explained_variance_ratio=1 - fit.loss))
        if state.converged or state.stopped:
            break
    return state
