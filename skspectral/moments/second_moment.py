"""Second moments of the data as linear operators.

Learning needs only a few operations of the T x T matrix C = E x x': products with some
rows, the trace and, once, all rows for the selection of waves. A matrix for which these
operations cost less than with T^2 stored numbers is a subclass of `SecondMoment`.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch

from skspectral.grid import Grid
from skspectral.moments.quadratic_form import QuadraticForm

# Number of entries in a block of rows, for methods that visit all rows of C.
_BLOCK_ENTRIES = 2**20


class SecondMoment(ABC):
    """A symmetric positive semi-definite matrix C of shape (T, T), float64.

    A subclass sets ``n_features`` and ``device`` and must define `left_matmul`, `trace`
    and `scaled`. The other methods follow from these; a subclass may override those
    that it can compute faster.

    Attributes
    ----------
    n_features : int
        Number T of rows and columns.
    device : torch.device
        Device of the matrix and of all results.
    """

    n_features: int
    device: torch.device

    @abstractmethod
    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product ``rows @ C``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Left factor.

        Returns
        -------
        product : tensor of shape (n, T), float64
            The product, a new tensor that the caller may change.
        """

    @abstractmethod
    def trace(self) -> float:
        """Return the trace of C.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """

    @abstractmethod
    def scaled(self, factor: float) -> "SecondMoment":
        """Return the multiple ``factor * C``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : SecondMoment
            The multiple. It may share memory with C.
        """

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return consecutive rows of C.

        Parameters
        ----------
        start : int
            Index of the first row.
        stop : int
            Index after the last row.

        Returns
        -------
        rows : tensor of shape (stop - start, T), float64
            Rows of C. They may share memory with C and must not be changed.
        """
        eye = torch.zeros(
            stop - start, self.n_features, dtype=torch.float64, device=self.device
        )
        eye[:, start:stop].fill_diagonal_(1.0)
        return self.left_matmul(eye)

    def blocks(self, multiple: int = 1) -> Iterator[tuple[int, torch.Tensor]]:
        """Iterate over all rows of C in blocks.

        Parameters
        ----------
        multiple : int, default=1
            The lengths of the blocks are multiples of this number. If it is the number
            of channels, no block splits the channels of a position. The last block may
            be shorter.

        Yields
        ------
        start : int
            Index of the first row of the block.
        rows : tensor of shape (n, T), float64
            Rows of C, see `block`.
        """
        n_rows = max(1, _BLOCK_ENTRIES // (self.n_features * multiple)) * multiple
        for start in range(0, self.n_features, n_rows):
            yield start, self.block(start, min(start + n_rows, self.n_features))

    def quadratic_form(
        self, grid: Grid, envelope: torch.Tensor | None = None
    ) -> QuadraticForm:
        """Return the values of C at the waves of a grid.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the waves.
        envelope : tensor of shape (T,) or None, default=None
            Real or complex factor of all waves. None means 1.

        Returns
        -------
        form : QuadraticForm
            Values at the waves in half-cycle steps.

        Notes
        -----
        Costs T^2 additions by default.
        """
        blocks = self.blocks(multiple=grid.channels)
        return QuadraticForm.of_blocks(blocks, grid, self.device, envelope)

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of C.

        Returns
        -------
        diagonal : tensor of shape (T,), float64
            Variance of each feature.
        """
        parts = [rows[:, start:].diagonal() for start, rows in self.blocks()]
        return torch.cat(parts)

    def norm(self) -> float:
        """Return the Frobenius norm of C.

        Returns
        -------
        norm : float
            Square root of the sum of all squared entries.
        """
        parts = [torch.linalg.vector_norm(rows) for _, rows in self.blocks()]
        return float(torch.linalg.vector_norm(torch.stack(parts)))

    def dense(self) -> torch.Tensor:
        """Return C as a matrix.

        Returns
        -------
        matrix : tensor of shape (T, T), float64
            New matrix, which shares no memory with C.
        """
        return torch.cat([rows.clone() for _, rows in self.blocks()])

    def restricted(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the symmetric product ``rows @ C @ rows'``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Vectors between which C is evaluated.

        Returns
        -------
        inner : tensor of shape (n, n), float64
            The product, exactly symmetric.
        """
        inner = self.left_matmul(rows) @ rows.T
        return (inner + inner.T) / 2


class DenseMoment(SecondMoment):
    """A multiple of a stored matrix.

    Parameters
    ----------
    matrix : tensor of shape (T, T), float64
        Symmetric positive semi-definite matrix. It is not copied.
    factor : float, default=1.0
        Factor of the matrix.
    """

    def __init__(self, matrix: torch.Tensor, factor: float = 1.0):
        self.n_features, self.device = len(matrix), matrix.device
        self._matrix, self._factor = matrix, factor

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product ``rows @ C``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Left factor.

        Returns
        -------
        product : tensor of shape (n, T), float64
            The product.

        Notes
        -----
        Costs n T^2 multiplications.
        """
        return (rows @ self._matrix).mul_(self._factor)

    def trace(self) -> float:
        """Return the trace of C.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """
        return float(self._matrix.trace()) * self._factor

    def scaled(self, factor: float) -> "DenseMoment":
        """Return the multiple ``factor * C``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : DenseMoment
            The multiple. It shares the stored matrix.
        """
        return DenseMoment(self._matrix, self._factor * factor)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return consecutive rows of C.

        Parameters
        ----------
        start : int
            Index of the first row.
        stop : int
            Index after the last row.

        Returns
        -------
        rows : tensor of shape (stop - start, T), float64
            Rows of C. If the factor is 1, they share memory with the stored matrix.
        """
        rows = self._matrix[start:stop]
        return rows if self._factor == 1 else rows * self._factor

    def norm(self) -> float:
        """Return the Frobenius norm of C.

        Returns
        -------
        norm : float
            Square root of the sum of all squared entries.
        """
        return float(torch.linalg.vector_norm(self._matrix)) * self._factor


class FactorMoment(SecondMoment):
    """The product C = B'B for a matrix B of a few rows.

    With the mean as the only row of B, for instance, it is the second moment of the
    mean.

    Parameters
    ----------
    factor : tensor of shape (m, T), float64
        The matrix B.
    """

    def __init__(self, factor: torch.Tensor):
        self.n_features, self.device = factor.shape[1], factor.device
        self._factor = factor.double()

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product ``rows @ C``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Left factor.

        Returns
        -------
        product : tensor of shape (n, T), float64
            The product.

        Notes
        -----
        Costs 2 n m T multiplications.
        """
        return (rows @ self._factor.T) @ self._factor

    def trace(self) -> float:
        """Return the trace of C.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """
        return float(torch.linalg.vector_norm(self._factor)) ** 2

    def scaled(self, factor: float) -> "FactorMoment":
        """Return the multiple ``factor * C``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : FactorMoment
            The multiple, with a matrix B of its own.
        """
        return FactorMoment(self._factor * factor**0.5)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return consecutive rows of C.

        Parameters
        ----------
        start : int
            Index of the first row.
        stop : int
            Index after the last row.

        Returns
        -------
        rows : tensor of shape (stop - start, T), float64
            Rows of C.
        """
        return self._factor[:, start:stop].T @ self._factor

    def quadratic_form(
        self, grid: Grid, envelope: torch.Tensor | None = None
    ) -> QuadraticForm:
        """Return the values of C at the waves of a grid.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the waves.
        envelope : tensor of shape (T,) or None, default=None
            Real or complex factor of all waves. None means 1.

        Returns
        -------
        form : QuadraticForm
            Values at the waves in half-cycle steps.

        Notes
        -----
        Costs O(m T log T).
        """
        return QuadraticForm.of_factor(self._factor, grid, envelope)


class SumMoment(SecondMoment):
    """The sum of second moments.

    Parameters
    ----------
    parts : sequence of SecondMoment
        At least one term. All terms have the same size and device.
    """

    def __init__(self, parts: Sequence[SecondMoment]):
        self.n_features, self.device = parts[0].n_features, parts[0].device
        self._parts = tuple(parts)

    def left_matmul(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product ``rows @ C``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float64
            Left factor.

        Returns
        -------
        product : tensor of shape (n, T), float64
            The product.
        """
        first, *others = self._parts
        product = first.left_matmul(rows)
        for part in others:
            product += part.left_matmul(rows)
        return product

    def trace(self) -> float:
        """Return the trace of C.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """
        return sum(part.trace() for part in self._parts)

    def scaled(self, factor: float) -> "SumMoment":
        """Return the multiple ``factor * C``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : SumMoment
            The sum of the scaled terms.
        """
        return SumMoment([part.scaled(factor) for part in self._parts])

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Return consecutive rows of C.

        Parameters
        ----------
        start : int
            Index of the first row.
        stop : int
            Index after the last row.

        Returns
        -------
        rows : tensor of shape (stop - start, T), float64
            Rows of C. With a single term, they may share its memory.
        """
        first, *others = self._parts
        rows = first.block(start, stop)
        for part in others:
            rows = rows + part.block(start, stop)
        return rows
