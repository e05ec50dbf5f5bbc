"""Rings: sets of the bins of ``rfft2`` whose frequencies are about equal."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Literal

import numpy as np
from scipy import fft


def ring_frequencies(
    shape: tuple[int, ...], convention: Literal["shorter", "longer", "square"]
) -> np.ndarray:
    """Frequency of each bin, (height, width // 2 + 1); rounded, it numbers the ring.

    ``shape`` is (height, width), or more. The unit is one cycle along the shorter or
    the longer side, with ``hypot(u, v)`` as the frequency of bin (u, v). "square" is
    ``max(abs(u), abs(v))`` in cycles along the longer side, so that rings are squares
    and together hold every bin.
    """
    height, width = shape[:2]
    u, v = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    if convention == "square":
        return max(height, width) * np.maximum(abs(u), v)
    side = min(height, width) if convention == "shorter" else max(height, width)
    return side * np.hypot(u, v)


def ring_means(values: np.ndarray, rings: np.ndarray, width: int) -> np.ndarray:
    """Mean over the bins of each ring, of the whole plane; (channels, n_rings).

    ``values`` are (channels, height, width // 2 + 1), and ``rings`` the number of the
    ring of each bin. The mean is 0 for a ring without bins, as elongated images have.
    """
    weights = np.broadcast_to(columns_of_half_plane(width), rings.shape)
    n_bins = np.bincount(rings.ravel(), weights.ravel())
    sums = [np.bincount(rings.ravel(), (plane * weights).ravel()) for plane in values]
    return np.stack(sums) / np.maximum(n_bins, 1)


def columns_of_half_plane(width: int) -> np.ndarray:
    """How many bins of the plane each column of ``rfft2`` stands for: 1 or 2."""
    columns = np.full(width // 2 + 1, 2.0)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    return columns
