"""Principal axes and variances of Gaussians."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

_EPS, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


def principal_axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors, as columns, and eigenvalues of a finite matrix, largest first."""
    if not np.isfinite(covariance).all():
        raise ValueError("The covariance of the codes is not finite.")
    values, vectors = np.linalg.eigh(covariance)
    return vectors[:, ::-1], values[::-1]


def flattest(values: np.ndarray, rank: int) -> tuple[int, float]:
    """Where all but ``rank`` variances are best replaced by their mean.

    They are neighbours in size: otherwise an exchange would raise the likelihood.

    Parameters
    ----------
    values : ndarray of shape (K,)
        Largest first.
    rank : int
        From 0 to K - 1.

    Returns
    -------
    start : int
        Of the K - rank neighbours.
    log_determinant : float
        What remains of the covariance; the likelihood falls with it alone.
    """
    width = len(values) - rank
    positive = values > 10 * len(values) * _EPS * values[0]
    logs = np.log(values, out=np.zeros_like(values), where=positive)
    sums, log_sums = (np.concatenate([[0.0], part.cumsum()]) for part in (values, logs))
    # A direction without variance would have an infinite density of its own.
    starts = np.arange(rank + 1) if positive[-1] else np.array([rank])
    stops = starts + width
    rest = (sums[stops] - sums[starts]) / width
    outside = log_sums[-1] - (log_sums[stops] - log_sums[starts])
    log_determinants = width * np.log(np.maximum(rest, _TINY)) + outside
    best = int(np.argmin(log_determinants))
    return int(starts[best]), float(log_determinants[best])


def less(
    variance: float | np.ndarray, removed: float | np.ndarray
) -> float | np.ndarray:
    """Variance without white noise that was part of it."""
    return np.maximum(variance - removed, 0.0)


def wiener_gain(variance: float | np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Share of what is seen that is signal: s / (s + n), and 1 without noise."""
    total = np.asarray(variance + noise)
    return np.divide(variance, total, out=np.ones_like(total), where=total > 0)
