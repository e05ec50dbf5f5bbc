"""Gains over frequency, for signals that are there."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers, as_numpy, to_namespace_of
from skspectral.control.atoms import Gains, atom_values, select_atoms

_BANDS = ("bandpass", "bandstop")


def equalize(
    estimator: Any, X: ArrayLike, gains: Gains, *, residual: float = 1.0
) -> Any:
    """Signals with each atom's share times the gain of its frequency.

    With w the least-squares codes of a signal x, its mean not subtracted, and r what
    the atoms S leave::

        x = w S + r      ->      (g w) S + residual r

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
        as the mask of `select_atoms`. Frequencies are in units of ``frequencies_``.
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
    gain = atom_values(estimator, gains, "gains")
    signals, codes = signals_and_codes(estimator, X)
    # transform takes the mean away: with it, the codes are those of the whole signal.
    codes = codes + estimator_array(estimator, "_code_map") @ estimator_array(
        estimator, "mean_"
    )
    change = codes * (gain - residual) @ estimator_array(estimator, "components_")
    return like_input(X, residual * signals + change.astype(signals.dtype))


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
        As by `equalize`; low-pass filters keep the mean signal's low frequencies.

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
    gains, of_residual = band_gains(estimator, low, high, btype)
    kept = of_residual if residual is None else residual
    return equalize(estimator, X, gains, residual=kept)


def band_gains(
    estimator: Any, low: float | None, high: float | None, btype: str
) -> tuple[np.ndarray, float]:
    """Gains of the atoms, and of what they do not tell, of a filter."""
    if btype not in _BANDS:
        raise ValueError(f"btype={btype!r} must be one of {_BANDS}.")
    band = select_atoms(estimator, frequency=(low, high))
    if btype == "bandstop":
        return (~band).astype(float), 1.0
    return band.astype(float), 0.0


def signals_and_codes(estimator: Any, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Signals in the dtype of their codes, and codes in float64."""
    codes = as_numpy(estimator.transform(X))
    return as_numpy(X).astype(codes.dtype), codes.astype(np.float64)


def estimator_array(estimator: Any, name: str) -> np.ndarray:
    """An attribute in float64, wherever it is."""
    return as_numbers(getattr(estimator, name))


def like_input(X: Any, array: np.ndarray) -> Any:
    """In the library and on the device of X, if it is an array."""
    return to_namespace_of(X, array) if hasattr(X, "__dlpack__") else array
