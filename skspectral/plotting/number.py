"""Display of the criterion by which the number of atoms was chosen."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skspectral.plotting._common import PALETTE, SMALL_FONT, axes_for


@dataclass(eq=False)
class NumberDisplay:
    """Plot of a criterion against the number of atoms.

    Parameters
    ----------
    criterion : ndarray of shape (n_tried,)
        Criterion of 1, 2, .. atoms.
    n_chosen : int
        Number of atoms that was chosen.
    label : str
        Label of the y axis, with the unit.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the plot.
    line_ : Line2D
        The criterion.
    chosen_ : Line2D
        Vertical line at the chosen number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.datasets import make_tones
    >>> from skspectral.plotting import NumberDisplay
    >>> X, _ = make_tones(100, 64, noise=0.1, random_state=0)
    >>> est = SpectralDictionaryLearning("evidence", modulation=None).fit(X)
    >>> display = NumberDisplay.from_estimator(est, ax=Figure().subplots())
    >>> display.n_chosen == est.n_components_
    True
    """

    criterion: np.ndarray
    n_chosen: int
    label: str

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "NumberDisplay":
        """Plot the attribute ``number_criterion_`` of a fitted estimator.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Estimator that has chosen its number of atoms.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : NumberDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If the number of atoms was given.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "number_criterion_"):
            raise ValueError(
                f"n_components={estimator.n_components!r} was not chosen by a "
                "criterion. Fit with n_components='evidence', 'bic', or a float."
            )
        label = "explained share of the variance"
        if isinstance(estimator.n_components, str):
            label = f"{estimator.n_components}, relative to one atom (nats)"
        return cls(estimator.number_criterion_, estimator.n_components_, label).plot(ax)

    def plot(self, ax: Any = None) -> "NumberDisplay":
        """Draw the criterion.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : NumberDisplay
            Display with the finished plot.
        """
        self.ax_ = axes_for(ax, 5.6, 3.6)
        self.figure_ = self.ax_.figure
        numbers = np.arange(1, len(self.criterion) + 1)
        (self.line_,) = self.ax_.plot(
            numbers, self.criterion, "o-", color=PALETTE[0], markersize=3
        )
        self.chosen_ = self.ax_.axvline(
            self.n_chosen, color="0.5", linewidth=1, label=f"{self.n_chosen} chosen"
        )
        self.ax_.set_xlabel("number of atoms")
        self.ax_.set_ylabel(self.label, fontsize=SMALL_FONT + 1)
        self.ax_.legend(fontsize=SMALL_FONT)
        return self
