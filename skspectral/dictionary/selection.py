"""Greedy choice of sinusoids on the second moment, in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable

import torch

# Points between the neighbours of a grid frequency where its score is looked at.
_ZOOM = 17
# Penalty on candidates that lie almost in the span of the chosen atoms, as a share of
# a full atom's energy: it keeps the dictionary well conditioned.
_NOVELTY = 0.02
# Share of an atom's length that must be new.
_SMALLEST_REMAINDER = 1e-4
# Residual variance below this share of the whole is rounding.
_NO_GAIN = 1e-13


class _QuadraticForm:
    """e'Ce and e^H C e of exponentials e, for a symmetric C that shrinks.

    With c and s the cosine and sine of one frequency, c'Cc = (h + Re z)/2,
    s'Cs = (h - Re z)/2 and c'Cs = -Im z/2, where h and z are the Fourier transforms of
    the sums along the diagonals and antidiagonals of C. They are kept on a grid of
    half-cycle steps, which determines them everywhere.
    """

    def __init__(self, hermitian: torch.Tensor, bilinear: torch.Tensor):
        self.hermitian = hermitian
        self.bilinear = bilinear

    @classmethod
    def of_matrix(cls, C: torch.Tensor) -> "_QuadraticForm":
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
    def of_identity(cls, like: torch.Tensor) -> "_QuadraticForm":
        n = len(like)
        antidiagonals = like.new_zeros(2 * n)
        antidiagonals[::2] = 1
        spectrum = torch.fft.rfft(antidiagonals)
        return cls(torch.full_like(spectrum.real, float(n)), spectrum)

    def deflate(self, q: torch.Tensor, u: torch.Tensor, variance: torch.Tensor) -> None:
        """Take out the unit vector of spectrum ``q``, with C q of spectrum ``u``."""
        power = q.real**2 + q.imag**2
        self.hermitian += variance * power - 2 * (q.conj() * u).real
        self.bilinear += variance * q**2 - 2 * q * u

    def sums(self) -> torch.Tensor:
        """Weights of exp(-2 pi i f k / T), k = 0..2T-1, that sum to h (real part) and z.

        Returns
        -------
        sums : tensor of shape (2T, 2), complex128
        """
        lags = torch.fft.irfft(self.hermitian + 0j)
        half = len(lags) // 2
        # The sums along the diagonals are even in the lag.
        lags = torch.cat([lags[:1], 2 * lags[1:half], torch.zeros_like(lags[half:])])
        return torch.stack([lags, torch.fft.irfft(self.bilinear)], dim=1) + 0j

    def entries(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """c'Cc, c'Cs and s'Cs at each frequency."""
        real = self.bilinear.real
        return (
            (self.hermitian + real) / 2,
            -self.bilinear.imag / 2,
            (self.hermitian - real) / 2,
        )


def _best_phase(
    gain: _QuadraticForm, size: _QuadraticForm, floor: float
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


class GreedySelection:
    """Orthogonal matching pursuit for sinusoids, on the second moment.

    Each step takes the sinusoid, over all frequencies and phases, that removes the most
    variance from what the earlier ones leave, as in orthogonal matching pursuit (Pati
    et al. 1993), but for all samples at once and without deflating the matrix: only its
    values at exponentials are kept. The best of a grid of half-cycle steps is moved to
    the maximum between its neighbours, because the rest that a strong wave leaves at
    the wrong frequency would hide weak ones. Deterministic; O(T log T) and one product
    with C for each atom.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
        Second moment of the data.
    """

    def __init__(self, C: torch.Tensor):
        n = len(C)
        self._C = C
        self._gain = _QuadraticForm.of_matrix(C)
        self._size = _QuadraticForm.of_identity(C[0])
        self._no_gain = _NO_GAIN * float(C.trace())
        self._turns = torch.arange(2 * n, dtype=C.dtype, device=C.device) / n
        self._zoom = torch.linspace(-0.5, 0.5, _ZOOM, dtype=C.dtype, device=C.device)
        self._zoom_waves = self._waves(self._zoom)
        self._picks = torch.zeros_like(self._gain.hermitian)
        self._span = C.new_empty(0, n)

    def _waves(self, frequency: torch.Tensor) -> torch.Tensor:
        """exp(-2 pi i f k / T) for k = 0..2T-1, shape (n_frequencies, 2T)."""
        return torch.exp(-2j * math.pi * frequency[:, None] * self._turns)

    def deflate(self, atom: torch.Tensor) -> bool:
        """Take one atom, shape (T,), out of the residual; False if it adds nothing."""
        span, n = self._span, len(self._C)
        direction = atom / torch.linalg.vector_norm(atom)
        for _ in range(2):
            direction = direction - span.T @ (span @ direction)
        remainder = torch.linalg.vector_norm(direction)
        if not remainder > _SMALLEST_REMAINDER:
            return False
        direction = direction / remainder
        image = self._C @ direction
        image = image - span.T @ (span @ image)
        q, u = torch.fft.rfft(torch.stack([direction, image]), 2 * n)
        self._gain.deflate(q, u, direction @ image)
        self._size.deflate(q, q, torch.ones_like(remainder))
        self._span = torch.cat([span, direction[None]])
        return True

    def _score(
        self, gain: _QuadraticForm, size: _QuadraticForm
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return _best_phase(gain, size, _NOVELTY * len(self._C) / 2)

    def _next(self) -> tuple[float, float, int]:
        """Frequency and phase of the best sinusoid, and its place on the grid."""
        score, phase = self._score(self._gain, self._size)
        # Two phases span a frequency.
        taken = self._picks >= 2
        best = int(torch.where(taken, -torch.inf, score).argmax())
        if float(score[best]) > self._no_gain:
            return *self._between(best / 2), best
        # Nothing is left to explain: take what is most unlike the chosen atoms.
        whole = _QuadraticForm(
            torch.full_like(self._size.hermitian, float(len(self._C))),
            torch.zeros_like(self._size.bilinear),
        )
        score, phase = _best_phase(self._size, whole, 0.0)
        best = int(torch.where(taken, -torch.inf, score).argmax())
        return best / 2, float(phase[best]), best

    def _between(self, grid_frequency: float) -> tuple[float, float]:
        """Frequency and phase of the largest score near a point of the grid."""
        sums = torch.cat([self._gain.sums(), self._size.sums()], dim=1)
        at_grid = self._waves(self._zoom.new_tensor([grid_frequency]))
        score, _ = self._score(*_forms(self._zoom_waves @ (sums * at_grid.T)))
        peak = int(score.argmax())
        offset = float(self._zoom[peak])
        if 0 < peak < len(score) - 1:
            left, middle, right = score[peak - 1 : peak + 2].tolist()
            bend = left - 2 * middle + right
            if bend < 0:
                step = float(self._zoom[1] - self._zoom[0])
                offset += step * (left - right) / (2 * bend)
        frequency = min(max(grid_frequency + offset, 0.0), len(self._C) / 2)
        wave = self._waves(self._zoom.new_tensor([frequency]))
        _, phase = self._score(*_forms(wave @ sums))
        return frequency, float(phase)

    def select(
        self, n_atoms: int, on_atom: Callable[[], object] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Frequencies (cycles per signal) and phases (radians at t = 0) of new atoms.

        Returns
        -------
        frequency, phase : tensors of shape (n_atoms,), float64
        """
        chosen: list[tuple[float, float]] = []
        index = self._turns[: len(self._C)]
        while len(chosen) < n_atoms:
            frequency, phase, best = self._next()
            self._picks[best] += 1
            if self.deflate(torch.sin(2 * math.pi * frequency * index + phase)):
                chosen.append((frequency, phase))
                if on_atom is not None:
                    on_atom()
            elif bool((self._picks >= 2).all()):
                raise ArithmeticError(
                    f"Only {len(chosen)} independent sinusoids found for {n_atoms} "
                    "atoms."
                )
        table = torch.tensor(chosen, dtype=torch.float64, device=self._C.device)
        return table[:, 0], table[:, 1]


def _forms(values: torch.Tensor) -> tuple[_QuadraticForm, _QuadraticForm]:
    """Gain and size from columns h, z, h, z."""
    gain_h, gain_z, size_h, size_z = values.T
    return _QuadraticForm(gain_h.real, gain_z), _QuadraticForm(size_h.real, size_z)
