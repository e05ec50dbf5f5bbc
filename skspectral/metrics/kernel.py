"""Kernel distance: the unbiased squared maximum mean discrepancy of features."""
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

# Kernel values that are held at once: 64 MiB.
_BLOCK_SIZE = 2**23
# Of inner products.
Kernel = Callable[[np.ndarray], np.ndarray]


class KernelDistance(NamedTuple):
    """Squared maximum mean discrepancy over random subsets.

    Attributes
    ----------
    mean : float
        Estimate; its expectation is 0 for equal distributions, so that it may be
        negative.
    std : float
        Standard deviation over the subsets: the spread of one subset's value, not the
        uncertainty of the mean.
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
    """Unbiased squared maximum mean discrepancy with a polynomial kernel.

    For m samples x of one set and m samples y of the other::

        sum_{i != j} [k(x_i, x_j) + k(y_i, y_j)] / (m (m - 1))
            - 2 sum_{i, j} k(x_i, y_j) / m^2,     k(x, y) = (gamma x'y + coef0)^degree

    (Gretton et al. 2012), over random subsets of both sets. With the defaults and
    Inception features it is the kernel Inception distance (Binkowski et al. 2018).

    Unlike the Frechet distance it does not depend on the number of samples, but for its
    spread, and with degree 3 it sees the first three moments.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features)
    n_subsets : int, default=100
        Number of pairs of subsets.
    subset_size : int, default=1000
        Samples of a subset, drawn without replacement. With as many as there are in
        both sets, one subset is enough.
    degree : int, default=3
        Power in the kernel. With 1 only means are compared, with 2 and a positive
        ``coef0`` also covariances.
    gamma : float or None, default=None
        Factor in the kernel. None is 1 / n_features.
    coef0 : float, default=1.0
        Constant in the kernel.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsets.

    Returns
    -------
    distance : KernelDistance
        ``mean`` and ``std`` over the subsets, not clipped at 0.

    Raises
    ------
    ValueError
        If a set has fewer samples than ``subset_size``, or is not finite, or the
        numbers of features differ.

    See Also
    --------
    frechet_distance : Of two moments, in units that are easier to read.

    Notes
    -----
    Costs O(n_subsets * subset_size^2 * n_features), in little memory.

    The kernel is not invariant to scaling or shifting the features: values compare only
    for one extractor.

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
    >>> same, shifted = (kernel_distance(X, Z, **options) for Z in (Y, Y + 1))
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
    kernel = partial(_polynomial, degree=degree, gamma=gamma, coef0=coef0)
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
    """Unbiased estimate from equally many rows."""
    m = len(X)
    within = 0.0
    for Z in (X, Y):
        within += _sum(Z, Z, kernel) - float(kernel((Z**2).sum(axis=1)).sum())
    return within / (m * (m - 1)) - 2 * _sum(X, Y, kernel) / m**2


def _sum(X: np.ndarray, Y: np.ndarray, kernel: Kernel) -> float:
    """Sum of k(x, y) over all pairs."""
    batches = gen_batches(len(X), max(1, _BLOCK_SIZE // len(Y)))
    return sum(float(kernel(X[rows] @ Y.T).sum()) for rows in batches)


def _polynomial(
    products: np.ndarray, degree: int, gamma: float, coef0: float
) -> np.ndarray:
    """Kernel values of inner products, which are overwritten."""
    products *= gamma
    products += coef0
    values = products.copy()
    # Several times as fast as a power.
    for _ in range(degree - 1):
        values *= products
    return values
