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
    ) -> tuple[SparseRows, "CodingReport"]:
        """Return the codes of rows.

        Rows with NaN or infinite products have the codes 0.

        Parameters
        ----------
        correlations : tensor of shape (n, K)
            Inner products of centred rows and atoms. The memory is reused.
        gram : Gram
            Inner products of the atoms of unit norm.

        Returns
        -------
        codes : SparseRows
            Codes in the dtype of ``correlations``.
        report : CodingReport
            What happened to the rows.
        """
        # The algorithms compare products with absolute tolerances.
        scale = torch.maximum(correlations.amax(1), -correlations.amin(1))[:, None]
        finite = scale.isfinite()
        if not bool(finite.all()):
            correlations[~finite[:, 0]] = 0.0
            scale = torch.where(finite, scale, 1.0)
        largest = float(scale[finite].max()) if bool(finite.any()) else 0.0
        scale = torch.where(scale > 0, scale, 1.0)
        n_unfinished = 0
        if self.algorithm == "threshold":
            found = self._thresholded(correlations)
            scale = torch.ones_like(scale)
        elif self.algorithm == "omp":
            correlations /= scale
            found = matching_pursuit(correlations, gram, self.n_nonzero)
        else:
            correlations /= scale
            found, n_unfinished = lasso(
                correlations,
                gram,
                self.alpha / scale[:, 0].double(),
                positive=self.positive,
                max_iter=self.max_iter,
            )
        codes = SparseRows(found.support, found.values * scale)
        n_nonzeros = int((codes.values != 0).sum())
        return codes, CodingReport(n_unfinished, n_nonzeros, largest)

    def _thresholded(self, correlations: torch.Tensor) -> SparseRows:
        """Return products that are moved towards zero, at all atoms."""
        size = correlations if self.positive else correlations.abs()
        values = (size - self.alpha).clamp_min(0) * correlations.sign()
        every = torch.arange(values.shape[1], device=values.device)
        return SparseRows(every.expand(len(values), -1), values)


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
    reports = []
    for rows, batch in iter_batches(X, n_rows, device):
        products = (batch - centre) @ atoms.T
        is_finite = products.sum(1).isfinite()
        found, report = coding.codes(products, gram)
        reports.append(report)
        part = written[rows].zero_()
        part.scatter_add_(
            1, found.support.to(part.device), found.values.to(part.device)
        )
        if not bool(is_finite.all()):
            part[~is_finite.to(part.device)] = torch.nan
    return out, CodingReport(
        sum(report.n_unfinished for report in reports),
        sum(report.n_nonzeros for report in reports),
        max(report.largest for report in reports),
    )


def split_signs(codes: Samples) -> Samples:
    """Return positive parts, then absolute negative parts, shape (n, 2 K)."""
    if isinstance(codes, torch.Tensor):
        return torch.cat([codes.clamp_min(0), (-codes).clamp_min(0)], dim=1)
    return np.concatenate([np.maximum(codes, 0), np.maximum(-codes, 0)], axis=1)
