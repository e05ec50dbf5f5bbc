"""Learning short atoms from long recordings: activations and atoms in turn."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral._progress import Monitor, Step
from skspectral.atoms.family import AtomModel
from skspectral.convolutional.activations import Events, correlations, encode
from skspectral.convolutional.moments import ActivationMoments
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan, learn_dictionary
from skspectral.learning.fixed_codes import lowered, unit_atoms
from skspectral.learning.starts import Start
from skspectral.moments.second_moment import FactorMoment

# New atoms are fitted to at most this number of windows of the residual per atom.
_WINDOWS = 32
# An atom with less than this fraction of the mean energy of the activations is dead.
_DEAD, _MAX_RENEWALS = 1e-4, 3
# Atoms move in their windows at most this number of times, if another window has more
# than this multiple of the energy. After a move, the objective is compared after some
# passes.
_MAX_MOVES, _MORE_ENERGY, _SETTLING = 4, 1.01, 3


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
        All recordings without their means, one after the other. NaN marks missing
        samples.
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
    missing = signal.isnan()
    learner = _Learner(
        signal.nan_to_num(0.0),
        usable,
        plan,
        monitor,
        earlier,
        missing if bool(missing.any()) else None,
    )
    if params is None:
        state = learner.start(alpha)
    else:
        assert alpha is not None
        assert sign is not None
        state = learner.coded(params, sign, alpha, None)
    return learner.refine(state)


@dataclass
class _Learner:
    """Alternation of activations and atoms."""

    signal: torch.Tensor
    usable: torch.Tensor
    plan: ConvolutionalPlan
    monitor: Monitor
    earlier: ActivationMoments | None
    # Samples that are filled with the sum of the events of the last pass.
    missing: torch.Tensor | None

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
        state = ConvolutionalState(params, sign, alpha, moments, events)
        self._fill(state)
        return state

    def _fill(self, state: ConvolutionalState) -> None:
        """Replace missing samples by the sum of the events, which lowers the error."""
        if self.missing is not None:
            atoms = self.atoms(state.params, state.sign)
            filled = state.events.signal(atoms, self.signal.shape[1])
            self.signal = torch.where(self.missing, filled, self.signal)

    def loss(self, state: ConvolutionalState) -> float:
        """Return the objective per sample."""
        atoms, moments = self.atoms(state.params, state.sign), state.moments
        error = moments.squared_error(atoms.flatten(1))
        return error / 2 + state.alpha * moments.penalty / moments.n_times

    def start(self, alpha: float | None) -> ConvolutionalState:
        """Return the better of two starts.

        The first one adds one atom after the other, each from the residual of the
        others; the second one finds all atoms in the recordings.
        """
        n_atoms = self.plan.n_atoms
        on_atom = self.monitor.stage("selection", n_atoms)
        params, sign = self._new_atoms(self.signal)
        if alpha is None:
            products = correlations(self.signal, self.atoms(params, sign))[0]
            alpha = self.plan.reg * float((products * self.usable).abs().max())
        state = self.coded(params, sign, alpha, None)
        on_atom()
        for _ in range(1, n_atoms):
            params, sign = self._new_atoms(self._residual(state))
            params = torch.cat([state.params, params])
            sign = torch.cat([state.sign, sign])
            state = self.coded(params, sign, alpha, state.events)
            on_atom()
        if n_atoms == 1:
            return state
        together = self._new_atoms(self.signal, n_atoms)
        state = self._settled(state)
        other = self._settled(self.coded(*together, alpha, None))
        better = other if self.loss(other) < self.loss(state) else state
        self._fill(better)
        return better

    def refine(self, state: ConvolutionalState) -> ConvolutionalState:
        """Lower the objective by passes over the recordings."""
        plan = self.plan
        on_pass = self.monitor.stage("activations", plan.max_iter)
        losses, n_small, n_renewals, n_moves = [self.loss(state)], 0, 0, 0
        converged = False
        for _ in range(plan.max_iter):
            before = losses[-1]
            state = self._pass(state)
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
                    self._fill(state)
            if not math.isfinite(loss):
                raise ArithmeticError(
                    f"The objective became {loss} at pass {len(losses)}. Check that "
                    "the atoms are finite for all parameters."
                )
            if n_small == 2 and n_moves < _MAX_MOVES:
                moved = self._recentred(state)
                n_moves = _MAX_MOVES if moved is None else n_moves + 1
                if moved is not None:
                    trial = self._settled(self.coded(*moved, state.alpha, None))
                    if self.loss(trial) < (1 - plan.tol) * loss:
                        state, loss, n_small = trial, self.loss(trial), 0
                    else:
                        n_moves = _MAX_MOVES
                        self._fill(state)
            losses.append(loss)
            converged = n_small == 2
            stopped = on_pass(loss=loss, n_events=state.moments.n_events)
            if converged or stopped:
                # A fit that a callback stops is complete.
                converged = True
                break
        return replace(state, losses=losses, converged=converged)

    def _pass(self, state: ConvolutionalState) -> ConvolutionalState:
        """Lower the objective over the atoms, then over the activations."""
        # The moments of the atoms without their signs.
        order = torch.arange(self.plan.n_atoms, device=state.sign.device)
        unsigned = state.moments.reordered(order, state.sign)
        params = lowered(self.plan.model, state.params, unsigned)
        return self.coded(params, state.sign, state.alpha, state.events)

    def _settled(self, state: ConvolutionalState) -> ConvolutionalState:
        """Return the state after some passes."""
        for _ in range(_SETTLING):
            state = self._pass(state)
        return state

    def _recentred(
        self, state: ConvolutionalState
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return parameters and signs of atoms that lie in the middle of their windows.

        The mean shape of an event, seen through a window that is longer than the atom,
        shows whether another window of the length of the atom has more of its energy.
        The atom is then fitted to the shape in that window. None is returned if all
        atoms lie in the middle.
        """
        length, n_channels = self.plan.shape[1], self.plan.shape[0]
        margin = length // 2
        atoms = self.atoms(state.params, state.sign)
        residual = torch.nn.functional.pad(self._residual(state), (margin, margin))
        windows = residual.unfold(1, length + 2 * margin, 1)
        params, sign, changed = state.params.clone(), state.sign.clone(), False
        for k in range(self.plan.n_atoms):
            own = state.events.atom == k
            value, start = state.events.value[own], state.events.start[own]
            if not len(value):
                continue
            shape = torch.einsum("cnt,n->ct", windows[:, start], value)
            shape = shape / (value**2).sum()
            shape[:, margin : margin + length] += atoms[k]
            power = torch.nn.functional.pad((shape**2).sum(0).cumsum(0), (1, 0))
            energy = power[length:] - power[:-length]
            best = int(energy.argmax())
            if energy[best] <= _MORE_ENERGY * energy[margin]:
                continue
            row = shape[:, best : best + length].reshape(1, n_channels * length)
            (params[k],), (sign[k],) = self._fitted(row)
            changed = True
        return (params, sign) if changed else None

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
        (params[weakest],), (sign[weakest],) = self._new_atoms(self._residual(state))
        return params, sign

    def _new_atoms(
        self, residual: torch.Tensor, n_atoms: int = 1
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return parameters and signs of atoms that resemble many windows.

        Of the windows with the most energy, those are chosen, one after the other, that
        add most to the likeness of all windows and the chosen ones. Each window belongs
        to the chosen one that it resembles most, at the place where it does. An atom is
        then the one with the least squared error on the windows of its group.
        """
        length = self.plan.shape[1]
        places = self._strong_windows(residual, n_atoms * _WINDOWS)
        windows = residual.unfold(1, length, 1)
        spectra = torch.fft.rfft(windows[:, places].movedim(1, 0), 2 * length)
        # Entry [i, j, m] is the product of window i and window j moved by m samples.
        products = torch.fft.irfft(
            torch.einsum("icf,jcf->ijf", spectra.conj(), spectra), 2 * length
        )
        if not self.plan.positive:
            products = products.abs()
        energy = products[:, :, 0].diagonal().clamp_min(1e-300)
        likeness, shift = (products / energy.sqrt()[:, None, None]).max(2)
        likeness = likeness.clamp_min(0) ** 2
        shift = torch.where(shift >= length, shift - 2 * length, shift)
        reached = torch.zeros_like(energy)
        chosen = []
        for _ in range(n_atoms):
            gain = (likeness - reached).clamp_min(0).sum(1)
            chosen.append(int(gain.argmax()))
            reached = torch.maximum(reached, likeness[chosen[-1]])
        medoids = as_tensor(np.array(chosen), residual.device)
        group = likeness[medoids].argmax(0)
        group[medoids] = torch.arange(n_atoms, device=group.device)
        found = []
        for number, window in enumerate(chosen):
            own = group == number
            at = (places[own] + shift[window, own]).clamp(0, len(self.usable) - 1)
            rows = windows[:, at[self.usable[at]]].movedim(1, 0).flatten(1)
            found.append(self._fitted(rows))
        params, sign = zip(*found, strict=True)
        return torch.cat(params), torch.cat(sign)

    def _fitted(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return parameters, (1, p), and sign of the atom that fits rows best."""
        plan = self.plan
        learning = LearningPlan(
            1,
            plan.carrier,
            plan.model,
            Start(),
            Settings(1e-6, 30, 1e-3, torch.float64, "auto", 1e-3),
        )
        second = FactorMoment(rows, 1 / float((rows**2).sum()))
        learned = learn_dictionary(second, learning, _Silent())
        codes = rows @ unit_atoms(plan.model.atoms(learned.params))[0]
        sign = (
            (codes.abs() * codes).sum().sign() if plan.positive else codes.new_ones(())
        )
        return learned.params, torch.where(sign < 0, -1.0, 1.0)[None].to(codes)

    def _strong_windows(self, residual: torch.Tensor, count: int) -> torch.Tensor:
        """Return the starts of windows with the most energy, without overlap."""
        length = self.plan.shape[1]
        power = torch.nn.functional.pad((residual**2).sum(0).cumsum(0), (1, 0))
        energy = (power[length:] - power[:-length]).clamp_min(0)
        energy = torch.where(self.usable, energy, -1.0)
        places: list[int] = []
        for _ in range(count):
            place = int(energy.argmax())
            if places and not float(energy[place]) > 0:
                break
            places.append(place)
            energy[max(0, place - length + 1) : place + length] = -1.0
        return as_tensor(np.array(places), residual.device)


class _Silent:
    """A monitor that reports nothing."""

    def stage(self, name: str, n_steps: int | None) -> Step:
        return lambda **state: False

    @contextmanager
    def fitting(self, name: str, other: object) -> Iterator[None]:
        yield
