"""The Gaussian prior."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skspectral._device import as_array, as_tensor, resolve_device
from skspectral._linalg import cholesky
from skspectral._random import random_stream, standard_normal
from skspectral._sklearn_compat import (
    Interval,
    check_sample_weight,
    fit_context,
    validate_params,
)
from skspectral.coding import combine


class GaussianPrior(DensityMixin, BaseEstimator):
    """Multivariate normal distribution with a full covariance.

    Parameters
    ----------
    shrinkage : float or None, default=None
        Weight in [0, 1] of a multiple of the identity in the covariance:
        (1 - shrinkage) C + shrinkage tr(C)/K I, as in
        `sklearn.covariance.shrunk_covariance`. None means 0: maximum likelihood.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features_in_,)
        Mean, float64.
    covariance_ : ndarray of shape (n_features_in_, n_features_in_)
        Covariance after shrinkage, float64.
    n_parameters_ : int
        Free parameters: K + K (K + 1) / 2.
    n_features_in_ : int
        Number K of codes.

    Notes
    -----
    Fitting costs n K^2, a draw or a density K^2 for each sample. Where the covariance
    is singular, as with fewer samples than codes, densities use the smallest ridge,
    relative to its trace, that makes it positive definite to working precision.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.priors import GaussianPrior
    >>> codes = np.random.default_rng(0).normal(3.0, 2.0, size=(500, 2))
    >>> prior = GaussianPrior().fit(codes)
    >>> prior.sample(4, random_state=0).shape
    (4, 2)
    """

    _parameter_constraints = {"shrinkage": [Interval(Real, 0, 1, closed="both"), None]}

    def __init__(self, shrinkage: float | None = None):
        self.shrinkage = shrinkage

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "GaussianPrior":
        """Estimate mean and covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.

        Returns
        -------
        self : GaussianPrior
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        share = weight / weight.sum()
        mean = share @ X
        centred = np.sqrt(share)[:, None] * (X - mean)
        return self._set(mean, centred.T @ centred)

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(self, mean: np.ndarray, covariance: np.ndarray) -> "GaussianPrior":
        """Fit from the mean and covariance (divided by n) of the codes.

        The same as :meth:`fit` on the codes; used by the estimator to spare a pass.

        Parameters
        ----------
        mean : ndarray of shape (n_codes,)
        covariance : ndarray of shape (n_codes, n_codes)

        Returns
        -------
        self : GaussianPrior
        """
        if np.shape(covariance) != (len(mean), len(mean)):
            raise ValueError(
                f"covariance of shape {np.shape(covariance)} does not fit a mean of "
                f"{len(mean)} codes."
            )
        self.n_features_in_ = len(mean)
        return self._set(mean, covariance)

    def _set(self, mean: np.ndarray, covariance: np.ndarray) -> "GaussianPrior":
        n_codes, shrinkage = len(mean), self.shrinkage or 0.0
        self.mean_ = np.array(mean, dtype=np.float64)
        self.covariance_ = (1 - shrinkage) * np.asarray(covariance, dtype=np.float64)
        self.covariance_.flat[:: n_codes + 1] += (
            shrinkage * np.trace(covariance) / n_codes
        )
        self._factor = covariance_factor(self.covariance_)
        self.n_parameters_ = n_codes + n_codes * (n_codes + 1) // 2
        return self

    @validate_params(
        {"n_samples": [Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState, Generator or None, default=None
            An int repeats its draws; None is different each time, and leaves numpy's
            global state alone.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
        """
        check_is_fitted(self)
        stream = random_stream(random_state)
        noise = standard_normal(stream, n_samples, len(self.mean_))
        # By torch, whose threads go on to the signals: two pools of threads at once,
        # its and numpy's, would slow each other down.
        device = resolve_device(None)
        return as_array(combine(noise, self.mean_, self._factor.T, device=device))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float64, reset=False)
        return log_normal_density(codes, self.mean_, self._factor)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean log-density of the rows, in nats."""
        return float(np.mean(self.score_samples(X)))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion on ``X``; lower is better."""
        log_density = self.score_samples(X)
        penalty = self.n_parameters_ * np.log(len(log_density))
        return float(penalty - 2 * log_density.sum())

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion on ``X``; lower is better."""
        return float(2 * self.n_parameters_ - 2 * self.score_samples(X).sum())


def covariance_factor(covariance: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor, with the smallest relative ridge that it takes.

    Raises
    ------
    ValueError
        If the covariance is not finite, zero, or has negative eigenvalues.
    """
    try:
        return as_array(cholesky(as_tensor(covariance, resolve_device(None))))
    except ArithmeticError as error:
        raise ValueError(
            f"The covariance of the codes has no Cholesky factor ({error}) Are all "
            "codes equal, or some not finite?"
        ) from error


def log_normal_density(
    X: np.ndarray, mean: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """log N(x; mean, factor factor') of each row of ``X``, shape (n, K); float64."""
    white = solve_triangular(factor, (X - mean).T, lower=True, check_finite=False)
    log_determinant = 2 * np.log(factor.diagonal()).sum()
    return -0.5 * ((white**2).sum(0) + log_determinant + len(mean) * np.log(2 * np.pi))
