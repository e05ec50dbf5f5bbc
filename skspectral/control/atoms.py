"""Select atoms by frequency, orientation or variance, and give a gain to each."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers

Interval = tuple[float | None, float | None]
# A function from an array of frequencies to an array of values.
Curve = Callable[[np.ndarray], Any]
# A function of frequencies, a table with rows (frequency, value), an array of one value
# per atom, or one value for all atoms.
Gains = Curve | ArrayLike


def select_atoms(
    estimator: Any,
    *,
    frequency: Interval | None = None,
    orientation: Interval | None = None,
    explained_variance_ratio: Interval | None = None,
) -> np.ndarray:
    """Select the atoms that lie within all given intervals.

    An interval (low, high) contains ``low`` but not ``high``, so that adjacent bands
    share no atom. A limit of None means that there is no limit on this side.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator whose atoms are selected.
    frequency : tuple (low, high), default=None
        Interval of frequencies in units of ``frequencies_``: cycles per signal, or Hz
        if the estimator has a ``sampling_rate``. None selects all frequencies.
    orientation : tuple (low, high), default=None
        Interval of directions of waves of images, in radians like ``orientations_``.
        The interval may pass through pi, where directions repeat: (3, 0.14) selects
        waves with almost vertical crests. None selects all directions.
    explained_variance_ratio : tuple (low, high), default=None
        Interval of the fraction of the variance that an atom adds. For example,
        (0.01, None) selects atoms that add at least 1 %. None selects all atoms.

    Returns
    -------
    mask : ndarray of shape (n_components,), bool
        True for each selected atom: a mask for the columns of the codes.

    Raises
    ------
    ValueError
        If an interval is not a pair of numbers, or if its limits are not in order.
    ValueError
        If a limit of ``frequency`` is negative, or above the Nyquist frequency.
    ValueError
        If ``orientation`` is given, but the atoms have no orientation.
    TypeError
        If ``estimator`` has no atoms with frequencies.

    See Also
    --------
    filter : Keep or remove a band of frequencies of signals.
    equalize : Apply gains over frequency to signals.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import select_atoms
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), atoms="plane_wave")
    >>> mask = select_atoms(est.fit(X), frequency=(0, 1.5))

    The mask selects columns of the codes, here those of the coarse waves:

    >>> coarse = est.transform(X)[:, mask]
    >>> mask.shape, bool((est.frequencies_[mask] < 1.5).all())
    ((20,), True)
    """
    frequencies = frequencies_of(estimator)
    mask = np.ones(len(frequencies), dtype=bool)
    if frequency is not None:
        check_band(estimator, frequency, "frequency")
        mask &= in_band(frequencies, frequency)
    if explained_variance_ratio is not None:
        ratios = as_numbers(estimator.explained_variance_ratio_)
        mask &= in_band(ratios, explained_variance_ratio, "explained_variance_ratio")
    if orientation is not None:
        mask &= _orientation_mask(estimator, orientation)
    return mask


def _orientation_mask(estimator: Any, orientation: Interval) -> np.ndarray:
    """Mask of the atoms whose orientation is in an interval, modulo pi."""
    if not hasattr(estimator, "orientations_"):
        raise ValueError(
            f"orientation={orientation!r} requires plane waves, but the atoms are "
            "waves of flattened signals, which have no orientation. Fit the estimator "
            'with signal_shape=(height, width) and atoms="plane_wave".'
        )
    low, high = _limits("orientation", orientation, ordered=False)
    if np.isinf(low) != np.isinf(high):
        raise ValueError(
            f"orientation={orientation!r} has one limit only, but directions are "
            "periodic. Pass both limits in radians."
        )
    if high - low >= np.pi:
        return np.ones(len(estimator.components_), dtype=bool)
    width = (high - low) % np.pi
    return (as_numbers(estimator.orientations_) - low) % np.pi < width


def in_band(values: np.ndarray, band: Interval, name: str = "frequency") -> np.ndarray:
    """Mask of the values v with low <= v < high."""
    low, high = _limits(name, band)
    return (values >= low) & (values < high)


def check_band(estimator: Any, band: Interval, name: str) -> None:
    """Raise a ValueError if signals can have no frequencies up to a limit of a band.

    An infinite limit is the same as None.
    """
    low, high = _limits(name, band)
    grid = estimator.model_.dictionary.wave_grid
    # Waves along the diagonals of an image have the highest frequency.
    highest = float(np.linalg.norm(grid.nyquist))
    low_fits = np.isinf(low) or 0 <= low <= highest
    if not (low_fits and (np.isinf(high) or 0 < high <= highest)):
        advice = ""
        if grid.sampling_rate is None:
            advice = " To pass limits in Hz, fit with sampling_rate."
        raise ValueError(
            f"{name}={band!r} must be between 0 and the Nyquist frequency"
            f"{' of diagonal waves' * grid.is_image}, {highest:g} "
            f"{grid.frequency_unit}. Pass other limits, or None for no limit.{advice}"
        )


def _limits(
    name: str, interval: Interval, *, ordered: bool = True
) -> tuple[float, float]:
    """Return both limits as floats, infinite where they are None."""
    try:
        low, high = interval
        low = -np.inf if low is None else float(low)
        high = np.inf if high is None else float(high)
    except (TypeError, ValueError):
        low = high = np.nan
    if np.isnan([low, high]).any() or (ordered and not low < high):
        raise ValueError(
            f"{name}={interval!r} must be two numbers (low, high)"
            f"{' with low < high' * ordered}. Use None for no limit."
        )
    return low, high


def frequencies_of(estimator: Any) -> np.ndarray:
    """Return the frequencies of the atoms of a fitted estimator, in float64."""
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
    """Return one value >= 0 per atom, and a function from frequencies to values.

    The values, of shape (K,) and float64, may be gains or limits. They are given as a
    function of an array of frequencies, as a table (n, 2) with rows (frequency, value),
    as an array with one value per atom, or as one value for all atoms. A table is
    interpolated linearly, and is constant beyond its ends. Values per atom, such as a
    mask, define no function of frequencies: the function is then None.

    The ``name`` of the parameter is used in errors. Infinite values raise an error if
    ``finite``.
    """
    frequencies = frequencies_of(estimator)
    function = values if callable(values) else _function_of(values, name)
    if function is None:
        per_atom = as_numbers(values, name)
        if per_atom.shape != frequencies.shape:
            raise ValueError(
                f"{name} of shape {per_atom.shape} must be a function of frequencies, "
                "a table of shape (n, 2) with rows (frequency, value), one number, or "
                f"an array of {len(frequencies)} numbers, one per atom."
            )
        return _checked_values(per_atom, frequencies, name, finite), None

    def curve(frequencies: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            found = as_numbers(function(frequencies), name)
        if found.shape not in ((), frequencies.shape):
            raise ValueError(
                f"{name} returned an array of shape {found.shape} for frequencies of "
                f"shape {frequencies.shape}. The function must return one value per "
                "frequency, or one number."
            )
        return _checked_values(
            np.broadcast_to(found, frequencies.shape), frequencies, name, finite
        )

    return curve(frequencies), curve


def _function_of(values: ArrayLike, name: str) -> Curve | None:
    """Return the function that a table or one number defines; None for other values."""
    try:
        table = as_numbers(values, name)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}={values!r} must be a function of frequencies, or numbers."
        ) from error
    if table.ndim == 2 and table.shape[1] == 2 and len(table):
        points, heights = table[np.argsort(table[:, 0], kind="stable")].T
        return lambda frequencies: np.interp(frequencies, points, heights)
    return (lambda frequencies: table) if table.ndim == 0 else None


def _checked_values(
    values: np.ndarray, frequencies: np.ndarray, name: str, finite: bool
) -> np.ndarray:
    """Return the values, or raise a ValueError for the first invalid one."""
    wrong = ~(values >= 0) | (finite & np.isinf(values))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"{name} must be {'finite and ' if finite else ''}>= 0, but it is "
            f"{values[i]:g} at the frequency {frequencies[i]:g}."
        )
    return values
