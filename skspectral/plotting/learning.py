"""Display of the losses during a fit."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skspectral.plotting._common import PALETTE, SMALL_FONT, axes_for


@dataclass(eq=False)
class LearningDisplay:
    """Plot of the losses after each step of learning.

    Vertical lines mark the stages of learning. The loss axis is logarithmic if the
    losses fall to less than a tenth.

    Parameters
    ----------
    steps : ndarray of shape (n_steps,)
        Positions on the x axis.
    losses : dict of str to ndarray of shape (n_steps,)
        Losses by name.
    stages : ndarray of str of shape (n_steps,) or None
        Name of the stage of each step. None draws no stages.
    step_label : str
        Label of the x axis.
    loss_label : str
        Label of the y axis, with the unit.

    Attributes
    ----------
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the plot.
    lines_ : list of Line2D
        One curve per loss.
    stage_lines_ : list of Line2D
        Vertical lines between consecutive stages.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import LearningDisplay
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(load_digits().data)
    >>> display = LearningDisplay.from_estimator(est, ax=Figure().subplots())
    >>> bool((display.losses["loss"] == est.history_["loss"]).all())
    True
    """

    steps: np.ndarray
    losses: dict[str, np.ndarray]
    stages: np.ndarray | None
    step_label: str
    loss_label: str

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "LearningDisplay":
        """Plot the attribute ``history_`` of a fitted estimator.

        If the loss includes a spectral term, the squared error is plotted, too.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : LearningDisplay
            Display with the finished plot.
        """
        check_is_fitted(estimator)
        history = estimator.history_
        losses = {name: history[name] for name in ("loss", "squared_error")}
        if (losses["loss"] == losses["squared_error"]).all():
            del losses["squared_error"]
        steps = np.arange(len(history["loss"]))
        label = "loss per sample (squared units of the data)"
        return cls(steps, losses, history["stage"], "step", label).plot(ax)

    @classmethod
    def from_prior(cls, prior: Any, *, ax: Any = None) -> "LearningDisplay":
        """Plot the attribute ``history_`` of a fitted diffusion prior.

        Parameters
        ----------
        prior : DiffusionPrior
            Fitted prior, such as the attribute ``prior_`` of an estimator.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : LearningDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If the prior has no ``history_``, because it is not learned in steps.
        """
        check_is_fitted(prior)
        if not hasattr(prior, "history_"):
            raise ValueError(
                f"{type(prior).__name__} has no history_, because it is not learned in "
                "steps. Pass a DiffusionPrior."
            )
        history = prior.history_
        label = "squared error relative to the Wiener estimate"
        losses = {"loss": history["loss"]}
        return cls(
            history["n_images"], losses, None, "number of rows processed", label
        ).plot(ax)

    def plot(self, ax: Any = None) -> "LearningDisplay":
        """Draw the losses.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.

        Returns
        -------
        display : LearningDisplay
            Display with the finished plot.
        """
        self.ax_ = axes_for(ax, 5.6, 3.6)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for i, (name, loss) in enumerate(self.losses.items()):
            self.lines_ += self.ax_.plot(
                self.steps,
                loss,
                ("o-", "s--")[i % 2],
                color=PALETTE[i],
                markersize=3,
                label=name.replace("_", " "),
            )
        values = np.concatenate(list(self.losses.values()))
        if 0 < values.min() < values.max() / 10:
            self.ax_.set_yscale("log")
        self.stage_lines_: list[Any] = []
        if self.stages is not None:
            self._mark_stages(self.stages)
        self.ax_.set_xlabel(self.step_label)
        self.ax_.set_ylabel(self.loss_label, fontsize=SMALL_FONT + 1)
        if len(self.losses) > 1:
            self.ax_.legend(fontsize=SMALL_FONT)
        return self

    def _mark_stages(self, stages: np.ndarray) -> None:
        """Draw a line at the start of each new stage, and the name of the stage."""
        for i in np.flatnonzero(stages[1:] != stages[:-1]):
            place = (self.steps[i] + self.steps[i + 1]) / 2
            line = self.ax_.axvline(place, color="0.6", linewidth=0.8, zorder=0)
            self.stage_lines_.append(line)
            self.ax_.annotate(
                str(stages[i + 1]),
                (place, 1),
                xycoords=("data", "axes fraction"),
                rotation=30,
                va="bottom",
                fontsize=SMALL_FONT,
                color="0.4",
            )
