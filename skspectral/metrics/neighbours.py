"""Metrics of nearest neighbours in feature space: fidelity, diversity and copies."""
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
    """Fractions of the samples that lie within the other set.

    Parameters
    ----------
    precision : float
        Fraction of the generated samples that lie within the real set, from 0 to 1.
    recall : float
        Fraction of the real samples that lie within the generated set, from 0 to 1.
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density and completeness of the generated samples around the real samples.

    Parameters
    ----------
    density : float
        Normalised mean number of real neighbourhoods that contain a generated sample, 0
        or more. It is about 1 for equal distributions, and larger if the generated
        samples concentrate where the real samples are dense.
    coverage : float
        Fraction of the real samples with a generated sample nearby, from 0 to 1.
    """

    density: float
    coverage: float


@validated(**_N_NEIGHBORS)
def precision_recall(
    X_real: ArrayLike, X_generated: ArrayLike, *, n_neighbors: int = 3
) -> PrecisionRecall:
    """Compute the improved precision and recall of generated samples.

    The region of a set is the union of balls around its samples. The radius of each
    ball is the distance to the k-th nearest neighbour in the same set. Precision is the
    fraction of generated samples in the region of the real set. Recall is the fraction
    of real samples in the region of the generated set (Kynkaanniemi et al. 2019).

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features of the real and of the generated samples. Each set needs more than
        ``n_neighbors`` samples.
    n_neighbors : int, default=3
        Number k of the neighbour that defines the radius, not counting the sample
        itself. The surface of a ball belongs to the ball. Larger values enlarge the
        regions, and thus both results.

    Returns
    -------
    fractions : PrecisionRecall
        Named tuple with the fields ``precision`` and ``recall``.

    Raises
    ------
    ValueError
        If a set does not have more than ``n_neighbors`` samples.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    See Also
    --------
    density_coverage : Similar measures that are less sensitive to outliers.

    Notes
    -----
    The cost is O((n + m)^2 d) for sets of n and m samples with d features. The
    distances are computed in blocks of a fixed size. Both results depend on the numbers
    of samples. Compare only results with the same numbers.

    An outlier has a large ball. A single outlier in the generated set can raise the
    recall by 0.5.

    References
    ----------
    T. Kynkaanniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019). Improved
    precision and recall metric for assessing generative models. NeurIPS.

    Examples
    --------
    Generated samples with half the spread lie within the real set, but do not fill it:

    >>> import numpy as np
    >>> from skspectral.metrics import precision_recall
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> narrow = precision_recall(X, Y / 2)
    >>> print(f"{narrow.precision:.1f} {narrow.recall:.1f}")
    1.0 0.2
    """
    real, generated = check_feature_sets(2, X_real=X_real, X_generated=X_generated)
    radii_real = _squared_radii(real, n_neighbors, "X_real")
    radii_generated = _squared_radii(generated, n_neighbors, "X_generated")
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
    """Compute the density and coverage of generated samples around real samples.

    The radius of the ball around each real sample is the distance to its k-th nearest
    real neighbour. Density is the mean number of balls that contain a generated sample,
    divided by k. Coverage is the fraction of balls that contain at least one generated
    sample (Naeem et al. 2020).

    Only real samples have balls. Outliers among the generated samples therefore do not
    increase the results.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features of the real and of the generated samples. More than ``n_neighbors``
        real samples are needed.
    n_neighbors : int, default=5
        Number k of the neighbour that defines the radius, not counting the sample
        itself. The surface of a ball belongs to the ball.

    Returns
    -------
    values : DensityCoverage
        Named tuple with the fields ``density`` and ``coverage``.

    Raises
    ------
    ValueError
        If there are not more than ``n_neighbors`` real samples.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    See Also
    --------
    precision_recall : Measures that are symmetric in the two sets.
    memorization_ratio : Test for copies, which have the best density and coverage.

    Notes
    -----
    The cost is O(n (n + m) d) for n real and m generated samples with d features. The
    distances are computed in blocks of a fixed size.

    For equal distributions, the expected density is 1. The expected coverage is
    ``1 - (1/2)^k`` for two large sets of the same size, and increases with the number
    of generated samples.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo (2020). Reliable fidelity and
    diversity metrics for generative models. ICML.

    Examples
    --------
    Generated samples with half the spread are dense, but cover fewer real samples:

    >>> import numpy as np
    >>> from skspectral.metrics import density_coverage
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> same, narrow = density_coverage(X, Y), density_coverage(X, Y / 2)
    >>> same.density < narrow.density, same.coverage > narrow.coverage
    (True, True)
    """
    real, generated = check_feature_sets(X_real=X_real, X_generated=X_generated)
    radii = _squared_radii(real, n_neighbors, "X_real")
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
    """Compare the distances of generated and of held-out samples to the training set.

    The ratio is the mean distance of the generated samples to their nearest training
    samples, divided by the same mean for held-out samples. About 1 means that generated
    samples are as new as held-out samples. A ratio far below 1 means copies, or samples
    near the centre of the data. A ratio above 1 means that generated samples are unlike
    the data.

    Most other metrics are best for a generator that stores the training set. Report
    this ratio together with them.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Features of all samples that the generator was fitted on.
    X_test : array-like of shape (n_test, n_features)
        Features of held-out samples from the same distribution. They must not be copies
        of samples in ``X_train``.
    X_generated : array-like of shape (n_generated, n_features)
        Features of generated samples.

    Returns
    -------
    ratio : float
        Ratio of the mean distances, 0 or more.

    Raises
    ------
    ValueError
        If all samples of ``X_test`` are also in ``X_train``.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the sets have different numbers of features.

    See Also
    --------
    authenticity : Fraction of generated samples that are not copies.

    Notes
    -----
    The cost is O((n_test + n_generated) n_train d) for d features, in blocks of a fixed
    size. Distances of near duplicates are exact. The ratio is a mean, so it does not
    reveal a few copies among many samples.

    Examples
    --------
    Independent samples have a ratio of about 1, copies have a ratio of 0:

    >>> import numpy as np
    >>> from skspectral.metrics import memorization_ratio
    >>> train, test, new = np.random.default_rng(0).normal(size=(3, 500, 8))
    >>> round(memorization_ratio(train, test, new), 1)
    1.0
    >>> memorization_ratio(train, test, train[:100])
    0.0
    """
    train, test, generated = check_feature_sets(
        X_train=X_train, X_test=X_test, X_generated=X_generated
    )
    test_distance, generated_distance = (
        np.sqrt(kth_nearest(X, train)).mean() for X in (test, generated)
    )
    if test_distance == 0:
        raise ValueError(
            "Every sample of X_test is also in X_train, so the mean distance of X_test "
            "is 0. Pass samples that were held out from the fit."
        )
    return float(generated_distance / test_distance)


def authenticity(X_train: ArrayLike, X_generated: ArrayLike) -> float:
    """Compute the fraction of generated samples that are no copies of training data.

    A generated sample counts as a copy if it is closer to its nearest training sample
    than every other training sample is. This measure detects single copies, which the
    mean of `memorization_ratio` does not reveal.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Features of all samples that the generator was fitted on, at least two.
    X_generated : array-like of shape (n_generated, n_features)
        Features of generated samples.

    Returns
    -------
    fraction : float
        Fraction of the generated samples that are not copies, from 0 to 1.

    Raises
    ------
    ValueError
        If there are fewer than two training samples.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    See Also
    --------
    memorization_ratio : Mean distance to the training set, beside held-out samples.

    Notes
    -----
    Held-out samples may count as copies, too, so even a perfect generator does not
    reach 1. For normal distributions, the fraction is about 0.4 in 2 dimensions and 0.6
    in 8 dimensions. Compare the result with ``authenticity(X_train, X_test)``. The
    result may be larger than this value.

    If a training sample occurs twice, only exact copies of it are detected.

    The cost is twice O(n_generated n_train d) for d features, in blocks of a fixed
    size. Distances of near duplicates are exact.

    References
    ----------
    A. M. Alaa, B. van Breugel, E. Saveliev, M. van der Schaar (2022). How faithful is
    your synthetic data? Sample-level metrics for evaluating and auditing generative
    models. ICML.

    Examples
    --------
    Training samples with little noise are detected as copies:

    >>> import numpy as np
    >>> from skspectral.metrics import authenticity
    >>> train, noise = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> authenticity(train, train + 0.01 * noise)
    0.0
    """
    train, generated = check_feature_sets(X_train=X_train, X_generated=X_generated)
    if len(train) < 2:
        raise ValueError(
            "X_train has one sample, but at least two are needed. Pass all samples "
            "that the generator was fitted on."
        )
    distance, copied = nearest(generated, train)
    originals, of_original = np.unique(copied, return_inverse=True)
    # The nearest neighbour of an original in the training set is the original itself.
    to_next = kth_nearest(train[originals], train, 2)
    return float(np.mean(distance > to_next[of_original]))


def _squared_radii(X: np.ndarray, n_neighbors: int, name: str) -> np.ndarray:
    """Return the squared radius of the ball around each sample."""
    if len(X) <= n_neighbors:
        raise ValueError(
            f"n_neighbors={n_neighbors} must be less than the {len(X)} samples of "
            f"{name}. Pass more samples or a smaller n_neighbors."
        )
    return kth_nearest(X, X, n_neighbors)
