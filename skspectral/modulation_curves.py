"""Amplitude, frequency and phase of fitted atoms as functions of position."""
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
    """Amplitude, frequency and phase of each atom as functions of the position.

    All arrays have the shape ``(n_components, *signal_shape)``. For plane waves the
    axis of the channels is left out, because all channels have the same modulation.

    Attributes
    ----------
    amplitude : ndarray
        Amplitude A_i(t) in units of ``components_``. Its root mean square is
        ``amplitudes_``. With ``windows`` it is the amplitude of the windowed atom,
        whereas ``amplitudes_`` are those of the whole waves.
    frequency : ndarray
        Instantaneous frequency in the units of ``frequencies_``: the derivative of the
        angle 2 pi f_i t + phi_i(t), divided by 2 pi.
    phase : ndarray
        Phase phi_i(t) in radians, near ``phases_`` and without jumps of 2 pi between
        neighbouring positions.
    """

    amplitude: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray


def modulation_curves(estimator: Any) -> ModulationCurves:
    """Compute amplitude, instantaneous frequency and phase of each atom.

    The atoms are A_i(t) sin(2 pi f_i t + phi_i(t)), where f_i is ``frequencies_``.
    Plane waves have ``wave_vectors_`` in place of f_i, and a colour as a factor.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator, with atoms of a family that derives from `WaveFamily`.

    Returns
    -------
    curves : ModulationCurves
        Named tuple of the arrays ``amplitude``, ``frequency`` and ``phase``.

    Raises
    ------
    TypeError
        If the family of the atoms does not derive from `WaveFamily`.

    Notes
    -----
    The frequency is f_i plus the central differences of phi_i / (2 pi). It is therefore
    exact for plain waves. For sinusoids of a flattened image it is the frequency along
    the rows of pixels, and for plane waves the length of the local wave vector.

    The samples of an atom determine the angle only up to the reflection a to pi - a,
    which leaves the sine unchanged. The angle is chosen for which phi_i is nearest to
    ``phases_``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.modulation_curves import modulation_curves
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(5, signal_shape=(8, 8)).fit(X)
    >>> modulation_curves(est).phase.shape
    (5, 8, 8)
    """
    check_is_fitted(estimator)
    learned = estimator.model_.dictionary
    family, grid, wave_grid = learned.atoms.family, learned.grid, learned.wave_grid
    if not isinstance(family, WaveFamily):
        raise TypeError(
            f"atoms={family!r} have no amplitude and phase at each position, because "
            f"{type(family).__name__} does not derive from WaveFamily. Derive the "
            "family from skspectral.atoms.WaveFamily, or use another kind of atoms."
        )
    params = as_tensor(learned.params, _CPU, torch.float64)
    angle, amplitude = map(as_array, family.angle_and_amplitude(params, grid))
    mean_square = np.mean(amplitude**2, axis=1, keepdims=True)
    amplitude = amplitude * (learned.amplitude[:, None] / np.sqrt(mean_square))
    windows = learned.windows
    atoms = as_array(learned.components)[:: len(windows)]

    position = as_array(wave_grid.coordinates(_CPU)) + 0.5
    carrier = 2 * math.pi * (learned.frequency @ position)
    colour = learned.colour @ as_array(wave_grid.channel_indicator(_CPU))
    waves = colour * amplitude * np.sin(angle)
    # The parameters may describe the negative of the published component.
    same_sign = np.sum(waves * atoms, axis=1, keepdims=True) >= 0
    angle = np.where(same_sign, angle, angle + math.pi)
    plain_phase = learned.phase[:, None]
    plain_angle = carrier + plain_phase
    phase = _nearest_phase(angle - plain_angle, -angle - plain_angle, amplitude**2)

    if len(windows) > 1:
        norms = np.linalg.norm(waves[:, None] * windows, axis=2, keepdims=True)
        amplitude = amplitude[:, None] * windows / np.maximum(norms, _TINY)
        amplitude = amplitude.reshape(-1, amplitude.shape[2])

    # All channels of a wave have the same modulation: the first channel is enough.
    places, axes = grid.shape, [1 + axis for axis in grid.spatial_axes]
    if wave_grid.sizes == grid.sizes:
        places, axes = grid.sizes, list(range(1, grid.n_axes + 1))
    amplitude, phase = (
        wave_grid.first_channel(part).reshape(-1, *places)
        for part in (amplitude, phase)
    )
    # Remove jumps of 2 pi between neighbours, and bring the mean of the phase to within
    # half a turn of zero.
    for axis in reversed(axes):
        phase = np.unwrap(phase, axis=axis)
    turns = np.round(phase.mean(axis=tuple(axes), keepdims=True) / (2 * math.pi))
    phase = phase - 2 * math.pi * turns
    frequency = _frequency(learned.frequency, phase, grid, wave_grid)
    phase = phase + plain_phase.reshape(-1, *[1] * len(places))
    frequency, phase = (
        np.repeat(part, len(windows), axis=0) for part in (frequency, phase)
    )
    return ModulationCurves(amplitude, frequency, phase)


def _nearest_phase(
    phase: np.ndarray, reflected: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return per atom ``phase`` or pi + ``reflected``, the one nearer to zero, wrapped.

    All arrays have the shape (K, T). The positions are weighted by ``weights``.
    """
    candidates = np.stack([phase, math.pi + reflected])
    best = np.sum(weights * np.cos(candidates), axis=2).argmax(axis=0)
    chosen = np.take_along_axis(candidates, best[None, :, None], axis=0)[0]
    return np.remainder(chosen + math.pi, 2 * math.pi) - math.pi


def _frequency(
    vectors: np.ndarray, phase: np.ndarray, grid: Grid, wave_grid: Grid
) -> np.ndarray:
    """Return the length of the local wave vector at each position, in public units.

    The wave vectors (K, D) of the plain waves are changed by the differences of the
    phase: central ones, one-sided at the ends, and 0 along an axis of length 1.
    """
    # The axes of ``phase`` along which the waves run, and the number of samples over
    # which their frequencies count cycles. A flattened image runs along its last axis.
    if wave_grid.sizes == grid.sizes:
        axes = dict(enumerate(wave_grid.sizes, 1))
    else:
        last = grid.spatial_axes[-1]
        axes = {1 + last: grid.n_features // math.prod(grid.shape[last + 1 :])}
    cycles, local = phase / (2 * math.pi), []
    for (axis, n), vector, unit in zip(
        axes.items(), vectors.T, wave_grid.units, strict=True
    ):
        slope, size = np.zeros_like(phase), phase.shape[axis]
        if size > 1:
            slope = np.gradient(cycles, axis=axis, edge_order=min(2, size - 1))
        local.append((vector.reshape(-1, *[1] * (phase.ndim - 1)) + slope * n) * unit)
    return np.sqrt(sum(part**2 for part in local)) if len(local) > 1 else local[0]
