"""A prior of somebody else, fitted in units of the data."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from skspectral._random import draw_seed
from skspectral._sklearn_compat import fit_context
from skspectral.gaussian import Mixture
from skspectral.priors import third_party
from skspectral.priors.prediction import ComponentPrior
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.synthesis import Synthesis

_EPS = np.finfo(np.float64).eps


class ScaledPrior(ComponentPrior):
    """A prior that is fitted to standardised codes, ``(codes - mean_) / scale_``.

    scikit-learn's density estimators have constants without a unit, such as
    ``reg_covar=1e-6`` of `sklearn.mixture.GaussianMixture` or ``bandwidth=1.0`` of
    `sklearn.neighbors.KernelDensity`. Of an EEG in volts, of size 1e-6, they would be
    all there is. The estimator therefore wraps each prior that is not a `Prior`: its
    constants are in units of the root mean square of a code about the mean. Draws,
    densities and conditional draws are those of codes.

    Parameters
    ----------
    prior : object
        With ``fit(codes)`` and ``sample(n_samples)``. It is cloned.

    Attributes
    ----------
    prior_ : object
        The fitted prior, a distribution of standardised codes.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of the codes.
    scale_ : float
        Root mean square of a code about the mean, over all rows and codes: one number,
        so that shapes do not change, and the spherical remains spherical.
    n_parameters_ : int
        Free parameters, if the prior tells its own or is one of scikit-learn's
        mixtures.
    n_features_in_ : int
        Number K of codes.

    Notes
    -----
    With ``v = (u - mean_) / scale_`` the density is ``p(u) = p(v) / scale_ ** K``. A
    prior whose ``fit`` takes ``synthesis`` is given that of v, whose signals are those
    of u divided by ``scale_``.

    Examples
    --------
    Widths of kernels are relative, so that the fit of small codes is that of large:

    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from skspectral.priors import ScaledPrior
    >>> codes = 1e-6 * np.random.default_rng(0).normal(size=(500, 2))
    >>> prior = ScaledPrior(KernelDensity(bandwidth=0.3)).fit(codes)
    >>> bool(prior.sample(1000, random_state=0).std() < 2e-6)
    True
    """

    _parameter_constraints = {"prior": "no_validation"}

    def __init__(self, prior: Any):
        self.prior = prior

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        synthesis: Synthesis | None = None,
    ) -> "ScaledPrior":
        """Fit the prior on standardised codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Passed on to the prior, if its ``fit`` takes it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, also of the mean and the scale, for a prior whose ``fit`` takes
            them. Rows of weight 0 are left out.
        synthesis : Synthesis, default=None
            How codes become signals, for a prior whose ``fit`` takes it.

        Returns
        -------
        self : ScaledPrior

        Raises
        ------
        TypeError
            If the prior has no ``fit`` or no ``sample``.
        ValueError
            If all codes are equal, weights are given that the prior does not take, or
            it is known that the prior cannot be drawn from.
        """
        self.check(y)
        codes, weights = self._checked(X, sample_weight)
        # What this prior can do, and not that of an earlier fit.
        self.__dict__.pop("prior_", None)
        options = dict[str, Any]()
        if sample_weight is not None:
            self.require("weights", "sample_weight")
            there = weights > 0
            codes, weights = codes[there], weights[there]
            options["sample_weight"] = weights
            y = y if y is None else np.asarray(y)[there]
        self.mean_, self.scale_ = mean_and_scale(codes, weights)
        prior = clone(self.prior, safe=False)
        if synthesis is not None and self.capabilities.synthesis:
            options["synthesis"] = synthesis.standardised(self.mean_, self.scale_)
        if third_party.takes(prior.fit, "y"):
            options["y"] = y
        prior.fit((codes - self.mean_) / self.scale_, **options)
        self.prior_ = prior
        self.__dict__.pop("n_parameters_", None)
        n_parameters = third_party.n_parameters_of(prior)
        if n_parameters is not None:
            self.n_parameters_ = n_parameters
        return self

    def check(self, y: Any = None) -> None:
        """Raise what is known of the wrapped prior before the codes are there."""
        super().check(y)
        third_party.check_usable(self.prior)
        if isinstance(self.prior, Prior):
            self.prior.check(y)

    @property
    def name(self) -> str:
        """Name of the prior in errors: that of what is wrapped."""
        return getattr(self.prior, "name", type(self.prior).__name__)

    @property
    def capabilities(self) -> Capabilities:
        """Those that the methods of the wrapped prior show, or that it declares."""
        prior = getattr(self, "prior_", self.prior)
        if isinstance(prior, Prior):
            return replace(prior.capabilities, moments=False)
        return third_party.capabilities_of(prior)

    def mixture(self) -> Mixture:
        """Gaussians of the codes, of scikit-learn's mixtures."""
        self.require("gaussians", "mixture")
        prior = self.prior_
        inner = isinstance(prior, Prior)
        mixture = prior.mixture() if inner else third_party.mixture_of(prior)
        return mixture.scaled(self.scale_, self.mean_)

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        drawn = third_party.sample(self.prior_, n_samples, draw_seed(stream), y)
        codes = third_party.checked_draws(
            drawn, n_samples, self.n_features_in_, self.name, stream
        )
        return self.mean_ + self.scale_ * codes

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        inside = self.prior_.score_samples((X - self.mean_) / self.scale_)
        return inside - self.n_features_in_ * np.log(self.scale_)

    def _draw_given(
        self,
        operator: np.ndarray,
        values: np.ndarray,
        n_samples: int,
        noise: float | np.ndarray,
        y: Any,
        stream: np.random.Generator,
    ) -> np.ndarray:
        if not callable(getattr(self.prior_, "sample_given", None)):
            return super()._draw_given(operator, values, n_samples, noise, y, stream)
        label = {} if y is None else {"y": y}
        drawn = self.prior_.sample_given(
            operator,
            (values - operator @ self.mean_) / self.scale_,
            n_samples,
            noise_variance=noise / self.scale_**2,
            random_state=draw_seed(stream),
            **label,
        )
        codes = third_party.checked_draws(
            drawn, n_samples, self.n_features_in_, self.name, stream
        )
        return self.mean_ + self.scale_ * codes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if isinstance(self.prior, BaseEstimator):
            inner = get_tags(self.prior)
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags


def mean_and_scale(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weighted mean of rows, (K,), and root mean square of the entries about it.

    Rows that are equal raise a ValueError.
    """
    shares = weights / weights.sum()
    mean = shares @ codes
    centred = codes - mean
    largest = np.abs(centred).max()
    if not largest > _EPS * np.abs(codes).max():
        raise ValueError("The codes have no scale. Are all codes equal?")
    # As shares of the largest, so that no square is out of range.
    squares = ((centred / largest) ** 2).mean(1)
    return mean, float(largest * np.sqrt(shares @ squares))
