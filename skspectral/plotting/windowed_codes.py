"""Codes of atoms in windows: where each frequency acts."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers
from skspectral.plotting._common import (
    MAGNITUDE_MAP,
    PALETTE,
    SMALL,
    axes_for,
    choose_in_order,
    fitted,
    frequency_ticks,
    frequency_unit,
    largest,
    panels,
    times,
    with_unit,
)

_MOST_SAMPLES, _MOST_TICKS = len(PALETTE), 5


@dataclass(eq=False)
class WindowedCodeDisplay:
    """Sizes of the codes of ``windows``, by place and frequency.

    Of signals a panel for each sample, with time and the frequency of the waves; of
    images a row of panels for each, with a map for each wave.

    Parameters
    ----------
    sizes : ndarray of shape (n_samples, n_waves, n_windows) or \
            (n_samples, n_waves, n_rows, n_columns)
        Absolute codes, in order of frequency.
    frequencies : ndarray of shape (n_waves,)
    frequency_unit : str
    n_features : int
    sampling_rate : float or None, default=None

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
    axes_ : ndarray of shape (n_samples, 1) or (n_samples, n_waves)
    images_ : list of list of AxesImage

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
        """Show the codes that an estimator fitted with ``windows`` gives to samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        X : array-like of shape (n_samples, n_features)
            At most eight rows.
        atoms : int, array-like of int or of bool, or None, default=None
            Of the waves, each of which is one atom in each window: number of first
            ones, indices or a mask. None is all; of images the first eight.
        ax : Axes, default=None

        Raises
        ------
        ValueError
            If there are no windows, no such atoms, or more than eight samples.
        """
        frequencies = fitted(estimator, "frequencies_")
        if not hasattr(estimator, "window_centers_"):
            raise ValueError(
                "The atoms are in no windows. Fit with windows=..., or use CodeDisplay."
            )
        codes = np.abs(as_numbers(estimator.transform(X)))
        if len(codes) > _MOST_SAMPLES:
            raise ValueError(
                f"X has {len(codes)} rows, but at most {_MOST_SAMPLES} can be shown."
            )
        centers = np.unique(fitted(estimator, "window_centers_"), axis=0)
        counts = tuple(len(np.unique(along)) for along in centers.T)
        frequencies = frequencies[:: len(centers)]
        if atoms is None and len(counts) > 1:
            atoms = _MOST_SAMPLES
        chosen = choose_in_order(atoms, frequencies)
        return cls(
            codes.reshape(len(codes), -1, *counts)[:, chosen],
            frequencies[chosen],
            frequency_unit(estimator),
            estimator.n_features_in_,
            estimator.sampling_rate,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "WindowedCodeDisplay":
        """Draw into ``ax`` or a new figure."""
        n_rows, n_waves = self.sizes.shape[:2]
        of_signals = self.sizes.ndim == 3
        size = (6.4, 2.4 * n_rows) if of_signals else (1.5 * n_waves, 1.7 * n_rows)
        self.ax_ = axes_for(ax, max(3.0, size[0]), max(2.2, size[1]))
        self.figure_ = self.ax_.figure
        self.axes_ = panels(self.ax_, n_rows, 1 if of_signals else n_waves)
        self.images_ = []
        draw = self._over_time if of_signals else self._maps
        for row, sizes in zip(self.axes_, self.sizes, strict=True):
            look = {"cmap": MAGNITUDE_MAP, "vmin": 0, "vmax": largest(sizes)}
            images = draw(row, sizes, look)
            self.images_.append(images)
            bar = self.figure_.colorbar(images[-1], ax=list(row))
            bar.set_label("|code| (units of the data)", fontsize=SMALL)
            bar.ax.tick_params(labelsize=SMALL)
        return self

    def _over_time(self, row: Any, sizes: np.ndarray, look: dict[str, Any]) -> Any:
        (panel,) = row
        t, label = times(self.n_features, self.sampling_rate)
        # Windows are centred from the first sample to the last.
        half = (t[-1] - t[0]) / (2 * max(1, sizes.shape[1] - 1))
        extent = (t[0] - half, t[-1] + half, -0.5, len(sizes) - 0.5)
        image = panel.imshow(
            sizes, aspect="auto", origin="lower", extent=extent, **look
        )
        panel.set_xlim(t[0], t[-1])
        panel.set_xlabel(label, fontsize=SMALL)
        panel.set_yticks(*frequency_ticks(self.frequencies, _MOST_TICKS))
        panel.set_ylabel(f"frequency\n({self.frequency_unit})", fontsize=SMALL)
        panel.tick_params(labelsize=SMALL)
        return [image]

    def _maps(self, row: Any, sizes: np.ndarray, look: dict[str, Any]) -> Any:
        for panel, frequency in zip(row, self.frequencies, strict=True):
            panel.set(xticks=[], yticks=[])
            if panel.get_subplotspec().is_first_row():
                title = with_unit(frequency, self.frequency_unit)
                panel.set_title(title, fontsize=SMALL)
        return [
            panel.imshow(part, **look) for panel, part in zip(row, sizes, strict=True)
        ]
