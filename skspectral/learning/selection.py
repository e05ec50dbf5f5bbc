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
    """A wave to take, in an envelope.

    Its frequency (D,) is in cycles along each axis, its phase in radians at the first
    sample, and its colour (channels,) of unit norm. The score is at most the variance
    that the wave removes. ``place`` is its number among the waves of the grid, or None
    off the grid.
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
    gain, size : QuadraticForm
        The residual second moment, and the projection on what is not chosen yet, at
        the waves of the grid: those of the first envelope, of the second, and so on.
    """

    def __init__(
        self,
        C: SecondMoment,
        grid: Grid | None = None,
        envelopes: torch.Tensor | None = None,
    ):
        self.grid = grid = Grid((C.n_features,)) if grid is None else grid
        self._C = C
        # Counted from the first sample, as phases are.
        self._places = grid.coordinates(C.device) + 0.5
        self._channel = grid.channel_indicator(C.device)
        self.frequencies = grid.frequencies(self._places)
        self._envelopes = envelopes
        each = [None] if envelopes is None else list(envelopes)
        self.gain = QuadraticForm.joined(
            [C.quadratic_form(grid, envelope) for envelope in each]
        )
        self.size = QuadraticForm.joined(
            [QuadraticForm.of_identity(grid, self._places, g) for g in each]
        )
        # Energy of a wave that spans its envelope, for each envelope.
        of_waves = self.size.hermitian[0, 0].real / 2
        self._energy = of_waves[:: len(self.frequencies)]
        self._no_gain = _NO_GAIN * C.trace()
        self._n_picks = torch.zeros_like(of_waves)
        # Rows of the span, in memory that grows by doubling.
        self._rows = self._places.new_empty(16, C.n_features)
        self._n_rows = 0

    def restart(self) -> "GreedySelection":
        """Return a copy with the same residual, of which no wave was taken."""
        new = copy.copy(self)
        new.gain, new.size = self.gain.clone(), self.size.clone()
        new._n_picks = torch.zeros_like(self._n_picks)
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
        variance = coupling.diagonal()
        q, u = self._spectra(torch.cat([axes, image])).chunk(2)
        self.gain.deflate(q, u, variance)
        self.size.deflate(q, q, torch.ones_like(variance))
        self._extend_span(axes)
        return True

    def _spectra(self, rows: torch.Tensor) -> torch.Tensor:
        """Products of rows with the carriers, (n, channels, n_envelopes * F)."""
        if self._envelopes is None:
            return self.grid.spectra(rows)
        inside = (rows[:, None] * self._envelopes).flatten(0, 1)
        spectra = self.grid.spectra(inside)
        spectra = spectra.reshape(len(rows), -1, *spectra.shape[1:])
        return spectra.movedim(1, 2).flatten(2)

    def _carriers(self, angle: torch.Tensor) -> torch.Tensor:
        """Cosine and sine of an angle in each envelope, (n_envelopes, 2, T)."""
        cosine, sine = angle.cos(), angle.sin()
        if self._envelopes is None:
            return torch.stack([cosine, sine])[None]
        carriers = self._envelopes * torch.complex(cosine, -sine)
        return torch.stack([carriers.real, -carriers.imag], dim=1)

    @property
    def _exhausted(self) -> torch.Tensor:
        """Mask of the waves that two phases of each colour span already."""
        return self._n_picks >= 2 * self.grid.channels

    def power(self) -> torch.Tensor:
        """Return the mean power of the residual at the grid's wave vectors, (F,)."""
        n_waves = len(self.frequencies)
        return self.gain.hermitian[..., :n_waves].real.diagonal().sum(1)

    def best(self) -> Pick:
        """Return the grid's wave that removes most of the residual; takes nothing."""
        gain, size = self.gain.pencil(), self.size.pencil()
        energy = self._energy.repeat_interleave(len(self.frequencies))
        exhausted = self._exhausted
        found = best_waves(gain, size.plus(_NOVELTY * energy))
        place = int(found.score.masked_fill(exhausted, -torch.inf).argmax())
        removed = float(found.score[place])
        if removed <= self._no_gain:
            # Nothing is left to explain: take what is most unlike the chosen atoms.
            removed = 0.0
            nothing = Pencil(*(torch.zeros_like(part) for part in vars(size).values()))
            found = best_waves(size, nothing.plus(energy))
            place = int(found.score.masked_fill(exhausted, -torch.inf).argmax())
        envelope, wave = divmod(place, len(self.frequencies))
        return Pick(
            frequency=self.frequencies[wave],
            phase=float(found.phase[place]),
            colour=found.colour[place],
            score=removed,
            envelope=envelope,
            place=place,
        )

    def best_at(self, frequency: torch.Tensor) -> Pick:
        """Return the best wave of one wave vector, shape (D,), on the grid or off it.

        One product with C.
        """
        span, n = self._span, self.grid.channels
        carriers = self._carriers(2 * math.pi * (frequency @ self._places))
        rows = (carriers[:, :, None] * self._channel).flatten(0, 2)
        rows = rows - (rows @ span.T) @ span
        each = rows.reshape(-1, 2 * n, rows.shape[1])
        image = self._C.left_matmul(rows).reshape(each.shape)
        gain, size = (
            Pencil(
                cos_cos=matrix[:n, :n],
                cross=matrix[:n, n:] + matrix[n:, :n],
                sin_sin=matrix[n:, n:],
            )
            for matrix in (
                (image @ each.mT).permute(1, 2, 0),
                (each @ each.mT).permute(1, 2, 0),
            )
        )
        found = best_waves(gain, size.plus(_NOVELTY * self._energy))
        envelope = int(found.score.argmax())
        return Pick(
            frequency=frequency,
            phase=float(found.phase[envelope]),
            colour=found.colour[envelope],
            score=float(found.score[envelope]),
            envelope=envelope,
        )

    def take(self, pick: Pick) -> bool:
        """Take a wave out of the residual; False if it adds nothing new."""
        if pick.place is not None:
            self._n_picks[pick.place] += 1
        angle = 2 * math.pi * (pick.frequency @ self._places) + pick.phase
        sine = self._carriers(angle)[pick.envelope, 1]
        return self.deflate(((pick.colour @ self._channel) * sine)[None])

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
            elif bool(self._exhausted.all()):
                raise ArithmeticError(
                    f"Only {len(chosen)} independent waves found for {n_atoms} atoms."
                )
        return chosen
