"""Display of generated samples, or of any images or signals, in a grid."""
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
    fitted_array,
    grid_of_panels,
    value_limits,
)


@dataclass(eq=False)
class SampleGridDisplay:
    """Grid of images, or of curves over time, with a common scale.

    The scale of curves covers all values. The scale of images is guessed from the mean
    of the data, ``mean_`` for an estimator. It is 0 to 1 if the mean lies in this range
    everywhere. It is 0 to 255 if the mean lies in this range everywhere and exceeds 32
    somewhere. Otherwise, the scale extends from the 1 % to the 99 % quantile of the
    values shown. Set the scale with the arguments ``vmin`` and ``vmax`` of `plot`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
        Signals or flattened images.
    signal_shape : tuple of int
        Shape of a signal, as the estimator takes it.
    value_range : tuple of float
        Lowest and highest value of the scale: black and white for images, bottom and
        top for curves.
    sampling_rate : float or None
        Number of samples per second, for the time axis of signals. None counts
        samples.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels in ``signal_shape``. "auto" means the last of three or four
        axes, and None means that there are no channels.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes whose area contains the panels.
    axes_ : ndarray of Axes of shape (n_samples,)
        Panels, one per sample.
    artists_ : list of AxesImage or Line2D
        Image or curve of each sample.

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
    channel_axis: int | str | None = "auto"

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
        """Plot samples drawn from a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        n_samples : int, default=16
            Number of samples to draw.
        y : object, default=None
            Label of the samples to draw, for a prior that was fitted with labels.
        random_state : int, RandomState instance or None, default=None
            Seed of the samples. None continues the random stream of the estimator.
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.
        **kwargs : dict
            Further arguments of `plot`.

        Returns
        -------
        display : SampleGridDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If the images have neither one nor three channels.
        ValueError
            If the arguments are invalid for `plot` or for ``estimator.sample``.
        """
        mean = fitted_array(estimator, "mean_")
        rows = as_numbers(estimator.sample(n_samples, y=y, random_state=random_state))
        grid = estimator.model_.grid
        values = _guess_range(mean, rows, grid)
        options = grid.time_rate, grid.index_of_channels
        return cls(rows, grid.shape, values, *options).plot(ax, **kwargs)

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        signal_shape: Sequence[int] | None = None,
        *,
        sampling_rate: float | None = None,
        channel_axis: int | str | None = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> "SampleGridDisplay":
        """Plot given images or signals.

        Parameters
        ----------
        images : array-like of shape (n_samples, n_features)
            Signals or flattened images.
        signal_shape : tuple of int or None, default=None
            Shape of a row: (length,), (height, width) or (height, width, channels).
            None means (n_features,), a signal.
        sampling_rate : float or None, default=None
            Number of samples per second, for the time axis of signals. None counts
            samples.
        channel_axis : int, "auto" or None, default="auto"
            Axis of the channels in ``signal_shape``. "auto" means the last of three or
            four axes, and None means that there are no channels.
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.
        **kwargs : dict
            Further arguments of `plot`.

        Returns
        -------
        display : SampleGridDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``images`` is not a two-dimensional array of finite numbers.
        ValueError
            If ``signal_shape`` does not agree with the number of features.
        ValueError
            If the images have neither one nor three channels.
        ValueError
            If the arguments are invalid for `plot`.
        """
        rows = check_rows(images, "images")
        grid = Grid.of(signal_shape, rows.shape[1], sampling_rate, channel_axis)
        values = _guess_range(rows.mean(axis=0), rows, grid)
        options = grid.time_rate, grid.index_of_channels
        return cls(rows, grid.shape, values, *options).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_columns: int | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
    ) -> "SampleGridDisplay":
        """Draw the samples.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.
        n_columns : int or None, default=None
            Number of columns of panels. None arranges the panels approximately as a
            square.
        vmin, vmax : float or None, default=None
            Lowest and highest value of the scale. Values outside the scale are clipped.
            None means the corresponding entry of ``value_range``.

        Returns
        -------
        display : SampleGridDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``vmin`` is not less than ``vmax``.
        ValueError
            If ``n_columns`` is not a positive integer.
        ValueError
            If the images have neither one nor three channels.
        """
        low, high = self.value_range
        limits = low if vmin is None else vmin, high if vmax is None else vmax
        if not limits[0] < limits[1]:
            raise ValueError(
                f"vmin={limits[0]} must be less than vmax={limits[1]}. Pass other "
                "limits, or None."
            )
        n_samples, n_features = self.samples.shape
        grid = Grid.of(
            self.signal_shape, n_features, self.sampling_rate, self.channel_axis
        )
        curves = grid.n_axes == 1
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
    """Return the scale described in `SampleGridDisplay`."""
    if grid.n_axes == 1:
        return value_limits(rows)
    if mean.min() >= 0 and 0 < mean.max() <= 1:
        return 0.0, 1.0
    if mean.min() >= 0 and 32 < mean.max() <= 255:
        return 0.0, 255.0
    return value_limits(np.quantile(rows, [0.01, 0.99]))
