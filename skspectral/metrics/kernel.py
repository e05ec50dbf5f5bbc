"""Kernel distance: the unbiased squared maximum mean discrepancy between features."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._checks import check_feature_sets

# Number of kernel values in memory at once: 64 MiB.
_BLOCK_SIZE = 2**23
# Function from inner products to kernel values.
Kernel = Callable[[np.ndarray], np.ndarray]


class KernelDistance(NamedTuple):
    """Squared maximum mean discrepancy over random subsets.

    Parameters
    ----------
    mean : float
        Mean over the subsets. Its expectation is 0 for equal distributions, so the
        value may be negative.
    std : float
        Standard deviation over the subsets. It describes the spread of the values of
        single subsets, not the uncertainty of ``mean``.
    """

    mean: float
    std: float


@validated(
    n_subsets=[Interval(Integral, 1, None, closed="left")],
    subset_size=[Interval(Integral, 2, None, closed="left")],
    degree=[Interval(Integral, 1, None, closed="left")],
    gamma=[Interval(Real, 0, None, closed="neither"), None],
    coef0=[Interval(Real, 0, None, closed="left")],
    random_state=["random_state"],
)
def kernel_distance(
    X_real: ArrayLike,
    X_generated: ArrayLike,
    *,
    n_subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> KernelDistance:
    """Compute the unbiased squared maximum mean discrepancy with a polynomial kernel.

    For m samples x of one set and m samples y of the other set, the distance is::

        sum_{i != j} [k(x_i, x_j) + k(y_i, y_j)] / (m (m - 1))
            - 2 sum_{i, j} k(x_i, y_j) / m^2,     k(x, y) = (gamma x'y + coef0)^degree

    (Gretton et al. 2012). It is averaged over pairs of random subsets. With the default
    parameters and the features of `inception_extractor`, it is the kernel Inception
    distance, KID (Binkowski et al. 2018).

    Unlike the Frechet distance, its expectation does not depend on the number of
    samples. With ``degree=3``, it depends on the first three moments of the features.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
        Features of the real and of the generated samples, at least ``subset_size``
        samples each.
    n_subsets : int, default=100
        Number of pairs of subsets. More subsets reduce the variance of the mean.
    subset_size : int, default=1000
        Number of samples per subset, at least 2, drawn without replacement. If this is
        the size of both sets, ``n_subsets=1`` is enough.
    degree : int, default=3
        Degree of the kernel. With 1, only means are compared. With 2 and a positive
        ``coef0``, covariances are compared, too.
    gamma : float or None, default=None
        Positive factor of the inner products in the kernel. None means
        ``1 / n_features``.
    coef0 : float, default=1.0
        Constant of the kernel, 0 or more.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsets. Pass an int for reproducible results.

    Returns
    -------
    distance : KernelDistance
        Named tuple with the fields ``mean`` and ``std``: the mean and the standard
        deviation over the subsets. Negative values are not clipped.

    Raises
    ------
    ValueError
        If a set has fewer than ``subset_size`` samples.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.

    See Also
    --------
    frechet_distance : Distance of the first two moments of the features.

    Notes
    -----
    The cost is O(n_subsets * subset_size^2 * n_features). The memory is limited to
    blocks of 64 MiB.

    The distance changes if the features are scaled or shifted. Compare only values for
    features of the same extractor.

    References
    ----------
    A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schoelkopf, A. Smola (2012). A kernel
    two-sample test. Journal of Machine Learning Research 13.

    M. Binkowski, D. J. Sutherland, M. Arbel, A. Gretton (2018). Demystifying MMD GANs.
    ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import kernel_distance
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 8))
    >>> options = {"n_subsets": 10, "subset_size": 200, "random_state": 0}
    >>> same = kernel_distance(X, Y, **options)
    >>> shifted = kernel_distance(X, Y + 1, **options)
    >>> abs(same.mean) < 0.05, shifted.mean > 5
    (True, True)
    """
    real, generated = check_feature_sets(2, X_real=X_real, X_generated=X_generated)
    for name, X in (("X_real", real), ("X_generated", generated)):
        if len(X) < subset_size:
            raise ValueError(
                f"subset_size={subset_size} is more than the {len(X)} samples of "
                f"{name}. Pass subset_size={min(len(real), len(generated))} or less."
            )
    gamma = 1 / real.shape[1] if gamma is None else gamma
    kernel = partial(_polynomial_kernel, degree=degree, gamma=gamma, coef0=coef0)
    stream = random_stream(random_state)
    values = []
    for _ in range(n_subsets):
        X, Y = (
            Z[stream.choice(len(Z), subset_size, replace=False)]
            for Z in (real, generated)
        )
        values.append(_discrepancy(X, Y, kernel))
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def _discrepancy(X: np.ndarray, Y: np.ndarray, kernel: Kernel) -> float:
    """Return the unbiased estimate from two sets with the same number of rows."""
    m = len(X)
    within = 0.0
    for Z in (X, Y):
        within += _kernel_sum(Z, Z, kernel) - float(kernel((Z**2).sum(axis=1)).sum())
    return within / (m * (m - 1)) - 2 * _kernel_sum(X, Y, kernel) / m**2


def _kernel_sum(X: np.ndarray, Y: np.ndarray, kernel: Kernel) -> float:
    """Return the sum of k(x, y) over all pairs of rows."""
    batches = gen_batches(len(X), max(1, _BLOCK_SIZE // len(Y)))
    return sum(float(kernel(X[rows] @ Y.T).sum()) for rows in batches)


def _polynomial_kernel(
    products: np.ndarray, degree: int, gamma: float, coef0: float
) -> np.ndarray:
    """Return the kernel values for inner products, which are overwritten."""
    products *= gamma
    products += coef0
    values = products.copy()
    # Repeated products are several times faster than a power.
    for _ in range(degree - 1):
        values *= products
    return values
