"""How far apart two signals sound: distances of short-time spectra.

Frames are Hann windows, the first centred at the first sample, with the signal
reflected at both ends, as in ``torch.stft`` for even lengths. Phases do not count.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._images import check_pair, check_signals, iter_slices, power_of

# Those of Parallel WaveGAN: (n_fft, hop, window).
_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_FRAME_OPTIONS = {
    "n_fft": [Interval(Integral, 2, None, closed="left")],
    "hop": [Interval(Integral, 1, None, closed="left"), None],
    "window": [Interval(Integral, 2, None, closed="left"), None],
}


@validated(**_FRAME_OPTIONS, dynamic_range=[Interval(Real, 0, None, closed="neither")])
def log_spectral_distance(
    X: ArrayLike,
    X_reconstructed: ArrayLike,
    *,
    n_fft: int = 512,
    hop: int | None = None,
    window: int | None = None,
    dynamic_range: float = 80.0,
) -> float:
    """Log-spectral distance, in dB.

    Of each frame ``sqrt(mean_f (10 log10(P(f) / Q(f)))^2)`` with the powers P and Q of
    the two signals; then the mean over frames, and over signals. Symmetric. A gain of a
    is 20 log10(a) dB away.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
    n_fft : int, default=512
        Length of the transform.
    hop : int or None, default=None
        Samples from one frame to the next. None is a quarter of the window.
    window : int or None, default=None
        Length of the window, at most ``n_fft``, around which zeros are put. None is
        ``n_fft``.
    dynamic_range : float, default=80.0
        Powers more than that many dB below the largest of the pair of signals are
        raised to there: the logarithm of silence would drown all the rest.

    Returns
    -------
    distance : float
        In dB, from 0 to ``dynamic_range``.

    Raises
    ------
    ValueError
        If the two are not signals of one shape, or are shorter than the window.

    Notes
    -----
    Scaling both by the same factor changes nothing. All frequencies count alike, also
    those with hardly any power: where the distance is large, the ear may hear little.
    Published code differs (square outside of the mean, logarithms without the 10, sum
    for the floor): compare values of the same definition only.

    Each signal is transformed as a whole: cut hours of sound into pieces.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import log_spectral_distance
    >>> X = np.random.default_rng(0).normal(size=(3, 400))
    >>> round(log_spectral_distance(X, 10 * X, n_fft=64), 1)
    20.0
    """
    real, other = check_pair(check_signals, X=X, X_reconstructed=X_reconstructed)
    transform = _transform(n_fft, hop, window, real.shape[1])
    floor = 10 ** (-dynamic_range / 10)
    total = 0.0
    for P, Q in _powers(real, other, transform):
        peak = np.maximum(P, Q).max(axis=(1, 2), keepdims=True)
        # Two silent signals are equal.
        least = np.where(peak > 0, floor * peak, 1.0)
        ratio = 10 * np.log10(np.maximum(P, least) / np.maximum(Q, least))
        total += float(np.sqrt((ratio**2).mean(axis=1)).mean(axis=1).sum())
    return total / len(real)


@validated(**_FRAME_OPTIONS)
def spectral_convergence(
    X: ArrayLike,
    X_reconstructed: ArrayLike,
    *,
    n_fft: int = 512,
    hop: int | None = None,
    window: int | None = None,
) -> float:
    """Relative error of short-time magnitudes.

    ``norm(S - R) / norm(S)`` with the magnitudes S of a signal and R of its
    reconstruction, the norms being over all frames and frequencies; then the mean over
    signals. Not symmetric: X is what counts as true.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
    n_fft, hop, window
        As in `log_spectral_distance`.

    Returns
    -------
    convergence : float
        0 for equal magnitudes, 1 for a silent reconstruction.

    Raises
    ------
    ValueError
        If the two are not signals of one shape, are shorter than the window, or if a
        signal of ``X`` is silent.

    Notes
    -----
    Scaling both by the same factor changes nothing. Loud frequencies decide.
    Each signal has a norm of its own; code that takes one norm of a whole batch gives
    values that depend on the size of the batch.

    References
    ----------
    S. O. Arik, H. Jun, G. Diamos (2019). Fast spectrogram inversion using multi-head
    convolutional neural networks. IEEE Signal Processing Letters 26.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import spectral_convergence
    >>> X = np.random.default_rng(0).normal(size=(3, 400))
    >>> round(spectral_convergence(X, 0.75 * X, n_fft=64), 6)
    0.25
    """
    real, other = check_pair(check_signals, X=X, X_reconstructed=X_reconstructed)
    transform = _transform(n_fft, hop, window, real.shape[1])
    total = 0.0
    for P, Q in _powers(real, other, transform):
        total += float(_relative_errors(np.sqrt(P), np.sqrt(Q)).sum())
    return total / len(real)


@validated(
    resolutions=["array-like", None], eps=[Interval(Real, 0, None, closed="neither")]
)
def multi_resolution_stft_distance(
    X: ArrayLike,
    X_reconstructed: ArrayLike,
    *,
    resolutions: Sequence[tuple[int, int, int]] | None = None,
    eps: float = 1e-7,
) -> float:
    """Mean over several resolutions of errors of magnitudes and log-magnitudes.

    At each resolution `spectral_convergence` plus ``mean(abs(log(S / R)))``, natural
    logarithms, over all frames, frequencies and signals.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
        On the scale of samples in [-1, 1].
    resolutions : sequence of (n_fft, hop, window) or None, default=None
        None takes (1024, 120, 600), (2048, 240, 1200) and (512, 50, 240), but of these
        only what is not longer than the signals.
    eps : float, default=1e-7
        Smallest power in the logarithms.

    Returns
    -------
    distance : float
        0 for equal magnitudes.

    Raises
    ------
    ValueError
        If the two are not signals of one shape, a signal of ``X`` is silent, or a
        window is longer than the signals: without ``resolutions`` at 239 samples.

    Notes
    -----
    As ``eps`` is not relative, the logarithmic part depends on the scale of the data.
    Signals of different lengths may be measured at different default resolutions:
    state them with the value. Rows that are images laid out flat have frames across
    rows and colours; for these, see `radial_spectrum_distance`.

    References
    ----------
    R. Yamamoto, E. Song, J.-M. Kim (2020). Parallel WaveGAN: a fast waveform generation
    model based on generative adversarial networks with multi-resolution spectrogram.
    ICASSP.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import multi_resolution_stft_distance
    >>> X = np.random.default_rng(0).normal(size=(3, 400))
    >>> found = multi_resolution_stft_distance(X, X / 2, resolutions=[(64, 16, 64)])
    >>> round(found, 3), round(0.5 + float(np.log(2)), 3)
    (1.193, 1.193)
    """
    real, other = check_pair(check_signals, X=X, X_reconstructed=X_reconstructed)
    transforms = _checked_resolutions(resolutions, real.shape[1])
    total = 0.0
    for transform in transforms:
        for P, Q in _powers(real, other, transform):
            ratio = np.log(np.maximum(P, eps)) - np.log(np.maximum(Q, eps))
            logarithmic = 0.5 * np.abs(ratio).mean(axis=(1, 2))
            relative = _relative_errors(np.sqrt(P), np.sqrt(Q))
            total += float((relative + logarithmic).sum())
    return total / (len(real) * len(transforms))


def _transform(
    n_fft: int, hop: int | None, window: int | None, length: int
) -> ShortTimeFFT:
    """The transform, with the defaults filled in, for signals of a length."""
    window_length = n_fft if window is None else window
    step = max(1, window_length // 4) if hop is None else hop
    if window_length > n_fft:
        raise ValueError(
            f"window={window} is longer than the transform, n_fft={n_fft}. Pass "
            f"window<={n_fft}, or n_fft>={window}."
        )
    if window_length > length:
        name = "n_fft" if window is None else "window"
        raise ValueError(
            f"{name}={window_length} is longer than the signals, of {length} samples. "
            f"Pass {name}<={length}."
        )
    if step > window_length:
        raise ValueError(
            f"hop={hop} is longer than the window, of {window_length} samples: some "
            f"samples would not count. Pass hop<={window_length}."
        )
    taper = hann(window_length, sym=False)
    return ShortTimeFFT(taper, step, fs=1.0, mfft=n_fft, phase_shift=None)


def _checked_resolutions(
    resolutions: Sequence[tuple[int, int, int]] | None, length: int
) -> list[ShortTimeFFT]:
    """The resolutions asked for, checked, or those of the default that fit."""
    if resolutions is None:
        shortest = min(window for _, _, window in _RESOLUTIONS)
        if shortest > length:
            raise ValueError(
                f"resolutions=None has windows of {shortest} samples and more, longer "
                f"than the signals, of {length}. Pass resolutions=[(n_fft, hop, "
                f"window), ...] with windows of at most {length}."
            )
        resolutions = [each for each in _RESOLUTIONS if each[2] <= length]
    chosen = []
    for each in resolutions:
        sizes = tuple(each)
        whole = all(isinstance(size, Integral) and size > 0 for size in sizes)
        if len(sizes) != 3 or not whole or sizes[2] < 2:
            raise ValueError(
                f"resolutions={resolutions!r} must be triples of integers (n_fft, hop, "
                "window), with windows of at least 2 samples."
            )
        chosen.append(_transform(*sizes, length))
    if not chosen:
        raise ValueError("resolutions is empty. Pass at least one, or None.")
    return chosen


def _powers(
    X: np.ndarray, Y: np.ndarray, transform: ShortTimeFFT
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Short-time powers of the same rows of both, each (rows, frequencies, frames)."""
    n_frames = X.shape[1] // transform.hop + 1
    frames = {"p0": 0, "p1": n_frames, "padding": "even"}
    for rows in iter_slices(X, n_frames * transform.mfft):
        pair = (array[rows].astype(np.float64) for array in (X, Y))
        P, Q = (power_of(transform.stft(signals, **frames)) for signals in pair)
        yield P, Q


def _relative_errors(S: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Frobenius norm of S - R over that of S, for each signal."""
    norms = np.linalg.norm(S, axis=(1, 2))
    if not norms.all():
        raise ValueError(
            "X has silent signals, to which no error can be relative. Leave these rows "
            "out, here and in X_reconstructed."
        )
    return np.linalg.norm(S - R, axis=(1, 2)) / norms
