"""How a row of X unfolds."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral

import numpy as np


def check_signal_shape(
    signal_shape: Sequence[int] | None, n_features: int
) -> tuple[int, ...]:
    """The shape as a tuple of ints, checked against the number of features."""
    if signal_shape is None:
        return (n_features,)
    shape = tuple(signal_shape)
    if not all(isinstance(size, Integral) and size > 0 for size in shape):
        raise ValueError(
            f"signal_shape={signal_shape!r} must be a tuple of positive integers."
        )
    if not 1 <= len(shape) <= 3:
        raise ValueError(
            f"signal_shape={signal_shape!r} must have one to three axes: (length,), "
            "(height, width) or (height, width, channels)."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"signal_shape={signal_shape!r} holds {np.prod(shape)} values, but X has "
            f"{n_features} features."
        )
    return tuple(int(size) for size in shape)
