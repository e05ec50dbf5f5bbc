"""Estimation of one component of a mixture from sufficient statistics."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.gaussian.gaussian import Gaussian, principal_directions

# Pseudo-samples of the prior on the scale of a covariance. They are few, so that a
# component with small variances can keep them.
_SCALE_COUNTS = 0.01
# The statistics keep the rows themselves until there are more than this fraction of the
# number of codes.
_FEW = 0.5


@dataclass(frozen=True)
class CovarianceModel:
    """Structure and prior of the covariance of a component.

    ``kind`` is the parameter ``covariance`` of `GaussianMixture`, and ``rank`` its
    parameter ``rank``, which is used only by the kind "low_rank".

    The samples are whitened, so that the covariance of all samples is the identity. The
    covariance of each component has an inverse Wishart prior, which acts like
    ``pseudo_counts`` additional samples whose covariance is a multiple of the identity.
    The multiple is estimated together with the covariance, because components may have
    large or small variances. A weak prior keeps the multiple from vanishing.
    ``pseudo_counts=0`` disables both priors.

    With ``common_mean``, all components have the mean 0, which is that of all samples.
    They then differ in their covariances alone.
    """

    kind: str
    rank: int
    pseudo_counts: float
    common_mean: bool = False

    def clustered(self, principal: np.ndarray) -> np.ndarray:
        """Return the rows that are divided into clusters for a start, (n, r).

        They are the principal components of the samples or, if components have the same
        mean, the roots of their absolute values. Samples x and -x are then equal.
        """
        return np.sqrt(np.abs(principal)) if self.common_mean else principal

    @property
    def adds_white_noise(self) -> bool:
        """Whether directions in which the samples do not vary get white noise."""
        return self.kind != "diag" and self.pseudo_counts > 0

    @property
    def _scale_counts(self) -> float:
        """Pseudo-samples of the prior on the scale of the covariance."""
        return _SCALE_COUNTS if self.pseudo_counts > 0 else 0.0

    def fit(
        self,
        mean: np.ndarray,
        vectors: np.ndarray,
        variances: np.ndarray,
        n_samples: float,
        before: Gaussian | None,
    ) -> Gaussian:
        """Return a Gaussian with a higher posterior density than ``before``.

        ``before`` is None in the first iteration. The ``n_samples`` samples have the
        ``mean`` (K,) and a covariance with the eigenvectors ``vectors`` (K, r) and the
        eigenvalues ``variances`` (r,), which are sorted, largest first, if the kind is
        "low_rank". The other K - r eigenvalues are zero.
        """
        if before is None:
            scale = variances.sum() / len(mean)
        else:
            scale = 1 / before.mean_precision
        added = self.pseudo_counts * scale + self._scale_counts
        total = n_samples + self.pseudo_counts + self._scale_counts
        rest = float(added / total)
        shrunk = variances * (n_samples / total) + rest
        gaussian = Gaussian.from_eigenvectors(mean, vectors, shrunk, rest)
        return gaussian.flattened(self.rank) if self.kind == "low_rank" else gaussian

    def log_prior(self, gaussian: Gaussian) -> float:
        """Return the log-density of a covariance, maximised over its scale.

        A constant that does not depend on the covariance is omitted.
        """
        if self.pseudo_counts == 0:
            return 0.0
        n_codes, mean_precision = len(gaussian.mean), gaussian.mean_precision
        misfit = (self.pseudo_counts + self._scale_counts) * gaussian.log_determinant
        misfit += self.pseudo_counts * n_codes * np.log(mean_precision)
        misfit += self._scale_counts * n_codes * mean_precision
        return float(-0.5 * misfit)


@dataclass(frozen=True)
class Moments:
    """Moments of the weighted rows of a component.

    ``weight`` is the sum of the weights. ``first`` (K,) and ``second`` (K, K) are the
    weighted sums of x - centre and of (x - centre)(x - centre)' over the rows x. The
    ``centre`` (K,) is near the mean of the component, to avoid cancellation.
    """

    centre: np.ndarray
    weight: float
    first: np.ndarray
    second: np.ndarray

    def fit(self, model: CovarianceModel, before: Gaussian | None) -> Gaussian:
        """Estimate the component; see `CovarianceModel.fit`.

        A ValueError is raised if the component has no variance.
        """
        n_samples = _positive(self.weight)
        shift = self.first / n_samples
        covariance = self.second / n_samples - np.outer(shift, shift)
        if model.common_mean:
            # The second moment about 0 in place of the mean of the component.
            mean = self.centre + shift
            covariance += np.outer(mean, mean)
            shift = -self.centre
        return _fit_covariance(
            model, self.centre + shift, covariance, n_samples, before
        )


class SufficientStatistics:
    """Weighted rows of a component, or their moments if there are many rows.

    The covariance of m rows is of rank m. Its eigenvectors cost K m^2 operations from
    the rows, and K^3 from the covariance. The rows themselves are therefore kept while
    they are few. ``X`` (n, K) holds the rows of all components. ``centre`` (K,) is a
    point near the mean of this component, which is subtracted to avoid cancellation.
    """

    def __init__(self, X: np.ndarray, centre: np.ndarray):
        self._X, self._centre = X, centre
        self.weight = 0.0
        self._rows, self._weights = np.empty(0, dtype=int), np.empty(0)
        self._first = np.zeros(len(centre))
        self._second: np.ndarray | None = None

    def add(self, rows: np.ndarray, weights: np.ndarray) -> None:
        """Add the rows of ``X`` with these indices and weights."""
        self.weight += weights.sum()
        if self._second is None:
            rows = self._rows = np.append(self._rows, rows)
            weights = self._weights = np.append(self._weights, weights)
            if len(rows) <= _FEW * len(self._centre):
                return
            self._second = np.zeros((len(self._centre), len(self._centre)))
        centred = self._X[rows] - self._centre
        weighted = centred * weights[:, None]
        self._first += weighted.sum(0)
        self._second += weighted.T @ centred

    def fit(self, model: CovarianceModel, before: Gaussian | None) -> Gaussian:
        """Estimate the component; see `CovarianceModel.fit`.

        A ValueError is raised if the component has no variance.
        """
        if self._second is not None:
            moments = Moments(self._centre, self.weight, self._first, self._second)
            return moments.fit(model, before)
        n_samples = _positive(self.weight)
        centred = self._X[self._rows] - self._centre
        fractions = self._weights / n_samples
        shift = -self._centre if model.common_mean else fractions @ centred
        mean = self._centre + shift
        scaled = np.sqrt(fractions)[:, None] * (centred - shift)
        if model.adds_white_noise:
            _, spread, right = np.linalg.svd(scaled, full_matrices=False)
            return model.fit(mean, right.T, spread**2, n_samples, before)
        return _fit_covariance(model, mean, scaled.T @ scaled, n_samples, before)


def _positive(weight: float) -> float:
    """Return the weight of a component, or a tiny number instead of 0.

    The tiny number avoids 0 / 0. A component without samples keeps its mean.
    """
    return max(weight, np.finfo(np.float64).tiny)


def _fit_covariance(
    model: CovarianceModel,
    mean: np.ndarray,
    covariance: np.ndarray,
    n_samples: float,
    before: Gaussian | None,
) -> Gaussian:
    """Estimate a component from the covariance (K, K) of its rows."""
    if model.kind == "diag":
        vectors, variances = np.eye(len(mean)), covariance.diagonal()
    else:
        symmetric = (covariance + covariance.T) / 2
        vectors, variances = principal_directions(symmetric)
    return model.fit(mean, vectors, variances, n_samples, before)
