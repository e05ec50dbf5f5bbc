"""Progress and early stopping of a fit, told to scikit-learn's callbacks."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from skspectral._sklearn_compat import callback_context

Step = Callable[..., bool]


class Monitor(Protocol):
    """What a long computation reports to."""

    def stage(self, name: str, n_steps: int | None) -> Step:
        """Begin a stage of at most ``n_steps``; call the result after each step.

        None is any number. Keyword arguments of the call describe the state; True asks
        to stop the stage.
        """

    def fitting(self, name: str, other: Any) -> AbstractContextManager[None]:
        """Begin a stage in which another estimator is fitted, and end it."""


class CallbackMonitor:
    """Tasks of ``sklearn.callback``: one for the fit, one a stage, one a step.

    Callbacks read the state of a step, such as the explained variance, from
    ``metadata``.

    Parameters
    ----------
    estimator : estimator instance
        A ``CallbackSupportMixin``.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator
        # How many stages there will be depends on the data.
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
        """Begin a stage in which another estimator is fitted, and end it.

        It tells its own steps to the same callbacks, if it tells any.
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
        """End the fit; call it once all stages are done."""
        self._end_stage()
        self._fit.call_on_fit_task_end(estimator=self._estimator)
