"""Smooth windows over a signal. Each atom has one code per window."""
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

# An atom is skipped if at most this fraction of its energy lies outside the span of the
# earlier atoms. The value is about the ridge of the least-squares codes.
_MIN_NEW_ENERGY = 1e-6
# Number of atoms that are orthogonalised together.
_BLOCK = 64
# Largest number of windowed atoms per feature.
_MAX_ATOMS_PER_FEATURE = 4


def check_windows(
    windows: int | Sequence[int], grid: Grid, n_waves: int = 1
) -> tuple[int, ...]:
    """Return the number of windows along each axis, from the parameter ``windows``.

    Parameters
    ----------
    windows : int or sequence of int
        The parameter of the estimator: one number for all axes, or one per axis.
    grid : Grid
        Axes and channels of the signals.
    n_waves : int, default=1
        Number of atoms without windows.

    Returns
    -------
    counts : tuple of int
        Number of windows along each axis.

    Raises
    ------
    ValueError
        If ``windows`` does not fit the axes of the grid.
    ValueError
        If the windows make more than four atoms per feature.
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
    if n_atoms > _MAX_ATOMS_PER_FEATURE * grid.n_features:
        raise ValueError(
            f"windows={windows!r} makes {n_atoms} atoms from n_components={n_waves}. "
            f"At most {_MAX_ATOMS_PER_FEATURE} atoms per feature are allowed, here "
            f"{_MAX_ATOMS_PER_FEATURE * grid.n_features} for n_features="
            f"{grid.n_features}. Pass fewer windows, or a smaller n_components."
        )
    return tuple(int(n) for n in counts)


def smooth_windows(grid: Grid, counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return windows that overlap their neighbours and sum to one everywhere.

    Along an axis with n > 1 windows, window b has the value::

        h_b(t) = cos^2(pi/2 (n - 1) (t - b / (n - 1)))

    at the coordinate t, from 0 at the first sample to 1 at the last, if t lies within
    1 / (n - 1) of its centre b / (n - 1), and 0 elsewhere. Windows of images are
    products over the axes. All channels have the same windows.

    Parameters
    ----------
    grid : Grid
        Axes and channels of the signals.
    counts : sequence of int
        Number of windows along each axis.

    Returns
    -------
    windows : ndarray of shape (B, T)
        One window per row, in C order of their centres.
    centers : ndarray of shape (B, D)
        Centres of the windows, from 0 to 1 along each axis.
    """
    along = [_along(side, n) for side, n in zip(grid.sizes, counts, strict=True)]
    centers = product(*(np.linspace(0, 1, n) if n > 1 else [0.5] for n in counts))
    whole = along[0]
    for rows in along[1:]:
        whole = np.kron(whole, rows)
    return np.array(grid.spread(whole)), np.array(list(centers))


def _along(n_samples: int, n_windows: int) -> np.ndarray:
    """Return the windows over one axis, shape (n_windows, n_samples)."""
    if n_windows == 1:
        return np.ones((1, n_samples))
    places = np.linspace(0, n_windows - 1, n_samples)
    apart = np.abs(places - np.arange(n_windows)[:, None])
    return np.where(apart < 1, np.cos(np.pi / 2 * apart) ** 2, 0.0)


def windowed_atoms(components: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """Return the product of each atom with each window, scaled to unit norm.

    The result has the shape (K B, T). The first B rows are the windows of the first
    atom.
    """
    atoms = (components[:, None] * windows).flatten(0, 1)
    norms = torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
    return atoms / norms.clamp_min(torch.finfo(atoms.dtype).tiny)


def basis_of_dependent(atoms: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Return an orthonormal basis (r, T) of unit atoms (n, T) that may be dependent.

    This is Gram–Schmidt orthogonalisation, applied twice against rounding errors. Atoms
    that are nearly combinations of earlier atoms are skipped. The second result holds
    the indices of the r atoms that were not skipped. Costs O(n r T).
    """
    basis = torch.empty_like(atoms[: atoms.shape[1]])
    kept: list[int] = []
    for start in range(0, len(atoms), _BLOCK):
        if len(kept) == len(basis):
            break
        # One matrix product makes the whole block orthogonal to the earlier basis.
        block, found = atoms[start : start + _BLOCK], len(kept)
        for _ in range(2):
            block = block - (block @ basis[:found].T) @ basis[:found]
        for i, residual in enumerate(block):
            for _ in range(2):
                new = basis[found : len(kept)]
                residual = residual - (new @ residual) @ new
            energy = residual @ residual
            if energy > _MIN_NEW_ENERGY and len(kept) < len(basis):
                basis[len(kept)] = residual / energy.sqrt()
                kept.append(start + i)
    return basis[: len(kept)].clone(), kept


def windowed_variance(
    basis: torch.Tensor, kept: list[int], n_atoms: int, C: SecondMoment
) -> np.ndarray:
    """Return the variance that each atom adds to earlier atoms, shape (n_atoms,)."""
    variance = np.zeros(n_atoms)
    variance[kept] = as_array((C.left_matmul(basis) * basis).sum(1))
    return variance
