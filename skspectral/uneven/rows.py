"""Rows of values with times of their own, from the forms in which users have them."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skspectral._advice import brief
from skspectral._missing import missing_as_nan

# Memory for the waves of the rows that are processed at a time.
_CHUNK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class TimedRows:
    """Values and times of n rows, padded to the length of the longest one.

    Attributes
    ----------
    values : tensor of shape (n, L), float64
        Values; 0 where nothing was observed.
    times : tensor of shape (n, L), float64
        Times; 0 where nothing was observed.
    observed : tensor of shape (n, L), float64
        1 for observed entries, and 0 for padding and missing entries.
    """

    values: torch.Tensor
    times: torch.Tensor
    observed: torch.Tensor

    def __len__(self) -> int:
        return len(self.values)

    @property
    def counts(self) -> torch.Tensor:
        """Number of observed entries of each row, shape (n,)."""
        return self.observed.sum(1)

    def limits(self) -> tuple[float, float]:
        """Return the first and the last time at which something was observed."""
        seen = self.times[self.observed > 0]
        return float(seen.min()), float(seen.max())

    def scaled(self, start: float, span: float) -> "TimedRows":
        """Return the rows with the times (t - start) / span - 1/2."""
        times = ((self.times - start) / span - 0.5) * self.observed
        return TimedRows(self.values, times, self.observed)

    def centred(self) -> "TimedRows":
        """Return the rows minus their own means."""
        means = self.values.sum(1) / self.counts.clamp_min(1)
        return self.with_values((self.values - means[:, None]) * self.observed)

    def with_values(self, values: torch.Tensor) -> "TimedRows":
        """Return other values at the same times."""
        return TimedRows(values, self.times, self.observed)

    def at(self, rows: slice) -> "TimedRows":
        """Return some of the rows."""
        return TimedRows(self.values[rows], self.times[rows], self.observed[rows])

    def chunks(self, n_waves: int) -> Iterator[tuple[slice, "TimedRows"]]:
        """Iterate over chunks of rows whose waves fit into memory."""
        length = max(1, self.values.shape[1])
        size = max(1, _CHUNK_BYTES // (8 * length * max(1, n_waves)))
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.at(rows)


def timed_rows(X: Any, times: Any, origin: Any = None) -> tuple[TimedRows, Any]:
    """Return the rows that X and ``times`` hold, and the origin of the times.

    Parameters
    ----------
    X : array-like of shape (n, L), or sequence of n sequences
        Values. In an array, NaN marks padding and missing entries. If ``times`` is
        None and X is a list of pairs, each is (times, values) of a row.
    times : array-like of shape (n, L) or (L,), sequence of n sequences, or None
        Times of the values, in any order. None means 0, 1, 2, ... for all rows. Times
        of numpy's type datetime64 become seconds since ``origin``.
    origin : datetime64 or None, default=None
        Origin of times of the type datetime64. None means the earliest time.

    Returns
    -------
    rows : TimedRows
        The rows.
    origin : datetime64 or None
        Origin of the times. None if they are numbers.

    Raises
    ------
    ValueError
        If times and values do not have the same lengths, if a value has no finite time,
        if values are infinite, or if a row has no value.
    TypeError
        If some times are dates and others are numbers.
    """
    values, stamps = _lists(X, times)
    stamps, origin = _as_seconds(stamps, origin)
    length = max((len(row) for row in values), default=0)
    shape = (len(values), length)
    padded, moments = np.zeros(shape), np.zeros(shape)
    observed = np.zeros(shape)
    for i, (row, at) in enumerate(zip(values, stamps, strict=True)):
        if len(row) != len(at):
            raise ValueError(
                f"times has {len(at)} entries in row {i}, but X has {len(row)} values "
                "there. Pass one time per value, and NaN for padding in both."
            )
        seen = ~np.isnan(row)
        if np.isinf(row).any():
            raise ValueError(f"X contains infinity in row {i}. Pass NaN for a gap.")
        without = seen & ~np.isfinite(at)
        if without.any():
            raise ValueError(
                f"times has NaN or infinite entries for {without.sum()} values of row "
                f"{i}, first at index {without.argmax()}. Pass the time of each value, "
                "or NaN as the value."
            )
        if not seen.any():
            raise ValueError(
                f"X has no value in row {i}: all entries are NaN. Leave the row out."
            )
        padded[i, : len(row)] = np.where(seen, row, 0)
        moments[i, : len(row)] = np.where(seen, at, 0)
        observed[i, : len(row)] = seen
    rows = TimedRows(*map(torch.from_numpy, (padded, moments, observed)))
    return rows, origin


def _lists(X: Any, times: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return values and times as lists with one array per row."""
    if times is None and isinstance(X, (list, tuple)) and _are_pairs(X):
        return [_floats(x, "X") for _, x in X], [np.asarray(t) for t, _ in X]
    if isinstance(X, (list, tuple)) and len({np.size(row) for row in X}) > 1:
        values = [_floats(row, "X") for row in X]
    else:
        table = _floats(X, "X")
        if table.ndim != 2:
            raise ValueError(
                f"X has shape {table.shape}, but it must have one row per signal. Pass "
                "X[None] and times[None] for a single signal."
            )
        values = list(table)
    if times is None:
        return values, [np.arange(float(len(row))) for row in values]
    if isinstance(times, (list, tuple)) and len({np.size(t) for t in times}) > 1:
        stamps = [np.asarray(t) for t in times]
    else:
        table = np.asarray(times)
        if table.ndim == 1:
            table = np.broadcast_to(table, (len(values), len(table)))
        stamps = list(table)
    if len(stamps) != len(values):
        raise ValueError(
            f"times has {len(stamps)} rows, but X has {len(values)}. Pass one row of "
            "times per row of X, or one-dimensional times that all rows share."
        )
    return values, stamps


def _are_pairs(X: Any) -> bool:
    """Return whether X is a list of pairs of sequences of equal lengths."""
    return len(X) > 0 and all(
        isinstance(row, tuple) and len(row) == 2 and np.ndim(row[0]) == 1 for row in X
    )


def _floats(values: Any, name: str) -> np.ndarray:
    """Return values as float64, with NaN for masked entries and NA."""
    array = np.asarray(missing_as_nan(values))
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}={brief(values)} must hold real numbers, but it has the type "
            f"{array.dtype}."
        )
    return array.astype(np.float64)


def _as_seconds(stamps: list[np.ndarray], origin: Any) -> tuple[list[np.ndarray], Any]:
    """Return times as numbers: dates become seconds since the origin."""
    kinds = {stamp.dtype.kind for stamp in stamps if len(stamp)}
    if "M" not in kinds and origin is None:
        return [_floats(stamp, "times") for stamp in stamps], None
    if kinds != {"M"}:
        raise TypeError(
            "Some times are dates (datetime64) and others are numbers. Pass times of "
            "one kind, in fit and in later calls."
        )
    if origin is None:
        origin = min(stamp[~np.isnat(stamp)].min() for stamp in stamps)
    return [
        np.where(
            np.isnat(stamp), np.nan, (stamp - origin) / np.timedelta64(1, "s")
        ).astype(np.float64)
        for stamp in stamps
    ], origin
