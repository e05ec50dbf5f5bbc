"""Gains over frequency, for signals that are there."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.fft import dctn, idctn
from sklearn.utils import gen_batches
from sklearn.utils.validation import validate_data

from skspectral._device import as_array
from skspectral._missing import refuse_missing
from skspectral._sklearn_compat import (
    as_numbers,
    as_numpy,
    input_dtypes,
    to_namespace_of,
)
from skspectral._validation import refuse_unusable_tensors
from skspectral.coding.linear import least_squares_map
from skspectral.control.atoms import Curve, Gains, atom_values, in_band

_BANDS = ("bandpass", "bandstop")
# Rows at a time, in float64.
_ROWS = 1024
_WINDOWED_RIDGE = 1e-2


def equalize(
    estimator: Any, X: ArrayLike, gains: Gains, *, residual: float = 1.0
) -> Any:
    """Signals with each atom's share times the gain of its frequency.

    With the mean signal m, the least-squares codes w of x - m, and r what the atoms S
    leave::

        x = m + w S + r      ->      G m + (g w) S + residual r

    where G gives the mean, which the atoms need not tell, the gains of its own
    frequencies, by a cosine transform.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, fitted
    X : array-like of shape (n_samples, n_features)
        Not modified.
    gains : callable, array-like or float
        g >= 0 of amplitudes; 10^(d / 20) for d decibels. A function of frequencies from
        0 on, an array to an array; a table of shape (n, 2) with rows (frequency, gain),
        interpolated linearly and constant beyond its ends; or one for each atom, such
        as the mask of `select_atoms`, where the mean belongs to the residual.
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
        If the gains fit no form above, are negative or infinite, or X is not what
        ``transform`` takes.
    TypeError
        If the estimator has no atoms with frequencies.

    Notes
    -----
    An atom of a finite signal has a band about its frequency, of a width of about one
    cycle per signal, and more where its amplitude drifts: neighbours with different
    gains share what lies between them. With as many atoms as features nothing is left
    to the residual. Codes of atoms in ``windows`` are split with a ridge of 0.01.

    Examples
    --------
    Half of what is above 2 cycles per image:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.control import equalize
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), atoms="plane_wave")
    >>> smooth = equalize(est.fit(X), X, lambda f: np.where(f > 2, 0.5, 1.0))
    >>> table = equalize(est, X, [(2.0, 1.0), (2.1, 0.5)])
    >>> smooth.shape == table.shape == X.shape
    True
    """
    gain, curve = atom_values(estimator, gains, "gains")
    if not np.isfinite(residual):
        raise ValueError(f"residual={residual!r} must be finite.")
    refuse_unusable_tensors(X)
    X = refuse_missing(X, "X")
    checked = validate_data(estimator, X, dtype=input_dtypes(X), reset=False)
    signals = as_numpy(checked)
    if signals.dtype != np.float64:
        signals = signals.astype(np.float32)
    mean, atoms = as_numbers(estimator.mean_), as_numbers(estimator.components_)
    code_map = splitting_map(estimator)
    of_mean = residual * mean
    if curve is not None:
        of_mean = _mean_with_gains(estimator, mean, curve)
    changed = np.empty_like(signals)
    for rows in gen_batches(len(signals), _ROWS):
        centred = signals[rows] - mean
        parts = (gain - residual) * (centred @ code_map.T) @ atoms
        changed[rows] = of_mean + residual * centred + parts
    return to_namespace_of(checked, changed)


def splitting_map(estimator: Any) -> np.ndarray:
    """Maps centred signals to codes that a band may be cut out of, (K, T).

    Those of the estimator but for atoms in windows, which are nearly dependent: there
    codes of the least ridge are huge and opposite, and a band cuts between them.
    """
    model = estimator.model_
    if model.dictionary.window_counts is None:
        return as_array(model.code_map, np.float64)
    atoms = torch.from_numpy(as_numbers(estimator.components_))
    return least_squares_map(atoms, max(model.ridge, _WINDOWED_RIDGE)).numpy()


def _mean_with_gains(estimator: Any, mean: np.ndarray, curve: Curve) -> np.ndarray:
    """The mean signal with gains of its own frequencies.

    By the cosine transform along the axes of the waves: half cycles from one end to
    the other, and no jump where the ends would meet.
    """
    on = estimator.model_.dictionary.wave_grid
    places = mean.reshape(*on.sizes, -1)
    along = tuple(range(on.n_axes))
    half_cycles = on.units[:, None] * np.indices(on.sizes).reshape(on.n_axes, -1)
    gains = curve(np.linalg.norm(half_cycles / 2, axis=0)).reshape(*on.sizes, 1)
    spectrum = gains * dctn(places, axes=along, norm="ortho")
    return idctn(spectrum, axes=along, norm="ortho").ravel()


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
    estimator : SpectralDictionaryLearning, fitted
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
        As by `equalize`. Without limits, and with no residual, what the model tells.

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
    gains, rest = gains_of_band(low, high, btype, residual)
    return equalize(estimator, X, gains, residual=rest)


def gains_of_band(
    low: float | None, high: float | None, btype: str, residual: float | None
) -> tuple[Curve, float]:
    """Gains over frequency, and that of the residual, with which `filter` equalizes."""
    if btype not in _BANDS:
        raise ValueError(f"btype={btype!r} must be one of {_BANDS}.")
    passes = btype == "bandpass"

    def gains(frequencies: np.ndarray) -> np.ndarray:
        return (in_band(frequencies, (low, high)) == passes).astype(float)

    return gains, float(not passes) if residual is None else residual
