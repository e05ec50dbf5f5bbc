"""Random streams that leave the global states of numpy and torch unchanged."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

_MAX_SEED = 2**31 - 1
_BLOCK_ROWS = 1024


def random_stream(
    random_state: int | np.random.RandomState | np.random.Generator | None,
) -> np.random.Generator:
    """Return a random generator for a ``random_state`` in scikit-learn's sense.

    An int gives a repeatable generator, and an instance seeds one. None gives a new
    generator, whereas scikit-learn would use numpy's global state.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(_MAX_SEED))


def draw_seed(stream: np.random.Generator) -> int:
    """Draw a seed that every library accepts as ``random_state``."""
    return int(stream.integers(_MAX_SEED))


def seed_of_part(seed: int, number: int) -> int:
    """Return the seed of one part of a computation, as `draw_seed` returns seeds.

    It depends on the seed of the whole and on the number of the part only, so that
    parts can be computed in any order.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(number,))
    return int(sequence.generate_state(1)[0] >> 1)


def standard_normal(stream: np.random.Generator, n_rows: int, width: int) -> np.ndarray:
    """Draw independent N(0, 1) numbers of shape (n_rows, width) with several threads.

    With one thread, the draws would take a third as long as the matrix product that
    turns them into signals. Each block of rows has its own stream, so that the numbers
    do not depend on the number of threads.
    """
    out = np.empty((n_rows, width))
    starts = range(0, n_rows, _BLOCK_ROWS)
    streams = stream.spawn(len(starts))

    def fill(start: int, block: np.random.Generator) -> None:
        block.standard_normal(out=out[start : start + _BLOCK_ROWS])

    if len(streams) == 1:
        fill(0, streams[0])
    else:
        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, starts, streams))
    return out


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's own generator, and restore its state at the end.

    The context is for libraries that draw from this generator, such as ``torch.nn`` for
    first weights. ``torch.manual_seed`` is not used, because it would seed all devices.
    Inside, the default is float32 on the CPU, so that a seed always gives the same
    weights.
    """
    before = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def seed_unseeded(estimator: Any, stream: np.random.Generator) -> None:
    """Give a seed to each ``random_state`` of an estimator, or in it, that is None."""
    if not hasattr(estimator, "get_params"):
        return
    unseeded = [
        name
        for name, value in sorted(estimator.get_params().items())
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    if unseeded:
        estimator.set_params(**{name: draw_seed(stream) for name in unseeded})
