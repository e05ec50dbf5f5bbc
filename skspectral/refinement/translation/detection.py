"""A linear detector of refined images, by which the best epoch is chosen."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral.metrics._images import LUMA
from skspectral.refinement._spectra import iter_spectra, log_magnitude

# The detector is trained on at most this many images and pixel values of each kind.
_MAX_IMAGES, _MAX_VALUES = 2500, 2**26
# Number of held-out images as a fraction of these images, and the smallest number that
# is worth holding out.
_HELD_OUT_FRACTION, _MIN_HELD_OUT = 0.2, 20
# Ridge penalty of the detector per training image. Features are standardised.
_RIDGE = 0.1


def split_rows(
    images: np.ndarray, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row indices of the images for training and of those held out.

    Nothing is held out if there are too few images.
    """
    rows = stream.permutation(len(images))
    n_used = min(len(images), _MAX_IMAGES, _MAX_VALUES // images[0].size)
    n_held = round(_HELD_OUT_FRACTION * n_used)
    if n_held < _MIN_HELD_OUT:
        n_held = 0
    return rows[n_held:], rows[:n_held]


class Judge:
    """A linear detector of refined images, trained anew in every call.

    Its features are log-magnitudes, with the rounding ``floor``, of luma, or of the
    mean of the channels if there are not three. ``images`` holds generated and real
    images, and ``splits`` the rows for training and the rows held out of each.
    ``generated`` holds the generated images for training and those held out.
    """

    def __init__(
        self,
        images: tuple[np.ndarray, np.ndarray],
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
        floor: float,
    ):
        self._floor = floor
        self.generated, real = (
            (part[learnt[: round(len(held) / _HELD_OUT_FRACTION)]], part[held])
            for part, (learnt, held) in zip(images, splits, strict=True)
        )
        self._real = [self._features(part) for part in real]

    def auc(self, refine: Callable[[np.ndarray], np.ndarray]) -> float:
        """Return the area under the ROC curve for held-out images.

        0.5 is chance. An area below 0.5 is replaced by 1 minus the area: a detector
        that is always wrong has found a difference, too.
        """
        refined = [self._features(refine(part)) for part in self.generated]
        (learnt, labels), (held, held_labels) = (
            (np.concatenate(pair), np.repeat([1, 0], [len(part) for part in pair]))
            for pair in zip(refined, self._real, strict=True)
        )
        # The closed form has as many unknowns as images, or as features if fewer.
        ridge = RidgeClassifier(alpha=_RIDGE * len(learnt), solver="cholesky")
        detector = make_pipeline(StandardScaler(), ridge).fit(learnt, labels)
        auc = float(roc_auc_score(held_labels, detector.decision_function(held)))
        return max(auc, 1 - auc)

    def _features(self, images: np.ndarray) -> np.ndarray:
        """Log-magnitudes of luma, one row per image."""
        n_channels = images.shape[3]
        weights = LUMA if n_channels == 3 else np.full(n_channels, 1 / n_channels)
        luma = images @ weights[:, None]
        values = [log_magnitude(z, self._floor) for z in iter_spectra(luma)]
        return np.concatenate(values).reshape(len(images), -1)
