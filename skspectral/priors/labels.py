"""Labels as numbers."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from skspectral._missing import refuse_missing_labels
from skspectral._sklearn_compat import as_numpy


def without_gaps(y: Any) -> np.ndarray:
    """Labels of shape (n,), or a ValueError where some are None, NaN, NA or masked."""
    labels: np.ndarray = column_or_1d(refuse_missing_labels(y))
    return labels


def numbered(
    y: Any, n_samples: int, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels that there are, sorted, and the position of that of each sample.

    ``y`` has the shape (n_samples,); None gives empty arrays. If the labels ``known``
    from before are given, perhaps empty, those of ``y`` must be among them. Labels that
    are not, that were there only before or are only now, that are missing, vary
    continuously, or are of another number raise a ValueError.
    """
    if y is None:
        if known is not None and len(known):
            raise ValueError("The training so far had labels: pass y as before.")
        return np.empty(0), np.empty(0, int)
    labels = without_gaps(y)
    if len(labels) != n_samples:
        raise ValueError(f"y has {len(labels)} labels for {n_samples} samples.")
    if type_of_target(labels).startswith("continuous"):
        raise ValueError(
            "y must be labels, but these vary continuously: leave y out, or cut it "
            "into classes."
        )
    if known is None:
        return np.unique(labels, return_inverse=True)
    if not len(known):
        raise ValueError("The training so far had no labels: pass y=None.")
    return known, label_numbers(labels, n_samples, known)


def label_numbers(y: Any, n_samples: int, classes: np.ndarray) -> np.ndarray:
    """Positions in ``classes`` of one label, or of one for each of ``n_samples``.

    A label that is not in ``classes``, or a ``y`` of another length, raises a
    ValueError.
    """
    labels = as_numpy(refuse_missing_labels(y), "y")
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
