"""Mean and variance over a set of arrays that come in batches."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Statistic(NamedTuple):
    """Elementwise mean, and unbiased variance of one member of the set."""

    mean: np.ndarray
    variance: np.ndarray
    n_images: int


def statistic_of(batches: Iterable[np.ndarray]) -> Statistic:
    """Mean and variance over the first axis of all batches, (n_i, ...) each.

    Batches are merged by the update of Chan, Golub and LeVeque (1979), which never
    takes the difference of large sums.
    """
    n, mean, scatter = 0, np.float64(0.0), np.float64(0.0)
    for values in batches:
        n_new, mean_new = len(values), values.mean(axis=0)
        step = mean_new - mean
        n += n_new
        scatter = scatter + ((values - mean_new) ** 2).sum(axis=0)
        scatter = scatter + step**2 * (n_new * (n - n_new) / n)
        mean = mean + step * (n_new / n)
    return Statistic(np.asarray(mean), np.asarray(scatter) / max(n - 1, 1), n)
