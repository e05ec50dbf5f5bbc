"""Standard errors of what users read of the atoms: frequencies, phases, amplitudes.

The covariance of the parameters is carried over to the description of the atoms by
differences along its axes (the delta method).
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.learning.parameter_covariance import (
    ParameterCovariance,
    parameter_covariance,
)
from skspectral.model import Dictionary, LinearModel
from skspectral.moments.moments import Moments
from skspectral.moments.second_moment import FactorMoment, SecondMoment, SumMoment

# Relative change of an atom in the differences.
_CHANGE = 1e-4
# A quantity is not identified if a change of the parameters that moves atoms by their
# own length, but not the squared error, would move it by more than this fraction of the
# largest value, or by as many radians.
_MOVES = 1e-3
# Quantities that are angles: their names, and their period.
_PERIODS = {"phases": np.pi, "orientations": np.pi}


def atom_covariance(
    model: LinearModel, moments: Moments, *, center: bool, robust: bool
) -> ParameterCovariance:
    """Return the covariance of the parameters of the atoms.

    Parameters
    ----------
    model : LinearModel
        Fitted model, with atoms that are separable and have no windows.
    moments : Moments
        Moments of the rows of the fit.
    center : bool
        Whether the model has a mean.
    robust : bool
        Whether the noise may have any spectrum. Otherwise it is white.

    Returns
    -------
    found : ParameterCovariance
        The covariance.
    """
    dictionary = model.dictionary
    C: SecondMoment = moments.covariance()
    if not center:
        C = SumMoment([C, FactorMoment(moments.mean[None])])
    return parameter_covariance(
        dictionary.atoms,
        as_tensor(dictionary.params, moments.mean.device, torch.float64),
        C,
        moments.weight,
        int(center),
        model.ridge,
        robust=robust,
    )


def described_errors(
    dictionary: Dictionary, found: ParameterCovariance
) -> dict[str, np.ndarray]:
    """Return the standard errors of the description of the atoms.

    Parameters
    ----------
    dictionary : Dictionary
        The atoms.
    found : ParameterCovariance
        Covariance of their parameters.

    Returns
    -------
    errors : dict of str to ndarray
        Standard errors of the real quantities of `Dictionary.describe`, by their names,
        and in their units and shapes. They are infinite for quantities that the data do
        not identify.
    """
    at, slopes = _slopes(dictionary, found.scale)
    index = torch.arange(len(found.scale))
    blocks = as_array(found.covariance[index, :, index])
    errors = {}
    for name, slope in slopes.items():
        variance = np.einsum("kp...,kpq,kq...->k...", slope, blocks, slope)
        errors[name] = np.sqrt(variance.clip(0))
        errors[name][_is_free(name, at[name], slope, found)] = np.inf
        # The derivatives of a wave of frequency 0 are rounding errors.
        errors[name][errors[name] > _range(name, dictionary)] = np.inf
    return errors


def described_covariance(
    dictionary: Dictionary, found: ParameterCovariance, atoms: np.ndarray
) -> np.ndarray:
    """Return the joint covariance of wave vectors and phases of some atoms.

    Parameters
    ----------
    dictionary : Dictionary
        The atoms.
    found : ParameterCovariance
        Covariance of their parameters.
    atoms : ndarray of int, shape (m,)
        Indices of the atoms.

    Returns
    -------
    covariance : ndarray of shape (m (D + 1), m (D + 1))
        Covariance of the D entries of the wave vector, and of the phase, of one atom
        after the other. For a quantity that the data do not identify, the variance is
        infinite and the covariances are NaN.
    """
    at, slopes = _slopes(dictionary, found.scale)
    name = "wave_vectors" if "wave_vectors" in at else "frequencies"
    joined, free = [], []
    for each in (name, "phases"):
        shape = *found.scale.shape, -1
        joined.append(slopes[each].reshape(shape))
        is_free = _is_free(each, at[each], slopes[each], found)
        free.append(is_free.reshape(len(is_free), -1))
    slope = np.concatenate(joined, axis=2)[atoms]
    is_free = np.concatenate(free, axis=1)[atoms].ravel()
    whole = as_array(found.covariance)[atoms][:, :, atoms]
    covariance = np.einsum("kpr,kplq,lqs->krls", slope, whole, slope)
    covariance = covariance.reshape(len(is_free), -1)
    covariance[is_free] = covariance[:, is_free] = np.nan
    covariance[is_free, is_free] = np.inf
    return covariance


def _slopes(
    dictionary: Dictionary, scale: torch.Tensor
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the description of K atoms, and its derivatives.

    A derivative with respect to p parameters has the shape (K, p, ...). At the ends of
    its range a quantity changes in the same direction by both signs of a change; the
    larger one of the two slopes is taken.
    """
    params = as_tensor(dictionary.params, scale.device, torch.float64)
    at = _description(dictionary, params)
    slopes = {
        name: np.empty((*params.shape, *values.shape[1:]))
        for name, values in at.items()
    }
    for j in range(params.shape[1]):
        step = torch.zeros_like(params)
        step[:, j] = _CHANGE * scale[:, j]
        ends = [_description(dictionary, params + sign * step) for sign in (-1, 1)]
        for name, values in at.items():
            changes = [other[name] - values for other in ends]
            period = _PERIODS.get(name)
            if period is not None:
                changes = [each - period * np.round(each / period) for each in changes]
            below, above = -changes[0], changes[1]
            slope = (below + above) / 2
            ends_here = below * above < 0
            larger = np.where(np.abs(below) > np.abs(above), below, above)
            slope = np.where(ends_here, larger, slope) / _CHANGE
            slopes[name][:, j] = slope / _along(as_array(scale[:, j]), slope)
    return at, slopes


def _is_free(
    name: str, values: np.ndarray, slope: np.ndarray, found: ParameterCovariance
) -> np.ndarray:
    """Return which values change in directions that the data do not identify."""
    free = as_array(found.free * found.scale)
    size = 1.0 if name in _PERIODS else np.abs(values).max()
    changes = np.einsum("mkp,kp...->mk...", free, slope)
    return (np.abs(changes) > _MOVES * size).any(0)


def _range(name: str, dictionary: Dictionary) -> Any:
    """Return the length of the range of a quantity."""
    if name == "wave_vectors":
        return dictionary.wave_grid.nyquist
    if name == "frequencies":
        return np.linalg.norm(dictionary.wave_grid.nyquist)
    return _PERIODS.get(name, np.inf)


def _description(dictionary: Dictionary, params: torch.Tensor) -> dict[str, np.ndarray]:
    """Return the real quantities of the description of atoms with other parameters."""
    described = dictionary.atoms.describe(params)
    # Lengths of atoms are arbitrary, and are 1 in the description.
    norms = torch.linalg.vector_norm(dictionary.atoms.atoms(params), dim=1)
    moved = replace(
        dictionary,
        frequency=as_array(described.waves.frequency),
        phase=as_array(described.waves.phase),
        colour=as_array(described.waves.colour),
        amplitude=as_array(described.amplitude / norms),
        extras={k: as_array(v) for k, v in described.extras.items()},
    )
    return {k: v for k, v in moved.describe().items() if v.dtype.kind == "f"}


def _along(factor: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return factors (K,) with as many axes as the values (K, ...)."""
    return factor.reshape(-1, *[1] * (values.ndim - 1))
