"""Transformers that apply gains over frequency as steps of a pipeline."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import (
    Estimator,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skspectral.blocks.recognition import refuse_gaps
from skspectral.control.atoms import Gains, atom_values, check_band
from skspectral.control.filtering import equalize, gains_of_band
from skspectral.spectral_dictionary import SpectralDictionaryLearning


class _GainTransformer(OneToOneFeatureMixin, TransformerMixin, Estimator, ABC):
    """Base of the transformers: fits atoms, and multiplies them by gains."""

    estimator: Any
    estimator_: Any

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit the atoms to signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training signals.
        y : array-like of shape (n_samples,), default=None
            Labels, which are passed to the ``fit`` of ``estimator``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the signals, which are passed to the ``fit`` of ``estimator``.
            None means weights of 1.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If the gains, or the limits of the band, are not valid.
        TypeError
            If ``estimator`` has no atoms with frequencies.
        """
        estimator = self.estimator
        if estimator is None:
            estimator = SpectralDictionaryLearning()
        refuse_gaps(X, self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator_ = clone(estimator).fit(X, y, **weights)
        atom_values(self.estimator_, self._gain_and_residual()[0], "gains")
        self._check_limits()
        self.n_features_in_ = self.estimator_.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def transform(self, X: ArrayLike) -> Any:
        """Apply the gains to signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals to change. The array is not modified.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Changed signals in the dtype of X, or in float32 if X is uint8.
        """
        check_is_fitted(self)
        gains, residual = self._gain_and_residual()
        return equalize(self.estimator_, X, gains, residual=residual)

    def _check_limits(self) -> None:
        """Raise a ValueError if the limits of a band are beyond the fitted signals."""

    @abstractmethod
    def _gain_and_residual(self) -> tuple[Gains, float]:
        """Return the parameters ``gains`` and ``residual`` of `equalize`."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags


class SpectralEqualizer(_GainTransformer):
    """Multiply each atom's part of the signals by the gain at its frequency.

    This is the function `equalize` as a step of a pipeline. `fit` learns the atoms.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        Estimator that learns the atoms. It is cloned before it is fitted; pass a fitted
        one in a ``FrozenEstimator`` to use its atoms without fitting. None means an
        estimator with default parameters.
    gains : callable, array-like or float, default=1.0
        Factors >= 0 of the amplitudes, in one of the four forms that `equalize`
        accepts: a function of frequencies, a table with rows (frequency, gain), one
        gain per atom, or one number. A transformer can be pickled only if its function
        can be imported, which excludes lambda functions.
    residual : float, default=1.0
        Gain of the residual, the part of the signals that is not a combination of
        atoms. 0 removes it.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        Fitted estimator.
    n_features_in_ : int
        Number of features of the training signals.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    equalize : The function that changes the signals.
    SpectralFilter : Keep or remove a band of frequencies.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import SpectralEqualizer
    >>> X, _ = load_digits(return_X_y=True)
    >>> atoms = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")

    The gains fall linearly from 1 at the frequency 0 to 0 at 4 cycles per image:

    >>> SpectralEqualizer(atoms, gains=[(0, 1.0), (4, 0.0)]).fit_transform(X).shape
    (1797, 64)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "transform"]), None],
        "gains": "no_validation",
        "residual": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(
        self, estimator: Any = None, *, gains: Gains = 1.0, residual: float = 1.0
    ):
        self.estimator = estimator
        self.gains = gains
        self.residual = residual

    def _gain_and_residual(self) -> tuple[Gains, float]:
        return self.gains, self.residual


class SpectralFilter(_GainTransformer):
    """Keep or remove a band of frequencies of the signals.

    This is the function `filter` as a step of a pipeline. `fit` learns the atoms. The
    limits of the band can be chosen by a grid search.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        Estimator that learns the atoms. It is cloned before it is fitted; pass a fitted
        one in a ``FrozenEstimator`` to use its atoms without fitting. None means an
        estimator with default parameters.
    low, high : float, default=None
        Limits of the band in units of ``frequencies_``. A frequency f is in the band if
        low <= f < high. None means that there is no limit on this side. ``low`` must
        not be above the Nyquist frequency. For signals whose Nyquist frequency is below
        ``high``, ``high`` is no limit.
    btype : {"bandpass", "bandstop"}, default="bandpass"
        Type of the filter: "bandpass" keeps the band, and "bandstop" removes it.
    residual : float, default=None
        Gain of the residual, the part of the signals that is not a combination of
        atoms. None means 0 for "bandpass" and 1 for "bandstop".

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        Fitted estimator.
    n_features_in_ : int
        Number of features of the training signals.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    filter : The function that changes the signals.
    SpectralEqualizer : Apply any gains over frequency.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import SpectralFilter
    >>> X, y = load_digits(return_X_y=True)
    >>> atoms = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
    >>> smooth = SpectralFilter(atoms, high=3.0)
    >>> make_pipeline(smooth, KNeighborsClassifier()).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "transform"]), None],
        "low": [Interval(Real, 0, None, closed="left"), None],
        "high": [Interval(Real, 0, None, closed="neither"), None],
        "btype": [StrOptions({"bandpass", "bandstop"})],
        "residual": [Interval(Real, None, None, closed="neither"), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        low: float | None = None,
        high: float | None = None,
        btype: str = "bandpass",
        residual: float | None = None,
    ):
        self.estimator = estimator
        self.low = low
        self.high = high
        self.btype = btype
        self.residual = residual

    def _check_limits(self) -> None:
        # An upper limit above the Nyquist frequency is allowed, because the same limit
        # may be used for signals of several lengths. No frequency is above it.
        check_band(self.estimator_, (self.low, None), "(low, high)")

    def _gain_and_residual(self) -> tuple[Gains, float]:
        return gains_of_band(self.low, self.high, self.btype, self.residual)
