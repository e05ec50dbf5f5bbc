"""One prior for each label."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skspectral._random import random_stream
from skspectral._sklearn_compat import fit_context, validate_data
from skspectral._validation import row_weights
from skspectral.gaussian import Mixture
from skspectral.gaussian.gaussian import Span
from skspectral.priors.borrowing import Pool
from skspectral.priors.labels import label_numbers, without_gaps
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.protocol import (
    as_prior,
    depends_on_time,
    draw,
    fit_prior,
    new_prior,
    try_draw,
)
from skspectral.priors.synthesis import Synthesis


class ClassConditionalPrior(Prior):
    """One prior for each label, and the shares of the labels.

    A label of few rows borrows from all labels how rows vary, see the notes.

    Parameters
    ----------
    prior : object or None, default=None
        Cloned for each label: an object with ``fit`` and ``sample``. None means
        `GaussianPrior`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares of the samples.
    priors_ : list of objects
        The fitted priors, in the order of ``classes_``.
    n_parameters_ : int
        Free parameters, if the priors tell theirs.
    n_features_in_ : int
        Number K of codes.

    Notes
    -----
    A label of m rows, fewer than K + 1, borrows a share a = 1 - m / (K + 1): its mean
    is its own, and its covariance is (1 - a) C + a W, of its own covariance C and the
    pooled covariance W within labels. A label of one row is drawn about that row. A
    prior that is not fitted from moments is given the rows of all labels, too, moved
    from the mean of theirs to the mean of this one, with weights of that share; or
    without, if its ``fit`` takes none.

    With weights, m is the effective number of different rows, (sum w)^2 / sum w^2,
    where those of equal rows are added first.

    References
    ----------
    J. H. Friedman (1989). Regularized discriminant analysis. L. Kish (1965). Survey
    sampling.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.priors import ClassConditionalPrior
    >>> X, y = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(
    ...     20, signal_shape=(8, 8), prior=ClassConditionalPrior(), random_state=0
    ... )
    >>> est.fit(X, y).sample(10, y=3).shape
    (10, 64)
    """

    _parameter_constraints = {"prior": "no_validation"}

    def __init__(self, prior: Any = None):
        self.prior = prior

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        synthesis: Synthesis | None = None,
    ) -> "ClassConditionalPrior":
        """Fit a prior on the codes of each label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.
        synthesis : Synthesis, default=None
            How codes become signals; passed on to priors whose ``fit`` takes it.

        Returns
        -------
        self : ClassConditionalPrior

        Raises
        ------
        ValueError
            If labels are missing, no label has two different rows, or the prior of a
            label cannot be fitted.
        """
        if y is None:
            raise ValueError(
                "requires y to be passed, but the target y is None: "
                "ClassConditionalPrior needs a label for each sample, as in fit(X, y)."
            )
        codes, labels = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2
        )
        check_classification_targets(labels)
        weights = row_weights(sample_weight, len(codes))
        # Rows of weight 0 are none.
        present = np.flatnonzero(weights)
        codes, weights = codes[present], weights[present]
        self.classes_, of_class = np.unique(labels[present], return_inverse=True)
        counts = np.bincount(of_class, weights=weights)
        self.class_prior_ = counts / counts.sum()
        self._span = Span.of(codes, weights)
        pool = Pool.of(codes, of_class, weights)
        given = None if sample_weight is None else weights
        self.priors_ = []
        for label, rows in zip(self.classes_, self._rows(of_class), strict=True):
            prior = new_prior(self.prior, random_stream(None), None, given)
            try:
                fit_of_label(prior, codes, given, rows, pool, synthesis)
            except ValueError as error:
                raise ValueError(
                    f"The prior of label {label}, of which there are {len(rows)} "
                    f"samples, cannot be fitted: {str(error).removesuffix('.')}. Leave "
                    "out labels that are this rare, or pass another prior."
                ) from error
            self.priors_.append(prior)
        self.__dict__.pop("n_parameters_", None)
        if all(hasattr(prior, "n_parameters_") for prior in self.priors_):
            of_priors = sum(prior.n_parameters_ for prior in self.priors_)
            self.n_parameters_ = len(self.classes_) - 1 + of_priors
        return self

    def check(self, y: Any = None) -> None:
        """Raise what is known of labels and inner prior before the codes are there."""
        super().check(y)
        as_prior(self.prior).check()
        if y is not None:
            check_classification_targets(without_gaps(y))

    @property
    def name(self) -> str:
        """Name of the prior in errors."""
        return f"{type(self).__name__} of {as_prior(self.prior).name}"

    @property
    def capabilities(self) -> Capabilities:
        """It takes labels; the rest depends on the prior of each label."""
        priors = getattr(self, "priors_", [self.prior])
        each = [as_prior(prior).capabilities for prior in priors]
        return Capabilities(
            gaussians=all(one.gaussians for one in each),
            density=all(one.density for one in each),
            labels=True,
            weights=as_prior(self.prior).capabilities.weights,
            synthesis=True,
        )

    def mixture(self) -> Mixture:
        """Gaussians of all labels, if the priors are made of them."""
        mixtures = [prior.mixture() for prior in self.priors_]
        shares = zip(self.class_prior_, mixtures, strict=True)
        return Mixture(
            np.concatenate([share * mixture.weights for share, mixture in shares]),
            tuple(part for mixture in mixtures for part in mixture.components),
        )

    def _rows(self, of_class: np.ndarray) -> list[np.ndarray]:
        return [np.flatnonzero(of_class == i) for i in range(len(self.classes_))]

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        if y is None:
            drawn = stream.choice(len(self.classes_), n_samples, p=self.class_prior_)
        else:
            drawn = label_numbers(y, n_samples, self.classes_)
        codes = np.empty((n_samples, self.n_features_in_))
        for prior, rows in zip(self.priors_, self._rows(drawn), strict=True):
            if len(rows):
                codes[rows] = draw(prior, len(rows), self.n_features_in_, None, stream)
        return codes

    def _offers_density(self) -> bool:
        # Whether there is one depends on the priors: `score_samples` says so.
        return True

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return logsumexp(self._log_joint(X), axis=1)

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        """Log of the share of each label times its density, (n, n_classes)."""
        if self.capabilities.gaussians:
            # Where codes vary in a subspace only, all labels have to agree on the rest.
            mixtures = [prior.mixture() for prior in self.priors_]
            floor = max(mixture.floor for mixture in mixtures)
            densities = [mixture.log_density(X, floor) for mixture in mixtures]
        else:
            densities = [prior.score_samples(X) for prior in self.priors_]
        return np.stack(densities, axis=1) + np.log(self.class_prior_)

    @available_if(lambda self: self._offers_density())
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Posterior probability of each label, by Bayes' rule.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes), float64
            In the order of ``classes_``. Where no label has a density, their shares.

        Raises
        ------
        TypeError
            If the prior has no density.
        """
        check_is_fitted(self)
        self.require("density", "predict_proba")
        codes = self._codes(X)
        if self.capabilities.gaussians:
            # What is outside the span would be divided by rounding.
            codes = self._span.project(codes)
        joint = self._log_joint(codes)
        joint[np.isneginf(joint).all(axis=1)] = np.log(self.class_prior_)
        return softmax(joint, axis=1)

    @available_if(lambda self: self._offers_density())
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Likeliest label of each row; takes and raises what `predict_proba` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.non_deterministic = depends_on_time(self.prior)
        return tags


def fit_of_label(
    prior: Prior,
    codes: np.ndarray,
    weights: np.ndarray | None,
    rows: np.ndarray,
    pool: Pool,
    synthesis: Synthesis | None,
) -> None:
    """Fit the prior of the label that these rows have, with what it borrows.

    The codes (n, K) and their weights (n,), which are positive or None, are those of
    all labels, as is the pool.
    """
    share = pool.share(rows)
    own, given = codes[rows], None if weights is None else weights[rows]
    if share == 0:
        fit_prior(prior, own, None, given, synthesis)
        return
    counts = pool.weights[rows]
    mean = counts @ own / counts.sum()
    if prior.capabilities.moments:
        covariance = np.cov(own.T, bias=True, aweights=counts).reshape(2 * mean.shape)
        mixed = (1 - share) * covariance + share * pool.covariance
        prior.fit_moments(mean, mixed, counts.sum() / (1 - share))
        try_draw(prior, len(mean))
        return
    extended = np.concatenate([own, mean + pool.residuals])
    if prior.capabilities.weights:
        given = np.concatenate([counts, pool.lent(share, counts.sum())])
    fit_prior(prior, extended, None, given, synthesis)
