"""Draws from an estimator, or any images or signals, in a grid."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers
from skspectral.grid import Grid
from skspectral.plotting._common import (
    check_rows,
    draw_signal,
    fitted,
    grid_of_panels,
    limits_of,
)


@dataclass(eq=False)
class SampleGridDisplay:
    """Images, or curves over time, in a grid, all on one scale.

    The scale of images is guessed from the mean of the data (``mean_``): 0 to 1 if all
    of it is in there; 0 to 255 if it is in there and somewhere above 32; else from the
    lowest to the highest hundredth of the values shown. ``vmin`` and ``vmax`` of `plot`
    say it. That of curves is all values.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
    signal_shape : tuple of int
    value_range : (float, float)
        What is black and white, or bottom and top.
    sampling_rate : float or None

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        Where the panels are.
    axes_ : ndarray of shape (n_samples,)
        The panels.
    artists_ : list of AxesImage or Line2D

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import SampleGridDisplay
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(load_digits().data)
    >>> ax = Figure().subplots()
    >>> SampleGridDisplay.from_estimator(est, 4, random_state=0, ax=ax).axes_.shape
    (4,)
    """

    samples: np.ndarray
    signal_shape: tuple[int, ...]
    value_range: tuple[float, float]
    sampling_rate: float | None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        n_samples: int = 16,
        *,
        y: Any = None,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> "SampleGridDisplay":
        """Show draws from a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        n_samples : int, default=16
        y : object, default=None
            Label to draw for, with a prior that knows labels.
        random_state : int, RandomState instance or None, default=None
        ax : Axes, default=None
        **kwargs
            For `plot`.

        Raises
        ------
        ValueError
            If images have neither one nor three channels.
        """
        mean = fitted(estimator, "mean_")
        rows = as_numbers(estimator.sample(n_samples, y=y, random_state=random_state))
        grid = estimator.model_.grid
        values = _guess_range(mean, rows, grid)
        return cls(rows, grid.shape, values, grid.sampling_rate).plot(ax, **kwargs)

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        signal_shape: Sequence[int] | None = None,
        *,
        sampling_rate: float | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> "SampleGridDisplay":
        """Show rows (n_samples, n_features) that unfold to ``signal_shape``.

        None means signals, of ``sampling_rate`` samples per second. Else as
        `from_estimator`.
        """
        rows = check_rows(images, "images")
        grid = Grid.of(signal_shape, rows.shape[1])
        values = _guess_range(rows.mean(axis=0), rows, grid)
        return cls(rows, grid.shape, values, sampling_rate).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_columns: int | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
    ) -> "SampleGridDisplay":
        """Draw into ``ax`` or a new figure.

        Parameters
        ----------
        ax : Axes, default=None
        n_columns : int or None, default=None
            None makes a square of panels.
        vmin, vmax : float or None, default=None
            What is black and white, or bottom and top; values beyond are clipped. None
            is that of ``value_range``.

        Raises
        ------
        ValueError
            If ``vmin`` is not less than ``vmax``.
        """
        low, high = self.value_range
        limits = low if vmin is None else vmin, high if vmax is None else vmax
        if not limits[0] < limits[1]:
            raise ValueError(f"vmin={limits[0]} must be less than vmax={limits[1]}.")
        n_samples, n_features = self.samples.shape
        grid = Grid.of(self.signal_shape, n_features, self.sampling_rate)
        curves = not grid.is_image
        size = (1.8, 1.3) if curves else (1.0, 1.0)
        self.ax_, self.axes_ = grid_of_panels(
            ax, n_samples, n_columns, size, sharex=curves, sharey=curves
        )
        self.figure_ = self.ax_.figure
        self.artists_ = [
            draw_signal(panel, row, grid, limits)
            for panel, row in zip(self.axes_, self.samples, strict=True)
        ]
        for panel in self.axes_:
            panel.label_outer()
        return self


def _guess_range(mean: np.ndarray, rows: np.ndarray, grid: Grid) -> tuple[float, float]:
    if not grid.is_image:
        return limits_of(rows)
    if mean.min() >= 0 and 0 < mean.max() <= 1:
        return 0.0, 1.0
    if mean.min() >= 0 and 32 < mean.max() <= 255:
        return 0.0, 255.0
    return limits_of(np.quantile(rows, [0.01, 0.99]))
