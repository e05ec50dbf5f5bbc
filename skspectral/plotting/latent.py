"""Display of samples as points: their codes, projected to two dimensions."""
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
    SMALL_FONT,
    axes_for,
    check_rows,
)

_MARKERS = ("o", "^", "s", "D")
_MAX_LABELS = len(PALETTE) * len(_MARKERS)


@dataclass(eq=False)
class LatentDisplay:
    """Scatter plot of codes projected to two dimensions.

    The points are coloured by a label or by a quantity.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Projected codes.
    y : ndarray of shape (n_samples,) or None
        Labels or a quantity. Each label has its own colour and marker, shown in a
        legend. Numbers with a fractional part, or with more than 32 different values,
        are a quantity, shown with a colour bar. None draws all points in the same
        colour.
    axis_labels : tuple of str
        Labels of the x and the y axis.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the plot.
    points_ : list of PathCollection
        One collection of points per label, or a single collection.

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
        """Plot the codes that a fitted estimator computes for samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images to encode, with the number of features of `fit`.
        y : array-like of shape (n_samples,) or None, default=None
            Labels or a quantity that determine the colours.
        **kwargs : dict
            Arguments ``projection``, ``ax`` and ``size`` of `from_codes`.

        Returns
        -------
        display : LatentDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``X`` does not have the number of features of `fit`.
        TypeError
            If ``projection`` has no method ``fit_transform``.
        ValueError
            If the arguments are invalid for `from_codes`.
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
        """Plot given codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_atoms)
            Codes of the samples.
        y : array-like of shape (n_samples,) or None, default=None
            Labels or a quantity that determine the colours.
        projection : object or None, default=None
            Transformer with a method ``fit_transform`` that returns two columns, such
            as ``TSNE()``. A copy of it is fitted. None means ``PCA(2)``.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.
        **kwargs : dict
            Argument ``size`` of `plot`.

        Returns
        -------
        display : LatentDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``codes`` is not a two-dimensional array of finite numbers.
        ValueError
            If ``y`` does not have one entry per sample.
        ValueError
            If ``projection`` does not return two columns.
        ValueError
            If ``projection`` is None, and there are fewer than two samples or codes.
        TypeError
            If ``projection`` has no method ``fit_transform``.
        """
        rows = check_rows(codes, "codes")
        labels = None if y is None else column_or_1d(as_numpy(y, "y"))
        if labels is not None:
            check_consistent_length(rows, labels)
        if projection is None:
            projection = PCA(2)
            if min(rows.shape) < 2:
                raise ValueError(
                    f"codes has shape {rows.shape}, but PCA to two dimensions needs at "
                    "least two samples with at least two codes each."
                )
        if not hasattr(projection, "fit_transform"):
            raise TypeError(
                f"projection={projection!r} has no method fit_transform. Pass a "
                "transformer such as PCA(2) or TSNE()."
            )
        # Do not fit the object that belongs to the user.
        projection = clone(projection, safe=False)
        points = as_numbers(projection.fit_transform(rows))
        if points.shape != (len(rows), 2):
            raise ValueError(
                f"projection returned an array of shape {points.shape}, but it must "
                f"have two columns and {len(rows)} rows. Set n_components=2 in it."
            )
        return cls(points, labels, _axis_labels(projection)).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, size: float = 14.0) -> "LatentDisplay":
        """Draw the points.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.
        size : float, default=14.0
            Area of the points, in squared points (1/72 inch).

        Returns
        -------
        display : LatentDisplay
            Display with the finished plot.
        """
        self.ax_ = axes_for(ax, 5.4, 4.2)
        self.figure_ = self.ax_.figure
        style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.8}
        if self.y is None:
            self.points_ = [self.ax_.scatter(*self.points.T, color=PALETTE[0], **style)]
        elif _is_quantity(self.y):
            style |= {"c": self.y, "cmap": MAGNITUDE_MAP}
            points = self.ax_.scatter(*self.points.T, **style)
            self.points_ = [points]
            self.figure_.colorbar(points, ax=self.ax_, label="y")
        else:
            self.points_ = [
                self.ax_.scatter(
                    *self.points[self.y == label].T,
                    color=PALETTE[i % len(PALETTE)],
                    marker=_MARKERS[i // len(PALETTE) % len(_MARKERS)],
                    label=str(label),
                    **style,
                )
                for i, label in enumerate(np.unique(self.y))
            ]
            self.ax_.legend(
                title="y",
                fontsize=SMALL_FONT,
                markerscale=1.5,
                loc="center left",
                bbox_to_anchor=(1, 0.5),
            )
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self


def _is_quantity(y: np.ndarray) -> bool:
    """Return whether y holds a quantity and not labels."""
    if y.dtype.kind not in "iuf":
        return False
    return len(np.unique(y)) > _MAX_LABELS or bool(np.any(y != np.round(y)))


def _axis_labels(projection: Any) -> tuple[str, str]:
    """Return axis labels: the name of the projection, and its variances if known."""
    name = type(projection).__name__
    shares = getattr(projection, "explained_variance_ratio_", None)
    if shares is None:
        return f"{name} 1", f"{name} 2"
    first, second = (
        f"{name} {i + 1} ({shares[i]:.0%} of the codes' variance)" for i in range(2)
    )
    return first, second
