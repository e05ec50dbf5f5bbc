"""Apply gains over frequency to signals."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.fft import dctn, idctn
from sklearn.utils import gen_batches

from skspectral._device import as_array
from skspectral._sklearn_compat import (
    as_numbers,
    as_numpy,
    input_dtypes,
    to_namespace_of,
    validate_data,
)
from skspectral._validation import refuse_unusable_tensors
from skspectral.coding.linear import least_squares_map
from skspectral.control.atoms import (
    Curve,
    Gains,
    atom_values,
    check_band,
    frequencies_of,
    in_band,
)

# Number of signals that are processed at a time, in float64.
_BATCH_ROWS = 1024
# Smallest ridge with which signals are divided between atoms in windows.
_WINDOWED_RIDGE = 1e-2


def equalize(
    estimator: Any, X: ArrayLike, gains: Gains, *, residual: float = 1.0
) -> Any:
    """Multiply each atom's part of the signals by the gain at its frequency.

    A signal x is the sum of the mean signal m, a combination w S of the atoms S with
    least-squares codes w, and a residual r. The gains g change it as follows::

        x = m + w S + r      ->      G m + (g w) S + residual r

    G applies the gains to the frequencies of the mean signal itself, by a cosine
    transform, because the mean need not be a combination of the atoms.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator whose atoms divide the signals into frequencies.
    X : array-like of shape (n_samples, n_features)
        Signals to change. The array is not modified.
    gains : callable, array-like or float
        Factors >= 0 of the amplitudes; d decibels are the factor 10^(d / 20). They may
        be given in four forms. Frequencies are in units of ``frequencies_``.

        - A function from an array of frequencies >= 0 to an array of gains.
        - A table of shape (n, 2) with rows (frequency, gain). Gains are interpolated
          linearly between the rows, and are constant beyond them.
        - An array of shape (n_components,) with one gain per atom, such as the mask of
          `select_atoms`. The mean signal is then multiplied by ``residual``.
        - One number, the gain of all frequencies.
    residual : float, default=1.0
        Gain of the residual, which has no known frequency. 0 removes it.

    Returns
    -------
    equalized : ndarray of shape (n_samples, n_features)
        Changed signals in the dtype of X, or in float32 if X is uint8. They are not
        clipped to the range of images.

    Raises
    ------
    ValueError
        If ``gains`` has none of the four forms, or a gain is negative or not finite.
    ValueError
        If ``residual`` is not finite, or ``transform`` would not accept X.
    TypeError
        If ``estimator`` has no atoms with frequencies.

    See Also
    --------
    filter : Keep or remove a band of frequencies.
    SpectralEqualizer : The same function as a step of a pipeline.

    Notes
    -----
    The spectrum of an atom is a peak at its frequency whose width is about one cycle
    per signal, and more if the amplitude varies. A frequency between two neighbouring
    atoms is represented by both atoms, and is affected by both gains.

    If there are as many independent atoms as features, the residual is zero.

    Atoms in ``windows`` are nearly dependent. Their codes are computed with a ridge of
    at least 0.01, so that codes of neighbours are not large and of opposite signs.

    Examples
    --------
    Halve the amplitudes above 2 cycles per image, by a function and by a table:

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
    checked = validate_data(estimator, X, dtype=input_dtypes(X), reset=False)
    signals = as_numpy(checked)
    if signals.dtype != np.float64:
        signals = signals.astype(np.float32)
    mean, atoms = as_numbers(estimator.mean_), as_numbers(estimator.components_)
    code_map = stable_code_map(estimator)
    changed_mean = residual * mean
    if curve is not None:
        changed_mean = _equalized_mean(estimator, mean, curve)
    changed = np.empty_like(signals)
    for rows in gen_batches(len(signals), _BATCH_ROWS):
        centred = signals[rows] - mean
        parts = (gain - residual) * (centred @ code_map.T) @ atoms
        changed[rows] = changed_mean + residual * centred + parts
    return to_namespace_of(checked, changed)


def stable_code_map(estimator: Any) -> np.ndarray:
    """Return the matrix (K, T) from centred signals to codes that gains may change.

    It is the code map of the estimator, except for atoms in windows. These are nearly
    dependent, so that codes with a small ridge may be huge and of opposite signs, and
    would no longer cancel after different gains. A larger ridge prevents this.
    """
    model = estimator.model_
    if model.dictionary.window_counts is None:
        return as_array(model.code_map, np.float64)
    atoms = torch.from_numpy(as_numbers(estimator.components_))
    return least_squares_map(atoms, max(model.ridge, _WINDOWED_RIDGE)).numpy()


def _equalized_mean(estimator: Any, mean: np.ndarray, curve: Curve) -> np.ndarray:
    """Apply gains to the frequencies of the mean signal, by a cosine transform.

    The cosine transform treats the signal as if mirrored at its ends. Unlike the
    Fourier transform it sees no jump between the last and the first sample. Its basis
    functions have 0, 1, 2, ... half cycles per axis.
    """
    grid = estimator.model_.dictionary.wave_grid
    values = grid.signals(mean)
    axes = tuple(range(1, 1 + grid.n_axes))
    half_cycles = grid.units[:, None] * np.indices(grid.sizes).reshape(grid.n_axes, -1)
    gains = curve(np.linalg.norm(half_cycles / 2, axis=0)).reshape(grid.sizes)
    spectrum = gains * dctn(values, axes=axes, norm="ortho")
    return np.array(grid.rows(idctn(spectrum, axes=axes, norm="ortho")))


def filter(
    estimator: Any,
    X: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    *,
    btype: str = "bandpass",
    residual: float | None = None,
) -> Any:
    """Keep or remove a band of frequencies of the signals.

    The filter is `equalize` with gains of 0 and 1.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator whose atoms divide the signals into frequencies.
    X : array-like of shape (n_samples, n_features)
        Signals to filter. The array is not modified.
    low, high : float, default=None
        Limits of the band in units of ``frequencies_``. A frequency f is in the band if
        low <= f < high. None means that there is no limit on this side: ``high`` alone
        is a low-pass filter, and ``low`` alone is a high-pass filter.
    btype : {"bandpass", "bandstop"}, default="bandpass"
        Type of the filter: "bandpass" keeps the band, and "bandstop" removes it.
    residual : float, default=None
        Gain of the residual, the part of the signals that is not a combination of
        atoms. None means 0 for "bandpass" and 1 for "bandstop", so that the results of
        both filters add up to X.

    Returns
    -------
    filtered : ndarray of shape (n_samples, n_features)
        Filtered signals in the dtype of X, or in float32 if X is uint8. "bandpass"
        without limits returns the reconstructions of the signals by the atoms.

    Raises
    ------
    ValueError
        If ``low`` is not below ``high``, or ``btype`` is not one of its two values.
    ValueError
        If ``low`` or ``high`` is negative, or above the Nyquist frequency.
    ValueError
        If ``residual`` is not finite, or ``transform`` would not accept X.
    TypeError
        If ``estimator`` has no atoms with frequencies.

    See Also
    --------
    equalize : Apply any gains over frequency.
    SpectralFilter : The same function as a step of a pipeline.

    Examples
    --------
    A low-pass filter and the matching band-stop filter add up to the signals:

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
    frequencies_of(estimator)
    check_band(estimator, (low, high), "(low, high)")
    return equalize(estimator, X, gains, residual=rest)


def gains_of_band(
    low: float | None, high: float | None, btype: str, residual: float | None
) -> tuple[Curve, float]:
    """Return the gains over frequency and the gain of the residual of a filter."""
    if btype not in ("bandpass", "bandstop"):
        raise ValueError(f"btype={btype!r} must be 'bandpass' or 'bandstop'.")
    passes = btype == "bandpass"

    def gains(frequencies: np.ndarray) -> np.ndarray:
        return (in_band(frequencies, (low, high), "(low, high)") == passes).astype(
            float
        )

    return gains, float(not passes) if residual is None else residual
