"""A detector of refined images by their spectra, to choose the best epoch by."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral.metrics._images import LUMA, iter_slices
from skspectral.refinement._spectra import log_magnitude, spectra_of

# Epochs are judged by at most so many images, or values, of either kind; this share of
# them is held out, but none if it would be fewer than the last number.
_JUDGED, _VALUES, _HELD, _FEWEST = 2500, 2**26, 0.2, 20
# Ridge of the detector, for each image it learns from; features are standardised.
_RIDGE = 0.1


class Split(NamedTuple):
    """Images for learning, and images held out; or their row numbers."""

    learnt: np.ndarray
    held: np.ndarray


def split_rows(images: np.ndarray, stream: np.random.Generator) -> Split:
    """Split rows at random; of few images none is held out."""
    rows = stream.permutation(len(images))
    n_judged = min(len(images), _JUDGED, _VALUES // images[0].size)
    n_held = round(_HELD * n_judged)
    if n_held < _FEWEST:
        n_held = 0
    return Split(rows[n_held:], rows[:n_held])


class Judge:
    """A linear detector of refined images, which learns afresh at each call.

    It sees log-spectra, above the rounding ``floor``, of luma, or of the mean of
    channels if there are not three.
    """

    def __init__(
        self,
        images: tuple[np.ndarray, np.ndarray],
        splits: Sequence[Split],
        floor: float,
    ):
        self._floor = floor
        self.generated, real = (
            Split(part[rows.learnt[: round(len(rows.held) / _HELD)]], part[rows.held])
            for part, rows in zip(images, splits, strict=True)
        )
        self._real = [self._features(part) for part in real]

    def auc(self, refine: Callable[[np.ndarray], np.ndarray]) -> float:
        """Area under the ROC curve for the images held out; 0.5 is chance.

        The result is 1 minus the area where that is larger: a detector that is always
        wrong has found the difference, too.
        """
        refined = [self._features(refine(part)) for part in self.generated]
        (learnt, labels), (held, held_labels) = (
            (np.concatenate(pair), np.repeat([1, 0], [len(part) for part in pair]))
            for pair in zip(refined, self._real, strict=True)
        )
        # Closed form, in as many unknowns as there are images or features.
        detector = make_pipeline(
            StandardScaler(),
            RidgeClassifier(alpha=_RIDGE * len(learnt), solver="cholesky"),
        )
        scores = detector.fit(learnt, labels).decision_function(held)
        auc = float(roc_auc_score(held_labels, scores))
        return max(auc, 1 - auc)

    def _features(self, images: np.ndarray) -> np.ndarray:
        n_channels = images.shape[3]
        weights = LUMA if n_channels == 3 else np.full(n_channels, 1 / n_channels)
        values = [
            log_magnitude(spectra_of(images[rows] @ weights[:, None]), self._floor)
            for rows in iter_slices(images)
        ]
        return np.concatenate(values).reshape(len(images), -1)
