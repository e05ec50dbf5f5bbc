"""Find clicks in recordings by linear prediction from both sides.

An autoregressive process with the prediction error filter a predicts a sample from its
neighbours on both sides with the error

    d = (a * reversed a * x) / sum(a^2),

where * is the convolution: the interpolation error. A sample belongs to a click if this
error is many times as large as those around it (S. J. Godsill, P. J. W. Rayner, 1998,
Digital Audio Restoration, Springer, chapter 5). Both the process and the errors of
other samples are known well only without the click. Clicks are therefore filled in by
the process, and the process is fitted again.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    binary_propagation,
    maximum_filter1d,
)

from skspectral._sklearn_compat import Interval, validated
from skspectral.restoration.recordings import Recording, mirrored

# A click contains the samples beside its largest one with at least the first fraction
# of the threshold and the second one of the largest error nearby, and one more on each
# side. These constants were chosen on recordings of speech.
_EDGE, _PEAK = 2 / 3, 0.1
# Number of fits of the process, and of steps of conjugate gradients that fill clicks.
_FITS, _STEPS = 3, 10
# Number of parts of a window, each with its own level of errors.
_PARTS = 4
# Ridge of the autocovariance at lag 0, and least level of errors relative to the
# largest sample of a window.
_RIDGE, _LEAST_LEVEL = 1e-6, 1e-9
# Median of the absolute value of a standard normal variable.
_MEDIAN = 0.6745
# Number of windows that are in memory at a time.
_AT_ONCE = 256


@validated(
    threshold=[Interval(Real, 0, None, closed="neither")],
    order=[Interval(Integral, 1, None, closed="left")],
    window_length=[Interval(Integral, 16, None, closed="left")],
)
def find_clicks(
    recording: ArrayLike,
    *,
    threshold: float = 6.0,
    order: int = 12,
    window_length: int = 512,
) -> np.ndarray:
    """Find clicks: samples that cannot be predicted from those on both sides.

    The result is the mask of `SignalRestorer.inpaint`, which fills the clicks. The
    ``order`` samples next to an end or to missing samples are never clicks.

    Parameters
    ----------
    recording : array-like of shape (n_times,) or (n_times, n_channels)
        Recording of any length. NaN marks missing samples. It is not modified.
    threshold : float, default=6.0
        Smallest interpolation error of a click, in standard deviations of the errors
        around it. A larger number finds fewer clicks. In clean speech, 6 marks 7
        samples of 10,000, and 8 marks 2.
    order : int, default=12
        Order of the autoregressive process, less than ``window_length``.
    window_length : int, default=512
        Number of samples for which one process is fitted, from this many samples and
        half as many on each side. Windows of 20 to 60 ms suit speech and music.

    Returns
    -------
    clicks : ndarray of bool, of the shape of the recording
        True for samples that belong to a click.

    Raises
    ------
    ValueError
        If the recording is empty, is not a recording, or has infinite samples, or if
        ``order`` is not less than ``window_length``.

    See Also
    --------
    SignalRestorer.inpaint : Fill the clicks.

    Notes
    -----
    The errors around a sample are those of the quarter of a window around it, and of
    the quarters before and after. If clicks take more than half of these samples, they
    are taken for the signal. The cost is proportional to the number of samples.

    References
    ----------
    S. J. Godsill, P. J. W. Rayner (1998). Digital Audio Restoration. Springer.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.restoration import find_clicks
    >>> x = np.sin(0.1 * np.arange(2000))
    >>> x += 0.01 * np.random.default_rng(0).normal(size=2000)
    >>> x[[500, 501, 1200]] += 0.3
    >>> np.flatnonzero(find_clicks(x)).tolist()
    [499, 500, 501, 502, 1199, 1200, 1201]
    """
    source = Recording.from_array(recording, "recording")
    source.refuse_infinite("recording", allow_nan=True)
    if order >= window_length:
        raise ValueError(
            f"order={order} must be less than window_length={window_length}. Pass a "
            "smaller order."
        )
    found = [
        clicks_of(
            partial(source.part, channel),
            source.n_times,
            threshold,
            order,
            window_length,
        )
        for channel in range(source.n_channels)
    ]
    return np.stack(found, axis=1).reshape(source.shape)


def clicks_of(
    read: Callable[[np.ndarray], np.ndarray],
    n_times: int,
    threshold: float,
    order: int = 12,
    window_length: int = 512,
) -> np.ndarray:
    """Return which samples of a long signal belong to a click, of shape (n_times,).

    The function ``read`` returns the samples of an array of indices.
    """
    half = window_length // 2
    clicks = np.zeros(-(-n_times // window_length) * window_length, bool)
    known = np.ones(n_times, bool)
    known[[0, -1]] = False
    step = _AT_ONCE * window_length
    for start in range(0, len(clicks), step):
        stop = min(start + step, len(clicks))
        near = np.arange(start - half, stop - half + window_length)
        x = read(mirrored(near, n_times))
        windows = np.lib.stride_tricks.sliding_window_view(x, window_length + 2 * half)
        found = _outliers(windows[::window_length].copy(), threshold, order)
        clicks[start:stop] = found[:, half : half + window_length].ravel()
        known[start:stop] &= ~np.isnan(x[half : half + stop - start])[: n_times - start]
    # Samples near gaps and ends have no neighbours on one side.
    is_inside = binary_erosion(known, iterations=order)
    return binary_dilation(clicks[:n_times] & is_inside, mask=known)


def _outliers(windows: np.ndarray, threshold: float, order: int) -> np.ndarray:
    """Return which samples of windows (n, length) are outliers of their process."""
    known = ~np.isnan(windows)
    windows[~known] = 0.0
    filled, bad = windows, ~known
    for _ in range(_FITS):
        errors = _interpolation_errors(filled, order)
        filled = _filled(np.where(bad, filled, windows), bad, errors)
        remaining = errors(filled)
        level = _levels(np.where(bad, 0.0, np.abs(remaining)))
        level += _LEAST_LEVEL * np.abs(windows).max(1, keepdims=True)
        deviation = np.abs(windows - filled + remaining)
        deviation /= np.maximum(level, np.finfo(float).tiny)
        highest = maximum_filter1d(deviation, 2 * order + 1, axis=1)
        least = np.maximum(_EDGE * threshold, _PEAK * highest)
        row = np.array([[False] * 3, [True] * 3, [False] * 3])
        start = deviation > np.maximum(threshold, least)
        bad = binary_propagation(start, row, deviation > least) | ~known
    return bad & known


def _filled(
    windows: np.ndarray, bad: np.ndarray, errors: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return windows whose bad samples have an interpolation error of almost 0."""
    residual = np.where(bad, -errors(windows), 0.0)
    direction, energy = residual, _energy(residual)
    for _ in range(_STEPS):
        change = np.where(bad, errors(direction), 0.0)
        step = _quotient(energy, _energy(direction, change))
        windows = windows + step * direction
        residual = residual - step * change
        energy, before = _energy(residual), energy
        direction = residual + _quotient(energy, before) * direction
    return windows


def _energy(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Return the inner product of each row of x with itself or with that of y."""
    return np.einsum("ij,ij->i", x, x if y is None else y)[:, None]


def _quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)


def _interpolation_errors(
    windows: np.ndarray, order: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a process to each window; return the function of its interpolation errors."""
    length = windows.shape[1]
    size = 2 * length
    tapered = windows * np.hanning(length + 2)[1:-1]
    power = np.abs(np.fft.rfft(tapered, size)) ** 2
    lags = np.fft.irfft(power, size)[:, : order + 1]
    lags[:, 0] = lags[:, 0] * (1 + _RIDGE) + np.finfo(float).tiny
    distance = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    coefficients = np.linalg.solve(lags[:, distance], lags[:, 1:, None])[:, :, 0]
    filters = np.concatenate([np.ones((len(windows), 1)), -coefficients], axis=1)
    gain = np.abs(np.fft.rfft(filters, size)) ** 2
    gain /= (filters**2).sum(1, keepdims=True)

    def errors(x: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.fft.rfft(x, size) * gain, size)[:, :length]

    return errors


def _levels(errors: np.ndarray) -> np.ndarray:
    """Return robust standard deviations of errors around each sample of windows.

    They are the largest ones of a part of the window and of its neighbours.
    """
    length = errors.shape[1]
    edges = np.linspace(0, length, 2 * _PARTS + 1).astype(int)
    medians = np.stack(
        [np.median(part, axis=1) for part in np.split(errors, edges[1:-1], axis=1)],
        axis=1,
    )
    padded = np.pad(medians, ((0, 0), (1, 1)), mode="edge")
    largest = np.maximum(np.maximum(padded[:, :-2], medians), padded[:, 2:])
    return np.repeat(largest, np.diff(edges), axis=1) / _MEDIAN
