"""The best phase and colour of a wave, at each wave vector of a grid."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch

from skspectral.moments.quadratic_form import Pencil


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
