"""The second moment of the data as a linear operator.

Learning needs few things of the T x T matrix C = E x x': products with some rows, its
trace, its entries once when waves are selected. A kind of second moment that has these
more cheaply than from T^2 stored numbers is a subclass of `SecondMoment`.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch

from skspectral.grid import Grid
from skspectral.moments.quadratic_form import QuadraticForm

# Numbers of a block of rows, where all rows are visited.
_BLOCK = 2**20


class SecondMoment(ABC):
    """A symmetric, positive semi-definite matrix C of shape (T, T), float64.

    A subclass has the attributes ``n_features`` and ``device`` and the three abstract
    methods. Everything else follows from them; a subclass overrides what it can do
    better.

    Attributes
    ----------
    n_features : int
        Number T of rows and columns.
    device : torch.device
    """

    n_features: int
    device: torch.device

    @abstractmethod
    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ C`` for rows of shape (n, T), float64."""

    @abstractmethod
    def trace(self) -> float:
        """Return the trace of C, the total variance."""

    @abstractmethod
    def scaled(self, factor: float) -> "SecondMoment":
        """Return ``factor * C``; the two may share memory."""

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return the rows from ``start`` to ``stop`` of C, not to be written to."""
        eye = torch.zeros(
            stop - start, self.n_features, dtype=torch.float64, device=self.device
        )
        eye[:, start:stop].fill_diagonal_(1.0)
        return self.left_matmul(eye)

    def blocks(self, multiple: int = 1) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (start, rows of C) for all rows, a multiple of ``multiple`` a time."""
        n_rows = max(1, _BLOCK // (self.n_features * multiple)) * multiple
        for start in range(0, self.n_features, n_rows):
            yield start, self.block(start, min(start + n_rows, self.n_features))

    def quadratic_form(
        self, grid: Grid, envelope: torch.Tensor | None = None
    ) -> QuadraticForm:
        """Return the values of C at the waves of a grid; costs T^2 additions."""
        blocks = self.blocks(multiple=grid.channels)
        return QuadraticForm.of_blocks(blocks, grid, self.device, envelope)

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of C, the variance of each feature, shape (T,)."""
        parts = [rows[:, start:].diagonal() for start, rows in self.blocks()]
        return torch.cat(parts)

    def norm(self) -> float:
        """Return the Frobenius norm of C."""
        parts = [torch.linalg.vector_norm(rows) for _, rows in self.blocks()]
        return float(torch.linalg.vector_norm(torch.stack(parts)))

    def dense(self) -> torch.Tensor:
        """Return C as a matrix of its own; T^2 numbers."""
        return torch.cat([rows.clone() for _, rows in self.blocks()])

    def restricted(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ C @ rows'``, symmetric to the last digit, shape (n, n)."""
        inner = self.left_matmul(rows) @ rows.T
        return (inner + inner.T) / 2


class DenseMoment(SecondMoment):
    """A multiple of a stored matrix.

    Parameters
    ----------
    matrix : tensor of shape (T, T), float64
        It is not copied.
    factor : float, default=1.0
    """

    def __init__(self, matrix: torch.Tensor, factor: float = 1.0):
        self.n_features, self.device = len(matrix), matrix.device
        self._matrix, self._factor = matrix, factor

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ C``. Costs n T^2."""
        return (rows @ self._matrix).mul_(self._factor)

    def trace(self) -> float:
        """Return the trace."""
        return float(self._matrix.trace()) * self._factor

    def scaled(self, factor: float) -> "DenseMoment":
        """Return a multiple that shares the matrix."""
        return DenseMoment(self._matrix, self._factor * factor)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return rows of C: of the stored matrix itself where the factor is 1."""
        rows = self._matrix[start:stop]
        return rows if self._factor == 1 else rows * self._factor

    def norm(self) -> float:
        """Return the Frobenius norm."""
        return float(torch.linalg.vector_norm(self._matrix)) * self._factor


class FactorMoment(SecondMoment):
    """C = B'B for a matrix B of a few rows, such as the mean.

    Parameters
    ----------
    factor : tensor of shape (m, T), float64
        B.
    """

    def __init__(self, factor: torch.Tensor):
        self.n_features, self.device = factor.shape[1], factor.device
        self._factor = factor

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ C``. Costs 2 n m T."""
        return (rows @ self._factor.T) @ self._factor

    def trace(self) -> float:
        """Return the trace."""
        return float(torch.linalg.vector_norm(self._factor)) ** 2

    def scaled(self, factor: float) -> "FactorMoment":
        """Return a multiple."""
        return FactorMoment(self._factor * factor**0.5)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return rows of C."""
        return self._factor[:, start:stop].T @ self._factor

    def quadratic_form(
        self, grid: Grid, envelope: torch.Tensor | None = None
    ) -> QuadraticForm:
        """Return the values of C at the waves of a grid. Costs m T log T."""
        return QuadraticForm.of_factor(self._factor, grid, envelope)


class SumMoment(SecondMoment):
    """The sum of second moments.

    Parameters
    ----------
    parts : sequence of SecondMoment
        At least one; of the same size, on the same device.
    """

    def __init__(self, parts: Sequence[SecondMoment]):
        self.n_features, self.device = parts[0].n_features, parts[0].device
        self._parts = tuple(parts)

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ C``."""
        first, *others = self._parts
        product = first.left_matmul(rows)
        for part in others:
            product += part.left_matmul(rows)
        return product

    def trace(self) -> float:
        """Return the trace."""
        return sum(part.trace() for part in self._parts)

    def scaled(self, factor: float) -> "SumMoment":
        """Return a multiple."""
        return SumMoment([part.scaled(factor) for part in self._parts])

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return rows of C."""
        first, *others = self._parts
        rows = first.block(start, stop)
        for part in others:
            rows = rows + part.block(start, stop)
        return rows
