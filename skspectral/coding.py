"""Samples <-> codes <-> orthonormal coordinates of the atoms' span."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import (
    as_array,
    as_tensor,
    batch_rows,
    iter_batches,
    numpy_dtype,
    working_dtype,
)
from skspectral._linalg import cholesky

# A batch of this size stays in the caches of a CPU between centring and product.
_BATCH_BYTES = 12 * 2**20


def least_squares_map(components: torch.Tensor, ridge: float) -> torch.Tensor:
    """The matrix P of the ridge least-squares codes w = x P'.

    P = (S S' + ridge I)^-1 S for the atoms S, shape (K, T), of unit norm; float64.
    """
    factor = cholesky(components @ components.T, ridge)
    return torch.cholesky_solve(components, factor)


def orthonormal_axes(components: torch.Tensor) -> torch.Tensor:
    """Orthonormal axes Q, shape (K, T), of the span of the atoms, with S = R Q.

    R is lower triangular with a positive diagonal, which makes Q unique. Distributions
    are fitted on the coordinates (x - mean) Q', because the codes of nearly parallel
    atoms are huge and opposite.
    """
    axes, triangle = torch.linalg.qr(components.T)
    flipped = torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (axes * flipped).T.contiguous()


def apply_centred(
    X: np.ndarray,
    mean: np.ndarray,
    matrix: np.ndarray,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray:
    """(X - mean) matrix', in the dtype of X (float32 for integers), batch by batch."""
    dtype = working_dtype(X)
    out = np.empty((len(X), len(matrix)), dtype=numpy_dtype(dtype))
    centre = as_tensor(mean, device, dtype)
    right = as_tensor(matrix, device, dtype).T
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES)
    # One buffer for all batches: fresh memory would cost page faults each time.
    buffer = centre.new_empty(min(n_rows, len(X)), X.shape[1])
    for rows, batch in iter_batches(X, n_rows, device):
        centred = torch.sub(batch, centre, out=buffer[: len(batch)])
        out[rows] = as_array(centred @ right)
    return out


def coordinates_and_energy(
    X: np.ndarray,
    mean: np.ndarray,
    axes: np.ndarray,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(X - mean) axes' and the squared norms of X - mean, float64, batch by batch."""
    coordinates, energy = np.empty((len(X), len(axes))), np.empty(len(X))
    centre = as_tensor(mean, device, torch.float64)
    right = as_tensor(axes, device, torch.float64).T
    n_rows = batch_rows(X, batch_size, _BATCH_BYTES)
    for rows, batch in iter_batches(X, n_rows, device):
        centred = batch.double() - centre
        coordinates[rows] = as_array(centred @ right)
        energy[rows] = as_array((centred**2).sum(1))
    return coordinates, energy


def combine(
    codes: np.ndarray,
    mean: np.ndarray,
    matrix: np.ndarray,
    *,
    device: torch.device,
    dtype: np.dtype | type | None = None,
) -> np.ndarray:
    """Mean + codes matrix, in ``dtype``, by default that of the codes."""
    # The mean is one more row of the matrix: adding it afterwards, or as addmm does
    # before, would be another pass over the result.
    n_rows, n_codes = codes.shape
    left = np.empty((n_rows, n_codes + 1), dtype or codes.dtype)
    left[:, :n_codes], left[:, n_codes] = codes, 1
    right = np.vstack([matrix, mean]).astype(left.dtype, copy=False)
    factors = as_tensor(left, device), as_tensor(right, device)
    if device.type != "cpu":
        return as_array(torch.mm(*factors))
    # numpy asks for large pages, torch does not: it would spend more time in page
    # faults than in the product.
    out = np.empty((n_rows, matrix.shape[1]), left.dtype)
    torch.mm(*factors, out=as_tensor(out, device))
    return out
