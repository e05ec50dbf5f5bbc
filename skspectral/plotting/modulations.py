"""Display of the modulation of atoms: amplitude, frequency and phase by position."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral.modulation_curves import ModulationCurves, modulation_curves
from skspectral.plotting._common import (
    LINE_STYLES,
    MAGNITUDE_MAP,
    PALETTE,
    SIGNED_MAP,
    SMALL_FONT,
    axes_for,
    choose_atoms,
    fitted_array,
    format_frequency,
    frequency_unit,
    largest_magnitude,
    sample_times,
    split_axes,
    value_limits,
)


@dataclass(eq=False)
class ModulationDisplay:
    """Plot of the amplitude, instantaneous frequency and phase of atoms.

    For signals, there are three panels over time, with one line per atom. For images,
    there is one row of three maps per atom; the colours of the phase map are centred at
    the phase of the plain wave. The curves come from
    `skspectral.modulation_curves.modulation_curves`.

    Parameters
    ----------
    curves : ModulationCurves
        Amplitude, frequency and phase, each of shape (n_atoms, length) or (n_atoms,
        height, width).
    frequencies : ndarray of shape (n_atoms,)
        Frequencies of the plain waves that the atoms modulate, ``frequencies_`` of the
        estimator.
    phases : ndarray of shape (n_atoms,)
        Phases of the plain waves in radians, ``phases_`` of the estimator.
    frequency_unit : str
        Unit of ``frequencies``, for labels.
    sampling_rate : float or None
        Number of samples per second, for the time axis of signals. None counts
        samples.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes whose area contains the panels.
    axes_ : ndarray of Axes of shape (1, 3) or (n_atoms, 3)
        Panels of amplitude, frequency and phase, with one row for signals and one row
        per atom for images.
    artists_ : ndarray of shape (n_atoms, 3)
        Line2D or AxesImage of each curve.

    See Also
    --------
    AtomDisplay : The atoms themselves.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import ModulationDisplay
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(load_digits().data)
    >>> ax = Figure().subplots()
    >>> ModulationDisplay.from_estimator(est, atoms=2, ax=ax).axes_.shape
    (2, 3)
    """

    curves: ModulationCurves
    frequencies: np.ndarray
    phases: np.ndarray
    frequency_unit: str
    sampling_rate: float | None

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, atoms: Any = 4, channel: int = 0, ax: Any = None
    ) -> "ModulationDisplay":
        """Plot the modulation of atoms of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        atoms : int, array-like of int or of bool, or None, default=4
            Atoms to show: a number n for the first n atoms, indices, or a mask. None
            shows all atoms.
        channel : int, default=0
            Channel to show for ``atoms="sinusoid"`` on images with several channels.
            Ignored for plane waves, whose channels share one modulation. Of volumes and
            videos, the middle slice along the first axis is shown.
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.

        Returns
        -------
        display : ModulationDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``atoms`` does not select atoms of the estimator.
        ValueError
            If ``channel`` is not the index of a channel.
        TypeError
            If the atoms of the estimator have no modulation curves.
        """
        frequencies = fitted_array(estimator, "frequencies_")
        chosen = choose_atoms(atoms, len(frequencies))
        curves = [curve[chosen] for curve in modulation_curves(estimator)]
        if estimator.model_.dictionary.wave_grid.n_axes == 3:
            curves = [curve[:, curve.shape[1] // 2] for curve in curves]
        if curves[0].ndim == 4:
            n_channels = curves[0].shape[3]
            if channel not in range(n_channels):
                raise ValueError(
                    f"channel={channel!r} must be an integer from 0 to "
                    f"{n_channels - 1}."
                )
            curves = [curve[..., channel] for curve in curves]
        return cls(
            ModulationCurves(*curves),
            frequencies[chosen],
            fitted_array(estimator, "phases_")[chosen],
            frequency_unit(estimator),
            estimator.model_.grid.time_rate,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "ModulationDisplay":
        """Draw the curves or maps.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.

        Returns
        -------
        display : ModulationDisplay
            Display with the finished plot.
        """
        draw = self._draw_lines if self.curves.phase.ndim == 2 else self._draw_maps
        self.artists_ = np.array(draw(ax), dtype=object)
        self.figure_ = self.ax_.figure
        return self

    def _draw_lines(self, ax: Any) -> list[Any]:
        """Draw the curves of signals over time."""
        self.ax_ = axes_for(ax, 6.4, 5.0)
        self.axes_ = split_axes(self.ax_, 3, 1, sharex=True).T
        t, label = sample_times(self.curves.phase.shape[1], self.sampling_rate)
        for panel, name in zip(self.axes_[0], self._panel_names(), strict=True):
            panel.set_ylabel(name, fontsize=SMALL_FONT)
            panel.tick_params(labelsize=SMALL_FONT)
        self.axes_[0, 2].set_xlabel(label)
        artists = []
        for i, frequency in enumerate(self.frequencies):
            style = {
                "color": PALETTE[i % len(PALETTE)],
                "linestyle": LINE_STYLES[i // len(PALETTE) % len(LINE_STYLES)],
                "label": format_frequency(frequency, self.frequency_unit),
            }
            curves = zip(self.axes_[0], self.curves, strict=True)
            artists.append([panel.plot(t, c[i], **style)[0] for panel, c in curves])
        self.axes_[0, 0].legend(
            fontsize=SMALL_FONT, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4
        )
        return artists

    def _draw_maps(self, ax: Any) -> list[Any]:
        """Draw the maps of images, one row per atom."""
        n_atoms = len(self.frequencies)
        self.ax_ = axes_for(ax, 6.8, 1.9 * n_atoms)
        self.axes_ = split_axes(self.ax_, n_atoms, 3)
        artists = []
        for i, row in enumerate(self.axes_):
            title = format_frequency(self.frequencies[i], self.frequency_unit)
            atom = f"atom of {title}\n"
            for panel, name in zip(row, self._panel_names(atom), strict=True):
                panel.set_title(name, fontsize=SMALL_FONT)
            amplitude, frequency, phase = (curve[i] for curve in self.curves)
            centre, deviation = (
                self.phases[i],
                largest_magnitude(phase - self.phases[i]),
            )
            artists.append(
                [
                    _draw_map(
                        row[0], amplitude, MAGNITUDE_MAP, value_limits(amplitude)
                    ),
                    _draw_map(
                        row[1], frequency, MAGNITUDE_MAP, value_limits(frequency)
                    ),
                    _draw_map(
                        row[2],
                        phase,
                        SIGNED_MAP,
                        (centre - deviation, centre + deviation),
                    ),
                ]
            )
        return artists

    def _panel_names(self, atom: str = "") -> tuple[str, str, str]:
        """Return the names of the three panels."""
        return f"{atom}amplitude", f"frequency\n({self.frequency_unit})", "phase\n(rad)"


def _draw_map(
    panel: Any, values: np.ndarray, colours: str, limits: tuple[float, float]
) -> Any:
    """Draw a map with its colour bar."""
    image = panel.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
    panel.set(xticks=[], yticks=[])
    bar = panel.figure.colorbar(image, ax=panel)
    bar.ax.tick_params(labelsize=SMALL_FONT)
    return image
