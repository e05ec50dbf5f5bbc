"""The base class of priors, and the capabilities that a prior declares."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Interval,
    validate_data,
    validate_parameters,
    validated,
)
from skspectral._validation import check_observation, row_weights
from skspectral.gaussian import LinearObservation, Mixture


@dataclass(frozen=True)
class Capabilities:
    """What a prior can do beside being fitted and drawn from.

    Attributes
    ----------
    gaussians : bool
        It is made of Gaussians, which ``mixture()`` returns once it is fitted.
        Likelihood, denoising, imputation and conditional draws are then exact.
    density : bool
        It has ``score_samples``. A prior made of Gaussians always has.
    moments : bool
        ``fit_moments`` fits it from the mean and the covariance of the codes alone.
    labels : bool
        ``sample`` takes the label ``y`` to draw for.
    weights : bool
        ``fit`` takes ``sample_weight``.
    synthesis : bool
        ``fit`` takes ``synthesis``, a `Synthesis`.
    conditioning : bool
        It has ``sample_given``. A prior made of Gaussians always has.
    """

    gaussians: bool = False
    density: bool = False
    moments: bool = False
    labels: bool = False
    weights: bool = False
    synthesis: bool = False
    conditioning: bool = False

    def __post_init__(self) -> None:
        if self.gaussians:
            object.__setattr__(self, "density", True)
            object.__setattr__(self, "conditioning", True)


_EXACT = (
    "Use skspectral.priors.GaussianPrior, GaussianMixture or ClassConditionalPrior of "
    "these, scikit-learn's mixtures, or a Prior with a mixture() of your own"
)
# For each capability: the error, and what is needed, what is missing, and what to do.
_MISSING: dict[str, tuple[type[Exception], str]] = {
    "gaussians": (
        TypeError,
        f"made of Gaussians, but the prior {{name}} has no closed form. {_EXACT}.",
    ),
    "density": (
        TypeError,
        "with a density, but {name} has no score_samples. Use another prior, such as "
        "GaussianPrior or GaussianMixture.",
    ),
    "moments": (
        ValueError,
        "that is fitted from moments, but {name} needs the codes. Call fit, or use "
        "GaussianPrior with a shrinkage that is a number.",
    ),
    "labels": (
        ValueError,
        "with labels, but {name} cannot sample for a label. Use ClassConditionalPrior "
        "or DiffusionPrior, and pass y to fit.",
    ),
    "weights": (
        ValueError,
        "that takes weights, but {name}.fit takes none. Fit without weights, or use a "
        "prior that takes them: GaussianPrior().",
    ),
    "conditioning": (
        TypeError,
        "that conditions on linear functions, but the prior {name} has no closed form "
        f"and no sample_given. {_EXACT}, or DiffusionPrior.",
    ),
}


class Prior(DensityMixin, BaseEstimator, ABC):
    """Base class of the distributions of codes.

    A subclass declares its `capabilities` and has ``fit(X, y=None)``, which sets
    ``n_features_in_`` and returns the object itself. If the prior is made of Gaussians,
    `mixture` is all it needs besides. Otherwise it has its own ``sample`` and, as
    declared, ``score_samples`` and ``sample_given``. Codes are coordinates of the
    samples in an orthonormal basis of the span of the atoms, float64.

    See Also
    --------
    GaussianPrior, GaussianMixture : Priors made of Gaussians.

    Notes
    -----
    An object that is not a `Prior` but has ``fit(codes)`` and ``sample(n_samples)``, as
    scikit-learn's density estimators, is a prior, too, as a `ScaledPrior`: what it can
    do is found out from its methods, and it is fitted in units of the data.

    Examples
    --------
    The distribution of two independent codes with the same variance:

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
        """What this prior can do; a class attribute, or a property, of a subclass."""
        return Capabilities()

    def check(self, y: Any = None) -> None:
        """Raise what is known to be wrong before the codes are there.

        The estimator calls it before it learns the atoms, with the labels ``y``.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the labels are not of the prior's kind.
        TypeError
            If an inner prior is none.
        """
        validate_parameters(self)

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit the distribution to codes, of shape (n_samples, n_codes)."""

    def mixture(self) -> Mixture:
        """Gaussians that the fitted prior is made of.

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
        """Fit from the mean and the covariance (divided by n) of ``n_samples`` codes.

        Raises
        ------
        ValueError
            If the prior cannot be fitted from moments.
        """
        self.require("moments", "fit_moments")
        raise NotImplementedError(f"{self.name} does not define fit_moments.")

    @property
    def name(self) -> str:
        """Name of the prior in errors."""
        return type(self).__name__

    def require(self, capability: str, asked: str) -> None:
        """Raise an error if a capability is missing that a call, ``asked``, needs.

        The ``capability`` is the name of a field of `Capabilities`. The error says what
        to do.
        """
        if not getattr(self.capabilities, capability):
            error, reason = _MISSING[capability]
            raise error(f"{asked} needs a prior {reason.format(name=self.name)}")

    @validated(n_samples=[Interval(Integral, 1, None, closed="left")])
    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, y: Any = None
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState, Generator or None, default=None
            An int repeats its draws; None is different each time, and leaves numpy's
            global state alone.
        y : label or array-like of shape (n_samples,), default=None
            The label of all draws, or of each, with a prior that has labels. None draws
            labels by their shares.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            In random order.

        Raises
        ------
        ValueError
            If the prior has no labels, a label was not there in ``fit``, or ``y`` has
            another length.
        """
        check_is_fitted(self)
        if y is not None:
            self.require("labels", f"sample with y={y!r}")
        return self._draw(n_samples, y, random_stream(random_state))

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        return self.mixture().draw(n_samples, stream)

    def _offers_density(self) -> bool:
        """Whether `score_samples` is there; an error tells why it is not."""
        self.require("density", "score_samples")
        return True

    @available_if(lambda self: self._offers_density())
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row, whatever its label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats

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
        """Draw codes of which linear functions were observed.

        They may be some of the codes (the details are drawn), pixels of the signals
        (gaps are filled), or local means of them (the resolution is raised).

        Parameters
        ----------
        operator : array-like of shape (m, n_codes)
            Maps a code to what is observed of it: ``operator @ code``.
        observed : array-like of shape (m,) or (n_samples, m)
            Observed values, for all draws or for each.
        n_samples : int, default=1
        noise_variance : float or ndarray of shape (m, m), default=0.0
            Variance of white noise in the values, or covariance of any noise in them.
        y, random_state : as in `sample`
            A prior made of Gaussians takes no label here.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64

        Raises
        ------
        ValueError
            If shapes do not fit, or a label is asked of a prior made of Gaussians.
        TypeError
            If the prior does not condition on linear functions.
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
                f"y={y!r}: {self.name} draws what fits what was observed, whatever the "
                "label. Fit on the samples of the label, or use DiffusionPrior."
            )
        if np.ndim(noise) == 0 and noise > 0:
            # As a matrix, so that very little noise on redundant functions is no harm.
            noise = noise * np.eye(len(operator))
        observation = LinearObservation(operator, noise)
        posterior = observation.condition(self.mixture(), np.atleast_2d(values))
        drawn = posterior.draw(n_samples if values.ndim == 1 else 1, stream)
        return drawn.reshape(n_samples, -1)

    @available_if(lambda self: self._offers_density())
    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean log-density of the rows, in nats."""
        return float(np.mean(self.score_samples(X)))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion on ``X``; lower is better."""
        log_density = self.score_samples(X)
        penalty = self._n_free() * np.log(len(log_density))
        return float(penalty - 2 * log_density.sum())

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion on ``X``; lower is better."""
        return float(2 * self._n_free() - 2 * self.score_samples(X).sum())

    def _n_free(self) -> int:
        if not hasattr(self, "n_parameters_"):
            raise TypeError(
                f"{self!r} does not tell its number of free parameters, which an "
                "information criterion needs: use the priors of skspectral.priors."
            )
        return self.n_parameters_

    def _codes(
        self, X: ArrayLike, *, reset: bool = False, least: int = 1
    ) -> np.ndarray:
        """Codes of shape (n, K), float64, of at ``least`` so many rows."""
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
        """Codes, and weights in numbers of rows, float64."""
        codes = self._codes(X, reset=True, least=2)
        weights = row_weights(sample_weight, len(codes))
        if np.count_nonzero(weights) < 2:
            raise ValueError(
                f"sample_weight leaves one row with a weight > 0, but {self.name} "
                "needs at least two."
            )
        return codes, weights
