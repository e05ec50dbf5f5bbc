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
    """Multivariate normal distribution of the codes.

    Parameters
    ----------
    covariance : {"full", "diag", "low_rank"}, default="full"
        Structure of the covariance. "full" allows any covariance. "diag" makes the
        codes independent. "low_rank" has ``rank`` directions with variances of their
        own and one common variance in all other directions, as in probabilistic
        PCA [1]_.
    rank : int or None, default=None
        Number of directions with variances of their own. None chooses the number with
        the lowest Bayesian information criterion. Used only by
        ``covariance="low_rank"``.
    shrinkage : "ledoit_wolf", float or None, default=None
        Weight of a multiple of the identity in the covariance, in [0, 1]. The
        covariance C of the codes becomes (1 - shrinkage) C + shrinkage tr(C)/K I, as in
        `sklearn.covariance.shrunk_covariance`. Larger weights help if there are few
        samples per code. "ledoit_wolf" estimates the weight with the smallest expected
        squared error [2]_. None means 0, which is maximum likelihood.

    Attributes
    ----------
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of the codes, float64.
    covariance_ : ndarray of shape (`n_features_in_`, `n_features_in_`)
        Covariance of the distribution, float64.
    shrinkage_ : float
        Weight of the multiple of the identity that was used.
    rank_ : int
        Number of directions with variances of their own.
    n_parameters_ : int
        Number of free parameters, for example K + K (K + 1) / 2 with a full covariance.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    GaussianMixture : Several Gaussians, for codes that form groups.
    ClassConditionalPrior : One Gaussian per label.

    Notes
    -----
    Fitting n samples costs n K^2 + K^3 operations; a draw or a density costs K^2 per
    sample. The covariance is singular if there are fewer samples than codes. Densities
    then raise the smallest eigenvalues to the rounding error of the largest one.

    References
    ----------
    .. [1] M. E. Tipping, C. M. Bishop (1999). Probabilistic principal component
       analysis. Journal of the Royal Statistical Society B 61, 611-622.
    .. [2] O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
       covariance matrices. Journal of Multivariate Analysis 88, 365-411.

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
        """Estimate the mean and the covariance of the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.

        Returns
        -------
        self : GaussianPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If fewer than two rows have a positive weight.
            If all these rows are equal.
        """
        X, weight = self._checked(X, sample_weight)
        total = weight.sum()
        fraction = weight / total
        mean = fraction @ X
        centred = X - mean
        scaled = np.sqrt(fraction)[:, None] * centred
        covariance = scaled.T @ scaled
        shrinkage = self.shrinkage or 0.0
        if isinstance(shrinkage, str):
            shrinkage = ledoit_wolf_weight(centred, covariance, weight)
        return self._set(mean, covariance, shrinkage, total)

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of a single Gaussian whose ``fit`` takes weights.

        The prior can also be fitted from moments, unless ``shrinkage="ledoit_wolf"`` or
        a subclass overrides ``fit``: both need the codes themselves.
        """
        inherited = type(self).fit is GaussianPrior.fit
        moments = inherited and not isinstance(self.shrinkage, str)
        return Capabilities(gaussians=True, weights=True, moments=moments)

    def mixture(self) -> Mixture:
        """Return the fitted Gaussian as a mixture with one component.

        Returns
        -------
        mixture : skspectral.gaussian.Mixture
            Mixture with the weight 1 and the fitted Gaussian.
        """
        return Mixture(np.ones(1), (self._gaussian,))

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: float
    ) -> "GaussianPrior":
        """Fit the Gaussian to a mean and a covariance of codes.

        The fitted prior is the one that :meth:`fit` finds from the codes themselves.

        Parameters
        ----------
        mean : ndarray of shape (n_codes,)
            Mean of the codes.
        covariance : ndarray of shape (n_codes, n_codes)
            Covariance of the codes, normalised by n and not by n - 1.
        n_samples : float
            Number of samples, or sum of their weights. It is used only to choose the
            rank, if ``covariance="low_rank"`` and ``rank=None``.

        Returns
        -------
        self : GaussianPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If ``shrinkage="ledoit_wolf"``, which needs the codes themselves.
            If the shape of the covariance does not fit the mean.
            If the covariance is zero.
        """
        if isinstance(self.shrinkage, str):
            raise ValueError(
                f"shrinkage={self.shrinkage!r} is estimated from the codes, but "
                "fit_moments has only their mean and covariance. Call fit, or set "
                "shrinkage to None or a number."
            )
        if np.shape(covariance) != (len(mean), len(mean)):
            raise ValueError(
                f"covariance of shape {np.shape(covariance)} does not fit a mean of "
                f"{len(mean)} codes. Pass a covariance of shape "
                f"({len(mean)}, {len(mean)})."
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
        self._gaussian = gaussian = self._structured(mean, shrunk, n_samples)
        self.mean_ = mean
        self.covariance_ = shrunk if self.covariance == "full" else gaussian.covariance
        self.shrinkage_ = shrinkage
        self.rank_ = gaussian.vectors.shape[1]
        diagonal = self.covariance == "diag"
        full = n_parameters(n_codes, self.rank_)
        self.n_parameters_ = 2 * n_codes if diagonal else full
        return self

    def _structured(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: float
    ) -> Gaussian:
        """Return the likeliest Gaussian with the structure ``self.covariance``."""
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
    """Return the rank for `Gaussian.flattened` with the lowest BIC.

    The eigenvalues ``values`` (K,) of the covariance are sorted, largest first. The
    rank is at most half of the number of samples, and less than the number of
    directions with variance, because at higher ranks the Bayesian information criterion
    would count parameters that are not free. The search costs K^2 operations.
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
    """Return the shrinkage weight with the smallest expected squared error.

    The formula is that of Ledoit and Wolf (2004, lemma 3.3), for the shrinkage of C
    towards tr(C)/K I. ``centred`` (n, K) holds the samples minus their mean,
    ``covariance`` (K, K) is normalised by n, and ``weight`` (n,) holds the sample
    weights.
    """
    n_codes, n_samples = len(covariance), weight.sum()
    trace = np.trace(covariance)
    if trace == 0:
        return 0.0
    # Division by the trace keeps the squares and fourth powers in range.
    energy = ((covariance / trace) ** 2).sum()
    distance = energy - 1 / n_codes
    fourth = weight @ ((centred / np.sqrt(trace)) ** 2).sum(1) ** 2 / n_samples
    error = (fourth - energy) / n_samples
    return float(min(error, distance) / distance) if min(error, distance) > 0 else 0.0
