"""Which atoms: by what their waves are."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers

Interval = tuple[float | None, float | None]
# Of frequencies.
Curve = Callable[[np.ndarray], Any]
# A function of frequencies, a table of them, or one for each atom.
Gains = Curve | ArrayLike


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
    estimator : SpectralDictionaryLearning, fitted
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
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), atoms="plane_wave")
    >>> mask = select_atoms(est.fit(load_digits().data), frequency=(0, 1.5))
    >>> bool((est.frequencies_[mask] < 1.5).all()), mask.shape
    (True, (20,))
    """
    frequencies = frequencies_of(estimator)
    mask = np.ones(len(frequencies), dtype=bool)
    if frequency is not None:
        mask &= in_band(frequencies, frequency)
    if explained_variance_ratio is not None:
        shares = as_numbers(estimator.explained_variance_ratio_)
        mask &= in_band(shares, explained_variance_ratio, "explained_variance_ratio")
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
    if np.isinf(low) != np.isinf(high):
        raise ValueError(
            f"orientation={orientation!r}: directions have no end. Pass both limits."
        )
    if high - low >= np.pi:
        return np.ones(len(estimator.components_), dtype=bool)
    width = (high - low) % np.pi
    return (as_numbers(estimator.orientations_) - low) % np.pi < width


def in_band(values: np.ndarray, band: Interval, name: str = "frequency") -> np.ndarray:
    """Mask of the values within (low, high)."""
    low, high = _limits(name, band)
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


def frequencies_of(estimator: Any) -> np.ndarray:
    """Frequencies of the atoms of a fitted estimator."""
    check_is_fitted(estimator)
    if not hasattr(estimator, "frequencies_"):
        raise TypeError(
            f"estimator={estimator!r} has no atoms with frequencies. Pass a "
            "SpectralDictionaryLearning."
        )
    return as_numbers(estimator.frequencies_)


def atom_values(
    estimator: Any, values: Gains, name: str, *, finite: bool = True
) -> tuple[np.ndarray, Curve | None]:
    """A number >= 0 for each atom, (K,), float64; and a function of any frequencies.

    The values are given as a function of frequencies, an array; or as a table (n, 2)
    with rows (frequency, value), interpolated linearly and constant beyond its ends; or
    as one number for each atom, such as a mask, of which no function is known; or as
    one for all. ``name`` is that of the parameter; infinity is refused if ``finite``.
    """
    frequencies = frequencies_of(estimator)
    function = values if callable(values) else _function_of(values, name)
    if function is None:
        of_atoms = as_numbers(values, name)
        if of_atoms.shape != frequencies.shape:
            raise ValueError(
                f"{name} of shape {of_atoms.shape} must be a function of frequencies, "
                "a table of shape (n, 2) with rows (frequency, value), or "
                f"{len(frequencies)} numbers, one for each atom."
            )
        return _checked_values(of_atoms, frequencies, name, finite), None

    def curve(frequencies: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            found = as_numbers(function(frequencies), name)
        if found.shape not in ((), frequencies.shape):
            raise ValueError(
                f"{name} gave {found.shape} values for {frequencies.shape} frequencies:"
                " a function of an array of frequencies has to give one for each."
            )
        return _checked_values(
            np.broadcast_to(found, frequencies.shape), frequencies, name, finite
        )

    return curve(frequencies), curve


def _function_of(values: ArrayLike, name: str) -> Curve | None:
    """The function that a table or one number stands for; None where it is neither."""
    try:
        table = as_numbers(values, name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={values!r} must be numbers.") from error
    if table.ndim == 2 and table.shape[1] == 2 and len(table):
        at, of = table[np.argsort(table[:, 0], kind="stable")].T
        return lambda frequencies: np.interp(frequencies, at, of)
    return (lambda frequencies: table) if table.ndim == 0 else None


def _checked_values(
    values: np.ndarray, frequencies: np.ndarray, name: str, finite: bool
) -> np.ndarray:
    wrong = ~(values >= 0) | (finite & np.isinf(values))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"{name} must be {'finite and ' if finite else ''}>= 0, but it is "
            f"{values[i]:g} at the frequency {frequencies[i]:g}."
        )
    return values
