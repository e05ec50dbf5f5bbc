"""Samples judged by classifiers: one of objects, or one of real and generated."""
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

# What the probabilities of a sample may lack to a sum of 1, as those of float16 do.
_TOLERANCE = 1e-3


class ClassifierScore(NamedTuple):
    """The score over parts of the samples.

    Attributes
    ----------
    mean : float
        From 1 to the number of classes.
    std : float
        Standard deviation over the parts.
    """

    mean: float
    std: float


@validated(n_splits=[Interval(Integral, 1, None, closed="left")])
def classifier_score(
    probabilities: ArrayLike, *, n_splits: int = 10
) -> ClassifierScore:
    """How sure a classifier is of each sample, and how varied its answers are.

    With p(y|x) its probabilities for a sample, and p(y) their mean::

        exp mean_x KL(p(y|x) || p(y))

    It is the Inception score (Salimans et al. 2016) if, and only if, the classifier is
    the Inception network of 2015, whose logits are taken without their biases.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Each row sums to 1. Of logits they are
        ``scipy.special.softmax(logits, axis=1)``.
    n_splits : int, default=10
        Consecutive parts that are scored by themselves. Samples that are sorted, as by
        class, are to be shuffled first.

    Returns
    -------
    score : ClassifierScore
        ``mean`` and ``std`` over the parts.

    Raises
    ------
    ValueError
        If a probability is negative, a row does not sum to 1, or there are fewer
        samples than parts.

    Notes
    -----
    Real samples do not enter: one perfect picture of each class has the best score.
    Parts of few samples score too low; compare only results of equal numbers.

    References
    ----------
    T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen (2016).
    Improved techniques for training GANs. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import softmax
    >>> from skspectral.metrics import classifier_score
    >>> logits = 50 * np.eye(4)[np.arange(100) % 4]
    >>> print(f"{classifier_score(softmax(logits, axis=1), n_splits=5).mean:.3f}")
    4.000
    """
    p = check_features(probabilities, "probabilities")
    if p.min() < 0:
        raise ValueError(
            f"probabilities has a negative entry, {p.min():.3g}. Pass "
            "scipy.special.softmax(logits, axis=1)."
        )
    sums = p.sum(axis=1, keepdims=True)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst, 0] - 1) > _TOLERANCE:
        raise ValueError(
            f"probabilities[{worst}] sums to {sums[worst, 0]:.4g} and not to 1. Pass "
            "scipy.special.softmax(logits, axis=1)."
        )
    if len(p) < n_splits:
        raise ValueError(
            f"n_splits={n_splits} is more than the {len(p)} samples of probabilities."
        )
    edges = np.arange(1, n_splits) * len(p) // n_splits
    scores = [np.exp(_information(part)) for part in np.split(p / sums, edges)]
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
    """Held-out accuracy of a classifier that tells real from generated samples.

    0.5: it cannot tell them apart. 1: it always can. The classifier two-sample test of
    Lopez-Paz and Oquab (2017), cross-validated, on equally many samples of both sets.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features. Of the larger set a random subset is used, as large as the other.
    classifier : scikit-learn classifier or None, default=None
        It is cloned, and seeded if it has no seed. None is a logistic regression on
        standardised features, which sees a difference of means only: a forest or a
        network sees more.
    cv : int, default=5
        Number of folds, shuffled and stratified.
    random_state : int, RandomState instance or None, default=None
        Seed of the subset, the folds and the classifier.

    Returns
    -------
    accuracy : float
        In [0, 1].

    Raises
    ------
    ValueError
        If a set has fewer samples than ``cv``, or is not finite, or the numbers of
        features differ.

    Notes
    -----
    For equal distributions the result is near 0.5 by a standard error of about
    1 / sqrt(8 n), with n the size of the smaller set.

    Below 0.5 by more than that, look for copies: a real sample and its copy are
    labelled differently, so that a classifier that has learnt one is wrong about the
    other.

    References
    ----------
    D. Lopez-Paz, M. Oquab (2017). Revisiting classifier two-sample tests. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import classifier_two_sample_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 4))
    >>> f"{classifier_two_sample_score(X, Y, random_state=0):.1f}"
    '0.5'
    >>> classifier_two_sample_score(X, Y + 3, random_state=0) > 0.95
    True
    """
    sets = check_feature_sets(X_real=X_real, X_generated=X_generated)
    n = min(len(X) for X in sets)
    if n < cv:
        raise ValueError(
            f"cv={cv} folds need as many samples in each set, but X_real has "
            f"{len(sets[0])} and X_generated {len(sets[1])}."
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
    # A classifier may be a network.
    with training_mode():
        scores = cross_val_score(
            classifier, X, y, cv=folds, scoring="accuracy", error_score="raise"
        )
    return float(scores.mean())


def _information(p: np.ndarray) -> float:
    """Mean of KL(p(y|x) || p(y)) in nats, as a difference of entropies.

    As a sum over log(p / mean) it would be infinite where a mean of tiny probabilities
    underflows.
    """
    mean = p.mean(axis=0)
    return float(xlogy(p, p).sum() / len(p) - xlogy(mean, mean).sum())
