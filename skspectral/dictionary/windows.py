"""Smooth windows over a signal, in each of which an atom has a code of its own."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from itertools import product

import numpy as np
import torch

from skspectral._device import as_array

# Share of an atom that none before it has, below which it adds nothing: about the
# ridge that codes are found with.
_LEAST = 1e-6
# Atoms at a time.
_BLOCK = 64


def smooth_windows(
    shape: tuple[int, ...], counts: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Windows that overlap with their neighbours and sum to one everywhere.

    Along an axis with n > 1 windows, at the place t from 0 (first sample) to 1 (last),
    h_b(t) = cos^2(pi/2 (n - 1) (t - b / (n - 1))) within 1 / (n - 1) of the centre.
    Those of images are products over the axes; channels share them.

    Parameters
    ----------
    shape : tuple of int
        (length,), (height, width) or (height, width, channels).
    counts : tuple of int
        Number of windows along each axis of places.

    Returns
    -------
    windows : ndarray of shape (B, T)
        In C order of the places.
    centers : ndarray of shape (B, D)
        From 0 to 1 along each of D axes.
    """
    sides = shape[: len(counts)]
    along = [_along(side, count) for side, count in zip(sides, counts, strict=True)]
    centers = product(*(np.linspace(0, 1, n) if n > 1 else [0.5] for n in counts))
    whole = along[0]
    for rows in along[1:]:
        whole = np.kron(whole, rows)
    n_channels = math.prod(shape) // whole.shape[1]
    return np.repeat(whole, n_channels, axis=1), np.array(list(centers))


def _along(n_samples: int, n_windows: int) -> np.ndarray:
    """Windows over one axis, (n_windows, n_samples)."""
    if n_windows == 1:
        return np.ones((1, n_samples))
    places = np.linspace(0, n_windows - 1, n_samples)
    apart = np.abs(places - np.arange(n_windows)[:, None])
    return np.where(apart < 1, np.cos(np.pi / 2 * apart) ** 2, 0.0)


def windowed_atoms(components: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """Atoms of unit norm, (K B, T): all windows of the first atom, of the second, .."""
    atoms = (components[:, None] * windows).flatten(0, 1)
    norms = torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
    return atoms / norms.clamp_min(torch.finfo(atoms.dtype).tiny)


def span_axes(atoms: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Orthonormal axes of the span of atoms that may depend on each other.

    Gram and Schmidt's, of the atoms in turn, each but for those that are nearly
    combinations of the ones before; twice, against rounding. O(n r T).

    Parameters
    ----------
    atoms : tensor of shape (n, T)
        Of unit norm.

    Returns
    -------
    axes : tensor of shape (r, T)
    kept : list of int
        The r atoms that they come from.
    """
    axes = torch.empty_like(atoms[: atoms.shape[1]])
    kept: list[int] = []
    for start in range(0, len(atoms), _BLOCK):
        if len(kept) == len(axes):
            break
        # Away from the axes so far in one product for many atoms.
        block, found = atoms[start : start + _BLOCK], len(kept)
        for _ in range(2):
            block = block - (block @ axes[:found].T) @ axes[:found]
        for i, rest in enumerate(block):
            for _ in range(2):
                new = axes[found : len(kept)]
                rest = rest - (new @ rest) @ new
            size = rest @ rest
            if size > _LEAST and len(kept) < len(axes):
                axes[len(kept)] = rest / size.sqrt()
                kept.append(start + i)
    return axes[: len(kept)].clone(), kept


def windowed_variance(
    axes: torch.Tensor, kept: list[int], n_atoms: int, C: torch.Tensor
) -> np.ndarray:
    """Variance that each atom adds to those before it, (n_atoms,), under moment C."""
    variance = np.zeros(n_atoms)
    variance[kept] = as_array(((axes @ C) * axes).sum(1))
    return variance
