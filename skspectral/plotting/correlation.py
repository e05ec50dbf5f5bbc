"""Display of the correlation between codes and simple features of the samples."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers
from skspectral.plotting._common import (
    SIGNED_MAP,
    SMALL_FONT,
    axes_for,
    check_rows,
    choose_sorted_atoms,
    codes_of,
    fitted_array,
    frequency_unit,
    label_atoms,
)
from skspectral.plotting._features import correlations, default_features


@dataclass(eq=False)
class CorrelationDisplay:
    """Heatmap of Pearson's correlation between codes and features of the samples.

    Parameters
    ----------
    correlations : ndarray of shape (n_features, n_atoms)
        Correlations from -1 to 1. They are NaN, and drawn in grey, if a feature or a
        code is constant.
    names : list of str
        Names of the features.
    frequencies : ndarray of shape (n_atoms,)
        Frequencies of the atoms, in the order of the columns.
    frequency_unit : str
        Unit of ``frequencies``, for labels.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the heatmap.
    image_ : AxesImage
        The heatmap.

    Notes
    -----
    The sign of an atom is arbitrary, and therefore also the sign of its correlations. A
    code with a weak correlation may still have a strong nonlinear relation to the
    feature.

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
        """Plot the correlation between codes and features of samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images to encode, with the number of features of `fit`.
            At least two samples.
        features : dict or None, default=None
            Features by name. A value is an array of shape (n_samples,), or a function
            that computes this array from the samples with shape
            ``(n_samples, *signal_shape)``. For images, None uses the brightness (mean),
            the contrast (standard deviation) and the edges (mean magnitude of the
            gradient). For images with three channels, None also uses the colourfulness
            of Hasler and Süsstrunk (2003). For signals, None uses the mean, the root
            mean square, the number of crossings of the mean, and the spectral centroid.
        atoms : int, array-like of int or of bool, or None, default=None
            Atoms to show: a number n for the first n atoms, indices, or a mask. None
            shows all atoms. The atoms are drawn in the order of their frequencies.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : CorrelationDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If there are fewer than two samples.
        ValueError
            If ``features`` is empty, or a feature is not one finite number per sample.
        ValueError
            If ``atoms`` does not select atoms of the estimator.
        """
        codes = codes_of(estimator, X)
        if len(codes) < 2:
            raise ValueError(
                "X has one sample, but correlations need at least two. Pass more rows."
            )
        grid = estimator.model_.grid
        given = default_features(grid) if features is None else dict(features)
        if not given:
            raise ValueError(
                "features is empty. Pass at least one feature by name, or None."
            )
        signals = check_rows(X, "X").reshape(-1, *grid.shape)
        columns = [_values(name, feature, signals) for name, feature in given.items()]
        frequencies = fitted_array(estimator, "frequencies_")
        chosen = choose_sorted_atoms(atoms, frequencies)
        return cls(
            correlations(np.stack(columns, axis=1), codes[:, chosen]),
            [str(name) for name in given],
            frequencies[chosen],
            frequency_unit(estimator),
        ).plot(ax)

    def plot(self, ax: Any = None) -> "CorrelationDisplay":
        """Draw the heatmap.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : CorrelationDisplay
            Display with the finished plot.
        """
        self.ax_ = axes_for(ax, 6.4, 1.4 + 0.35 * len(self.names))
        self.figure_ = self.ax_.figure
        self.ax_.set_facecolor("0.75")
        self.image_ = self.ax_.imshow(
            self.correlations, cmap=SIGNED_MAP, vmin=-1, vmax=1, aspect="auto"
        )
        self.figure_.colorbar(self.image_, ax=self.ax_, label="correlation")
        self.ax_.set_yticks(range(len(self.names)), self.names)
        label_atoms(self.ax_, self.frequencies, self.frequency_unit)
        self.ax_.tick_params(labelsize=SMALL_FONT)
        return self


def _values(name: str, feature: Any, signals: np.ndarray) -> np.ndarray:
    """Return the values of a feature, checked for one finite number per signal."""
    # The function might modify its argument.
    given = feature(signals.copy()) if callable(feature) else feature
    values = as_numbers(given, f"features[{name!r}]")
    if values.shape != (len(signals),) or not np.isfinite(values).all():
        raise ValueError(
            f"features[{name!r}] has shape {values.shape}, but it must have shape "
            f"({len(signals)},): one finite number per sample."
        )
    return values
