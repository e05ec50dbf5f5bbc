"""Codes that lower the error of short-time spectra, too."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

import torch

from skspectral._device import (
    Samples,
    as_destination,
    as_tensor,
    iter_batches,
    working_dtype,
)
from skspectral.stft import STFT

# Each row has its spectra at all frames, several times over.
_ROWS = 256
# Smallest difference of magnitudes that the reweighting tells from zero, as a share of
# the mean magnitude.
_SMALLEST_DIFFERENCE = 1e-2
_CG_STEPS = 2
# A row is done when an iteration lowers its loss by less than this share.
_TOLERANCE = 1e-3
_ITERATIONS = 50


def polish_codes(
    X: Samples,
    codes: Samples,
    mean: Samples,
    code_map: Samples,
    basis: Samples,
    stft: STFT,
    weight: float,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> None:
    """Change codes in place so that magnitudes of short-time spectra come nearer.

    See `polished_coordinates`. The codes move by the least-squares codes of what the
    coordinates along the orthonormal ``basis`` change.
    """
    dtype = working_dtype(X)
    written = as_destination(codes)
    span = as_tensor(basis, device, torch.float64)
    to_codes = span @ as_tensor(code_map, device, torch.float64).T
    centre, span = as_tensor(mean, device, dtype), span.to(dtype)
    n_rows = _ROWS if batch_size is None else batch_size
    for rows, batch in iter_batches(X, n_rows, device):
        start = (batch - centre) @ span.T
        polished = polished_coordinates(batch, span, centre, stft, weight)
        change = (polished - start).double() @ to_codes
        written[rows] += change.to(device=written.device, dtype=written.dtype)


def polished_coordinates(
    rows: torch.Tensor,
    basis: torch.Tensor,
    mean: torch.Tensor,
    stft: STFT,
    weight: float,
    n_iter: int = _ITERATIONS,
) -> torch.Tensor:
    """Coordinates (n, K) that trade a little squared error for nearer spectra.

    Lowers |x - m - q Q|^2 + weight * || |STFT x| - |STFT (m + q Q)| ||_1 (equation 8 of
    Kiruluta 2025) over the coordinates q of each row x, (n, T), from the least-squares
    ones; m is ``mean`` and Q ``basis``, (K, T). Each iteration minimises the quadratic
    majoriser with the present phases, as Griffin and Lim (1984) do, and with weights
    1/(2 |difference|), by a few steps of conjugate gradients. The best coordinates of
    each row are returned: its loss is never above that of the least-squares ones. Rows
    do not influence each other. Large weights take many more iterations than small
    ones.
    """
    centred = rows - mean
    targets = stft(rows).abs()
    smallest = _SMALLEST_DIFFERENCE * targets.mean((1, 2), keepdim=True)
    # A silent row has nothing to compare with: any unit will do.
    smallest = torch.where(smallest > 0, smallest, 1.0)
    least_squares = centred @ basis.T
    outside = (centred**2).sum(1) - (least_squares**2).sum(1)
    of_mean = stft(mean[None])

    def linear(q: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(stft(q @ basis))

    coordinates, best = least_squares.clone(), least_squares.clone()
    losses = torch.full_like(outside, torch.inf)
    active = torch.arange(len(rows), device=rows.device)
    # The last round only judges what the one before has found.
    for _ in range(n_iter + 1):
        q, target = coordinates[active], targets[active]
        value, adjoint = torch.func.vjp(linear, q)[:2]
        spectrum = torch.view_as_complex(value) + of_mean
        difference = (target - spectrum.abs()).abs()
        from_best = least_squares[active] - q
        loss = outside[active] + (from_best**2).sum(1)
        loss = loss + weight * difference.sum((1, 2))
        lower = loss < losses[active]
        best[active[lower]] = q[lower]
        going = losses[active] - loss > _TOLERANCE * loss
        losses[active] = loss.minimum(losses[active])
        weights = weight / (2 * difference.maximum(smallest[active]))
        step = _majoriser_step(
            linear, adjoint, weights, target * torch.sgn(spectrum) - spectrum, from_best
        )
        coordinates[active] = q + step
        # With a huge weight a step may overflow.
        active = active[going & step.isfinite().all(1)]
        if len(active) == 0:
            break
    return best


def _majoriser_step(
    linear: Callable[[torch.Tensor], torch.Tensor],
    adjoint: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    weights: torch.Tensor,
    missing: torch.Tensor,
    from_best: torch.Tensor,
) -> torch.Tensor:
    """Towards the least of a quadratic, for each row by itself.

    |step - from_best|^2 + sum of weights |linear(step) - missing|^2.
    """

    def pull(spectra: torch.Tensor) -> torch.Tensor:
        return adjoint(weights[..., None] * spectra)[0]

    return _conjugate_gradients(
        lambda step: step + pull(linear(step)),
        from_best + pull(torch.view_as_real(missing)),
    )


def _conjugate_gradients(
    operator: Callable[[torch.Tensor], torch.Tensor], right: torch.Tensor
) -> torch.Tensor:
    """A few steps towards the solution of each row's system."""
    solution = torch.zeros_like(right)
    residual, direction = right, right
    power = (residual**2).sum(1, keepdim=True)
    for _ in range(_CG_STEPS):
        image = operator(direction)
        curvature = (direction * image).sum(1, keepdim=True)
        length = torch.where(power > 0, power / curvature, 0.0)
        solution = solution + length * direction
        residual = residual - length * image
        previous, power = power, (residual**2).sum(1, keepdim=True)
        share = torch.where(previous > 0, power / previous, 0.0)
        direction = residual + share * direction
    return solution
