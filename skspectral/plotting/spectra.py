"""Energy by frequency: of data, of reconstructions, of draws."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import periodogram

from skspectral._sklearn_compat import as_numbers
from skspectral.grid import Grid
from skspectral.metrics import radial_power_spectrum
from skspectral.plotting._common import (
    LINE_STYLES,
    PALETTE,
    SMALL,
    axes_for,
    check_rows,
    unit_of_frequency,
)


@dataclass(eq=False)
class SpectrumDisplay:
    """Mean power of sets of signals or images at each frequency, on a log axis.

    Of images the mean over rings of equal frequency and over colours
    (`skspectral.metrics.radial_power_spectrum`), of signals the mean periodogram. The
    mean of each sample is subtracted first, and the frequency 0 not shown.

    Parameters
    ----------
    frequencies : ndarray of shape (n_frequencies,)
    powers : dict of str to ndarray of shape (n_frequencies,)
        Of each set, by its name.
    frequency_unit, power_unit : str
        For the labels.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
    lines_ : list of Line2D

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skspectral.plotting import SpectrumDisplay
    >>> noise = np.random.default_rng(0).normal(size=(50, 64))
    >>> sets = {"noise": noise, "sums": noise.cumsum(axis=1)}
    >>> ax = Figure().subplots()
    >>> display = SpectrumDisplay.from_arrays(sets, sampling_rate=100, ax=ax)
    >>> ax.get_xlabel()
    'frequency (Hz)'
    """

    frequencies: np.ndarray
    powers: dict[str, np.ndarray]
    frequency_unit: str
    power_unit: str

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_samples: int = 500,
        random_state: Any = 0,
        ax: Any = None,
    ) -> "SpectrumDisplay":
        """Show data, their reconstruction, and samples drawn from the estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=500
            Number of draws.
        random_state : int, RandomState instance or None, default=0
            Of the draws.
        ax : Axes, default=None

        Raises
        ------
        ValueError
            If X has other features than in fit, or there are no frequencies but zero.
        """
        sets = {
            "data": X,
            "reconstruction": estimator.inverse_transform(estimator.transform(X)),
            "samples": estimator.sample(n_samples, random_state=random_state),
        }
        grid = estimator.model_.grid
        return cls.from_arrays(
            sets, signal_shape=grid.shape, sampling_rate=grid.sampling_rate, ax=ax
        )

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, ArrayLike],
        *,
        signal_shape: Sequence[int] | None = None,
        sampling_rate: float | None = None,
        ax: Any = None,
    ) -> "SpectrumDisplay":
        """Show sets of signals or images.

        Parameters
        ----------
        arrays : dict of str to array-like of shape (n, n_features)
            Sets by their names, which the legend shows.
        signal_shape : tuple of int or None, default=None
            How a row unfolds, for images. None means signals.
        sampling_rate : float or None, default=None
            Samples per second, or of images per unit of length.
        ax : Axes, default=None

        Raises
        ------
        ValueError
            If there are no sets, they differ in their number of features, or have a
            single place, which has no frequencies.
        """
        if not arrays:
            raise ValueError("arrays is empty. Pass at least one set, by its name.")
        n_features = as_numbers(next(iter(arrays.values()))).shape[-1]
        grid = Grid.of(signal_shape, n_features, sampling_rate)
        if min(grid.sizes) < 2:
            raise ValueError(
                f"Signals of shape {grid.shape} have no frequencies: at least two "
                "places along each axis are needed."
            )
        powers = {}
        for name, rows in arrays.items():
            checked = check_rows(rows, f"arrays[{name!r}]", n_features)
            frequencies, powers[str(name)] = _mean_power(checked, grid)
        unit = unit_of_frequency(grid)
        power_unit = "squared unit of data"
        if not grid.is_image:
            power_unit += " / (cycle per signal)" if sampling_rate is None else " / Hz"
        return cls(frequencies, powers, unit, power_unit).plot(ax)

    def plot(self, ax: Any = None) -> "SpectrumDisplay":
        """Draw into ``ax`` or a new figure; powers of zero are left out."""
        self.ax_ = axes_for(ax, 5.2, 3.6)
        self.figure_ = self.ax_.figure
        self.ax_.set_yscale("log")
        self.lines_ = []
        for i, (name, power) in enumerate(self.powers.items()):
            self.lines_ += self.ax_.plot(
                self.frequencies,
                np.where(power > 0, power, np.nan),
                label=name,
                color=PALETTE[i % len(PALETTE)],
                linestyle=LINE_STYLES[i % len(LINE_STYLES)],
            )
        self.ax_.set_xlabel(f"frequency ({self.frequency_unit})")
        self.ax_.set_ylabel(f"mean power ({self.power_unit})", fontsize=SMALL + 1)
        self.ax_.legend(fontsize=SMALL)
        return self


def _mean_power(rows: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in units of the grid, without zero, and the mean power at each."""
    signals, shorter = rows.reshape(-1, *grid.shape), min(grid.sizes)
    rate = shorter if grid.sampling_rate is None else grid.sampling_rate
    if grid.is_image:
        axis = -1 if signals.ndim == 4 else None
        frequencies, power = radial_power_spectrum(
            signals, channels="separate", channel_axis=axis
        )
        return frequencies * (rate / shorter), power.mean(axis=0)
    frequencies, power = periodogram(signals, fs=rate, detrend="constant", axis=1)
    return frequencies[1:], power[:, 1:].mean(axis=0)
