"""Expectation maximisation for mixtures of Gaussians, by sufficient statistics."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.utils import gen_batches

from skspectral.gaussian import Mixture
from skspectral.priors.components import (
    CovarianceModel,
    Moments,
    SufficientStatistics,
)
from skspectral.priors.quadratic import condition, expect_by_features

Statistics = Moments | SufficientStatistics

# Rows whose responsibilities are held in memory at a time.
_CHUNK = 2048
# If the objective falls by more than this fraction, the cause is not rounding.
_ROUNDING = 1e-9
# Smaller responsibilities of a component for a row are neglected.
_NEGLIGIBLE = 1e-10
# k-means only provides a start, so that a few iterations suffice.
_KMEANS_ITERATIONS = 30
# Products of coordinates are used for at least this many rows, if there are several
# rows for each mean of each component, and if the products of the coordinates of some
# rows fit into memory.
_MANY_ROWS, _ROWS_PER_NUMBER, _MOST_CODES = 10_000, 2, 256
# Largest rounding errors of log-densities, in nats. Products in float32 also need an
# error below the tolerance of the iterations, which rounding errors would hide.
_LARGEST_ERROR, _LARGEST_ERROR_IN_FLOAT64 = 1e-3, 1e-6


@dataclass(frozen=True)
class Ascent:
    """Result of expectation maximisation.

    ``bounds`` holds the objective, which is the log posterior density divided by the
    sum of the sample weights, before each iteration and after the last one.
    ``converged`` is True if the last iteration raised it by less than the tolerance,
    and ``stopped`` if a callback ended the iterations.
    """

    mixture: Mixture
    bounds: list[float]
    converged: bool
    stopped: bool


def partition(
    X: np.ndarray, sample_weight: np.ndarray, n_clusters: int, seed: int | None
) -> np.ndarray:
    """Partition rows (n, K) by k-means, and return labels 0 .. n_clusters - 1.

    With a seed, k-means starts from random rows (k-means++). Without a seed, it starts
    from a deterministic partition: the cluster with the largest scatter along a
    coordinate is split along this coordinate until there are ``n_clusters`` (Su and Dy
    2007). The coordinates should be principal components. A ValueError is raised if
    there are fewer different rows than clusters.
    """
    labels = np.zeros(len(X), dtype=int)
    means, scatters = np.empty((2, n_clusters, X.shape[1]))
    changed = [0]
    for new in range(1, n_clusters + 1):
        for k in changed:
            rows, weight = X[labels == k], sample_weight[labels == k]
            means[k] = weight @ rows / weight.sum()
            scatters[k] = weight @ (rows - means[k]) ** 2
        if new == n_clusters:
            break
        k, axis = divmod(int(scatters[:new].argmax()), X.shape[1])
        inside = labels == k
        cut = _best_cut(X[inside, axis], sample_weight[inside])
        above = inside & (X[:, axis] > cut)
        if not above.any():
            raise ValueError(
                f"n_components={n_clusters} needs as many different samples, but there "
                f"are only {new}. Use n_components={new} or less."
            )
        labels[above] = new
        changed = [k, new]
    if n_clusters == 1:
        return labels
    init = means if seed is None else "k-means++"
    clusters = KMeans(
        n_clusters, init=init, n_init=1, max_iter=_KMEANS_ITERATIONS, random_state=seed
    )
    return clusters.fit_predict(X, sample_weight=sample_weight)


def _best_cut(values: np.ndarray, weight: np.ndarray) -> float:
    """Return the cut of values into two groups with the least scatter within groups.

    The cut is the largest value of the lower group.
    """
    order = np.argsort(values, kind="stable")
    values, weight = values[order], weight[order]
    below, above = weight.cumsum()[:-1], weight[::-1].cumsum()[-2::-1]
    sums = np.cumsum(weight * (values - values[0]))
    between = sums[:-1] ** 2 / below + (sums[-1] - sums[:-1]) ** 2 / above
    return float(values[np.argmax(between)]) if len(between) else float(values[0])


def mixture_of_partition(
    X: np.ndarray,
    sample_weight: np.ndarray,
    labels: np.ndarray,
    model: CovarianceModel,
) -> Mixture:
    """Return the mixture of the components of a partition.

    The rows ``X`` (n, K) have sample weights (n,) and ``labels`` (n,) in 0 .. M - 1. A
    ValueError is raised if a component has no variance.
    """
    clusters = np.arange(labels.max() + 1)
    statistics = [SufficientStatistics(X, X[0]) for _ in clusters]
    for rows in gen_batches(len(X), _CHUNK):
        _accumulate(statistics, rows, sample_weight, labels[rows, None] == clusters)
    return _maximise(statistics, model, None)


def maximise_likelihood(
    X: np.ndarray,
    sample_weight: np.ndarray,
    mixture: Mixture,
    model: CovarianceModel,
    on_step: Callable[..., bool],
    max_iter: int,
    tol: float,
) -> Ascent:
    """Run expectation maximisation from a mixture.

    The objective is the log posterior density with the prior of ``model``. The rows
    ``X`` (n, K) have sample weights (n,). The iterations end after ``max_iter`` of
    them, if one raises the objective by less than ``tol`` nats per sample, or if
    ``on_step`` returns True. ``on_step`` is called after each iteration with the
    objective. An ArithmeticError is raised if the objective is not finite, and a
    ValueError if a component has no variance.
    """
    expect = _Expectation(X, sample_weight, model, tol)
    method, error = expect.method(mixture), 0.0
    best, bounds = mixture, [-np.inf]
    while True:
        statistics, bound = expect(mixture, method)
        if not np.isfinite(bound):
            raise ArithmeticError(
                f"The likelihood of the mixture is {bound} at iteration "
                f"{len(bounds) - 1}. Are values of X extremely large or small? Rescale "
                "X, or increase shrinkage."
            )
        gain = bound - bounds[-1]
        before, error = error, expect.error(mixture, method)
        if gain < -max(_ROUNDING * abs(bound), before, error):
            # A component has collapsed onto a few samples, which is possible without
            # shrinkage. The mixture before the collapse is returned.
            return Ascent(best, bounds[1:], converged=False, stopped=False)
        best = mixture
        bounds.append(bound)
        stopped, converged = on_step(log_likelihood=bound), gain < tol
        if stopped or converged or len(bounds) > max_iter + 1:
            return Ascent(best, bounds[1:], converged, stopped)
        mixture, method = _next(expect, statistics, mixture, method)


class _Method(IntEnum):
    """Ways to compute the expectation step, in the order of their precision."""

    FEATURES_IN_FLOAT32 = 0
    FEATURES_IN_FLOAT64 = 1
    BY_COMPONENT = 2


# Arithmetic of the methods that use the features of `quadratic`.
_ARITHMETIC = {
    _Method.FEATURES_IN_FLOAT32: torch.float32,
    _Method.FEATURES_IN_FLOAT64: torch.float64,
}


class _Expectation:
    """The expectation step on rows (n, K) with sample weights (n,).

    ``tol`` is the gain in nats per sample at which the iterations end.
    """

    def __init__(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray,
        model: CovarianceModel,
        tol: float,
    ):
        self._X, self._weight, self._tol = X, sample_weight, tol
        self.model = model

    def __call__(
        self, mixture: Mixture, method: _Method
    ) -> tuple[Sequence[Statistics], float]:
        """Return the statistics of the components, and the mixture's objective."""
        bound = sum(map(self.model.log_prior, mixture.components))
        statistics: Sequence[Statistics]
        if method in _ARITHMETIC:
            statistics, total = expect_by_features(
                self._X, self._weight, mixture, _NEGLIGIBLE, _ARITHMETIC[method]
            )
        else:
            statistics, total = _expect_by_component(self._X, self._weight, mixture)
        return statistics, float((bound + total) / self._weight.sum())

    def method(self, mixture: Mixture) -> _Method:
        """Return the fastest method that is precise enough for a mixture.

        Features serve full covariances of components that have many rows. With
        components of few rows, `SufficientStatistics` is faster.
        """
        n_rows, n_codes = self._X.shape
        many = max(_MANY_ROWS, _ROWS_PER_NUMBER * len(mixture) * n_codes)
        if self.model.kind == "full" and n_rows >= many and n_codes <= _MOST_CODES:
            for method in _ARITHMETIC:
                if self.error(mixture, method) <= self._allowed(method):
                    return method
        return _Method.BY_COMPONENT

    def error(self, mixture: Mixture, method: _Method) -> float:
        """Return a bound on the rounding error of the objective, in nats per sample.

        It is 0 for components one by one, whose errors are relative to the objective.
        """
        if method not in _ARITHMETIC:
            return 0.0
        return torch.finfo(_ARITHMETIC[method]).eps * condition(mixture)

    def _allowed(self, method: _Method) -> float:
        """Return the largest error with which a method is precise enough."""
        if method == _Method.FEATURES_IN_FLOAT32:
            return min(self._tol, _LARGEST_ERROR)
        return _LARGEST_ERROR_IN_FLOAT64


def _next(
    expect: _Expectation,
    statistics: Sequence[Statistics],
    mixture: Mixture,
    method: _Method,
) -> tuple[Mixture, _Method]:
    """Return the next mixture, and the method of the next expectation step.

    If covariances have become so small that the method cannot resolve them, the step is
    repeated with a more precise method. The precision never falls.
    """
    model = expect.model
    try:
        following = _maximise(statistics, model, mixture)
        needed = max(method, expect.method(following))
    except ValueError:
        if method == _Method.BY_COMPONENT:
            raise
        needed = _Method.BY_COMPONENT
    if needed > method:
        statistics, _ = expect(mixture, needed)
        following = _maximise(statistics, model, mixture)
        needed = max(needed, expect.method(following))
    return following, needed


def _expect_by_component(
    X: np.ndarray, sample_weight: np.ndarray, mixture: Mixture
) -> tuple[list[SufficientStatistics], float]:
    """Return statistics, and the weighted sum of log-densities, of each component."""
    statistics = [SufficientStatistics(X, part.mean) for part in mixture.components]
    total = 0.0
    for rows in gen_batches(len(X), _CHUNK):
        joint = mixture.log_joint(X[rows])
        density = logsumexp(joint, axis=1, keepdims=True)
        total += sample_weight[rows] @ density[:, 0]
        _accumulate(statistics, rows, sample_weight, np.exp(joint - density))
    return statistics, total


def _accumulate(
    statistics: list[SufficientStatistics],
    rows: slice,
    sample_weight: np.ndarray,
    responsibilities: np.ndarray,
) -> None:
    """Add rows to the statistics, weighted by their responsibilities (n, M)."""
    for component, responsibility in zip(statistics, responsibilities.T, strict=True):
        # In many dimensions nearly every row belongs to a single component.
        taken = np.flatnonzero(responsibility > _NEGLIGIBLE)
        if len(taken):
            index = rows.start + taken
            component.add(index, sample_weight[index] * responsibility[taken])


def _maximise(
    statistics: Sequence[Statistics],
    model: CovarianceModel,
    before: Mixture | None,
) -> Mixture:
    """M-step: return a mixture with a higher posterior density than ``before``.

    ``before`` is None in the first iteration. A ValueError is raised if a component has
    no variance.
    """
    weights = np.array([component.weight for component in statistics])
    parts = []
    for k, component in enumerate(statistics):
        earlier = None if before is None else before.components[k]
        try:
            parts.append(component.fit(model, earlier))
        except ValueError as error:
            raise ValueError(
                f"Component {k} of the mixture, of {weights[k]:.3g} samples, has "
                "no variance. Use fewer components, or shrinkage > 0."
            ) from error
    return Mixture(weights / weights.sum(), tuple(parts))
