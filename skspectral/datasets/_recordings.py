"""WAV files of any length, as windows of float32."""
# SPDX-License-Identifier: BSD-3-Clause

import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

# So many frames, of all channels, are decoded at a time, and at least two windows.
_PIECE = 2**14
# Channels cancel whose mean has less than this share of their power. Channels that are
# independent keep one part in their number.
_SILENT = 1e-4
# Size of samples that were written before their number was known.
_UNKNOWN = 2**32 - 1


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
    return Header(rate, *samples.shape[:2])


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
    at_once = max(length, _PIECE - length) // hop + 1
    power = power_of_channels = 0.0
    for first in range(0, n_windows, at_once):
        rows = windows[first : first + at_once]
        start, stop = first * hop, (first + len(rows) - 1) * hop + length
        channels = _as_floats(samples[start:stop])
        if channel is not None:
            channels = channels[:, channel : channel + 1]
        if not (np.abs(channels) <= np.finfo(np.float32).max).all():
            raise ValueError("it has samples that are NaN or too large for float32")
        signal = channels.mean(axis=1)
        power += signal.var() * len(signal)
        power_of_channels += channels.var(axis=0).mean() * len(signal)
        signal = signal.astype(np.float32)
        rows[:] = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    if power < _SILENT * power_of_channels:
        warnings.warn(
            f"the mean of its {samples.shape[1]} channels is nearly silent, as they "
            "cancel; pass channel=0 for the first",
            stacklevel=2,
        )
    return n_windows


def _open(path: Path) -> tuple[int, np.ndarray]:
    """Sampling rate and samples (n_frames, n_channels), mapped where they can be.

    Samples of 3 bytes have a third axis: that of their bytes, the least first.
    """
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path, mmap=True)
    except ValueError as error:
        # Neither those of 3 bytes nor those of a file that is cut short are mapped.
        rate, samples = _read_whole_frames(path, "3-byte" in str(error))
    return rate, samples[:, None] if samples.ndim == 1 else samples


def _read_whole_frames(path: Path, of_3_bytes: bool) -> tuple[int, np.ndarray]:
    """Map a file that SciPy cannot map, up to its last whole frame.

    Files that are big-endian, or of a kind for more than 4 GiB, are left to SciPy.
    """
    from scipy.io import wavfile

    chunk = _data_chunk(path)
    if chunk is None or chunk.n_frames == 0:
        return wavfile.read(path)
    if not of_3_bytes:
        whole = chunk.start + chunk.n_frames * chunk.frame_size
        return wavfile.read(BytesIO(path.read_bytes()[:whole]))
    if chunk.is_cut_short:
        warnings.warn("it is cut short", wavfile.WavFileWarning, stacklevel=2)
    shape = (chunk.n_frames, chunk.n_channels, 3)
    return chunk.rate, np.memmap(path, np.uint8, "r", chunk.start, shape)


class _DataChunk(NamedTuple):
    """Where the samples of a file are, and how many bytes a frame of them has."""

    rate: int
    n_channels: int
    frame_size: int
    start: int
    n_frames: int
    is_cut_short: bool


def _data_chunk(path: Path) -> _DataChunk | None:
    """The samples of a little-endian file of at most 4 GiB; None for others."""
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
    there = min(size, path.stat().st_size - start)
    is_cut_short = there < size < _UNKNOWN
    n_frames = there // frame_size
    return _DataChunk(rate, n_channels, frame_size, start, n_frames, is_cut_short)


def _as_floats(samples: np.ndarray) -> np.ndarray:
    """Samples (n_frames, n_channels) in float64, integers scaled to [-1, 1)."""
    if samples.ndim == 3:
        padded = np.zeros((*samples.shape[:2], 4), np.uint8)
        padded[..., 1:] = samples
        samples = padded.view("<i4")[..., 0]
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    # Of integers only those of 8 bits have no sign; SciPy shifts 24 bits to 32.
    middle = 128.0 if samples.dtype.kind == "u" else 0.0
    return (samples - middle) / 2.0 ** (8 * samples.dtype.itemsize - 1)
