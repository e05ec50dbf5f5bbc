"""How to train, for how long, and how far it is."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from dataclasses import dataclass, field


@dataclass
class Log:
    """What happened so far: in this run, and of the loss in all.

    Attributes
    ----------
    n_images : int
        Rows seen in this run.
    seconds : float
        That this run took.
    history : dict of lists
        "n_images", in all runs, and the mean "loss" since the entry before.
    """

    n_images: int = 0
    seconds: float = 0.0
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"n_images": [], "loss": []}
    )

    def of_next_run(self) -> "Log":
        """Return a log with the history so far."""
        return Log(history=copy.deepcopy(self.history))


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many rows or seconds, whatever is first; None is never."""

    max_images: int | None
    max_time: float | None

    def share(self, log: Log) -> float:
        """Share of it that a run has spent; from 1 on it is done."""
        of_images = log.n_images / self.max_images if self.max_images else 0.0
        of_time = log.seconds / self.max_time if self.max_time else 0.0
        return max(of_images, of_time)


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    batch_size : int
    learning_rate : float
    ema : float
        Decay of the average of the weights, in a step.
    mirror : bool
        Whether to mirror half of the signals.
    budget : Budget
    decays : bool
        Whether the step size falls to zero at the end.
    mixed_precision : bool
        Whether the network computes in bfloat16 where that is safe.
    compiled : bool
    """

    batch_size: int
    learning_rate: float
    ema: float
    mirror: bool
    budget: Budget
    decays: bool
    mixed_precision: bool = False
    compiled: bool = False

    @property
    def n_steps(self) -> int | None:
        """Largest number of steps of a run, if that is known."""
        n_images = self.budget.max_images
        return None if n_images is None else math.ceil(n_images / self.batch_size)
