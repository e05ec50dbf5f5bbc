"""Labels as numbers."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np


def label_numbers(y: Any, n_samples: int, classes: np.ndarray) -> np.ndarray:
    """Positions in ``classes`` of one label, or of one for each of ``n_samples``.

    Raises
    ------
    ValueError
        If a label is not in ``classes``, or ``y`` has another length.
    """
    labels = np.asarray(y)
    if labels.ndim > 1 or (labels.ndim == 1 and len(labels) != n_samples):
        raise ValueError(
            f"y of shape {labels.shape} must be one label, or one for each of the "
            f"n_samples={n_samples}."
        )
    labels = np.broadcast_to(labels, (n_samples,))
    unseen = ~np.isin(labels, classes)
    if unseen.any():
        raise ValueError(
            f"y={labels[unseen][0]} is not a label of fit: {classes.tolist()}."
        )
    return np.searchsorted(classes, labels)
