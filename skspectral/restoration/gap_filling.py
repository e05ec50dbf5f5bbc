"""Fill gaps of a signal window by window, given a mixture of Gaussians."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator

import numpy as np

from skspectral.restoration.signal_noise import WindowPrior, autocovariance, extended

# Largest order of the autoregressive process of the samples near a gap, length of the
# samples on both sides in windows, prior probability, and relative ridge.
_ORDER, _CONTEXT, _LOCAL_WEIGHT, _LOCAL_RIDGE = 96, 1, 0.5, 1e-9


def fill_gaps(
    read: Callable[[np.ndarray], np.ndarray],
    gaps: np.ndarray,
    prior: WindowPrior,
    noise: np.ndarray,
    hop: int,
    power: float,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Iterate over gaps: indices of missing samples, their means and variances.

    Gaps within half of a window share one window. A longer gap is filled by the
    weighted mean of several windows. Only the samples around one gap are in memory.

    Parameters
    ----------
    read : callable
        Function that returns the samples of an array of indices as a new array. The
        values of missing samples are not used.
    gaps : ndarray of bool, shape (n_times,)
        Whether a sample is missing.
    prior : WindowPrior
        Mixture of windows of L samples.
    noise : ndarray of shape (L, L)
        Covariance of the noise of the observed samples.
    hop : int
        Distance of the windows of a long gap.
    power : float
        Mean square of the observed samples, the variance where nothing is observed.
    """
    n, size = len(gaps), len(noise)
    margin = _CONTEXT * size
    weights = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    for first, last in _groups(gaps, size):
        starts = _window_starts(first, last, size, hop)
        begin = max(starts[0] - margin, 0)
        near = np.arange(begin, min(starts[-1] + size + margin, n))
        x = read(near)
        x[gaps[near]] = 0.0
        sums = np.zeros((3, last - first + 1))
        for start in starts:
            places = np.arange(start, start + size)
            observed = (places >= 0) & (places < n)
            observed[observed] = ~gaps[places[observed]]
            found = np.zeros((2, size))
            if observed.any():
                local = _with_local(prior, x, start - begin, size)
                y = x[places[observed] - begin]
                found[:, ~observed] = local.fill(y, observed, noise)
            else:
                found[1] = power
            used = ~observed & (places >= first) & (places <= last)
            sums[0, places[used] - first] += weights[used]
            sums[1:, places[used] - first] += weights[used] * found[:, used]
        missing = np.flatnonzero(gaps[first : last + 1])
        mean, variance = sums[1:, missing] / sums[0, missing]
        yield first + missing, mean, variance


def _with_local(
    prior: WindowPrior, x: np.ndarray, start: int, size: int
) -> WindowPrior:
    """Return a prior with a component of the samples in and around a window.

    It is an autoregressive process. Missing samples of the signal x are 0.
    """
    margin = _CONTEXT * size
    near = x[max(start - margin, 0) : start + size + margin]
    lags = autocovariance([near], min(_ORDER, size // 2) + 1)
    if lags[0] == 0:
        return prior
    lags[0] *= 1 + _LOCAL_RIDGE
    return prior.with_stationary(extended(lags, size), _LOCAL_WEIGHT)


def _groups(gaps: np.ndarray, size: int) -> Iterator[tuple[int, int]]:
    """Iterate over groups of gaps within half of a window: first and last sample."""
    edges = np.flatnonzero(np.diff(gaps, prepend=False, append=False))
    group: tuple[int, int] | None = None
    for first, stop in edges.reshape(-1, 2).tolist():
        last = stop - 1
        if group is not None and last - group[0] < size // 2:
            group = group[0], last
            continue
        if group is not None:
            yield group
        group = first, last
    if group is not None:
        yield group


def _window_starts(first: int, last: int, size: int, hop: int) -> list[int]:
    """Return the starts of the windows that fill the samples from first to last."""
    if last - first < size // 2:
        return [(first + last + 1 - size) // 2]
    return list(range(first - size // 2, last - size // 2 + hop, hop))
