"""Gains over frequency as steps of a pipeline."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import HasMethods, Interval, StrOptions, fit_context
from skspectral.control.atoms import Gains, atom_values
from skspectral.control.filtering import equalize, gains_of_band
from skspectral.spectral_dictionary import SpectralDictionaryLearning


class _OfAtoms(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """Fits atoms, and changes signals by them."""

    estimator: Any
    estimator_: Any

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit the atoms.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : object, default=None
            Passed on.
        sample_weight : array-like of shape (n_samples,), default=None
            Passed on.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the gains or the band do not fit.
        TypeError
            If the estimator has no atoms with frequencies.
        """
        estimator = self.estimator
        if estimator is None:
            estimator = SpectralDictionaryLearning()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator_ = clone(estimator).fit(X, y, **weights)
        atom_values(self.estimator_, self._gains()[0], "gains")
        self.n_features_in_ = self.estimator_.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def transform(self, X: ArrayLike) -> Any:
        """Signals with other gains.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            In the dtype of X; float32 for uint8.
        """
        check_is_fitted(self)
        gains, residual = self._gains()
        return equalize(self.estimator_, X, gains, residual=residual)

    @abstractmethod
    def _gains(self) -> tuple[Gains, float]:
        """Gains of the atoms, and that of the residual, as `equalize` takes them."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags


class SpectralEqualizer(_OfAtoms):
    """Multiply each atom's share of a signal by the gain of its frequency.

    `equalize` as a step of a pipeline.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        Its atoms are fitted; one in a ``FrozenEstimator`` is taken as it is. None is
        one with default parameters.
    gains : callable, array-like or float, default=1.0
        As of `equalize`: a function of frequencies, a table with rows (frequency,
        gain), or one gain for each atom. A function has to be importable for pickling.
    residual : float, default=1.0
        Gain of what the atoms do not tell.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import SpectralEqualizer
    >>> X, _ = load_digits(return_X_y=True)
    >>> atoms = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
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

    def _gains(self) -> tuple[Gains, float]:
        return self.gains, self.residual


class SpectralFilter(_OfAtoms):
    """Keep a band of atoms alone, or take it out.

    `filter` as a step of a pipeline: in a grid search the band can be chosen.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        As of `SpectralEqualizer`.
    low, high, btype, residual
        As of `filter`.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
    n_features_in_ : int

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
        "low": [Interval(Real, None, None, closed="neither"), None],
        "high": [Interval(Real, None, None, closed="neither"), None],
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

    def _gains(self) -> tuple[Gains, float]:
        return gains_of_band(self.low, self.high, self.btype, self.residual)
