"""Number of statistically different bins: a histogram of clusters."""
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
    """Differences between two histograms.

    Attributes
    ----------
    different : float
        Share of the bins with a significant difference, in [0, 1]. About ``alpha`` for
        equal distributions.
    js_divergence : float
        Jensen-Shannon divergence of the histograms in nats, in [0, log 2]. Positive
        even for equal distributions, by about n_bins (1/n + 1/m) / 8.
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
    """Share of bins in which training and generated samples differ significantly.

    The bins are the cells of k-means on the training samples. In each the shares p and
    q of the two sets, of n and m samples, are compared by the test of two
    proportions::

        z = (p - q) / sqrt(r (1 - r) (1/n + 1/m)),     r the share of both together

    and differ where the two-sided probability of z is below ``alpha``: the NDB/K of
    Richardson and Weiss (2018). It needs no network: pixels and signals will do.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        At least ``n_bins`` samples.
    X_generated : array-like of shape (n_generated, n_features)
        Generated samples, or held-out ones to see what a perfect generator has.
    n_bins : int, default=100
        Number of clusters.
    alpha : float, default=0.05
        Level of the tests, and so about the result for equal distributions.
    random_state : int, RandomState instance or None, default=None
        Seed of k-means.

    Returns
    -------
    score : NDBScore
        ``different`` and ``js_divergence``.

    Raises
    ------
    ValueError
        If there are fewer training samples than bins, a set is not finite, or the
        numbers of features differ.

    Notes
    -----
    More samples find smaller differences: compare only results of equal numbers of
    samples and bins. The test wants some ten samples in a bin. Bins that are empty in
    both sets, as for duplicates, are left out, and k-means warns of them.

    K-means goes by Euclidean distance: features of large variance decide.

    References
    ----------
    E. Richardson, Y. Weiss (2018). On GANs and GMMs. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import ndb_score
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 2000, 4))
    >>> same, shifted = (ndb_score(X, Z, n_bins=20, random_state=0) for Z in (Y, Y + 1))
    >>> same.different < 0.2, shifted.different > 0.5
    (True, True)
    """
    train, generated = check_feature_sets(X_train=X_train, X_generated=X_generated)
    if len(train) < n_bins:
        raise ValueError(
            f"n_bins={n_bins} is more than the {len(train)} samples of X_train. Pass "
            "fewer bins, about a tenth of the samples or less."
        )
    seed = draw_seed(random_stream(random_state))
    clusters = KMeans(n_bins, random_state=seed).fit(train)
    labels = clusters.labels_, clusters.predict(generated)
    counts = np.array([np.bincount(each, minlength=n_bins) for each in labels])
    return _compare(counts[:, counts.any(axis=0)], alpha)


def _compare(counts: np.ndarray, alpha: float) -> NDBScore:
    """Score of the counts (2, n_bins) of two sets, no bin empty in both."""
    totals = counts.sum(axis=1)
    p, q = counts / totals[:, None]
    pooled = counts.sum(axis=0) / totals.sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / totals).sum())
    # A product, as one bin with everything in it has no error, and no difference.
    different = np.abs(p - q) > norm.isf(alpha / 2) * error
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2
    return NDBScore(float(different.mean()), float(divergence))
