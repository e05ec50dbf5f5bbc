"""Moments of the data from one pass: weight, mean, scatter, third and fourth moments.

Moments of different batches or machines can be merged. All sums are float64.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from skspectral._device import (
    Samples,
    as_array,
    as_tensor,
    batch_rows,
    iter_batches,
    numpy_dtype,
    total_memory,
)
from skspectral._missing import refuse_missing
from skspectral._validation import NonFiniteError
from skspectral.moments.choice import merged
from skspectral.moments.scatter import DenseScatter, Scatter
from skspectral.moments.second_moment import SecondMoment

# Default size of a batch. Its products run at full speed, and it is small compared with
# the scatter matrix of long signals.
_BATCH_BYTES = 96 * 2**20
# About this many rows of a batch give the first, rough estimate of its mean.
_ROUGH_MEAN_ROWS = 64
_CPU = torch.device("cpu")
# Smallest variance per feature whose products keep full precision in float32.
_MIN_FLOAT32_VARIANCE = 1e-30
# Fractions of the total weight and of the trace that a subtraction may miss: the
# rounding errors of sums of weights, and of products in float32.
_WEIGHT_TOLERANCE = 1e-12
_COVARIANCE_TOLERANCE = 1e-6


class Moments:
    """Weighted mean, scatter matrix, and third and fourth moments of the rows of X.

    The mean and the scatter are sufficient statistics for the squared error of a linear
    model. The third and fourth moments measure how uncertain the scatter is;
    ``shrinkage="auto"`` needs them.

    Parameters
    ----------
    n_features : int
        Number T of features.
    device : torch.device
        Device on which the sums are stored and computed.
    tails : bool, default=True
        Whether to gather ``third`` and ``fourth``. They take about 5 % more time.
    scatter : Scatter or None, default=None
        Empty scatter, whose form determines memory and time. None means a
        `DenseScatter`.

    Attributes
    ----------
    weight : float
        Sum of the sample weights. Without weights, it is the number of rows.
    n_samples : int
        Number of rows.
    mean : tensor of shape (T,), float64
        Weighted mean of the rows.
    scatter : Scatter
        Weighted sum of products, sum_n w_n (x_n - mean)(x_n - mean)'. Its
        ``second_moment().dense()`` is the matrix.
    third : tensor of shape (T,), float64
        Third moment, sum_n w_n ||x_n - mean||^2 (x_n - mean). It is needed to update
        the fourth moment when the mean changes.
    fourth : float
        Fourth moment, sum_n w_n ||x_n - mean||^4. It is NaN if ``tails`` was False for
        some of the rows.
    dtype : numpy dtype
        float64 if some of the rows are float64, and otherwise float32.

    Notes
    -----
    Each batch is centred at its own mean before it is multiplied, and then combined
    with the earlier batches by the pairwise update of Chan, Golub and LeVeque. A large
    mean therefore does not cancel digits of the scatter. Products of float32 batches
    are computed in float32; all sums are float64.

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque (1979). Updating formulae and a pairwise
    algorithm for computing sample variances. Stanford University, STAN-CS-79-773.
    """

    def __init__(
        self,
        n_features: int,
        device: torch.device,
        *,
        tails: bool = True,
        scatter: Scatter | None = None,
    ):
        self.weight = 0.0
        self.n_samples = 0
        self.dtype: np.dtype = np.dtype(np.float32)
        self.mean = torch.zeros(n_features, dtype=torch.float64, device=device)
        self.third = torch.zeros_like(self.mean)
        self.fourth = 0.0 if tails else math.nan
        self.scatter = DenseScatter(n_features, device) if scatter is None else scatter

    @classmethod
    def from_arrays(
        cls, mean: ArrayLike, covariance: ArrayLike, n_samples: int
    ) -> "Moments":
        """Return the moments of rows whose mean and covariance are known.

        The third and fourth moments are not known, so that ``shrinkage="auto"`` cannot
        be used.

        Parameters
        ----------
        mean : array-like of shape (T,)
            Mean of the rows.
        covariance : array-like of shape (T, T)
            Covariance of the rows, divided by their number: that of
            ``numpy.cov(X, rowvar=False, bias=True)``.
        n_samples : int
            Number of rows.

        Returns
        -------
        moments : Moments
            The moments, on the CPU.

        Raises
        ------
        ValueError
            If the arrays have wrong shapes, or NaN or infinite values.
        ValueError
            If the covariance is not symmetric and positive semi-definite, up to
            rounding, or ``n_samples`` is less than 1.

        Notes
        -----
        Costs O(T^3 / 3) for the check of the covariance.

        Examples
        --------
        >>> import numpy as np
        >>> from skspectral.moments import Moments
        >>> X = np.random.default_rng(0).normal(size=(50, 8))
        >>> covariance = np.cov(X, rowvar=False, bias=True)
        >>> Moments.from_arrays(X.mean(0), covariance, len(X)).n_samples
        50
        """
        centre, matrix = (np.array(part, np.float64) for part in (mean, covariance))
        length = len(centre) if centre.ndim == 1 else -1
        if matrix.shape != (length, length):
            raise ValueError(
                f"mean of shape {centre.shape} and covariance of shape {matrix.shape} "
                "must have the shapes (T,) and (T, T)."
            )
        if not (np.isfinite(centre).all() and np.isfinite(matrix).all()):
            raise ValueError(
                "mean or covariance has NaN or infinite values. Leave out the features "
                "that have no covariance."
            )
        if not n_samples >= 1:
            raise ValueError(f"n_samples={n_samples} must be at least 1.")
        error = np.abs(matrix - matrix.T).max(initial=0.0)
        symmetric = error <= _COVARIANCE_TOLERANCE * np.abs(matrix).max(initial=0.0)
        moments = cls(length, _CPU, tails=False)
        sums = as_tensor((matrix + matrix.T) * (n_samples / 2), _CPU)
        if not (symmetric and _is_covariance(sums)):
            raise ValueError(
                "covariance must be symmetric and positive semi-definite, as "
                "numpy.cov(X, rowvar=False, bias=True) returns it."
            )
        moments.mean = as_tensor(centre, _CPU)
        moments.scatter = DenseScatter.of_matrix(sums)
        moments.weight, moments.n_samples = float(n_samples), int(n_samples)
        moments.dtype = np.dtype(np.float64)
        return moments

    def update(
        self,
        X: Samples,
        sample_weight: np.ndarray | None = None,
        *,
        batch_size: int | None = None,
        on_batch: Callable[[], object] | None = None,
    ) -> "Moments":
        """Add the rows of ``X`` to the moments.

        Parameters
        ----------
        X : array of shape (n, T)
            Rows to add.
        sample_weight : ndarray of shape (n,) or None, default=None
            Non-negative weights of the rows. None means that all weights are 1.
        batch_size : int or None, default=None
            Number of rows that are processed together. None chooses batches of about
            100 MB.
        on_batch : callable or None, default=None
            Function without arguments that is called after each batch, for instance to
            show progress.

        Returns
        -------
        self : Moments
            The updated moments.

        Raises
        ------
        ValueError
            If ``X`` or ``sample_weight`` is a masked array with masked entries.

        Notes
        -----
        With a dense scatter it costs n T^2 multiplications. It needs the memory of one
        batch in addition to the sums.
        """
        X = refuse_missing(X, "X")
        sample_weight = refuse_missing(sample_weight, "sample_weight")
        device = self.mean.device
        buffer, weights, unit = None, None, 1.0
        if sample_weight is not None:
            # Weights are divided by the largest one, so that the square roots of very
            # small or large weights neither underflow nor overflow in float32.
            unit = float(sample_weight.max()) or 1.0
            weights = as_tensor(sample_weight / unit, device, torch.float64)
        n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
        origin = self.mean.clone()
        for rows, batch in iter_batches(X, n_rows, device):
            if buffer is None:
                buffer = batch.new_empty(len(batch) + 1, batch.shape[1])
            self.dtype = np.promote_types(self.dtype, numpy_dtype(batch.dtype))
            batch_weights = None if weights is None else weights[rows]
            self._add_batch(batch, batch_weights, unit, buffer, origin)
            if on_batch is not None:
                on_batch()
        if self._has_tails:
            self._centre_tails(self.mean - origin)
        return self

    def _add_batch(
        self,
        batch: torch.Tensor,
        weights: torch.Tensor | None,
        unit: float,
        buffer: torch.Tensor,
        origin: torch.Tensor,
    ) -> None:
        """Add the rows of ``batch`` with the weights ``unit * weights``.

        The third and fourth moments are added about ``origin``. Moving these moments to
        the current mean would need the complete scatter matrix, which exists only after
        the last batch. If there are no earlier rows, ``origin`` is set to the mean of
        the batch.
        """
        n = len(batch)
        self.n_samples += n
        multiples = float(n) if weights is None else float(weights.sum())
        added = multiples * unit
        if added == 0.0:
            return
        fractions = (
            torch.full((n,), 1 / n, dtype=batch.dtype, device=batch.device)
            if weights is None
            else (weights / multiples).to(batch.dtype)
        )
        # The batch is centred twice. The mean of a few rows removes a large offset, so
        # that the correction to the mean of all rows keeps its precision.
        rough = batch[:: max(1, n // _ROUGH_MEAN_ROWS)].mean(0)
        centred = torch.sub(batch, rough, out=buffer[:n])
        correction = fractions @ centred
        centred -= correction
        batch_mean = rough.double() + correction.double()
        if self.weight == 0.0:
            origin.copy_(batch_mean)
        if self._has_tails:
            self._add_tails(centred, fractions, added, batch_mean - origin)
        if weights is not None:
            centred *= weights.sqrt().to(batch.dtype)[:, None]
        # The term of Chan et al. for the difference of the two means is computed as one
        # more row of the product.
        total = self.weight + added
        if self.weight > 0.0:
            between = (multiples * (self.weight / total)) ** 0.5
            buffer[n] = (batch_mean - self.mean) * between
            n += 1
        self.scatter.add(buffer[:n], unit)
        self.mean += (batch_mean - self.mean) * (added / total)
        self.weight = total

    @property
    def _has_tails(self) -> bool:
        """Whether the third and fourth moments of all rows have been gathered."""
        return not math.isnan(self.fourth)

    def _add_tails(
        self,
        centred: torch.Tensor,
        fractions: torch.Tensor,
        weight: float,
        gap: torch.Tensor,
    ) -> None:
        """Add the third and fourth moments of the rows ``centred + gap``.

        The rows have the weights ``weight * fractions``.
        """
        cross = (centred @ gap.to(centred.dtype)).double()
        energy = torch.linalg.vector_norm(centred, dim=1).double() ** 2
        energy += 2 * cross + gap @ gap
        weighted = weight * fractions * energy
        # The energies are divided by their sum, because third powers could overflow or
        # underflow in float32.
        total = weighted.sum().clamp_min(torch.finfo(torch.float64).tiny)
        centre = (weighted / total).to(centred.dtype) @ centred
        self.third += total * (centre.double() + gap)
        self.fourth += float(weighted @ energy)

    def _centre_tails(self, gap: torch.Tensor) -> None:
        """Convert the tails about ``mean - gap`` to those about the mean."""
        third_shift, fourth_shift = self._shift_of_tails(gap)
        self.third -= third_shift
        self.fourth -= float(4 * self.third @ gap) + fourth_shift

    def tails_about(self, origin: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return the third and fourth moments about another point than the mean.

        Parameters
        ----------
        origin : tensor of shape (T,), float64
            The point to subtract from the rows in place of the mean.

        Returns
        -------
        third : tensor of shape (T,), float64
            The sum sum_n w_n ||x_n - origin||^2 (x_n - origin).
        fourth : float
            The sum sum_n w_n ||x_n - origin||^4.
        """
        gap = self.mean - origin
        third_shift, fourth_shift = self._shift_of_tails(gap)
        fourth = self.fourth + float(4 * self.third @ gap) + fourth_shift
        return self.third + third_shift, fourth

    def _shift_of_tails(self, gap: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return what a shift of the origin to ``mean - gap`` adds to the tails.

        With y = x - mean, whose mean is 0, expand the sums of ||y + gap||^2 (y + gap)
        and of ||y + gap||^4. The result holds all terms that depend on the scatter and
        the weight only. The caller adds 4 third' gap to the fourth moment.
        """
        scatter = self.scatter.second_moment()
        line, square = scatter.left_matmul(gap[None])[0], gap @ gap
        total, between = scatter.trace(), self.weight * square
        third_shift = 2 * line + (total + between) * gap
        return third_shift, float(4 * line @ gap + (2 * total + between) * square)

    def merge(self, other: "Moments") -> "Moments":
        """Add the moments of other rows.

        The result is that of gathering all rows at once, up to rounding.

        Parameters
        ----------
        other : Moments
            Moments of the other rows, with the same number of features and on the same
            device. They are not changed. Their scatter may have another form; the
            result then has the more economical one.

        Returns
        -------
        self : Moments
            The updated moments.
        """
        total = self.weight + other.weight
        if other.weight:
            gap = other.mean - self.mean
            fraction = other.weight / total
            mean = self.mean + gap * fraction
            if self._has_tails and not math.isnan(other.fourth):
                third, fourth = other.tails_about(mean)
                self.third, self.fourth = self.tails_about(mean)
                self.third, self.fourth = self.third + third, self.fourth + fourth
            else:
                self.fourth = math.nan
            self.scatter = merged(self.scatter, other.scatter)
            if self.weight:
                self.scatter.add(gap[None], self.weight * fraction)
            self.mean = mean
        self.weight = total
        self.n_samples += other.n_samples
        self.dtype = np.promote_types(self.dtype, other.dtype)
        return self

    def subtract(self, other: "Moments") -> "Moments":
        """Remove the moments of rows that are among those of these moments.

        The result is that of gathering the other rows alone, up to rounding. Its
        scatter is dense.

        Parameters
        ----------
        other : Moments
            Moments of the rows to remove, with the same number of features and on the
            same device. They are not changed.

        Returns
        -------
        self : Moments
            The updated moments.

        Raises
        ------
        ValueError
            If ``other`` has other features, or more rows or weight than these moments.
        ValueError
            If one of the scatters is a sketch, from which no rows can be removed.
        ValueError
            If what is left is not a covariance, because the rows were not among those
            of these moments. The moments are then unchanged.
        MemoryError
            If three T x T matrices do not fit into memory.

        Notes
        -----
        Costs O(T^3 / 3) for the check of the result.
        """
        if len(other.mean) != len(self.mean):
            raise ValueError(
                f"other has {len(other.mean)} features, but the moments have "
                f"{len(self.mean)}. Pass moments of rows of the same length."
            )
        left, n_left = self.weight - other.weight, self.n_samples - other.n_samples
        nothing = _WEIGHT_TOLERANCE * self.weight
        if n_left < 0 or left < -nothing or (n_left == 0 and left > nothing):
            raise ValueError(
                f"other has {other.n_samples} rows of the weight {other.weight:g}, but "
                f"the moments have {self.n_samples} of the weight {self.weight:g}. "
                "Subtract only rows that were added before."
            )
        for moments in (self, other):
            if moments.scatter.kind == "sketch":
                raise ValueError(
                    "The scatter is a sketch, from which no rows can be subtracted. "
                    "Gather moments with second_moment='dense' or 'factor'."
                )
        has_tails = self._has_tails and not math.isnan(other.fourth)
        if left <= nothing:
            empty = Moments(len(self.mean), self.mean.device, tails=has_tails)
            vars(self).update(vars(empty))
            return self
        needed, memory = 24 * len(self.mean) ** 2, total_memory(self.mean.device)
        if needed > memory:
            raise MemoryError(
                f"Subtracting rows of {len(self.mean)} features needs matrices of "
                f"{needed / 2**30:.0f} GiB, which do not fit into memory. Gather the "
                "moments of the other rows anew."
            )
        # The mean of all rows lies between those of the two parts.
        mean = self.mean + (self.mean - other.mean) * (other.weight / left)
        gap = other.mean - mean
        total = self.scatter.second_moment()
        matrix = total.dense() - other.scatter.second_moment().dense()
        matrix -= torch.outer(gap, gap) * (left * (other.weight / self.weight))
        if not _is_covariance(matrix, total.trace()):
            raise ValueError(
                "What is left after the subtraction is not a covariance, because other "
                "contains rows that are not among those of the moments. Subtract only "
                "rows that were added before."
            )
        third, fourth = self.third, math.nan
        if has_tails:
            other_third, other_fourth = other.tails_about(self.mean)
            third, fourth = self.third - other_third, self.fourth - other_fourth
        shift = mean - self.mean
        self.mean, self.weight, self.n_samples = mean, left, n_left
        self.scatter = DenseScatter.of_matrix(matrix)
        self.third, self.fourth = third, fourth
        if has_tails:
            self._centre_tails(shift)
        return self

    def moved_to(self, device: torch.device) -> "Moments":
        """Return these moments on another device.

        Parameters
        ----------
        device : torch.device
            Device of the result.

        Returns
        -------
        moments : Moments
            The same moments. On the same device they share memory with ``self``.
        """
        new = copy.copy(self)
        new.mean, new.third = self.mean.to(device), self.third.to(device)
        new.scatter = self.scatter.moved_to(device)
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Return numpy arrays and numbers, so that pickles move between machines."""
        return {
            name: as_array(value) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            array = isinstance(value, np.ndarray)
            setattr(self, name, as_tensor(value, _CPU) if array else value)

    def n_batches(self, X: Samples, batch_size: int | None = None) -> int:
        """Return the number of batches that `update` would process.

        Parameters
        ----------
        X : array of shape (n, T)
            Rows to add.
        batch_size : int or None, default=None
            The parameter of `update`.

        Returns
        -------
        n_batches : int
            Number of batches.
        """
        return -(-len(X) // batch_rows(X, batch_size, _BATCH_BYTES, self.mean.device))

    def project(
        self, onto: Samples, origin: Samples, second: SecondMoment | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of the coordinates (x - origin) onto'.

        Parameters
        ----------
        onto : array of shape (K, T)
            Vectors that define the coordinates, one per row.
        origin : array of shape (T,)
            Point whose coordinates are zero.
        second : SecondMoment or None, default=None
            Covariance of the rows of X. None means their observed covariance.

        Returns
        -------
        mean : ndarray of shape (K,), float64
            Mean of the coordinates.
        covariance : ndarray of shape (K, K), float64
            Covariance of the coordinates, exactly symmetric.
        """
        rows = as_tensor(onto, self.mean.device, torch.float64)
        shift = self.mean - as_tensor(origin, self.mean.device, torch.float64)
        covariance = self.covariance() if second is None else second
        return as_array(rows @ shift), as_array(covariance.restricted(rows))

    def covariance(self) -> SecondMoment:
        """Return the covariance of the rows: the scatter divided by the weight.

        Returns
        -------
        covariance : SecondMoment
            Covariance matrix. It may share memory with ``scatter``, and is valid until
            rows are added.
        """
        return self.scatter.second_moment(1 / self.weight)

    def check_variance(self, dtype: torch.dtype) -> None:
        """Raise a ValueError if nothing can be learned from the variance of X.

        Parameters
        ----------
        dtype : torch.dtype
            Floating type of X. It determines which variances are rounding errors, and
            which are too small.

        Raises
        ------
        ValueError
            If the second moment of X overflows.
        ValueError
            If all rows of X are equal, up to rounding.
        ValueError
            If X is float32 and so small that products of its entries underflow.
        """
        variance = self.covariance().trace()
        if not math.isfinite(variance):
            raise NonFiniteError(
                f"X has the variance {variance}: its second moment overflows. Divide X "
                "by a large number before fitting."
            )
        if variance <= torch.finfo(dtype).eps ** 2 * float((self.mean**2).sum()):
            raise ValueError(
                "X has no variance: all its rows are equal, up to rounding, so that "
                "there is nothing to learn. Pass rows that differ."
            )
        if dtype == torch.float32 and variance < _MIN_FLOAT32_VARIANCE * len(self.mean):
            raise ValueError(
                f"X has the variance {variance:.2g}: its second moment underflows in "
                "float32. Multiply X by a large number before fitting, or pass X as "
                "float64."
            )


def _is_covariance(matrix: torch.Tensor, scale: float | None = None) -> bool:
    """Return whether a symmetric matrix is positive semi-definite, up to rounding.

    The rounding is relative to ``scale``, by default the trace.
    """
    scale = float(matrix.trace()) if scale is None else scale
    if not scale >= 0:
        return False
    shifted = matrix.clone()
    shifted.diagonal().add_(
        _COVARIANCE_TOLERANCE * scale + torch.finfo(matrix.dtype).tiny
    )
    return int(torch.linalg.cholesky_ex(shifted).info) == 0
