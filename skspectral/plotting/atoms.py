"""The atoms themselves."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral.atom_names import atom_names
from skspectral.grid import Grid
from skspectral.plotting._common import (
    SMALL,
    choose_atoms,
    draw_signal,
    fitted,
    grid_of_panels,
    largest,
)


@dataclass(eq=False)
class AtomDisplay:
    """Atoms as images or curves, with their names and shares of the variance.

    Names are those of `atom_names`: wavelength in pixels and orientation in degrees of
    plane waves, frequency of sinusoids.

    Atoms are signed. Images of one channel have a diverging map with zero in the
    middle, colour images are ``0.5 + 0.5 s / max |s|``, each atom by its own maximum.

    Parameters
    ----------
    components : ndarray of shape (n_atoms, n_features)
        The atoms, one a row.
    names : list of str
        The name of each atom.
    shares : ndarray of shape (n_atoms,)
        The fraction of the variance that each atom explains.
    signal_shape : tuple of int
        How a row unfolds to an image; (n_features,) for signals.
    sampling_rate : float or None
        Samples per second, for the time axis of signals. None counts samples.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        Where the panels are.
    axes_ : ndarray of shape (n_atoms,)
        The panels.
    artists_ : list of AxesImage or Line2D

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

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, atoms: Any = 16, ax: Any = None, **kwargs: Any
    ) -> "AtomDisplay":
        """Show atoms of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        atoms : int, array-like of int or of bool, or None, default=16
            Number of first atoms (at most), indices, a mask, or None: all.
        ax : Axes, default=None
        **kwargs
            For `plot`.

        Raises
        ------
        ValueError
            If there are no such atoms, or images have neither one nor three channels.
        """
        components = fitted(estimator, "components_")
        chosen = choose_atoms(atoms, len(components))
        names = atom_names(estimator)
        return cls(
            components[chosen],
            [names[i] for i in chosen],
            fitted(estimator, "explained_variance_ratio_")[chosen],
            estimator.model_.grid.shape,
            estimator.sampling_rate,
        ).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, n_columns: int | None = None) -> "AtomDisplay":
        """Draw into ``ax`` or a new figure; None for ``n_columns`` makes a square."""
        n_atoms, n_features = self.components.shape
        grid = Grid.of(self.signal_shape, n_features, self.sampling_rate)
        size = (1.6, 1.9) if grid.is_image else (2.0, 1.7)
        self.ax_, self.axes_ = grid_of_panels(ax, n_atoms, n_columns, size)
        self.figure_ = self.ax_.figure
        self.artists_ = []
        for i, panel in enumerate(self.axes_):
            atom = self.components[i]
            limits = -largest(atom), largest(atom)
            self.artists_.append(draw_signal(panel, atom, grid, limits, signed=True))
            title = f"{self.names[i]}\n{self.shares[i]:.1%} of variance"
            panel.set_title(title, fontsize=SMALL)
        return self
