"""Read WAV files of any length as windows of float32 samples."""
# SPDX-License-Identifier: BSD-3-Clause

import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

# A frame is one sample of each channel. A file is decoded in pieces of at most this
# many frames, or of two windows if these are longer.
_PIECE_FRAMES = 2**14
# The user is warned if the variance of the mean of all channels is below this fraction
# of the mean variance of the channels. For n independent channels it is 1 / n.
_LEAST_POWER_RATIO = 1e-4
# Size of the data in the header of a file that was written while it was recorded.
_UNKNOWN_SIZE = 2**32 - 1


class Header(NamedTuple):
    """Sampling rate in Hz, number of frames and number of channels of a WAV file."""

    rate: int
    n_frames: int
    n_channels: int


def read_header(path: Path) -> Header:
    """Read the header of a WAV file, without its samples if the file can be mapped."""
    rate, samples = open_samples(path)
    if rate < 1:
        raise ValueError(f"its sampling rate of {rate} Hz is not positive")
    return Header(rate, *samples.shape[:2])


def read_windows(path: Path, hop: int, channel: int | None, windows: np.ndarray) -> int:
    """Read a file piece by piece into the array ``windows`` of shape (n, length).

    Integers are scaled to [-1, 1). If ``channel`` is None, the windows are those of the
    mean of all channels. The result is the number n of windows.

    Raises
    ------
    ValueError
        If a sample is NaN or beyond the range of float32.

    Warns
    -----
    UserWarning
        If the channels cancel each other in their mean.
    """
    n_windows, length = windows.shape
    _, samples = open_samples(path)
    at_once = max(length, _PIECE_FRAMES - length) // hop + 1
    power = power_of_channels = 0.0
    for first in range(0, n_windows, at_once):
        rows = windows[first : first + at_once]
        start, stop = first * hop, (first + len(rows) - 1) * hop + length
        channels = samples[start:stop]
        if channels.ndim == 3:
            channels = whole_numbers(channels)
        channels = as_floats(channels)
        if channel is not None:
            channels = channels[:, channel : channel + 1]
        if not (np.abs(channels) <= np.finfo(np.float32).max).all():
            raise ValueError("it has samples that are NaN or too large for float32")
        signal = channels.mean(axis=1)
        power += signal.var() * len(signal)
        power_of_channels += channels.var(axis=0).mean() * len(signal)
        signal = signal.astype(np.float32)
        rows[:] = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    if power < _LEAST_POWER_RATIO * power_of_channels:
        warnings.warn(
            f"its {samples.shape[1]} channels cancel each other, so that their mean is "
            "nearly silent; pass channel=0 to take the first channel",
            stacklevel=2,
        )
    return n_windows


def open_samples(path: Path) -> tuple[int, np.ndarray]:
    """Return the sampling rate and the samples, of shape (n_frames, n_channels).

    Samples are mapped into memory if possible. Samples of 3 bytes have a third axis for
    the bytes, the least significant byte first.
    """
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path, mmap=True)
    except ValueError as error:
        # SciPy maps neither samples of 3 bytes nor the samples of a truncated file.
        rate, samples = _read_whole_frames(path, "3-byte" in str(error))
    return rate, samples[:, None] if samples.ndim == 1 else samples


def _read_whole_frames(path: Path, of_3_bytes: bool) -> tuple[int, np.ndarray]:
    """Read or map a file that SciPy cannot map, up to its last complete frame.

    Big-endian files, and files of the formats for more than 4 GiB, are read by SciPy.
    """
    from scipy.io import wavfile

    chunk = _data_chunk(path)
    if chunk is None or chunk.n_frames == 0:
        return wavfile.read(path)
    if not of_3_bytes:
        stop = chunk.start + chunk.n_frames * chunk.frame_size
        return wavfile.read(BytesIO(path.read_bytes()[:stop]))
    if chunk.is_truncated:
        warnings.warn("the file is truncated", wavfile.WavFileWarning, stacklevel=2)
    shape = (chunk.n_frames, chunk.n_channels, 3)
    return chunk.rate, np.memmap(path, np.uint8, "r", chunk.start, shape)


class _DataChunk(NamedTuple):
    """Position, number and size of the frames in a WAV file."""

    rate: int
    n_channels: int
    frame_size: int
    start: int
    n_frames: int
    is_truncated: bool


def _data_chunk(path: Path) -> _DataChunk | None:
    """Find the samples of a little-endian file of up to 4 GiB; None for other files."""
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return None
        name = b""
        while name != b"data":
            name, size = struct.unpack("<4sI", file.read(8))
            start = file.tell()
            if name == b"fmt ":
                n_channels, rate, frame_size = struct.unpack(
                    "<2xHI4xH2x", file.read(16)
                )
            if name != b"data":
                file.seek(start + size + size % 2)
    present = min(size, path.stat().st_size - start)
    is_truncated = present < size < _UNKNOWN_SIZE
    n_frames = present // frame_size
    return _DataChunk(rate, n_channels, frame_size, start, n_frames, is_truncated)


def whole_numbers(samples: np.ndarray) -> np.ndarray:
    """Return samples of 3 bytes, of shape (..., 3), as int32 with a last byte of 0."""
    padded = np.zeros((*samples.shape[:-1], 4), np.uint8)
    padded[..., 1:] = samples
    return padded.view("<i4")[..., 0]


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Convert samples to float64; integers are scaled to [-1, 1)."""
    middle, half = integer_range(samples.dtype)
    return (samples.astype(np.float64) - middle) / half


def integer_range(dtype: np.dtype) -> tuple[float, float]:
    """Return silence and full scale of integers of a type, or 0 and 1 for floats."""
    if dtype.kind not in "iu":
        return 0.0, 1.0
    half = 2.0 ** (8 * dtype.itemsize - 1)
    return half if dtype.kind == "u" else 0.0, half
