"""Outlier detection: samples with a low likelihood under the fitted model."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import (
    Estimator,
    HasMethods,
    Interval,
    StrOptions,
    as_numpy,
    fit_context,
)
from skspectral._validation import row_weights
from skspectral.blocks.recognition import refuse_gaps
from skspectral.likelihood import log_density_quantile
from skspectral.model import LinearModel
from skspectral.priors.protocol import as_prior
from skspectral.spectral_dictionary import SpectralDictionaryLearning

# Relative tolerance: the score of a row depends on its batch, up to rounding.
_ROUNDING = 1e-9


class SpectralOutlierDetector(OutlierMixin, Estimator):
    """Outlier detection by the log-likelihood of a spectral dictionary model.

    A sample is an outlier if its log-density under the fitted model is below a
    threshold. The class has the interface of `sklearn.ensemble.IsolationForest`. With a
    Gaussian prior, it ranks the samples by their Mahalanobis distance to the mean of
    the model, see `SpectralDictionaryLearning.mahalanobis`.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        The model, whose prior must be made of Gaussians. It is cloned and fitted; a
        fitted model in a ``FrozenEstimator`` is used as it is. If ``contamination`` is
        a number, any estimator with ``score_samples`` is possible, such as a pipeline
        that scales the data first. None means
        ``SpectralDictionaryLearning(shrinkage="auto")``, which is also suitable for few
        samples.
    contamination : "auto" or float, default="auto"
        Fraction of outliers in the training data, in (0, 0.5]. The threshold is the
        largest score for which at most this fraction of the training data is below the
        threshold. "auto" assumes that the training data have no outliers, and computes
        the threshold from ``false_alarm_rate``.
    false_alarm_rate : float, default=0.05
        Fraction, in (0, 0.5], of samples drawn from the fitted model that are labelled
        as outliers. Used only if ``contamination="auto"``.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        The fitted model.
    offset_ : float
        Threshold on `score_samples`, in nats. Samples below it are outliers.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    SpectralDictionaryLearning : The model, which has `score_samples`, too.

    Notes
    -----
    With ``contamination="auto"`` the threshold is a quantile of the log-density under
    the fitted model, and does not depend on the scores of the training data. With one
    Gaussian, -2 times the log-density is a constant plus a chi-squared variable with T
    degrees of freedom, whose quantile is known. With a mixture, the quantile is that of
    16,384 draws with a fixed seed.

    The rate of false alarms on new data is higher than ``false_alarm_rate`` if there
    were few training samples for the number of atoms, or if the data are not Gaussian.
    Then pass a number as ``contamination``, or compare `score_samples` with a quantile
    of the scores of normal samples that were held out.

    Examples
    --------
    Handwritten zeros are normal, and all other digits are outliers:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning, SpectralOutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> zeros, others = X[y == 0], X[y != 0]
    >>> model = SpectralDictionaryLearning(16, signal_shape=(8, 8))
    >>> detector = SpectralOutlierDetector(model, contamination=0.05).fit(zeros)
    >>> print((detector.predict(zeros) == -1).mean().round(2))
    0.04
    >>> print((detector.predict(others) == -1).mean().round(2))
    1.0
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "score_samples"]), None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "false_alarm_rate": [Interval(Real, 0, 0.5, closed="right")],
    }

    estimator_: Any
    offset_: float

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: str | float = "auto",
        false_alarm_rate: float = 0.05,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralOutlierDetector":
        """Fit the model and compute the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, one signal or flattened image per row.
        y : array-like of shape (n_samples,), default=None
            Labels, passed on to the ``fit`` of the model, whose prior may use them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice, also on ``contamination``. None means weights of 1.

        Returns
        -------
        self : SpectralOutlierDetector
            The fitted detector.

        Raises
        ------
        TypeError
            If the prior of the model is not made of Gaussians.
        TypeError
            If ``contamination="auto"`` and ``estimator`` is not a
            `SpectralDictionaryLearning`.
        ValueError
            For each reason for which `SpectralDictionaryLearning.fit` raises it.
        """
        estimator = self.estimator
        if estimator is None:
            estimator = SpectralDictionaryLearning(shrinkage="auto")
        self._check_density(estimator)
        return self._learn(clone(estimator), "fit", X, y, sample_weight)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralOutlierDetector":
        """Add rows to those seen before, and compute the threshold of the new model.

        The first call does the same as `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Further training data, one signal or flattened image per row.
        y : array-like of shape (n_samples,), default=None
            Labels, passed on to the ``partial_fit`` of the model.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, as in `fit`.

        Returns
        -------
        self : SpectralOutlierDetector
            The updated detector.

        Raises
        ------
        AttributeError
            If the estimator has no ``partial_fit``.
        TypeError
            For each reason for which `fit` raises it.
        ValueError
            For each reason for which `SpectralDictionaryLearning.partial_fit` raises
            it.

        Notes
        -----
        With ``contamination="auto"`` the threshold is that of the model of all rows.
        With a number it is computed from the rows of the last call only, because
        earlier rows are not kept, and their scores under an earlier model are not
        comparable. The last call should then have some hundred rows.
        """
        if not hasattr(self, "estimator_"):
            return self.fit(X, y, sample_weight)
        # scikit-learn validates the parameters only in the first call.
        self._validate_params()
        return self._learn(self.estimator_, "partial_fit", X, y, sample_weight)

    def _learn(
        self, estimator: Any, method: str, X: Any, y: Any, sample_weight: Any
    ) -> "SpectralOutlierDetector":
        """Call ``fit`` or ``partial_fit`` of the model, and compute the threshold."""
        # Scores of rows that miss different entries cannot be compared.
        refuse_gaps(X, self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if isinstance(estimator, FrozenEstimator):
            # The `fit` of a FrozenEstimator does nothing, as intended. Its
            # `partial_fit` would update the frozen model.
            method = "fit"
        getattr(estimator, method)(X, y, **weights)
        self.offset_ = self._threshold(estimator, X, sample_weight)
        self.estimator_ = estimator
        return self

    def _check_density(self, estimator: Any) -> None:
        """Raise a TypeError before learning if the model will have no log-density."""
        if hasattr(estimator, "prior"):
            as_prior(estimator.prior).require("gaussians", type(self).__name__)

    def _threshold(self, estimator: Any, X: Any, sample_weight: Any) -> float:
        """Compute the score below which samples are outliers."""
        if self.contamination != "auto":
            scores = as_numpy(estimator.score_samples(X))
            weights = row_weights(sample_weight, len(scores))
            return contamination_threshold(scores, float(self.contamination), weights)
        model = getattr(estimator, "model_", None)
        if not isinstance(model, LinearModel):
            raise TypeError(
                'contamination="auto" needs a SpectralDictionaryLearning, whose scores '
                "have a known distribution, but the estimator is a "
                f"{type(estimator).__name__}. Set contamination to a number."
            )
        prior = estimator.prior_
        prior.require("gaussians", type(self).__name__)
        return log_density_quantile(
            self.false_alarm_rate,
            model.grid.n_features,
            prior.mixture(),
            model.noise_variance,
        )

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit the detector, and label the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, one signal or flattened image per row.
        y : array-like of shape (n_samples,), default=None
            Labels, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 for normal samples, -1 for outliers.
        """
        return self.fit(X, y, sample_weight).predict(X)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each sample; outliers have low values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log-density of each sample under the model, in nats.
        """
        check_is_fitted(self)
        refuse_gaps(X, self)
        return as_numpy(self.estimator_.score_samples(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute `score_samples` minus ``offset_``, which is negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
            Log-density minus the threshold, in nats.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Label each sample as normal or as an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 for normal samples, -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    # scikit-learn's conventions

    @property
    def n_features_in_(self) -> int:
        """Number of features seen during `fit`."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features seen during `fit`, if X had any."""
        return self.estimator_.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags


def contamination_threshold(
    scores: np.ndarray, contamination: float, weights: np.ndarray | None = None
) -> float:
    """Return the largest score below which there is at most a fraction of the weight.

    Scores and weights have the shape (n,); None means weights of 1. Rows of weight 0 do
    not count, and a weight of 2 has the same effect as a row that occurs twice. The
    threshold is lowered by a rounding error, so that the row with this score is not
    below the threshold when its score is computed again.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    # Divided by the largest weight, so that the sum of the weights cannot overflow.
    weights = weights / weights.max()
    order = np.argsort(scores)
    order = order[weights[order] > 0]
    cumulative = np.cumsum(weights[order])
    below = cumulative - weights[order]
    # If the fraction is a whole number of rows, rounding must not make it smaller.
    allowed = contamination * cumulative[-1] * (1 + _ROUNDING)
    last = np.flatnonzero(below <= allowed)[-1]
    score = float(scores[order[last]])
    return score - _ROUNDING * max(1.0, abs(score))
