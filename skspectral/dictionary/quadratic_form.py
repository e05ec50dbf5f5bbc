"""Second moments seen along waves: quadratic forms in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import numpy as np
import torch

from skspectral.dictionary.axes import WaveAxes


@dataclass
class Pencil:
    """A form on sin(2 pi f t + phase) times a colour, at each of F wave vectors.

    For the colour g it is g' M g with M = sin^2(phase) cos_cos + sin(phase) cos(phase)
    cross + cos^2(phase) sin_sin; each matrix has the shape (channels, channels, F).
    """

    cos_cos: torch.Tensor
    cross: torch.Tensor
    sin_sin: torch.Tensor

    def at(self, places: torch.Tensor) -> "Pencil":
        """Return the form at some wave vectors."""
        parts = self.cos_cos, self.cross, self.sin_sin
        return Pencil(*(part[..., places] for part in parts))

    def plus(self, floor: float) -> "Pencil":
        """Return the form with ``floor`` times that of the identity added."""
        eye = torch.eye(len(self.cos_cos)).to(self.cos_cos)[..., None]
        return Pencil(
            self.cos_cos + floor * eye, self.cross, self.sin_sin + floor * eye
        )

    def of_colour(self, colour: torch.Tensor) -> "Pencil":
        """Return the form for one colour at each wave vector, shape (F, channels)."""

        def weigh(part: torch.Tensor) -> torch.Tensor:
            return torch.einsum("fc,cdf,fd->f", colour, part, colour)[None, None]

        return Pencil(*map(weigh, (self.cos_cos, self.cross, self.sin_sin)))

    def of_phase(self, phase: torch.Tensor) -> torch.Tensor:
        """Symmetric matrices M for phases of shape (..., F), with two axes more."""
        sine, cosine = phase.sin()[..., None, None], phase.cos()[..., None, None]
        cos_cos, cross, sin_sin = (
            part.permute(2, 0, 1) for part in (self.cos_cos, self.cross, self.sin_sin)
        )
        matrix = sine**2 * cos_cos + sine * cosine * cross + cosine**2 * sin_sin
        return (matrix + matrix.mT) / 2


class QuadraticForm:
    """Values of a symmetric matrix C at all grid exponentials, while C shrinks.

    With e the exponential exp(-2 pi i f t) in one channel and zero in the others,
    ``hermitian`` is e^H C e and ``bilinear`` e' C e for each pair of channels, shape
    (channels, channels, F): the Fourier transforms of the sums along the diagonals and
    antidiagonals of C. Cosines and sines are their sums and differences.
    """

    def __init__(self, hermitian: torch.Tensor, bilinear: torch.Tensor):
        self.hermitian = hermitian
        self.bilinear = bilinear

    @classmethod
    def of_matrix(cls, C: torch.Tensor, axes: WaveAxes) -> "QuadraticForm":
        """Return the form of a symmetric matrix, shape (T, T). O(T^2)."""
        sizes, channels = axes.sizes, axes.channels
        blocks = C.reshape(*sizes, channels, *sizes, channels)
        lags = C.new_zeros(channels, channels, *(2 * n for n in sizes))
        sums = torch.zeros_like(lags)
        for place in np.ndindex(*sizes):
            row = blocks[place].movedim(-1, 1)
            # lag k stands at n + k
            at = [slice(n - i, 2 * n - i) for i, n in zip(place, sizes, strict=True)]
            lags[:, :, *at] += row
            at = [slice(i, i + n) for i, n in zip(place, sizes, strict=True)]
            sums[:, :, *at] += row
        lags = torch.roll(lags, [-n for n in sizes], tuple(range(2, 2 + len(sizes))))
        return cls(axes.transform(lags).flatten(2), axes.transform(sums).flatten(2))

    @classmethod
    def of_identity(cls, axes: WaveAxes, like: torch.Tensor) -> "QuadraticForm":
        """Return the form of the identity, in the dtype and place of ``like``."""
        even = like.new_zeros([2 * n for n in axes.sizes])
        even[tuple(slice(None, None, 2) for _ in axes.sizes)] = 1
        spectrum = axes.transform(even).flatten()
        eye = torch.eye(axes.channels).to(spectrum)[..., None]
        return cls(
            eye * torch.full_like(spectrum, math.prod(axes.sizes)), eye * spectrum
        )

    def clone(self) -> "QuadraticForm":
        """Return a copy that can be deflated on its own."""
        return QuadraticForm(self.hermitian.clone(), self.bilinear.clone())

    def deflate(self, q: torch.Tensor, u: torch.Tensor, variance: torch.Tensor) -> None:
        """Take out unit vectors of spectra ``q``, with images of spectra ``u``.

        Both have the shape (n, channels, F).
        """
        # C - u q' - q u' + v q q' is C - w q' - q w' with w = u - v q / 2.
        w = u - variance[:, None, None] / 2 * q
        for form, first, second in (
            (self.hermitian, w.conj(), q),
            (self.hermitian, q.conj(), w),
            (self.bilinear, w, q),
            (self.bilinear, q, w),
        ):
            form -= (first[:, :, None] * second[:, None]).sum(0)

    def pencil(self) -> Pencil:
        """Return the form on waves in place of exponentials."""
        h, z = self.hermitian, self.bilinear
        # c' C s and s' C c are -(Im z + Im h)/2 and -(Im z - Im h)/2.
        return Pencil(cos_cos=(h + z).real / 2, cross=-z.imag, sin_sin=(h - z).real / 2)


@dataclass(frozen=True)
class BestWaves:
    """The largest ratio of two forms at each wave vector, and where it is.

    ``score`` and ``phase`` have the shape (F,), ``colour`` (F, channels), unit norm.
    """

    score: torch.Tensor
    phase: torch.Tensor
    colour: torch.Tensor


# Wave vectors that are looked at closely, phases where each is looked at first, and
# further rounds over colour and phase.
_SHORTLIST = 32
_FEW_PHASES = 4
_PHASES = 8
_ROUNDS = 3


def best_waves(gain: Pencil, size: Pencil) -> BestWaves:
    """Phase and colour with the largest gain over size, at each wave vector.

    With one channel in closed form, a 2 x 2 eigenproblem. With more, only the most
    promising wave vectors are looked at; the others have the score -inf.
    """
    channels, n = len(gain.cos_cos), gain.cos_cos.shape[-1]
    if channels == 1:
        score, phase = _best_phase(gain, size)
        return BestWaves(score, phase, torch.ones_like(score)[:, None])
    promise = _promise(gain, size)
    places = promise.topk(min(n, _SHORTLIST)).indices
    found = _best_phase_and_colour(gain.at(places), size.at(places))
    score = torch.full_like(promise, -torch.inf)
    phase, colour = torch.zeros_like(promise), promise.new_zeros(n, channels)
    score[places], phase[places], colour[places] = found
    return BestWaves(score, phase, colour)


def _promise(gain: Pencil, size: Pencil) -> torch.Tensor:
    """About the largest ratio over the colours, at a few phases; shape (F,).

    Products of the small matrices run over all wave vectors at once, the eigenproblems
    of `_best_colour` one by one.
    """
    phases = torch.arange(_FEW_PHASES).to(gain.cos_cos) * (math.pi / _FEW_PHASES)
    found = []
    for phase in phases:
        sine, cosine = phase.sin(), phase.cos()
        M, N = (
            sine**2 * form.cos_cos
            + sine * cosine * form.cross
            + cosine**2 * form.sin_sin
            for form in (gain, size)
        )
        white = _whitened(M, N)
        power = _product(white, white)
        power = _product(power, power)
        # tr A^5 / tr A^4 is the largest eigenvalue but for a share of the others.
        trace = power.diagonal().sum(1).clamp_min(torch.finfo(power.dtype).tiny)
        found.append((power * white).sum((0, 1)) / trace)
    return torch.stack(found).amax(0)


def _product(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    return (A[:, :, None] * B[None]).sum(1)


def _whitened(M: torch.Tensor, N: torch.Tensor) -> torch.Tensor:
    """L^-1 M L^-T with N = L L', for many small matrices, (channels, channels, F)."""
    channels = range(len(N))
    L = torch.zeros_like(N)
    for i in channels:
        for j in range(i + 1):
            rest = N[i, j] - (L[i, :j] * L[j, :j]).sum(0)
            L[i, j] = rest.clamp_min(1e-12).sqrt() if i == j else rest / L[j, j]
    for _ in range(2):
        rows: list[torch.Tensor] = []
        for i in channels:
            row = M[i]
            for j in range(i):
                row = row - L[i, j] * rows[j]
            rows.append(row / L[i, i])
        M = torch.stack(rows).transpose(0, 1)
    return M


def _best_phase(gain: Pencil, size: Pencil) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest ratio over the phases, and that phase; one channel."""
    # On (cos, sin): the wave is sin(phase) cos + cos(phase) sin.
    a11, a12, a22 = gain.cos_cos[0, 0], gain.cross[0, 0] / 2, gain.sin_sin[0, 0]
    b11, b12, b22 = size.cos_cos[0, 0], size.cross[0, 0] / 2, size.sin_sin[0, 0]
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


def _best_colour(
    gain: torch.Tensor, size: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest ratio over the colours, and that colour; (.., channels, channels)."""
    factor, info = torch.linalg.cholesky_ex(size)
    whitened = torch.linalg.solve_triangular(factor, gain, upper=False)
    whitened = torch.linalg.solve_triangular(factor, whitened.mT, upper=False)
    usable = (info == 0)[..., None]
    whitened = torch.where(usable[..., None], whitened, torch.zeros_like(whitened))
    score, vectors = torch.linalg.eigh((whitened + whitened.mT) / 2)
    colour = torch.linalg.solve_triangular(factor.mT, vectors[..., -1:], upper=True)
    colour = torch.where(usable, colour[..., 0], torch.ones_like(colour[..., 0]))
    score = torch.where(usable[..., 0], score[..., -1], -torch.inf)
    return score, colour / torch.linalg.vector_norm(colour, dim=-1, keepdim=True)


def _best_phase_and_colour(
    gain: Pencil, size: Pencil
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Alternate between phase and colour from the best of a few phases."""
    steps = torch.arange(_PHASES).to(gain.cos_cos) * (math.pi / _PHASES)
    phases = steps[:, None].expand(-1, gain.cos_cos.shape[-1])
    score, colour = _best_colour(gain.of_phase(phases), size.of_phase(phases))
    first = score.argmax(0)
    at = torch.arange(len(first), device=first.device)
    colour = colour[first, at]
    for _ in range(_ROUNDS):
        _, phase = _best_phase(gain.of_colour(colour), size.of_colour(colour))
        score, colour = _best_colour(gain.of_phase(phase), size.of_phase(phase))
    return score, phase, colour
