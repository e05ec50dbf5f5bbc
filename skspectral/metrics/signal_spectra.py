"""Distances between the short-time spectra of two sets of signals.

Frames are multiplied by Hann windows. The first window is centred at the first sample,
and signals are reflected at both ends. For even window lengths, ``torch.stft`` has the
same convention. The phases of the spectra are ignored.
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

# Resolutions (n_fft, hop, window) of Parallel WaveGAN.
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
    """Compute the log-spectral distance between signals, in dB.

    With the powers P and Q of the two signals, the distance of a frame is
    ``sqrt(mean_f (10 log10(P(f) / Q(f)))^2)``, with the mean over the frequencies f.
    The distances are averaged over frames and signals. The distance is symmetric. A
    signal amplified by a factor a is at a distance of ``20 abs(log10(a))`` dB.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
        Original and reconstructed signals, of the same shape. The signals must not be
        shorter than the window.
    n_fft : int, default=512
        Length of the Fourier transform of a frame, in samples. It determines the
        frequency resolution.
    hop : int or None, default=None
        Number of samples between the starts of consecutive frames, at most the length
        of the window. None means a quarter of the window.
    window : int or None, default=None
        Length of the window in samples, at most ``n_fft``. Shorter windows are padded
        with zeros. None means ``n_fft``.
    dynamic_range : float, default=80.0
        Lower bound of the powers, in dB below the largest power of each pair of
        signals. Smaller powers are replaced by this bound. Otherwise, the logarithms of
        nearly silent parts would dominate the distance.

    Returns
    -------
    distance : float
        Mean distance in dB, from 0 to ``dynamic_range``.

    Raises
    ------
    ValueError
        If the two arrays are not signals of the same shape and range of values.
    ValueError
        If an array contains NaN or infinite values.
    ValueError
        If the signals are shorter than the window, the window is longer than ``n_fft``,
        or ``hop`` is larger than the window.

    See Also
    --------
    spectral_convergence : Relative error of the magnitudes, dominated by loud parts.

    Notes
    -----
    The distance does not change if both signals are scaled by the same factor. All
    frequencies have the same weight, including frequencies with little power. A large
    distance can therefore be inaudible. Published definitions differ (a square root
    outside the mean, logarithms without the factor 10, a constant added to the powers):
    compare only values of the same definition.

    Each signal is transformed as a whole. Split very long recordings to limit the
    memory.

    Examples
    --------
    A factor of 10 in amplitude is 20 dB:

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
        # Two silent signals have the distance 0.
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
    """Compute the relative error of short-time magnitudes.

    The error of a signal is ``norm(S - R) / norm(S)``, with the magnitudes S of the
    signal and R of its reconstruction. The norms are taken over all frames and
    frequencies. The errors are averaged over the signals. The result is not symmetric:
    X is the reference.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
        Original and reconstructed signals, of the same shape. The signals must not be
        shorter than the window.
    n_fft : int, default=512
        Length of the Fourier transform of a frame, in samples. It determines the
        frequency resolution.
    hop : int or None, default=None
        Number of samples between the starts of consecutive frames, at most the length
        of the window. None means a quarter of the window.
    window : int or None, default=None
        Length of the window in samples, at most ``n_fft``. Shorter windows are padded
        with zeros. None means ``n_fft``.

    Returns
    -------
    convergence : float
        Mean relative error: 0 for equal magnitudes, 1 for a silent reconstruction.

    Raises
    ------
    ValueError
        If the two arrays are not signals of the same shape and range of values.
    ValueError
        If an array contains NaN or infinite values.
    ValueError
        If the signals are shorter than the window, the window is longer than ``n_fft``,
        or ``hop`` is larger than the window.
    ValueError
        If a signal of ``X`` is silent.

    See Also
    --------
    log_spectral_distance : Distance in which all frequencies have the same weight.

    Notes
    -----
    The error does not change if both signals are scaled by the same factor. Frequencies
    and frames with much power dominate it. Each signal is divided by its own norm. Code
    that uses one norm for a whole batch gives values that depend on the batch size.

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
    """Compute a spectral distance between signals, averaged over several resolutions.

    The distance at one resolution is `spectral_convergence` plus
    ``mean(abs(log(S / R)))``, the mean over all frames, frequencies and signals, with
    natural logarithms of the magnitudes S and R.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, length)
        Original and reconstructed signals, of the same shape, with samples in [-1, 1].
    resolutions : sequence of (n_fft, hop, window) or None, default=None
        Lengths of the transform, of the step between frames and of the window, in
        samples. None means (1024, 120, 600), (2048, 240, 1200) and (512, 50, 240),
        without the resolutions whose window is longer than the signals.
    eps : float, default=1e-7
        Lower bound of the powers in the logarithms, in squared units of the data.

    Returns
    -------
    distance : float
        Mean distance over the resolutions, 0 for equal magnitudes.

    Raises
    ------
    ValueError
        If the two arrays are not signals of the same shape and range of values.
    ValueError
        If an array contains NaN or infinite values.
    ValueError
        If a signal of ``X`` is silent.
    ValueError
        If ``resolutions`` is empty, or is not a sequence of valid triples.
    ValueError
        If a window is longer than the signals. With ``resolutions=None``, signals need
        at least 240 samples.

    See Also
    --------
    spectral_convergence : The first term, at one resolution.

    Notes
    -----
    ``eps`` is an absolute bound, so the logarithmic term depends on the scale of the
    data. The default resolutions depend on the length of the signals: report them with
    the value. For flattened images, frames would extend over several rows of pixels;
    use `radial_spectrum_distance` instead.

    References
    ----------
    R. Yamamoto, E. Song, J.-M. Kim (2020). Parallel WaveGAN: a fast waveform generation
    model based on generative adversarial networks with multi-resolution spectrogram.
    ICASSP.

    Examples
    --------
    For half the amplitude, the relative error is 0.5 and the logarithmic term is log 2:

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
    """Return the short-time transform for signals of a given length."""
    window_length = n_fft if window is None else window
    step = max(1, window_length // 4) if hop is None else hop
    if window_length > n_fft:
        raise ValueError(
            f"window={window} is longer than the transform with n_fft={n_fft}. Pass "
            f"window<={n_fft}, or n_fft>={window}."
        )
    if window_length > length:
        name = "n_fft" if window is None else "window"
        raise ValueError(
            f"{name}={window_length} is longer than the signals, which have {length} "
            f"samples. Pass {name}<={length}."
        )
    if step > window_length:
        raise ValueError(
            f"hop={hop} is longer than the window of {window_length} samples, so some "
            f"samples would be in no frame. Pass hop<={window_length}."
        )
    taper = hann(window_length, sym=False)
    return ShortTimeFFT(taper, step, fs=1.0, mfft=n_fft, phase_shift=None)


def _checked_resolutions(
    resolutions: Sequence[tuple[int, int, int]] | None, length: int
) -> list[ShortTimeFFT]:
    """Return a transform per resolution, or per default resolution that fits."""
    if resolutions is None:
        shortest = min(window for _, _, window in _RESOLUTIONS)
        if shortest > length:
            raise ValueError(
                f"resolutions=None uses windows of at least {shortest} samples, but "
                f"the signals have {length} samples. Pass resolutions=[(n_fft, hop, "
                f"window), ...] with windows of at most {length} samples."
            )
        resolutions = [each for each in _RESOLUTIONS if each[2] <= length]
    chosen = []
    for each in resolutions:
        sizes = tuple(each)
        whole = all(isinstance(size, Integral) and size > 0 for size in sizes)
        if len(sizes) != 3 or not whole or sizes[2] < 2:
            raise ValueError(
                f"resolutions={resolutions!r} must be a list of triples (n_fft, hop, "
                "window) of positive integers, with window of at least 2."
            )
        chosen.append(_transform(*sizes, length))
    if not chosen:
        raise ValueError(
            "resolutions is empty. Pass at least one triple (n_fft, hop, window), or "
            "None."
        )
    return chosen


def _powers(
    X: np.ndarray, Y: np.ndarray, transform: ShortTimeFFT
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of short-time powers of both arrays.

    The powers of a batch have shape (rows, frequencies, frames).
    """
    n_frames = X.shape[1] // transform.hop + 1
    frames = {"p0": 0, "p1": n_frames, "padding": "even"}
    for rows in iter_slices(X, n_frames * transform.mfft):
        pair = (array[rows].astype(np.float64) for array in (X, Y))
        P, Q = (power_of(transform.stft(signals, **frames)) for signals in pair)
        yield P, Q


def _relative_errors(S: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Return the Frobenius norm of S - R divided by the norm of S, per signal."""
    norms = np.linalg.norm(S, axis=(1, 2))
    if not norms.all():
        raise ValueError(
            "X has silent signals, for which a relative error is undefined. Remove "
            "these rows from X and from X_reconstructed."
        )
    return np.linalg.norm(S - R, axis=(1, 2)) / norms
