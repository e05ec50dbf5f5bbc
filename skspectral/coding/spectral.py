"""Codes with a low squared error and a low error of short-time spectra."""
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

# Number of samples that are processed at a time. Memory holds several copies of the
# spectra of a sample at all frames.
_BATCH_ROWS = 256
# Smallest difference of magnitudes that is used in the reweighting, as a fraction of
# the mean magnitude. It prevents a division by zero.
_SMALLEST_DIFFERENCE = 1e-2
_CG_STEPS = 2
# A sample has converged when the relative decrease of its loss is below this tolerance.
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
    """Lower the spectral loss of codes in place.

    `polished_coordinates` changes the coordinates along the orthonormal ``basis``. The
    least-squares codes of this change are added to the codes.
    """
    dtype = working_dtype(X)
    written = as_destination(codes)
    span = as_tensor(basis, device, torch.float64)
    to_codes = span @ as_tensor(code_map, device, torch.float64).T
    centre, span = as_tensor(mean, device, dtype), span.to(dtype)
    n_rows = _BATCH_ROWS if batch_size is None else batch_size
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
    """Minimise the sum of squared error and weighted spectral error, sample by sample.

    The loss of a sample x is

        |x - m - q Q|^2 + weight * || |STFT x| - |STFT (m + q Q)| ||_1

    (Kiruluta 2025, equation 8). It is minimised over the coordinates q, starting from
    the least-squares coordinates. Samples are ``rows`` (n, T), m is ``mean`` (T,), and
    Q is the orthonormal ``basis`` (K, T).

    Each iteration applies a few steps of conjugate gradients to a quadratic majoriser
    of the loss: the phases are those of the present spectrum (Griffin and Lim 1984),
    and the L1 norm is replaced by squares with the weights 1 / (2 |difference|).

    The result has the shape (n, K). It contains the best coordinates of each sample,
    whose loss is at most that of the least-squares coordinates. Samples do not
    influence each other. Large weights take many more iterations than small weights.
    """
    centred = rows - mean
    targets = stft(rows).abs()
    smallest = _SMALLEST_DIFFERENCE * targets.mean((1, 2), keepdim=True)
    # For a silent sample any positive value prevents the division by zero.
    smallest = torch.where(smallest > 0, smallest, 1.0)
    least_squares = centred @ basis.T
    outside = (centred**2).sum(1) - (least_squares**2).sum(1)
    of_mean = stft(mean[None])

    def linear(q: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(stft(q @ basis))

    coordinates, best = least_squares.clone(), least_squares.clone()
    losses = torch.full_like(outside, torch.inf)
    active = torch.arange(len(rows), device=rows.device)
    # The last round only computes the loss of the coordinates from the round before.
    for _ in range(n_iter + 1):
        q, target = coordinates[active], targets[active]
        value, adjoint = torch.func.vjp(linear, q)[:2]
        spectrum = torch.view_as_complex(value) + of_mean
        difference = (target - spectrum.abs()).abs()
        to_least_squares = least_squares[active] - q
        loss = outside[active] + (to_least_squares**2).sum(1)
        loss = loss + weight * difference.sum((1, 2))
        lower = loss < losses[active]
        best[active[lower]] = q[lower]
        improving = losses[active] - loss > _TOLERANCE * loss
        losses[active] = loss.minimum(losses[active])
        weights = weight / (2 * difference.maximum(smallest[active]))
        missing = target * torch.sgn(spectrum) - spectrum
        step = _majoriser_step(linear, adjoint, weights, missing, to_least_squares)
        coordinates[active] = q + step
        # A step may overflow if the weight is huge.
        active = active[improving & step.isfinite().all(1)]
        if len(active) == 0:
            break
    return best


def _majoriser_step(
    linear: Callable[[torch.Tensor], torch.Tensor],
    adjoint: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    weights: torch.Tensor,
    missing: torch.Tensor,
    to_least_squares: torch.Tensor,
) -> torch.Tensor:
    """Approximate the step (n, K) that minimises a quadratic function per sample.

    The function is the sum of |step - to_least_squares|^2 and of
    weights * |linear(step) - missing|^2 over all frequencies and frames.
    """

    def weighted_adjoint(spectra: torch.Tensor) -> torch.Tensor:
        return adjoint(weights[..., None] * spectra)[0]

    return _conjugate_gradients(
        lambda step: step + weighted_adjoint(linear(step)),
        to_least_squares + weighted_adjoint(torch.view_as_real(missing)),
    )


def _conjugate_gradients(
    operator: Callable[[torch.Tensor], torch.Tensor], right: torch.Tensor
) -> torch.Tensor:
    """Take a few steps of conjugate gradients in the linear system of each sample."""
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
        ratio = torch.where(previous > 0, power / previous, 0.0)
        direction = residual + ratio * direction
    return solution
