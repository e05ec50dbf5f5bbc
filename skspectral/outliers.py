"""Outliers: samples that are unlikely under the model of all of them."""
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
    HasMethods,
    Interval,
    StrOptions,
    as_numpy,
    fit_context,
)
from skspectral._validation import row_weights
from skspectral.likelihood import log_density_quantile
from skspectral.model import LinearModel
from skspectral.priors.protocol import as_prior
from skspectral.spectral_dictionary import SpectralDictionaryLearning

# Relative: scores of one row differ by rounding from one batch to another.
_ROUNDING = 1e-9


class SpectralOutlierDetector(OutlierMixin, BaseEstimator):
    """Outliers by their log-density under mean + w S + noise and the prior.

    It has the interface of `sklearn.ensemble.IsolationForest`. With as many atoms as
    features and a Gaussian prior it ranks samples as their Mahalanobis distance does.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        The model, whose prior is made of Gaussians. It is cloned; one in a
        ``FrozenEstimator`` is taken as it is. None is
        ``SpectralDictionaryLearning(shrinkage="auto")``, for few samples, too. With a
        number as ``contamination``, any estimator with ``score_samples`` will do, as a
        pipeline that scales first.
    contamination : "auto" or float, default="auto"
        Share of outliers in the training samples, in (0, 0.5], which says where the
        threshold lies: at most this share of their weight is below. "auto" takes all of
        them to be normal, and puts the threshold where ``false_alarm_rate`` says.
    false_alarm_rate : float, default=0.05
        Used with "auto": the share of samples that follow the model, in (0, 0.5], which
        are called outliers nevertheless.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        The fitted model.
    offset_ : float
        The threshold of `score_samples`, in nats.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has any.

    Notes
    -----
    Under the model with one Gaussian, minus twice the log-density is, but for a
    constant, of the chi-squared distribution with T degrees of freedom: "auto" takes
    its quantile. With a mixture it takes that of 16,384 draws, of a fixed seed. Neither
    looks at the training samples. The law is that of the model, which was fitted to
    those: where they are few for the number of atoms, or not Gaussian, more of new
    normal samples are called outliers. Then set ``contamination``, or compare
    `score_samples` with a quantile of normal samples that were held out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning, SpectralOutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> atoms = SpectralDictionaryLearning(16, signal_shape=(8, 8))
    >>> detector = SpectralOutlierDetector(atoms, contamination=0.05).fit(X[y == 0])
    >>> np.mean(detector.predict(X[y == 0]) == -1).round(2), np.mean(
    ...     detector.predict(X[y != 0]) == -1
    ... ) > 0.95
    (np.float64(0.04), np.True_)
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
        """Fit the model, and find the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Passed on to the model, whose prior may take labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice, also for ``contamination``.

        Returns
        -------
        self : SpectralOutlierDetector

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians; or if ``contamination`` is "auto" and
            the estimator is no `SpectralDictionaryLearning`.
        ValueError
            As `SpectralDictionaryLearning.fit`.
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
        """Add rows to those seen before, and find the threshold of the new model.

        The first call is `fit`. With "auto" the threshold is that of the model of all
        rows. Rows are not kept, and scores of an earlier model tell nothing of the new
        one: with a number as ``contamination`` it is the share of the rows of the last
        call, of which there should be some hundred.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            As for `fit`.

        Returns
        -------
        self : SpectralOutlierDetector

        Raises
        ------
        AttributeError
            If the estimator has no ``partial_fit``.
        TypeError, ValueError
            As `fit`.
        """
        if not hasattr(self, "estimator_"):
            return self.fit(X, y, sample_weight)
        # scikit-learn looks at them at the first call alone.
        self._validate_params()
        return self._learn(self.estimator_, "partial_fit", X, y, sample_weight)

    def _learn(
        self, estimator: Any, method: str, X: Any, y: Any, sample_weight: Any
    ) -> "SpectralOutlierDetector":
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if isinstance(estimator, FrozenEstimator):
            # It passes on all but fit, which does nothing.
            method = "fit"
        getattr(estimator, method)(X, y, **weights)
        self.offset_ = self._threshold(estimator, X, sample_weight)
        self.estimator_ = estimator
        return self

    def _check_density(self, estimator: Any) -> None:
        """Raise before anything is learned where there will be no density."""
        if hasattr(estimator, "prior"):
            as_prior(estimator.prior).require("gaussians", type(self).__name__)

    def _threshold(self, estimator: Any, X: Any, sample_weight: Any) -> float:
        if self.contamination != "auto":
            scores = as_numpy(estimator.score_samples(X))
            weights = row_weights(sample_weight, len(scores))
            return threshold_of_share(scores, float(self.contamination), weights)
        model = getattr(estimator, "model_", None)
        if not isinstance(model, LinearModel):
            raise TypeError(
                f'contamination="auto" needs a SpectralDictionaryLearning, whose '
                f"density has a known law, but the estimator is a "
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
        """`fit`, and `predict` of the same samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y, sample_weight : default=None
            As for `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            1 for normal samples, -1 for outliers.
        """
        return self.fit(X, y, sample_weight).predict(X)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each sample; normal samples have higher values than outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats
        """
        check_is_fitted(self)
        return as_numpy(self.estimator_.score_samples(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """`score_samples` less ``offset_``: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64, in nats
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Whether each sample is normal, 1, or an outlier, -1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    # scikit-learn's conventions

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if X has any."""
        return self.estimator_.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            tags.input_tags.allow_nan = inner.input_tags.allow_nan
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
        return tags


def threshold_of_share(
    scores: np.ndarray, share: float, weights: np.ndarray | None = None
) -> float:
    """Largest score below which lies at most a share of the weight.

    It is lowered by a rounding error, so that the row of this score is not below where
    it is computed again. Rows of weight 0 do not count, and a weight of 2 is as good as
    a row twice.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    # As shares of the largest, so that no sum is out of range.
    weights = weights / weights.max()
    order = np.argsort(scores)
    order = order[weights[order] > 0]
    until = np.cumsum(weights[order])
    below = until - weights[order]
    # The share of a whole number of rows may be rounded to less than that.
    last = np.flatnonzero(below <= share * until[-1] * (1 + _ROUNDING))[-1]
    score = float(scores[order[last]])
    return score - _ROUNDING * max(1.0, abs(score))
