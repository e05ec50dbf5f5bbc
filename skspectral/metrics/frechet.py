"""Frechet distance between Gaussian distributions fitted to two sets of features."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svdvals

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._checks import check_feature_sets, check_features, check_widths

# Tolerance for asymmetric covariances, as a fraction of the largest entry, and for
# negative eigenvalues and distances, as a fraction of the trace. Rounding of statistics
# that are stored in float32 comes close to this tolerance.
_TOLERANCE = 1e-4

Statistics = tuple[np.ndarray, np.ndarray]


def frechet_distance(
    X_real: ArrayLike | tuple[ArrayLike, ArrayLike],
    X_generated: ArrayLike | tuple[ArrayLike, ArrayLike],
) -> float:
    """Compute the squared Frechet distance between Gaussians fitted to two sets.

    With the means m and the unbiased covariances S of the real set (1) and the
    generated set (2), the distance is::

        |m_1 - m_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1 S_2)^(1/2)

    This is the squared 2-Wasserstein distance between the two Gaussians (Dowson and
    Landau 1982). It depends only on the means and covariances of the features.

    The distance may be called FID (Heusel et al. 2017) only if the features are those
    of the Inception network of 2015, computed from images resized as in that work.
    For other features, report the extractor together with the distance.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features) or tuple
        Features of the real and of the generated samples, at least two samples each.
        Alternatively, a tuple ``(mean, covariance)`` of arrays with shapes
        (n_features,) and (n_features, n_features), for a set whose statistics were
        computed before.

    Returns
    -------
    distance : float
        Squared distance, 0 or more, in squared units of the features.

    Raises
    ------
    ValueError
        If a set has fewer than two samples, or contains NaN or infinite values.
    ValueError
        If the two sets have different numbers of features.
    ValueError
        If a covariance is not symmetric and positive semi-definite.
    ArithmeticError
        If the distance is negative by more than rounding explains.

    See Also
    --------
    frechet_distance_infinity : Distance without the bias of a finite generated set.
    kernel_distance : Unbiased distance that also depends on the third moments.

    Notes
    -----
    The distance is biased upwards: for two sets of n samples from the same
    distribution, it decreases like 1/n. Compare only distances with the same n and the
    same real set.

    The cost is O(n d^2 + d^3) for d features. If a set has fewer samples than features,
    the trace of the matrix square root is the sum of the singular values of A B', where
    the scaled, centred features A and B satisfy A'A = S_1 and B'B = S_2. In this case,
    no covariance is formed, and the distance between equal sets is 0 up to rounding.
    Otherwise, the trace follows from two symmetric eigenvalue problems. Its error is
    then about 1e-8 times the largest variance for each direction without variance.

    References
    ----------
    D. C. Dowson, B. V. Landau (1982). The Frechet distance between multivariate normal
    distributions. Journal of Multivariate Analysis 12.

    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter (2017). GANs
    trained by a two time-scale update rule converge to a local Nash equilibrium.
    NeurIPS.

    Examples
    --------
    A shift of each of the 8 features by 1 is a squared distance of 8:

    >>> import numpy as np
    >>> from skspectral.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(1000, 8))
    >>> round(frechet_distance(X, X + 1), 6)
    8.0

    The statistics of a real set can be stored and used again. Published files use the
    names ``mu`` and ``sigma``:

    >>> import io
    >>> file = io.BytesIO()  # or a path that ends in .npz
    >>> np.savez(file, mu=X.mean(axis=0), sigma=np.cov(X, rowvar=False))
    >>> _ = file.seek(0)
    >>> with np.load(file) as stored:
    ...     reference = stored["mu"], stored["sigma"]
    >>> round(frechet_distance(reference, X + 1), 6)
    8.0
    """
    real, generated = _check_two_sets(X_real, X_generated)
    if (
        not isinstance(real, tuple)
        and not isinstance(generated, tuple)
        and min(len(real), len(generated)) < _n_features(real)
    ):
        return _from_factors(real, generated)
    reference = _mean_and_covariance(real)
    return _from_statistics(
        reference, _square_root_factor(reference[1]), *_mean_and_covariance(generated)
    )


@validated(
    n_points=[Interval(Integral, 2, None, closed="left")],
    min_samples=[Interval(Integral, 2, None, closed="left"), None],
    random_state=["random_state"],
)
def frechet_distance_infinity(
    X_real: ArrayLike | tuple[ArrayLike, ArrayLike],
    X_generated: ArrayLike,
    *,
    n_points: int = 15,
    min_samples: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Estimate the Frechet distance for an infinite number of generated samples.

    With N generated samples, the expected distance is about ``a + b / N``. The line is
    fitted by least squares to the distances of random subsets whose sizes N are evenly
    spaced; the largest subset contains all samples. The result is the intercept a
    (Chong and Forsyth 2020).

    The bias from the size of the real set remains. Therefore, the results of several
    generators are comparable if they use the same real set, even if the numbers of
    generated samples differ.

    Parameters
    ----------
    X_real : array-like of shape (n_samples, n_features) or tuple
        Features of the real samples, or their statistics as a tuple
        ``(mean, covariance)``, as in `frechet_distance`.
    X_generated : array-like of shape (n_samples, n_features)
        Features of the generated samples. At least twice as many samples as features
        are needed.
    n_points : int, default=15
        Number of subsets, at least 2.
    min_samples : int or None, default=None
        Number of samples of the smallest subset. None means a tenth of all samples, or
        four times the number of features if this is more, but at most half of the
        samples. With few samples per feature, the distance is not a linear function of
        1/N.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsets. Pass an int for reproducible results.

    Returns
    -------
    distance : float
        Estimated squared distance. It may be negative if the distance is small. It is
        not clipped at 0, so that the mean over several seeds has no additional bias.

    Raises
    ------
    ValueError
        If there are fewer than two generated samples per feature.
    ValueError
        If ``min_samples`` is not less than the number of generated samples.
    ValueError
        If a set is invalid for `frechet_distance`.

    See Also
    --------
    frechet_distance : Distance of the given samples, with the bias of their number.

    Notes
    -----
    The cost is about ``n_points`` times the cost of `frechet_distance`, except that the
    statistics of the real set and their decomposition are computed only once.

    References
    ----------
    M. J. Chong, D. Forsyth (2020). Effectively unbiased FID and Inception Score and
    where to find them. CVPR.

    Examples
    --------
    Both sets have the same distribution, so the distance without bias is 0:

    >>> import numpy as np
    >>> from skspectral.metrics import frechet_distance, frechet_distance_infinity
    >>> rng = np.random.default_rng(0)
    >>> exact = np.zeros(10), np.eye(10)
    >>> X = rng.normal(size=(1000, 10))
    >>> print(f"{frechet_distance(exact, X):.2f}")
    0.04
    >>> print(f"{abs(frechet_distance_infinity(exact, X, random_state=0)):.2f}")
    0.01
    """
    if isinstance(X_generated, tuple):
        # Take a tuple as rows of features, because statistics have no subsets.
        X_generated = list(X_generated)
    real, generated = _check_two_sets(X_real, X_generated)
    assert not isinstance(generated, tuple)
    sizes = _subset_sizes(generated, n_points, min_samples)
    reference = _mean_and_covariance(real)
    root = _square_root_factor(reference[1])
    stream = random_stream(random_state)
    distances = []
    for size in sizes:
        rows = stream.choice(len(generated), size, replace=False)
        subset = _mean_and_covariance(generated[rows])
        distances.append(_from_statistics(reference, root, *subset))
    _, intercept = np.polyfit(1 / sizes, distances, 1)
    return float(intercept)


def _subset_sizes(X: np.ndarray, n_points: int, min_samples: int | None) -> np.ndarray:
    """Return the numbers of samples, from the smallest subset to all samples."""
    n, n_features = X.shape
    if n < 2 * n_features:
        raise ValueError(
            f"X_generated has {n} samples with {n_features} features, but the "
            f"extrapolation needs at least {2 * n_features} samples, two per feature. "
            "Pass more samples, or use kernel_distance."
        )
    first = max(n // 10, min(4 * n_features, n // 2), 2)
    first = first if min_samples is None else min_samples
    if first >= n:
        raise ValueError(
            f"min_samples={first} must be less than the {n} samples of X_generated. "
            "Pass a smaller number, or None."
        )
    return np.linspace(first, n, n_points).round().astype(int)


def _check_two_sets(
    X_real: ArrayLike | tuple[ArrayLike, ArrayLike],
    X_generated: ArrayLike | tuple[ArrayLike, ArrayLike],
) -> tuple[np.ndarray | Statistics, np.ndarray | Statistics]:
    """Return the features or statistics of two sets, checked for equal widths."""
    if not isinstance(X_real, tuple) and not isinstance(X_generated, tuple):
        features = check_feature_sets(2, X_real=X_real, X_generated=X_generated)
        return features[0], features[1]
    real = _check_set(X_real, "X_real")
    generated = _check_set(X_generated, "X_generated")
    check_widths(X_real=_n_features(real), X_generated=_n_features(generated))
    return real, generated


def _check_set(
    X: ArrayLike | tuple[ArrayLike, ArrayLike], name: str
) -> np.ndarray | Statistics:
    """Return features, or a tuple of mean and covariance, as float64."""
    if not isinstance(X, tuple):
        return check_features(X, name, min_rows=2)
    if len(X) != 2:
        raise ValueError(
            f"{name} is a tuple of length {len(X)}, but statistics must be a tuple "
            "(mean, covariance). Pass features as an array."
        )
    mean = check_features(np.atleast_2d(X[0]), f"{name}[0]")
    covariance = check_features(X[1], f"{name}[1]")
    if len(mean) != 1 or covariance.shape != 2 * mean.shape[1:]:
        raise ValueError(
            f"{name} has a mean of shape {np.shape(X[0])} and a covariance of shape "
            f"{covariance.shape}, but these shapes must be (n_features,) and "
            "(n_features, n_features)."
        )
    asymmetry = np.abs(covariance - covariance.T).max()
    if asymmetry > _TOLERANCE * np.abs(covariance).max():
        raise ValueError(
            f"{name}[1] is not a covariance, because it differs from its transpose by "
            f"up to {asymmetry:.2g}. Pass a tuple (mean, covariance), in this order."
        )
    return mean[0], covariance


def _n_features(X: np.ndarray | Statistics) -> int:
    """Return the number of features of a set or of its statistics."""
    return len(X[0]) if isinstance(X, tuple) else X.shape[1]


def _mean_and_covariance(X: np.ndarray | Statistics) -> Statistics:
    """Return the mean and the unbiased covariance of a set."""
    if isinstance(X, tuple):
        return X
    mean = X.mean(axis=0)
    centred = X - mean
    return mean, centred.T @ centred / (len(X) - 1)


def _square_root_factor(covariance: np.ndarray) -> np.ndarray:
    """Return a matrix F such that FF' is the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(_clip_eigenvalues(values))


def _clip_eigenvalues(values: np.ndarray) -> np.ndarray:
    """Return eigenvalues with 0 instead of values that rounding made negative."""
    if values.min() < -_TOLERANCE * values.sum():
        raise ValueError(
            "A covariance is not positive semi-definite. Pass statistics as (mean, "
            "covariance), with the covariance from np.cov(X, rowvar=False)."
        )
    return np.maximum(values, 0)


def _from_statistics(
    reference: Statistics, root: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> float:
    """Return the distance from a reference whose covariance has a known factor.

    If S_1 = FF', with F the argument ``root``, the eigenvalues of S_1 S_2 equal those
    of the symmetric matrix F' S_2 F.
    """
    roots = np.sqrt(_clip_eigenvalues(np.linalg.eigvalsh(root.T @ covariance @ root)))
    traces = np.trace(reference[1]) + np.trace(covariance)
    return _distance(reference[0] - mean, traces, roots.sum())


def _from_factors(real: np.ndarray, generated: np.ndarray) -> float:
    """Return the distance between two sets of features, without forming a covariance.

    The covariances are A'A and B'B, where A and B are the centred and scaled features.
    """
    means = [X.mean(axis=0) for X in (real, generated)]
    A, B = (
        (X - mean) / np.sqrt(len(X) - 1)
        for X, mean in zip((real, generated), means, strict=True)
    )
    traces = (A**2).sum() + (B**2).sum()
    A, B = (_triangular_factor(F) if len(F) > F.shape[1] else F for F in (A, B))
    return _distance(means[0] - means[1], traces, svdvals(A @ B.T).sum())


def _triangular_factor(F: np.ndarray) -> np.ndarray:
    """Return R of the QR decomposition, which satisfies R'R = F'F."""
    return np.asarray(np.linalg.qr(F, mode="r"))


def _distance(difference: np.ndarray, traces: float, root_trace: float) -> float:
    """Return the distance from its terms, clipped at 0."""
    return _clip_rounding(
        float(difference @ difference + traces - 2 * root_trace), float(traces)
    )


def _clip_rounding(distance: float, traces: float) -> float:
    """Return the distance, or 0 if it is negative because of rounding."""
    if distance < -_TOLERANCE * traces:
        raise ArithmeticError(
            f"The squared distance is {distance:.3g}, although the traces of the "
            f"covariances add up to {traces:.3g}. The covariances are not positive "
            "semi-definite."
        )
    return max(distance, 0.0)
