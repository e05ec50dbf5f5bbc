"""Periodogram of one or several rows at uneven times."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers, validated
from skspectral.uneven.rows import timed_rows
from skspectral.uneven.sums import exact_sums, own_reduction

_CHUNK = 2**22


@validated(fit_mean=["boolean"])
def periodogram(
    X: ArrayLike, times: Any, frequencies: ArrayLike, *, fit_mean: bool = True
) -> np.ndarray:
    """Compute the fraction of the variance that a wave of each frequency explains.

    Each row has its own amplitude, phase and, with ``fit_mean``, constant. For one row
    this is the Lomb-Scargle periodogram with a floating mean, in the normalisation that
    astropy calls standard. For several rows, such as several bands of one star, it is
    the fraction of their total sum of squares.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_times), or sequence of sequences
        Values. NaN marks padding and missing entries. Rows of different lengths may be
        a list.
    times : array-like of the shape of X or (n_times,), or sequence of sequences
        Times of the values, in any order. Dates (datetime64) count as seconds since the
        earliest one.
    frequencies : array-like of shape (n_frequencies,)
        Frequencies in cycles per unit of time.
    fit_mean : bool, default=True
        Whether each row has a constant of its own. If False, X is not centred.

    Returns
    -------
    power : ndarray of shape (n_frequencies,)
        Fraction of the sum of squares, from 0 to 1.

    Raises
    ------
    ValueError
        If values, times and frequencies do not agree, or are not finite.

    Notes
    -----
    The sums are exact, at a cost of n_samples * n_times * n_frequencies.

    References
    ----------
    M. Zechmeister, M. Kürster (2009). The generalised Lomb-Scargle periodogram.
    Astronomy and Astrophysics 496.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.uneven import periodogram
    >>> rng = np.random.default_rng(0)
    >>> t = np.sort(rng.uniform(0, 100, 80))
    >>> x = np.sin(2 * np.pi * 0.37 * t) + 0.1 * rng.normal(size=80)
    >>> frequencies = np.linspace(0.01, 1, 2000)
    >>> power = periodogram([x], [t], frequencies)
    >>> print(frequencies[power.argmax()].round(2))
    0.37
    """
    grid = as_numbers(frequencies, "frequencies")
    if grid.ndim != 1 or not np.isfinite(grid).all():
        raise ValueError(
            f"frequencies of shape {grid.shape} must be a one-dimensional array of "
            "finite numbers."
        )
    rows, _ = timed_rows(X, times)
    if fit_mean:
        rows = rows.centred()
    total = float((rows.values**2).sum())
    power = np.zeros(len(grid))
    if total == 0:
        return power
    # The times are centred, for accuracy; the power does not depend on their origin.
    start, stop = rows.limits()
    shifted = rows.scaled((start + stop) / 2 + 0.5, 1.0)
    for _, part in shifted.chunks(16):
        step = max(1, _CHUNK // part.values.numel())
        for first in range(0, len(grid), step):
            chosen = slice(first, first + step)
            sums = exact_sums(
                part, torch.from_numpy(grid[chosen]), floating_mean=fit_mean
            )
            power[chosen] += own_reduction(sums).sum(0).numpy()
    return power / total
