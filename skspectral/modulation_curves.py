"""Amplitude, phase and frequency of fitted atoms, place by place."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import softplus

from skspectral._device import as_array, as_tensor
from skspectral._sklearn_compat import as_numbers
from skspectral._validation import check_signal_shape, check_windows
from skspectral.dictionary.atoms import BasisWaves, DriftingWaves
from skspectral.dictionary.windows import smooth_windows
from skspectral.planning import drifting_waves, frequency_units, wave_axes

_AGAIN = "Fit it again."
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
    estimator : SpectralDictionaryLearning
        Fitted.

    Returns
    -------
    curves : ModulationCurves

    Raises
    ------
    ValueError
        If ``atoms``, ``modulation``, ``signal_shape`` or ``windows`` were changed
        after fit.

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
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(5, signal_shape=(8, 8)).fit(X)
    >>> modulation_curves(est).phase.shape
    (5, 8, 8)
    """
    check_is_fitted(estimator)
    model, params = _fitted_waves(estimator)
    angle, raw = (as_array(part) for part in model.angle_and_amplitude(params))
    amplitude = as_array(softplus(torch.from_numpy(raw)))
    mean_square = np.mean(amplitude**2, axis=1, keepdims=True)
    windows = _windows(estimator, len(angle))
    rms, atoms = (
        as_numbers(part)[:: len(windows)]
        for part in (estimator.amplitudes_, estimator.components_)
    )
    amplitude *= rms[:, None] / np.sqrt(mean_square)

    learned = estimator._learned
    x = as_array(model.coordinates) + 0.5
    carrier = 2 * math.pi * (learned["frequency"] @ x)
    colour = learned["colour"] @ as_array(model.channel)
    signed = _with_sign(angle, colour * amplitude, atoms)
    middle = learned["phase"][:, None]
    offset = carrier + middle
    phase = _nearest_phase(signed - offset, -signed - offset, amplitude**2)

    if len(windows) > 1:
        waves = colour * amplitude * np.sin(signed)
        norms = np.linalg.norm(waves[:, None] * windows, axis=2, keepdims=True)
        amplitude = amplitude[:, None] * windows / np.maximum(norms, _TINY)
        amplitude = amplitude.reshape(-1, amplitude.shape[2])

    shape = check_signal_shape(estimator.signal_shape, angle.shape[1])
    flat = len(model.axes.sizes) == 1
    if not flat:
        channels = model.axes.channels
        amplitude, phase = amplitude[:, ::channels], phase[:, ::channels]
    places = shape if flat else shape[:2]
    amplitude, phase = (part.reshape(-1, *places) for part in (amplitude, phase))
    phase = _unwrap(phase, n_axes=min(2, len(shape)))
    units = frequency_units(estimator, model.axes)
    frequency = _frequency(learned["frequency"], phase, shape, flat=flat, units=units)
    middle = middle.reshape(-1, *[1] * len(places))
    frequency, phase = (
        np.repeat(part, len(windows), axis=0) for part in (frequency, phase + middle)
    )
    return ModulationCurves(amplitude, frequency, phase)


def _windows(estimator: Any, n_waves: int) -> np.ndarray:
    """Windows that each wave was fitted in, (B, T): one of ones without ``windows``."""
    n_features = estimator.components_.shape[1]
    windows, centers = np.ones((1, n_features)), np.empty(0)
    if estimator.windows is not None:
        shape = check_signal_shape(estimator.signal_shape, n_features)
        counts = check_windows(estimator.windows, shape)
        windows, centers = smooth_windows(shape, counts)
        centers = np.tile(centers, (n_waves, 1))
    fitted = as_numbers(getattr(estimator, "window_centers_", np.empty(0)))
    if not np.array_equal(centers, fitted):
        raise ValueError(f"The estimator was fitted with other windows. {_AGAIN}")
    return windows


def _fitted_waves(estimator: Any) -> tuple[DriftingWaves, torch.Tensor]:
    """The atoms' form and parameters, on the CPU."""
    device, learned = torch.device("cpu"), estimator._learned
    shape = check_signal_shape(estimator.signal_shape, learned["n_features"])
    plain = BasisWaves.plain(wave_axes(estimator.atoms, shape), device)
    # A network's first weights are of no use: the learned ones are in the parameters.
    stream = np.random.default_rng(0)
    model = drifting_waves(estimator.modulation, shape, plain, device, stream)
    if model.form != learned["form"]:
        raise ValueError(
            "The estimator was fitted with other atoms, modulation or signal_shape. "
            + _AGAIN
        )
    return model, as_tensor(learned["params"], device, torch.float64)


def _with_sign(
    angle: np.ndarray, weight: np.ndarray, components: np.ndarray
) -> np.ndarray:
    """Angles, by half a turn more where the atom is the negative of the component."""
    agree = np.sum(weight * np.sin(angle) * components, axis=1, keepdims=True) >= 0
    return np.where(agree, angle, angle + math.pi)


def _nearest_phase(
    phase: np.ndarray, of_negative: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Whichever of ``phase`` and pi + ``of_negative`` is nearer to zero, wrapped."""
    candidates = np.stack([phase, math.pi + of_negative])
    best = np.sum(weights * np.cos(candidates), axis=2).argmax(axis=0)
    chosen = np.take_along_axis(candidates, best[None, :, None], axis=0)[0]
    return np.remainder(chosen + math.pi, 2 * math.pi) - math.pi


def _unwrap(phase: np.ndarray, n_axes: int) -> np.ndarray:
    """Phases without jumps along the places, their mean within half a turn of zero."""
    for axis in range(n_axes, 0, -1):
        phase = np.unwrap(phase, axis=axis)
    places = tuple(range(1, n_axes + 1))
    turns = np.round(phase.mean(axis=places, keepdims=True) / (2 * math.pi))
    return phase - 2 * math.pi * turns


def _frequency(
    vectors: np.ndarray,
    phase: np.ndarray,
    shape: tuple[int, ...],
    *,
    flat: bool,
    units: np.ndarray,
) -> np.ndarray:
    """Length of the local wave vector; along the rows of a flattened signal."""
    # Axes of the phase along which waves run, and how many places make one unit.
    axes = (
        {min(2, len(shape)): math.prod(shape[:2])}
        if flat
        else dict(enumerate(shape[:2], 1))
    )
    local = [
        (vector.reshape(-1, *[1] * (phase.ndim - 1)) + _slope(phase, axis) * n) * unit
        for (axis, n), vector, unit in zip(axes.items(), vectors.T, units, strict=True)
    ]
    return local[0] if flat else np.hypot(*local)


def _slope(phase: np.ndarray, axis: int) -> np.ndarray:
    """Cycles a place by central differences, one-sided at the ends; of one place, 0."""
    n = phase.shape[axis]
    if n == 1:
        return np.zeros_like(phase)
    cycles = phase / (2 * math.pi)
    return np.gradient(cycles, axis=axis, edge_order=2 if n > 2 else 1)
