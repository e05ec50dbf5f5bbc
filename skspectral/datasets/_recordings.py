"""WAV files of any length, as windows of float32."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

# So many frames, of all channels, are decoded at a time.
_PIECE = 2**16
# Channels cancel whose mean has less than this share of their power. Channels that are
# independent keep one part in their number.
_SILENT = 1e-4


class Header(NamedTuple):
    """Sampling rate in Hz of a file, and its numbers of frames and channels."""

    rate: int
    n_frames: int
    n_channels: int


def read_header(path: Path) -> Header:
    """What a WAV file holds; its samples are not read where they can be mapped."""
    rate, samples = _open(path)
    if rate < 1:
        raise ValueError(f"its sampling rate is {rate} Hz")
    return Header(rate, *samples.shape)


def read_windows(path: Path, hop: int, channel: int | None, windows: np.ndarray) -> int:
    """Fill windows (n, length) with those of a file, piece by piece; return n.

    Integers are scaled to [-1, 1). One channel is taken, or the mean of all.

    Raises
    ------
    ValueError
        If a sample is NaN or beyond the range of float32.

    Warns
    -----
    UserWarning
        If the channels cancel in their mean.
    """
    n_windows, length = windows.shape
    _, samples = _open(path)
    at_once = max(1, (_PIECE - length) // hop + 1)
    power = power_of_channels = 0.0
    for first in range(0, n_windows, at_once):
        rows = windows[first : first + at_once]
        start, stop = first * hop, (first + len(rows) - 1) * hop + length
        channels = _as_floats(samples[start:stop])
        # Samples that are not finite are found below.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = channels.mean(axis=1)
            power += mean.var() * len(mean)
            power_of_channels += channels.var(axis=0).mean() * len(mean)
            signal = mean if channel is None else channels[:, channel]
            signal = signal.astype(np.float32)
        if not np.isfinite(signal).all():
            raise ValueError("it has samples that are NaN or too large for float32")
        rows[:] = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    if channel is None and power < _SILENT * power_of_channels:
        warnings.warn(
            f"the mean of its {samples.shape[1]} channels is nearly silent, as they "
            "cancel; pass channel=0 for the first",
            stacklevel=2,
        )
    return n_windows


def _open(path: Path) -> tuple[int, np.ndarray]:
    """Sampling rate and samples (n_frames, n_channels), mapped where they can be."""
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path, mmap=True)
    except ValueError:
        # Samples of 3 bytes, and those of files that are cut short, cannot be mapped.
        rate, samples = wavfile.read(path)
    return rate, samples if samples.ndim == 2 else samples[:, None]


def _as_floats(samples: np.ndarray) -> np.ndarray:
    """Samples in float64, integers scaled to [-1, 1)."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    # Of integers only those of 8 bits have no sign; SciPy shifts 24 bits to 32.
    middle = 128.0 if samples.dtype.kind == "u" else 0.0
    return (samples - middle) / 2.0 ** (8 * samples.dtype.itemsize - 1)
