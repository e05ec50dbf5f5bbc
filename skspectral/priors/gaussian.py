"""The Gaussian prior."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral.gaussian import Gaussian, Mixture
from skspectral.gaussian.gaussian import flattest, n_parameters
from skspectral.priors.prior import Capabilities, Prior


class GaussianPrior(Prior):
    """Multivariate normal distribution.

    Parameters
    ----------
    covariance : {"full", "diag", "low_rank"}, default="full"
        Any covariance; independent coordinates; or ``rank`` directions with variances
        of their own and the same in all others, as in probabilistic PCA.
    rank : int or None, default=None
        Of "low_rank". None chooses by the Bayesian information criterion.
    shrinkage : "ledoit_wolf", float or None, default=None
        Weight in [0, 1] of a multiple of the identity in the covariance:
        (1 - shrinkage) C + shrinkage tr(C)/K I, as in
        `sklearn.covariance.shrunk_covariance`. "ledoit_wolf" estimates the weight of
        least squared error (Ledoit and Wolf 2004). None means 0: maximum likelihood.

    Attributes
    ----------
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean, float64.
    covariance_ : ndarray of shape (`n_features_in_`, `n_features_in_`)
        Covariance, float64.
    shrinkage_ : float
        The weight that was used.
    rank_ : int
        Number of directions with a variance of their own.
    n_parameters_ : int
        Free parameters, such as K + K (K + 1) / 2 of a full covariance.
    n_features_in_ : int
        Number K of codes.

    Notes
    -----
    Fitting costs n K^2 + K^3, a draw or a density K^2 for each sample. Where the
    covariance is singular, as with fewer samples than codes, densities raise the
    smallest variances to the rounding of the largest.

    References
    ----------
    O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. M. E. Tipping, C. M. Bishop (1999). Probabilistic principal
    component analysis.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.priors import GaussianPrior
    >>> codes = np.random.default_rng(0).normal(3.0, 2.0, size=(500, 2))
    >>> prior = GaussianPrior().fit(codes)
    >>> prior.sample(4, random_state=0).shape
    (4, 2)
    """

    _parameter_constraints = {
        "covariance": [StrOptions({"full", "diag", "low_rank"})],
        "rank": [Interval(Integral, 0, None, closed="left"), None],
        "shrinkage": [
            StrOptions({"ledoit_wolf"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
    }

    def __init__(
        self,
        covariance: str = "full",
        *,
        rank: int | None = None,
        shrinkage: str | float | None = None,
    ):
        self.covariance = covariance
        self.rank = rank
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
        X, weight = self._checked(X, sample_weight)
        total = weight.sum()
        share = weight / total
        mean = share @ X
        centred = X - mean
        scaled = np.sqrt(share)[:, None] * centred
        covariance = scaled.T @ scaled
        shrinkage = self.shrinkage or 0.0
        if isinstance(shrinkage, str):
            shrinkage = ledoit_wolf_weight(centred, covariance, weight)
        return self._set(mean, covariance, shrinkage, total)

    @property
    def capabilities(self) -> Capabilities:
        """It is made of one Gaussian, takes weights, and is fitted from moments.

        Not from moments if the shrinkage is chosen from the codes, or if a subclass has
        a ``fit`` of its own.
        """
        inherited = type(self).fit is GaussianPrior.fit
        moments = inherited and not isinstance(self.shrinkage, str)
        return Capabilities(gaussians=True, weights=True, moments=moments)

    def mixture(self) -> Mixture:
        """The fitted Gaussian, as a mixture of one."""
        return Mixture(np.ones(1), (self._gaussian,))

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: float
    ) -> "GaussianPrior":
        """Fit from the mean and covariance (divided by n) of ``n_samples`` codes.

        The result is the same as that of :meth:`fit` on the codes. The number of
        samples matters only to the choice of a rank.

        Raises
        ------
        ValueError
            If the shrinkage is chosen from the codes, or the shapes do not fit.
        """
        if isinstance(self.shrinkage, str):
            raise ValueError(
                f"shrinkage={self.shrinkage!r} is chosen from the codes: call fit, or "
                "pass a number."
            )
        if np.shape(covariance) != (len(mean), len(mean)):
            raise ValueError(
                f"covariance of shape {np.shape(covariance)} does not fit a mean of "
                f"{len(mean)} codes."
            )
        self.n_features_in_ = len(mean)
        return self._set(mean, covariance, float(self.shrinkage or 0.0), n_samples)

    def _set(
        self,
        mean: np.ndarray,
        covariance: np.ndarray,
        shrinkage: float,
        n_samples: float,
    ) -> "GaussianPrior":
        n_codes = len(mean)
        shrunk = (1 - shrinkage) * np.asarray(covariance, dtype=np.float64)
        shrunk.flat[:: n_codes + 1] += shrinkage * np.trace(covariance) / n_codes
        mean = np.array(mean, dtype=np.float64)
        self._gaussian = gaussian = self._likeliest(mean, shrunk, n_samples)
        self.mean_ = mean
        self.covariance_ = shrunk if self.covariance == "full" else gaussian.covariance
        self.shrinkage_ = shrinkage
        self.rank_ = gaussian.vectors.shape[1]
        diagonal = self.covariance == "diag"
        full = n_parameters(n_codes, self.rank_)
        self.n_parameters_ = 2 * n_codes if diagonal else full
        return self

    def _likeliest(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: float
    ) -> Gaussian:
        """Gaussian of the kind asked for, given the covariance of the codes."""
        if self.covariance == "diag":
            vectors, variances = np.eye(len(mean)), covariance.diagonal()
            return Gaussian.from_eigenvectors(mean, vectors, variances)
        gaussian = Gaussian.from_covariance(mean, covariance)
        if self.covariance == "full":
            return gaussian
        if self.rank is None:
            return gaussian.flattened(best_rank(gaussian.values, n_samples))
        return gaussian.flattened(self.rank)


def best_rank(values: np.ndarray, n_samples: float) -> int:
    """Rank for `Gaussian.flattened` with the lowest Bayesian information criterion.

    The variances ``values`` (K,) are sorted, largest first. The rank is at most half of
    the number of samples, and less than the number of directions with variance: beyond,
    the criterion would count parameters that are not free. Costs K^2.
    """
    n_codes = len(values)

    def criterion(rank: int) -> float:
        _, log_determinant = flattest(values, rank)
        penalty = n_parameters(n_codes, rank) * np.log(n_samples)
        return float(n_samples * log_determinant + penalty)

    n_varying = int((values > 1e-12 * values[0]).sum())
    return min(range(1 + min(n_varying - 1, int(n_samples / 2))), key=criterion)


def ledoit_wolf_weight(
    centred: np.ndarray, covariance: np.ndarray, weight: np.ndarray
) -> float:
    """Weight of tr(C)/K I that makes the expected squared error of C smallest.

    Ledoit and Wolf (2004, lemma 3.3), from samples less their mean, (n, K), and their
    covariance (divided by n), where a row of ``weight`` 2 counts twice.
    """
    n_codes, n_samples = len(covariance), weight.sum()
    trace = np.trace(covariance)
    if trace == 0:
        return 0.0
    # As shares of the whole, so that no power overflows.
    energy = ((covariance / trace) ** 2).sum()
    distance = energy - 1 / n_codes
    fourth = weight @ ((centred / np.sqrt(trace)) ** 2).sum(1) ** 2 / n_samples
    error = (fourth - energy) / n_samples
    return float(min(error, distance) / distance) if min(error, distance) > 0 else 0.0
