"""A detector of refined images by their spectra, to choose the best epoch by."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral.metrics._images import LUMA
from skspectral.refinement._spectra import iter_spectra, log_magnitude

# Epochs are judged by at most so many images, or values, of either kind; this share of
# them is held out, but none if it would be fewer than the last number.
_JUDGED, _VALUES, _HELD, _FEWEST = 2500, 2**26, 0.2, 20
# Ridge of the detector, for each image it learns from; features are standardised.
_RIDGE = 0.1


def split_rows(
    images: np.ndarray, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows for learning and of those held out: of few images none."""
    rows = stream.permutation(len(images))
    n_held = round(_HELD * min(len(images), _JUDGED, _VALUES // images[0].size))
    if n_held < _FEWEST:
        n_held = 0
    return rows[n_held:], rows[:n_held]


class Judge:
    """A linear detector of refined images, which learns afresh at each call.

    It sees log-spectra, above the rounding ``floor``, of luma, or of the mean of
    channels if there are not three. ``generated`` holds the images that it refines to
    learn from, and those held out.
    """

    def __init__(
        self,
        images: tuple[np.ndarray, np.ndarray],
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
        floor: float,
    ):
        self._floor = floor
        self.generated, real = (
            (part[learnt[: round(len(held) / _HELD)]], part[held])
            for part, (learnt, held) in zip(images, splits, strict=True)
        )
        self._real = [self._features(part) for part in real]

    def auc(self, refine: Callable[[np.ndarray], np.ndarray]) -> float:
        """Area under the ROC curve for the images held out, or 1 minus it if larger.

        0.5 is chance; a detector that is always wrong has found the difference, too.
        """
        refined = [self._features(refine(part)) for part in self.generated]
        (learnt, labels), (held, held_labels) = (
            (np.concatenate(pair), np.repeat([1, 0], [len(part) for part in pair]))
            for pair in zip(refined, self._real, strict=True)
        )
        # Closed form, in as many unknowns as there are images or features.
        ridge = RidgeClassifier(alpha=_RIDGE * len(learnt), solver="cholesky")
        detector = make_pipeline(StandardScaler(), ridge).fit(learnt, labels)
        auc = float(roc_auc_score(held_labels, detector.decision_function(held)))
        return max(auc, 1 - auc)

    def _features(self, images: np.ndarray) -> np.ndarray:
        n_channels = images.shape[3]
        weights = LUMA if n_channels == 3 else np.full(n_channels, 1 / n_channels)
        luma = images @ weights[:, None]
        values = [log_magnitude(z, self._floor) for z in iter_spectra(luma)]
        return np.concatenate(values).reshape(len(images), -1)
