"""Sound and other signals to learn from, as arrays (n, length) of windows."""
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
# Where the string is plucked, as a share of its length.
_PLUCKED_AT = 0.2
# Seconds in which the fundamental falls by a factor of e; harmonic h takes 1/h of it.
_DECAY = 0.5
# Root mean square of the loudest note as it is plucked, in units of full scale.
_LEVEL = 0.2

# Matplotlib's gallery draws the 800 samples of the EEG over 10 seconds.
_EEG_SHAPE = (800, 4)
_EEG_SECONDS = 10


def cut_windows(
    signals: ArrayLike | Sequence[ArrayLike], length: int, hop: int | None = None
) -> np.ndarray:
    """Windows of one or several signals, one after the other.

    What is left at the end of a signal, being shorter than a window, is dropped, and a
    signal that is shorter altogether gives no window.

    Parameters
    ----------
    signals : array-like of shape (n,) or (m, n), or list of array-like of shape (n_i,)
        One signal, or several, which may differ in length; the rows of a matrix are
        several. Entries that are masked, or NA of pandas, become NaN, which
        :meth:`~skspectral.SpectralDictionaryLearning.impute` fills.
    length : int
        Samples of a window.
    hop : int or None, default=None
        Samples from the start of a window to that of the next. None is ``length``:
        no sample is in two windows.

    Returns
    -------
    windows : ndarray of shape (n_windows, length)
        A copy, in the floating dtype of the signals, or float64 for integers.

    Raises
    ------
    ValueError
        If ``length`` or ``hop`` is not positive, a signal has more than one dimension
        or no real numbers, or every signal is shorter than ``length``.

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
    numbers = [len(array) * n_windows(array.shape[1], length, hop) for array in kept]
    windows = np.empty((sum(numbers), length), dtype=dtype)
    ends = np.cumsum(numbers)
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
    """Windows of notes such as those of a plucked string, made by formula.

    Each window sounds one of a few pitches, from a random moment of the first half
    second on. Its harmonics start with the amplitudes of an ideal string's velocity,
    plucked at a fifth of its length, the higher ones decay sooner, and their phases are
    random; so is the loudness.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of windows.
    length : int, default=512
        Samples of a window.
    sampling_rate : float, default=8000.0
        Samples per second.
    pitches : sequence of float, default=(82.41, 110.0, 146.83, 196.0, 246.94, 329.63)
        Frequencies of the fundamentals in Hz. The default are a guitar's open strings.
    noise : float, default=0.005
        Standard deviation of the white noise that is added; that of a loud note is 0.2.
    random_state : int, RandomState instance or None, default=None
        Seed of pitches, loudness, moments, phases and noise.

    Returns
    -------
    X : ndarray of shape (n_samples, length), float64
        In units of full scale: nearly always within [-1, 1].
    y : ndarray of shape (n_samples,), float64
        Pitch of each window in Hz.

    Raises
    ------
    ValueError
        If a pitch is missing, or not between 0 and the Nyquist frequency, if
        ``n_samples``, ``length`` or ``sampling_rate`` is not positive, or ``noise`` is
        negative or not finite.

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
            f"pitches={tuple(fundamentals.tolist())} must be above 0 and below "
            f"{nyquist:g} Hz, half of sampling_rate={sampling_rate:g}."
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
    """Windows of all WAV files below a folder, in the order of the files' names.

    Integers are scaled to [-1, 1). A file that is shorter than a window does not
    matter. One that cannot be read, or has samples that are NaN or too large for
    float32, is skipped, and one warning names such files. Files are read in pieces.

    Parameters
    ----------
    folder : str or Path
        A folder, or a single WAV file. A folder is searched with its subfolders, links
        included, for names that end in .wav, in any case; hidden files and folders are
        left out, and a file that is reached twice counts once.
    length : int
        Samples of a window.
    hop : int or None, default=None
        Samples from the start of a window to that of the next. None is ``length``.
    channel : int or None, default=None
        The channel that is taken, from 0 on. None is the mean of all.

    Returns
    -------
    windows : ndarray of shape (n_windows, length), float32
    sampling_rate : float
        Samples per second.

    Raises
    ------
    TypeError
        If the folder is no path.
    FileNotFoundError
        If it does not exist.
    ValueError
        If it has no readable WAV file, every recording is shorter than a window, the
        others differ in their sampling rates, or one of them lacks the ``channel``; if
        ``length`` or ``hop`` is not positive, or ``channel`` is negative.

    Warns
    -----
    UserWarning
        If files are skipped, or channels cancel in their mean.
    scipy.io.wavfile.WavFileWarning
        If a file is cut short, or has a part that SciPy does not know.

    See Also
    --------
    cut_windows : The same for arrays.

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
            raise ValueError(f"{folder} has no readable WAV file.")
        longest = max(header.n_frames for header in headers.values())
        refuse_longer(length, longest, len(headers))
        used = {path: h for path, h in headers.items() if h.n_frames >= length}
        rate = _common_rate(used)
        _refuse_absent(channel, used)
        numbers = [n_windows(h.n_frames, length, hop) for h in used.values()]
        windows = np.empty((sum(numbers), length), dtype=np.float32)
        end = 0
        for path, number in zip(used, numbers, strict=True):
            rows = windows[end : end + number]
            fill = partial(read_windows, hop=hop, channel=channel, windows=rows)
            end += files.read(path, fill) or 0
        if end == 0:
            raise ValueError(f"{folder} has no readable WAV file.")
    return windows[:end], float(rate)


def load_eeg(length: int = 64, hop: int | None = None) -> tuple[np.ndarray, float]:
    """Windows of the electroencephalogram among Matplotlib's sample data.

    Four channels of 800 samples, each of zero mean and unit variance. The file does not
    say at which rate it was sampled; Matplotlib's gallery ("MRI with EEG") draws it
    over 10 seconds, which are 80 samples per second.

    Parameters
    ----------
    length : int, default=64
        Samples of a window.
    hop : int or None, default=None
        Samples from the start of a window to that of the next. None is ``length``.

    Returns
    -------
    windows : ndarray of shape (n_windows, length), float64
        Those of the first channel come first.
    sampling_rate : float
        Samples per second.

    Raises
    ------
    FileNotFoundError
        If Matplotlib was installed without its sample data.
    ValueError
        If ``length`` is more than 800, or ``length`` or ``hop`` is not positive.

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
            "Install Matplotlib from the Python package index."
        )
    # Written on a little-endian machine, whatever this one is.
    channels = np.fromfile(path, dtype="<f8").astype(np.float64).reshape(_EEG_SHAPE).T
    return cut_windows(channels, length, hop), _EEG_SHAPE[0] / _EEG_SECONDS


def _check_cut(length: int, hop: int | None) -> tuple[int, int]:
    """Length and hop as positive integers."""
    length = check_count("length", length, "sample")
    return length, length if hop is None else check_count("hop", hop, "sample")


def _common_rate(headers: dict[Path, Header]) -> int:
    """The sampling rate in Hz, or an error if there are several."""
    (first, expected), *others = headers.items()
    for path, header in others:
        if header.rate != expected.rate:
            raise ValueError(
                f"The sampling rates differ: {first} has {expected.rate} Hz, {path} "
                f"has {header.rate} Hz. Resample them to one rate, or put them into "
                "folders of their own."
            )
    return expected.rate


def _refuse_absent(channel: int | None, headers: dict[Path, Header]) -> None:
    """Raise if a recording does not have the channel."""
    path, header = min(headers.items(), key=lambda item: item[1].n_channels)
    if channel is not None and channel >= header.n_channels:
        raise ValueError(
            f"channel={channel} must be from 0 to {header.n_channels - 1}, or None for "
            f"the mean of all channels, as {path} has {header.n_channels} of them."
        )


def _plucked_string(
    seconds: np.ndarray, pitch: float, nyquist: float, stream: np.random.Generator
) -> np.ndarray:
    """Sound of a string at (n, length) times after it was plucked, phases random."""
    harmonics = np.arange(1, int(np.ceil(nyquist / pitch)))
    amplitudes = np.sin(np.pi * _PLUCKED_AT * harmonics) / harmonics
    amplitudes *= _LEVEL / np.sqrt((amplitudes**2).sum() / 2)
    sound = np.zeros_like(seconds)
    for harmonic, amplitude in zip(harmonics, amplitudes, strict=True):
        phases = stream.uniform(0, 2 * np.pi, (len(seconds), 1))
        wave = np.sin(2 * np.pi * harmonic * pitch * seconds + phases)
        sound += amplitude * np.exp(-harmonic / _DECAY * seconds) * wave
    return sound
