"""Gains over frequency, and paths, for signals that are drawn."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import Interval, as_numbers, as_numpy, validated
from skspectral.control.atoms import Gains, atom_values
from skspectral.control.filtering import splitting_map
from skspectral.gaussian.gaussian import principal_directions

# Along the arc variances count as at least this share of the largest: signals that are
# not of the training set have more than the prior's in its weakest directions, and
# would be taken for far away. Sines below this are rounding.
_LEAST_VARIANCE, _LEAST_SINE = 1e-2, 1e-6


def sample(
    estimator: Any,
    n_samples: int = 1,
    *,
    gains: Gains = 1.0,
    limit: Gains = np.inf,
    y: Any = None,
    random_state: Any = None,
) -> np.ndarray:
    """Draw signals with bands that vary more or less, or are clamped.

    Deviations of the codes from the mean signal are limited, then multiplied.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, fitted
    n_samples : int, default=1
    gains : callable, array-like or float, default=1.0
        As of `equalize`, of the deviations: a band's variance is multiplied by the
        square. 0 leaves ``mean_`` there.
    limit : callable, array-like or float, default=inf
        Of the same forms: largest deviation of a code, over the root mean square of
        those of the training samples.
    y : object, default=None
        Label, for a prior that takes one.
    random_state : int, RandomState instance or None, default=None
        As in ``estimator.sample``: the same draws without gains and limits.

    Returns
    -------
    signals : ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        If gains or limits are of no form that `equalize` takes, or negative.

    Examples
    --------
    Digits whose details are twice as strong:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import sample
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
    >>> rough = sample(est.fit(X), 3, gains=lambda f: 1.0 + (f > 2), random_state=0)
    >>> rough.shape
    (3, 64)
    """
    check_is_fitted(estimator)
    gain, _ = atom_values(estimator, gains, "gains")
    limits, _ = atom_values(estimator, limit, "limit", finite=False)
    # Codes without variance have no deviation to be infinitely many of.
    code_map, mean = splitting_map(estimator), as_numbers(estimator.mean_)
    centre, covariance = estimator.moments_.project(code_map, mean)
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0) + centre**2)
    largest = np.full(len(limits), np.inf)
    np.multiply(limits, deviations, out=largest, where=np.isfinite(limits))
    drawn = as_numpy(estimator.sample(n_samples, y=y, random_state=random_state))
    codes = (drawn - mean) @ code_map.T
    changed = gain * np.clip(codes, -largest, largest)
    change = (changed - codes) @ as_numbers(estimator.components_)
    return drawn + change.astype(drawn.dtype)


@validated(n_samples=[Interval(Integral, 2, None, closed="left")], prior=["boolean"])
def interpolate(
    estimator: Any,
    start: ArrayLike,
    stop: ArrayLike,
    n_samples: int = 10,
    *,
    prior: bool = True,
) -> np.ndarray:
    """Signals on a path between two, in the space of codes.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, fitted
    start, stop : array-like of shape (n_features,)
        Two signals; the path is between their reconstructions.
    n_samples : int, default=10
        At least 2, both ends among them.
    prior : bool, default=True
        Whether the path follows the prior: the arc of a circle in coordinates in which
        the prior's covariance is the identity (but for its weakest directions, which
        count as a hundredth of the strongest), where draws lie near a sphere. Signals
        in the middle then vary as much as draws do. False is the straight line, on
        which they fade into each other.

    Returns
    -------
    signals : ndarray of shape (n_samples, n_features), float64

    Raises
    ------
    ValueError
        If an end is not one finite signal.

    Notes
    -----
    The arc of spherical interpolation (Shoemake 1985), with norms between those of the
    ends. Of a mixture mean and covariance of the whole are taken, and of a prior
    without a closed form those of the training codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import interpolate
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8)).fit(X)
    >>> interpolate(est, X[0], X[1], 5).shape
    (5, 64)
    """
    check_is_fitted(estimator)
    ends = np.stack(
        [_signal(estimator, start, "start"), _signal(estimator, stop, "stop")]
    )
    at = np.linspace(0, 1, n_samples)[:, None]
    axes, mean = as_numbers(estimator.basis_), as_numbers(estimator.mean_)
    coordinates = (ends - mean) @ axes.T
    if not prior:
        return mean + ((1 - at) * coordinates[0] + at * coordinates[1]) @ axes
    pooled = estimator.prior_
    if pooled.capabilities.gaussians:
        mixture = pooled.mixture()
        centre, covariance = mixture.mean, mixture.covariance
    else:
        centre, covariance = estimator.moments_.project(axes, mean)
    vectors, variances = principal_directions(covariance)
    spread = np.sqrt(np.maximum(variances, _LEAST_VARIANCE * variances[0]))
    path = _arc((coordinates - centre) @ vectors / spread, at)
    return mean + (path * spread @ vectors.T + centre) @ axes


def _signal(estimator: Any, signal: ArrayLike, name: str) -> np.ndarray:
    values = as_numbers(signal, name)
    n_features = len(estimator.mean_)
    if values.shape != (n_features,) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} of shape {values.shape} must be one signal of {n_features} finite "
            "numbers, such as a row of X."
        )
    return values


def _arc(ends: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points at shares ``at`` (n, 1) of the way, of shape (n, K)."""
    norms = np.linalg.norm(ends, axis=1, keepdims=True)
    first, last = ends / np.maximum(norms, np.finfo(float).tiny)
    # More exact than the arc cosine where the two are close, or opposite.
    angle = 2 * np.arctan2(np.linalg.norm(first - last), np.linalg.norm(first + last))
    if np.sin(angle) < _LEAST_SINE:
        return (1 - at) * ends[0] + at * ends[1]
    directions = np.sin((1 - at) * angle) * first + np.sin(at * angle) * last
    return ((1 - at) * norms[0] + at * norms[1]) * directions / np.sin(angle)
