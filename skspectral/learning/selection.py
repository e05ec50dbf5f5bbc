"""Greedy choice of waves on the second moment, in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.best_waves import best_waves
from skspectral.moments.quadratic_form import Pencil, QuadraticForm
from skspectral.moments.second_moment import SecondMoment

# Penalty on candidates that lie almost in the span of the chosen atoms, as a share of
# a full atom's energy: it keeps the dictionary well conditioned.
_NOVELTY = 0.02
# Share of an atom's length that must be new.
_SMALLEST_REMAINDER = 1e-4
# Residual variance below this share of the whole is rounding.
_NO_GAIN = 1e-13


@dataclass(frozen=True)
class Pick:
    """A wave to take.

    Attributes
    ----------
    frequency : tensor of shape (D,)
        Cycles along each axis.
    phase : float
        Radians at the first sample.
    colour : tensor of shape (channels,)
        Of unit norm.
    score : float
        At most the variance that the wave removes.
    envelope : int
        Number of the envelope.
    place : int or None
        Index of the wave vector on the grid, if it is there.
    """

    frequency: torch.Tensor
    phase: float
    colour: torch.Tensor
    score: float
    envelope: int = 0
    place: int | None = None


def waves_of(picks: list[Pick]) -> Waves:
    """The waves that a selection took; at least one."""
    frequency = torch.stack([pick.frequency for pick in picks])
    return Waves.of(
        frequency,
        frequency.new_tensor([pick.phase for pick in picks]),
        torch.stack([pick.colour for pick in picks]),
        frequency.new_tensor([pick.envelope for pick in picks]).long(),
    )


class Candidates:
    """The waves of one envelope, with what they gain of the residual and their size.

    Parameters
    ----------
    C : SecondMoment
    grid : Grid
    envelope : tensor of shape (T,) or None
        None is the constant.
    """

    def __init__(self, C: SecondMoment, grid: Grid, envelope: torch.Tensor | None):
        self.grid, self.envelope = grid, envelope
        like = torch.empty(0, dtype=torch.float64, device=C.device)
        self.gain = QuadraticForm.of(C, grid, envelope)
        self.size = QuadraticForm.of_identity(grid, like, envelope)
        # Energy of a wave that spans its axes.
        self.energy = float(self.size.hermitian[0, 0, 0].real) / 2
        # How often each wave vector was taken.
        self.n_picks = torch.zeros(
            self.gain.hermitian.shape[-1], dtype=torch.float64, device=C.device
        )

    def copy(self) -> "Candidates":
        """Return candidates for the same residual that were never taken."""
        new = copy.copy(self)
        new.gain, new.size = self.gain.clone(), self.size.clone()
        new.n_picks = torch.zeros_like(self.n_picks)
        return new

    @property
    def exhausted(self) -> torch.Tensor:
        """Mask of the wave vectors that two phases of each colour span already."""
        return self.n_picks >= 2 * self.grid.channels

    def spectra(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the products of rows with the carriers."""
        if self.envelope is not None:
            rows = rows * self.envelope
        return self.grid.spectra(rows)

    def deflate(
        self, axes: torch.Tensor, image: torch.Tensor, variance: torch.Tensor
    ) -> None:
        """Take unit vectors with these images and variances out of the residual."""
        q, u = self.spectra(torch.cat([axes, image])).chunk(2)
        self.gain.deflate(q, u, variance)
        self.size.deflate(q, q, torch.ones_like(variance))

    def best(self, *, unlike: bool = False) -> tuple[float, int, float, torch.Tensor]:
        """Return score, wave vector, phase and colour of the best candidate.

        With ``unlike``, of the one that is most unlike the chosen atoms.
        """
        gain, size = self.gain.pencil(), self.size.pencil()
        if unlike:
            nothing = Pencil(*(torch.zeros_like(part) for part in vars(size).values()))
            found = best_waves(size, nothing.plus(self.energy))
        else:
            found = best_waves(gain, size.plus(_NOVELTY * self.energy))
        place = int(found.score.masked_fill(self.exhausted, -torch.inf).argmax())
        score = -math.inf if self.exhausted[place] else float(found.score[place])
        return score, place, float(found.phase[place]), found.colour[place]

    def carriers(self, angle: torch.Tensor) -> torch.Tensor:
        """Return the cosine and the sine of an angle in the envelope, (2, T)."""
        cosine, sine = angle.cos(), angle.sin()
        if self.envelope is None:
            return torch.stack([cosine, sine])
        carrier = self.envelope * torch.complex(cosine, -sine)
        return torch.stack([carrier.real, -carrier.imag])


class GreedySelection:
    """Orthogonal matching pursuit for waves, on the second moment.

    Each step takes the wave, over a grid of half-cycle steps, all phases, colours and
    envelopes, that removes the most variance from what the earlier ones leave, as in
    orthogonal matching pursuit (Pati et al. 1993), but for all samples at once and
    without deflating the matrix: only its values at the grid's waves are kept.
    Deterministic; O(T log T) for each envelope and one product with C for each atom. A
    finer grid gave worse dictionaries of images: the greedier choice is the worse
    start.

    Parameters
    ----------
    C : SecondMoment
        Second moment of the data.
    grid : Grid or None, default=None
        Of the waves. None is the flattened signal.
    envelopes : tensor of shape (n_envelopes, T) or None, default=None
        See `AtomFamily.envelopes`. None is the constant alone.

    Attributes
    ----------
    frequencies : tensor of shape (F, D)
        Wave vectors of the grid, cycles along each axis.
    candidates : list of Candidates
        Those of each envelope.
    """

    def __init__(
        self,
        C: SecondMoment,
        grid: Grid | None = None,
        envelopes: torch.Tensor | None = None,
    ):
        self.grid = grid = Grid((C.n_features,)) if grid is None else grid
        self._C = C
        each = [None] if envelopes is None else list(envelopes)
        self.candidates = [Candidates(C, grid, envelope) for envelope in each]
        self._no_gain = _NO_GAIN * C.trace()
        # Counted from the first sample, as phases are.
        self._places = grid.coordinates(C.device) + 0.5
        self._channel = grid.channel_indicator(C.device)
        self.frequencies = grid.frequencies(self._places)
        # Rows of the span, in memory that grows by doubling.
        self._rows = self._places.new_empty(16, C.n_features)
        self._n_rows = 0

    def restart(self) -> "GreedySelection":
        """Return a copy with the same residual, of which no wave was taken."""
        new = copy.copy(self)
        new.candidates = [candidates.copy() for candidates in self.candidates]
        new._rows = self._rows.clone()
        return new

    @property
    def device(self) -> torch.device:
        """Where the selection computes."""
        return self._C.device

    @property
    def _span(self) -> torch.Tensor:
        return self._rows[: self._n_rows]

    def _extend_span(self, axes: torch.Tensor) -> None:
        needed = self._n_rows + len(axes)
        if needed > len(self._rows):
            grown = self._rows.new_empty(2 * needed, self._rows.shape[1])
            grown[: self._n_rows] = self._span
            self._rows = grown
        self._rows[self._n_rows : needed] = axes
        self._n_rows = needed

    def deflate(self, atoms: torch.Tensor) -> bool:
        """Take independent atoms, shape (n, T), out of the residual.

        Returns False, and changes nothing, if they add nothing new.
        """
        span = self._span
        rows = atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
        for _ in range(2):
            rows = rows - (rows @ span.T) @ span
        axes, triangle = torch.linalg.qr(rows.T)
        if not float(triangle.diagonal().abs().min()) > _SMALLEST_REMAINDER:
            return False
        axes = axes.T
        image = self._C.left_matmul(axes)
        coupling = image @ axes.T
        # Each image is that under the residual of the directions before.
        image = image - (image @ span.T) @ span - coupling.tril(-1) @ axes
        for candidates in self.candidates:
            candidates.deflate(axes, image, coupling.diagonal())
        self._extend_span(axes)
        return True

    def power(self) -> torch.Tensor:
        """Return the mean power of the residual at the grid's wave vectors, (F,)."""
        return self.candidates[0].gain.hermitian.real.diagonal().sum(1)

    def best(self) -> Pick:
        """Return the grid's wave that removes most of the residual; takes nothing."""
        found = [candidates.best() for candidates in self.candidates]
        envelope = max(range(len(found)), key=lambda i: found[i][0])
        score, place, phase, colour = found[envelope]
        if score <= self._no_gain:
            # Nothing is left to explain: take what is most unlike the chosen atoms.
            found = [candidates.best(unlike=True) for candidates in self.candidates]
            envelope = max(range(len(found)), key=lambda i: found[i][0])
            _, place, phase, colour = found[envelope]
            score = 0.0
        return Pick(self.frequencies[place], phase, colour, score, envelope, place)

    def best_at(self, frequency: torch.Tensor) -> Pick:
        """Return the best wave of one wave vector, shape (D,), on the grid or off it.

        One product with C for each envelope.
        """
        picks = [self._best_at(frequency, i) for i in range(len(self.candidates))]
        return max(picks, key=lambda pick: pick.score)

    def _best_at(self, frequency: torch.Tensor, envelope: int) -> Pick:
        span, candidates = self._span, self.candidates[envelope]
        carriers = candidates.carriers(2 * math.pi * (frequency @ self._places))
        rows = (carriers[:, None] * self._channel).flatten(0, 1)
        rows = rows - (rows @ span.T) @ span
        n = self.grid.channels
        gain, size = (
            Pencil(
                cos_cos=matrix[:n, :n, None],
                cross=(matrix[:n, n:] + matrix[n:, :n])[..., None],
                sin_sin=matrix[n:, n:, None],
            )
            for matrix in (self._C.left_matmul(rows) @ rows.T, rows @ rows.T)
        )
        found = best_waves(gain, size.plus(_NOVELTY * candidates.energy))
        score, phase = float(found.score[0]), float(found.phase[0])
        return Pick(frequency, phase, found.colour[0], score, envelope)

    def take(self, pick: Pick) -> bool:
        """Take a wave out of the residual; False if it adds nothing new."""
        candidates = self.candidates[pick.envelope]
        if pick.place is not None:
            candidates.n_picks[pick.place] += 1
        angle = 2 * math.pi * (pick.frequency @ self._places) + pick.phase
        wave = (pick.colour @ self._channel) * candidates.carriers(angle)[1]
        return self.deflate(wave[None])

    def select(
        self, n_atoms: int, on_atom: Callable[[], object] | None = None
    ) -> list[Pick]:
        """Take the best wave ``n_atoms`` times."""
        chosen: list[Pick] = []
        while len(chosen) < n_atoms:
            pick = self.best()
            if self.take(pick):
                chosen.append(pick)
                if on_atom is not None:
                    on_atom()
            elif all(bool(each.exhausted.all()) for each in self.candidates):
                raise ArithmeticError(
                    f"Only {len(chosen)} independent waves found for {n_atoms} atoms."
                )
        return chosen
