"""Display of power spectra of data, reconstructions and generated samples."""
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
    SMALL_FONT,
    axes_for,
    check_rows,
)


@dataclass(eq=False)
class SpectrumDisplay:
    """Plot of the mean power spectra of sets of signals or images.

    The power axis is logarithmic. For signals, the curve is the mean periodogram. For
    images, the curve is the mean power over rings of equal frequency and over channels,
    from `skspectral.metrics.radial_power_spectrum`. The mean of each sample is
    subtracted first, and the frequency 0 is not shown.

    Parameters
    ----------
    frequencies : ndarray of shape (n_frequencies,)
        Frequencies of the curves.
    powers : dict of str to ndarray of shape (n_frequencies,)
        Mean power of each set, by the name of the set.
    frequency_unit : str
        Unit of ``frequencies``, for the label of the axis.
    power_unit : str
        Unit of ``powers``, for the label of the axis.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the plot.
    lines_ : list of Line2D
        One curve per set.

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
        """Plot the spectra of data, their reconstruction, and generated samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, with the number of features of `fit`.
        n_samples : int, default=500
            Number of samples to draw from the estimator.
        random_state : int, RandomState instance or None, default=0
            Seed of the samples. None continues the random stream of the estimator.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : SpectrumDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``X`` does not have the number of features of `fit`.
        ValueError
            If a signal has a single value along an axis, and therefore no frequency
            except 0.
        """
        sets = {
            "data": X,
            "reconstruction": estimator.inverse_transform(estimator.transform(X)),
            "samples": estimator.sample(n_samples, random_state=random_state),
        }
        grid = estimator.model_.grid
        return cls.from_arrays(
            sets,
            signal_shape=grid.shape,
            sampling_rate=grid.sampling_rate,
            channel_axis=grid.index_of_channels,
            ax=ax,
        )

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, ArrayLike],
        *,
        signal_shape: Sequence[int] | None = None,
        sampling_rate: float | Sequence[float] | None = None,
        channel_axis: int | str | None = "auto",
        ax: Any = None,
    ) -> "SpectrumDisplay":
        """Plot the spectra of given sets of signals or images.

        Parameters
        ----------
        arrays : dict of str to array-like of shape (n, n_features)
            Sets of signals or flattened images by name. The names are shown in the
            legend.
        signal_shape : tuple of int or None, default=None
            Shape of a row: (length,), (height, width) or (height, width, channels).
            None means (n_features,), a signal.
        sampling_rate : float, tuple of float or None, default=None
            Number of samples per second, or per unit of length for images, one for all
            axes or one per axis. It sets the unit of the frequencies. None means cycles
            per signal or per image.
        channel_axis : int, "auto" or None, default="auto"
            Axis of the channels in ``signal_shape``. "auto" means the last of three or
            four axes, and None means that there are no channels.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : SpectrumDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``arrays`` is empty.
        ValueError
            If the sets have different numbers of features, or contain NaN or infinite
            values.
        ValueError
            If ``signal_shape`` does not agree with the number of features.
        ValueError
            If a signal has a single value along an axis, and therefore no frequency
            except 0.
        ValueError
            If a signal has three axes.
        """
        if not arrays:
            raise ValueError("arrays is empty. Pass at least one set by name.")
        n_features = as_numbers(next(iter(arrays.values()))).shape[-1]
        grid = Grid.of(signal_shape, n_features, sampling_rate, channel_axis)
        if grid.n_axes > 2:
            raise ValueError(
                f"signal_shape={grid.shape} has {grid.n_axes} axes, but spectra are "
                "drawn for one or two. Pass slices of the signals."
            )
        if min(grid.sizes) < 2:
            raise ValueError(
                f"Signals of shape {grid.shape} have no frequencies. Pass signals with "
                "at least two values along each axis."
            )
        powers = {}
        for name, rows in arrays.items():
            checked = check_rows(rows, f"arrays[{name!r}]", n_features)
            frequencies, powers[str(name)] = _mean_power(checked, grid)
        unit = grid.frequency_unit
        power_unit = "squared units of the data"
        if not grid.is_image:
            power_unit += " / (cycle per signal)" if sampling_rate is None else " / Hz"
        return cls(frequencies, powers, unit, power_unit).plot(ax)

    def plot(self, ax: Any = None) -> "SpectrumDisplay":
        """Draw the spectra; powers of zero are left out.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : SpectrumDisplay
            Display with the finished plot.
        """
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
        self.ax_.set_ylabel(f"mean power\n({self.power_unit})", fontsize=SMALL_FONT + 1)
        self.ax_.legend(fontsize=SMALL_FONT)
        return self


def _mean_power(rows: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in the unit of the grid, and the mean power at each frequency.

    The frequency 0 is left out.
    """
    # All channels are averaged.
    signals, shorter = grid.signals(rows), min(grid.sizes)
    if grid.is_image:
        frequencies, power = radial_power_spectrum(
            signals, channels="separate", channel_axis=1
        )
        rate = 1.0 if grid.sampling_rate is None else grid.units.max()
        return frequencies * rate, power.mean(axis=0)
    rate = shorter if grid.time_rate is None else grid.time_rate
    signals = signals.reshape(-1, shorter)
    frequencies, power = periodogram(signals, fs=rate, detrend="constant", axis=1)
    return frequencies[1:], power[:, 1:].mean(axis=0)
