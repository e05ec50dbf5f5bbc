"""Draw signals with gains over frequency, and interpolate between two signals."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import Interval, as_numbers, as_numpy, validated
from skspectral.control.atoms import Gains, atom_values
from skspectral.control.filtering import stable_code_map
from skspectral.gaussian.gaussian import principal_directions

# On the arc, variances of the prior are raised to this fraction of the largest one. In
# directions of small variance, new signals deviate more than training signals. Without
# this limit these directions alone would determine the norms.
_LEAST_VARIANCE_RATIO = 1e-2
# Angles with a smaller sine are 0 or pi up to rounding.
_LEAST_SINE = 1e-6


def sample(
    estimator: Any,
    n_samples: int = 1,
    *,
    gains: Gains = 1.0,
    limit: Gains = np.inf,
    y: Any = None,
    random_state: Any = None,
) -> np.ndarray:
    """Draw signals whose bands of frequencies vary more or less than in training.

    Signals are drawn from the prior. The codes of their deviations from ``mean_`` are
    clipped to the limits, and are then multiplied by the gains.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator from whose prior the signals are drawn.
    n_samples : int, default=1
        Number of signals.
    gains : callable, array-like or float, default=1.0
        Factors >= 0 of the codes, in one of the four forms that `equalize` accepts. The
        variance of a band is multiplied by the square of its gain. With a gain of 0 the
        signals do not deviate from ``mean_`` in this band.
    limit : callable, array-like or float, default=inf
        Largest absolute value of a code, in units of the root mean square of this code
        over the training samples. It has one of the four forms that `equalize` accepts;
        useful values are 1 to 3. The default means that codes are not limited.
    y : object, default=None
        Label of all signals, or one label per signal, for a prior with labels. None
        draws the labels with their frequencies in training.
    random_state : int, RandomState instance or None, default=None
        Source of the random numbers, as in ``estimator.sample``. An int that is passed
        to both gives the same draws, before limits and gains are applied.

    Returns
    -------
    signals : ndarray of shape (n_samples, n_features)
        Drawn signals in the dtype of ``estimator.sample``.

    Raises
    ------
    ValueError
        If ``gains`` or ``limit`` has none of the four forms, or has a negative value.
    ValueError
        If a gain is not finite.
    TypeError
        If ``estimator`` has no atoms with frequencies.

    See Also
    --------
    equalize : Apply gains over frequency to signals that are given.

    Examples
    --------
    Draw digits whose details, above 2 cycles per image, are twice as strong:

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
    code_map, mean = stable_code_map(estimator), as_numbers(estimator.mean_)
    centre, covariance = estimator.model_.code_moments(code_map)
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0) + centre**2)
    # A limit of inf stays inf for codes without variance: inf * 0 would be NaN.
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
    """Interpolate between the coordinates of two signals in the span of the atoms.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator whose atoms and prior define the path.
    start, stop : array-like of shape (n_features,)
        Signals at the ends. The path connects their reconstructions by the atoms.
    n_samples : int, default=10
        Number of signals on the path, at least 2. Both ends are included.
    prior : bool, default=True
        Whether the path follows the prior. True gives an arc about the mean of the
        prior, and signals in the middle are about as strong as those at the ends. False
        gives a straight line, on which ``start`` fades into ``stop`` and signals in the
        middle are weaker.

    Returns
    -------
    signals : ndarray of shape (n_samples, n_features), float64
        Signals at equal steps of the path, from ``start`` to ``stop``.

    Raises
    ------
    ValueError
        If ``start`` or ``stop`` is not one finite signal.
    ValueError
        If ``n_samples`` is less than 2.

    Notes
    -----
    With ``prior=True`` coordinates are whitened, so that the covariance of the prior
    becomes the identity and draws lie near a sphere. The path is the arc of spherical
    linear interpolation [1]_, and norms are interpolated linearly. Variances below a
    hundredth of the largest one are raised to this value.

    Mean and covariance are taken from the prior, as a whole if it is a mixture of
    Gaussians. They are taken from the training samples if the prior has no closed form.

    References
    ----------
    .. [1] K. Shoemake (1985). Animating rotation with quaternion curves. SIGGRAPH
       Computer Graphics 19(3), 245-254.

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
    fractions = np.linspace(0, 1, n_samples)[:, None]
    basis, mean = as_numbers(estimator.basis_), as_numbers(estimator.mean_)
    first, last = coordinates = (ends - mean) @ basis.T
    if not prior:
        return mean + ((1 - fractions) * first + fractions * last) @ basis
    fitted = estimator.prior_
    if fitted.capabilities.gaussians:
        mixture = fitted.mixture()
        centre, covariance = mixture.mean, mixture.covariance
    else:
        model = estimator.model_
        centre, covariance = model.coordinate_mean, model.coordinate_covariance
    vectors, variances = principal_directions(covariance)
    spread = np.sqrt(np.maximum(variances, _LEAST_VARIANCE_RATIO * variances[0]))
    path = _arc((coordinates - centre) @ vectors / spread, fractions)
    return mean + (path * spread @ vectors.T + centre) @ basis


def _signal(estimator: Any, signal: ArrayLike, name: str) -> np.ndarray:
    """Return the signal in float64, or raise a ValueError that uses its ``name``."""
    values = as_numbers(signal, name)
    n_features = len(estimator.mean_)
    if values.shape != (n_features,) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} of shape {values.shape} must be one signal of {n_features} finite "
            "numbers. Pass a one-dimensional array, such as a row of X."
        )
    return values


def _arc(ends: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return points (n, K) at ``fractions`` (n, 1) of the arc between two ends (2, K).

    The arc is a straight line if the ends have the same or opposite directions.
    """
    norms = np.linalg.norm(ends, axis=1, keepdims=True)
    first, last = ends / np.maximum(norms, np.finfo(float).tiny)
    # More accurate than the arc cosine if the directions are nearly equal or opposite.
    angle = 2 * np.arctan2(np.linalg.norm(first - last), np.linalg.norm(first + last))
    if np.sin(angle) < _LEAST_SINE:
        return (1 - fractions) * ends[0] + fractions * ends[1]
    weights = np.sin((1 - fractions) * angle), np.sin(fractions * angle)
    directions = weights[0] * first + weights[1] * last
    lengths = (1 - fractions) * norms[0] + fractions * norms[1]
    return lengths * directions / np.sin(angle)
