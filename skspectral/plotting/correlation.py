"""What codes tell of images and signals: their correlation with plain features."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers
from skspectral.plotting._common import (
    SIGNED_MAP,
    SMALL,
    axes_for,
    check_rows,
    choose_in_order,
    fitted,
    frequency_unit,
    label_atoms,
)
from skspectral.plotting._features import correlations, default_features


@dataclass(eq=False)
class CorrelationDisplay:
    """Pearson's correlation of codes with features of the samples, as a heatmap.

    Parameters
    ----------
    correlations : ndarray of shape (n_features, n_atoms)
        From -1 to 1; NaN, shown in grey, where a feature or a code is constant.
    names : list of str
        Of the features.
    frequencies : ndarray of shape (n_atoms,)
        Of the atoms, in the order shown.
    frequency_unit : str

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
    image_ : AxesImage

    Notes
    -----
    An atom's sign is free, and so is that of its correlations. A weak correlation does
    not exclude that a code tells much in another than a linear way.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import CorrelationDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    >>> display = CorrelationDisplay.from_estimator(est, X, ax=Figure().subplots())
    >>> display.names
    ['brightness', 'contrast', 'edges']
    """

    correlations: np.ndarray
    names: list[str]
    frequencies: np.ndarray
    frequency_unit: str

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        features: Mapping[str, Callable[[np.ndarray], ArrayLike] | ArrayLike]
        | None = None,
        atoms: Any = None,
        ax: Any = None,
    ) -> "CorrelationDisplay":
        """Show the correlation of codes of samples with features of them.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        X : array-like of shape (n_samples, n_features)
            At least two rows.
        features : dict or None, default=None
            By name, functions of samples ``(n, *signal_shape)`` that give (n,) numbers,
            or such numbers. None: of images brightness (mean), contrast (standard
            deviation), edges (mean magnitude of the gradient), and of three channels
            the colourfulness of Hasler and Süsstrunk (2003); of signals mean, root mean
            square, crossings of the mean, and spectral centroid.
        atoms : int, array-like of int or of bool, or None, default=None
            Number of first atoms (at most), indices, a mask, or None: all. They are
            shown in order of frequency.
        ax : Axes, default=None

        Raises
        ------
        ValueError
            If there are fewer than two samples, no features, or a feature is not one
            finite number for each sample.
        """
        codes = as_numbers(estimator.transform(X))
        if len(codes) < 2:
            raise ValueError("X has one sample, but correlations need at least two.")
        grid = estimator.model_.grid
        given = default_features(grid) if features is None else dict(features)
        if not given:
            raise ValueError("features is empty. Pass at least one, by its name.")
        signals = check_rows(X, "X").reshape(-1, *grid.shape)
        columns = [_values(name, feature, signals) for name, feature in given.items()]
        frequencies = fitted(estimator, "frequencies_")
        chosen = choose_in_order(atoms, frequencies)
        return cls(
            correlations(np.stack(columns, axis=1), codes[:, chosen]),
            [str(name) for name in given],
            frequencies[chosen],
            frequency_unit(estimator),
        ).plot(ax)

    def plot(self, ax: Any = None) -> "CorrelationDisplay":
        """Draw into ``ax`` or a new figure."""
        self.ax_ = axes_for(ax, 6.4, 1.4 + 0.35 * len(self.names))
        self.figure_ = self.ax_.figure
        self.ax_.set_facecolor("0.75")
        self.image_ = self.ax_.imshow(
            self.correlations, cmap=SIGNED_MAP, vmin=-1, vmax=1, aspect="auto"
        )
        self.figure_.colorbar(self.image_, ax=self.ax_, label="correlation")
        self.ax_.set_yticks(range(len(self.names)), self.names)
        label_atoms(self.ax_, self.frequencies, self.frequency_unit)
        self.ax_.tick_params(labelsize=SMALL)
        return self


def _values(name: str, feature: Any, signals: np.ndarray) -> np.ndarray:
    # A function could change what it is given.
    given = feature(signals.copy()) if callable(feature) else feature
    values = as_numbers(given, f"features[{name!r}]")
    if values.shape != (len(signals),) or not np.isfinite(values).all():
        raise ValueError(
            f"features[{name!r}] of shape {values.shape} must be a finite number for "
            f"each of {len(signals)} samples."
        )
    return values
