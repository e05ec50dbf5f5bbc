"""How amplitude, frequency and phase of atoms drift over the signal."""
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
    SMALL,
    axes_for,
    choose_atoms,
    fitted,
    frequency_unit,
    largest,
    limits_of,
    panels,
    times,
    with_unit,
)


@dataclass(eq=False)
class ModulationDisplay:
    """Amplitude A_i(t), instantaneous frequency and phase phi_i(t) of atoms.

    Of signals three panels over time, a line an atom; of images a row of three maps for
    each atom. The map of a phase is centred at ``phases_``. The curves are those of
    `skspectral.modulation_curves.modulation_curves`.

    Parameters
    ----------
    curves : ModulationCurves
        Of the atoms shown, each of shape (n_atoms, length) or (n_atoms, height, width).
    frequencies, phases : ndarray of shape (n_atoms,)
        Of the plain wave nearest to each.
    frequency_unit : str
    sampling_rate : float or None

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        Where the panels are.
    axes_ : ndarray of shape (1, 3) or (n_atoms, 3)
        Panels of amplitude, frequency and phase.
    artists_ : ndarray of shape (n_atoms, 3)
        A Line2D or AxesImage for each.

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
        """Show the drift of atoms of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        atoms : int, array-like of int or of bool, or None, default=4
            Number of first atoms (at most), indices, a mask, or None: all.
        channel : int, default=0
            Which to show of sinusoids of colour images; those of plane waves drift
            together.
        ax : Axes, default=None

        Raises
        ------
        ValueError
            If there is no such atom or channel.
        """
        frequencies = fitted(estimator, "frequencies_")
        chosen = choose_atoms(atoms, len(frequencies))
        curves = [curve[chosen] for curve in modulation_curves(estimator)]
        if curves[0].ndim == 4:
            n_channels = curves[0].shape[3]
            if channel not in range(n_channels):
                raise ValueError(
                    f"channel={channel!r} must be from 0 to {n_channels - 1}."
                )
            curves = [curve[..., channel] for curve in curves]
        return cls(
            ModulationCurves(*curves),
            frequencies[chosen],
            fitted(estimator, "phases_")[chosen],
            frequency_unit(estimator),
            estimator.sampling_rate,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "ModulationDisplay":
        """Draw into ``ax`` or a new figure."""
        draw = self._draw_lines if self.curves.phase.ndim == 2 else self._draw_maps
        self.artists_ = np.array(draw(ax), dtype=object)
        self.figure_ = self.ax_.figure
        return self

    def _draw_lines(self, ax: Any) -> list[Any]:
        self.ax_ = axes_for(ax, 6.4, 5.0)
        self.axes_ = panels(self.ax_, 3, 1, sharex=True).T
        t, label = times(self.curves.phase.shape[1], self.sampling_rate)
        for panel, name in zip(self.axes_[0], self._names(), strict=True):
            panel.set_ylabel(name, fontsize=SMALL)
            panel.tick_params(labelsize=SMALL)
        self.axes_[0, 2].set_xlabel(label)
        artists = []
        for i, frequency in enumerate(self.frequencies):
            look = {
                "color": PALETTE[i % len(PALETTE)],
                "linestyle": LINE_STYLES[i // len(PALETTE) % len(LINE_STYLES)],
                "label": with_unit(frequency, self.frequency_unit),
            }
            curves = zip(self.axes_[0], self.curves, strict=True)
            artists.append([panel.plot(t, c[i], **look)[0] for panel, c in curves])
        self.axes_[0, 0].legend(
            fontsize=SMALL, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4
        )
        return artists

    def _draw_maps(self, ax: Any) -> list[Any]:
        n_atoms = len(self.frequencies)
        self.ax_ = axes_for(ax, 6.8, 1.9 * n_atoms)
        self.axes_ = panels(self.ax_, n_atoms, 3)
        artists = []
        for i, row in enumerate(self.axes_):
            atom = f"atom of {with_unit(self.frequencies[i], self.frequency_unit)}\n"
            for panel, name in zip(row, self._names(atom), strict=True):
                panel.set_title(name, fontsize=SMALL)
            amplitude, frequency, phase = (curve[i] for curve in self.curves)
            middle, drift = self.phases[i], largest(phase - self.phases[i])
            artists.append(
                [
                    _map(row[0], amplitude, MAGNITUDE_MAP, limits_of(amplitude)),
                    _map(row[1], frequency, MAGNITUDE_MAP, limits_of(frequency)),
                    _map(row[2], phase, SIGNED_MAP, (middle - drift, middle + drift)),
                ]
            )
        return artists

    def _names(self, atom: str = "") -> tuple[str, str, str]:
        return f"{atom}amplitude", f"frequency\n({self.frequency_unit})", "phase\n(rad)"


def _map(
    panel: Any, values: np.ndarray, colours: str, limits: tuple[float, float]
) -> Any:
    image = panel.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
    panel.set(xticks=[], yticks=[])
    bar = panel.figure.colorbar(image, ax=panel)
    bar.ax.tick_params(labelsize=SMALL)
    return image
