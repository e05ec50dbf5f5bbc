"""The base class of priors, and the capabilities that a prior declares."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import DensityMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Estimator,
    Interval,
    validate_data,
    validate_parameters,
    validated,
)
from skspectral._validation import check_observation, row_weights
from skspectral.gaussian import LinearObservation, Mixture


@dataclass(frozen=True)
class Capabilities:
    """What a prior can do in addition to ``fit`` and ``sample``.

    Parameters
    ----------
    gaussians : bool, default=False
        Whether the prior is a Gaussian or a finite mixture of Gaussians, which
        ``mixture()`` returns after the fit. Likelihood, denoising, imputation and
        conditional draws are then exact. True also sets ``density``, ``denoising`` and
        ``conditioning`` to True.
    density : bool, default=False
        Whether the prior has ``score_samples``.
    denoising : bool, default=False
        Whether the prior has ``posterior_mean``.
    moments : bool, default=False
        Whether ``fit_moments`` can fit the prior from the mean and the covariance of
        the codes alone.
    labels : bool, default=False
        Whether ``sample`` takes ``y``, the label of the draws.
    weights : bool, default=False
        Whether ``fit`` takes ``sample_weight``.
    synthesis : bool, default=False
        Whether ``fit`` takes ``synthesis``, a `Synthesis`.
    conditioning : bool, default=False
        Whether the prior has ``sample_given``.
    sparse_codes : bool, default=False
        Whether ``fit`` takes the sparse codes of `transform` in place of coordinates,
        and ``atoms``, the matrix that maps codes to coordinates.
    """

    gaussians: bool = False
    density: bool = False
    denoising: bool = False
    moments: bool = False
    labels: bool = False
    weights: bool = False
    synthesis: bool = False
    conditioning: bool = False
    sparse_codes: bool = False

    def __post_init__(self) -> None:
        if self.gaussians:
            for name in ("density", "denoising", "conditioning"):
                object.__setattr__(self, name, True)


_EXACT_PRIORS = (
    "Use GaussianPrior or GaussianMixture of skspectral.priors, a "
    "ClassConditionalPrior made of them, one of scikit-learn's mixtures, or a Prior of "
    "your own that defines mixture()"
)
# Per capability: the type of the error, and the end of its message. The end says which
# prior is needed, what this prior lacks, and what to do.
_MISSING: dict[str, tuple[type[Exception], str]] = {
    "gaussians": (
        TypeError,
        "made of Gaussians, but the prior {name} has no closed form. "
        f"{_EXACT_PRIORS}.",
    ),
    "density": (
        TypeError,
        "with a density, but {name} has no score_samples method. Use another prior, "
        "such as GaussianPrior or GaussianMixture.",
    ),
    "denoising": (
        TypeError,
        "that estimates codes from noisy codes, but the prior {name} has no closed "
        f"form and no posterior_mean method. {_EXACT_PRIORS}, or use DiffusionPrior.",
    ),
    "moments": (
        ValueError,
        "that can be fitted from a mean and a covariance, but {name} needs the codes "
        "themselves. Call fit with two or more rows, or use GaussianPrior with "
        "shrinkage=None or a number.",
    ),
    "labels": (
        ValueError,
        "that models labels, but {name} cannot sample for a label. Use "
        "ClassConditionalPrior or DiffusionPrior, and pass y to fit.",
    ),
    "weights": (
        ValueError,
        "whose fit takes weights, but {name}.fit takes none. Fit without weights, or "
        "use a prior whose fit takes them, such as GaussianPrior().",
    ),
    "conditioning": (
        TypeError,
        "that can be conditioned on linear functions of the codes, but the prior "
        "{name} has no closed form and no sample_given method. "
        f"{_EXACT_PRIORS}, or use DiffusionPrior.",
    ),
}


class Prior(DensityMixin, Estimator, ABC):
    """Base class of the distributions of codes.

    Codes are the coordinates of the samples in an orthonormal basis of the span of the
    atoms, as float64.

    A subclass defines ``fit(X, y=None)``, which sets ``n_features_in_`` and returns the
    object itself, and declares in `capabilities` what else it can do. A prior made of
    Gaussians only has to define `mixture` in addition; the inherited methods use it to
    draw, to score and to condition. Any other prior defines ``sample`` and, if declared
    in `capabilities`, ``score_samples``, ``posterior_mean`` and ``sample_given``. A
    prior that sets ``n_parameters_``, its number of free parameters, has `bic` and
    `aic`.

    See Also
    --------
    GaussianPrior : One Gaussian.
    GaussianMixture : Several Gaussians.

    Notes
    -----
    An object that is not a `Prior`, such as scikit-learn's density estimators, can also
    be used as a prior if it has ``fit(codes)`` and ``sample(n_samples)``. The estimator
    wraps the object in a `ScaledPrior`, which derives the capabilities from the methods
    of the object and fits it to standardised codes.

    Examples
    --------
    A prior of independent codes with equal variances:

    >>> import numpy as np
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.gaussian import Gaussian, Mixture
    >>> from skspectral.priors import Capabilities, Prior
    >>> class Isotropic(Prior):
    ...     capabilities = Capabilities(gaussians=True)
    ...
    ...     def fit(self, X, y=None):
    ...         self.mean_, self.variance_ = X.mean(0), X.var()
    ...         self.n_features_in_ = X.shape[1]
    ...         return self
    ...
    ...     def mixture(self):
    ...         covariance = self.variance_ * np.eye(self.n_features_in_)
    ...         white = Gaussian.from_covariance(self.mean_, covariance)
    ...         return Mixture(np.ones(1), (white,))
    >>> X = np.random.default_rng(0).normal(size=(100, 16))
    >>> est = SpectralDictionaryLearning(2, prior=Isotropic()).fit(X)
    >>> est.denoise(X).shape
    (100, 16)
    """

    n_parameters_: int

    @property
    def capabilities(self) -> Capabilities:
        """What this prior can do in addition to ``fit`` and ``sample``.

        A subclass defines this as a class attribute or as a property.
        """
        return Capabilities()

    def check(self, y: Any = None) -> None:
        """Raise an error if the parameters or the labels cannot be used.

        The estimator calls this method before it learns the atoms, so that an error
        appears before any time is spent on them.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Labels that will be passed to ``fit``; None if there are no labels.

        Raises
        ------
        ValueError
            If a parameter is out of range.
            If the prior cannot use these labels.
        TypeError
            If the prior contains an object that cannot be used as a prior.
        """
        validate_parameters(self)

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit the distribution to codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Labels. Priors without labels ignore them.

        Returns
        -------
        self : Prior
            The fitted prior.
        """

    def mixture(self) -> Mixture:
        """Return the Gaussians that the fitted prior is made of.

        Returns
        -------
        mixture : skspectral.gaussian.Mixture
            Weights and Gaussians of the codes.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        self.require("gaussians", "mixture")
        raise NotImplementedError(f"{self.name} does not define mixture.")

    def fit_moments(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: float
    ) -> Any:
        """Fit the distribution to a mean and a covariance of codes.

        Parameters
        ----------
        mean : ndarray of shape (n_codes,)
            Mean of the codes.
        covariance : ndarray of shape (n_codes, n_codes)
            Covariance of the codes, normalised by n and not by n - 1.
        n_samples : float
            Number of samples, or sum of their weights.

        Returns
        -------
        self : Prior
            The fitted prior.

        Raises
        ------
        ValueError
            If the prior cannot be fitted from moments.
        """
        self.require("moments", "fit_moments")
        raise NotImplementedError(f"{self.name} does not define fit_moments.")

    @property
    def name(self) -> str:
        """Name of the prior in error messages."""
        return type(self).__name__

    def require(self, capability: str, needed_by: str) -> None:
        """Raise an error if the prior lacks a capability.

        The message of the error says which priors have the capability.

        Parameters
        ----------
        capability : str
            Name of a field of `Capabilities`.
        needed_by : str
            Name of the method or parameter that needs the capability. The message
            begins with it.

        Raises
        ------
        TypeError
            If "gaussians", "density", "denoising" or "conditioning" is missing.
        ValueError
            If "moments", "labels" or "weights" is missing.
        """
        if not getattr(self.capabilities, capability):
            error, reason = _MISSING[capability]
            raise error(f"{needed_by} needs a prior {reason.format(name=self.name)}")

    @validated(n_samples=[Interval(Integral, 1, None, closed="left")])
    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, y: Any = None
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. An int gives the same draws in each call. None gives
            different draws in each call and does not touch numpy's global state.
        y : label or array-like of shape (n_samples,), default=None
            One label for all draws, or one label per draw. Only a prior that models
            labels takes it. None draws the labels, too, with their frequencies in
            ``fit``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            The draws, in random order.

        Raises
        ------
        ValueError
            If ``y`` is given and the prior does not model labels.
            If a label in ``y`` did not occur in ``fit``.
            If ``y`` does not have one label or ``n_samples`` labels.
        """
        check_is_fitted(self)
        if y is not None:
            self.require("labels", f"sample with y={y!r}")
        return self._draw(n_samples, y, random_stream(random_state))

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        return self.mixture().draw(n_samples, stream)

    def _offers_density(self) -> bool:
        """Return True if the prior has a density; otherwise raise an error."""
        self.require("density", "score_samples")
        return True

    @available_if(lambda self: self._offers_density())
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log-density in nats. If the prior models labels, they are marginalised out.

        Raises
        ------
        TypeError
            If the prior has no density.
        """
        check_is_fitted(self)
        self.require("density", "score_samples")
        return self._log_density(self._codes(X))

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return self.mixture().log_density(X)

    @validated(noise_variance=[Interval(Real, 0, None, closed="left")])
    def posterior_mean(self, X: ArrayLike, noise_variance: float) -> np.ndarray:
        """Estimate codes from the same codes with white noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes plus noise.
        noise_variance : float
            Variance of the noise of each code, >= 0.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            Expectation of the codes, given the noisy ones. If the prior models labels,
            they are treated as unknown.

        Raises
        ------
        TypeError
            If the prior has no estimate of codes from noisy codes.
        """
        check_is_fitted(self)
        self.require("denoising", "posterior_mean")
        codes = self._codes(X)
        return codes if noise_variance == 0 else self._estimate(codes, noise_variance)

    def _estimate(self, X: np.ndarray, noise_variance: float) -> np.ndarray:
        observation = LinearObservation(None, np.full((len(X), 1), noise_variance))
        return observation.condition(self.mixture(), X).mean()

    @validated(
        n_samples=[Interval(Integral, 1, None, closed="left")],
        noise_variance=[Interval(Real, 0, None, closed="left"), np.ndarray],
    )
    def sample_given(
        self,
        operator: ArrayLike,
        observed: ArrayLike,
        n_samples: int = 1,
        *,
        noise_variance: float | np.ndarray = 0.0,
        y: Any = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw codes given observed values of linear functions of the codes.

        The linear functions may select some of the codes (the draws then add the
        details), select pixels of the signals (the draws then fill the gaps), or take
        local means of the signals (the draws then have a higher resolution).

        Parameters
        ----------
        operator : array-like of shape (m, n_codes)
            Matrix of the linear functions. The observed values of a row of codes are
            ``operator @ code``, plus noise.
        observed : array-like of shape (m,) or (n_samples, m)
            Observed values: one vector for all draws, or one row per draw.
        n_samples : int, default=1
            Number of draws.
        noise_variance : float or ndarray of shape (m, m), default=0.0
            Noise in the observed values: the variance of white noise, or the covariance
            matrix of the noise. 0 means that the draws reproduce the observed values.
        y : label or array-like of shape (n_samples,), default=None
            One label for all draws, or one label per draw. `DiffusionPrior` takes it if
            it was fitted with labels; a prior made of Gaussians does not.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. An int gives the same draws in each call. None gives
            different draws in each call and does not touch numpy's global state.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            The draws.

        Raises
        ------
        ValueError
            If the shapes of ``operator`` and ``observed`` do not fit together.
            If ``operator`` or ``observed`` has values that are not finite.
            If ``operator`` is empty or zero.
            If ``y`` is given to a prior made of Gaussians.
        TypeError
            If the prior cannot be conditioned on linear functions.
        """
        check_is_fitted(self)
        self.require("conditioning", "sample_given")
        n_codes = self.n_features_in_
        matrix, values = check_observation(operator, observed, n_samples, n_codes)
        stream = random_stream(random_state)
        return self._draw_given(matrix, values, n_samples, noise_variance, y, stream)

    def _draw_given(
        self,
        operator: np.ndarray,
        values: np.ndarray,
        n_samples: int,
        noise: float | np.ndarray,
        y: Any,
        stream: np.random.Generator,
    ) -> np.ndarray:
        if y is not None:
            raise ValueError(
                f"y={y!r}: sample_given of {self.name} does not take a label. Pass "
                "y=None after a fit on the samples of this label only, or use "
                "DiffusionPrior."
            )
        if np.ndim(noise) == 0 and noise > 0:
            # Given a matrix, `LinearObservation` adds a small ridge. The ridge keeps
            # linearly dependent functions with very little noise well conditioned.
            noise = noise * np.eye(len(operator))
        observation = LinearObservation(operator, noise)
        posterior = observation.condition(self.mixture(), np.atleast_2d(values))
        drawn = posterior.draw(n_samples if values.ndim == 1 else 1, stream)
        return drawn.reshape(n_samples, -1)

    @available_if(lambda self: self._offers_density())
    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Compute the mean log-density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Mean log-density per row, in nats.
        """
        return float(np.mean(self.score_samples(X)))

    def bic(self, X: ArrayLike) -> float:
        """Compute the Bayesian information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        bic : float
            ``n_parameters_ * log(n_samples) - 2 * log_likelihood``.

        Raises
        ------
        TypeError
            If the prior has no density.
            If the prior has no ``n_parameters_``.
        """
        log_density = self.score_samples(X)
        penalty = self._n_free() * np.log(len(log_density))
        return float(penalty - 2 * log_density.sum())

    def aic(self, X: ArrayLike) -> float:
        """Compute the Akaike information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        aic : float
            ``2 * n_parameters_ - 2 * log_likelihood``.

        Raises
        ------
        TypeError
            If the prior has no density.
            If the prior has no ``n_parameters_``.
        """
        return float(2 * self._n_free() - 2 * self.score_samples(X).sum())

    def _n_free(self) -> int:
        if not hasattr(self, "n_parameters_"):
            raise TypeError(
                f"{self!r} has no attribute n_parameters_, the number of free "
                "parameters, which bic and aic need. Use GaussianPrior or "
                "GaussianMixture, or set n_parameters_ in the fit of your own prior."
            )
        return self.n_parameters_

    def _codes(
        self, X: ArrayLike, *, reset: bool = False, least: int = 1
    ) -> np.ndarray:
        """Return validated codes of shape (n, K), float64, with n >= ``least``."""
        codes: np.ndarray = validate_data(
            self,
            X,
            dtype=np.float64,
            ensure_min_samples=least,
            reset=reset,
        )
        return codes

    def _checked(
        self, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return validated codes (n, K) and sample weights (n,), both float64."""
        codes = self._codes(X, reset=True, least=2)
        weights = row_weights(sample_weight, len(codes))
        if np.count_nonzero(weights) < 2:
            raise ValueError(
                f"sample_weight leaves one row with a weight > 0, but {self.name} "
                "needs at least two. Pass positive weights for two or more rows."
            )
        return codes, weights
