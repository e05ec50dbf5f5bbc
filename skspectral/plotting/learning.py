"""How learning went: the losses of a fit, step by step."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skspectral.plotting._common import PALETTE, SMALL, axes_for


@dataclass(eq=False)
class LearningDisplay:
    """Losses after each step, the stages of learning marked.

    Parameters
    ----------
    steps : ndarray of shape (n_steps,)
    losses : dict of str to ndarray of shape (n_steps,)
        By name.
    stages : ndarray of str of shape (n_steps,) or None
    step_label, loss_label : str
        Of the axes, with units.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
    lines_ : list of Line2D
        One a loss.
    stage_lines_ : list of Line2D
        Where a stage ends and another one begins.

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
        """Show ``history_`` of a fitted `SpectralDictionaryLearning`.

        Where there was a spectral loss, the squared error is shown beside the sum.
        """
        check_is_fitted(estimator)
        history = estimator.history_
        losses = {name: history[name] for name in ("loss", "squared_error")}
        if (losses["loss"] == losses["squared_error"]).all():
            del losses["squared_error"]
        steps = np.arange(len(history["loss"]))
        label = "loss of a sample (squared unit of data)"
        return cls(steps, losses, history["stage"], "step", label).plot(ax)

    @classmethod
    def from_prior(cls, prior: Any, *, ax: Any = None) -> "LearningDisplay":
        """Show ``history_`` of a fitted `DiffusionPrior`, as ``prior_`` may be.

        Raises
        ------
        ValueError
            If the prior keeps no history: it is not learned in steps.
        """
        check_is_fitted(prior)
        if not hasattr(prior, "history_"):
            raise ValueError(
                f"{type(prior).__name__} has no history_: it is not learned in steps."
            )
        history = prior.history_
        label = "squared error / that of Wiener's estimate"
        losses = {"loss": history["loss"]}
        return cls(history["n_images"], losses, None, "rows seen", label).plot(ax)

    def plot(self, ax: Any = None) -> "LearningDisplay":
        """Draw; on a log axis where the losses fall to less than a tenth."""
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
        self.ax_.set_ylabel(self.loss_label, fontsize=SMALL + 1)
        if len(self.losses) > 1:
            self.ax_.legend(fontsize=SMALL)
        return self

    def _mark_stages(self, stages: np.ndarray) -> None:
        """A line where a stage begins, and its name above it."""
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
                fontsize=SMALL,
                color="0.4",
            )
