"""Labels as indices into the sorted array of the different labels."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from skspectral._missing import refuse_missing_labels
from skspectral._sklearn_compat import as_numpy


def without_gaps(y: Any) -> np.ndarray:
    """Return labels of shape (n,); raise a ValueError if some labels are missing.

    Missing labels are None, NaN, NA or masked.
    """
    labels: np.ndarray = column_or_1d(refuse_missing_labels(y))
    return labels


def encode_labels(
    y: Any, n_samples: int, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted different labels, and the index of each sample's label.

    ``y`` has the shape (n_samples,), or is None, which gives two empty arrays.
    ``known`` holds the different labels of an earlier training; it is empty if the
    training had no labels, and None if there was no training.

    A ValueError is raised if labels are missing or continuous, if their number is not
    ``n_samples``, if a label is not among the ``known`` ones, or if only one of the two
    trainings has labels.
    """
    if y is None:
        if known is not None and len(known):
            raise ValueError(
                "y is None, but the training so far had labels: pass y as before."
            )
        return np.empty(0), np.empty(0, int)
    labels = without_gaps(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"y has {len(labels)} labels, but X has {n_samples} samples. Pass one "
            "label per sample."
        )
    if type_of_target(labels).startswith("continuous"):
        raise ValueError(
            "y must be labels, but these vary continuously. Pass y=None, or divide the "
            "range of y into classes."
        )
    if known is None:
        return np.unique(labels, return_inverse=True)
    if not len(known):
        raise ValueError(
            "y is given, but the training so far had no labels: pass y=None."
        )
    return known, class_indices(labels, n_samples, known)


def class_indices(y: Any, n_samples: int, classes: np.ndarray) -> np.ndarray:
    """Return the indices (n_samples,) of labels in the sorted array ``classes``.

    ``y`` is one label for all samples, or one label per sample. A label that is not in
    ``classes``, or a ``y`` of another length, raises a ValueError.
    """
    labels = as_numpy(refuse_missing_labels(y), "y")
    if labels.ndim > 1 or (labels.ndim == 1 and len(labels) != n_samples):
        raise ValueError(
            f"y has shape {labels.shape}. Pass one label, or one for each of the "
            f"n_samples={n_samples} draws."
        )
    labels = np.broadcast_to(labels, (n_samples,))
    unseen = ~np.isin(labels, classes)
    if unseen.any():
        raise ValueError(
            f"y={labels[unseen][0]} is not a label of fit: {classes.tolist()}. Pass "
            "one of these labels."
        )
    return np.searchsorted(classes, labels)
