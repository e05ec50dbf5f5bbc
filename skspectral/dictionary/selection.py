"""Greedy choice of sinusoids on the second moment, in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

# Penalty on candidates that lie almost in the span of the chosen atoms, as a share of
# a full atom's energy: it keeps the dictionary well conditioned.
_NOVELTY = 0.02
# Share of an atom's length that must be new.
_SMALLEST_REMAINDER = 1e-4
# Residual variance below this share of the whole is rounding.
_NO_GAIN = 1e-13


class QuadraticForm:
    """e'Ce and e^H C e of all grid exponentials e, for a symmetric C that shrinks.

    With c and s the cosine and sine of one grid frequency, c'Cc = (h + Re z)/2,
    s'Cs = (h - Re z)/2 and c'Cs = -Im z/2, where h and z are the Fourier transforms of
    the sums along the diagonals and antidiagonals of C.
    """

    def __init__(self, hermitian: torch.Tensor, bilinear: torch.Tensor):
        self.hermitian = hermitian
        self.bilinear = bilinear

    @classmethod
    def of_matrix(cls, C: torch.Tensor) -> "QuadraticForm":
        """Return the form of a symmetric matrix, shape (T, T). O(T^2)."""
        n = len(C)
        lags = C.new_zeros(2 * n)
        antidiagonals = C.new_zeros(2 * n)
        for i in range(n):
            # lag k stands at n + k
            lags[n - i : 2 * n - i] += C[i]
            antidiagonals[i : i + n] += C[i]
        lags = torch.roll(lags, -n)
        return cls(torch.fft.rfft(lags).real, torch.fft.rfft(antidiagonals))

    @classmethod
    def of_identity(cls, like: torch.Tensor) -> "QuadraticForm":
        """Return the form of the identity, for signals like ``like``, shape (T,)."""
        n = len(like)
        antidiagonals = like.new_zeros(2 * n)
        antidiagonals[::2] = 1
        spectrum = torch.fft.rfft(antidiagonals)
        return cls(torch.full_like(spectrum.real, float(n)), spectrum)

    def clone(self) -> "QuadraticForm":
        """Return a copy that can be deflated on its own."""
        return QuadraticForm(self.hermitian.clone(), self.bilinear.clone())

    def deflate(self, q: torch.Tensor, u: torch.Tensor, variance: torch.Tensor) -> None:
        """Take out unit vectors of spectra ``q``, with images of spectra ``u``."""
        power = q.real**2 + q.imag**2
        scale = variance[:, None]
        self.hermitian += (scale * power - 2 * (q.conj() * u).real).sum(0)
        self.bilinear += (scale * q**2 - 2 * q * u).sum(0)

    def entries(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """c'Cc, c'Cs and s'Cs at each grid frequency."""
        real = self.bilinear.real
        return (
            (self.hermitian + real) / 2,
            -self.bilinear.imag / 2,
            (self.hermitian - real) / 2,
        )


def _best_phase(
    gain: QuadraticForm, size: QuadraticForm, floor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest gain over (size + floor) over the phases, and that phase."""
    a11, a12, a22 = gain.entries()
    b11, b12, b22 = size.entries()
    b11, b22 = b11 + floor, b22 + floor
    determinant = b11 * b22 - b12**2
    half_trace = (b22 * a11 - 2 * b12 * a12 + b11 * a22) / (2 * determinant)
    product = (a11 * a22 - a12**2) / determinant
    score = half_trace + (half_trace**2 - product).clamp_min(0).sqrt()
    # The eigenvector is orthogonal to either row of A - score B: take the longer one.
    row1 = torch.stack([a11 - score * b11, a12 - score * b12])
    row2 = torch.stack([a12 - score * b12, a22 - score * b22])
    longer = (row1**2).sum(0) >= (row2**2).sum(0)
    row = torch.where(longer, row1, row2)
    return score, torch.atan2(-row[1], row[0])


@dataclass(frozen=True)
class Pick:
    """A sinusoid to take: cycles per signal, radians at t = 0, and its score.

    The score is at most the variance that it removes.
    """

    frequency: float
    phase: float
    score: float
    place: int


class GreedySelection:
    """Orthogonal matching pursuit for sinusoids, on the second moment.

    Each step takes the sinusoid, over a grid of half-cycle steps and all phases, that
    removes the most variance from what the earlier ones leave, as in orthogonal
    matching pursuit (Pati et al. 1993), but for all samples at once and without
    deflating the matrix: only its values at the grid exponentials are kept.
    Deterministic; O(T log T) and one product with C for each atom. A finer grid gave
    worse dictionaries of images: the greedier choice is the worse start.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
        Second moment of the data.
    """

    def __init__(self, C: torch.Tensor):
        n = len(C)
        self._C = C
        self._gain = QuadraticForm.of_matrix(C)
        self._size = QuadraticForm.of_identity(C[0])
        self._no_gain = _NO_GAIN * float(C.trace())
        self._time = torch.arange(n, dtype=C.dtype, device=C.device) / n
        self._picks = torch.zeros_like(self._gain.hermitian)
        # Rows of the span, in memory that grows by doubling.
        self._rows = C.new_empty(16, n)
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
        q, u = torch.fft.rfft(torch.stack([axes, image]), 2 * len(self._C))
        self._gain.deflate(q, u, coupling.diagonal())
        self._size.deflate(q, q, torch.ones_like(coupling.diagonal()))
        self._extend_span(axes)
        return True

    def best(self) -> Pick:
        """Return the sinusoid that removes most of the residual; takes nothing."""
        half = len(self._C) / 2
        score, phase = _best_phase(self._gain, self._size, _NOVELTY * half)
        # Two phases span a frequency.
        score = torch.where(self._picks >= 2, -torch.inf, score)
        place = int(score.argmax())
        removed = float(score[place])
        if removed <= self._no_gain:
            # Nothing is left to explain: take what is most unlike the chosen atoms.
            removed = 0.0
            whole = QuadraticForm(
                torch.full_like(self._size.hermitian, 2 * half),
                torch.zeros_like(self._size.bilinear),
            )
            score, phase = _best_phase(self._size, whole, 0.0)
            place = int(torch.where(self._picks >= 2, -torch.inf, score).argmax())
        return Pick(place / 2, float(phase[place]), removed, place)

    def take(self, pick: Pick) -> bool:
        """Take a sinusoid out of the residual; False if it adds nothing new."""
        self._picks[pick.place] += 1
        angle = 2 * math.pi * pick.frequency * self._time + pick.phase
        return self.deflate(angle.sin()[None])

    def select(
        self, n_atoms: int, on_atom: Callable[[], object] | None = None
    ) -> list[Pick]:
        """Take the best sinusoid ``n_atoms`` times."""
        chosen: list[Pick] = []
        while len(chosen) < n_atoms:
            pick = self.best()
            if self.take(pick):
                chosen.append(pick)
                if on_atom is not None:
                    on_atom()
            elif bool((self._picks >= 2).all()):
                raise ArithmeticError(
                    f"Only {len(chosen)} independent sinusoids found for {n_atoms} "
                    "atoms."
                )
        return chosen


def as_waves(picks: list[Pick], like: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Frequencies and phases as tensors."""
    table = like.new_tensor([(pick.frequency, pick.phase) for pick in picks])
    table = table.reshape(-1, 2)
    return table[:, 0], table[:, 1]
