"""Display of the codes of windowed atoms, by position and frequency."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral.plotting._common import (
    MAGNITUDE_MAP,
    PALETTE,
    SMALL_FONT,
    axes_for,
    choose_sorted_atoms,
    codes_of,
    fitted_array,
    format_frequency,
    frequency_ticks,
    frequency_unit,
    largest_magnitude,
    sample_times,
    split_axes,
)

_MAX_SAMPLES, _MAX_TICKS = len(PALETTE), 5


@dataclass(eq=False)
class WindowedCodeDisplay:
    """Plot of the magnitudes of the codes of an estimator with ``windows``.

    For signals, there is one panel per sample, with the time on the x axis and the
    frequency of the waves on the y axis. For images, there is one row of panels per
    sample, with one map per wave.

    Parameters
    ----------
    sizes : ndarray of shape (n_samples, n_waves, n_windows) or \
            (n_samples, n_waves, n_rows, n_columns)
        Magnitudes of the codes. The waves are ordered by frequency.
    frequencies : ndarray of shape (n_waves,)
        Frequencies of the waves.
    frequency_unit : str
        Unit of ``frequencies``, for labels.
    n_features : int
        Number of values of a signal.
    sampling_rate : float or None, default=None
        Number of samples per second, for the time axis of signals. None counts
        samples.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes whose area contains the panels.
    axes_ : ndarray of Axes of shape (n_samples, 1) or (n_samples, n_waves)
        Panels of the samples.
    images_ : list of list of AxesImage
        Images in the panels, one list per sample.

    See Also
    --------
    CodeDisplay : Codes of an estimator without windows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import WindowedCodeDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8), windows=3).fit(X)
    >>> ax = Figure().subplots()
    >>> WindowedCodeDisplay.from_estimator(est, X[:2], atoms=4, ax=ax).sizes.shape
    (2, 4, 3, 3)
    """

    sizes: np.ndarray
    frequencies: np.ndarray
    frequency_unit: str
    n_features: int
    sampling_rate: float | None = None

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, atoms: Any = None, ax: Any = None
    ) -> "WindowedCodeDisplay":
        """Plot the codes that an estimator with ``windows`` computes for samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Estimator fitted with ``windows``.
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images to encode, with the number of features of `fit`.
            At most eight samples.
        atoms : int, array-like of int or of bool, or None, default=None
            Waves to show: a number n for the first n waves, indices, or a mask. Each
            wave has one atom per window. None shows all waves of signals, and the first
            eight waves of images.
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.

        Returns
        -------
        display : WindowedCodeDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If the estimator was fitted without ``windows``.
        ValueError
            If ``atoms`` does not select waves of the estimator.
        ValueError
            If ``X`` has more than eight samples, or does not have the number of
            features of `fit`.
        ValueError
            If the signals have three axes.
        """
        frequencies = fitted_array(estimator, "frequencies_")
        if not hasattr(estimator, "window_centers_"):
            raise ValueError(
                "The estimator has no windows. Fit it with the parameter windows, or "
                "use CodeDisplay."
            )
        codes = np.abs(codes_of(estimator, X))
        if len(codes) > _MAX_SAMPLES:
            raise ValueError(
                f"X has {len(codes)} rows, but at most {_MAX_SAMPLES} can be shown. "
                "Pass fewer rows."
            )
        grid = estimator.model_.grid
        if grid.n_axes > 2:
            raise ValueError(
                f"signal_shape={grid.shape} has {grid.n_axes} axes, but windowed codes "
                "are drawn for one or two."
            )
        centers = np.unique(fitted_array(estimator, "window_centers_"), axis=0)
        counts = tuple(len(np.unique(along)) for along in centers.T)
        frequencies = frequencies[:: len(centers)]
        if atoms is None and len(counts) > 1:
            atoms = _MAX_SAMPLES
        chosen = choose_sorted_atoms(atoms, frequencies)
        return cls(
            codes.reshape(len(codes), -1, *counts)[:, chosen],
            frequencies[chosen],
            frequency_unit(estimator),
            grid.n_places,
            grid.time_rate,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "WindowedCodeDisplay":
        """Draw the magnitudes of the codes.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.

        Returns
        -------
        display : WindowedCodeDisplay
            Display with the finished plot.
        """
        n_rows, n_waves = self.sizes.shape[:2]
        of_signals = self.sizes.ndim == 3
        size = (6.4, 2.4 * n_rows) if of_signals else (1.5 * n_waves, 1.7 * n_rows)
        self.ax_ = axes_for(ax, max(3.0, size[0]), max(2.2, size[1]))
        self.figure_ = self.ax_.figure
        self.axes_ = split_axes(self.ax_, n_rows, 1 if of_signals else n_waves)
        self.images_ = []
        draw = self._draw_over_time if of_signals else self._draw_maps
        for row, sizes in zip(self.axes_, self.sizes, strict=True):
            style = {"cmap": MAGNITUDE_MAP, "vmin": 0, "vmax": largest_magnitude(sizes)}
            images = draw(row, sizes, style)
            self.images_.append(images)
            bar = self.figure_.colorbar(images[-1], ax=list(row))
            bar.set_label("|code| (units of the data)", fontsize=SMALL_FONT)
            bar.ax.tick_params(labelsize=SMALL_FONT)
        return self

    def _draw_over_time(
        self, row: Any, sizes: np.ndarray, style: dict[str, Any]
    ) -> Any:
        """Draw the panel of one signal, and return its image in a list."""
        (panel,) = row
        t, label = sample_times(self.n_features, self.sampling_rate)
        # The first and the last window are centred at the first and the last sample.
        half = (t[-1] - t[0]) / (2 * max(1, sizes.shape[1] - 1))
        extent = (t[0] - half, t[-1] + half, -0.5, len(sizes) - 0.5)
        image = panel.imshow(
            sizes, aspect="auto", origin="lower", extent=extent, **style
        )
        panel.set_xlim(t[0], t[-1])
        panel.set_xlabel(label, fontsize=SMALL_FONT)
        panel.set_yticks(*frequency_ticks(self.frequencies, _MAX_TICKS))
        panel.set_ylabel(f"frequency\n({self.frequency_unit})", fontsize=SMALL_FONT)
        panel.tick_params(labelsize=SMALL_FONT)
        return [image]

    def _draw_maps(self, row: Any, sizes: np.ndarray, style: dict[str, Any]) -> Any:
        """Draw the maps of one image, and return them."""
        for panel, frequency in zip(row, self.frequencies, strict=True):
            panel.set(xticks=[], yticks=[])
            if panel.get_subplotspec().is_first_row():
                title = format_frequency(frequency, self.frequency_unit)
                panel.set_title(title, fontsize=SMALL_FONT)
        return [
            panel.imshow(part, **style) for panel, part in zip(row, sizes, strict=True)
        ]
