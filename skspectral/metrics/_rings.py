"""Rings: sets of bins of ``rfft2`` with about the same frequency."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Literal

import numpy as np
from scipy import fft


def ring_frequencies(
    shape: tuple[int, ...], convention: Literal["shorter", "longer", "square"]
) -> np.ndarray:
    """Return the frequency of each bin, of shape (height, width // 2 + 1).

    The frequency, rounded to an integer, is the index of the bin's ring. ``shape``
    starts with (height, width). The frequency of bin (u, v) is ``hypot(u, v)``, in
    cycles along the "shorter" or the "longer" side. The convention "square" uses
    ``max(abs(u), abs(v))`` in cycles along the longer side: the rings are then squares,
    which together contain every bin.
    """
    height, width = shape[:2]
    u, v = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    if convention == "square":
        return max(height, width) * np.maximum(abs(u), v)
    side = min(height, width) if convention == "shorter" else max(height, width)
    return side * np.hypot(u, v)


def ring_means(values: np.ndarray, rings: np.ndarray, width: int) -> np.ndarray:
    """Average values over each ring of the whole plane; return (channels, n_rings).

    ``values`` have shape (channels, height, width // 2 + 1), and ``rings`` holds the
    index of each bin's ring. The mean is 0 for rings without bins, which occur for
    elongated images.
    """
    weights = np.broadcast_to(columns_of_half_plane(width), rings.shape)
    n_bins = np.bincount(rings.ravel(), weights.ravel())
    sums = [np.bincount(rings.ravel(), (plane * weights).ravel()) for plane in values]
    return np.stack(sums) / np.maximum(n_bins, 1)


def columns_of_half_plane(width: int) -> np.ndarray:
    """Return the number of bins of the plane, 1 or 2, per column of ``rfft2``."""
    columns = np.full(width // 2 + 1, 2.0)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    return columns
