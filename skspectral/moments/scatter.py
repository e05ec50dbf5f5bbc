"""Scatter matrices: sums of products of rows, kept in different forms.

`Moments` adds the centred rows of X to a `Scatter`. Its second moment is a linear
operator. The forms differ in memory and time; a new form is a subclass in a new file
and one line in ``choice.py``.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral._linalg import add_gram_, mirror_upper_
from skspectral.moments.second_moment import DenseMoment, FactorMoment, SecondMoment

# Eigenvalues of a dense scatter below this fraction of the largest are rounding errors.
_RANK_TOLERANCE = 1e-13
_CPU = torch.device("cpu")


class Scatter(ABC):
    """A sum of products of rows, sum_n y_n y_n', of shape (T, T).

    A subclass sets ``n_features`` and ``device`` and must define `add`, `square_root`,
    `second_moment`, `arrays` and `from_arrays`.

    Attributes
    ----------
    kind : str
        Name of the form: "dense", "factor" or "sketch".
    n_features : int
        Number T of features.
    device : torch.device
        Device of all sums.
    """

    kind: ClassVar[str]
    n_features: int
    device: torch.device

    @abstractmethod
    def add(self, rows: torch.Tensor, factor: float = 1.0) -> None:
        """Add ``factor * rows' @ rows``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float32 or float64
            Rows to add. They are not changed, and the caller may change them later.
        factor : float, default=1.0
            Non-negative factor of the products.
        """

    @abstractmethod
    def square_root(self) -> torch.Tensor:
        """Return rows R with R'R equal to this scatter.

        Returns
        -------
        rows : tensor of shape (m, T)
            The rows. They may share memory with the scatter.

        Raises
        ------
        NotImplementedError
            If the form has no such rows.
        """

    @abstractmethod
    def second_moment(self, factor: float = 1.0) -> SecondMoment:
        """Return a multiple of the scatter as an operator.

        Parameters
        ----------
        factor : float, default=1.0
            Non-negative factor.

        Returns
        -------
        moment : SecondMoment
            The multiple ``factor * scatter``. It may share memory with the scatter, and
            is valid until rows are added.
        """

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content as arrays, for files and pickles.

        Returns
        -------
        arrays : dict of str to ndarray
            Arrays from which `from_arrays` restores the scatter. They may share memory
            with it.
        """

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the scatter with the content that `arrays` returned.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Arrays of a scatter of this form.

        Returns
        -------
        scatter : Scatter
            The scatter, on the CPU. It may share memory with the arrays.

        Raises
        ------
        KeyError
            If an array is missing.
        ValueError
            If an array has a wrong shape.
        """

    @property
    def error(self) -> float:
        """Bound of the spectral norm of the difference from the exact scatter."""
        return 0.0

    def merge(self, other: "Scatter") -> None:
        """Add another scatter, which is not changed.

        Parameters
        ----------
        other : Scatter
            Scatter of the same kind, or of a kind that has a `square_root`.
        """
        self.add(other.square_root())

    def moved_to(self, device: torch.device) -> Self:
        """Return this scatter on another device.

        Parameters
        ----------
        device : torch.device
            Device of the result.

        Returns
        -------
        scatter : Scatter
            The same scatter. On the same device it shares memory with ``self``.
        """
        new = object.__new__(type(self))
        for name, value in vars(self).items():
            moves = isinstance(value, torch.Tensor)
            setattr(new, name, value.to(device) if moves else value)
        new.device = device
        return new

    def __getstate__(self) -> dict[str, np.ndarray]:
        """Return `arrays`, so that pickles move between machines."""
        return self.arrays()

    def __setstate__(self, state: dict[str, np.ndarray]) -> None:
        vars(self).update(vars(self.from_arrays(state)))


class DenseScatter(Scatter):
    """A scatter matrix of T x T numbers in float64.

    Parameters
    ----------
    n_features : int
        Number T of features.
    device : torch.device
        Device of the matrix.

    Notes
    -----
    Adding n rows costs n T^2 multiplications. Only the upper triangle of blocks is
    computed; it is mirrored when the second moment is read.
    """

    kind = "dense"

    def __init__(self, n_features: int, device: torch.device):
        self.n_features, self.device = n_features, device
        self._matrix = torch.zeros(
            n_features, n_features, dtype=torch.float64, device=device
        )
        self._is_complete = True

    def add(self, rows: torch.Tensor, factor: float = 1.0) -> None:
        """Add ``factor * rows' @ rows``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float32 or float64
            Rows to add. Products of float32 rows are computed in float32.
        factor : float, default=1.0
            Non-negative factor of the products.
        """
        add_gram_(self._matrix, rows, factor)
        self._is_complete = False

    def square_root(self) -> torch.Tensor:
        """Return rows R with R'R equal to this scatter.

        Returns
        -------
        rows : tensor of shape (m, T), float64
            Eigenvectors, multiplied by the square roots of their eigenvalues.

        Notes
        -----
        Costs O(T^3).
        """
        values, vectors = torch.linalg.eigh(self._complete())
        kept = values > _RANK_TOLERANCE * values[-1].clamp_min(0)
        return (vectors[:, kept] * values[kept].sqrt()).T.contiguous()

    def second_moment(self, factor: float = 1.0) -> DenseMoment:
        """Return a multiple of the scatter as an operator.

        Parameters
        ----------
        factor : float, default=1.0
            Non-negative factor.

        Returns
        -------
        moment : DenseMoment
            The multiple. It shares memory with the scatter.
        """
        return DenseMoment(self._complete(), factor)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content as arrays, for files and pickles.

        Returns
        -------
        arrays : dict of str to ndarray
            The array "matrix", (T, T), float64. It may share memory with the scatter.
        """
        return {"matrix": as_array(self._complete())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the scatter with the content that `arrays` returned.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            The array "matrix".

        Returns
        -------
        scatter : DenseScatter
            The scatter, on the CPU. It may share memory with the array.

        Raises
        ------
        KeyError
            If the array is missing.
        ValueError
            If the array is not a square matrix.
        """
        matrix = as_tensor(arrays["matrix"], _CPU, torch.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix has the shape {tuple(matrix.shape)}")
        return cls.of_matrix(matrix)

    @classmethod
    def of_matrix(cls, matrix: torch.Tensor) -> Self:
        """Return the scatter with a given matrix.

        Parameters
        ----------
        matrix : tensor of shape (T, T), float64
            Symmetric matrix. It is not copied.

        Returns
        -------
        scatter : DenseScatter
            The scatter, on the device of the matrix.
        """
        new = cls(0, matrix.device)
        new.n_features, new._matrix = len(matrix), matrix
        return new

    def merge(self, other: Scatter) -> None:
        """Add another scatter, which is not changed.

        Parameters
        ----------
        other : Scatter
            Dense scatter, or a scatter that has a `square_root`.
        """
        if isinstance(other, DenseScatter):
            self._complete().add_(other.second_moment().block(0, self.n_features))
        else:
            super().merge(other)

    def _complete(self) -> torch.Tensor:
        """Return the matrix with both triangles."""
        if not self._is_complete:
            mirror_upper_(self._matrix)
            self._is_complete = True
        return self._matrix


class RowsScatter(Scatter):
    """A scatter that keeps rows, in memory that grows.

    Float32 rows are kept in float32. If some of the rows are float64, all are kept in
    float64.

    Parameters
    ----------
    n_features : int
        Number T of features.
    device : torch.device
        Device of the rows.
    """

    def __init__(self, n_features: int, device: torch.device):
        self.n_features, self.device = n_features, device
        self._n_rows = 0
        self._memory = torch.zeros(0, n_features, dtype=torch.float32, device=device)

    def kept_rows(self) -> torch.Tensor:
        """Return the rows.

        Returns
        -------
        rows : tensor of shape (m, T), float32 or float64
            The rows. They share memory with the scatter.
        """
        return self._memory[: self._n_rows]

    def _reserve(self, capacity: int, rows: torch.Tensor) -> None:
        """Make room for rows of the type of ``rows``, ``capacity`` in total."""
        dtype = torch.promote_types(self._memory.dtype, rows.dtype)
        if capacity > len(self._memory) or dtype != self._memory.dtype:
            grown = rows.new_empty(
                max(capacity, len(self._memory)), self.n_features, dtype=dtype
            )
            grown[: self._n_rows] = self.kept_rows()
            self._memory = grown

    def _append(self, rows: torch.Tensor, scale: float) -> None:
        """Copy rows, times a scale, into the reserved memory."""
        stop = self._n_rows + len(rows)
        if scale == 1:
            self._memory[self._n_rows : stop] = rows
        else:
            torch.mul(rows, scale, out=self._memory[self._n_rows : stop])
        self._n_rows = stop

    def _restored(self, rows: np.ndarray) -> None:
        """Put rows, which are not copied, into this empty scatter."""
        memory = as_tensor(rows, _CPU)
        if memory.ndim != 2 or memory.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"rows have the shape {rows.shape}, and type {rows.dtype}")
        self.n_features, self._memory = memory.shape[1], memory
        self._n_rows = len(memory)


class FactorScatter(RowsScatter):
    """The rows themselves, for fewer rows than features.

    Parameters
    ----------
    n_features : int
        Number T of features.
    device : torch.device
        Device of the rows.
    capacity : int, default=0
        Number of rows for which memory is allocated by the first call of `add`. The
        memory grows when it is full.
    """

    kind = "factor"

    def __init__(self, n_features: int, device: torch.device, capacity: int = 0):
        super().__init__(n_features, device)
        self._capacity = capacity

    def add(self, rows: torch.Tensor, factor: float = 1.0) -> None:
        """Add ``factor * rows' @ rows``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float32 or float64
            Rows to add. They are copied.
        factor : float, default=1.0
            Non-negative factor of the products.
        """
        needed = self._n_rows + len(rows)
        if needed > len(self._memory):
            # Doubling makes the total time of many small additions linear.
            needed = max(self._capacity, needed, 2 * self._n_rows)
        self._reserve(needed, rows)
        self._append(rows, factor**0.5)

    def square_root(self) -> torch.Tensor:
        """Return rows R with R'R equal to this scatter.

        Returns
        -------
        rows : tensor of shape (n, T), float32 or float64
            All rows that were added, times the square roots of their factors. They
            share memory with the scatter.
        """
        return self.kept_rows()

    def second_moment(self, factor: float = 1.0) -> SecondMoment:
        """Return a multiple of the scatter as an operator.

        Parameters
        ----------
        factor : float, default=1.0
            Non-negative factor.

        Returns
        -------
        moment : FactorMoment
            The multiple. It shares memory with the scatter.
        """
        return FactorMoment(self.kept_rows(), factor)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content as arrays, for files and pickles.

        Returns
        -------
        arrays : dict of str to ndarray
            The array "rows", (n, T), float32 or float64. It shares memory with the
            scatter.
        """
        return {"rows": as_array(self.kept_rows())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the scatter with the content that `arrays` returned.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            The array "rows".

        Returns
        -------
        scatter : FactorScatter
            The scatter, on the CPU. It may share memory with the array.

        Raises
        ------
        KeyError
            If the array is missing.
        ValueError
            If the array is not a matrix of float32 or float64.
        """
        new = cls(0, _CPU)
        new._restored(arrays["rows"])
        return new
