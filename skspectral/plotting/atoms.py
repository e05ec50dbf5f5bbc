"""Display of the atoms."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral.atom_names import atom_names
from skspectral.grid import Grid
from skspectral.plotting._common import (
    SMALL_FONT,
    choose_atoms,
    draw_signal,
    fitted_array,
    grid_of_panels,
    largest_magnitude,
)


@dataclass(eq=False)
class AtomDisplay:
    """Plot of atoms as images or curves.

    The title of each panel shows the name of the atom and its fraction of the variance.
    The name is the wavelength in pixels and the orientation in degrees for plane waves,
    and the frequency for sinusoids. Atoms have positive and negative values.
    Images with one channel use a diverging colour map with zero in the middle. An atom
    s with three channels is drawn as ``0.5 + 0.5 s / max(abs(s))``. Every atom is
    scaled by its own largest magnitude. Signals with more than four channels are drawn
    as maps with one row per channel, and volumes and videos as a few of their slices
    along the first axis.

    Parameters
    ----------
    components : ndarray of shape (n_atoms, n_features)
        Atoms to draw.
    names : list of str
        Name of each atom, such as the names that `atom_names` returns.
    shares : ndarray of shape (n_atoms,)
        Fraction of the variance that each atom adds, ``explained_variance_ratio_`` of
        the estimator.
    signal_shape : tuple of int
        Shape of a signal, as the estimator takes it.
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
    axes_ : ndarray of Axes of shape (n_atoms,)
        Panels, one per atom.
    artists_ : list of AxesImage or Line2D
        Image or curve of each atom.

    See Also
    --------
    ModulationDisplay : Amplitude, frequency and phase of the atoms.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import AtomDisplay
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(load_digits().data)
    >>> display = AtomDisplay.from_estimator(est, atoms=4, ax=Figure().subplots())
    >>> display.axes_.shape
    (4,)
    """

    components: np.ndarray
    names: list[str]
    shares: np.ndarray
    signal_shape: tuple[int, ...]
    sampling_rate: float | None
    channel_axis: int | str | None = "auto"

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, atoms: Any = 16, ax: Any = None, **kwargs: Any
    ) -> "AtomDisplay":
        """Plot atoms of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        atoms : int, array-like of int or of bool, or None, default=16
            Atoms to show: a number n for the first n atoms, indices, or a mask. None
            shows all atoms.
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.
        **kwargs : dict
            Further arguments of `plot`.

        Returns
        -------
        display : AtomDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``atoms`` does not select atoms of the estimator.
        ValueError
            If the images have neither one nor three channels.
        """
        components = fitted_array(estimator, "components_")
        chosen = choose_atoms(atoms, len(components))
        names, grid = atom_names(estimator), estimator.model_.grid
        return cls(
            components[chosen],
            [names[i] for i in chosen],
            fitted_array(estimator, "explained_variance_ratio_")[chosen],
            grid.shape,
            grid.time_rate,
            grid.index_of_channels,
        ).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, n_columns: int | None = None) -> "AtomDisplay":
        """Draw the atoms.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes whose area is divided into panels. It must be part of a
            grid, like the Axes from ``plt.subplots()``. None creates a new figure.
        n_columns : int or None, default=None
            Number of columns of panels. None arranges the panels approximately as a
            square.

        Returns
        -------
        display : AtomDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``n_columns`` is not a positive integer.
        ValueError
            If the images have neither one nor three channels.
        """
        n_atoms, n_features = self.components.shape
        grid = Grid.of(
            self.signal_shape, n_features, self.sampling_rate, self.channel_axis
        )
        size = (2.0, 1.7) if grid.n_axes == 1 else (1.6, 1.9)
        self.ax_, self.axes_ = grid_of_panels(ax, n_atoms, n_columns, size)
        self.figure_ = self.ax_.figure
        self.artists_ = []
        for i, panel in enumerate(self.axes_):
            atom = self.components[i]
            limits = -largest_magnitude(atom), largest_magnitude(atom)
            self.artists_.append(draw_signal(panel, atom, grid, limits, signed=True))
            title = f"{self.names[i]}\n{self.shares[i]:.1%} of variance"
            panel.set_title(title, fontsize=SMALL_FONT)
        return self
