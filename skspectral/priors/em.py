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

# Rows whose responsibilities are held at a time.
_CHUNK = 2048
# A bound that falls by a larger share does so not by rounding.
_ROUNDING = 1e-9
# A component takes no part in a row that it is less responsible for.
_NEGLIGIBLE = 1e-10
# The partition to start from need not be the best.
_KMEANS_ITERATIONS = 30


@dataclass(frozen=True)
class Ascent:
    """Where the iterations ended, and why.

    The ``bounds`` are the log posterior density, for each sample, before each step and
    after the last. It has ``converged`` if the last step gained less than the
    tolerance, and ``stopped`` if it was told to.
    """

    mixture: Mixture
    bounds: list[float]
    converged: bool
    stopped: bool


def partition(
    X: np.ndarray, sample_weight: np.ndarray, n_clusters: int, seed: int | None
) -> np.ndarray:
    """Labels 0 .. n_clusters - 1 of clusters to start from, by k-means.

    Its own start is random or, without a seed, made by splitting the cluster with the
    largest scatter along a coordinate, again and again (Su and Dy 2007): the
    coordinates should be principal components. Fewer distinct rows than clusters raise
    a ValueError.
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
                f"are {new}."
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
    """Largest value of the lower of two groups whose scatter is least."""
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
    """Climb from the components of a partition to the nearest maximum.

    The rows of ``X`` (n, K) have weights (n,) and ``labels`` (n,), 0 .. M - 1. The
    climb ends after ``max_iter`` steps, when a step gains less than ``tol`` nats a
    sample, or when ``on_step``, which is told the bound after each step, returns True.
    A likelihood that is not finite raises an ArithmeticError.
    """
    names = np.arange(labels.max() + 1)
    statistics = [SufficientStatistics(X, X[0]) for _ in names]
    for rows in gen_batches(len(X), _CHUNK):
        _share_out(statistics, rows, sample_weight, labels[rows, None] == names)
    mixture = _maximise(statistics, model, None)
    best, bounds = mixture, [-np.inf]
    while True:
        statistics, bound = _expect(X, sample_weight, mixture, model)
        if not np.isfinite(bound):
            raise ArithmeticError(
                f"The likelihood of the mixture is {bound} at iteration "
                f"{len(bounds) - 1}."
            )
        gain = bound - bounds[-1]
        if gain < -_ROUNDING * abs(bound):
            # A component that nothing holds has collapsed onto a few samples.
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
    """Sufficient statistics of the components, and the bound of the mixture."""
    parts = mixture.components
    statistics = [SufficientStatistics(X, part.mean) for part in parts]
    bound = sum(map(model.log_prior, parts))
    for rows in gen_batches(len(X), _CHUNK):
        joint = mixture.log_joint(X[rows])
        density = logsumexp(joint, axis=1, keepdims=True)
        bound += sample_weight[rows] @ density[:, 0]
        _share_out(statistics, rows, sample_weight, np.exp(joint - density))
    return statistics, float(bound / sample_weight.sum())


def _share_out(
    statistics: list[SufficientStatistics],
    rows: slice,
    sample_weight: np.ndarray,
    responsibility: np.ndarray,
) -> None:
    """Add rows, weighted by their responsibilities of shape (n, M)."""
    for of_component, share in zip(statistics, responsibility.T, strict=True):
        # In many dimensions nearly all rows belong to one component.
        taken = np.flatnonzero(share > _NEGLIGIBLE)
        if len(taken):
            index = rows.start + taken
            of_component.add(index, sample_weight[index] * share[taken])


def _maximise(
    statistics: list[SufficientStatistics],
    model: CovarianceModel,
    before: Mixture | None,
) -> Mixture:
    """Mixture with a higher posterior density than ``before``, if it is given.

    A component that has no variance left raises a ValueError.
    """
    weights = np.array([of_component.weight for of_component in statistics])
    parts = []
    for k, of_component in enumerate(statistics):
        earlier = None if before is None else before.components[k]
        try:
            parts.append(of_component.fit(model, earlier))
        except ValueError as error:
            raise ValueError(
                f"Component {k} of the mixture, of {weights[k]:.3g} samples, has "
                "no variance. Use fewer components, or shrinkage > 0."
            ) from error
    return Mixture(weights / weights.sum(), tuple(parts))
