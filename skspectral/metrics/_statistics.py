"""Mean and variance of a set of arrays that is processed in batches."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Statistic(NamedTuple):
    """Elementwise mean over a set of images, and unbiased variance of one image."""

    mean: np.ndarray
    variance: np.ndarray
    n_images: int


def statistic_of(batches: Iterable[np.ndarray]) -> Statistic:
    """Return mean and variance over the first axis of batches of shape (n_i, ...).

    Batches are merged by the update of Chan, Golub and LeVeque (1979), which never
    subtracts two large sums.
    """
    n, mean, scatter = 0, np.float64(0.0), np.float64(0.0)
    for values in batches:
        n_new, mean_new = len(values), values.mean(axis=0)
        shift = mean_new - mean
        n += n_new
        scatter = scatter + ((values - mean_new) ** 2).sum(axis=0)
        scatter = scatter + shift**2 * (n_new * (n - n_new) / n)
        mean = mean + shift * (n_new / n)
    return Statistic(np.asarray(mean), np.asarray(scatter) / max(n - 1, 1), n)
