"""A wrapper that fits priors of other libraries to standardised codes."""
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

    scikit-learn's density estimators have parameters that depend on the unit of the
    data, such as ``reg_covar=1e-6`` of `sklearn.mixture.GaussianMixture` or
    ``bandwidth=1.0`` of `sklearn.neighbors.KernelDensity`. If the data are, for
    example, an EEG in volts with values of about 1e-6, these defaults would dominate
    the fitted distribution. The estimator therefore wraps each prior that is not a
    `Prior` in this class. The parameters of the prior are then in units of ``scale_``.
    Draws, densities and conditional draws are those of the original codes.

    Parameters
    ----------
    prior : object
        Object with ``fit(codes)`` and ``sample(n_samples)``. It is cloned.

    Attributes
    ----------
    prior_ : object
        The fitted prior, which is a distribution of the standardised codes.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of the codes.
    scale_ : float
        Root mean square of the centred codes. It is one number for all codes, so that
        standardisation does not change the shape of the distribution.
    n_parameters_ : int
        Number of free parameters. It is set only if ``prior_`` has ``n_parameters_`` or
        is one of scikit-learn's mixtures.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    Prior : Base class of priors that need no standardisation.

    Notes
    -----
    With ``v = (u - mean_) / scale_`` the density of the codes u is
    ``p(u) = p(v) / scale_ ** K``. If ``fit`` of the prior takes ``synthesis``, it
    receives the synthesis of v, whose signals are those of u divided by ``scale_``.

    Examples
    --------
    The bandwidth is relative to the scale of the codes, here 1e-6:

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
        """Fit the prior to standardised codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Label of each sample. It is passed on if ``fit`` of the prior takes ``y``.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight per sample, for the mean, the scale and the prior, whose
            ``fit`` must take ``sample_weight``. Rows of weight 0 are not passed on.
            None means weights of 1.
        synthesis : Synthesis, default=None
            Map from codes to signals, which the estimator passes. It is passed on if
            ``fit`` of the prior takes ``synthesis``.

        Returns
        -------
        self : ScaledPrior
            The fitted prior.

        Raises
        ------
        TypeError
            If the prior has no ``fit`` or no ``sample``.
        ValueError
            If all codes are equal.
            If ``sample_weight`` is given and ``fit`` of the prior does not take it.
            If the prior is a `KernelDensity` that cannot be drawn from.
        """
        self.check(y)
        codes, weights = self._checked(X, sample_weight)
        # The capabilities must be those of `prior`, not of a prior fitted earlier.
        self.__dict__.pop("prior_", None)
        options = dict[str, Any]()
        if sample_weight is not None:
            self.require("weights", "sample_weight")
            positive = weights > 0
            codes, weights = codes[positive], weights[positive]
            options["sample_weight"] = weights
            y = y if y is None else np.asarray(y)[positive]
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
        """Raise an error if the wrapped prior or the labels cannot be used.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Labels that will be passed to ``fit``; None if there are no labels.

        Raises
        ------
        TypeError
            If the wrapped prior has no ``fit`` or no ``sample``.
        ValueError
            If a parameter of the wrapped prior is out of range.
            If the wrapped prior is a `Prior` that cannot use these labels.
            If the wrapped prior is a `KernelDensity` that cannot be drawn from.
        """
        super().check(y)
        third_party.check_usable(self.prior)
        if isinstance(self.prior, Prior):
            self.prior.check(y)

    @property
    def name(self) -> str:
        """Name of the wrapped prior, which error messages use."""
        return getattr(self.prior, "name", type(self.prior).__name__)

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities that the wrapped prior declares, or that its methods show."""
        prior = getattr(self, "prior_", self.prior)
        if isinstance(prior, Prior):
            return replace(prior.capabilities, moments=False)
        return third_party.capabilities_of(prior)

    def mixture(self) -> Mixture:
        """Return the fitted mixture of scikit-learn as a mixture of the codes.

        Returns
        -------
        mixture : skspectral.gaussian.Mixture
            Mixture of the codes, in their own unit.

        Raises
        ------
        TypeError
            If the wrapped prior is not made of Gaussians.
        """
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
        standardised = self.prior_.score_samples((X - self.mean_) / self.scale_)
        return standardised - self.n_features_in_ * np.log(self.scale_)

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
    """Return the weighted mean (K,) and the root mean square of the centred codes.

    A ValueError is raised if all rows are equal up to rounding.
    """
    fractions = weights / weights.sum()
    mean = fractions @ codes
    centred = codes - mean
    largest = np.abs(centred).max()
    if not largest > _EPS * np.abs(codes).max():
        raise ValueError(
            "The codes have no variance. Are all codes equal? Pass rows that differ."
        )
    # Division by the largest value keeps the squares in range.
    squares = ((centred / largest) ** 2).mean(1)
    return mean, float(largest * np.sqrt(fractions @ squares))
