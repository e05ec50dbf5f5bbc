"""Number of statistically different bins: a comparison of histograms over clusters."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr
from scipy.stats import norm
from sklearn.cluster import KMeans

from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._checks import check_feature_sets


class NDBScore(NamedTuple):
    """Differences between the histograms of training and generated samples.

    Parameters
    ----------
    different : float
        Fraction of the bins with a significant difference, from 0 to 1. Equal
        distributions have about ``alpha``, the level of the tests.
    js_divergence : float
        Jensen-Shannon divergence between the two histograms in nats, from 0 to log 2.
        The value is positive even for two sets of n and m samples from the same
        distribution: about ``n_bins * (1/n + 1/m) / 8``.
    """

    different: float
    js_divergence: float


@validated(
    n_bins=[Interval(Integral, 2, None, closed="left")],
    alpha=[Interval(Real, 0, 1, closed="neither")],
    random_state=["random_state"],
)
def ndb_score(
    X_train: ArrayLike,
    X_generated: ArrayLike,
    *,
    n_bins: int = 100,
    alpha: float = 0.05,
    random_state: int | np.random.RandomState | None = None,
) -> NDBScore:
    """Count the bins in which training and generated samples differ significantly.

    The bins are the clusters that k-means finds in the training samples. In each bin,
    the test of two proportions compares the fraction p of the n training samples with
    the fraction q of the m generated samples::

        z = (p - q) / sqrt(r (1 - r) (1/n + 1/m))

    Here r is the fraction of all n + m samples that lie in the bin. The bin counts as
    different if the two-sided probability of z is below ``alpha``. The fraction of
    different bins is the score "NDB/K" of Richardson and Weiss (2018). Pixels and
    signals can be compared directly, without the features of a neural network.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Training samples, at least ``n_bins`` of them.
    X_generated : array-like of shape (n_generated, n_features)
        Generated samples. Pass held-out samples to see the score of a perfect
        generator.
    n_bins : int, default=100
        Number of clusters. Choose about a tenth of the number of samples or less.
    alpha : float, default=0.05
        Significance level of the tests, between 0 and 1. Equal distributions have about
        this fraction of different bins.
    random_state : int, RandomState instance or None, default=None
        Seed of k-means. Pass an int for reproducible results.

    Returns
    -------
    score : NDBScore
        Named tuple with the fields ``different``, the fraction of different bins, and
        ``js_divergence``, the divergence between the histograms.

    Raises
    ------
    ValueError
        If ``X_train`` has fewer than ``n_bins`` samples.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    Notes
    -----
    Larger sets reveal smaller differences. Compare only scores with the same numbers of
    samples and bins. The test needs about ten samples per bin. Bins that are empty in
    both sets are ignored. They occur if there are fewer distinct training samples than
    bins; k-means then raises a warning.

    k-means uses Euclidean distances, so features of large variance determine the
    clusters.

    References
    ----------
    E. Richardson, Y. Weiss (2018). On GANs and GMMs. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import ndb_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 2000, 4))
    >>> same = ndb_score(X, Y, n_bins=20, random_state=0)
    >>> shifted = ndb_score(X, Y + 1, n_bins=20, random_state=0)
    >>> same.different < 0.2, shifted.different > 0.5
    (True, True)
    """
    train, generated = check_feature_sets(X_train=X_train, X_generated=X_generated)
    if len(train) < n_bins:
        raise ValueError(
            f"n_bins={n_bins} is more than the {len(train)} samples of X_train. Pass "
            f"n_bins={max(2, len(train) // 10)}, a tenth of the samples, or less."
        )
    seed = draw_seed(random_stream(random_state))
    clusters = KMeans(n_bins, random_state=seed).fit(train)
    labels = clusters.labels_, clusters.predict(generated)
    counts = np.array([np.bincount(each, minlength=n_bins) for each in labels])
    return _compare(counts[:, counts.any(axis=0)], alpha)


def _compare(counts: np.ndarray, alpha: float) -> NDBScore:
    """Score two histograms.

    ``counts`` has shape (2, n_bins), without bins that are empty in both histograms.
    """
    totals = counts.sum(axis=1)
    p, q = counts / totals[:, None]
    pooled = counts.sum(axis=0) / totals.sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / totals).sum())
    # Do not divide by the error: it is zero for a bin that contains all samples.
    different = np.abs(p - q) > norm.isf(alpha / 2) * error
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2
    return NDBScore(float(different.mean()), float(divergence))
