"""Random streams that never touch numpy's global state."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils import check_random_state

_MAX_SEED = 2**31 - 1


def random_stream(
    random_state: int | np.random.RandomState | np.random.Generator | None,
) -> np.random.Generator:
    """A generator: fresh for None, repeatable for an int, drawn from an instance.

    scikit-learn's convention, but for None, which there means the global state.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(_MAX_SEED))


def draw_seed(stream: np.random.Generator) -> int:
    """A seed that any library takes as ``random_state``."""
    return int(stream.integers(_MAX_SEED))
