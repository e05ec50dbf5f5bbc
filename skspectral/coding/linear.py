"""Samples, their least-squares codes, and orthonormal coordinates of the span."""
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

# A batch of this size stays in the caches of a CPU between centring and product.
_BATCH_BYTES = 12 * 2**20


def least_squares_map(components: torch.Tensor, ridge: float) -> torch.Tensor:
    """The matrix P of the ridge least-squares codes w = x P'.

    P = (S S' + ridge I)^-1 S for the atoms S, shape (K, T), of unit norm; float64,
    differentiable.
    """
    factor = cholesky(components @ components.T, ridge)
    return torch.cholesky_solve(components, factor)


def orthonormal_basis(components: torch.Tensor) -> torch.Tensor:
    """Orthonormal basis Q, shape (K, T), of the span of the atoms, with S = R Q.

    R is lower triangular with a positive diagonal, which makes Q unique. Priors are
    fitted on the coordinates (x - mean) Q', because the codes of nearly parallel atoms
    are huge and opposite.
    """
    basis, triangle = torch.linalg.qr(components.T)
    flipped = torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (basis * flipped).T.contiguous()


def apply_centred(
    X: Samples,
    mean: Samples,
    matrix: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> Samples:
    """(X - mean) matrix', in the dtype of X (float32 for integers), batch by batch.

    Computed on ``device``; of the kind and in the place of X.
    """
    dtype = working_dtype(X)
    out = new_rows(X, (len(X), len(matrix)), dtype)
    written = as_destination(out)
    centre = as_tensor(mean, device, dtype)
    right = as_tensor(matrix, device, dtype).T
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
    # One buffer for all batches: fresh memory would cost page faults each time.
    buffer = centre.new_empty(min(n_rows, len(X)), X.shape[1])
    for rows, batch in iter_batches(X, n_rows, device):
        centred = torch.sub(batch, centre, out=buffer[: len(batch)])
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
    """(X - mean) basis' and the squared norms of X - mean, float64, batch by batch."""
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
    """Mean + codes matrix, in ``dtype``, by default that of the codes.

    Computed on ``device``; of the kind and in the place of ``like``, by default codes.
    """
    like = codes if like is None else like
    dtype = working_dtype(codes) if dtype is None else dtype
    # The mean is one more row of the matrix: adding it afterwards, or as addmm does
    # before, would be another pass over the result.
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
    share: np.ndarray,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> None:
    """Add ``share`` (X - mean) to ``signals`` in place, with a share for each row."""
    written = as_destination(signals)
    centre = as_tensor(mean, device, working_dtype(X))
    shares = as_tensor(share, device, working_dtype(X))
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
    for rows, batch in iter_batches(X, n_rows, device):
        added = shares[rows, None] * (batch - centre)
        written[rows] += added.to(written.device)
