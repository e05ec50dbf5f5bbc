"""A component of a mixture, from the sufficient statistics of its samples."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.gaussian.gaussian import Gaussian, principal_directions

# Pseudo-samples of the prior of the scale: few, so that quiet components stay small.
_OF_SCALE = 0.01
# Rows are kept while there are fewer than this share of the number of codes.
_FEW = 0.5


@dataclass(frozen=True)
class CovarianceModel:
    """The covariances that a component may have, and their prior.

    The ``kind`` is that of `GaussianMixture.covariance`, and the ``rank`` of "low_rank"
    that of `Gaussian.flattened`.

    Samples are whitened, so that the covariance of all of them is the identity. The
    covariance of each component has an inverse Wishart prior about a multiple of the
    identity, of so many ``pseudo_counts``. The multiple is chosen with the covariance,
    so that components may be loud or quiet, and has a weak prior about 1, without which
    it could vanish. No ``pseudo_counts`` disable both priors.
    """

    kind: str
    rank: int
    pseudo_counts: float

    @property
    def takes_few(self) -> bool:
        """Whether directions without variance in the samples get white noise."""
        return self.kind != "diag" and self.pseudo_counts > 0

    @property
    def _of_scale(self) -> float:
        return _OF_SCALE if self.pseudo_counts > 0 else 0.0

    def fit(
        self,
        mean: np.ndarray,
        vectors: np.ndarray,
        variances: np.ndarray,
        n_samples: float,
        before: Gaussian | None,
    ) -> Gaussian:
        """Gaussian with a higher posterior density than ``before``, if it is given.

        The samples have a ``mean`` (K,) and a covariance with the eigenvectors (K, r)
        and eigenvalues ``variances`` (r,), largest first if the model is of low rank.
        The other eigenvalues are zero.
        """
        if before is None:
            scale = variances.sum() / len(mean)
        else:
            scale = 1 / before.mean_precision
        added = self.pseudo_counts * scale + self._of_scale
        total = n_samples + self.pseudo_counts + self._of_scale
        rest = float(added / total)
        shrunk = variances * (n_samples / total) + rest
        gaussian = Gaussian.from_eigenvectors(mean, vectors, shrunk, rest)
        return gaussian.flattened(self.rank) if self.kind == "low_rank" else gaussian

    def log_prior(self, gaussian: Gaussian) -> float:
        """Log-density of a covariance at its best multiple, up to a constant."""
        if self.pseudo_counts == 0:
            return 0.0
        n_codes, mean_precision = len(gaussian.mean), gaussian.mean_precision
        misfit = (self.pseudo_counts + self._of_scale) * gaussian.log_determinant
        misfit += self.pseudo_counts * n_codes * np.log(mean_precision)
        misfit += self._of_scale * n_codes * mean_precision
        return float(-0.5 * misfit)


class SufficientStatistics:
    """Weighted rows of a component: the rows while they are few, then their moments.

    The covariance of m rows is of rank m. Its eigenvectors cost K m^2 from the rows,
    and K^3 from the covariance. ``X`` (n, K) holds the rows of all components; the
    ``centre`` (K,) is a point near the mean of those of this one, so that no digits
    cancel.
    """

    def __init__(self, X: np.ndarray, centre: np.ndarray):
        self._X, self._centre = X, centre
        self.weight = 0.0
        self._rows, self._weights = np.empty(0, dtype=int), np.empty(0)
        self._first = np.zeros(len(centre))
        self._second: np.ndarray | None = None

    def add(self, rows: np.ndarray, weights: np.ndarray) -> None:
        """Add rows by their numbers."""
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
        """Component with these statistics, see `CovarianceModel.fit`.

        A component without variance raises a ValueError.
        """
        # A component without samples keeps its place.
        n_samples = max(self.weight, np.finfo(np.float64).tiny)
        if self._second is None:
            centred = self._X[self._rows] - self._centre
            shares = self._weights / n_samples
            shift = shares @ centred
            scaled = np.sqrt(shares)[:, None] * (centred - shift)
            if model.takes_few:
                _, spread, right = np.linalg.svd(scaled, full_matrices=False)
                mean = self._centre + shift
                return model.fit(mean, right.T, spread**2, n_samples, before)
            covariance = scaled.T @ scaled
        else:
            shift = self._first / n_samples
            covariance = self._second / n_samples - np.outer(shift, shift)
        if model.kind == "diag":
            vectors, variances = np.eye(len(shift)), covariance.diagonal()
        else:
            symmetric = (covariance + covariance.T) / 2
            vectors, variances = principal_directions(symmetric)
        return model.fit(self._centre + shift, vectors, variances, n_samples, before)
