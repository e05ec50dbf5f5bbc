"""Metrics of reconstructions and draws as scorers of scikit-learn's model selection."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np

from skspectral._sklearn_compat import Interval, as_numpy, validated
from skspectral.grid import Grid

Metric = Callable[..., Any]
_OPTIONS = {
    "metric": [callable],
    "greater_is_better": ["boolean"],
    "signal_shape": ["array-like", None],
    "field": [str, None],
}


@dataclass(frozen=True, eq=False, repr=False)
class Scorer:
    """What ``scoring`` takes: a callable (estimator, X, y=None) -> float.

    Made by `reconstruction_scorer` and `generation_scorer`: ``draws`` is None for the
    first, and the number and the seed of the draws for the second. It can be pickled if
    the metric can.
    """

    metric: Metric
    greater_is_better: bool
    signal_shape: Sequence[int] | None
    field: str | None
    options: dict[str, Any]
    draws: dict[str, Any] | None = None

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Score of a fitted estimator on ``X``: greater is better. y is not used."""
        rows = as_numpy(X, "X")
        if self.draws is None:
            answer = _reconstruction(estimator, X)
        else:
            answer = _draws(estimator, **({"n_samples": len(rows)} | self.draws))
        pair = (
            self._unfolded(rows),
            self._unfolded(as_numpy(answer, "What the estimator returned")),
        )
        number = self._number(self.metric(*pair, **self.options))
        return number if self.greater_is_better else -number

    def _unfolded(self, rows: np.ndarray) -> np.ndarray:
        if self.signal_shape is None:
            return rows
        shape = Grid.of(self.signal_shape, rows[0].size).shape
        return rows.reshape(len(rows), *shape)

    def _number(self, value: Any) -> float:
        fields = getattr(value, "_fields", ())
        if self.field is not None and self.field not in fields:
            raise ValueError(
                f"field={self.field!r} is not in what {_name(self.metric)} returns: "
                f"{', '.join(fields) or 'one value. Pass field=None'}."
            )
        chosen = value if self.field is None else getattr(value, self.field)
        if isinstance(chosen, tuple) or np.ndim(chosen) != 0:
            advice = "Pass a function of it that returns one"
            if fields and self.field is None:
                advice = f"Pass field, one of: {', '.join(fields)}"
            raise TypeError(
                f"{_name(self.metric)} returns {type(chosen).__name__}, but a score is "
                f"one number. {advice}."
            )
        return float(chosen)

    def __repr__(self) -> str:
        """The call that makes this scorer."""
        name = "generation_scorer" if self.draws else "reconstruction_scorer"
        common = {"signal_shape": self.signal_shape, "field": self.field}
        given = {key: value for key, value in common.items() if value is not None}
        parts = [_name(self.metric), f"greater_is_better={self.greater_is_better}"]
        options = given | (self.draws or {}) | self.options
        parts += [f"{key}={value!r}" for key, value in options.items()]
        return f"{name}({', '.join(parts)})"


def _reconstruction(estimator: Any, X: Any) -> Any:
    for method in ("transform", "inverse_transform"):
        _require(estimator, method, "reconstruction_scorer")
    return estimator.inverse_transform(estimator.transform(X))


def _draws(estimator: Any, n_samples: int, random_state: int | None) -> Any:
    _require(estimator, "sample", "generation_scorer")
    if "random_state" not in signature(estimator.sample).parameters:
        raise TypeError(
            "generation_scorer needs sample(n_samples, random_state=...), but that "
            f"of {type(estimator).__name__} takes no random_state."
        )
    return estimator.sample(n_samples, random_state=random_state)


@validated(**_OPTIONS)
def reconstruction_scorer(
    metric: Metric,
    *,
    greater_is_better: bool = True,
    signal_shape: Sequence[int] | None = None,
    field: str | None = None,
    **kwargs: Any,
) -> Scorer:
    """Make a scorer of what an estimator keeps of its input.

    It compares X with ``estimator.inverse_transform(estimator.transform(X))``.

    Parameters
    ----------
    metric : callable
        ``metric(X, X_reconstructed, **kwargs)``: `psnr`, `ssim`, ...
    greater_is_better : bool, default=True
        False for distances: the score is then minus the metric.
    signal_shape : tuple of int or None, default=None
        How a row unfolds before it is measured: (length,), (height, width) or (height,
        width, channels). None leaves rows as they are.
    field : str or None, default=None
        Which number, where the metric returns a named tuple: "distance" of
        `mean_spectrum_distance`.
    **kwargs
        Passed to the metric. A parameter of it that has one of the names above comes
        from `functools.partial` instead.

    Returns
    -------
    scorer : Scorer
        A callable (estimator, X, y=None) -> float, for ``scoring`` of `GridSearchCV`,
        `cross_val_score` and the like.

    Raises
    ------
    TypeError, ValueError
        When it scores: if the estimator lacks a method, ``signal_shape`` does not fit
        the rows, or the metric returns more than a number and ``field`` does not name
        one.

    Notes
    -----
    Rows that the estimator has not seen, too, are reconstructed the better the more
    components it has: `GridSearchCV` will choose the most on offer. Choose their number
    by hand, where the score levels off, or by a score of draws.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skspectral.metrics import psnr, reconstruction_scorer
    >>> X = load_digits().data[:200] / 16
    >>> scorer = reconstruction_scorer(psnr, data_range=1.0)
    >>> few, many = (cross_val_score(PCA(k), X, scoring=scorer) for k in (5, 20))
    >>> bool((many > few).all())
    True
    """
    return Scorer(metric, greater_is_better, signal_shape, field, kwargs)


@validated(
    **_OPTIONS,
    n_samples=[Interval(Integral, 1, None, closed="left"), None],
    random_state=[Interval(Integral, 0, None, closed="left"), None],
)
def generation_scorer(
    metric: Metric,
    *,
    greater_is_better: bool = False,
    n_samples: int | None = None,
    signal_shape: Sequence[int] | None = None,
    field: str | None = None,
    random_state: int | None = 0,
    **kwargs: Any,
) -> Scorer:
    """Make a scorer of what an estimator draws.

    It compares X, of which the estimator has seen nothing in a cross-validation, with
    ``estimator.sample(n_samples, random_state=random_state)``.

    Parameters
    ----------
    metric : callable
        ``metric(X_real, X_generated, **kwargs)``, of two sets.
    greater_is_better : bool, default=False
        Whether the metric is a score; of a distance the score is minus the metric.
    n_samples : int or None, default=None
        Number of draws. None draws as many as X has rows.
    signal_shape, field
        As in `reconstruction_scorer`.
    random_state : int or None, default=0
        Seed of the draws, the same in every call, so that equal estimators score
        alike. None leaves it to the estimator.
    **kwargs
        Passed to the metric, as in `reconstruction_scorer`.

    Returns
    -------
    scorer : Scorer
        A callable (estimator, X, y=None) -> float, as of `reconstruction_scorer`.

    Raises
    ------
    TypeError, ValueError
        As by `reconstruction_scorer`, of an estimator that has to have ``sample`` with
        ``random_state``.

    Notes
    -----
    Distances of sets are biased by their sizes: scores of folds of different sizes, or
    with other ``n_samples``, do not compare.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.metrics import generation_scorer, radial_spectrum_distance
    >>> X = load_digits().data[:200] / 16
    >>> scorer = generation_scorer(radial_spectrum_distance, signal_shape=(8, 8))
    >>> scorer
    generation_scorer(radial_spectrum_distance, greater_is_better=False,
                      signal_shape=(8, 8), random_state=0)
    >>> few, many = (
    ...     SpectralDictionaryLearning(k, signal_shape=(8, 8)).fit(X) for k in (2, 20)
    ... )
    >>> scorer(many, X) > scorer(few, X)
    True
    """
    number = {} if n_samples is None else {"n_samples": n_samples}
    draws = {**number, "random_state": random_state}
    return Scorer(metric, greater_is_better, signal_shape, field, kwargs, draws)


def _require(estimator: Any, method: str, scorer: str) -> None:
    if not hasattr(estimator, method):
        raise TypeError(
            f"{scorer} needs an estimator with {method}, which "
            f"{type(estimator).__name__} has not."
        )


def _name(metric: Metric) -> str:
    return getattr(metric, "__name__", repr(metric))
