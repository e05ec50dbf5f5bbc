"""Load or make signals as arrays of windows, of shape (n_windows, length)."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, as_numpy, validated
from skspectral.datasets._arrays import as_real_array, check_count
from skspectral.datasets._folders import Folder
from skspectral.datasets._recordings import Header, read_header, read_windows
from skspectral.datasets._signal_lists import as_signals, n_windows, refuse_longer

# The open strings of a guitar, E2 to E4, in Hz.
_GUITAR = (82.41, 110.0, 146.83, 196.0, 246.94, 329.63)
# Position where the string is plucked, as a fraction of its length.
_PLUCKED_AT = 0.2
# Seconds in which the fundamental decays by a factor of e; harmonic h decays h times as
# fast.
_DECAY = 0.5
# Root mean square of the loudest note when it is plucked, in units of full scale.
_LEVEL = 0.2

# Samples and channels in the file. Matplotlib's gallery draws them over 10 seconds.
_EEG_SHAPE = (800, 4)
_EEG_SECONDS = 10


def cut_windows(
    signals: ArrayLike | Sequence[ArrayLike], length: int, hop: int | None = None
) -> np.ndarray:
    """Cut one or several signals into windows of equal length.

    The samples after the last whole window of a signal are dropped. A signal that is
    shorter than a window gives no window.

    Parameters
    ----------
    signals : array-like of shape (n,) or (m, n), or list of array-like of shape (n_i,)
        One signal, a matrix whose rows are signals, or a list of signals, which may
        differ in length. Masked entries and NA of pandas become NaN, which
        :meth:`~skspectral.SpectralDictionaryLearning.impute` fills.
    length : int
        Length of a window in samples.
    hop : int or None, default=None
        Number of samples from the start of one window to the start of the next. None
        means ``length``: the windows are adjacent and do not overlap.

    Returns
    -------
    windows : ndarray of shape (n_windows, length)
        Windows in the order of the signals and of time. They are a copy, in the
        floating dtype of the signals, or in float64 if these are integers.

    Raises
    ------
    ValueError
        If ``length`` or ``hop`` is not a positive integer.
    ValueError
        If a signal has more than one dimension, or is not made of real numbers.
    ValueError
        If all signals are shorter than ``length``.

    See Also
    --------
    load_recordings : Cut the WAV files below a folder into windows.
    cut_patches : Cut patches from images.

    Examples
    --------
    >>> from skspectral.datasets import cut_windows
    >>> cut_windows([[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]], length=3, hop=2)
    array([[ 1.,  2.,  3.],
           [ 3.,  4.,  5.],
           [ 8.,  9., 10.]])
    """
    length, hop = _check_cut(length, hop)
    arrays, dtype = as_signals(signals, length)
    kept = [array for array in arrays if array.shape[1] >= length]
    counts = [len(array) * n_windows(array.shape[1], length, hop) for array in kept]
    windows = np.empty((sum(counts), length), dtype=dtype)
    ends = np.cumsum(counts)
    for array, rows in zip(kept, np.split(windows, ends[:-1]), strict=True):
        views = np.lib.stride_tricks.sliding_window_view(array, length, axis=1)
        views = views[:, ::hop]
        rows.reshape(views.shape)[:] = views
    return windows


@validated(
    sampling_rate=[Interval(Real, 0, None, closed="neither")],
    pitches=["array-like"],
    noise=[Interval(Real, 0, None, closed="left")],
)
def make_tones(
    n_samples: int = 1000,
    length: int = 512,
    *,
    sampling_rate: float = 8000.0,
    pitches: Sequence[float] = _GUITAR,
    noise: float = 0.005,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Make windows of decaying harmonic tones, similar to those of a plucked string.

    Each window contains one tone. Its pitch, its loudness and the phases of its
    harmonics are random, and the string was plucked up to half a second before the
    window starts. The initial amplitude of harmonic h is proportional to
    sin(pi h / 5) / h, like that of the velocity of an ideal string plucked at a fifth
    of its length. Amplitudes decay exponentially, and faster for higher harmonics.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of windows.
    length : int, default=512
        Length of a window in samples.
    sampling_rate : float, default=8000.0
        Number of samples per second. Harmonics above half of it are left out.
    pitches : sequence of float, default=(82.41, 110.0, 146.83, 196.0, 246.94, 329.63)
        Frequencies of the fundamentals in Hz, one of which is drawn per window. The
        default is the pitches of the open strings of a guitar.
    noise : float, default=0.005
        Standard deviation of the white noise that is added. 0 adds no noise. For
        comparison, the loudest tone has the root mean square 0.2 when it is plucked.
    random_state : int, RandomState instance or None, default=None
        Controls all random properties of the tones, and the noise. Pass an int for the
        same windows in every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length), float64
        Windows in units of full scale: few samples are outside [-1, 1].
    y : ndarray of shape (n_samples,), float64
        Pitch of each window in Hz.

    Raises
    ------
    ValueError
        If ``pitches`` is empty, or a pitch is missing or is not between 0 and the
        Nyquist frequency.
    ValueError
        If ``n_samples`` or ``length`` is not a positive integer.
    ValueError
        If ``sampling_rate`` is not positive, or ``noise`` is negative or not finite.

    See Also
    --------
    load_recordings : Load windows of recorded sound.

    Examples
    --------
    >>> from skspectral.datasets import make_tones
    >>> X, y = make_tones(10, 256, pitches=[220.0, 440.0], random_state=0)
    >>> X.shape, sorted(set(y.tolist()))
    ((10, 256), [220.0, 440.0])
    """
    n_samples = check_count("n_samples", n_samples, "window")
    length = check_count("length", length, "sample")
    fundamentals = as_real_array(as_numpy(pitches, "pitches"), "pitches").ravel()
    nyquist = sampling_rate / 2
    possible = (fundamentals > 0) & (fundamentals < nyquist)
    if not (possible.size and possible.all()):
        raise ValueError(
            f"pitches={tuple(fundamentals.tolist())} must be frequencies above 0 and "
            f"below {nyquist:g} Hz, half of sampling_rate={sampling_rate:g}."
        )
    stream = random_stream(random_state)
    y = stream.choice(fundamentals, n_samples)
    loudness = stream.uniform(0.2, 1.0, n_samples)
    first = stream.uniform(0.0, _DECAY, n_samples)
    seconds = first[:, None] + np.arange(length) / sampling_rate
    X = noise * stream.standard_normal((n_samples, length))
    for pitch in np.unique(y):
        rows = np.flatnonzero(y == pitch)
        string = _plucked_string(seconds[rows], pitch, nyquist, stream)
        X[rows] += loudness[rows, None] * string
    return X, y


def load_recordings(
    folder: str | Path,
    length: int,
    hop: int | None = None,
    *,
    channel: int | None = None,
) -> tuple[np.ndarray, float]:
    """Load windows of all WAV files below a folder.

    The files are read piece by piece, in the order of their paths. Integers are scaled
    to [-1, 1). Recordings that are shorter than a window give no window.

    Parameters
    ----------
    folder : str or Path
        Folder that is searched, with its subfolders, for files whose name ends in .wav,
        in upper or lower case. Symbolic links are followed. Hidden files and folders
        are ignored, and a file that can be reached by several paths counts once.
    length : int
        Length of a window in samples.
    hop : int or None, default=None
        Number of samples from the start of one window to the start of the next. None
        means ``length``: the windows are adjacent and do not overlap.
    channel : int or None, default=None
        Index of the channel that is read; 0 is the first channel. None reads the mean
        of all channels.

    Returns
    -------
    windows : ndarray of shape (n_windows, length), float32
        Windows in the order of the files and of time.
    sampling_rate : float
        Number of samples per second, which is equal in all recordings.

    Raises
    ------
    TypeError
        If ``folder`` is neither a str nor a Path.
    FileNotFoundError
        If ``folder`` is not an existing folder.
    ValueError
        If the folder has no readable WAV file.
    ValueError
        If all recordings are shorter than a window.
    ValueError
        If the recordings, without those that are shorter than a window, differ in their
        sampling rates, or one of them does not have the ``channel``.
    ValueError
        If ``length`` or ``hop`` is not a positive integer, or ``channel`` is negative.

    Warns
    -----
    UserWarning
        If files are skipped, because they are not readable or because a sample is NaN
        or too large for float32. One warning names these files.
    UserWarning
        If the channels of a recording cancel each other in their mean.
    scipy.io.wavfile.WavFileWarning
        If a file is truncated, or has a part that SciPy does not know.

    See Also
    --------
    cut_windows : Cut signals in memory into windows.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.io import wavfile
    >>> from skspectral.datasets import load_recordings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wavfile.write(f"{folder}/a.wav", 8000, np.zeros(1000, dtype=np.int16))
    ...     windows, sampling_rate = load_recordings(folder, length=256)
    >>> windows.shape, sampling_rate
    ((3, 256), 8000.0)
    """
    length, hop = _check_cut(length, hop)
    if channel is not None:
        channel = check_count("channel", channel, "(the first channel)", least=0)
    with Folder(folder, ".wav") as files:
        headers = files.read_all(read_header)
        if not headers:
            raise ValueError(_no_wav_file(folder))
        longest = max(header.n_frames for header in headers.values())
        refuse_longer(length, longest, len(headers))
        used = {path: h for path, h in headers.items() if h.n_frames >= length}
        rate = _common_rate(used)
        _refuse_absent(channel, used)
        counts = [n_windows(h.n_frames, length, hop) for h in used.values()]
        windows = np.empty((sum(counts), length), dtype=np.float32)
        end = 0
        for path, count in zip(used, counts, strict=True):
            rows = windows[end : end + count]
            fill = partial(read_windows, hop=hop, channel=channel, windows=rows)
            end += files.read(path, fill) or 0
        if end == 0:
            raise ValueError(_no_wav_file(folder))
    return windows[:end], float(rate)


def load_eeg(length: int = 64, hop: int | None = None) -> tuple[np.ndarray, float]:
    """Load windows of the electroencephalogram in Matplotlib's sample data.

    The recording has four channels of 800 samples. Each channel has zero mean and unit
    variance. The file does not specify the sampling rate: Matplotlib's gallery ("MRI
    with EEG") draws the recording over 10 seconds, which gives 80 samples per second.

    Parameters
    ----------
    length : int, default=64
        Length of a window in samples, at most 800.
    hop : int or None, default=None
        Number of samples from the start of one window to the start of the next. None
        means ``length``: the windows are adjacent and do not overlap.

    Returns
    -------
    windows : ndarray of shape (n_windows, length), float64
        Windows in the order of the channels and of time.
    sampling_rate : float
        Number of samples per second: 80.

    Raises
    ------
    FileNotFoundError
        If Matplotlib was installed without its sample data.
    ValueError
        If ``length`` or ``hop`` is not a positive integer, or ``length`` is more than
        800.

    See Also
    --------
    cut_windows : Cut signals in memory into windows.

    Examples
    --------
    >>> from skspectral.datasets import load_eeg
    >>> windows, sampling_rate = load_eeg(100)
    >>> windows.shape, sampling_rate
    ((32, 100), 80.0)
    """
    # Matplotlib is slow to import, and only this function needs it.
    from matplotlib.cbook import get_sample_data

    path = Path(str(get_sample_data("eeg.dat", asfileobj=False)))
    if not path.is_file():
        raise FileNotFoundError(
            f"Matplotlib is installed without its sample data: {path} is missing. "
            "Install Matplotlib by pip, which includes these data."
        )
    # The file is little-endian, which this machine need not be.
    channels = np.fromfile(path, dtype="<f8").astype(np.float64).reshape(_EEG_SHAPE).T
    return cut_windows(channels, length, hop), _EEG_SHAPE[0] / _EEG_SECONDS


def _check_cut(length: int, hop: int | None) -> tuple[int, int]:
    """Return ``length`` and ``hop`` as positive integers."""
    length = check_count("length", length, "sample")
    return length, length if hop is None else check_count("hop", hop, "sample")


def _no_wav_file(folder: str | Path) -> str:
    return (
        f"folder={str(folder)!r} has no readable WAV file. Pass a folder that contains "
        "WAV files."
    )


def _common_rate(headers: dict[Path, Header]) -> int:
    """Return the sampling rate in Hz; raise a ValueError if there are several."""
    (first, expected), *others = headers.items()
    for path, header in others:
        if header.rate != expected.rate:
            raise ValueError(
                f"The sampling rates differ: {first} has {expected.rate} Hz, {path} "
                f"has {header.rate} Hz. Resample the recordings to one rate, or put "
                "the recordings of each rate into a separate folder."
            )
    return expected.rate


def _refuse_absent(channel: int | None, headers: dict[Path, Header]) -> None:
    """Raise a ValueError if a recording does not have the channel."""
    path, header = min(headers.items(), key=lambda item: item[1].n_channels)
    n_channels = header.n_channels
    if channel is not None and channel >= n_channels:
        raise ValueError(
            f"channel={channel} must be from 0 to {n_channels - 1}, because {path} has "
            f"{n_channels} channel{'s' * (n_channels != 1)}. Pass channel=None for the "
            "mean of all channels."
        )


def _plucked_string(
    seconds: np.ndarray, pitch: float, nyquist: float, stream: np.random.Generator
) -> np.ndarray:
    """Return tones with random phases at (n, length) times, 0 when they are plucked."""
    harmonics = np.arange(1, int(np.ceil(nyquist / pitch)))
    amplitudes = np.sin(np.pi * _PLUCKED_AT * harmonics) / harmonics
    amplitudes *= _LEVEL / np.sqrt((amplitudes**2).sum() / 2)
    sound = np.zeros_like(seconds)
    for harmonic, amplitude in zip(harmonics, amplitudes, strict=True):
        phases = stream.uniform(0, 2 * np.pi, (len(seconds), 1))
        wave = np.sin(2 * np.pi * harmonic * pitch * seconds + phases)
        sound += amplitude * np.exp(-harmonic / _DECAY * seconds) * wave
    return sound
