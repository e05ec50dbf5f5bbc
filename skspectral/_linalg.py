"""Dense linear algebra: blocked Gram matrices, and a checked Cholesky factorisation."""
# SPDX-License-Identifier: BSD-3-Clause

from itertools import pairwise

import torch

# A Gram matrix is symmetric. With n blocks, computing only those on and right of the
# diagonal saves the fraction (1 - 1/n)/2 of the work. Twelve blocks of a few hundred
# columns are still large enough for the full speed of matrix products.
_N_BLOCKS = 12
_MIN_BLOCK = 128


def _block_edges(n: int) -> list[int]:
    """Return the first columns of the blocks, and n."""
    n_blocks = max(1, min(_N_BLOCKS, n // _MIN_BLOCK))
    return [n * i // n_blocks for i in range(n_blocks + 1)]


def add_gram_(out: torch.Tensor, A: torch.Tensor, factor: float = 1.0) -> None:
    """Add ``factor`` A'A to the upper block triangle of ``out``, in place.

    The products are computed in the dtype of ``A``, and summed in the dtype of ``out``.
    Call `mirror_upper_` once after all products have been added.
    """
    edges = _block_edges(len(out))
    for start, stop in pairwise(edges):
        out[start:stop, start:].add_(A[:, start:stop].T @ A[:, start:], alpha=factor)


def mirror_upper_(S: torch.Tensor) -> torch.Tensor:
    """Copy the upper block triangle of ``S`` to the lower one, in place."""
    edges = _block_edges(len(S))
    for start, stop in pairwise(edges):
        S[stop:, start:stop] = S[start:stop, stop:].T
    return S


def cholesky(A: torch.Tensor, ridge: float = 0.0) -> torch.Tensor:
    """Return the lower Cholesky factor of A + ridge * (tr A / n) I.

    If ``A`` is singular to working precision, the ridge is raised tenfold until the
    factorisation succeeds, up to 1e-4.

    Raises
    ------
    ArithmeticError
        If ``A`` is not finite, or not positive semi-definite even with the largest
        ridge.
    """
    scale = A.diagonal().mean()
    if not torch.isfinite(scale):
        raise ArithmeticError(
            "The Cholesky factorisation failed, because the matrix is not finite."
        )
    while True:
        shifted = A.clone()
        shifted.diagonal().add_(ridge * scale)
        factor, info = torch.linalg.cholesky_ex(shifted)
        if info == 0:
            return factor
        ridge = max(10 * ridge, 10 * torch.finfo(A.dtype).eps)
        if ridge > 1e-4:
            raise ArithmeticError(
                "The Cholesky factorisation failed, because the matrix is not positive "
                "semi-definite."
            )
