"""The best phase and colour of a wave, at each wave vector of a grid."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch

from skspectral.moments.quadratic_form import Pencil


@dataclass(frozen=True)
class BestWaves:
    """The largest ratio of two forms at each of F wave vectors, and its wave.

    Attributes
    ----------
    score : tensor of shape (F,)
        Largest ratio.
    phase : tensor of shape (F,)
        Phase of the wave, in radians.
    colour : tensor of shape (F, channels)
        Colour of the wave, of unit norm.
    """

    score: torch.Tensor
    phase: torch.Tensor
    colour: torch.Tensor


# With several channels, phase and colour are optimised at this number of wave vectors,
# those with the largest estimated ratios.
_SHORTLIST = 32
# Number of phases at which the ratio is estimated for all wave vectors.
_ESTIMATE_PHASES = 4
# Number of phases that are tried; the best of them starts the optimisation.
_START_PHASES = 8
# Number of alternations between phase and colour.
_ROUNDS = 3


def best_waves(gain: Pencil, size: Pencil) -> BestWaves:
    """Return the phase and colour with the largest gain over size, at each wave vector.

    With one channel, this is a 2 x 2 eigenproblem with a closed form. With several
    channels, only the wave vectors with the largest estimated ratios are optimised; all
    others have the score -inf.
    """
    channels, n = len(gain.cos_cos), gain.cos_cos.shape[-1]
    if channels == 1:
        score, phase = _best_phase(gain, size)
        return BestWaves(score, phase, torch.ones_like(score)[:, None])
    estimate = _estimated_scores(gain, size)
    places = estimate.topk(min(n, _SHORTLIST)).indices
    found = _best_phase_and_colour(gain.at(places), size.at(places))
    score = torch.full_like(estimate, -torch.inf)
    phase, colour = torch.zeros_like(estimate), estimate.new_zeros(n, channels)
    score[places], phase[places], colour[places] = found
    return BestWaves(score, phase, colour)


def _estimated_scores(gain: Pencil, size: Pencil) -> torch.Tensor:
    """Estimate the largest ratio over the colours, at a few phases; shape (F,).

    The estimate needs only products of small matrices, which are computed for all wave
    vectors at once. Exact eigenvalues, as in `_best_colour`, would be computed one by
    one.
    """
    phases = torch.arange(_ESTIMATE_PHASES).to(gain.cos_cos) * (
        math.pi / _ESTIMATE_PHASES
    )
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
        # tr A^5 / tr A^4 is a weighted mean of the eigenvalues of A, dominated by the
        # largest one.
        trace = power.diagonal().sum(1).clamp_min(torch.finfo(power.dtype).tiny)
        found.append((power * white).sum((0, 1)) / trace)
    return torch.stack(found).amax(0)


def _product(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return the products of many small matrices, (channels, channels, F)."""
    return (A[:, :, None] * B[None]).sum(1)


def _whitened(M: torch.Tensor, N: torch.Tensor) -> torch.Tensor:
    """Return L^-1 M L^-T with N = L L', for matrices of (channels, channels, F)."""
    channels = range(len(N))
    L = torch.zeros_like(N)
    for i in channels:
        for j in range(i + 1):
            entry = N[i, j] - (L[i, :j] * L[j, :j]).sum(0)
            L[i, j] = entry.clamp_min(1e-12).sqrt() if i == j else entry / L[j, j]
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
    """Return the largest ratio over the phases, and its phase, for one channel."""
    # A and B are the matrices of gain and size in the basis of cosine and sine. A wave
    # has the coordinates sin(phase) and cos(phase).
    a11, a12, a22 = gain.cos_cos[0, 0], gain.cross[0, 0] / 2, gain.sin_sin[0, 0]
    b11, b12, b22 = size.cos_cos[0, 0], size.cross[0, 0] / 2, size.sin_sin[0, 0]
    determinant = b11 * b22 - b12**2
    half_trace = (b22 * a11 - 2 * b12 * a12 + b11 * a22) / (2 * determinant)
    product = (a11 * a22 - a12**2) / determinant
    score = half_trace + (half_trace**2 - product).clamp_min(0).sqrt()
    # The eigenvector is orthogonal to both rows of A - score B. The longer row is the
    # more accurate one.
    row1 = torch.stack([a11 - score * b11, a12 - score * b12])
    row2 = torch.stack([a12 - score * b12, a22 - score * b22])
    longer = (row1**2).sum(0) >= (row2**2).sum(0)
    row = torch.where(longer, row1, row2)
    return score, torch.atan2(-row[1], row[0])


def _best_colour(
    gain: torch.Tensor, size: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest ratio over the colours, and its colour.

    The matrices have the shape (..., channels, channels). The score is -inf if ``size``
    is not positive definite.
    """
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
    """Alternate between the best phase and the best colour.

    The start is the best of a few phases.
    """
    steps = torch.arange(_START_PHASES).to(gain.cos_cos) * (math.pi / _START_PHASES)
    phases = steps[:, None].expand(-1, gain.cos_cos.shape[-1])
    score, colour = _best_colour(gain.of_phase(phases), size.of_phase(phases))
    first = score.argmax(0)
    at = torch.arange(len(first), device=first.device)
    colour = colour[first, at]
    for _ in range(_ROUNDS):
        _, phase = _best_phase(gain.of_colour(colour), size.of_colour(colour))
        score, colour = _best_colour(gain.of_phase(phase), size.of_phase(phase))
    return score, phase, colour
