"""Orthogonal matching pursuit for many rows at once."""
# SPDX-License-Identifier: BSD-3-Clause

import torch

from skspectral.coding.gram import Gram, SparseRows, largest, weighted_rows

# Two products of the search in float32 are compared in float64 if they differ by less
# than this multiple of the sum of all codes of the row.
_AMBIGUOUS = 4e-6
# A row is complete if no atom has a larger product with its residual than this multiple
# of the largest product with the row itself.
_COMPLETE = {torch.float64: 1e-12, torch.float32: 1e-5}
# An atom with less than this squared distance from the span of the earlier ones is
# linearly dependent on them.
_DEPENDENT = 1e-12


def matching_pursuit(
    correlations: torch.Tensor, gram: Gram, n_nonzero: int
) -> SparseRows:
    """Compute codes with a given number of nonzeros.

    Each step adds the atom that has the largest absolute inner product with the
    residual of the row, and recomputes all codes of the row by least squares (Pati,
    Rezaiifar and Krishnaprasad 1993). The residual is never computed: its products with
    all atoms follow from the Gram matrix, and the least-squares codes from a Cholesky
    factor that grows by one row per step (Rubinstein, Zibulevsky and Elad 2008).

    Parameters
    ----------
    correlations : tensor of shape (n, K)
        Inner products of the rows and the atoms, at most 1 in absolute value.
    gram : Gram
        Inner products of the atoms of unit norm.
    n_nonzero : int
        Number L of nonzeros, at most K.

    Returns
    -------
    codes : SparseRows
        Codes in the dtype of ``correlations``. Rows that need fewer atoms have fewer
        nonzeros.

    Notes
    -----
    Costs O(K L^2) per row.

    References
    ----------
    Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad (1993). Orthogonal matching pursuit.
    Asilomar Conference on Signals, Systems and Computers.

    R. Rubinstein, M. Zibulevsky, M. Elad (2008). Efficient implementation of the K-SVD
    algorithm using batch orthogonal matching pursuit. Technion.
    """
    n_rows, dtype = len(correlations), correlations.dtype
    wide = gram.padded(correlations)
    support = torch.zeros(
        n_rows, n_nonzero, dtype=torch.int64, device=correlations.device
    )
    factor = torch.zeros(
        n_rows, n_nonzero, n_nonzero, dtype=torch.float64, device=wide.device
    )
    # The right-hand side of the triangular system of the codes, and the codes.
    right = factor.new_zeros(n_rows, n_nonzero)
    codes = factor.new_zeros(n_rows, 0)
    growing = torch.ones(n_rows, dtype=torch.bool, device=wide.device)
    for step in range(n_nonzero):
        earlier = support[:, :step]
        residual = wide
        if step > 0:
            residual = wide - weighted_rows(earlier, codes, gram.search)
        best, value = _best_atom(residual, correlations, gram, earlier, codes)
        growing &= value > _COMPLETE[dtype]
        of_best = correlations.gather(1, best[:, None])[:, 0].double()
        products = gram.exact[earlier, best[:, None]]
        row = torch.linalg.solve_triangular(
            factor[:, :step, :step], products[:, :, None], upper=False
        )[:, :, 0]
        rest = gram.exact[best, best] - (row**2).sum(1)
        growing &= rest > _DEPENDENT
        # A complete row gets an atom with the code 0.
        row = torch.where(growing[:, None], row, 0.0)
        height = torch.where(growing, rest, 1.0).sqrt()
        along = (of_best - (row * right[:, :step]).sum(1)) / height
        support[:, step] = torch.where(growing, best, 0)
        factor[:, step, :step], factor[:, step, step] = row, height
        right[:, step] = torch.where(growing, along, 0.0)
        done = step + 1
        codes = torch.linalg.solve_triangular(
            factor[:, :done, :done].mT, right[:, :done, None], upper=True
        )[:, :, 0]
        if not bool(growing.any()):
            break
    return SparseRows(support[:, : codes.shape[1]], codes.to(dtype))


def _best_atom(
    residual: torch.Tensor,
    correlations: torch.Tensor,
    gram: Gram,
    support: torch.Tensor,
    codes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the atom with the largest absolute product, and this product, both (n,).

    The products ``residual`` are those of the search. If the data are float64, rows in
    which the two largest products are close are compared again in float64.
    """
    size = residual.abs()
    value, best = (part[:, 0] for part in largest(size, gram.n_atoms))
    if correlations.dtype != torch.float64:
        return best, value
    size.scatter_(1, best[:, None], -1.0)
    second = size.amax(1)
    close = value - second <= _AMBIGUOUS * (1 + codes.abs().sum(1))
    rows = close.nonzero()[:, 0]
    if len(rows) > 0:
        exact = correlations[rows]
        if codes.shape[1] > 0:
            exact = exact - weighted_rows(support[rows], codes[rows], gram.exact)
        found = exact.abs().max(1)
        best[rows], value[rows] = found.indices, found.values.to(value.dtype)
    return best, value
