"""A component of a mixture, from the samples that it takes."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.priors.normal import Normal
from skspectral.priors.spectrum import principal_axes

# Samples that tell how large the covariance of a component is: few, so that those of
# silence stay small.
_OF_SIZE = 0.01
# A component with more samples than this share of the codes is given by its moments.
_FEW = 0.5


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
    def takes_few(self) -> bool:
        """Whether directions in which samples do not vary are white, and not lost."""
        return self.kind != "diag" and self.pseudo_counts > 0

    @property
    def _of_size(self) -> float:
        return _OF_SIZE if self.pseudo_counts > 0 else 0.0

    def fit(
        self,
        mean: np.ndarray,
        axes: np.ndarray,
        variances: np.ndarray,
        n_samples: float,
        before: Normal | None,
    ) -> Normal:
        """Gaussian of larger posterior density than ``before``, if there was any.

        Parameters
        ----------
        mean : ndarray of shape (K,)
        axes : ndarray of shape (K, r)
            Of the samples' covariance, which is zero across them.
        variances : ndarray of shape (r,)
            Along them, largest first if the model is of low rank.
        n_samples : float
        before : Normal or None
        """
        if before is None:
            scale = variances.sum() / len(mean)
        else:
            scale = 1 / before.mean_precision
        added = self.pseudo_counts * scale + self._of_size
        total = n_samples + self.pseudo_counts + self._of_size
        rest = float(added / total)
        shrunk = variances * (n_samples / total) + rest
        normal = Normal.along_axes(mean, axes, shrunk, rest)
        return normal.flattened(self.rank) if self.kind == "low_rank" else normal

    def log_prior(self, normal: Normal) -> float:
        """Log-density of a covariance, at the best multiple, but for a constant."""
        if self.pseudo_counts == 0:
            return 0.0
        n_codes, mean_precision = len(normal.mean), normal.mean_precision
        misfit = (self.pseudo_counts + self._of_size) * normal.log_determinant
        misfit += self.pseudo_counts * n_codes * np.log(mean_precision)
        misfit += self._of_size * n_codes * mean_precision
        return float(-0.5 * misfit)


class Portion:
    """Weighted rows that a component takes: the rows while few, then their moments.

    A covariance of m rows is of rank m, and its axes cost K m^2 numbers from the rows,
    K^3 from the covariance.

    Parameters
    ----------
    X : ndarray of shape (n, K), float64
        All rows.
    centre : ndarray of shape (K,)
        Near the mean, so that no digits cancel.
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

    def fit(self, model: Model, before: Normal | None) -> Normal:
        """The component, see `Model.fit`.

        Raises
        ------
        ValueError
            If it has no variance.
        """
        # A component without samples keeps its place.
        n_samples = max(self.weight, np.finfo(np.float64).tiny)
        if self._second is None:
            centred = self._X[self._rows] - self._centre
            shares = self._weights / n_samples
            shift = shares @ centred
            scaled = np.sqrt(shares)[:, None] * (centred - shift)
            if model.takes_few:
                _, spread, axes = np.linalg.svd(scaled, full_matrices=False)
                mean = self._centre + shift
                return model.fit(mean, axes.T, spread**2, n_samples, before)
            covariance = scaled.T @ scaled
        else:
            shift = self._first / n_samples
            covariance = self._second / n_samples - np.outer(shift, shift)
        if model.kind == "diag":
            axes, variances = np.eye(len(shift)), covariance.diagonal()
        else:
            axes, variances = principal_axes((covariance + covariance.T) / 2)
        return model.fit(self._centre + shift, axes, variances, n_samples, before)
