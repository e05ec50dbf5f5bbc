"""Greedy choice of waves on the second moment, in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from skspectral.dictionary.axes import WaveAxes
from skspectral.dictionary.quadratic_form import Pencil, QuadraticForm, best_waves

# Penalty on candidates that lie almost in the span of the chosen atoms, as a share of
# a full atom's energy: it keeps the dictionary well conditioned.
_NOVELTY = 0.02
# Share of an atom's length that must be new.
_SMALLEST_REMAINDER = 1e-4
# Residual variance below this share of the whole is rounding.
_NO_GAIN = 1e-13


@dataclass(frozen=True)
class Pick:
    """A wave to take, and its score, which is at most the variance that it removes.

    ``frequency`` (D,) in cycles along each axis, ``phase`` in radians at the first
    sample, ``colour`` (channels,) of unit norm; ``place`` on the grid, if it is there.
    """

    frequency: torch.Tensor
    phase: float
    colour: torch.Tensor
    score: float
    place: int | None = None


class GreedySelection:
    """Orthogonal matching pursuit for waves, on the second moment.

    Each step takes the wave, over a grid of half-cycle steps, all phases and colours,
    that removes the most variance from what the earlier ones leave, as in orthogonal
    matching pursuit (Pati et al. 1993), but for all samples at once and without
    deflating the matrix: only its values at the grid exponentials are kept.
    Deterministic; O(T log T) and one product with C for each atom. A finer grid gave
    worse dictionaries of images: the greedier choice is the worse start.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
        Second moment of the data.
    axes : WaveAxes or None, default=None
        Axes of the waves; None is the flattened signal.

    Attributes
    ----------
    grid : tensor of shape (F, D)
        Wave vectors, cycles along each axis.
    """

    def __init__(self, C: torch.Tensor, axes: WaveAxes | None = None):
        self.axes = axes = WaveAxes((len(C),)) if axes is None else axes
        self._C = C
        self._gain = QuadraticForm.of_matrix(C, axes)
        self._size = QuadraticForm.of_identity(axes, C)
        self._no_gain = _NO_GAIN * float(C.trace())
        self.grid = axes.grid(C)
        # Counted from the first sample, as phases are.
        self._places = axes.coordinates(C.device) + 0.5
        self._channel = axes.channel_indicator(C.device)
        # Energy of a wave that spans its axes.
        self._energy = math.prod(axes.sizes) / 2
        self._picks = C.new_zeros(len(self.grid))
        # Rows of the span, in memory that grows by doubling.
        self._rows = C.new_empty(16, len(C))
        self._n_rows = 0

    def restart(self) -> "GreedySelection":
        """Return a selection that has what this one has left, and forgets its picks."""
        new = copy.copy(self)
        new._gain, new._size = self._gain.clone(), self._size.clone()
        new._picks = torch.zeros_like(self._picks)
        new._rows = self._rows.clone()
        return new

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
        image = axes @ self._C
        coupling = image @ axes.T
        # Each image is that under the residual of the directions before.
        image = image - (image @ span.T) @ span - coupling.tril(-1) @ axes
        q, u = self.axes.spectra(torch.cat([axes, image])).chunk(2)
        self._gain.deflate(q, u, coupling.diagonal())
        self._size.deflate(q, q, torch.ones_like(coupling.diagonal()))
        self._extend_span(axes)
        return True

    def power(self) -> torch.Tensor:
        """Return the mean power of what is left at the grid's wave vectors, (F,)."""
        return self._gain.hermitian.real.diagonal().sum(1)

    def best(self) -> Pick:
        """Return the grid's wave that removes most of the residual; takes nothing."""
        gain, size = self._gain.pencil(), self._size.pencil()
        found = best_waves(gain, size.plus(_NOVELTY * self._energy))
        # Two phases of each colour span a wave vector.
        taken = self._picks >= 2 * self.axes.channels
        place = int(found.score.masked_fill(taken, -torch.inf).argmax())
        removed = float(found.score[place])
        if removed <= self._no_gain:
            # Nothing is left to explain: take what is most unlike the chosen atoms.
            removed = 0.0
            nothing = Pencil(*(torch.zeros_like(part) for part in vars(size).values()))
            found = best_waves(size, nothing.plus(self._energy))
            place = int(found.score.masked_fill(taken, -torch.inf).argmax())
        return Pick(
            frequency=self.grid[place],
            phase=float(found.phase[place]),
            colour=found.colour[place],
            score=removed,
            place=place,
        )

    def best_at(self, frequency: torch.Tensor) -> Pick:
        """Return the best wave of one wave vector, shape (D,), on the grid or off it.

        One product with C.
        """
        span = self._span
        angle = 2 * math.pi * (frequency @ self._places)
        carriers = torch.stack([angle.cos(), angle.sin()])
        rows = (carriers[:, None] * self._channel).flatten(0, 1)
        rows = rows - (rows @ span.T) @ span
        n = self.axes.channels
        gain, size = (
            Pencil(
                cos_cos=matrix[:n, :n, None],
                cross=(matrix[:n, n:] + matrix[n:, :n])[..., None],
                sin_sin=matrix[n:, n:, None],
            )
            for matrix in (rows @ self._C @ rows.T, rows @ rows.T)
        )
        found = best_waves(gain, size.plus(_NOVELTY * self._energy))
        return Pick(
            frequency=frequency,
            phase=float(found.phase[0]),
            colour=found.colour[0],
            score=float(found.score[0]),
        )

    def take(self, pick: Pick) -> bool:
        """Take a wave out of the residual; False if it adds nothing new."""
        if pick.place is not None:
            self._picks[pick.place] += 1
        angle = 2 * math.pi * (pick.frequency @ self._places) + pick.phase
        wave = (pick.colour @ self._channel) * angle.sin()
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
            elif bool((self._picks >= 2 * self.axes.channels).all()):
                raise ArithmeticError(
                    f"Only {len(chosen)} independent waves found for {n_atoms} atoms."
                )
        return chosen
