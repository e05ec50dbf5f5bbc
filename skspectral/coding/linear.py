"""Least-squares codes, orthonormal coordinates, and linear combinations of atoms."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import (
    Samples,
    as_array,
    as_destination,
    as_tensor,
    batch_rows,
    iter_batches,
    new_rows,
    working_dtype,
)
from skspectral._linalg import cholesky

# Size of a batch that remains in the CPU caches between centring and multiplication.
_BATCH_BYTES = 12 * 2**20


def least_squares_map(components: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return the matrix P (K, T) from centred samples x to ridge codes w = x P'.

    P = (S S' + ridge I)^-1 S for the atoms S (K, T), which have unit norm. The result
    is differentiable with respect to S.
    """
    factor = cholesky(components @ components.T, ridge)
    return torch.cholesky_solve(components, factor)


def orthonormal_basis(components: torch.Tensor) -> torch.Tensor:
    """Return an orthonormal basis Q (K, T) of the span of the atoms S.

    S = R Q, where R is lower triangular and has a positive diagonal, which makes Q
    unique. Priors are fitted on the coordinates (x - mean) Q' instead of codes, because
    the codes of nearly parallel atoms may be huge and of opposite signs.
    """
    basis, triangle = torch.linalg.qr(components.T)
    signs = torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (basis * signs).T.contiguous()


def apply_centred(
    X: Samples,
    mean: Samples,
    matrix: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> Samples:
    """Compute (X - mean) @ matrix.T batch by batch.

    The computation runs on ``device``. The result has the dtype of X, or float32 if X
    has integers. It is an array or a tensor like X, on the device of X.
    """
    dtype = working_dtype(X)
    out = new_rows(X, (len(X), len(matrix)), dtype)
    written = as_destination(out)
    centre = as_tensor(mean, device, dtype)
    right = as_tensor(matrix, device, dtype).T
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
    # All batches use the same buffer, because new memory would cost page faults.
    buffer = centre.new_empty(min(n_rows, len(X)), X.shape[1])
    for rows, batch in iter_batches(X, n_rows, device):
        centred = torch.sub(batch, centre, out=buffer[: len(batch)])
        if written.device == device:
            torch.mm(centred, right, out=written[rows])
        else:
            written[rows] = centred @ right
    return out


def coordinates_and_energy(
    X: Samples,
    mean: Samples,
    basis: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute (X - mean) @ basis.T and the squared norms of X - mean, in float64."""
    coordinates, energy = np.empty((len(X), len(basis))), np.empty(len(X))
    centre = as_tensor(mean, device, torch.float64)
    right = as_tensor(basis, device, torch.float64).T
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
    for rows, batch in iter_batches(X, n_rows, device):
        centred = batch.double() - centre
        coordinates[rows] = as_array(centred @ right)
        energy[rows] = as_array((centred**2).sum(1))
    return coordinates, energy


def combine(
    codes: Samples,
    mean: Samples,
    matrix: Samples,
    *,
    device: torch.device,
    dtype: torch.dtype | None = None,
    like: Samples | None = None,
) -> Samples:
    """Compute mean + codes @ matrix.

    The computation runs on ``device`` in ``dtype``; None means the dtype of the codes.
    The result is an array or a tensor like ``like``, on the device of ``like``; None
    means the codes.
    """
    like = codes if like is None else like
    dtype = working_dtype(codes) if dtype is None else dtype
    # The mean becomes an additional row of the matrix, with codes of 1. Adding it in a
    # separate step (also inside addmm) would be one more pass over the result.
    n_rows, n_codes = codes.shape
    left = as_destination(new_rows(codes, (n_rows, n_codes + 1), dtype))
    left[:, :n_codes] = as_tensor(codes, left.device)
    left[:, n_codes] = 1
    rows = [as_tensor(matrix, device, dtype), as_tensor(mean, device, dtype)[None]]
    out = new_rows(like, (n_rows, matrix.shape[1]), dtype)
    written = as_destination(out)
    if written.device == device:
        torch.mm(left.to(device), torch.cat(rows), out=written)
    else:
        written.copy_(left.to(device) @ torch.cat(rows))
    return out


def add_residuals(
    signals: Samples,
    X: Samples,
    mean: Samples,
    fraction: np.ndarray,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> None:
    """Add fraction * (X - mean) to ``signals`` in place, with a fraction per row."""
    written = as_destination(signals)
    centre = as_tensor(mean, device, working_dtype(X))
    fractions = as_tensor(fraction, device, working_dtype(X))
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
    for rows, batch in iter_batches(X, n_rows, device):
        added = fractions[rows, None] * (batch - centre)
        written[rows] += added.to(written.device)
