"""A prior that knows that images have quiet and busy places."""
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

# Signals that are held at a time.
_CHUNK = 1000
# Contrast below this share of the mean one hardly counts; nor, where nothing is left to
# have contrast, does what is below this share of the signals.
_FLOOR, _ROUNDING = 0.1, 1e-6
# Draws may be louder than what was fitted, at a place, by this much: ten times.
_LOUDER = math.log(10)


class LocalContrastPrior(Prior):
    """Coarse part, local contrast and details of a signal, drawn together.

    In photographs whole regions are flat and others are busy: their local contrast
    varies far more than a Gaussian's. So each signal is taken apart (here, x is the
    signal of the codes, U and G are interpolations from coarser grids)::

        x = U c + exp(G l) v

    where c is the coarse part, l the logarithm of the local contrast of what c leaves,
    and v the details, of contrast about 1. Numbers of c, l and of v along its principal
    components are then much nearer to jointly Gaussian than codes are, and any prior is
    fitted to them: a field of Gaussian scale mixtures. The weaker components of v are
    drawn independently. It draws, but has no density.

    Parameters
    ----------
    prior : object or None, default=None
        For c, l and v: an object with ``fit`` and ``sample``, which is cloned. None
        means `GaussianPrior`. `ClassConditionalPrior` and mixtures make it sharper.
    coarse : int, default=4
        Step of the grid of c, in samples.
    contrast : int, default=2
        Step of the grid of l, in samples.
    n_details : int, default=512
        Number of principal components of v that the prior is fitted to. The others are
        independent Gaussians, of their own variances.

    Attributes
    ----------
    prior_ : object
        The fitted prior.
    detail_axes_ : ndarray of shape (n_codes, n_codes)
        Principal components of the details, in codes; largest variance first.
    detail_variance_ : ndarray of shape (n_codes,)
        Variances along them.
    detail_mean_ : ndarray of shape (n_codes,)
    n_parameters_ : int
        Free parameters, if the prior tells its own.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    ClassConditionalPrior : To be given as ``prior``, so that y tells what to draw.

    Notes
    -----
    Costs one pass over the signals, n K T, and K^3, and holds about 2 n K numbers. If
    it is fitted without ``synthesis``, and not by an estimator, codes count as the
    samples of a signal.

    References
    ----------
    M. J. Wainwright, E. P. Simoncelli (2000). Scale mixtures of Gaussians and the
    statistics of natural images. S. Lyu, E. P. Simoncelli (2009). Modeling multiscale
    subbands of photographic images with fields of Gaussian scale mixtures.

    Examples
    --------
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
        """Fit the inner prior on coarse parts, contrasts and details.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Passed on to the prior, if its ``fit`` takes it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.
        synthesis : Synthesis, default=None
            How codes become signals; the estimator passes it. None: they are signals.

        Returns
        -------
        self : LocalContrastPrior

        Raises
        ------
        ValueError
            If the prior needs labels and there are none, or cannot be fitted.
        """
        codes, weights = self._checked(X, sample_weight)
        self._synthesis = synthesis or Synthesis.identity(codes.shape[1])
        self._synthesis.check_codes(codes)
        prior = new_prior(self.prior, random_stream(None), y, sample_weight)
        self._field = self._field_of(codes, weights)
        coarse, contrast, details = map(
            np.concatenate, zip(*self._split(codes), strict=True)
        )
        # Where an inner prior is wider than the details, contrast would explode.
        self._loudest = contrast.max(axis=0) + _LOUDER
        shares = weights / weights.sum()
        features = self._learn_features(coarse, contrast, details, shares)
        fit_prior(prior, features, y, None if sample_weight is None else weights)
        self.prior_ = prior
        self._n_numbers = features.shape[1]
        self.__dict__.pop("n_parameters_", None)
        if hasattr(prior, "n_parameters_"):
            of_details = self.detail_axes_.size + 2 * len(self.detail_mean_)
            self.n_parameters_ = of_details + prior.n_parameters_
        return self

    def check(self, y: Any = None) -> None:
        """Raise what is known of the inner prior, too, before the codes are there."""
        super().check(y)
        as_prior(self.prior).check(y)

    @property
    def name(self) -> str:
        """Name of the prior in errors."""
        return f"{type(self).__name__} of {as_prior(self.prior).name}"

    @property
    def capabilities(self) -> Capabilities:
        """Labels and weights, if the inner prior takes them; no density."""
        can = as_prior(self.prior).capabilities
        return Capabilities(labels=can.labels, weights=can.weights, synthesis=True)

    def _field_of(self, codes: np.ndarray, weights: np.ndarray) -> ContrastField:
        """Of signals in units of their root mean square, and sets that unit."""
        shape = self._synthesis.signal_shape
        field = ContrastField(self._synthesis.grid, self.coarse, self.contrast)
        # Signals are combinations of these, and so is what is left of them.
        rows = np.vstack([self._synthesis.basis, self._synthesis.mean])
        rest = field.rest(rows.reshape(-1, *shape)).reshape(rows.shape)
        extended = np.column_stack([codes, np.ones(len(codes))])
        second = (extended.T * (weights / weights.sum())) @ extended
        left, whole = (
            np.sqrt(max(0.0, np.vdot(second, part @ part.T)) / rows.shape[1])
            for part in (rest, rows)
        )
        self._unit = whole or 1.0
        contrast = max(left / self._unit, _ROUNDING / _FLOOR)
        field.floor = _FLOOR * contrast
        # With them, numbers are as far apart as the signals that they stand for.
        n_places = math.prod(field.sizes)
        self._scales = (
            math.sqrt(n_places / math.prod(field.coarse_shape)),
            contrast * math.sqrt(math.prod(shape) / math.prod(field.contrast_shape)),
            contrast,
        )
        return field

    def _split(self, codes: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Coarse part, contrast and codes of the details, rows of some at a time."""
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
        shares: np.ndarray,
    ) -> np.ndarray:
        """Numbers on one scale, the details along their principal components."""
        self.detail_mean_ = shares @ details
        centred = details - self.detail_mean_
        axes, variances = principal_directions((centred.T * shares) @ centred)
        self.detail_axes_ = np.ascontiguousarray(axes.T)
        self.detail_variance_ = np.maximum(variances, 0.0)
        strong = centred @ self.detail_axes_[: self.n_details].T
        scaled = map(np.multiply, self._scales, (coarse, contrast, strong))
        return np.concatenate(list(scaled), axis=1)

    def _parts(self, features: np.ndarray, stream: np.random.Generator) -> Parts:
        """The parts that such rows stand for; weak details are drawn."""
        field, shape = self._field, self._synthesis.signal_shape
        n_coarse = math.prod(field.coarse_shape + field.channels)
        n_contrast = math.prod(field.contrast_shape)
        numbers = np.split(features, [n_coarse, n_coarse + n_contrast], axis=1)
        coarse, contrast, strong = (
            part / scale for part, scale in zip(numbers, self._scales, strict=True)
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
