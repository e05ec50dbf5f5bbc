"""Gains over frequency, for signals that are there."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers, as_numpy, to_namespace_of
from skspectral._validation import check_signal_shape
from skspectral.control.atoms import Gains, atom_values, select_atoms

_BANDS = ("bandpass", "bandstop")


def equalize(
    estimator: Any, X: ArrayLike, gains: Gains, *, residual: float = 1.0
) -> Any:
    """Signals with each atom's share times the gain of its frequency.

    With a constant c, of frequency 0 and for each channel that of the mean signal, w
    the least-squares codes of x - c, and r what the atoms S leave::

        x = c + w S + r      ->      g(0) c + (g w) S + residual r

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Not modified.
    gains : callable, array-like or float
        g >= 0 of amplitudes; 10^(d / 20) for d decibels. A function of frequencies, an
        array to an array; a table of shape (n, 2) with rows (frequency, gain),
        interpolated linearly and constant beyond its ends; or one for each atom, such
        as the mask of `select_atoms`, where the constant belongs to the residual.
        Frequencies are in units of ``frequencies_``.
    residual : float, default=1.0
        Gain of what the atoms do not tell, which is of no known frequency.

    Returns
    -------
    equalized : ndarray of shape (n_samples, n_features)
        In the dtype of X; float32 for uint8. Not clipped to the range of images.

    Raises
    ------
    ValueError
        If the gains fit no form above or are negative, or X is not what
        ``transform`` takes.

    Notes
    -----
    An atom of a finite signal has a band about its frequency, of a width of about one
    cycle per signal, and more where its amplitude drifts: neighbours with different
    gains share what lies between them. With as many atoms as features nothing is left
    to the residual.

    Examples
    --------
    Half of what is above 2 cycles per image:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import equalize
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
    >>> est = est.fit(X)
    >>> smooth = equalize(est, X, lambda f: np.where(f > 2, 0.5, 1.0))
    >>> table = equalize(est, X, [(2.0, 1.0), (2.0, 0.5)])
    >>> smooth.shape, bool(abs(smooth - table).max() < 1e-9)
    ((1797, 64), True)
    """
    check_is_fitted(estimator)
    gain, of_constant = atom_values(estimator, gains, "gains")
    if of_constant is None:
        of_constant = residual
    return _changed(estimator, X, gain, of_constant, residual)


def _changed(
    estimator: Any,
    X: ArrayLike,
    gain: np.ndarray,
    of_constant: float,
    residual: float,
) -> Any:
    """Signals with gains of the atoms, of the constant, and of the rest."""
    codes = as_numpy(estimator.transform(X))
    signals, codes = as_numpy(X).astype(codes.dtype), codes.astype(np.float64)
    mean, code_map, atoms = (
        estimator_array(estimator, name)
        for name in ("mean_", "_code_map", "components_")
    )
    constant = _constant(estimator, mean)
    # transform takes the mean away: with this, the codes are those of x - c.
    codes += code_map @ (mean - constant)
    change = (gain - residual) * codes @ atoms + (of_constant - residual) * constant
    changed = residual * signals + change.astype(signals.dtype)
    return to_namespace_of(X, changed) if hasattr(X, "__dlpack__") else changed


def _constant(estimator: Any, mean: np.ndarray) -> np.ndarray:
    """The mean signal's own mean over all places, for each channel."""
    shape = check_signal_shape(estimator.signal_shape, len(mean))
    places = mean.reshape(-1, shape[2] if len(shape) == 3 else 1)
    return np.tile(places.mean(axis=0), len(places))


def filter(
    estimator: Any,
    X: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    *,
    btype: str = "bandpass",
    residual: float | None = None,
) -> Any:
    """Signals with a band of atoms alone, or without it.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Not modified.
    low, high : float, default=None
        The band, in units of ``frequencies_``: low <= f < high. None is no limit, so
        that ``high`` alone is a low-pass filter and ``low`` alone a high-pass filter.
    btype : {"bandpass", "bandstop"}, default="bandpass"
        Whether the band is kept or taken out.
    residual : float, default=None
        Gain of what the atoms do not tell. None is 0 where the band is kept, and 1
        where it is taken out: the two filters of a band add up to X.

    Returns
    -------
    filtered : ndarray of shape (n_samples, n_features)
        As by `equalize`; the constant of the mean signal is in bands that hold 0.

    Raises
    ------
    ValueError
        If ``low`` is not below ``high``, or ``btype`` is neither.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import filter
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
    >>> low = filter(est.fit(X), X, high=2)
    >>> rest = filter(est, X, high=2, btype="bandstop")
    >>> bool(abs(low + rest - X).max() < 1e-9)
    True
    """
    if btype not in _BANDS:
        raise ValueError(f"btype={btype!r} must be one of {_BANDS}.")
    check_is_fitted(estimator)
    band = select_atoms(estimator, frequency=(low, high)).astype(float)
    of_constant = float((low is None or low <= 0) and (high is None or high > 0))
    of_rest = 0.0
    if btype == "bandstop":
        band, of_constant, of_rest = 1 - band, 1 - of_constant, 1.0
    kept = of_rest if residual is None else residual
    return _changed(estimator, X, band, of_constant, kept)


def estimator_array(estimator: Any, name: str) -> np.ndarray:
    """An attribute in float64, wherever it is."""
    return as_numbers(getattr(estimator, name))
