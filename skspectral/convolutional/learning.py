"""Learning short atoms from long recordings: activations and atoms in turn."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch

from skspectral._progress import Monitor, Step
from skspectral.atoms.family import AtomModel
from skspectral.convolutional.activations import Events, correlations, encode
from skspectral.convolutional.moments import ActivationMoments
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan, learn_dictionary
from skspectral.learning.fixed_codes import lowered, unit_atoms
from skspectral.learning.starts import Start
from skspectral.moments.second_moment import FactorMoment

# A new atom is fitted to at most this number of windows of the residual.
_WINDOWS = 32
# An atom with less than this fraction of the mean energy of the activations is dead.
_DEAD, _MAX_RENEWALS = 1e-4, 3


@dataclass(frozen=True)
class ConvolutionalPlan:
    """What to learn, and how.

    Attributes
    ----------
    n_atoms : int
        Number K of atoms.
    carrier : AtomModel
        The atoms without modulation.
    model : AtomModel
        The atoms in their final form, on the grid of the windows.
    reg : float
        Weight of the absolute values, as a fraction of the largest product of a
        recording and the first atom.
    positive : bool
        Whether the activations must not be negative.
    max_iter : int
        Largest number of passes over the recordings.
    tol : float
        Relative tolerance of the objective.
    """

    n_atoms: int
    carrier: AtomModel
    model: AtomModel
    reg: float
    positive: bool
    max_iter: int
    tol: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of channels and samples of an atom."""
        grid = self.model.grid
        return grid.channels, grid.sizes[0]


@dataclass
class ConvolutionalState:
    """Atoms, and activations of the last pass.

    Attributes
    ----------
    params : tensor of shape (K, p), float64
        Parameters of the atoms.
    sign : tensor of shape (K,)
        Factors +1 or -1 of the atoms. They matter if activations are positive.
    alpha : float
        Weight of the absolute values.
    moments : ActivationMoments
        Sums over the activations of all recordings.
    events : Events
        Activations in the joined recordings of this call.
    losses : list of float
        Objective per sample, at the start and after each pass.
    converged : bool
        Whether the objective has converged.
    """

    params: torch.Tensor
    sign: torch.Tensor
    alpha: float
    moments: ActivationMoments
    events: Events
    losses: list[float] = field(default_factory=list)
    converged: bool = False


def learn_convolutional(
    signal: torch.Tensor,
    usable: torch.Tensor,
    plan: ConvolutionalPlan,
    monitor: Monitor,
    *,
    params: torch.Tensor | None = None,
    sign: torch.Tensor | None = None,
    alpha: float | None = None,
    earlier: ActivationMoments | None = None,
) -> ConvolutionalState:
    """Learn atoms whose activations are sparse.

    The objective is, per sample of the recordings, ::

        1/2 |x - sum_k z_k * d_k|^2 + alpha |z|_1.

    Activations of all recordings, and Gauss-Newton steps of the atoms with fixed
    activations, alternate. Both lower the objective.

    Parameters
    ----------
    signal : tensor of shape (C, n_times), float64
        All recordings without their means, one after the other.
    usable : tensor of shape (n_times - L + 1,), bool
        Starts at which an atom lies within one recording.
    plan : ConvolutionalPlan
        What to learn.
    monitor : Monitor
        Receives the progress, and can stop the learning.
    params : tensor or None, default=None
        Parameters of all atoms at the start. None means that one atom after the other
        is fitted to the windows of the residual with the most energy.
    sign : tensor of shape (K,) or None, default=None
        Signs of the atoms at the start, together with ``params``.
    alpha : float or None, default=None
        Weight of the absolute values. None computes it from ``plan.reg``.
    earlier : ActivationMoments or None, default=None
        Sums over recordings of earlier calls, whose activations stay fixed.

    Returns
    -------
    state : ConvolutionalState
        Atoms and activations.
    """
    learner = _Learner(signal, usable, plan, monitor, earlier)
    if params is None:
        state = learner.start(alpha)
    else:
        assert alpha is not None
        assert sign is not None
        state = learner.coded(params, sign, alpha, None)
    return learner.refine(state)


@dataclass
class _Learner:
    signal: torch.Tensor
    usable: torch.Tensor
    plan: ConvolutionalPlan
    monitor: Monitor
    earlier: ActivationMoments | None

    def atoms(self, params: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
        """Return atoms of unit norm, shape (K, C, L)."""
        atoms = sign[:, None] * unit_atoms(self.plan.model.atoms(params))
        return atoms.view(len(atoms), *self.plan.shape)

    def coded(
        self,
        params: torch.Tensor,
        sign: torch.Tensor,
        alpha: float,
        start: Events | None,
    ) -> ConvolutionalState:
        """Compute the activations of all recordings, and the sums over them."""
        atoms = self.atoms(params, sign)
        events, _ = encode(
            self.signal,
            atoms,
            alpha,
            positive=self.plan.positive,
            usable=self.usable,
            start=start,
        )
        moments = ActivationMoments.of(self.signal, events, len(atoms), atoms.shape[2])
        if self.earlier is not None:
            moments = moments.plus(self.earlier)
        return ConvolutionalState(params, sign, alpha, moments, events)

    def loss(self, state: ConvolutionalState) -> float:
        """Return the objective per sample."""
        atoms, moments = self.atoms(state.params, state.sign), state.moments
        error = moments.squared_error(atoms.flatten(1))
        return error / 2 + state.alpha * moments.penalty / moments.n_times

    def start(self, alpha: float | None) -> ConvolutionalState:
        """Add one atom after the other, each from the residual of the others."""
        on_atom = self.monitor.stage("selection", self.plan.n_atoms)
        state = None
        left = self.signal
        for _ in range(self.plan.n_atoms):
            params, sign = self._new_atom(left)
            if alpha is None:
                products = correlations(left, self.atoms(params, sign))[0]
                alpha = self.plan.reg * float((products * self.usable).abs().max())
            before = None
            if state is not None:
                params = torch.cat([state.params, params])
                sign = torch.cat([state.sign, sign])
                before = state.events
            state = self.coded(params, sign, alpha, before)
            left = self._residual(state)
            on_atom()
        assert state is not None
        return state

    def refine(self, state: ConvolutionalState) -> ConvolutionalState:
        """Lower the objective by passes over the recordings."""
        plan = self.plan
        on_pass = self.monitor.stage("activations", plan.max_iter)
        losses, n_small, n_renewals = [self.loss(state)], 0, 0
        converged = False
        for _ in range(plan.max_iter):
            before = losses[-1]
            # The moments of the atoms without their signs.
            order = torch.arange(plan.n_atoms, device=state.sign.device)
            unsigned = state.moments.reordered(order, state.sign)
            params = lowered(plan.model, state.params, unsigned)
            state = self.coded(params, state.sign, state.alpha, state.events)
            loss = self.loss(state)
            n_small = n_small + 1 if before - loss <= plan.tol * before else 0
            renewed = self._renewed(state) if n_renewals < _MAX_RENEWALS else None
            if renewed is not None:
                n_renewals += 1
                trial = self.coded(*renewed, state.alpha, None)
                if self.loss(trial) < loss:
                    state, loss, n_small = trial, self.loss(trial), 0
                else:
                    n_renewals = _MAX_RENEWALS
            if not math.isfinite(loss):
                raise ArithmeticError(
                    f"The objective became {loss} at pass {len(losses)}. Check that "
                    "the atoms are finite for all parameters."
                )
            losses.append(loss)
            converged = n_small == 2
            stopped = on_pass(loss=loss, n_events=state.moments.n_events)
            if converged or stopped:
                converged = True
                break
        return replace(state, losses=losses, converged=converged)

    def _residual(self, state: ConvolutionalState) -> torch.Tensor:
        atoms = self.atoms(state.params, state.sign)
        return self.signal - state.events.signal(atoms, self.signal.shape[1])

    def _renewed(
        self, state: ConvolutionalState
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return parameters and signs in which a dead atom is replaced, or None."""
        energy = state.moments.code_energy
        weakest = int(energy.argmin())
        if not float(energy[weakest]) < _DEAD * float(energy.mean()):
            return None
        params, sign = state.params.clone(), state.sign.clone()
        (params[weakest],), (sign[weakest],) = self._new_atom(self._residual(state))
        return params, sign

    def _new_atom(self, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return parameters, (1, p), and sign of an atom that resembles many windows.

        Of the windows with the most energy, the one that resembles the others most is
        chosen, and the others are moved to the places where they resemble it most. The
        atom is then the one with the least squared error on these windows.
        """
        plan, length = self.plan, self.plan.shape[1]
        places = self._strong_windows(residual)
        windows = residual.unfold(1, length, 1)[:, places].movedim(1, 0)
        size = 2 * length
        spectra = torch.fft.rfft(windows, size)
        products = torch.fft.irfft(
            torch.einsum("icf,jcf->ijf", spectra.conj(), spectra), size
        )
        # Entry [i, j, m] is the product of window i and window j moved back by m.
        if not plan.positive:
            products = products.abs()
        norms = windows.flatten(1).norm(dim=1).clamp_min(1e-300)
        likeness = products.amax(2) / norms[:, None]
        chosen = int(likeness.sum(1).argmax())
        shift = products[chosen].argmax(1)
        shift = torch.where(shift >= length, shift - size, shift)
        at = (places + shift).clamp(0, len(self.usable) - 1)
        aligned = residual.unfold(1, length, 1)[:, at].movedim(1, 0).flatten(1)
        aligned = aligned[self.usable[at]]
        total = float((aligned**2).sum())
        learning = LearningPlan(
            1,
            plan.carrier,
            plan.model,
            Start(),
            Settings(1e-6, 30, 1e-3, torch.float64, "auto", 1e-3),
        )
        learned = learn_dictionary(
            FactorMoment(aligned, 1 / total), learning, _Silent()
        )
        codes = aligned @ unit_atoms(plan.model.atoms(learned.params))[0]
        sign = (
            (codes.abs() * codes).sum().sign() if plan.positive else codes.new_ones(())
        )
        return learned.params, torch.where(sign < 0, -1.0, 1.0)[None].to(codes)

    def _strong_windows(self, residual: torch.Tensor) -> torch.Tensor:
        """Return the starts of windows with the most energy, without overlap."""
        length = self.plan.shape[1]
        power = torch.nn.functional.pad((residual**2).sum(0).cumsum(0), (1, 0))
        energy = (power[length:] - power[:-length]).clamp_min(0)
        energy = torch.where(self.usable, energy, -1.0)
        places: list[int] = []
        for _ in range(_WINDOWS):
            place = int(energy.argmax())
            if places and not float(energy[place]) > 0:
                break
            places.append(place)
            energy[max(0, place - length + 1) : place + length] = -1.0
        return torch.tensor(places, device=residual.device)


class _Silent:
    """A monitor that reports nothing."""

    def stage(self, name: str, n_steps: int | None) -> Step:
        return lambda **state: False

    @contextmanager
    def fitting(self, name: str, other: object) -> Iterator[None]:
        yield
