"""Expectation maximisation from a partition, which begins on subsets of many rows."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral._progress import Step
from skspectral._random import random_stream
from skspectral.gaussian import Mixture
from skspectral.priors.components import CovarianceModel
from skspectral.priors.em import (
    Ascent,
    maximise_likelihood,
    mixture_of_partition,
    partition,
)

# The first subset has several rows for each mean of each component, but at least this
# number of rows. Each subset has this many times as many rows as the one before.
_ROWS_PER_NUMBER, _LEAST, _GROWTH = 5, 20_000, 4
# A subset must be at most this fraction of the rows. Otherwise it would save little.
_LARGEST_FRACTION = 0.5
# Iterations on a subset end when one raises the objective by less than this multiple of
# the tolerance, or by less than this number of nats per sample. Smaller gains would
# mostly adapt the mixture to the subset.
_TOLERANCES, _LEAST_GAIN = 3, 1e-3

# Begins a stage of the progress with a name and a number of steps.
Stage = Callable[[str, int | None], Step]


@dataclass(frozen=True)
class Settings:
    """Settings of expectation maximisation.

    ``model`` describes the covariances. The iterations on the same rows end after
    ``max_iter`` of them, or when one raises the objective by less than ``tol`` nats per
    sample.
    """

    n_components: int
    model: CovarianceModel
    max_iter: int
    tol: float


def ascend(
    principal: np.ndarray,
    spread: np.ndarray,
    sample_weight: np.ndarray,
    settings: Settings,
    seed: int | None,
    stage: Stage,
) -> Ascent:
    """Run expectation maximisation from a partition, and return the result on all rows.

    ``principal`` (n, r) holds the principal components of the rows, and ``spread`` (r,)
    their standard deviations. `partition` takes the principal components and the seed,
    and the mixture describes ``principal / spread``.

    Most iterations on many rows are replaced by iterations on small subsets. The
    result is a fixed point for all rows nevertheless, because the last iterations use
    all rows.
    """
    stopped, start = False, None
    # A subset may have too few different rows, or a component without variance,
    # although all rows have none of these defects.
    with suppress(ValueError):
        start, stopped = _warm_up(
            principal, spread, sample_weight, settings, seed, stage
        )
    white = principal / spread
    if start is None:
        clustered = settings.model.clustered(principal)
        labels = partition(clustered, sample_weight, settings.n_components, seed)
        start = mixture_of_partition(white, sample_weight, labels, settings.model)
    on_step = _stop
    if not stopped:
        on_step = stage("expectation maximisation", settings.max_iter + 1)
    return maximise_likelihood(
        white,
        sample_weight,
        start,
        settings.model,
        on_step,
        settings.max_iter,
        settings.tol,
    )


def _stop(**state: Any) -> bool:
    """Return that the iterations end."""
    return True


def _warm_up(
    principal: np.ndarray,
    spread: np.ndarray,
    sample_weight: np.ndarray,
    settings: Settings,
    seed: int | None,
    stage: Stage,
) -> tuple[Mixture | None, bool]:
    """Run expectation maximisation on subsets, from the smallest one to the largest.

    The parameters are those of `ascend`. The first result is the mixture, which is None
    if the rows are so few that there are no subsets. The second result is True if a
    callback ended the iterations.
    """
    tol = max(_TOLERANCES * settings.tol, _LEAST_GAIN)
    mixture, stopped = None, False
    n_numbers = settings.n_components * principal.shape[1]
    for size in subset_sizes(len(principal), n_numbers):
        rows, weight = draw_subset(sample_weight, size)
        part = principal[rows]
        white = part / spread
        if mixture is None:
            clustered = settings.model.clustered(part)
            labels = partition(clustered, weight, settings.n_components, seed)
            mixture = mixture_of_partition(white, weight, labels, settings.model)
        on_step = stage(
            f"expectation maximisation on {size} samples", settings.max_iter + 1
        )
        found = maximise_likelihood(
            white, weight, mixture, settings.model, on_step, settings.max_iter, tol
        )
        mixture, stopped = found.mixture, found.stopped
        if stopped:
            break
    return mixture, stopped


def subset_sizes(n_rows: int, n_numbers: int) -> list[int]:
    """Return the numbers of rows of the subsets, in increasing order.

    ``n_numbers`` is the number of numbers in all means. There are no subsets if the
    rows are few.
    """
    sizes, size = [], max(_LEAST, _ROWS_PER_NUMBER * n_numbers)
    while size <= _LARGEST_FRACTION * n_rows:
        sizes.append(size)
        size *= _GROWTH
    return sizes


def draw_subset(
    sample_weight: np.ndarray, n_drawn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a subset of rows, and return their indices and weights.

    Each row is drawn with a probability that is proportional to its weight, once in
    each of ``n_drawn`` parts of the rows with equal sums of weights. The subset
    therefore contains rows from everywhere, also if their order has a meaning. A row
    that is drawn several times occurs once, with a larger weight. The mean weight of
    the draws is that of the rows. The draws are the same each time.
    """
    stream = random_stream(0)
    ends = np.cumsum(sample_weight)
    points = (np.arange(n_drawn) + stream.random(n_drawn)) * (ends[-1] / n_drawn)
    drawn = np.searchsorted(ends, points, side="right")
    rows, counts = np.unique(np.minimum(drawn, len(ends) - 1), return_counts=True)
    return rows, counts * sample_weight.mean()
