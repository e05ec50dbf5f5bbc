"""Expectation maximisation for mixtures of Gaussians, by sufficient statistics."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import KMeans

from skspectral.priors.normal import Mixture, Normal, log_joint

# Rows whose responsibilities are held at a time.
_CHUNK = 4096
# A bound that falls by a larger share does so not by rounding.
_ROUNDING = 1e-9
# A component takes no part in a row that it is less responsible for.
_NEGLIGIBLE = 1e-10
# Samples that tell how large the covariance of a component is: few, so that those of
# silence stay small.
_OF_SIZE = 0.01
# The partition to start from need not be the best.
_KMEANS_ITERATIONS = 30


@dataclass(frozen=True)
class Model:
    """Covariances that can be, and what is known of them before any sample.

    Samples are white: of all of them, the covariance is the identity. Each component's
    has an inverse Wishart prior about a multiple of it that is chosen with it, so that
    components may be loud or quiet; and a weak one about the identity itself,
    without which the multiple could vanish.

    Attributes
    ----------
    kind : {"full", "diag", "low_rank"}
    rank : int
        Of "low_rank": see `Normal.flattened`.
    pseudo_counts : float
        Number of samples that the first prior stands for; 0 is none of both.
    """

    kind: str
    rank: int
    pseudo_counts: float

    @property
    def _of_size(self) -> float:
        return _OF_SIZE if self.pseudo_counts > 0 else 0.0

    def fit(
        self,
        mean: np.ndarray,
        covariance: np.ndarray,
        n_samples: float,
        before: Normal | None,
    ) -> Normal:
        """Gaussian of larger posterior density than ``before``, if there was any."""
        if before is None:
            scale = np.trace(covariance) / len(mean)
        else:
            scale = 1 / before.mean_precision
        added = self.pseudo_counts * scale + self._of_size
        total = n_samples + self.pseudo_counts + self._of_size
        shrunk = covariance * (n_samples / total)
        shrunk.flat[:: len(mean) + 1] += added / total
        if self.kind == "diag":
            return Normal.along_axes(mean, np.eye(len(mean)), shrunk.diagonal())
        normal = Normal.of(mean, (shrunk + shrunk.T) / 2)
        return normal if self.kind == "full" else normal.flattened(self.rank)

    def log_prior(self, normal: Normal) -> float:
        """Log-density of a covariance, at the best multiple, but for a constant."""
        if self.pseudo_counts == 0:
            return 0.0
        n_codes, mean_precision = len(normal.mean), normal.mean_precision
        misfit = (self.pseudo_counts + self._of_size) * normal.log_determinant
        misfit += self.pseudo_counts * n_codes * np.log(mean_precision)
        misfit += self._of_size * n_codes * mean_precision
        return float(-0.5 * misfit)


class Statistics:
    """Weight, mean and scatter of the rows of each component, about given centres.

    Parameters
    ----------
    centres : ndarray of shape (M, K)
        Near the means, so that no digits cancel.
    """

    def __init__(self, centres: np.ndarray):
        n_components, n_codes = centres.shape
        self.centres = centres
        self.weight = np.zeros(n_components)
        self.first = np.zeros((n_components, n_codes))
        self.second = np.zeros((n_components, n_codes, n_codes))

    def add(
        self, X: np.ndarray, sample_weight: np.ndarray, responsibility: np.ndarray
    ) -> None:
        """Add rows of shape (n, K) with shares of shape (n, M)."""
        for k, share in enumerate(responsibility.T):
            # In many dimensions nearly all rows belong to one component.
            taken = np.flatnonzero(share > _NEGLIGIBLE)
            weight = sample_weight[taken] * share[taken]
            centred = X[taken] - self.centres[k]
            weighted = centred * weight[:, None]
            self.weight[k] += weight.sum()
            self.first[k] += weighted.sum(0)
            self.second[k] += weighted.T @ centred

    def maximise(self, model: Model, before: Mixture | None) -> Mixture:
        """Components of a larger posterior density than ``before``, if there were any.

        Raises
        ------
        ValueError
            If a component has no variance left.
        """
        shares = self.weight / self.weight.sum()
        return [
            (share, self._component(k, model, None if before is None else before[k][1]))
            for k, share in enumerate(shares)
        ]

    def _component(self, k: int, model: Model, before: Normal | None) -> Normal:
        # A component without samples keeps its place.
        n_samples = max(self.weight[k], np.finfo(np.float64).tiny)
        shift = self.first[k] / n_samples
        covariance = self.second[k] / n_samples - np.outer(shift, shift)
        try:
            return model.fit(self.centres[k] + shift, covariance, n_samples, before)
        except ValueError as error:
            raise ValueError(
                f"Component {k} of the mixture, of {self.weight[k]:.3g} samples, has "
                "no variance. Use fewer components, or shrinkage > 0."
            ) from error


@dataclass(frozen=True)
class Ascent:
    """Where the iterations ended.

    Attributes
    ----------
    mixture : list of (weight, Normal)
    bounds : list of float
        Log posterior density before each step and after the last, for each sample.
    converged, stopped : bool
        Whether the last step gained less than the tolerance; whether it was asked to.
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
    coordinates should be principal components.

    Raises
    ------
    ValueError
        If there are fewer distinct rows than clusters.
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
    model: Model,
    *,
    max_iter: int,
    tol: float,
    on_step: Callable[..., bool],
) -> Ascent:
    """Climb from the components of a partition to the nearest maximum.

    Parameters
    ----------
    X : ndarray of shape (n, K), float64
    sample_weight : ndarray of shape (n,)
    labels : ndarray of shape (n,)
        The partition, 0 .. M - 1.
    model : Model
    max_iter : int
    tol : float
        Stop when a step gains less than this, in nats a sample.
    on_step : callable
        Told the bound after each step; True stops.

    Raises
    ------
    ArithmeticError
        If the likelihood is not finite.
    """
    names = np.arange(labels.max() + 1)
    start = Statistics(np.tile(X[:1], (len(names), 1)))
    for rows in _chunks(len(X)):
        start.add(X[rows], sample_weight[rows], labels[rows, None] == names)
    mixture = start.maximise(model, None)
    best, bounds = mixture, [-np.inf]
    while True:
        statistics, bound = _expect(X, sample_weight, mixture, model)
        if not np.isfinite(bound):
            raise ArithmeticError(
                f"The likelihood of the mixture is {bound} at iteration "
                f"{len(bounds) - 1}."
            )
        gain = bound - bounds[-1]
        fallen = gain < -_ROUNDING * abs(bound)
        if fallen:
            # A component that nothing holds has collapsed onto a few samples.
            return Ascent(best, bounds[1:], converged=False, stopped=False)
        best = mixture
        bounds.append(bound)
        stopped, converged = on_step(log_likelihood=bound), gain < tol
        if stopped or converged or len(bounds) > max_iter + 1:
            return Ascent(best, bounds[1:], converged, stopped)
        mixture = statistics.maximise(model, mixture)


def _expect(
    X: np.ndarray, sample_weight: np.ndarray, mixture: Mixture, model: Model
) -> tuple[Statistics, float]:
    """Statistics under the responsibilities of a mixture, and its bound."""
    statistics = Statistics(np.stack([normal.mean for _, normal in mixture]))
    bound = sum(model.log_prior(normal) for _, normal in mixture)
    for rows in _chunks(len(X)):
        joint = log_joint(X[rows], mixture)
        density = logsumexp(joint, axis=1, keepdims=True)
        bound += sample_weight[rows] @ density[:, 0]
        statistics.add(X[rows], sample_weight[rows], np.exp(joint - density))
    return statistics, float(bound / sample_weight.sum())


def _chunks(n_rows: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, n_rows, _CHUNK)]
