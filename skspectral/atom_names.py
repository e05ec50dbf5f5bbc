"""Names of atoms by their wavelength and orientation, or by their frequency."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from skspectral._sklearn_compat import as_numbers
from skspectral._validation import fitted_attribute
from skspectral.grid import Grid

__all__ = ["atom_names"]

# An atom is constant if its deviation from its mean over the positions has at most this
# fraction of its energy.
_CONSTANT = 0.02
# With fewer cycles than this along the longest side, a wave only rises, or only falls.
_FEW_CYCLES = 0.25


def atom_names(estimator: Any) -> list[str]:
    """Name each atom by its wavelength and orientation, or by its frequency.

    Plane waves of images are named by their wavelength in pixels and by the direction
    in which they oscillate, as in "8.2 px, 45°": 0° is from left to right, 90° from top
    to bottom. Sinusoids of signals are named by their frequency, as in "440 Hz". An
    atom that hardly varies is named "constant". A wave that is more than four times as
    long as the image is named "gradient", with its direction. A sinusoid that is more
    than four times as long as the signal is named "trend".

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator.

    Returns
    -------
    names : list of str
        One name per row of ``components_``. With a ``sampling_rate``, wavelengths of
        images are in its unit of length, without "px". Sinusoids of a flattened image
        are named by their frequency in cycles per image.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator has no fitted dictionary model.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atom_names import atom_names
    >>> est = SpectralDictionaryLearning(4, signal_shape=(8, 8), modulation=None)
    >>> len(atom_names(est.fit(load_digits().data)))
    4
    """
    model = fitted_attribute(estimator, "model_")
    grid, waves = model.grid, model.dictionary.wave_grid
    if waves.n_axes == 3:
        vectors = as_numbers(estimator.wave_vectors_)
        names = [_of_wave_vector(vector, waves) for vector in vectors]
    elif waves.is_image:
        vectors = as_numbers(estimator.wave_vectors_)
        names = [_of_plane_wave(vector, waves) for vector in vectors]
    else:
        names = [
            _of_sinusoid(f, waves, grid) for f in as_numbers(estimator.frequencies_)
        ]
    constant = _is_constant(as_numbers(estimator.components_), grid)
    return [
        "constant" if is_constant else name
        for name, is_constant in zip(names, constant, strict=True)
    ]


def _of_plane_wave(vector: np.ndarray, grid: Grid) -> str:
    """Return the name of a plane wave with a wave vector (down, across).

    The wave vector is in the units of ``wave_vectors_``.
    """
    down, across = vector / grid.units
    angle = round(np.degrees(np.arctan2(vector[0], vector[1]))) % 180
    # Cycles over each side become cycles per pixel.
    per_pixel = np.hypot(down / grid.sizes[0], across / grid.sizes[1])
    if per_pixel * max(grid.sizes) < _FEW_CYCLES:
        return f"gradient, {angle}°"
    length = f"{_digits(1 / per_pixel)} px"
    if grid.sampling_rate is not None:
        length = _digits(1 / np.hypot(*vector))
    return f"{length}, {angle}°"


def _of_wave_vector(vector: np.ndarray, grid: Grid) -> str:
    """Return the name of a plane wave along three axes: its wave vector."""
    cycles = np.abs(vector / grid.units)
    if cycles.max() < _FEW_CYCLES:
        return "gradient"
    return f"({', '.join(_digits(f) if f >= 0 else '-' + _digits(-f) for f in vector)})"


def _is_constant(components: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a mask of the atoms, shape (K, T), that are constant over positions."""
    signals = grid.signals(components).reshape(len(components), grid.channels, -1)
    varying = signals.var(axis=2).sum(axis=1)
    return varying <= _CONSTANT * (signals**2).mean(axis=2).sum(axis=1)


def _of_sinusoid(frequency: float, waves: Grid, grid: Grid) -> str:
    """Return the name of a sinusoid with a frequency in units of ``frequencies_``."""
    if not grid.is_image and frequency / waves.units[0] < _FEW_CYCLES:
        return "trend"
    if waves.sampling_rate is None:
        unit = f"cycles/{grid.noun}"
    else:
        unit = "cycles/unit of length" if grid.is_image else "Hz"
    return f"{_digits(frequency)} {unit}"


def _digits(value: float) -> str:
    """Format a number with about three digits, and at most two decimals."""
    return f"{value:.{2 if value < 1 else 1 if value < 100 else 0}f}"
