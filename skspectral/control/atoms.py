"""Which atoms: by what their waves are."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers

Interval = tuple[float | None, float | None]
# Of each atom, from frequencies; a table of them; or one for each atom.
Gains = Callable[[np.ndarray], ArrayLike] | ArrayLike


def select_atoms(
    estimator: Any,
    *,
    frequency: Interval | None = None,
    orientation: Interval | None = None,
    explained_variance_ratio: Interval | None = None,
) -> np.ndarray:
    """Boolean mask over the codes: the atoms within all intervals that are given.

    An interval (low, high) holds low and not high, so that adjoining bands share no
    atom; None is no limit.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted.
    frequency : (low, high), default=None
        In units of ``frequencies_``: cycles per signal, or Hz with ``sampling_rate``.
    orientation : (low, high), default=None
        Of plane waves, in radians as ``orientations_``, modulo pi: (3, 0.14) are the
        waves whose crests are almost vertical.
    explained_variance_ratio : (low, high), default=None
        Share of the variance: (0.01, None) are the atoms that add a hundredth or more.

    Returns
    -------
    mask : ndarray of shape (n_components,), bool

    Raises
    ------
    ValueError
        If an interval is not two numbers in order, or the atoms have no orientation.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import select_atoms
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), atoms="plane_wave")
    >>> mask = select_atoms(est.fit(X), frequency=(0, 1.5))
    >>> bool((est.frequencies_[mask] < 1.5).all()), mask.shape
    (True, (20,))
    """
    check_is_fitted(estimator)
    mask = np.ones(len(estimator.components_), dtype=bool)
    if frequency is not None:
        low, high = _limits("frequency", frequency)
        mask &= _between(as_numbers(estimator.frequencies_), low, high)
    if explained_variance_ratio is not None:
        low, high = _limits("explained_variance_ratio", explained_variance_ratio)
        shares = as_numbers(estimator.explained_variance_ratio_)
        mask &= _between(shares, low, high)
    if orientation is not None:
        mask &= _oriented(estimator, orientation)
    return mask


def _oriented(estimator: Any, orientation: Interval) -> np.ndarray:
    if not hasattr(estimator, "orientations_"):
        raise ValueError(
            f"orientation={orientation!r} needs plane waves, but the atoms are "
            'sinusoids of the flattened signal. Fit with atoms="plane_wave".'
        )
    low, high = _limits("orientation", orientation, ordered=False)
    if high - low >= np.pi:
        return np.ones(len(estimator.components_), dtype=bool)
    width = (high - low) % np.pi
    return (as_numbers(estimator.orientations_) - low) % np.pi < width


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values < high)


def _limits(
    name: str, interval: Interval, *, ordered: bool = True
) -> tuple[float, float]:
    """Both limits as numbers."""
    try:
        low, high = interval
        low = -np.inf if low is None else float(low)
        high = np.inf if high is None else float(high)
    except (TypeError, ValueError):
        low = high = np.nan
    if np.isnan([low, high]).any() or (ordered and not low < high):
        raise ValueError(
            f"{name}={interval!r} must be (low, high) with low < high; None is no "
            "limit."
        )
    return low, high


def atom_values(
    estimator: Any, values: Gains, name: str
) -> tuple[np.ndarray, float | None]:
    """A number >= 0 for each atom, (K,), float64; and for frequency 0, where known.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted.
    values : callable, array-like of shape (n, 2) or (K,), or float
        Of the frequencies of all atoms; or a table with rows (frequency, value),
        interpolated linearly and constant beyond its ends; or one for each atom, such
        as a mask; or one for all.
    name : str
        Of the parameter, for errors.

    Raises
    ------
    ValueError
        If it is none of these, or a number is negative or NaN.
    """
    frequencies = as_numbers(estimator.frequencies_)
    with_zero = np.append(frequencies, 0.0)
    found = as_numbers(values(with_zero) if callable(values) else values)
    if not callable(values) and found.ndim == 2 and found.shape[1] == 2:
        at, of = found[np.argsort(found[:, 0], kind="stable")].T
        found = np.interp(with_zero, at, of)
    of_atoms = not callable(values) and found.shape == frequencies.shape
    if not of_atoms and found.shape not in ((), with_zero.shape):
        raise ValueError(
            f"{name} of shape {found.shape} must be a function of frequencies, a table "
            f"of shape (n, 2) with rows (frequency, value), or {len(frequencies)} "
            "numbers, one for each atom."
        )
    if not (found >= 0).all():
        raise ValueError(f"{name}={values!r} must be >= 0, but is {found.min():g}.")
    if of_atoms:
        return found, None
    found = np.broadcast_to(found, with_zero.shape)
    return found[:-1], float(found[-1])
