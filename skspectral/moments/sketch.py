"""A scatter of many long rows: a few rows, and a stationary remainder."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.grid import Grid
from skspectral.moments.lags import lags_of_power, power_of_rows
from skspectral.moments.scatter import RowsScatter, Scatter
from skspectral.moments.second_moment import FactorMoment, SecondMoment, SumMoment
from skspectral.moments.stationary import StationaryMoment

# Number of entries of a part of the rows in float64.
_PART_ENTRIES = 2**22


class SketchScatter(RowsScatter):
    """Rows B of a Frequent-Directions sketch, and the lag products of all rows.

    The scatter C is approximated by B'B + S. The sketch has at most 2 ``size`` rows and
    satisfies 0 <= C - B'B <= ``error`` I. S is the covariance of a stationary process
    with the autocorrelation of C - B'B. It represents the part of C that the sketch
    leaves out, is positive semi-definite, and makes the trace of the sum that of C. The
    autocorrelation is the biased one, which smooths the mean power spectrum of this
    part a little. The unbiased one is indefinite; with its negative part removed, it
    gave worse atoms of photographs and of tones.

    Parameters
    ----------
    grid : Grid
        Axes and channels of the rows.
    size : int
        Number of rows that remain when the sketch is compressed, from 1 to T.
    device : torch.device
        Device of the sums.

    Notes
    -----
    Rows are collected until there are 2 ``size`` of them, and then compressed to
    ``size`` rows by an eigenvalue decomposition of their Gram matrix. The result does
    not depend on how rows are divided between calls. Adding n rows costs O(n T size) +
    O(n T log T). Float32 rows are kept in float32, and their products are float64.

    References
    ----------
    E. Liberty (2013). Simple and deterministic matrix sketching. ACM SIGKDD Conference
    on Knowledge Discovery and Data Mining.

    M. Ghashami, E. Liberty, J. M. Phillips, D. P. Woodruff (2016). Frequent Directions:
    simple and deterministic matrix sketching. SIAM Journal on Computing 45.
    """

    kind = "sketch"

    def __init__(self, grid: Grid, size: int, device: torch.device):
        super().__init__(grid.n_features, device)
        self.grid, self.size = grid.without_units(), size
        self._shed = 0.0
        self._power = power_of_rows(self.kept_rows(), self.grid)

    @property
    def error(self) -> float:
        """Bound of the spectral norm of C - B'B."""
        return self._shed

    def add(self, rows: torch.Tensor, factor: float = 1.0) -> None:
        """Add ``factor * rows' @ rows``.

        Parameters
        ----------
        rows : tensor of shape (n, T), float32 or float64
            Rows to add. They are copied.
        factor : float, default=1.0
            Non-negative factor of the products.
        """
        self._power += factor * power_of_rows(rows, self.grid)
        self._insert(rows, factor**0.5)

    def _insert(self, rows: torch.Tensor, scale: float) -> None:
        """Put rows, times a scale, into the sketch, and compress it when it is full."""
        self._reserve(2 * self.size, rows)
        start = 0
        while start < len(rows):
            if self._n_rows == len(self._memory):
                self._compress()
            n = min(len(rows) - start, len(self._memory) - self._n_rows)
            self._append(rows[start : start + n], scale)
            start += n

    def _compress(self) -> None:
        """Shrink the rows so that ``size`` of them remain."""
        width = max(1, _PART_ENTRIES // self._n_rows)
        rows = self.kept_rows()
        parts = torch.split(rows, width, dim=1)
        gram = torch.zeros(
            len(rows), len(rows), dtype=torch.float64, device=self.device
        )
        for part in parts:
            double = part.double()
            gram.addmm_(double, double.T)
        values, vectors = torch.linalg.eigh(gram)
        # Eigenvalues are in ascending order. Those of the kept directions fall by the
        # largest one that is left out.
        shed = values[-self.size - 1].clamp_min(0)
        kept = values[-self.size :].clamp_min(torch.finfo(torch.float64).tiny)
        scale = (1 - shed / kept).clamp(0, 1).sqrt()
        combine = (vectors[:, -self.size :] * scale).T.to(rows.dtype)
        for part in parts:
            part[: self.size] = combine @ part
        self._n_rows = self.size
        self._shed += float(shed)

    def square_root(self) -> torch.Tensor:
        """Raise an error, because the sketch and the remainder have no common root.

        Returns
        -------
        rows : tensor
            Never returned.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("A sketch can be merged into sketches only.")

    def second_moment(self, factor: float = 1.0) -> SecondMoment:
        """Return a multiple of the scatter as an operator.

        Parameters
        ----------
        factor : float, default=1.0
            Non-negative factor.

        Returns
        -------
        moment : SumMoment
            The multiple of the sketch, plus that of the stationary remainder.
        """
        rows = self.kept_rows()
        sketched = FactorMoment(rows, factor)
        if self._shed == 0:
            return sketched
        left = self._power - power_of_rows(rows, self.grid)
        lags = lags_of_power(left, self.grid) * (factor / self.grid.n_places)
        return SumMoment([sketched, StationaryMoment(lags, self.grid)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content as arrays, for files and pickles.

        Returns
        -------
        arrays : dict of str to ndarray
            The arrays "rows", "power", "shape", "channel_axis", "size" and "shed". They
            may share memory with the scatter.
        """
        axis = self.grid.index_of_channels
        return {
            "rows": as_array(self.kept_rows()),
            "power": as_array(self._power),
            "shape": np.array(self.grid.shape),
            # -1 means that there is no axis of channels.
            "channel_axis": np.array(-1 if axis is None else axis),
            "size": np.array(self.size),
            "shed": np.array(self._shed),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the scatter with the content that `arrays` returned.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Arrays of a sketch.

        Returns
        -------
        scatter : SketchScatter
            The scatter, on the CPU. It may share memory with the arrays.

        Raises
        ------
        KeyError
            If an array is missing.
        ValueError
            If an array has a wrong shape.
        """
        shape = tuple(map(int, arrays["shape"]))
        # Files of earlier versions have no channel axis.
        axis: int | str | None = "auto"
        if "channel_axis" in arrays:
            axis = int(arrays["channel_axis"])
            axis = None if axis < 0 else axis
        grid = Grid.of(shape, math.prod(shape), channel_axis=axis)
        new = cls(grid, int(arrays["size"]), torch.device("cpu"))
        power = as_tensor(arrays["power"], new.device, torch.complex128)
        if arrays["rows"].shape[1:] != (grid.n_features,) or (
            power.shape != new._power.shape
        ):
            raise ValueError(f"the arrays do not belong to signals of shape {shape}")
        new._restored(arrays["rows"])
        new._power, new._shed = power, float(arrays["shed"])
        return new

    def merge(self, other: Scatter) -> None:
        """Add another scatter, which is not changed.

        Parameters
        ----------
        other : Scatter
            Sketch, or a scatter that has a `square_root`.
        """
        if not isinstance(other, SketchScatter):
            super().merge(other)
            return
        new = other.moved_to(self.device)
        self._insert(new.kept_rows(), 1.0)
        self._power += new._power
        self._shed += new._shed
