"""Smooth windows over a signal, in each of which an atom has a code of its own."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array
from skspectral.grid import Grid
from skspectral.moments.second_moment import SecondMoment

# Share of an atom that none before it has, below which it adds nothing: about the
# ridge that codes are found with.
_LEAST = 1e-6
# Atoms at a time.
_BLOCK = 64
# Largest number of atoms in windows for each feature.
_MOST_ATOMS = 4


def check_windows(
    windows: int | Sequence[int], grid: Grid, n_waves: int = 1
) -> tuple[int, ...]:
    """Number of windows along each axis, from the parameter ``windows``.

    Raises
    ------
    ValueError
        If it does not fit the grid, or makes too many atoms of ``n_waves``.
    """
    windows = windows.tolist() if isinstance(windows, np.ndarray) else windows
    counts: tuple[Any, ...] = (
        (windows,) * grid.n_axes if isinstance(windows, Integral) else tuple(windows)  # type: ignore[arg-type]
    )
    fits = len(counts) == grid.n_axes and all(
        isinstance(n, Integral) and not isinstance(n, bool) and 1 <= int(n) <= side
        for n, side in zip(counts, grid.sizes, strict=False)
    )
    if not fits:
        raise ValueError(
            f"windows={windows!r} must be a number of windows, or one number per axis "
            f"of signal_shape={grid.shape} (n_features={grid.n_features}). Pass an int "
            f"from 1 to {min(grid.sizes)}, or a tuple with {grid.n_axes} such "
            f"number{'s' * (grid.n_axes > 1)}."
        )
    n_atoms = n_waves * math.prod(int(n) for n in counts)
    if n_atoms > _MOST_ATOMS * grid.n_features:
        raise ValueError(
            f"windows={windows!r} makes {n_atoms} atoms of {n_waves}, more than "
            f"{_MOST_ATOMS} for each of n_features={grid.n_features}. Pass fewer "
            "windows, or a smaller n_components."
        )
    return tuple(int(n) for n in counts)


def smooth_windows(grid: Grid, counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Windows that overlap with their neighbours and sum to one everywhere.

    Along an axis with n > 1 windows, at the place t from 0 (first sample) to 1 (last),
    h_b(t) = cos^2(pi/2 (n - 1) (t - b / (n - 1))) within 1 / (n - 1) of the centre.
    Those of images are products over the axes; channels share them. Returns the
    windows, (B, T), in C order of the places, and their centres, (B, D), from 0 to 1
    along each axis.
    """
    along = [_along(side, n) for side, n in zip(grid.sizes, counts, strict=True)]
    centers = product(*(np.linspace(0, 1, n) if n > 1 else [0.5] for n in counts))
    whole = along[0]
    for rows in along[1:]:
        whole = np.kron(whole, rows)
    return np.repeat(whole, grid.channels, axis=1), np.array(list(centers))


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


def basis_of_dependent(atoms: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Orthonormal basis (r, T) of unit atoms (n, T) that may depend on each other.

    Gram–Schmidt orthogonalisation of the atoms in turn, applied twice against rounding,
    skipping those that are nearly combinations of the ones before; O(n r T). Returns
    also the numbers of the r atoms that the rows come from.
    """
    basis = torch.empty_like(atoms[: atoms.shape[1]])
    kept: list[int] = []
    for start in range(0, len(atoms), _BLOCK):
        if len(kept) == len(basis):
            break
        # Away from the rows so far in one product for many atoms.
        block, found = atoms[start : start + _BLOCK], len(kept)
        for _ in range(2):
            block = block - (block @ basis[:found].T) @ basis[:found]
        for i, rest in enumerate(block):
            for _ in range(2):
                new = basis[found : len(kept)]
                rest = rest - (new @ rest) @ new
            size = rest @ rest
            if size > _LEAST and len(kept) < len(basis):
                basis[len(kept)] = rest / size.sqrt()
                kept.append(start + i)
    return basis[: len(kept)].clone(), kept


def windowed_variance(
    basis: torch.Tensor, kept: list[int], n_atoms: int, C: SecondMoment
) -> np.ndarray:
    """Variance that each atom adds to those before it, (n_atoms,), under C."""
    variance = np.zeros(n_atoms)
    variance[kept] = as_array((C.left_matmul(basis) * basis).sum(1))
    return variance
