"""A prior of images whose local contrast differs between regions."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, fit_context
from skspectral.gaussian.gaussian import principal_directions
from skspectral.priors.contrast import ContrastField, Parts
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.protocol import (
    as_prior,
    depends_on_time,
    draw,
    fit_prior,
    needs_labels,
    new_prior,
)
from skspectral.priors.synthesis import Synthesis

# Signals that are held in memory at a time.
_CHUNK = 1000
# The floor of the contrast is the larger of two: this fraction of the root mean square
# residual, and this fraction of the root mean square of the signals. The second one
# counts if the residuals are only rounding errors.
_FLOOR, _ROUNDING = 0.1, 1e-6
# Logarithm of the factor by which the contrast of draws may exceed, at each position,
# the largest contrast of the fitted signals.
_MAX_EXCESS = math.log(10)


class LocalContrastPrior(Prior):
    """Joint distribution of the coarse part, local contrast and details of signals.

    In photographs some regions are flat and others are busy, so that the local contrast
    varies far more than in draws from a Gaussian. This prior therefore decomposes each
    signal x into three parts::

        x = U c + exp(G l) v

    - c is the coarse part, on a coarse grid. U interpolates it to all samples.
    - l is the logarithm of the local contrast, which is the local root mean square of
      the residual x - U c. It lies on a second grid, from which G interpolates it.
    - v are the details: the residual divided by its local contrast.

    The numbers in c and l and the principal components of v are jointly much closer to
    Gaussian than the codes are. A prior of any kind is fitted to them. The signals then
    follow a field of Gaussian scale mixtures [1]_ [2]_. The principal components of v
    with the smallest variances are drawn independently. The prior has no density.

    Parameters
    ----------
    prior : object or None, default=None
        Joint distribution of c, l and v: a `Prior`, or any object with ``fit(codes)``
        and ``sample(n_samples)``. It is cloned. None means `GaussianPrior`. A
        `ClassConditionalPrior` or a `GaussianMixture` gives sharper draws.
    coarse : int, default=4
        Step of the grid of the coarse part c, in samples along each axis.
    contrast : int, default=2
        Step of the grid of the log-contrast l, in samples along each axis.
    n_details : int, default=512
        Number of principal components of the details v that ``prior`` is fitted to. The
        remaining ones are drawn as independent Gaussians with their own variances.

    Attributes
    ----------
    prior_ : object
        The fitted joint distribution of c, l and v.
    detail_axes_ : ndarray of shape (`n_features_in_`, `n_features_in_`)
        Principal axes of the details as rows, in codes, largest variance first.
    detail_variance_ : ndarray of shape (`n_features_in_`,)
        Variances of the details along the principal axes.
    detail_mean_ : ndarray of shape (`n_features_in_`,)
        Mean of the codes of the details.
    n_parameters_ : int
        Number of free parameters. It is set only if ``prior_`` has ``n_parameters_``.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    ClassConditionalPrior : Pass it as ``prior`` to draw signals with given labels.
    DiffusionPrior : A trained network for signals and images, which has a density.

    Notes
    -----
    Fitting n signals of T values costs one pass of n K T operations, plus K^3, and
    holds about 2 n K numbers in memory. The estimator passes ``synthesis`` to ``fit``.
    Without it, the codes themselves are taken as the samples of a signal.

    References
    ----------
    .. [1] M. J. Wainwright, E. P. Simoncelli (2000). Scale mixtures of Gaussians and
       the statistics of natural images. Advances in Neural Information Processing
       Systems 12.
    .. [2] S. Lyu, E. P. Simoncelli (2009). Modeling multiscale subbands of photographic
       images with fields of Gaussian scale mixtures. IEEE Transactions on Pattern
       Analysis and Machine Intelligence 31, 693-706.

    Examples
    --------
    Three draws of images of digits:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.priors import LocalContrastPrior
    >>> X, _ = load_digits(return_X_y=True)
    >>> prior = LocalContrastPrior()
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), prior=prior)
    >>> est.fit(X).sample(3).shape
    (3, 64)
    """

    _parameter_constraints = {
        "prior": "no_validation",
        "coarse": [Interval(Integral, 1, None, closed="left")],
        "contrast": [Interval(Integral, 1, None, closed="left")],
        "n_details": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        prior: Any = None,
        *,
        coarse: int = 4,
        contrast: int = 2,
        n_details: int = 512,
    ):
        self.prior = prior
        self.coarse = coarse
        self.contrast = contrast
        self.n_details = n_details

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        synthesis: Synthesis | None = None,
    ) -> "LocalContrastPrior":
        """Fit the inner prior to the coarse parts, contrasts and details of signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Label of each sample, for an inner prior that uses labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.
        synthesis : Synthesis, default=None
            Map from codes to signals, which the estimator passes. None means that the
            codes are the samples of a signal.

        Returns
        -------
        self : LocalContrastPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If the inner prior needs labels and ``y`` is None.
            If ``sample_weight`` is given and the inner prior takes no weights.
            If ``synthesis`` belongs to another number of codes.
            If the inner prior cannot be fitted or drawn from.
        TypeError
            If ``prior`` has no ``fit`` or no ``sample``.
        """
        codes, weights = self._checked(X, sample_weight)
        self._synthesis = synthesis or Synthesis.identity(codes.shape[1])
        self._synthesis.check_codes(codes)
        prior = new_prior(self.prior, random_stream(None), y, sample_weight)
        self._field = self._field_of(codes, weights)
        coarse, contrast, details = map(
            np.concatenate, zip(*self._split(codes), strict=True)
        )
        # Contrasts are exponentials. Without a limit, an inner prior with wide tails
        # would draw enormous ones.
        self._loudest = contrast.max(axis=0) + _MAX_EXCESS
        fractions = weights / weights.sum()
        features = self._learn_features(coarse, contrast, details, fractions)
        fit_prior(prior, features, y, None if sample_weight is None else weights)
        self.prior_ = prior
        self._n_numbers = features.shape[1]
        self.__dict__.pop("n_parameters_", None)
        if hasattr(prior, "n_parameters_"):
            of_details = self.detail_axes_.size + 2 * len(self.detail_mean_)
            self.n_parameters_ = of_details + prior.n_parameters_
        return self

    def check(self, y: Any = None) -> None:
        """Raise an error if a parameter, the inner prior or the labels cannot be used.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Labels that will be passed to ``fit``; None if there are no labels.

        Raises
        ------
        ValueError
            If a parameter of this prior or of the inner prior is out of range.
            If the inner prior cannot use these labels.
        TypeError
            If the inner prior has no ``fit`` or no ``sample``.
        """
        super().check(y)
        as_prior(self.prior).check(y)

    @property
    def name(self) -> str:
        """Name of the prior in error messages."""
        return f"{type(self).__name__} of {as_prior(self.prior).name}"

    @property
    def capabilities(self) -> Capabilities:
        """Labels and weights if the inner prior takes them, and synthesis."""
        can = as_prior(self.prior).capabilities
        return Capabilities(labels=can.labels, weights=can.weights, synthesis=True)

    def _field_of(self, codes: np.ndarray, weights: np.ndarray) -> ContrastField:
        """Return the contrast field, and set the unit of signals and the scales.

        The unit is the root mean square of the signals. The scales are the factors of
        the coarse part, the log-contrast and the details in the features.
        """
        shape = self._synthesis.signal_shape
        field = ContrastField(self._synthesis.grid, self.coarse, self.contrast)
        # Signals are linear combinations of the basis and the mean signal, and their
        # residuals are the same combinations of the residuals of these rows.
        rows = np.vstack([self._synthesis.basis, self._synthesis.mean])
        residuals = field.residual(rows.reshape(-1, *shape)).reshape(rows.shape)
        extended = np.column_stack([codes, np.ones(len(codes))])
        second = (extended.T * (weights / weights.sum())) @ extended
        residual_rms, signal_rms = (
            np.sqrt(max(0.0, np.vdot(second, part @ part.T)) / rows.shape[1])
            for part in (residuals, rows)
        )
        self._unit = signal_rms or 1.0
        contrast = max(residual_rms / self._unit, _ROUNDING / _FLOOR)
        field.floor = _FLOOR * contrast
        # With these scales, distances between features are about as large as distances
        # between the signals.
        n_places = math.prod(field.sizes)
        self._scales = (
            math.sqrt(n_places / math.prod(field.coarse_shape)),
            contrast * math.sqrt(math.prod(shape) / math.prod(field.contrast_shape)),
            contrast,
        )
        return field

    def _split(self, codes: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield coarse parts, log-contrasts and codes of details, chunk by chunk."""
        for rows in gen_batches(len(codes), _CHUNK):
            signals = self._synthesis.signals(codes[rows])
            coarse, contrast, details = (
                part.reshape(len(part), -1)
                for part in self._field.split(signals / self._unit)
            )
            yield coarse, contrast, details @ self._synthesis.basis.T

    def _learn_features(
        self,
        coarse: np.ndarray,
        contrast: np.ndarray,
        details: np.ndarray,
        fractions: np.ndarray,
    ) -> np.ndarray:
        """Learn the principal axes of the details, and return the scaled features."""
        self.detail_mean_ = fractions @ details
        centred = details - self.detail_mean_
        axes, variances = principal_directions((centred.T * fractions) @ centred)
        self.detail_axes_ = np.ascontiguousarray(axes.T)
        self.detail_variance_ = np.maximum(variances, 0.0)
        strong = centred @ self.detail_axes_[: self.n_details].T
        scaled = map(np.multiply, self._scales, (coarse, contrast, strong))
        return np.concatenate(list(scaled), axis=1)

    def _parts(self, features: np.ndarray, stream: np.random.Generator) -> Parts:
        """Return the parts of signals with these features; draw the weak details."""
        field, shape = self._field, self._synthesis.signal_shape
        n_coarse = math.prod(field.coarse_shape + field.channels)
        n_contrast = math.prod(field.contrast_shape)
        groups = np.split(features, [n_coarse, n_coarse + n_contrast], axis=1)
        coarse, contrast, strong = (
            part / scale for part, scale in zip(groups, self._scales, strict=True)
        )
        contrast = np.minimum(contrast, self._loudest)
        spread = np.sqrt(self.detail_variance_[self.n_details :])
        weak = stream.standard_normal((len(features), len(spread))) * spread
        codes = np.concatenate([strong, weak], axis=1) @ self.detail_axes_
        codes += self.detail_mean_
        return Parts(
            coarse.reshape(-1, *field.coarse_shape, *field.channels),
            contrast.reshape(-1, *field.contrast_shape),
            (codes @ self._synthesis.basis).reshape(-1, *shape),
        )

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        features = draw(self.prior_, n_samples, self._n_numbers, y, stream)
        codes = np.empty((n_samples, self.n_features_in_))
        for rows in gen_batches(n_samples, _CHUNK):
            signals = self._field.join(self._parts(features[rows], stream))
            codes[rows] = self._synthesis.codes(self._unit * signals)
        return codes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = needs_labels(self.prior)
        tags.non_deterministic = depends_on_time(self.prior)
        return tags
