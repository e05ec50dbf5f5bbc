"""Display of recordings with the events that a convolutional dictionary finds."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral._validation import fitted_attribute
from skspectral.plotting._common import PALETTE, SMALL_FONT, axes_for, split_axes

# Longest excerpt, in lengths of an atom, and largest number of atoms with a panel.
_EXCERPT, _MAX_ATOMS = 30, 6


@dataclass(eq=False)
class EventDisplay:
    """Atoms, and an excerpt of a recording with its events.

    Each atom has a panel in the first row, with its frequency. Below, the excerpt is
    drawn, one line per channel, over its reconstruction. Marks below it show when each
    atom occurs; their heights are the amplitudes.

    Parameters
    ----------
    atoms : ndarray of shape (n_atoms, n_channels, n_times_atom)
        The atoms.
    frequencies : ndarray of shape (n_atoms,)
        Their frequencies.
    excerpt : ndarray of shape (n_channels, n_times)
        Part of the recording.
    reconstruction : ndarray of shape (n_channels, n_times)
        The sum of the mean and the events.
    events : structured ndarray
        Events in the excerpt, as `find_events` returns them.
    times : ndarray of shape (n_times,)
        Times of the samples of the excerpt.
    sampling_rate : float or None
        Samples per second; None if times are in samples.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes whose area contains the panels.
    panels_ : list of Axes
        Panels of the atoms, of the excerpt, and of the events.

    See Also
    --------
    skspectral.convolutional.ConvolutionalSpectralDictionary : Finds the events.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skspectral.convolutional import ConvolutionalSpectralDictionary
    >>> from skspectral.plotting import EventDisplay
    >>> X = np.random.default_rng(0).normal(size=(1, 500)).cumsum(axis=1)
    >>> est = ConvolutionalSpectralDictionary(2, n_times_atom=20, reg=0.3).fit(X)
    >>> display = EventDisplay.from_estimator(est, X[0], ax=Figure().subplots())
    >>> display.excerpt.shape
    (1, 500)
    """

    atoms: np.ndarray
    frequencies: np.ndarray
    excerpt: np.ndarray
    reconstruction: np.ndarray
    events: np.ndarray
    times: np.ndarray
    sampling_rate: float | None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        recording: Any,
        *,
        start: float = 0.0,
        duration: float | None = None,
        ax: Any = None,
    ) -> "EventDisplay":
        """Plot the atoms of a fitted estimator, and the events of a recording.

        Parameters
        ----------
        estimator : ConvolutionalSpectralDictionary
            Fitted estimator.
        recording : ndarray of shape (n_times,) or (n_channels, n_times)
            A recording.
        start : float, default=0.0
            Start of the excerpt, in seconds with ``sampling_rate`` and in samples
            otherwise.
        duration : float or None, default=None
            Length of the excerpt, in the same unit. None means up to 30 lengths of an
            atom.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : EventDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If the excerpt is shorter than an atom, or lies outside the recording.
        """
        components = fitted_attribute(estimator, "components_")
        length = estimator.n_times_atom_
        signal = np.atleast_2d(np.asarray(recording))
        rate = estimator.sampling_rate or 1.0
        first = round(start * rate)
        size = _EXCERPT * length if duration is None else round(duration * rate)
        end = min(first + size, signal.shape[1])
        if not 0 <= first <= end - length:
            raise ValueError(
                f"start={start!r} and duration={duration!r} select the samples {first} "
                f"to {end} of a recording of {signal.shape[1]} samples. Pass at least "
                f"the {length} samples of an atom within the recording."
            )
        excerpt = signal[:, first:end]
        (activations,) = estimator.transform([excerpt])
        (reconstruction,) = estimator.inverse_transform([activations])
        events = estimator.find_events([excerpt])
        events["time"] += first / rate
        return cls(
            components.reshape(len(components), -1, length),
            estimator.frequencies_,
            excerpt,
            np.atleast_2d(reconstruction),
            events,
            (first + np.arange(excerpt.shape[1])) / rate,
            estimator.sampling_rate,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "EventDisplay":
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : EventDisplay
            Display with the finished plot.
        """
        self.ax_ = axes_for(ax, 8.0, 5.0)
        rows = split_axes(self.ax_, 3, 1, height_ratios=[2, 3, 1])
        above, signal, marks = rows[:, 0]
        n_shown = min(len(self.atoms), _MAX_ATOMS)
        panels = split_axes(above, 1, n_shown, sharey=True)[0]
        rate = self.sampling_rate or 1.0
        lags = np.arange(self.atoms.shape[2]) / rate
        unit = "Hz" if self.sampling_rate else "cycles"
        for k, panel in enumerate(panels):
            panel.plot(lags, self.atoms[k].T, color=self._colour(k), linewidth=1)
            panel.set_title(
                f"{k}: {self.frequencies[k]:.3g} {unit}", fontsize=SMALL_FONT
            )
            panel.tick_params(labelsize=SMALL_FONT)
        span = np.ptp(self.excerpt) or 1.0
        for channel, row in enumerate(self.excerpt):
            offset = -channel * span
            signal.plot(self.times, row + offset, color="0.6", linewidth=0.8)
            signal.plot(
                self.times,
                self.reconstruction[channel] + offset,
                color="black",
                linewidth=0.8,
            )
        for k in range(len(self.atoms)):
            own = self.events[self.events["atom"] == k]
            marks.vlines(own["time"], 0, own["amplitude"], color=self._colour(k))
        marks.sharex(signal)
        signal.tick_params(labelsize=SMALL_FONT, labelbottom=False)
        marks.tick_params(labelsize=SMALL_FONT)
        marks.set_ylabel("amplitude", fontsize=SMALL_FONT)
        marks.set_xlabel(
            "time (s)" if self.sampling_rate else "sample", fontsize=SMALL_FONT
        )
        self.panels_ = [*panels, signal, marks]
        self.figure_ = self.ax_.figure
        return self

    def _colour(self, k: int) -> str:
        return PALETTE[k % len(PALETTE)]
