"""Frechet distance between Gaussians fitted to two sets of features."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svdvals

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._checks import check_feature_sets, check_features, check_widths

# What a covariance may lack to being symmetric and positive, and the distance to being
# positive, as a share of the trace. Statistics stored in float32 come near it.
_TOLERANCE = 1e-4

Statistics = tuple[np.ndarray, np.ndarray]


def frechet_distance(
    X_real: ArrayLike | tuple[ArrayLike, ArrayLike],
    X_generated: ArrayLike | tuple[ArrayLike, ArrayLike],
) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets of features.

    With means m, unbiased covariances S, and the real set first::

        |m_1 - m_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1 S_2)^(1/2)

    the squared 2-Wasserstein distance of the two Gaussians (Dowson and Landau 1982). It
    looks at two moments only.

    It is the FID (Heusel et al. 2017) if, and only if, the features are those of the
    Inception network of 2015, computed from images that are resized as theirs were. Of
    other features, name the extractor beside the number.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features) or tuple
        Features, or a tuple ``(mean, covariance)`` of shapes (n_features,) and
        (n_features, n_features) of a set that was seen before.

    Returns
    -------
    distance : float
        0 or more, in squared units of the features.

    Raises
    ------
    ValueError
        If a set has fewer than two samples, or is not finite, the numbers of features
        differ, or a covariance is not symmetric and positive semi-definite.
    ArithmeticError
        If the distance is negative by more than rounding.

    See Also
    --------
    frechet_distance_infinity : Without most of the bias of a finite generated set.
    kernel_distance : Unbiased, and not blind to the moments above the second.

    Notes
    -----
    Sets of n samples each, from one distribution, are at a distance that falls like 1/n
    and not at 0: compare only results of equal n and equal reference.

    Costs O(n d^2 + d^3). Where one of two sets has fewer samples than features, the
    trace of the root is the sum of the singular values of A B', with A'A = S_1 and
    B'B = S_2 the centred features; no covariance is formed, and equal sets are at 0 to
    the last digits. Otherwise it comes from two symmetric eigenproblems, and is good to
    about 1e-8 of the largest variance for each direction without any.

    References
    ----------
    D. C. Dowson, B. V. Landau (1982). The Frechet distance between multivariate normal
    distributions. Journal of Multivariate Analysis 12.

    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter (2017). GANs
    trained by a two time-scale update rule converge to a local Nash equilibrium.
    NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(1000, 8))
    >>> frechet_distance(X, X + 1)
    8.0...

    The statistics of a reference are stored once. Files with them are around, under
    these names:

    >>> import io
    >>> file = io.BytesIO()  # or a path that ends in .npz
    >>> np.savez(file, mu=X.mean(axis=0), sigma=np.cov(X, rowvar=False))
    >>> _ = file.seek(0)
    >>> with np.load(file) as stored:
    ...     reference = stored["mu"], stored["sigma"]
    >>> frechet_distance(reference, X + 1)
    8.0...
    """
    real, generated = _check_sets(X_real, X_generated)
    if (
        not isinstance(real, tuple)
        and not isinstance(generated, tuple)
        and min(len(real), len(generated)) < _width(real)
    ):
        return _from_factors(real, generated)
    reference = _statistics(real)
    return _from_statistics(reference, _root(reference[1]), *_statistics(generated))


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
    """Frechet distance that infinitely many generated samples would have.

    Of N generated samples it is about a + b/N. The line is fitted by least squares to
    random subsets of evenly spaced sizes N, the largest being all samples; the result
    is a (Chong and Forsyth 2020).

    The bias of the reference stays: it, too, falls like 1/N with its size. So the
    result compares generators of one reference, whatever their numbers of samples.

    Parameters
    ----------
    X_real : array-like of shape (n_samples, n_features) or tuple
        Features, or a tuple ``(mean, covariance)``, as of `frechet_distance`.
    X_generated : array-like of shape (n_samples, n_features)
        Features of at least twice as many samples as there are features.
    n_points : int, default=15
        Number of subsets.
    min_samples : int or None, default=None
        Samples of the smallest subset. None is a tenth of all or, where that is more,
        four times as many as features, but at most half of all. The fewer samples a
        feature has, the less the bias is a line in 1/N.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsets.

    Returns
    -------
    distance : float
        May be negative where the distance is small, and is not clipped, so that its
        mean over seeds is not biased.

    Raises
    ------
    ValueError
        If there are fewer than two generated samples per feature, ``min_samples`` is
        not less than the number of them, or on input that `frechet_distance` refuses.

    Notes
    -----
    Costs ``n_points`` times `frechet_distance`, less the reference's half of it.

    References
    ----------
    M. J. Chong, D. Forsyth (2020). Effectively unbiased FID and Inception Score and
    where to find them. CVPR.

    Examples
    --------
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
        # Rows, as a list has them: statistics have no subsets.
        X_generated = list(X_generated)
    real, generated = _check_sets(X_real, X_generated)
    assert not isinstance(generated, tuple)
    sizes = _subset_sizes(generated, n_points, min_samples)
    reference = _statistics(real)
    root = _root(reference[1])
    stream = random_stream(random_state)
    distances = []
    for size in sizes:
        rows = stream.choice(len(generated), size, replace=False)
        subset = _statistics(generated[rows])
        distances.append(_from_statistics(reference, root, *subset))
    _, intercept = np.polyfit(1 / sizes, distances, 1)
    return float(intercept)


def _subset_sizes(X: np.ndarray, n_points: int, min_samples: int | None) -> np.ndarray:
    """Numbers of samples, from the smallest subset to all."""
    n, n_features = X.shape
    if n < 2 * n_features:
        raise ValueError(
            f"X_generated has {n} samples of {n_features} features. The distance is a "
            "line in 1/N only for more samples than features: pass at least "
            f"{2 * n_features}, or use kernel_distance."
        )
    first = max(n // 10, min(4 * n_features, n // 2), 2)
    first = first if min_samples is None else min_samples
    if first >= n:
        raise ValueError(
            f"min_samples={first} must be less than the {n} samples of X_generated."
        )
    return np.linspace(first, n, n_points).round().astype(int)


def _check_sets(
    X_real: ArrayLike | tuple[ArrayLike, ArrayLike],
    X_generated: ArrayLike | tuple[ArrayLike, ArrayLike],
) -> tuple[np.ndarray | Statistics, np.ndarray | Statistics]:
    """Features or statistics of two sets, of one number of features."""
    if not isinstance(X_real, tuple) and not isinstance(X_generated, tuple):
        features = check_feature_sets(2, X_real=X_real, X_generated=X_generated)
        return features[0], features[1]
    real = _check_set(X_real, "X_real")
    generated = _check_set(X_generated, "X_generated")
    check_widths(X_real=_width(real), X_generated=_width(generated))
    return real, generated


def _check_set(
    X: ArrayLike | tuple[ArrayLike, ArrayLike], name: str
) -> np.ndarray | Statistics:
    """Features, or mean and covariance, as float64."""
    if not isinstance(X, tuple):
        return check_features(X, name, min_rows=2)
    if len(X) != 2:
        raise ValueError(
            f"{name} is a tuple of {len(X)}. Pass features as an array, or statistics "
            "as (mean, covariance)."
        )
    mean = check_features(np.atleast_2d(X[0]), f"{name}[0]")
    covariance = check_features(X[1], f"{name}[1]")
    if len(mean) != 1 or covariance.shape != 2 * mean.shape[1:]:
        raise ValueError(
            f"{name} has a mean of shape {np.shape(X[0])} and a covariance of shape "
            f"{covariance.shape}. They must be (n_features,) and (n_features, "
            "n_features)."
        )
    asymmetry = np.abs(covariance - covariance.T).max()
    if asymmetry > _TOLERANCE * np.abs(covariance).max():
        raise ValueError(
            f"{name}[1] is not a covariance: it differs from its transpose by up to "
            f"{asymmetry:.2g}. Pass (mean, covariance), in that order."
        )
    return mean[0], covariance


def _width(X: np.ndarray | Statistics) -> int:
    """Number of features."""
    return len(X[0]) if isinstance(X, tuple) else X.shape[1]


def _statistics(X: np.ndarray | Statistics) -> Statistics:
    """Mean and unbiased covariance."""
    if isinstance(X, tuple):
        return X
    mean = X.mean(axis=0)
    centred = X - mean
    return mean, centred.T @ centred / (len(X) - 1)


def _root(covariance: np.ndarray) -> np.ndarray:
    """F with FF' the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(_positive_part(values))


def _positive_part(values: np.ndarray) -> np.ndarray:
    """Eigenvalues without those that rounding made negative."""
    if values.min() < -_TOLERANCE * values.sum():
        raise ValueError(
            "A covariance is not positive semi-definite. If statistics were passed, "
            "they must be (mean, covariance), not correlations or scatters of parts."
        )
    return np.maximum(values, 0)


def _from_statistics(
    reference: Statistics, root: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> float:
    """Distance from a Gaussian of which a root of the covariance is known.

    With S_1 = FF' the eigenvalues of S_1 S_2 are those of F'S_2 F, which is symmetric.
    """
    roots = np.sqrt(_positive_part(np.linalg.eigvalsh(root.T @ covariance @ root)))
    traces = np.trace(reference[1]) + np.trace(covariance)
    return _distance(reference[0] - mean, traces, roots.sum())


def _from_factors(real: np.ndarray, generated: np.ndarray) -> float:
    """Distance without a covariance: each is A'A with A the centred, scaled rows."""
    means = [X.mean(axis=0) for X in (real, generated)]
    A, B = (
        (X - mean) / np.sqrt(len(X) - 1)
        for X, mean in zip((real, generated), means, strict=True)
    )
    traces = (A**2).sum() + (B**2).sum()
    A, B = (_triangle(F) if len(F) > F.shape[1] else F for F in (A, B))
    return _distance(means[0] - means[1], traces, svdvals(A @ B.T).sum())


def _triangle(F: np.ndarray) -> np.ndarray:
    """R of the QR decomposition, for which R'R = F'F."""
    return np.asarray(np.linalg.qr(F, mode="r"))


def _distance(difference: np.ndarray, traces: float, root_trace: float) -> float:
    return _without_rounding(
        float(difference @ difference + traces - 2 * root_trace), float(traces)
    )


def _without_rounding(distance: float, traces: float) -> float:
    """The distance, or 0 where only rounding made it negative."""
    if distance < -_TOLERANCE * traces:
        raise ArithmeticError(
            f"The squared distance is {distance:.3g}, beside traces of {traces:.3g}: "
            "the covariances are not positive semi-definite."
        )
    return max(distance, 0.0)
