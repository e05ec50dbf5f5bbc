"""Scorers for scikit-learn's model selection, made from metrics."""
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
    """Callable for ``scoring``, from (estimator, X, y=None) to a float.

    `reconstruction_scorer` and `generation_scorer` make scorers. ``draws`` is None for
    the former, and holds the number and the seed of the samples for the latter. A
    scorer can be pickled if its metric can be pickled.
    """

    metric: Metric
    greater_is_better: bool
    signal_shape: Sequence[int] | None
    field: str | None
    options: dict[str, Any]
    draws: dict[str, Any] | None = None

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Return the score of a fitted estimator on ``X``; ``y`` is ignored."""
        rows = as_numpy(X, "X")
        if self.draws is None:
            output = _reconstruct(estimator, X)
        else:
            output = _draw(estimator, **({"n_samples": len(rows)} | self.draws))
        pair = (
            self._unfolded(rows),
            self._unfolded(as_numpy(output, "The output of the estimator")),
        )
        number = self._number(self.metric(*pair, **self.options))
        return number if self.greater_is_better else -number

    def _unfolded(self, rows: np.ndarray) -> np.ndarray:
        """Reshape flattened rows to ``signal_shape``."""
        if self.signal_shape is None:
            return rows
        shape = Grid.of(self.signal_shape, rows[0].size).shape
        return rows.reshape(len(rows), *shape)

    def _number(self, value: Any) -> float:
        """Return the chosen field of the metric's result as a number."""
        fields = getattr(value, "_fields", ())
        if self.field is not None and self.field not in fields:
            advice = "The result has no fields. Pass field=None"
            if fields:
                advice = f"Pass one of: {', '.join(fields)}"
            raise ValueError(
                f"field={self.field!r} is not a field of the result of "
                f"{_name_of(self.metric)}. {advice}."
            )
        chosen = value if self.field is None else getattr(value, self.field)
        if isinstance(chosen, tuple) or np.ndim(chosen) != 0:
            advice = "Pass a function that computes one number from this result"
            if fields and self.field is None:
                advice = f"Pass field as one of: {', '.join(fields)}"
            raise TypeError(
                f"{_name_of(self.metric)} returns {type(chosen).__name__}, but a score "
                f"must be one number. {advice}."
            )
        return float(chosen)

    def __repr__(self) -> str:
        """Return the call that makes this scorer."""
        name = "generation_scorer" if self.draws else "reconstruction_scorer"
        optional = {"signal_shape": self.signal_shape, "field": self.field}
        given = {key: value for key, value in optional.items() if value is not None}
        parts = [_name_of(self.metric), f"greater_is_better={self.greater_is_better}"]
        options = given | (self.draws or {}) | self.options
        parts += [f"{key}={value!r}" for key, value in options.items()]
        return f"{name}({', '.join(parts)})"


def _reconstruct(estimator: Any, X: Any) -> Any:
    """Return the reconstruction of X by an estimator."""
    for method in ("transform", "inverse_transform"):
        _require(estimator, method, "reconstruction_scorer")
    return estimator.inverse_transform(estimator.transform(X))


def _draw(estimator: Any, n_samples: int, random_state: int | None) -> Any:
    """Return samples drawn from an estimator."""
    _require(estimator, "sample", "generation_scorer")
    if "random_state" not in signature(estimator.sample).parameters:
        raise TypeError(
            "generation_scorer calls sample(n_samples, random_state=...), but the "
            f"method sample of {type(estimator).__name__} has no random_state. Pass an "
            "estimator whose sample has this parameter."
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
    """Make a scorer that measures the reconstructions of an estimator.

    The metric compares X with ``estimator.inverse_transform(estimator.transform(X))``.

    Parameters
    ----------
    metric : callable
        Function ``metric(X, X_reconstructed, **kwargs)`` that returns a number, such as
        `psnr`, `ssim` or `explained_variance`.
    greater_is_better : bool, default=True
        Whether larger values of the metric are better. Pass False for distances; the
        score is then the negative of the metric.
    signal_shape : tuple of int or None, default=None
        Shape to which each row of X is reshaped before the metric is called: (length,),
        (height, width) or (height, width, channels). None leaves the rows as they are.
    field : str or None, default=None
        Name of the field to use as the score, if the metric returns a named tuple. An
        example is "distance" for `mean_spectrum_distance`. None means that the metric
        returns one number.
    **kwargs : dict
        Further arguments of the metric. If the metric has a parameter with one of the
        names above, set this parameter with `functools.partial`.

    Returns
    -------
    scorer : Scorer
        Callable from (estimator, X, y=None) to a float, for the parameter ``scoring``
        of `GridSearchCV`, `cross_val_score` and similar functions.

    Raises
    ------
    TypeError
        If, when the scorer is called, the estimator has no ``transform`` or
        ``inverse_transform``.
    TypeError
        If, when the scorer is called, the metric returns more than one number and
        ``field`` is None.
    ValueError
        If, when the scorer is called, ``field`` is not a field of the result.
    ValueError
        If, when the scorer is called, ``signal_shape`` does not agree with the number
        of features.

    See Also
    --------
    generation_scorer : Scorer of the samples drawn from an estimator.

    Notes
    -----
    The reconstruction of held-out rows usually improves with every additional
    component. `GridSearchCV` therefore chooses the largest number of components. Choose
    the number where the score levels off, or use `generation_scorer`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skspectral.metrics import psnr, reconstruction_scorer
    >>> X = load_digits().data[:200] / 16
    >>> scorer = reconstruction_scorer(psnr, data_range=1.0)
    >>> few = cross_val_score(PCA(5), X, scoring=scorer)
    >>> many = cross_val_score(PCA(20), X, scoring=scorer)
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
    """Make a scorer that measures the samples drawn from an estimator.

    The metric compares X with
    ``estimator.sample(n_samples, random_state=random_state)``. In a cross-validation, X
    holds the held-out rows.

    Parameters
    ----------
    metric : callable
        Function ``metric(X_real, X_generated, **kwargs)`` of two sets that returns a
        number, such as `frechet_distance`.
    greater_is_better : bool, default=False
        Whether larger values of the metric are better. With False, for distances, the
        score is the negative of the metric.
    n_samples : int or None, default=None
        Number of samples to draw. None draws as many samples as X has rows.
    signal_shape : tuple of int or None, default=None
        Shape to which each row of X is reshaped before the metric is called: (length,),
        (height, width) or (height, width, channels). None leaves the rows as they are.
    field : str or None, default=None
        Name of the field to use as the score, if the metric returns a named tuple. An
        example is "distance" for `mean_spectrum_distance`. None means that the metric
        returns one number.
    random_state : int or None, default=0
        Seed that is passed to ``sample``. An int is used in every call, so that equal
        estimators have equal scores. None is passed on to the estimator.
    **kwargs : dict
        Further arguments of the metric. If the metric has a parameter with one of the
        names above, set this parameter with `functools.partial`.

    Returns
    -------
    scorer : Scorer
        Callable from (estimator, X, y=None) to a float, for the parameter ``scoring``
        of `GridSearchCV`, `cross_val_score` and similar functions.

    Raises
    ------
    TypeError
        If, when the scorer is called, the estimator has no method ``sample`` with a
        parameter ``random_state``.
    TypeError
        If, when the scorer is called, the metric returns more than one number and
        ``field`` is None.
    ValueError
        If, when the scorer is called, ``field`` is not a field of the result.
    ValueError
        If, when the scorer is called, ``signal_shape`` does not agree with the number
        of features.

    See Also
    --------
    reconstruction_scorer : Scorer of the reconstructions of an estimator.

    Notes
    -----
    Distances between sets are biased by the numbers of samples. Do not compare scores
    from folds of different sizes, or with different ``n_samples``.

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
    >>> few = SpectralDictionaryLearning(2, signal_shape=(8, 8)).fit(X)
    >>> many = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)
    >>> scorer(many, X) > scorer(few, X)
    True
    """
    fixed = {} if n_samples is None else {"n_samples": n_samples}
    draws = {**fixed, "random_state": random_state}
    return Scorer(metric, greater_is_better, signal_shape, field, kwargs, draws)


def _require(estimator: Any, method: str, scorer: str) -> None:
    """Raise an error unless the estimator has a method."""
    if not hasattr(estimator, method):
        raise TypeError(
            f"{scorer} needs an estimator with the method {method}, but "
            f"{type(estimator).__name__} has no such method."
        )


def _name_of(metric: Metric) -> str:
    """Return the name of a metric for messages."""
    return getattr(metric, "__name__", repr(metric))
