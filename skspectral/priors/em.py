"""Expectation maximisation for mixtures of Gaussians, by sufficient statistics."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.utils import gen_batches

from skspectral.gaussian import Mixture
from skspectral.priors.components import CovarianceModel, SufficientStatistics

# Rows whose responsibilities are held in memory at a time.
_CHUNK = 2048
# If the objective falls by more than this fraction, the cause is not rounding.
_ROUNDING = 1e-9
# Smaller responsibilities of a component for a row are neglected.
_NEGLIGIBLE = 1e-10
# k-means only provides a start, so that a few iterations suffice.
_KMEANS_ITERATIONS = 30


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


def maximise_likelihood(
    X: np.ndarray,
    sample_weight: np.ndarray,
    labels: np.ndarray,
    model: CovarianceModel,
    on_step: Callable[..., bool],
    max_iter: int,
    tol: float,
) -> Ascent:
    """Run expectation maximisation from the components of a partition.

    The objective is the log posterior density with the prior of ``model``. The rows
    ``X`` (n, K) have sample weights (n,) and ``labels`` (n,) in 0 .. M - 1. The
    iterations end after ``max_iter`` of them, if one raises the objective by less than
    ``tol`` nats per sample, or if ``on_step`` returns True. ``on_step`` is called after
    each iteration with the objective. An ArithmeticError is raised if the objective is
    not finite.
    """
    clusters = np.arange(labels.max() + 1)
    statistics = [SufficientStatistics(X, X[0]) for _ in clusters]
    for rows in gen_batches(len(X), _CHUNK):
        _accumulate(statistics, rows, sample_weight, labels[rows, None] == clusters)
    mixture = _maximise(statistics, model, None)
    best, bounds = mixture, [-np.inf]
    while True:
        statistics, bound = _expect(X, sample_weight, mixture, model)
        if not np.isfinite(bound):
            raise ArithmeticError(
                f"The likelihood of the mixture is {bound} at iteration "
                f"{len(bounds) - 1}. Are values of X extremely large or small? Rescale "
                "X, or increase shrinkage."
            )
        gain = bound - bounds[-1]
        if gain < -_ROUNDING * abs(bound):
            # A component has collapsed onto a few samples, which is possible without
            # shrinkage. The mixture before the collapse is returned.
            return Ascent(best, bounds[1:], converged=False, stopped=False)
        best = mixture
        bounds.append(bound)
        stopped, converged = on_step(log_likelihood=bound), gain < tol
        if stopped or converged or len(bounds) > max_iter + 1:
            return Ascent(best, bounds[1:], converged, stopped)
        mixture = _maximise(statistics, model, mixture)


def _expect(
    X: np.ndarray, sample_weight: np.ndarray, mixture: Mixture, model: CovarianceModel
) -> tuple[list[SufficientStatistics], float]:
    """E-step: return the statistics of the components, and the mixture's objective."""
    parts = mixture.components
    statistics = [SufficientStatistics(X, part.mean) for part in parts]
    bound = sum(map(model.log_prior, parts))
    for rows in gen_batches(len(X), _CHUNK):
        joint = mixture.log_joint(X[rows])
        density = logsumexp(joint, axis=1, keepdims=True)
        bound += sample_weight[rows] @ density[:, 0]
        _accumulate(statistics, rows, sample_weight, np.exp(joint - density))
    return statistics, float(bound / sample_weight.sum())


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
    statistics: list[SufficientStatistics],
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
