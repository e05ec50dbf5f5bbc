"""Sums over rows and their sparse codes, on which the atoms depend."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from skspectral.coding.gram import SparseRows


@dataclass
class CodeMoments:
    """Second moments of sparse codes, and of codes and rows.

    With fixed codes, the squared error depends on the rows through these sums alone
    (Mairal, Bach, Ponce and Sapiro 2010). Sums over several sets of rows are added.

    Attributes
    ----------
    codes : tensor of shape (K, K), float64
        Sum of w'w over the rows, for the codes w of a row.
    cross : tensor of shape (K, T), float64
        Sum of w'x, for the row x.
    code_sum : tensor of shape (K,), float64
        Sum of the codes.
    row_sum : tensor of shape (T,), float64
        Sum of the rows.
    energy : float
        Sum of the squared norms of the rows.
    penalty : float
        Sum of the absolute values of the codes.
    n_nonzeros : float
        Number of codes that are not zero.
    weight : float
        Sum of the weights of the rows.

    References
    ----------
    J. Mairal, F. Bach, J. Ponce, G. Sapiro (2010). Online learning for matrix
    factorization and sparse coding. Journal of Machine Learning Research 11.
    """

    codes: torch.Tensor
    cross: torch.Tensor
    code_sum: torch.Tensor
    row_sum: torch.Tensor
    energy: float = 0.0
    penalty: float = 0.0
    n_nonzeros: float = 0.0
    weight: float = 0.0

    @classmethod
    def zeros(
        cls, n_atoms: int, n_features: int, device: torch.device
    ) -> "CodeMoments":
        """Return the sums over no rows."""

        def zeros(*size: int) -> torch.Tensor:
            return torch.zeros(size, dtype=torch.float64, device=device)

        return cls(
            zeros(n_atoms, n_atoms),
            zeros(n_atoms, n_features),
            zeros(n_atoms),
            zeros(n_features),
        )

    def add(self, rows: torch.Tensor, weights: torch.Tensor, found: SparseRows) -> None:
        """Add rows, (n, T), with their weights, (n,), and codes."""
        rows, weights = rows.double(), weights.double()
        codes = found.dense(len(self.codes)).double()
        weighted = codes * weights[:, None]
        self.codes += weighted.T @ codes
        self.cross += weighted.T @ rows
        self.code_sum += weighted.sum(0)
        self.row_sum += weights @ rows
        self.energy += float((rows**2).sum(1) @ weights)
        self.penalty += float(codes.abs().sum(1) @ weights)
        self.n_nonzeros += float((codes != 0).sum(1).double() @ weights)
        self.weight += float(weights.sum())

    def plus(self, other: "CodeMoments") -> "CodeMoments":
        """Return the sums over the rows of both."""
        return CodeMoments(
            *(
                own + added
                for own, added in zip(
                    vars(self).values(), vars(other).values(), strict=True
                )
            )
        )

    def in_units(self, unit: float) -> "CodeMoments":
        """Return the sums of rows and codes that are multiplied by ``unit``."""
        return CodeMoments(
            self.codes * unit**2,
            self.cross * unit**2,
            self.code_sum * unit,
            self.row_sum * unit,
            self.energy * unit**2,
            self.penalty * unit,
            self.n_nonzeros,
            self.weight,
        )

    def moved(self, shift: torch.Tensor) -> "CodeMoments":
        """Return the sums of rows to which ``shift``, (T,), is added."""
        change = 2 * self.row_sum @ shift + self.weight * (shift @ shift)
        return replace(
            self,
            cross=self.cross + torch.outer(self.code_sum, shift),
            row_sum=self.row_sum + self.weight * shift,
            energy=self.energy + float(change),
        )

    def reordered(self, order: torch.Tensor, sign: torch.Tensor) -> "CodeMoments":
        """Return the sums for atoms in another order, multiplied by signs of +1, -1."""
        codes = self.codes[order][:, order] * torch.outer(sign, sign)
        return replace(
            self,
            codes=codes,
            cross=sign[:, None] * self.cross[order],
            code_sum=sign * self.code_sum[order],
        )

    def converted(self, convert: Callable[[Any], Any]) -> "CodeMoments":
        """Return the sums with each array converted, for example to numpy."""
        arrays = ("codes", "cross", "code_sum", "row_sum")
        return replace(self, **{k: convert(getattr(self, k)) for k in arrays})

    def squared_error(self, atoms: torch.Tensor) -> float:
        """Return the mean squared error with these codes and atoms of unit norm."""
        inside = (self.codes @ atoms - 2 * self.cross).flatten() @ atoms.flatten()
        return (self.energy + float(inside)) / self.weight

    @property
    def code_energy(self) -> torch.Tensor:
        """Mean squares of the codes, shape (K,)."""
        return self.codes.diagonal() / self.weight

    def apply(self, rows: torch.Tensor) -> torch.Tensor:
        """Return half of the product of the second derivative of the error and rows."""
        return self.codes @ rows / self.weight

    def gradient(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the derivative of the mean squared error, shape (K, T)."""
        return 2 / self.weight * (self.codes @ atoms - self.cross)
