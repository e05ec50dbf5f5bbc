"""Amplitude, phase and frequency of fitted atoms, place by place."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skspectral._device import as_array, as_tensor
from skspectral.atoms.wave_family import WaveFamily
from skspectral.grid import Grid

_CPU = torch.device("cpu")
_TINY = np.finfo(np.float64).tiny


class ModulationCurves(NamedTuple):
    """How each atom's sinusoid drifts over the signal.

    All are of shape ``(n_components, *signal_shape)``, for plane waves without the
    channels, which drift together.

    Attributes
    ----------
    amplitude : ndarray
        A_i(t), in units of ``components_``; its root mean square is ``amplitudes_``.
        With ``windows``, those are of whole waves, and A_i(t) is of the windowed one.
    frequency : ndarray
        Derivative of the angle 2 pi f_i t + phi_i(t) over 2 pi, in the units of
        ``frequencies_``.
    phase : ndarray
        phi_i(t) in radians, near ``phases_`` and without jumps of 2 pi between
        neighbours.
    """

    amplitude: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray


def modulation_curves(estimator: Any) -> ModulationCurves:
    """Amplitude, instantaneous frequency and phase of the atoms.

    The atoms are A_i(t) sin(2 pi f_i t + phi_i(t)), times the colours of plane waves,
    with the public ``frequencies_`` (``wave_vectors_``) for f_i.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, fitted

    Returns
    -------
    curves : ModulationCurves

    Raises
    ------
    TypeError
        If the family of the atoms does not derive from `WaveFamily`.

    Notes
    -----
    The frequency is f_i and the central differences of phi_i, so that of plain waves is
    exact. Of sinusoids of a flattened image it is that along the rows of pixels, of
    plane waves the length of the local wave vector. What the samples do not tell is
    chosen so that phi_i is nearest to ``phases_``: an angle a is pi - a as well.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.modulation_curves import modulation_curves
    >>> est = SpectralDictionaryLearning(5, signal_shape=(8, 8)).fit(load_digits().data)
    >>> modulation_curves(est).phase.shape
    (5, 8, 8)
    """
    check_is_fitted(estimator)
    learned = estimator.model_.dictionary
    family, grid, on = learned.atoms.family, learned.grid, learned.wave_grid
    if not isinstance(family, WaveFamily):
        raise TypeError(
            f"Atoms of the family {type(family).__name__} have no amplitude and phase "
            "at each place, because it does not derive from WaveFamily."
        )
    params = as_tensor(learned.params, _CPU, torch.float64)
    angle, amplitude = map(as_array, family.angle_and_amplitude(params, grid))
    mean_square = np.mean(amplitude**2, axis=1, keepdims=True)
    amplitude = amplitude * (learned.amplitude[:, None] / np.sqrt(mean_square))
    windows = learned.windows
    atoms = as_array(learned.components)[:: len(windows)]

    x = as_array(on.coordinates(_CPU)) + 0.5
    carrier = 2 * math.pi * (learned.frequency @ x)
    colour = learned.colour @ as_array(on.channel_indicator(_CPU))
    waves = colour * amplitude * np.sin(angle)
    # An atom may be the negative of its component.
    agree = np.sum(waves * atoms, axis=1, keepdims=True) >= 0
    angle = np.where(agree, angle, angle + math.pi)
    middle = learned.phase[:, None]
    offset = carrier + middle
    phase = _nearest_phase(angle - offset, -angle - offset, amplitude**2)

    if len(windows) > 1:
        norms = np.linalg.norm(waves[:, None] * windows, axis=2, keepdims=True)
        amplitude = amplitude[:, None] * windows / np.maximum(norms, _TINY)
        amplitude = amplitude.reshape(-1, amplitude.shape[2])

    # The channels of waves that run along the axes of images drift together.
    places = grid.sizes if on.is_image or on.channels > 1 else grid.shape
    amplitude, phase = (
        part[:, :: on.channels].reshape(-1, *places) for part in (amplitude, phase)
    )
    # Phases are without jumps along the places, their mean within half a turn of zero.
    axes = tuple(range(1, grid.n_axes + 1))
    for axis in reversed(axes):
        phase = np.unwrap(phase, axis=axis)
    turns = np.round(phase.mean(axis=axes, keepdims=True) / (2 * math.pi))
    phase = phase - 2 * math.pi * turns
    frequency = _frequency(learned.frequency, phase, grid, on)
    middle = middle.reshape(-1, *[1] * len(places))
    frequency, phase = (
        np.repeat(part, len(windows), axis=0) for part in (frequency, phase + middle)
    )
    return ModulationCurves(amplitude, frequency, phase)


def _nearest_phase(
    phase: np.ndarray, of_negative: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Whichever of ``phase`` and pi + ``of_negative`` is nearer to zero, wrapped."""
    candidates = np.stack([phase, math.pi + of_negative])
    best = np.sum(weights * np.cos(candidates), axis=2).argmax(axis=0)
    chosen = np.take_along_axis(candidates, best[None, :, None], axis=0)[0]
    return np.remainder(chosen + math.pi, 2 * math.pi) - math.pi


def _frequency(
    vectors: np.ndarray, phase: np.ndarray, grid: Grid, on: Grid
) -> np.ndarray:
    """Length of the local wave vector; along the rows of a flattened signal.

    The phase adds its central differences, one-sided at the ends, and 0 of one place.
    """
    # Axes of the phase along which waves run, and how many places make one unit.
    axes = (
        {grid.n_axes: grid.n_places}
        if on.n_axes < grid.n_axes
        else dict(enumerate(on.sizes, 1))
    )
    cycles, local = phase / (2 * math.pi), []
    for (axis, n), vector, unit in zip(axes.items(), vectors.T, on.units, strict=True):
        slope, size = np.zeros_like(phase), phase.shape[axis]
        if size > 1:
            slope = np.gradient(cycles, axis=axis, edge_order=min(2, size - 1))
        local.append((vector.reshape(-1, *[1] * (phase.ndim - 1)) + slope * n) * unit)
    return np.sqrt(sum(part**2 for part in local)) if len(local) > 1 else local[0]
