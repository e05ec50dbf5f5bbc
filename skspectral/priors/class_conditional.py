"""One prior per label."""
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
from skspectral.priors.labels import class_indices, without_gaps
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
    """One prior per label, together with the frequencies of the labels.

    ``sample`` draws for given labels, and `predict` classifies codes. If a label has
    few samples, its covariance is shrunk to the pooled covariance of all labels (see
    Notes).

    Parameters
    ----------
    prior : object or None, default=None
        Prior of each label: a `Prior`, or any object with ``fit(codes)`` and
        ``sample(n_samples)``. It is cloned once per label. None means `GaussianPrior`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Fraction of the samples per label. Sample weights are taken into account.
    priors_ : list of objects
        The fitted priors, in the order of ``classes_``.
    n_parameters_ : int
        Number of free parameters. It is set only if the priors of all labels have
        ``n_parameters_``.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    GaussianMixture : Several Gaussians, without labels.
    DiffusionPrior : A trained network, which can also draw for labels.

    Notes
    -----
    A covariance of full rank needs K + 1 samples. If a label has m < K + 1 samples, its
    covariance is a compromise, as in regularised discriminant analysis [1]_::

        (1 - a) C + a W,   a = 1 - m / (K + 1)

    C is the covariance of the label, and W the pooled covariance of the samples about
    the means of their labels. The mean is always that of the label. The draws of a
    label with a single sample therefore scatter about this sample.

    A prior that cannot be fitted from moments receives additional rows: the residuals
    of all samples about the means of their labels, added to the mean of this label.
    They are weighted so that they make up the fraction a of the total weight. If
    ``fit`` of the prior takes no weights, they are added without weights.

    With sample weights w, m is the effective sample size (sum w)^2 / sum w^2 [2]_,
    where the weights of equal rows are added first.

    References
    ----------
    .. [1] J. H. Friedman (1989). Regularized discriminant analysis. Journal of the
       American Statistical Association 84, 165-175.
    .. [2] L. Kish (1965). Survey sampling. Wiley.

    Examples
    --------
    Ten draws of the digit 3:

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
        """Fit one prior per label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,)
            Label of each sample.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.
        synthesis : Synthesis, default=None
            Map from codes to signals, which the estimator passes. It is passed on to
            the priors whose ``fit`` takes it.

        Returns
        -------
        self : ClassConditionalPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If ``y`` is None, has missing labels, or is continuous.
            If no label has two different rows.
            If the prior of a label cannot be fitted.
            If ``sample_weight`` is given and ``fit`` of the prior takes no weights.
        TypeError
            If ``prior`` has no ``fit`` or no ``sample``.
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
        # Rows of weight 0 must have no effect, not even on the set of labels.
        present = np.flatnonzero(weights)
        codes, weights = codes[present], weights[present]
        self.classes_, of_class = np.unique(labels[present], return_inverse=True)
        counts = np.bincount(of_class, weights=weights)
        self.class_prior_ = counts / counts.sum()
        self._span = Span.of(codes, weights)
        pool = Pool.of(codes, of_class, weights)
        weights_or_none = None if sample_weight is None else weights
        self.priors_ = []
        for label, rows in zip(self.classes_, self._rows(of_class), strict=True):
            prior = new_prior(self.prior, random_stream(None), None, weights_or_none)
            try:
                fit_of_label(prior, codes, weights_or_none, rows, pool, synthesis)
            except ValueError as error:
                raise ValueError(
                    f"The prior of label {label} cannot be fitted to the {len(rows)} "
                    f"samples with this label: {str(error).removesuffix('.')}. Remove "
                    "the samples of labels that are this rare, or pass another prior."
                ) from error
            self.priors_.append(prior)
        self.__dict__.pop("n_parameters_", None)
        if all(hasattr(prior, "n_parameters_") for prior in self.priors_):
            of_priors = sum(prior.n_parameters_ for prior in self.priors_)
            self.n_parameters_ = len(self.classes_) - 1 + of_priors
        return self

    def check(self, y: Any = None) -> None:
        """Raise an error if the inner prior or the labels cannot be used.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Labels that will be passed to ``fit``; None if there are no labels.

        Raises
        ------
        ValueError
            If a parameter of the inner prior is out of range.
            If labels are missing or continuous.
        TypeError
            If the inner prior has no ``fit`` or no ``sample``.
        """
        super().check(y)
        as_prior(self.prior).check()
        if y is not None:
            check_classification_targets(without_gaps(y))

    @property
    def name(self) -> str:
        """Name of the prior in error messages."""
        return f"{type(self).__name__} of {as_prior(self.prior).name}"

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities that the priors of all labels have, and labels."""
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
        """Return the Gaussians of all labels as one mixture.

        Returns
        -------
        mixture : skspectral.gaussian.Mixture
            The Gaussians of each label, with their weights multiplied by the fraction
            of the samples that have the label.

        Raises
        ------
        TypeError
            If the prior of a label is not made of Gaussians.
        """
        mixtures = [prior.mixture() for prior in self.priors_]
        pairs = zip(self.class_prior_, mixtures, strict=True)
        return Mixture(
            np.concatenate([fraction * mixture.weights for fraction, mixture in pairs]),
            tuple(part for mixture in mixtures for part in mixture.components),
        )

    def _rows(self, of_class: np.ndarray) -> list[np.ndarray]:
        return [np.flatnonzero(of_class == i) for i in range(len(self.classes_))]

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        if y is None:
            drawn = stream.choice(len(self.classes_), n_samples, p=self.class_prior_)
        else:
            drawn = class_indices(y, n_samples, self.classes_)
        codes = np.empty((n_samples, self.n_features_in_))
        for prior, rows in zip(self.priors_, self._rows(drawn), strict=True):
            if len(rows):
                codes[rows] = draw(prior, len(rows), self.n_features_in_, None, stream)
        return codes

    def _offers_density(self) -> bool:
        # `score_samples` itself raises a TypeError if a fitted prior has no density.
        return True

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return logsumexp(self._log_joint(X), axis=1)

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        """Return log p(label) + log p(codes | label), shape (n, n_classes)."""
        if self.capabilities.gaussians:
            # If codes vary only in a subspace, all labels need the same variance
            # outside of it. Otherwise rounding errors would decide between the labels.
            mixtures = [prior.mixture() for prior in self.priors_]
            floor = max(mixture.floor for mixture in mixtures)
            densities = [mixture.log_density(X, floor) for mixture in mixtures]
        else:
            densities = [prior.score_samples(X) for prior in self.priors_]
        return np.stack(densities, axis=1) + np.log(self.class_prior_)

    @available_if(lambda self: self._offers_density())
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the posterior probability of each label by Bayes' rule.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes), float64
            Probabilities in the order of ``classes_``. A row whose density is zero for
            all labels gets ``class_prior_``.

        Raises
        ------
        TypeError
            If the prior has no density.
        """
        check_is_fitted(self)
        self.require("density", "predict_proba")
        codes = self._codes(X)
        if self.capabilities.gaussians:
            # Outside the span of the codes of `fit` all variances are only rounding
            # errors, and deviations divided by them would decide the label.
            codes = self._span.project(codes)
        joint = self._log_joint(codes)
        joint[np.isneginf(joint).all(axis=1)] = np.log(self.class_prior_)
        return softmax(joint, axis=1)

    @available_if(lambda self: self._offers_density())
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the label with the highest posterior probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted label per row.

        Raises
        ------
        TypeError
            If the prior has no density.
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
    """Fit the prior of one label in place, with shrinkage to the pool of all labels.

    The codes (n, K), their weights (n,), which are positive or None, and the pool are
    those of all labels. ``rows`` holds the indices of the rows of this label.
    """
    fraction = pool.fraction(rows)
    own, own_weights = codes[rows], None if weights is None else weights[rows]
    if fraction == 0:
        fit_prior(prior, own, None, own_weights, synthesis)
        return
    counts = pool.weights[rows]
    mean = counts @ own / counts.sum()
    if prior.capabilities.moments:
        covariance = np.cov(own.T, bias=True, aweights=counts).reshape(2 * mean.shape)
        mixed = (1 - fraction) * covariance + fraction * pool.covariance
        prior.fit_moments(mean, mixed, counts.sum() / (1 - fraction))
        try_draw(prior, len(mean))
        return
    extended = np.concatenate([own, mean + pool.residuals])
    if prior.capabilities.weights:
        added = pool.weights_for(fraction, counts.sum())
        own_weights = np.concatenate([counts, added])
    fit_prior(prior, extended, None, own_weights, synthesis)
