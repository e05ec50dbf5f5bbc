"""Display of the patterns of atoms over the channels of signals."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral._validation import fitted_attribute
from skspectral.plotting._common import (
    SIGNED_MAP,
    SMALL_FONT,
    axes_for,
    choose_sorted_atoms,
    fitted_array,
    frequency_unit,
    label_atoms,
    largest_magnitude,
    split_axes,
)

# Colour map of angles, whose ends have the same colour.
_CYCLIC_MAP = "twilight"


@dataclass(eq=False)
class PatternDisplay:
    """Heatmap of the strength of each atom in each channel, with one row per channel.

    Patterns with a phase in each channel have a second heatmap, of these phases. A
    phase is that of the channel relative to the strongest channel of the atom: a
    positive phase means that the channel is ahead.

    Parameters
    ----------
    patterns : ndarray of shape (n_atoms, n_channels)
        Real or complex patterns, ``patterns_`` of the estimator.
    channel_names : list of str
        Names of the channels.
    frequencies : ndarray of shape (n_atoms,)
        Frequencies of the atoms, in the order of the columns.
    frequency_unit : str
        Unit of ``frequencies``, for labels.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the heatmap, or whose area contains both heatmaps.
    images_ : list of AxesImage
        The heatmaps: one of the real patterns, or those of strengths and phases.

    See Also
    --------
    AtomDisplay : The atoms themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import PatternDisplay
    >>> X = np.random.default_rng(0).normal(size=(50, 4, 32)).cumsum(axis=2)
    >>> est = SpectralDictionaryLearning(6, signal_shape=(4, 32), channel_axis=0).fit(X)
    >>> display = PatternDisplay.from_estimator(est, ax=Figure().subplots())
    >>> display.patterns.shape
    (6, 4)
    """

    patterns: np.ndarray
    channel_names: list[str]
    frequencies: np.ndarray
    frequency_unit: str

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        channel_names: Sequence[str] | None = None,
        atoms: Any = None,
        ax: Any = None,
    ) -> "PatternDisplay":
        """Plot the patterns of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator whose atoms have ``patterns_``.
        channel_names : sequence of str or None, default=None
            Names of the channels, such as the names of electrodes. None means their
            numbers.
        atoms : int, array-like of int or of bool, or None, default=None
            Atoms to show: a number n for the first n atoms, indices, or a mask. None
            shows all atoms. The atoms are drawn in the order of their frequencies.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : PatternDisplay
            Display with the finished plot.

        Raises
        ------
        TypeError
            If the atoms have no ``patterns_``.
        ValueError
            If ``channel_names`` does not have one name per channel.
        ValueError
            If ``atoms`` does not select atoms of the estimator.
        """
        model = fitted_attribute(estimator, "model_")
        if not hasattr(estimator, "patterns_"):
            raise TypeError(
                f"The atoms of signals with signal_shape={model.grid.shape} have no "
                "patterns_. Fit an estimator to signals with several channels: pass "
                "signal_shape=(n_channels, n_times) and channel_axis=0."
            )
        patterns = fitted_array(estimator, "patterns_")
        n_channels = patterns.shape[1]
        names = range(n_channels) if channel_names is None else channel_names
        if len(names) != n_channels:
            raise ValueError(
                f"channel_names has {len(names)} names, but the signals have "
                f"{n_channels} channels. Pass one name per channel."
            )
        frequencies = fitted_array(estimator, "frequencies_")
        chosen = choose_sorted_atoms(atoms, frequencies)
        return cls(
            patterns[chosen],
            [str(name) for name in names],
            frequencies[chosen],
            frequency_unit(estimator),
        ).plot(ax)

    def plot(self, ax: Any = None) -> "PatternDisplay":
        """Draw the patterns.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : PatternDisplay
            Display with the finished plot.
        """
        n_channels = len(self.channel_names)
        height = 1.4 + min(0.25 * n_channels, 8.0)
        if not np.iscomplexobj(self.patterns):
            self.ax_ = axes_for(ax, 6.4, height)
            limit = largest_magnitude(self.patterns)
            self.images_ = [
                self._heatmap(self.ax_, self.patterns, SIGNED_MAP, -limit, limit, "")
            ]
            label_atoms(self.ax_, self.frequencies, self.frequency_unit)
        else:
            self.ax_ = axes_for(ax, 6.4, 2 * height)
            panels = split_axes(self.ax_, 2, 1, sharex=True)[:, 0]
            strength = np.abs(self.patterns)
            strongest = strength.argmax(axis=1)[:, None]
            reference = np.take_along_axis(self.patterns, strongest, axis=1)
            phase = np.angle(self.patterns * reference.conj())
            top = largest_magnitude(strength)
            self.images_ = [
                self._heatmap(panels[0], strength, "magma", 0, top, "strength"),
                self._heatmap(
                    panels[1], phase, _CYCLIC_MAP, -math.pi, math.pi, "phase (rad)"
                ),
            ]
            label_atoms(panels[1], self.frequencies, self.frequency_unit)
        self.figure_ = self.ax_.figure
        return self

    def _heatmap(
        self, panel: Any, values: np.ndarray, colours: str, *limits_and_label: Any
    ) -> Any:
        """Draw values (n_atoms, n_channels) with one row per channel."""
        low, high, label = limits_and_label
        image = panel.imshow(
            values.T,
            cmap=colours,
            vmin=low,
            vmax=high,
            aspect="auto",
            interpolation="nearest",
        )
        panel.figure.colorbar(image, ax=panel, label=label)
        step = -(-len(self.channel_names) // 32)
        ticks = range(0, len(self.channel_names), step)
        panel.set_yticks(ticks, [self.channel_names[i] for i in ticks])
        panel.set_ylabel("channel", fontsize=SMALL_FONT)
        panel.tick_params(labelsize=SMALL_FONT)
        return image
