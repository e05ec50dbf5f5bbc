"""Sparse codes of samples, by the algorithms that scikit-learn has for them."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import numpy as np
import torch

from skspectral._device import (
    Samples,
    as_destination,
    as_tensor,
    batch_rows,
    iter_batches,
    new_rows,
    working_dtype,
)
from skspectral.coding.gram import Gram, SparseRows
from skspectral.coding.lasso import lasso
from skspectral.coding.matching_pursuit import matching_pursuit

# Products of the rows of a batch with all atoms take this number of bytes. Smaller
# batches would spend their time in calls of torch.
_BATCH_BYTES = 20 * 2**20


@dataclass(frozen=True)
class SparseCoding:
    """How sparse codes are computed.

    Attributes
    ----------
    algorithm : str
        "omp", "lasso" or "threshold".
    n_nonzero : int
        Number of nonzeros per row, for "omp".
    alpha : float
        Weight of the absolute values, for "lasso", and the threshold, for "threshold".
    positive : bool
        Whether the codes must not be negative. Not for "omp".
    max_iter : int
        Largest number of iterations of "lasso".
    unit : float
        Factor by which the rows, and ``alpha``, were multiplied.
    """

    algorithm: str
    n_nonzero: int = 1
    alpha: float = 1.0
    positive: bool = False
    max_iter: int = 1000
    unit: float = 1.0

    def in_units(self, unit: float) -> "SparseCoding":
        """Return the coding of rows that were multiplied by ``unit``."""
        return replace(self, alpha=self.alpha * unit, unit=self.unit * unit)

    def codes(
        self, correlations: torch.Tensor, gram: Gram
    ) -> tuple[SparseRows | torch.Tensor, int]:
        """Return codes, and the number of rows that did not reach the minimum.

        Parameters
        ----------
        correlations : tensor of shape (n, K)
            Finite inner products of centred rows and atoms.
        gram : Gram
            Inner products of the atoms of unit norm.

        Returns
        -------
        codes : SparseRows, or tensor of shape (n, K)
            Codes in the dtype of ``correlations``. They are a tensor for "threshold".
        n_unfinished : int
            Number of rows that needed more than ``max_iter`` iterations.
        """
        if self.algorithm == "threshold":
            size = correlations if self.positive else correlations.abs()
            return (size - self.alpha).clamp_min(0) * correlations.sign(), 0
        # The algorithms compare products with absolute tolerances.
        scale = correlations.abs().amax(1, keepdim=True)
        scale = torch.where(scale > 0, scale, 1.0)
        correlations = correlations / scale
        n_unfinished = 0
        if self.algorithm == "omp":
            found = matching_pursuit(correlations, gram, self.n_nonzero)
        else:
            found, n_unfinished = lasso(
                correlations,
                gram,
                self.alpha / scale[:, 0].double(),
                positive=self.positive,
                max_iter=self.max_iter,
            )
        return SparseRows(found.support, found.values * scale), n_unfinished


@dataclass(frozen=True)
class CodingReport:
    """What happened to the rows that were coded.

    Attributes
    ----------
    n_unfinished : int
        Number of rows that needed more than the largest number of iterations.
    n_nonzeros : int
        Number of codes that are not zero.
    largest : float
        Largest absolute inner product of a centred row and an atom. With this weight of
        the absolute values, or a larger one, all codes are zero.
    """

    n_unfinished: int
    n_nonzeros: int
    largest: float


def sparse_codes(
    X: Samples,
    mean: Samples,
    components: Samples,
    gram: Gram,
    coding: SparseCoding,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> tuple[Samples, CodingReport]:
    """Compute sparse codes of the samples, batch by batch.

    Parameters
    ----------
    X : array of shape (n, T)
        Samples. The codes of rows with NaN or infinite values are NaN.
    mean : array of shape (T,)
        Mean that is subtracted from the samples.
    components : array of shape (K, T)
        Atoms of unit norm.
    gram : Gram
        Inner products of the atoms, on ``device``.
    coding : SparseCoding
        How the codes are computed.
    device : torch.device
        Device on which to compute.
    batch_size : int or None, default=None
        Number of rows that are processed at a time. None chooses it by their size.

    Returns
    -------
    codes : array of shape (n, K)
        Codes in the dtype of X, or float32 if X has integers. It is an array or a
        tensor like X, on the device of X.
    report : CodingReport
        What happened to the rows.
    """
    dtype = working_dtype(X)
    out = new_rows(X, (len(X), len(components)), dtype)
    written = as_destination(out)
    centre = as_tensor(mean, device, dtype)
    atoms = as_tensor(components, device, dtype)
    wide = np.empty((1, len(atoms)), np.float64)
    n_rows = batch_rows(wide, batch_size, _BATCH_BYTES, device)
    n_unfinished, n_nonzeros, largest = 0, 0, 0.0
    for rows, batch in iter_batches(X, n_rows, device):
        correlations = (batch - centre) @ atoms.T
        finite = correlations.isfinite().all(1)
        if not bool(finite.all()):
            correlations[~finite] = 0.0
        found, unfinished = coding.codes(correlations, gram)
        if isinstance(found, SparseRows):
            found = found.dense(len(atoms))
        n_unfinished += unfinished
        n_nonzeros += int((found != 0).sum())
        largest = max(largest, float(correlations.abs().max()))
        found[~finite] = torch.nan
        written[rows] = found.to(written.device)
    return out, CodingReport(n_unfinished, n_nonzeros, largest)


def split_signs(codes: Samples) -> Samples:
    """Return positive parts, then absolute negative parts, shape (n, 2 K)."""
    if isinstance(codes, torch.Tensor):
        return torch.cat([codes.clamp_min(0), (-codes).clamp_min(0)], dim=1)
    return np.concatenate([np.maximum(codes, 0), np.maximum(-codes, 0)], axis=1)
