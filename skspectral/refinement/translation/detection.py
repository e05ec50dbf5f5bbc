"""How easily images are told by their spectra."""
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

# Images of either kind by which epochs are judged, at most, and of which there are less
# if they are large; the share of them that is held out, and the least number.
_JUDGED, _VALUES, _HELD, _FEWEST = 2500, 2**26, 0.2, 20
# Ridge of the detector, for each image it learns from; features are standardised.
_RIDGE = 0.1


class Split(NamedTuple):
    """Images for learning, and images held out; or numbers of their rows."""

    learnt: np.ndarray
    held: np.ndarray


def split_rows(images: np.ndarray, stream: np.random.Generator) -> Split:
    """Rows at random, of which a share is held out; none of few images."""
    rows = stream.permutation(len(images))
    n_judged = min(len(images), _JUDGED, _VALUES // images[0].size)
    n_held = round(_HELD * n_judged)
    if n_held < _FEWEST:
        n_held = 0
    return Split(rows[n_held:], rows[:n_held])


class Judge:
    """A linear detector of refined images, that learns afresh at each call.

    It sees log-spectra of luma, or of the mean of channels that are not three.

    Parameters
    ----------
    images : tuple of ndarray
        Generated and real ones.
    splits : sequence of Split
        Rows of either.
    floor : float
        Of log-magnitudes.
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
        """Area under the ROC curve for images that were held out; 0.5 is chance.

        Or 1 minus it: whoever finds them the other way round has found them.
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
