"""Recordings in memory or in WAV files, with samples of any format."""
# SPDX-License-Identifier: BSD-3-Clause

import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skspectral._missing import missing_as_nan
from skspectral.datasets._arrays import as_real_array
from skspectral.datasets._folders import Folder
from skspectral.datasets._recordings import (
    as_floats,
    integer_range,
    open_samples,
    whole_numbers,
)

# Number of samples of a recording that are in memory at a time.
_AT_ONCE = 2**20
# Largest number of bytes of samples in a WAV file of 24 bits.
_LARGEST_FILE = 2**32 - 2**10


class Recording(NamedTuple):
    """Recording with its samples in their own format, (n_times, n_channels).

    Samples of 24 bits have a third axis for their 3 bytes, the least significant byte
    first. The shape is that in which the user passed the recording.
    """

    samples: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def from_array(cls, values: Any, name: str) -> "Recording":
        """Return the recording of an array (n_times,) or (n_times, n_channels)."""
        array = as_real_array(missing_as_nan(values), name)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.ndim not in (1, 2):
            raise ValueError(
                f"{name} of shape {array.shape} must have the shape (n_times,) or "
                "(n_times, n_channels). Pass one recording at a time."
            )
        if array.ndim == 2 and array.shape[1] > max(array.shape[0], 1):
            raise ValueError(
                f"{name} of shape {array.shape} must have the shape (n_times, "
                f"n_channels), but has more channels than samples. Pass {name}.T, or "
                "one recording at a time."
            )
        if array.size == 0:
            raise ValueError(f"{name} of shape {array.shape} has no samples.")
        return cls(array.reshape(len(array), -1), array.shape)

    @property
    def n_times(self) -> int:
        """Number of samples per channel."""
        return len(self.samples)

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.samples.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of the results."""
        dtype = self.samples.dtype
        return np.dtype(np.float64) if dtype.kind == "b" else dtype

    @property
    def is_24_bit(self) -> bool:
        """Whether samples are integers of 3 bytes."""
        return self.samples.ndim == 3

    def part(self, channel: int, index: np.ndarray) -> np.ndarray:
        """Return samples of a channel in float64; integers are scaled to [-1, 1)."""
        values = self.samples[index, channel]
        return as_floats(whole_numbers(values) if self.is_24_bit else values)

    def as_samples(self, values: np.ndarray) -> np.ndarray:
        """Return values of `part` as samples of the recording's own format."""
        if self.is_24_bit:
            whole = np.rint(values * 2.0**23).clip(-(2.0**23), 2.0**23 - 1)
            return whole.astype("<i4")[..., None].view(np.uint8)[..., :3]
        if self.dtype.kind not in "iu":
            return values.astype(self.dtype)
        middle, half = integer_range(self.dtype)
        limits = np.iinfo(self.dtype)
        # The largest integers of 64 bits are no floats, so that limits are set last.
        rounded = np.rint(values * half + middle)
        low, high = float(limits.min), float(limits.max)
        samples = rounded.clip(low, np.nextafter(high, 0) if high % 2 == 0 else high)
        return samples.astype(self.dtype)

    def parts(self, channel: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Iterate over all samples of a channel: places and samples, as in `part`."""
        for start in range(0, self.n_times, _AT_ONCE):
            stop = min(start + _AT_ONCE, self.n_times)
            yield slice(start, stop), self.part(channel, np.arange(start, stop))

    def largest(self, channel: int) -> float:
        """Return the largest absolute value of a channel, as `part` returns values."""
        return max(float(np.abs(x).max()) for _, x in self.parts(channel))

    def refuse_infinite(self, name: str, *, allow_nan: bool = False) -> None:
        """Raise an error if samples are infinite, or NaN unless these are allowed."""
        if self.dtype.kind in "iu":
            return
        for start in range(0, self.n_times, _AT_ONCE):
            values = self.samples[start : start + _AT_ONCE]
            if np.isinf(values).any():
                raise ValueError(infinite(name))
            if not allow_nan and np.isnan(values).any():
                raise ValueError(
                    f"{name} has NaN. Fill these samples by inpaint first, or leave "
                    "out the part with NaN."
                )

    def missing(self, mask: ArrayLike | None) -> np.ndarray:
        """Return which samples are missing, (n_times, n_channels)."""
        missing = np.isnan(self.samples)
        if mask is None:
            return missing
        marks = np.asarray(mask)
        is_valid = marks.shape in (self.shape, self.shape[:1])
        if not is_valid or marks.dtype != bool:
            raise ValueError(
                f"mask of shape {marks.shape} and type {marks.dtype} must be an array "
                f"of bool of the shape {self.shape} of recording, or "
                f"{self.shape[:1]}. Pass True for missing samples."
            )
        return missing | (marks[:, None] if marks.ndim == 1 else marks)


class Recordings:
    """Recordings in memory or in files, one after the other, with names for errors."""

    def __init__(self, values: Any, name: str):
        self._name = name
        self._values: Any
        if isinstance(values, (str, Path)):
            self._values = Folder(values, ".wav")
            self.number = len(self._values.files)
        else:
            self._values = _as_list(values, name)
            self.number = len(self._values)
        if self.number == 0:
            raise ValueError(
                f"{name} is empty. Pass at least one recording, or a folder that "
                "contains WAV files."
            )

    def __iter__(self) -> Iterator[tuple[Recording, str]]:
        rates = dict[int, str]()
        if isinstance(self._values, Folder):
            with self._values as folder:
                for path in folder.files:
                    found = folder.read(path, read_recording)
                    if found is not None:
                        rates.setdefault(found[0], str(path))
                        yield found[1], str(path)
            if not rates:
                raise ValueError(f"{self._name} has no readable WAV file.")
        else:
            for i, value in enumerate(self._values):
                name = f"{self._name}[{i}]"
                if isinstance(value, (str, Path)):
                    rate, recording = read_recording(Path(value))
                    rates.setdefault(rate, str(value))
                    yield recording, name
                else:
                    yield Recording.from_array(value, name), name
        if len(rates) > 1:
            raise ValueError(
                f"{self._name} have several sampling rates: "
                + ", ".join(f"{path} has {rate} Hz" for rate, path in rates.items())
                + ". Resample them to one rate."
            )


def read_recording(path: Path) -> tuple[int, Recording]:
    """Return the sampling rate and the samples of a WAV file, mapped if possible."""
    rate, samples = open_samples(path)
    if samples.size == 0:
        raise ValueError(f"{path} has no samples.")
    return rate, Recording(samples, samples.shape[:2])


def write_recording(path: Path, rate: int, recording: Recording) -> None:
    """Write a recording to a WAV file, in its own format."""
    from scipy.io import wavfile

    samples = recording.samples
    if not recording.is_24_bit:
        wavfile.write(path, rate, samples[:, 0] if samples.shape[1] == 1 else samples)
        return
    if samples.size > _LARGEST_FILE:
        raise ValueError(
            f"{samples.size} bytes of samples do not fit into a WAV file of 24 bits, "
            "which has at most 4 GiB. Convert the recording to 32 bits."
        )
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 3, rate, len(samples), "NONE", ""))
        for start in range(0, len(samples), _AT_ONCE):
            file.writeframesraw(samples[start : start + _AT_ONCE].tobytes())


def infinite(name: str) -> str:
    """Return the message of the error for infinite samples."""
    return (
        f"{name} has infinite samples. Replace them by NaN, and fill them by inpaint."
    )


def mirrored(index: np.ndarray, n: int) -> np.ndarray:
    """Return indices of n samples, which are continued by their mirror image."""
    index = index % (2 * n)
    return np.minimum(index, 2 * n - 1 - index)


def _as_list(values: Any, name: str) -> Sequence[Any]:
    """Return a list of recordings, from such a list, an array, or one recording."""
    is_list = isinstance(values, (list, tuple))
    if is_list and (not values or isinstance(values[0], (str, Path))):
        return values
    if is_list and np.ndim(values[0]) > 0:
        return values
    array = as_real_array(missing_as_nan(values), name)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} of shape {array.shape} must have the shape (n_times,) or "
            "(n_recordings, n_times). Pass a list of arrays of shape (n_times, "
            "n_channels) for recordings with several channels."
        )
    return list(np.atleast_2d(array))
