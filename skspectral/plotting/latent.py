"""Samples as points: their codes, projected to two dimensions."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_consistent_length, column_or_1d

from skspectral._sklearn_compat import as_numbers, as_numpy
from skspectral.plotting._common import (
    MAGNITUDE_MAP,
    PALETTE,
    SMALL,
    axes_for,
    check_rows,
)

_MARKERS = ("o", "^", "s", "D")
_MOST_LABELS = len(PALETTE) * len(_MARKERS)


@dataclass(eq=False)
class LatentDisplay:
    """Codes projected to the plane, coloured by label or by a quantity.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
    y : ndarray of shape (n_samples,) or None
        Labels have a legend, with a colour and a marker each. Numbers that are not
        whole, or of more than 32 values, are a quantity and have a colour bar.
    axis_labels : tuple of str

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
    points_ : list of PathCollection
        One for each label, or one.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import LatentDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    >>> display = LatentDisplay.from_estimator(est, X, y, ax=Figure().subplots())
    >>> len(display.points_)
    10
    """

    points: np.ndarray
    y: np.ndarray | None
    axis_labels: tuple[str, str]

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, y: ArrayLike | None = None, **kwargs: Any
    ) -> "LatentDisplay":
        """Show the codes that a fitted estimator gives to X, (n_samples, n_features).

        Else as `from_codes`.
        """
        return cls.from_codes(estimator.transform(X), y, **kwargs)

    @classmethod
    def from_codes(
        cls,
        codes: ArrayLike,
        y: ArrayLike | None = None,
        *,
        projection: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> "LatentDisplay":
        """Show given codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_atoms)
        y : array-like of shape (n_samples,), default=None
            Labels or a quantity, for the colours.
        projection : object or None, default=None
            What has ``fit_transform``, and gives two columns: ``TSNE()`` for example. A
            copy of it is fitted. None is ``PCA(2)``.
        ax : Axes, default=None
        **kwargs
            For `plot`.

        Raises
        ------
        ValueError
            If y is of another length, or the projection does not give two columns.
        TypeError
            If the projection has no ``fit_transform``.
        """
        rows = check_rows(codes, "codes")
        labels = None if y is None else column_or_1d(as_numpy(y, "y"))
        if labels is not None:
            check_consistent_length(rows, labels)
        if projection is None:
            projection = PCA(2)
            if min(rows.shape) < 2:
                raise ValueError(
                    f"codes of shape {rows.shape}: PCA to two dimensions needs at "
                    "least two samples, and two codes of each."
                )
        if not hasattr(projection, "fit_transform"):
            raise TypeError(f"projection={projection!r} must have fit_transform.")
        # The user's own stays unfitted.
        projection = clone(projection, safe=False)
        points = as_numbers(projection.fit_transform(rows))
        if points.shape != (len(rows), 2):
            raise ValueError(
                f"projection gave an array of shape {points.shape}; two columns for "
                f"{len(rows)} samples are needed. Set its number of components to 2."
            )
        return cls(points, labels, _axis_labels(projection)).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, size: float = 14.0) -> "LatentDisplay":
        """Draw into ``ax`` or a new figure, points of an area of ``size`` pt^2."""
        self.ax_ = axes_for(ax, 5.4, 4.2)
        self.figure_ = self.ax_.figure
        look: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.8}
        if self.y is None:
            self.points_ = [self.ax_.scatter(*self.points.T, color=PALETTE[0], **look)]
        elif _is_quantity(self.y):
            look |= {"c": self.y, "cmap": MAGNITUDE_MAP}
            points = self.ax_.scatter(*self.points.T, **look)
            self.points_ = [points]
            self.figure_.colorbar(points, ax=self.ax_, label="y")
        else:
            self.points_ = [
                self.ax_.scatter(
                    *self.points[self.y == label].T,
                    color=PALETTE[i % len(PALETTE)],
                    marker=_MARKERS[i // len(PALETTE) % len(_MARKERS)],
                    label=str(label),
                    **look,
                )
                for i, label in enumerate(np.unique(self.y))
            ]
            self.ax_.legend(
                title="y",
                fontsize=SMALL,
                markerscale=1.5,
                loc="center left",
                bbox_to_anchor=(1, 0.5),
            )
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self


def _is_quantity(y: np.ndarray) -> bool:
    if y.dtype.kind not in "iuf":
        return False
    return len(np.unique(y)) > _MOST_LABELS or bool(np.any(y != np.round(y)))


def _axis_labels(projection: Any) -> tuple[str, str]:
    name = type(projection).__name__
    shares = getattr(projection, "explained_variance_ratio_", None)
    if shares is None:
        return f"{name} 1", f"{name} 2"
    first, second = (
        f"{name} {i + 1} ({shares[i]:.0%} of the codes' variance)" for i in range(2)
    )
    return first, second
