"""Imputation of missing entries as a step of a pipeline."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.impute import MissingIndicator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skspectral._missing import missing_as_nan
from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Estimator,
    HasMethods,
    as_numbers,
    fit_context,
    in_native_form,
    input_dtypes,
    validate_data,
)
from skspectral.grid import as_rows
from skspectral.spectral_dictionary import SpectralDictionaryLearning


class SpectralImputer(OneToOneFeatureMixin, TransformerMixin, Estimator):
    """Fill missing entries of signals from a spectral dictionary model.

    The imputer learns a model from rows with missing entries, and replaces missing
    entries by their posterior mean given the observed entries of the same row, or by
    draws from the posterior. It has the interface of the imputers of scikit-learn.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning or None, default=None
        Model to learn. It is cloned. Set ``signal_shape`` and ``channel_axis`` for
        images and for signals with several channels. None means
        ``SpectralDictionaryLearning()``.
    add_indicator : bool, default=False
        Whether to append a column for each feature that had missing entries in `fit`,
        with 1 for missing entries and 0 for observed ones.
    sample_posterior : bool, default=False
        Whether to draw missing entries from their posterior, noise included, instead of
        taking its mean. Several data sets that are filled with different seeds show how
        uncertain the results of a later analysis are (multiple imputation).
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. Each call of `transform` with an int returns the same draws.
        Used only if ``sample_posterior`` is True.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        The fitted model.
    indicator_ : MissingIndicator
        Indicator of missing entries. Set only if ``add_indicator`` is True.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    SpectralDictionaryLearning.impute : Method of the model, with standard deviations.

    Notes
    -----
    A row without any observed entry gets the mean of the model. A feature that was
    never observed in `fit` is kept: its mean is interpolated between its neighbours,
    and the atoms, which are functions of the position, give its deviations from it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning, SpectralImputer
    >>> X, _ = load_digits(return_X_y=True)
    >>> X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    >>> model = SpectralDictionaryLearning(20, signal_shape=(8, 8), modulation=None)
    >>> filled = SpectralImputer(model).fit_transform(X)
    >>> bool(np.isfinite(filled).all())
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "impute"]), None],
        "add_indicator": ["boolean"],
        "sample_posterior": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        add_indicator: bool = False,
        sample_posterior: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.add_indicator = add_indicator
        self.sample_posterior = sample_posterior
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralImputer":
        """Learn the model from rows with missing entries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. Missing entries are NaN, masked or
            NA.
        y : object, default=None
            Passed on to the ``fit`` of the estimator.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. None means weights of 1.

        Returns
        -------
        self : SpectralImputer
            The fitted imputer.

        Raises
        ------
        ValueError
            For each reason for which the ``fit`` of the estimator raises it.
        """
        estimator = self.estimator
        if estimator is None:
            estimator = SpectralDictionaryLearning()
        checked = self._checked(X, reset=True)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator_ = clone(estimator).fit(checked, y, **weights)
        self.__dict__.pop("indicator_", None)
        if self.add_indicator:
            indicator = MissingIndicator(error_on_new=False)
            self.indicator_ = indicator.fit(as_numbers(checked))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Fill the missing entries of signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, with NaN, masks or NA for missing entries. The
            array is not modified.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features + n_indicators)
            The rows with all entries filled, in the dtype of X (float32 for uint8).
            Observed entries are unchanged. With ``add_indicator``, one column per
            feature with missing entries in `fit` follows.
        """
        check_is_fitted(self)
        checked = self._checked(X, reset=False)
        if self.sample_posterior:
            seed = random_stream(self.random_state).integers(2**31)
            draws = self.estimator_.sample_posterior(checked, 1, random_state=int(seed))
            filled = draws[0]
        else:
            filled = self.estimator_.impute(checked)
        if not self.add_indicator:
            shape = getattr(X, "shape", ())
            return filled if len(shape) <= 2 else filled.reshape(shape)
        marks = self.indicator_.transform(as_numbers(checked))
        return np.hstack([filled, marks.astype(filled.dtype)])

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Return X with NaN for missing entries, checked by scikit-learn."""
        X = as_rows(X, getattr(self.estimator, "signal_shape", None))
        X = in_native_form(missing_as_nan(X))
        return validate_data(
            self,
            X,
            dtype=input_dtypes(X),
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features, followed by those of the indicators.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features. None means ``feature_names_in_``, or "x0", "x1", ...
            if it is not set.

        Returns
        -------
        names : ndarray of str
            One name per column of the result of `transform`.
        """
        check_is_fitted(self)
        names = super().get_feature_names_out(input_features)
        if not self.add_indicator:
            return names
        marks = self.indicator_.get_feature_names_out(names)
        return np.concatenate([names, marks])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags
