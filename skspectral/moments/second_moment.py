"""Second moments of the data as linear operators.

Learning needs only a few operations of the T x T matrix C = E x x': products with some
rows, the trace and, once, all rows for the selection of waves. A matrix for which these
operations cost less than with T^2 stored numbers is a subclass of `SecondMoment`.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch

from skspectral.grid import Grid
from skspectral.moments.lags import (
    lags_of_blocks,
    lags_of_power,
    power_of_rows,
    row_chunks,
)
from skspectral.moments.quadratic_form import QuadraticForm

# Number of entries in a block of rows, for methods that visit all rows of C.
_BLOCK_ENTRIES = 2**20
# A factor of at most this number of entries is converted to float64 once.
_MAX_CONVERTED = 2**24


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

    def blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Iterate over all rows of C in blocks.

        Yields
        ------
        start : int
            Index of the first row of the block.
        rows : tensor of shape (n, T), float64
            Rows of C, see `block`.
        """
        n_rows = max(1, _BLOCK_ENTRIES // self.n_features)
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
        return QuadraticForm.of_blocks(self.blocks(), grid, self.device, envelope)

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

    def inner(self, other: "SecondMoment") -> float:
        """Return the inner product, the sum of all products of two entries.

        Parameters
        ----------
        other : SecondMoment
            Matrix of the same size.

        Returns
        -------
        inner : float
            Inner product, the trace of C times ``other``.
        """
        pairs = zip(self.blocks(), other.blocks(), strict=True)
        return sum(float((one * two).sum()) for (_, one), (_, two) in pairs)

    def lag_products(self, grid: Grid) -> torch.Tensor:
        """Return the sums of C over all positions, per lag and pair of channels.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the signals.

        Returns
        -------
        lags : tensor of shape (channels, channels, 2 n_1 - 1, ..., 2 n_D - 1), float64
            For axes of n_1, ..., n_D samples, entry [c, d, n_1 - 1 + l_1, ...] is the
            sum over all positions t of C[(t, c), (t + l, d)].

        Notes
        -----
        Costs T^2 additions by default.
        """
        return lags_of_blocks(self.blocks(), grid, self.device)

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

    def inner(self, other: SecondMoment) -> float:
        """Return the inner product, the sum of all products of two entries.

        Parameters
        ----------
        other : SecondMoment
            Matrix of the same size.

        Returns
        -------
        inner : float
            Inner product.
        """
        if not isinstance(other, DenseMoment):
            return other.inner(self)
        return super().inner(other)


class FactorMoment(SecondMoment):
    """A multiple of the product B'B for a matrix B of a few rows.

    With the mean as the only row of B, for instance, it is the second moment of the
    mean.

    Parameters
    ----------
    rows : tensor of shape (m, T), float32 or float64
        The matrix B. It is not copied if it is float64, or large. Products are computed
        in float64.
    factor : float, default=1.0
        Factor of the product.
    """

    def __init__(self, rows: torch.Tensor, factor: float = 1.0):
        self.n_features, self.device = rows.shape[1], rows.device
        # Small matrices are converted once, large ones part by part in each product.
        self._rows = rows.double() if rows.numel() <= _MAX_CONVERTED else rows
        self._factor = factor

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
        if self._rows.dtype == torch.float64:
            return ((rows @ self._rows.T).mul_(self._factor)) @ self._rows
        inner = rows.new_zeros(len(rows), len(self._rows))
        for start, part in self._columns():
            inner.addmm_(rows[:, start : start + part.shape[1]], part.T)
        inner *= self._factor
        product = torch.empty_like(rows)
        for start, part in self._columns():
            product[:, start : start + part.shape[1]] = inner @ part
        return product

    def _columns(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Iterate over float64 copies of consecutive columns of B."""
        width = max(1, _BLOCK_ENTRIES * 4 // max(1, len(self._rows)))
        for start in range(0, self.n_features, width):
            yield start, self._rows[:, start : start + width].double()

    def trace(self) -> float:
        """Return the trace of C.

        Returns
        -------
        trace : float
            Trace, the total variance of the features.
        """
        return self._trace

    @cached_property
    def _trace(self) -> float:
        """The trace, which costs a pass over B."""
        return float(self.diagonal().sum())

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of C.

        Returns
        -------
        diagonal : tensor of shape (T,), float64
            Variance of each feature.
        """
        parts = [(part**2).sum(0) for _, part in self._columns()]
        return torch.cat(parts) * self._factor

    def scaled(self, factor: float) -> "FactorMoment":
        """Return the multiple ``factor * C``.

        Parameters
        ----------
        factor : float
            Non-negative factor.

        Returns
        -------
        scaled : FactorMoment
            The multiple. It shares the matrix B.
        """
        return FactorMoment(self._rows, self._factor * factor)

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
        left = self._rows[:, start:stop].double().T * self._factor
        return torch.cat([left @ part for _, part in self._columns()], dim=1)

    def norm(self) -> float:
        """Return the Frobenius norm of C.

        Returns
        -------
        norm : float
            Square root of the sum of all squared entries.

        Notes
        -----
        Costs m T min(m, T) multiplications.
        """
        if len(self._rows) >= self.n_features:
            return super().norm()
        gram = sum(part @ part.T for _, part in self._columns())
        return float(torch.linalg.vector_norm(gram)) * self._factor

    def inner(self, other: SecondMoment) -> float:
        """Return the inner product, the sum of all products of two entries.

        Parameters
        ----------
        other : SecondMoment
            Matrix of the same size.

        Returns
        -------
        inner : float
            Inner product. It costs a product of ``other`` with the rows of B.
        """
        n_rows = max(1, _BLOCK_ENTRIES * 4 // self.n_features)
        total = 0.0
        for start in range(0, len(self._rows), n_rows):
            rows = self._rows[start : start + n_rows].double()
            total += float((other.left_matmul(rows) * rows).sum())
        return total * self._factor

    def lag_products(self, grid: Grid) -> torch.Tensor:
        """Return the sums of C over all positions, per lag and pair of channels.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the signals.

        Returns
        -------
        lags : tensor of shape (channels, 2 height - 1, 2 width - 1, channels), float64
            Sums over all pairs of positions with a given lag.

        Notes
        -----
        Costs O(m T log T).
        """
        return lags_of_power(power_of_rows(self._rows, grid), grid) * self._factor

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
        forms = (
            QuadraticForm.of_factor(chunk, grid, envelope)
            for chunk in row_chunks(self._rows, grid)
        )
        return QuadraticForm.total(forms, self._factor)


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

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of C.

        Returns
        -------
        diagonal : tensor of shape (T,), float64
            Variance of each feature.
        """
        return torch.stack([part.diagonal() for part in self._parts]).sum(0)

    def norm(self) -> float:
        """Return the Frobenius norm of C.

        Returns
        -------
        norm : float
            Square root of the sum of all squared entries.
        """
        return max(0.0, self.inner(self)) ** 0.5

    def inner(self, other: SecondMoment) -> float:
        """Return the inner product, the sum of all products of two entries.

        Parameters
        ----------
        other : SecondMoment
            Matrix of the same size.

        Returns
        -------
        inner : float
            Inner product.
        """
        return sum(part.inner(other) for part in self._parts)

    def lag_products(self, grid: Grid) -> torch.Tensor:
        """Return the sums of C over all positions, per lag and pair of channels.

        Parameters
        ----------
        grid : Grid
            Axes and channels of the signals.

        Returns
        -------
        lags : tensor of shape (channels, 2 height - 1, 2 width - 1, channels), float64
            Sums over all pairs of positions with a given lag.
        """
        return torch.stack([part.lag_products(grid) for part in self._parts]).sum(0)

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
        """
        forms = (part.quadratic_form(grid, envelope) for part in self._parts)
        return QuadraticForm.total(forms)
