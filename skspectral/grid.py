"""The shape of a signal or image: its axes, its channels and its units of frequency.

`Grid.of` is the only function that reads the parameter ``signal_shape``. All other code
uses the grid.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Integral

import numpy as np
import torch

from skspectral._advice import brief

# Images with one of these numbers of channels are common: grey, colour, with alpha.
_COMMON_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Grid:
    """Positions along one or two axes, with one or more channels at each position.

    A row of T numbers holds the positions in C order, and the channels of a position
    next to each other.

    Attributes
    ----------
    sizes : tuple of int
        Number of samples along each axis: (length,), or (height, width) for images.
    channels : int
        Number of channels.
    channel_axis : bool
        Whether ``signal_shape`` contains the number of channels, as in (height, width,
        1).
    sampling_rate : float or None
        Samples per unit of time or length. None means that frequencies are in cycles
        over the whole signal.
    """

    sizes: tuple[int, ...]
    channels: int = 1
    channel_axis: bool = False
    sampling_rate: float | None = None

    @classmethod
    def of(
        cls,
        signal_shape: int | Sequence[int] | None,
        n_features: int,
        sampling_rate: float | None = None,
    ) -> "Grid":
        """Return the grid that the parameter ``signal_shape`` describes.

        Parameters
        ----------
        signal_shape : int, sequence of int or None
            (length,), (height, width) or (height, width, channels). An int is the
            length, and None means (n_features,).
        n_features : int
            Number of columns of X.
        sampling_rate : float or None, default=None
            Samples per unit of time or length. None means that frequencies are in
            cycles over the whole signal.

        Returns
        -------
        grid : Grid
            The grid of a row.

        Raises
        ------
        ValueError
            If ``signal_shape`` is not one to three positive integers, or their product
            is not ``n_features``.
        """
        if signal_shape is None:
            return cls((n_features,), sampling_rate=sampling_rate)
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
        if not 1 <= len(shape) <= 3:
            raise ValueError(
                f"signal_shape={brief(signal_shape)} must have one to three axes. Pass "
                "(length,), (height, width) or (height, width, channels)."
            )
        if math.prod(shape) != n_features:
            raise ValueError(
                f"signal_shape={brief(signal_shape)} holds {math.prod(shape)} values, "
                f"but X has {n_features} features. "
                f"{_advice_on_shape(shape, n_features)}"
            )
        sizes = tuple(int(size) for size in shape[:2])
        if len(shape) < 3:
            return cls(sizes, sampling_rate=sampling_rate)
        return cls(sizes, int(shape[2]), True, sampling_rate)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row, as ``signal_shape`` gives it."""
        return (*self.sizes, self.channels) if self.channel_axis else self.sizes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels; a signal has the height 1."""
        return (1, *self.sizes, self.channels)[-3:]  # type: ignore[return-value]

    @property
    def n_axes(self) -> int:
        """Number D of axes: 1 for signals, 2 for images."""
        return len(self.sizes)

    @property
    def is_image(self) -> bool:
        """Whether the positions form an image."""
        return len(self.sizes) == 2

    @property
    def looks_channels_first(self) -> bool:
        """Whether ``signal_shape`` looks like (channels, height, width).

        The last size then is no common number of channels, whereas the first one is.
        """
        if not self.channel_axis or self.channels <= max(_COMMON_CHANNELS):
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
        rate = self.sampling_rate
        return np.array([1.0 if rate is None else rate / size for size in self.sizes])

    @property
    def nyquist(self) -> np.ndarray:
        """Nyquist frequency along each axis, in public units, shape (D,)."""
        return self.units * np.array(self.sizes) / 2

    @property
    def frequency_unit(self) -> str:
        """Unit of public frequencies in words."""
        if self.sampling_rate is None:
            return f"cycles per {'image' if self.is_image else 'signal'}"
        return "cycles per unit of length" if self.is_image else "Hz"

    def flattened(self) -> "Grid":
        """Return the grid of the flattened signal, with one axis and one channel."""
        return Grid((self.n_features,), sampling_rate=self.sampling_rate)

    def without_units(self) -> "Grid":
        """Return the same grid with frequencies in cycles over the whole signal."""
        return replace(self, sampling_rate=None)

    def coordinates(self, device: torch.device) -> torch.Tensor:
        """Return the position of each value of a row, in [-1/2, 1/2), shape (D, T)."""
        return _coordinates(self.sizes, self.channels, device)

    def channel_indicator(self, device: torch.device) -> torch.Tensor:
        """Return 1 where a value belongs to a channel, else 0, shape (channels, T)."""
        return _channel_indicator(self.n_places, self.channels, device)

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
        signals = rows.reshape(-1, *self.sizes, self.channels).movedim(-1, 1)
        return self.transform(signals).flatten(2)

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


@lru_cache(maxsize=16)
def _coordinates(
    sizes: tuple[int, ...], channels: int, device: torch.device
) -> torch.Tensor:
    lines = [
        torch.arange(n, dtype=torch.float64, device=device) / n - 0.5 for n in sizes
    ]
    mesh = torch.meshgrid(*lines, indexing="ij")
    flat = torch.stack([axis.reshape(-1) for axis in mesh])
    return flat.repeat_interleave(channels, dim=1)


@lru_cache(maxsize=16)
def _channel_indicator(
    n_places: int, channels: int, device: torch.device
) -> torch.Tensor:
    eye = torch.eye(channels, dtype=torch.float64, device=device)
    return eye.repeat(1, n_places)
