"""Sound and other signals to learn from, as arrays (n, length) of windows."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._random import random_stream
from skspectral.datasets._folders import read_folder

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
    signals : array-like of shape (n,) or list of array-like of shape (n_i,)
        One signal, or several, which may differ in length; the rows of a matrix are
        several.
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
        If ``length`` or ``hop`` is not positive, a signal has more than one dimension,
        or every signal is shorter than ``length``.

    Examples
    --------
    >>> from skspectral.datasets import cut_windows
    >>> cut_windows([[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]], length=3, hop=2)
    array([[ 1.,  2.,  3.],
           [ 3.,  4.,  5.],
           [ 8.,  9., 10.]])
    """
    hop = length if hop is None else hop
    for name, value in (("length", length), ("hop", hop)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1 sample.")
    arrays = _as_signals(signals)
    longest = max((len(array) for array in arrays), default=0)
    if longest < length:
        raise ValueError(
            f"length={length} is longer than every signal: the longest of "
            f"{len(arrays)} has {longest} samples. Pass a length of at most that."
        )
    dtype = np.result_type(*arrays)
    if not np.issubdtype(dtype, np.floating):
        dtype = np.dtype(np.float64)
    views = [
        np.lib.stride_tricks.sliding_window_view(array, length)[::hop]
        for array in arrays
        if len(array) >= length
    ]
    return np.concatenate(views, dtype=dtype)


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
        If a pitch is not between 0 and the Nyquist frequency.

    Examples
    --------
    >>> from skspectral.datasets import make_tones
    >>> X, y = make_tones(10, 256, pitches=[220.0, 440.0], random_state=0)
    >>> X.shape, sorted(set(y.tolist()))
    ((10, 256), [220.0, 440.0])
    """
    nyquist = sampling_rate / 2
    if not 0 < min(pitches) <= max(pitches) < nyquist:
        raise ValueError(
            f"pitches={tuple(pitches)} must be above 0 and below {nyquist:g} Hz, half "
            f"of sampling_rate={sampling_rate:g}."
        )
    stream = random_stream(random_state)
    y = stream.choice(np.asarray(pitches, dtype=np.float64), n_samples)
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
    folder: str | Path, length: int, hop: int | None = None
) -> tuple[np.ndarray, float]:
    """Windows of all WAV files below a folder, in the order of the files' names.

    Integers are scaled to [-1, 1), channels are averaged. A file that cannot be read is
    skipped with a warning that names it.

    Parameters
    ----------
    folder : str or Path
        Searched with its subfolders for names that end in .wav, in any case; hidden
        files are left out.
    length : int
        Samples of a window.
    hop : int or None, default=None
        Samples from the start of a window to that of the next. None is ``length``.

    Returns
    -------
    windows : ndarray of shape (n_windows, length), float32
    sampling_rate : float
        Samples per second.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If it has no readable WAV file, the sampling rates differ, or every recording is
        shorter than a window.

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
    recordings = read_folder(folder, _read_recording, "WAV file", ".wav")
    first, (rate, _) = recordings[0]
    for path, (other, _) in recordings:
        if other != rate:
            raise ValueError(
                f"The sampling rates differ: {first} has {rate} Hz, {path} has {other} "
                "Hz. Resample them to one rate, or put them into folders of their own."
            )
    signals = [signal for _, (_, signal) in recordings]
    return cut_windows(signals, length, hop), float(rate)


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
    return cut_windows(list(channels), length, hop), _EEG_SHAPE[0] / _EEG_SECONDS


def _as_signals(signals: ArrayLike | Sequence[ArrayLike]) -> list[np.ndarray]:
    """The signals as one-dimensional arrays; a single one as a list of one."""
    parts: list[Any] = list(signals)  # type: ignore[arg-type]
    # A list of lists that differ in length is no array.
    if not parts or np.ndim(parts[0]) == 0:
        parts = [signals]
    arrays = [np.asarray(part) for part in parts]
    for i, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(
                f"signals must be one-dimensional, but signals[{i}] has the shape "
                f"{array.shape}. Pass a list of one-dimensional arrays."
            )
    return arrays


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


def _read_recording(path: Path) -> tuple[int, np.ndarray]:
    """Sampling rate and mono signal of a WAV file; float32, integers in [-1, 1)."""
    from scipy.io import wavfile

    rate, samples = wavfile.read(path)
    if samples.dtype.kind == "f":
        signal = samples.astype(np.float32)
    else:
        # Of integers only those of 8 bits have no sign; SciPy shifts 24 bits to 32.
        middle = 128.0 if samples.dtype.kind == "u" else 0.0
        largest = 2.0 ** (8 * samples.dtype.itemsize - 1)
        signal = ((samples - middle) / largest).astype(np.float32)
    return rate, signal if signal.ndim == 1 else signal.mean(axis=1)
