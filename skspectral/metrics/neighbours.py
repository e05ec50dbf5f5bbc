"""Nearest neighbours in feature space: fidelity, diversity and copies."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._checks import check_feature_sets
from skspectral.metrics._distances import SquaredDistances, kth_nearest, nearest

_N_NEIGHBORS = {"n_neighbors": [Interval(Integral, 1, None, closed="left")]}


class PrecisionRecall(NamedTuple):
    """Shares of samples within the other set.

    Attributes
    ----------
    precision : float
        Share of the generated samples that are within the real set, in [0, 1].
    recall : float
        Share of the real samples that are within the generated set, in [0, 1].
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """How densely, and how completely, the real samples are surrounded.

    Attributes
    ----------
    density : float
        0 or more. About 1 for equal distributions, and more where the generated samples
        keep to where the real ones are dense.
    coverage : float
        Share of the real samples that have a generated one nearby, in [0, 1].
    """

    density: float
    coverage: float


@validated(**_N_NEIGHBORS)
def precision_recall(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 3
) -> PrecisionRecall:
    """Improved precision and recall: which samples are within the other set.

    A set is taken to fill the balls about its samples that reach to their k-th nearest
    neighbours of the same set. Precision is the share of generated samples in the real
    set's balls, recall that of real samples in the generated set's (Kynkaanniemi et al.
    2019).

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features, more samples than ``n_neighbors`` in each set.
    n_neighbors : int, default=3
        The k-th neighbour, not counting the sample itself, is at the ball's surface,
        which belongs to it.

    Returns
    -------
    shares : PrecisionRecall
        ``precision`` and ``recall``.

    Raises
    ------
    ValueError
        If a set has too few samples or is not finite, or the numbers of features
        differ.

    See Also
    --------
    density_coverage : The same questions, less sensitive to outliers.

    Notes
    -----
    Costs O((n + m)^2 d) for sets of n and m samples, in blocks of a fixed size. Both
    shares depend on the numbers of samples: compare only results of equal ones.

    An outlier has a large ball: one in the generated set can add half to the recall.

    References
    ----------
    T. Kynkaanniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019). Improved
    precision and recall metric for assessing generative models. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import precision_recall
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> timid = precision_recall(X, Y / 2)
    >>> print(f"{timid.precision:.1f} {timid.recall:.1f}")
    1.0 0.2
    """
    real, generated = check_feature_sets(2, X_real=X_real, X_generated=X_generated)
    radii_real = _radii(real, n_neighbors, "X_real")
    radii_generated = _radii(generated, n_neighbors, "X_generated")
    n_precise, recalled = 0, np.zeros(len(real), dtype=bool)
    distances = SquaredDistances(generated, real)
    for rows, block in distances.blocks():
        for radii in (radii_real, radii_generated[rows, None]):
            distances.correct_near_(rows, block, radii)
        n_precise += (block <= radii_real).any(axis=1).sum()
        recalled |= (block <= radii_generated[rows, None]).any(axis=0)
    precision = float(n_precise / len(generated))
    return PrecisionRecall(precision, float(recalled.mean()))


@validated(**_N_NEIGHBORS)
def density_coverage(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 5
) -> DensityCoverage:
    """Density and coverage: generated samples near the real ones.

    The real samples have balls that reach to their k-th nearest real neighbours.
    Density is the mean number of balls that a generated sample is in, divided by k.
    Coverage is the share of balls with a generated sample in them (Naeem et al. 2020).

    Only real samples have balls, so that an outlier of the generator does no harm.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features, with more real samples than ``n_neighbors``.
    n_neighbors : int, default=5
        As in `precision_recall`.

    Returns
    -------
    values : DensityCoverage
        ``density`` and ``coverage``.

    Raises
    ------
    ValueError
        As by `precision_recall`.

    See Also
    --------
    memorization_ratio : Copies of training samples cover them best.

    Notes
    -----
    Costs O(n (n + m) d) for n real and m generated samples, in blocks of a fixed size.

    Of equal distributions the density is 1 in expectation, and the coverage
    1 - (1/2)^k for two large sets of one size; it grows with the generated set.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo (2020). Reliable fidelity and
    diversity metrics for generative models. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import density_coverage
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> same, timid = density_coverage(X, Y), density_coverage(X, Y / 2)
    >>> same.density < timid.density, same.coverage > timid.coverage
    (True, True)
    """
    real, generated = check_feature_sets(X_real=X_real, X_generated=X_generated)
    radii = _radii(real, n_neighbors, "X_real")
    n_inside, covered = 0, np.zeros(len(real), dtype=bool)
    distances = SquaredDistances(generated, real)
    for rows, block in distances.blocks():
        distances.correct_near_(rows, block, radii)
        inside = block <= radii
        n_inside += inside.sum()
        covered |= inside.any(axis=0)
    density = n_inside / (n_neighbors * len(generated))
    return DensityCoverage(float(density), float(covered.mean()))


def memorization_ratio(
    X_train: ArrayLike, X_test: ArrayLike, X_generated: ArrayLike
) -> float:
    """How far generated samples are from the training set, in units of a test set.

    Mean distance of the generated samples to their nearest training samples, divided by
    that of held-out samples. About 1: as new as the test set is. Far below 1: copies,
    or samples that keep to the middle of the data. Above 1: unlike the data.

    Other metrics are best for a generator that stores the training set. Report this one
    beside them.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Features of what the generator was fitted on, all of it.
    X_test : array-like of shape (n_test, n_features)
        Features of samples that it was not fitted on, from the same distribution. They
        must not be in ``X_train`` too.
    X_generated : array-like of shape (n_generated, n_features)
        Features of generated samples.

    Returns
    -------
    ratio : float
        0 or more.

    Raises
    ------
    ValueError
        If all of ``X_test`` is in ``X_train``, a set is not finite, or the numbers of
        features differ.

    Notes
    -----
    Costs O((n_test + n_generated) n_train d), in blocks of a fixed size. Distances of
    near duplicates are exact. A mean hides a few copies among many samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import memorization_ratio
    >>> train, test, new = np.random.default_rng(0).normal(size=(3, 500, 8))
    >>> f"{memorization_ratio(train, test, new):.1f}"
    '1.0'
    >>> memorization_ratio(train, test, train[:100])
    0.0
    """
    train, test, generated = check_feature_sets(
        X_train=X_train, X_test=X_test, X_generated=X_generated
    )
    of_test, of_generated = (
        np.sqrt(kth_nearest(X, train)).mean() for X in (test, generated)
    )
    if of_test == 0:
        raise ValueError(
            "Every sample of X_test is in X_train too, so there is no distance to "
            "compare with. Pass samples that were held out."
        )
    return float(of_generated / of_test)


def authenticity(X_train: ArrayLike, X_generated: ArrayLike) -> float:
    """Share of generated samples that are no near copies of a training sample.

    A sample is a near copy if it is nearer to its nearest training sample than any
    other training sample is. Compare with the share of held-out samples: where the
    training set has samples that are near duplicates, or alone, that is below 1, and a
    generator may well be above it. Of a training sample that is there twice, only exact
    copies count as near.

    Shows copies that the mean of `memorization_ratio` hides.

    Parameters
    ----------
    X_train, X_generated
        As of `memorization_ratio`.

    Returns
    -------
    share : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If there are fewer than two training samples, a set is not finite, or the
        numbers of features differ.

    Notes
    -----
    Costs O(n_generated n_train d), twice, in blocks of a fixed size. Distances of near
    duplicates are exact.

    References
    ----------
    A. Alaa et al. (2022). How faithful is your synthetic data? Sample-level metrics for
    evaluating and auditing generative models.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import authenticity
    >>> train, noise = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> authenticity(train, train + 0.01 * noise)
    0.0
    """
    train, generated = check_feature_sets(X_train=X_train, X_generated=X_generated)
    if len(train) < 2:
        raise ValueError("X_train must have at least two samples, but it has one.")
    distance, copied = nearest(generated, train)
    originals, of_original = np.unique(copied, return_inverse=True)
    # The nearest of all is the original itself.
    to_next = kth_nearest(train[originals], train, 2)
    return float(np.mean(distance > to_next[of_original]))


def _radii(X: np.ndarray, n_neighbors: int, name: str) -> np.ndarray:
    """Squared radius of each sample's ball."""
    if len(X) <= n_neighbors:
        raise ValueError(
            f"n_neighbors={n_neighbors} must be less than the {len(X)} samples of "
            f"{name}."
        )
    return kth_nearest(X, X, n_neighbors)
