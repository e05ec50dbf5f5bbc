"""Scores from classifiers.

`classifier_score` uses a classifier of objects, `classifier_two_sample_score` a
classifier that separates real from generated samples.
"""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral._device import training_mode
from skspectral._random import draw_seed, random_stream, seed_unseeded
from skspectral._sklearn_compat import HasMethods, Interval, validated
from skspectral.metrics._checks import check_feature_sets, check_features

# Tolerance for the sum of a sample's probabilities, which float16 rounds.
_TOLERANCE = 1e-3


class ClassifierScore(NamedTuple):
    """Mean and spread of a score over parts of the samples.

    Parameters
    ----------
    mean : float
        Mean of the score over the parts, from 1 to the number of classes.
    std : float
        Standard deviation of the score over the parts.
    """

    mean: float
    std: float


@validated(n_splits=[Interval(Integral, 1, None, closed="left")])
def classifier_score(
    probabilities: ArrayLike, *, n_splits: int = 10
) -> ClassifierScore:
    """Compute the Inception score from the probabilities of a classifier.

    The score is high if the classifier is certain about every sample and if its
    predictions vary between samples. With the probabilities p(y|x) for a sample x and
    their mean p(y) over the samples, the score is::

        exp(mean_x KL(p(y|x) || p(y)))

    The score may be called "Inception score" (Salimans et al. 2016) only if the
    classifier is the Inception network of 2015, with logits without their biases
    (`inception_extractor`).

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Probabilities of the classes for each sample. Each row sums to 1. Convert logits
        by ``scipy.special.softmax(logits, axis=1)``.
    n_splits : int, default=10
        Number of consecutive parts of the samples. A score is computed for each part.
        Shuffle the samples first if they are sorted, for example by class.

    Returns
    -------
    score : ClassifierScore
        Named tuple with the fields ``mean`` and ``std``: the mean and the standard
        deviation of the score over the parts.

    Raises
    ------
    ValueError
        If a probability is negative or not finite.
    ValueError
        If a row does not sum to 1.
    ValueError
        If there are fewer samples than parts.

    Notes
    -----
    The score does not use real samples: a generator with one perfect image per class
    has the highest score. The score of small parts is biased downwards. Compare only
    scores with the same numbers of samples and parts.

    References
    ----------
    T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen (2016).
    Improved techniques for training GANs. NeurIPS.

    Examples
    --------
    Four classes, each predicted with certainty for a quarter of the samples:

    >>> import numpy as np
    >>> from scipy.special import softmax
    >>> from skspectral.metrics import classifier_score
    >>> logits = 50 * np.eye(4)[np.arange(100) % 4]
    >>> score = classifier_score(softmax(logits, axis=1), n_splits=5)
    >>> round(score.mean, 3)
    4.0
    """
    p = check_features(probabilities, "probabilities")
    if p.min() < 0:
        raise ValueError(
            f"probabilities has a negative entry, {p.min():.3g}. If these are logits, "
            "pass scipy.special.softmax(logits, axis=1)."
        )
    sums = p.sum(axis=1, keepdims=True)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst, 0] - 1) > _TOLERANCE:
        raise ValueError(
            f"probabilities[{worst}] sums to {sums[worst, 0]:.4g}, but each row must "
            "sum to 1. If these are logits, pass scipy.special.softmax(logits, axis=1)."
        )
    if len(p) < n_splits:
        raise ValueError(
            f"n_splits={n_splits} is more than the {len(p)} samples of probabilities. "
            f"Pass n_splits={len(p)} or less."
        )
    edges = np.arange(1, n_splits) * len(p) // n_splits
    scores = [np.exp(_mutual_information(part)) for part in np.split(p / sums, edges)]
    return ClassifierScore(float(np.mean(scores)), float(np.std(scores)))


@validated(
    classifier=[HasMethods(["fit", "predict"]), None],
    cv=[Interval(Integral, 2, None, closed="left")],
    random_state=["random_state"],
)
def classifier_two_sample_score(
    X_real: ArrayLike,
    X_generated: ArrayLike,
    *,
    classifier: Any = None,
    cv: int = 5,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Compute the accuracy of a classifier that separates real from generated samples.

    An accuracy of 0.5 means that the classifier cannot separate the sets; 1 means that
    it always can. The score is the classifier two-sample test of Lopez-Paz and Oquab
    (2017), with cross-validation and the same number of samples from both sets.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features of the real and of the generated samples. From the larger set, a random
        subset with the size of the smaller set is used.
    classifier : scikit-learn classifier or None, default=None
        Classifier to train. A clone is fitted, with a seed if its ``random_state`` is
        None. None means a logistic regression on standardised features. It detects only
        a difference between means; a random forest or a neural network detects more.
    cv : int, default=5
        Number of folds of the cross-validation, at least 2. The folds are shuffled and
        stratified.
    random_state : int, RandomState instance or None, default=None
        Seed of the random subset, the folds and the classifier. Pass an int for
        reproducible results.

    Returns
    -------
    accuracy : float
        Mean accuracy over the held-out folds, from 0 to 1.

    Raises
    ------
    ValueError
        If a set has fewer samples than ``cv``.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    Notes
    -----
    For equal distributions, the accuracy is about 0.5 with a standard error of about
    ``1 / sqrt(8 n)``, where n is the size of the smaller set.

    An accuracy clearly below 0.5 indicates copies. A real sample and its generated copy
    have different labels, so a classifier that has learned the label of one of them
    predicts the wrong label for the other.

    References
    ----------
    D. Lopez-Paz, M. Oquab (2017). Revisiting classifier two-sample tests. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import classifier_two_sample_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 4))
    >>> round(classifier_two_sample_score(X, Y, random_state=0), 1)
    0.5
    >>> classifier_two_sample_score(X, Y + 3, random_state=0) > 0.95
    True
    """
    sets = check_feature_sets(X_real=X_real, X_generated=X_generated)
    n = min(len(X) for X in sets)
    if n < cv:
        raise ValueError(
            f"cv={cv} folds need at least {cv} samples in each set, but X_real has "
            f"{len(sets[0])} and X_generated has {len(sets[1])}. Pass more samples or "
            "a smaller cv."
        )
    stream = random_stream(random_state)
    X = np.concatenate(
        [part[stream.choice(len(part), n, replace=False)] for part in sets]
    )
    y = np.repeat([0, 1], n)
    if classifier is None:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier = clone(classifier)
    seed_unseeded(classifier, stream)
    folds = StratifiedKFold(cv, shuffle=True, random_state=draw_seed(stream))
    # The classifier may be a neural network that is trained by torch.
    with training_mode():
        scores = cross_val_score(
            classifier, X, y, cv=folds, scoring="accuracy", error_score="raise"
        )
    return float(scores.mean())


def _mutual_information(p: np.ndarray) -> float:
    """Return the mean of KL(p(y|x) || p(y)) in nats, as a difference of entropies.

    The sum over ``log(p / mean)`` would be infinite if a mean of tiny probabilities
    underflows.
    """
    mean = p.mean(axis=0)
    return float(xlogy(p, p).sum() / len(p) - xlogy(mean, mean).sum())
