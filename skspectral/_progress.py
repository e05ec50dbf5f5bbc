"""Progress and early stopping of a fit, reported to scikit-learn's callbacks."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from skspectral._sklearn_compat import callback_context

Step = Callable[..., bool]


class Monitor(Protocol):
    """Object to which a long computation reports its progress."""

    def stage(self, name: str, n_steps: int | None) -> Step:
        """Begin a stage of at most ``n_steps`` steps; None means any number.

        The returned function must be called after each step. Its keyword arguments
        describe the state. If it returns True, the computation should stop.
        """

    def fitting(self, name: str, other: Any) -> AbstractContextManager[None]:
        """Return a context in which another estimator is fitted, as one stage."""


class CallbackMonitor:
    """Monitor that reports to ``sklearn.callback``.

    It creates one task for the fit, one per stage and one per step. Callbacks find the
    state of a step, such as the explained variance, in ``metadata``.

    Parameters
    ----------
    estimator : estimator instance
        Estimator that derives from ``CallbackSupportMixin``.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator
        # The number of stages is not known, because it depends on the data.
        self._fit = callback_context(estimator)
        self._fit.call_on_fit_task_begin(estimator=estimator)
        self._stage: Any = None

    def stage(self, name: str, n_steps: int | None) -> Step:
        self._end_stage()
        self._stage = stage = self._fit.subcontext(
            task_name=name, max_subtasks=n_steps
        ).call_on_fit_task_begin(estimator=self._estimator)

        def step(**state: Any) -> bool:
            task = stage.subcontext(task_name=f"{name} step")
            task.call_on_fit_task_begin(estimator=self._estimator)
            return task.call_on_fit_task_end(
                estimator=self._estimator, metadata={"stage": name, **state}
            )

        return step

    @contextmanager
    def fitting(self, name: str, other: Any) -> Iterator[None]:
        """Return a context in which another estimator is fitted, as one stage.

        If the other estimator supports callbacks, it reports its own steps to them.
        """
        step = self.stage(name, 1)
        if not hasattr(other, "set_callbacks"):
            yield
            step()
            return
        task = self._stage.subcontext(task_name=f"{name} step")
        with task.propagate_callback_context(other):
            task.call_on_fit_task_begin(estimator=self._estimator)
            yield
            task.call_on_fit_task_end(
                estimator=self._estimator, metadata={"stage": name}
            )

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._stage.call_on_fit_task_end(estimator=self._estimator)
            self._stage = None

    def close(self) -> None:
        """End the fit. This must be called once, after all stages."""
        self._end_stage()
        self._fit.call_on_fit_task_end(estimator=self._estimator)
