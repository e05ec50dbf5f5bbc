"""One pass over the data: weight, mean, scatter, tails; mergeable, in float64."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from skspectral._device import (
    Samples,
    as_array,
    as_tensor,
    batch_rows,
    iter_batches,
)
from skspectral._linalg import add_gram_, mirror_upper_
from skspectral._missing import refuse_missing
from skspectral._validation import NonFiniteError
from skspectral.moments.second_moment import DenseMoment, SecondMoment

# Large enough for the products to run at full speed, small beside the sums.
_BATCH_BYTES = 96 * 2**20
_FEW_ROWS = 64
_CPU = torch.device("cpu")
# Variance of a feature whose products still have all their digits in float32.
_SMALLEST_SINGLE = 1e-30


class Moments:
    """Weighted mean and scatter matrix of the rows seen so far.

    Everything that the squared error of a linear model needs to know of the data, and
    two sums by which one can tell how uncertain that is. Batches are centred at their
    own mean before they are multiplied, and combined by the pairwise update of Chan,
    Golub and LeVeque (1979), so that a large mean does not cancel. Products of float32
    batches run in float32; all sums are float64.

    Parameters
    ----------
    n_features : int
        Length T of a row.
    device : torch.device
        Where the sums live.
    tails : bool, default=True
        Whether to gather ``third`` and ``fourth``, too, which takes some 5 % longer.

    Raises
    ------
    MemoryError
        If a T x T matrix cannot be allocated.

    Attributes
    ----------
    weight : float
        Sum of the sample weights (the number of rows without weights).
    n_samples : int
        Number of rows.
    mean : tensor of shape (T,), float64
    scatter : tensor of shape (T, T), float64
        sum_n w_n (x_n - mean)(x_n - mean)'.
    third : tensor of shape (T,), float64
        sum_n w_n ||x_n - mean||^2 (x_n - mean): what it takes to move the fourth.
    fourth : float
        sum_n w_n ||x_n - mean||^4; NaN if the tails of some rows were not gathered.
    """

    def __init__(self, n_features: int, device: torch.device, *, tails: bool = True):
        self.weight = 0.0
        self.n_samples = 0
        self.mean = torch.zeros(n_features, dtype=torch.float64, device=device)
        self.third = torch.zeros_like(self.mean)
        self.fourth = 0.0 if tails else math.nan
        try:
            self.scatter = torch.zeros(
                n_features, n_features, dtype=torch.float64, device=device
            )
        except RuntimeError as error:
            raise MemoryError(
                f"The second moment of {n_features} features does not fit into memory: "
                f"{8 * n_features**2 / 2**30:.0f} GiB. Cut signals into shorter "
                "windows, or images into patches."
            ) from error

    def update(
        self,
        X: Samples,
        sample_weight: np.ndarray | None = None,
        *,
        batch_size: int | None = None,
        on_batch: Callable[[], object] | None = None,
    ) -> "Moments":
        """Add the rows of ``X``, shape (n, T), with weights of shape (n,).

        Costs n T^2 multiplications; memory is one batch beside the sums. ``on_batch``
        is called after each batch. Masked entries raise a ValueError.
        """
        X = refuse_missing(X, "X")
        sample_weight = refuse_missing(sample_weight, "sample_weight")
        device = self.mean.device
        buffer, weights, unit = None, None, 1.0
        if sample_weight is not None:
            # The square roots of the weights must have all their digits in float32.
            unit = float(sample_weight.max()) or 1.0
            weights = as_tensor(sample_weight / unit, device, torch.float64)
        n_rows = batch_rows(X, batch_size, _BATCH_BYTES, device)
        origin = self.mean.clone()
        for rows, batch in iter_batches(X, n_rows, device):
            if buffer is None:
                buffer = batch.new_empty(len(batch) + 1, batch.shape[1])
            share = None if weights is None else weights[rows]
            self._add_batch(batch, share, unit, buffer, origin)
            if on_batch is not None:
                on_batch()
        mirror_upper_(self.scatter)
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
        """Add rows with ``weights`` in multiples of ``unit``.

        The tails are added about ``origin``: to follow the mean, as the scatter does,
        would need the whole of it for each batch. It becomes the first batch's mean.
        """
        n = len(batch)
        self.n_samples += n
        multiples = float(n) if weights is None else float(weights.sum())
        added = multiples * unit
        if added == 0.0:
            return
        share = (
            torch.full((n,), 1 / n, dtype=batch.dtype, device=batch.device)
            if weights is None
            else (weights / multiples).to(batch.dtype)
        )
        # Centred twice: about the mean of a few rows, so that a large offset takes no
        # digits from what follows, then about the mean of what is left.
        rough = batch[:: max(1, n // _FEW_ROWS)].mean(0)
        centred = torch.sub(batch, rough, out=buffer[:n])
        rest = share @ centred
        centred -= rest
        batch_mean = rough.double() + rest.double()
        if self.weight == 0.0:
            origin.copy_(batch_mean)
        if self._has_tails:
            self._add_tails(centred, share, added, batch_mean - origin)
        if weights is not None:
            centred *= weights.sqrt().to(batch.dtype)[:, None]
        # Chan's between-group term is one more row of the product.
        total = self.weight + added
        between = (multiples * (self.weight / total)) ** 0.5
        buffer[n] = (batch_mean - self.mean) * between
        add_gram_(self.scatter, buffer[: n + 1], unit)
        self.mean += (batch_mean - self.mean) * (added / total)
        self.weight = total

    @property
    def _has_tails(self) -> bool:
        return not math.isnan(self.fourth)

    def _add_tails(
        self,
        centred: torch.Tensor,
        share: torch.Tensor,
        weight: float,
        gap: torch.Tensor,
    ) -> None:
        """Add the tails of the rows ``centred`` + ``gap``, shares in a ``weight``."""
        cross = (centred @ gap.to(centred.dtype)).double()
        energy = torch.linalg.vector_norm(centred, dim=1).double() ** 2
        energy += 2 * cross + gap @ gap
        pull = weight * share * energy
        # The energies' shares, because float32 does not hold a third power.
        total = pull.sum().clamp_min(torch.finfo(torch.float64).tiny)
        centre = (pull / total).to(centred.dtype) @ centred
        self.third += total * (centre.double() + gap)
        self.fourth += float(pull @ energy)

    def _centre_tails(self, gap: torch.Tensor) -> None:
        """Turn the tails about mean - gap into those about the mean."""
        vector, number = self._tails_of_a_shift(gap)
        self.third -= vector
        self.fourth -= float(4 * self.third @ gap) + number

    def tails_about(self, origin: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Third and fourth moment about another point than the mean."""
        gap = self.mean - origin
        vector, number = self._tails_of_a_shift(gap)
        fourth = self.fourth + float(4 * self.third @ gap) + number
        return self.third + vector, fourth

    def _tails_of_a_shift(self, gap: torch.Tensor) -> tuple[torch.Tensor, float]:
        """What the tails about mean - gap have that is not from those about the mean.

        With y = x - mean, of the mean 0, sums of ||y + gap||^2 (y + gap) and of
        ||y + gap||^4, expanded.
        """
        line, square = self.scatter @ gap, gap @ gap
        total, between = self.scatter.trace(), self.weight * square
        vector = 2 * line + (total + between) * gap
        return vector, float(4 * line @ gap + (2 * total + between) * square)

    def merge(self, other: "Moments") -> "Moments":
        """Add the rows that ``other`` has seen; returns self."""
        total = self.weight + other.weight
        if other.weight:
            gap = other.mean - self.mean
            share = other.weight / total
            mean = self.mean + gap * share
            third, fourth = other.tails_about(mean)
            self.third, self.fourth = self.tails_about(mean)
            self.third, self.fourth = self.third + third, self.fourth + fourth
            self.scatter += other.scatter
            self.scatter.addr_(gap, gap, alpha=self.weight * share)
            self.mean = mean
        self.weight = total
        self.n_samples += other.n_samples
        return self

    def moved_to(self, device: torch.device) -> "Moments":
        """Return these moments on a device; on the same one they share memory."""
        new = copy.copy(self)
        for name in ("mean", "scatter", "third"):
            setattr(new, name, getattr(self, name).to(device))
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Numpy arrays and numbers, so that pickles move between machines."""
        return {
            name: as_array(value) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            array = isinstance(value, np.ndarray)
            setattr(self, name, as_tensor(value, _CPU) if array else value)

    def n_batches(self, X: Samples, batch_size: int | None = None) -> int:
        """Number of batches that `update` takes."""
        return -(-len(X) // batch_rows(X, batch_size, _BATCH_BYTES, self.mean.device))

    def project(
        self, onto: Samples, origin: Samples, second: SecondMoment | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the coordinates (x - origin) onto'.

        Parameters
        ----------
        onto : array of shape (K, T)
        origin : array of shape (T,)
        second : SecondMoment or None, default=None
            Covariance of the rows. None is the one that was observed.

        Returns
        -------
        mean : ndarray of shape (K,), float64
        covariance : ndarray of shape (K, K), float64
        """
        rows = as_tensor(onto, self.mean.device, torch.float64)
        shift = self.mean - as_tensor(origin, self.mean.device, torch.float64)
        covariance = self.covariance() if second is None else second
        return as_array(rows @ shift), as_array(covariance.restricted(rows))

    def covariance(self) -> DenseMoment:
        """Scatter divided by ``weight``; it shares the memory of the scatter."""
        return DenseMoment(self.scatter, 1 / self.weight)

    def check_variance(self, dtype: torch.dtype) -> None:
        """Raise a ValueError if the variance cannot be learned from.

        Parameters
        ----------
        dtype : torch.dtype
            Of the rows: it tells which variances are rounding, or out of range.
        """
        variance = float(self.scatter.trace()) / self.weight
        if not math.isfinite(variance):
            raise NonFiniteError(
                "The second moment of X overflows. Scale X down before fitting."
            )
        if variance <= torch.finfo(dtype).eps ** 2 * float((self.mean**2).sum()):
            raise ValueError(
                "X has no variance: all rows are equal, so there is nothing to learn. "
                "Pass rows that differ."
            )
        if dtype == torch.float32 and variance < _SMALLEST_SINGLE * len(self.mean):
            raise ValueError(
                "The second moment of X underflows in float32. Scale X up before "
                "fitting, or pass float64."
            )
