"""The shape of a signal or image: its axes, its channels and its units of frequency.

`Grid.of` is the only function that reads the parameters ``signal_shape`` and
``channel_axis``, and only the grid knows in which order a row holds its positions and
channels. All other code uses the grid.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skspectral._advice import brief

# An array of numpy, or a tensor of torch.
Array = Any

# Images with one of these numbers of channels are common: grey, colour, with alpha.
_COMMON_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Grid:
    """Positions along one to three axes, with one or more channels at each position.

    A row of T numbers is an array of the shape `shape`, flattened in C order.

    Attributes
    ----------
    sizes : tuple of int
        Number of samples along each axis: (length,), (height, width) for images, or
        three sizes for volumes and videos.
    channels : int
        Number of channels.
    channel_axis : int or None
        Index, into `shape`, of the axis of the channels. None means that `shape` has no
        such axis if there is one channel, and that it is the last one otherwise.
    sampling_rate : float, tuple of float or None
        Samples per unit of time or length, the same for all axes or one per axis. None
        means that frequencies are in cycles over the whole signal.
    """

    sizes: tuple[int, ...]
    channels: int = 1
    channel_axis: int | None = None
    sampling_rate: float | tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        signal_shape: int | Sequence[int] | None,
        n_features: int,
        sampling_rate: float | Sequence[float] | None = None,
        channel_axis: int | str | None = "auto",
    ) -> "Grid":
        """Return the grid that the parameters of an estimator describe.

        Parameters
        ----------
        signal_shape : int, sequence of int or None
            Sizes of all axes, including that of the channels. An int is the length, and
            None means (n_features,).
        n_features : int
            Number of columns of X.
        sampling_rate : float, sequence of float or None, default=None
            Samples per unit of time or length, the same for all axes or one per axis
            without that of the channels. None means that frequencies are in cycles over
            the whole signal.
        channel_axis : int, "auto" or None, default="auto"
            Index of the axis of the channels. "auto" means the last of three or four
            axes, and None means that there are no channels.

        Returns
        -------
        grid : Grid
            The grid of a row.

        Raises
        ------
        ValueError
            If ``signal_shape`` is not one to four positive integers, or their product
            is not ``n_features``.
        ValueError
            If ``channel_axis`` is no axis of ``signal_shape``, or leaves no axis or
            more than three axes.
        ValueError
            If ``sampling_rate`` does not have one positive number per axis.
        """
        if signal_shape is None:
            signal_shape = (n_features,)
        if isinstance(signal_shape, int | np.integer):
            signal_shape = (int(signal_shape),)
        shape = tuple(signal_shape)
        if not all(isinstance(size, Integral) and size > 0 for size in shape):
            raise ValueError(
                f"signal_shape={brief(signal_shape)} must be a tuple of positive "
                "integers. Pass (length,), (height, width) or (height, width, "
                "channels)."
            )
        of_a_row = shape[1:]
        if of_a_row and shape[0] > 1 and math.prod(of_a_row) == n_features:
            raise ValueError(
                f"signal_shape={brief(signal_shape)} must be the shape of one row, not "
                f"of all rows. Pass signal_shape={tuple(map(int, of_a_row))}."
            )
        if not 1 <= len(shape) <= 4:
            raise ValueError(
                f"signal_shape={brief(signal_shape)} must have one to three axes, and "
                "one more for channels. Pass (length,), (height, width) or (height, "
                "width, channels)."
            )
        if math.prod(shape) != n_features:
            raise ValueError(
                f"signal_shape={brief(signal_shape)} holds {math.prod(shape)} values, "
                f"but X has {n_features} features. "
                f"{_advice_on_shape(shape, n_features)}"
            )
        shape = tuple(map(int, shape))
        at = _index_of_channels(channel_axis, shape)
        sizes = shape if at is None else shape[:at] + shape[at + 1 :]
        channels = 1 if at is None else shape[at]
        return cls(sizes, channels, at, _rates(sampling_rate, len(sizes)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row, as ``signal_shape`` gives it."""
        at = self.index_of_channels
        if at is None:
            return self.sizes
        return (*self.sizes[:at], self.channels, *self.sizes[at:])

    @property
    def index_of_channels(self) -> int | None:
        """Index of the axis of the channels in `shape`, if it has one."""
        if self.channel_axis is None and self.channels > 1:
            return len(self.sizes)
        return self.channel_axis

    @property
    def n_axes(self) -> int:
        """Number D of axes without that of the channels: 2 for images."""
        return len(self.sizes)

    @property
    def is_image(self) -> bool:
        """Whether the positions form an image."""
        return len(self.sizes) == 2

    @property
    def looks_channels_first(self) -> bool:
        """Whether an image with channels looks like (channels, height, width).

        The last size then is no common number of channels, whereas the first one is.
        """
        if not self.is_image or self.channel_axis != 2:
            return False
        if self.channels <= max(_COMMON_CHANNELS):
            return False
        return self.sizes[0] in _COMMON_CHANNELS

    @property
    def n_places(self) -> int:
        """Number of positions."""
        return math.prod(self.sizes)

    @property
    def n_features(self) -> int:
        """Number T of values in a row, over all channels."""
        return self.n_places * self.channels

    @property
    def units(self) -> np.ndarray:
        """Public frequency of one cycle over each axis, shape (D,)."""
        if self.sampling_rate is None:
            return np.ones(self.n_axes)
        return np.broadcast_to(self.sampling_rate, self.n_axes) / np.array(self.sizes)

    @property
    def nyquist(self) -> np.ndarray:
        """Nyquist frequency along each axis, in public units, shape (D,)."""
        return self.units * np.array(self.sizes) / 2

    @property
    def time_rate(self) -> float | None:
        """Sampling rate if all axes have one, for axes of time."""
        return None if isinstance(self.sampling_rate, tuple) else self.sampling_rate

    @property
    def noun(self) -> str:
        """What a row is called: a signal, or an image."""
        return "image" if self.is_image else "signal"

    @property
    def frequency_unit(self) -> str:
        """Unit of public frequencies in words."""
        if self.sampling_rate is None:
            return f"cycles per {self.noun}"
        return "Hz" if self.n_axes == 1 else "cycles per unit of length"

    def flattened(self) -> "Grid":
        """Return the grid of the flattened signal, with one axis and one channel.

        Raises
        ------
        ValueError
            If the axes have different sampling rates.
        """
        rate = self.sampling_rate
        if isinstance(rate, tuple):
            raise ValueError(
                f"sampling_rate={rate} has one rate per axis, but these atoms run "
                "along the flattened signal. Pass one sampling_rate, or "
                "atoms='plane_wave'."
            )
        return Grid((self.n_features,), sampling_rate=rate)

    def without_units(self) -> "Grid":
        """Return the same grid with frequencies in cycles over the whole signal."""
        return replace(self, sampling_rate=None)

    def signals(self, rows: Array) -> Array:
        """Return rows ``(..., T)`` as signals ``(..., channels, *sizes)``.

        The result is a view where the rows allow it.
        """
        at = self.index_of_channels
        if at is None:
            return rows.reshape(*rows.shape[:-1], 1, *self.sizes)
        whole = rows.reshape(*rows.shape[:-1], *self.shape)
        return _moved(whole, rows.ndim - 1 + at, rows.ndim - 1)

    def rows(self, signals: Array) -> Array:
        """Return signals ``(..., channels, *sizes)`` as rows ``(..., T)``."""
        n_outer = signals.ndim - 1 - self.n_axes
        at = self.index_of_channels
        if at is not None:
            signals = _moved(signals, n_outer, n_outer + at)
        return signals.reshape(*signals.shape[:n_outer], self.n_features)

    def spread(self, values: Array) -> Array:
        """Return values at the positions, (..., n_places), repeated in all channels.

        The result has the shape (..., T).
        """
        if self.channels == 1:
            return values
        outer = values.shape[:-1]
        of_channel = values.reshape(*outer, 1, *self.sizes)
        if isinstance(values, torch.Tensor):
            whole = of_channel.expand(*outer, self.channels, *self.sizes)
        else:
            whole = np.broadcast_to(of_channel, (*outer, self.channels, *self.sizes))
        return self.rows(whole)

    def first_channel(self, rows: Array) -> Array:
        """Return the first channel of rows ``(..., T)``, of shape ``(..., *sizes)``."""
        signals = self.signals(rows)
        return signals[(..., 0, *(slice(None),) * self.n_axes)]

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Indices, into `shape`, of the axes that are not that of the channels."""
        return tuple(i for i in range(len(self.shape)) if i != self.index_of_channels)

    def place_and_channel(self, index: int) -> tuple[tuple[int, ...], int]:
        """Return the position and the channel of an entry of a row."""
        found = [int(i) for i in np.unravel_index(index, self.shape)]
        channel = (
            0 if self.index_of_channels is None else found.pop(self.index_of_channels)
        )
        return tuple(found), channel

    def coordinates(self, device: torch.device) -> torch.Tensor:
        """Return the position of each value of a row, in [-1/2, 1/2), shape (D, T)."""
        return _coordinates(self.without_units(), device)

    def channel_indicator(self, device: torch.device) -> torch.Tensor:
        """Return 1 where a value belongs to a channel, else 0, shape (channels, T)."""
        return _channel_indicator(self.without_units(), device)

    def frequencies(self, like: torch.Tensor) -> torch.Tensor:
        """Return wave vectors in half-cycle steps, cycles over each axis, shape (F, D).

        The order is that of `spectra`. The last component is never negative.
        """
        *first, last = self.sizes
        # These values are exact, unlike those of torch.fft.fftfreq.
        lines = [((torch.arange(2 * n) + n) % (2 * n) - n) / 2 for n in first]
        lines.append(torch.arange(last + 1) / 2)
        mesh = torch.meshgrid(*lines, indexing="ij")
        return torch.stack([axis.reshape(-1) for axis in mesh], dim=1).to(like)

    def spectra(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the Fourier transform of each channel at `frequencies`.

        Real or complex rows of shape (n, T) become spectra of shape (n, channels, F).
        """
        return self.transform(self.signals(rows)).flatten(2)

    def transform(self, signals: torch.Tensor) -> torch.Tensor:
        """Return the DFT over the last D axes, zero-padded to twice their size."""
        padded = [2 * n for n in self.sizes]
        axes = tuple(range(-len(padded), 0))
        if not signals.is_complex():
            return torch.fft.rfftn(signals, padded, dim=axes)
        return torch.fft.fftn(signals, padded, dim=axes)[..., : self.sizes[-1] + 1]


def _advice_on_shape(shape: tuple[int, ...], n_features: int) -> str:
    """Return what to pass instead of a shape of another size."""
    for channels in _COMMON_CHANNELS[1:]:
        if len(shape) == 2 and math.prod(shape) * channels == n_features:
            with_channels = (*map(int, shape), channels)
            return f"For {channels} channels pass signal_shape={with_channels}."
    return (
        f"Pass sizes whose product is {n_features}, or None for signals with one "
        "channel."
    )


def as_rows(X: Any, signal_shape: int | Sequence[int] | None) -> Any:
    """Return X as rows if it has the axes of ``signal_shape``; others unchanged."""
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if len(shape) <= 2 or signal_shape is None or not hasattr(X, "reshape"):
        return X
    if tuple(shape[1:]) != tuple(np.atleast_1d(signal_shape).tolist()):
        return X
    return X.reshape(shape[0], -1)


def _index_of_channels(
    channel_axis: int | str | None, shape: tuple[int, ...]
) -> int | None:
    """Return the index of the axis of the channels, from 0, or None."""
    n = len(shape)
    if isinstance(channel_axis, str):
        # The only string is "auto".
        return n - 1 if n >= 3 else None
    if channel_axis is None:
        if n > 3:
            raise ValueError(
                f"signal_shape={shape} has {n} axes, but channel_axis=None leaves at "
                "most three. Pass the channel_axis of the channels."
            )
        return None
    if n == 1:
        raise ValueError(
            f"channel_axis={channel_axis} needs signal_shape with an axis besides that "
            f"of the channels, not {shape}. Pass signal_shape=(n_channels, n_times), "
            "or channel_axis=None."
        )
    if not -n <= channel_axis < n:
        raise ValueError(
            f"channel_axis={channel_axis} must be an axis of signal_shape={shape}. "
            f"Pass an integer from {-n} to {n - 1}."
        )
    return int(channel_axis) % n


def _rates(
    sampling_rate: float | Sequence[float] | None, n_axes: int
) -> float | tuple[float, ...] | None:
    """Return the sampling rate: one for all axes, or a tuple with one per axis."""
    if sampling_rate is None or np.ndim(sampling_rate) == 0:
        return sampling_rate  # type: ignore[return-value]
    rates = tuple(float(rate) for rate in sampling_rate)  # type: ignore[union-attr]
    if len(rates) != n_axes or not all(0 < rate < math.inf for rate in rates):
        raise ValueError(
            f"sampling_rate={brief(sampling_rate)} must be one positive number, or "
            f"one for each of the {n_axes} axes without that of the channels."
        )
    return rates[0] if len(set(rates)) == 1 else rates


def _moved(array: Array, source: int, target: int) -> Array:
    """Return a view in which one axis has moved."""
    if source == target:
        return array
    if isinstance(array, torch.Tensor):
        return array.movedim(source, target)
    return np.moveaxis(array, source, target)


@lru_cache(maxsize=16)
def _coordinates(grid: Grid, device: torch.device) -> torch.Tensor:
    lines = [
        torch.arange(n, dtype=torch.float64, device=device) / n - 0.5
        for n in grid.sizes
    ]
    mesh = torch.meshgrid(*lines, indexing="ij")
    return grid.spread(torch.stack([axis.reshape(-1) for axis in mesh]))


@lru_cache(maxsize=16)
def _channel_indicator(grid: Grid, device: torch.device) -> torch.Tensor:
    eye = torch.eye(grid.channels, dtype=torch.float64, device=device)
    shape = (grid.channels, grid.channels, *grid.sizes)
    return grid.rows(eye.reshape(*eye.shape, *[1] * grid.n_axes).expand(shape))
