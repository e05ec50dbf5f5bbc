"""Gauss-Newton steps of the atoms with fixed codes."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Protocol

import torch

from skspectral.atoms.derivatives import UnitDerivatives
from skspectral.atoms.family import AtomModel
from skspectral.learning.newton import FixedCodesSystem

# Number of steps, and of rejected steps, each with more damping, after which they end.
_STEPS, _MAX_TRIALS = 3, 6
# Damping of the first step, and smallest damping, as a fraction of the mean diagonal of
# the normal matrix.
_FIRST_DAMPING, _MIN_DAMPING = 1e-2, 1e-6


class QuadraticError(Protocol):
    """The squared error as a quadratic function of the atoms of unit norm, (K, T)."""

    def squared_error(self, atoms: torch.Tensor) -> float:
        """Return the squared error."""

    def gradient(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the derivative with respect to the atoms, (K, T)."""

    def apply(self, rows: torch.Tensor) -> torch.Tensor:
        """Return half of the product of the second derivative and rows, (K, T)."""

    @property
    def code_energy(self) -> torch.Tensor:
        """Mean of the diagonal of half the second derivative, per atom, (K,)."""


def lowered(
    model: AtomModel, params: torch.Tensor, error: QuadraticError
) -> torch.Tensor:
    """Return parameters with a lower error, or the same if no step lowers it."""
    atoms = unit_atoms(model.atoms(params))
    loss, damping = error.squared_error(atoms), _FIRST_DAMPING
    for _ in range(_STEPS):
        derivatives = UnitDerivatives(
            model.derivatives(params, torch.float64), model.atoms(params)
        )
        system = FixedCodesSystem(
            error.gradient(atoms), error.apply, error.code_energy, derivatives
        )
        for _ in range(_MAX_TRIALS):
            try:
                step = system.step(damping, _MIN_DAMPING)
            except ArithmeticError:
                damping *= 4
                continue
            trial = params + step.change
            moved = unit_atoms(model.atoms(trial))
            lower = error.squared_error(moved)
            if lower < loss:
                break
            damping *= 4
        else:
            return params
        params, atoms, loss = trial, moved, lower
        damping = max(damping / 5, 1e-7)
    return params


def unit_atoms(atoms: torch.Tensor) -> torch.Tensor:
    """Return the atoms divided by their norms."""
    norms = torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
    return atoms / norms.clamp_min(torch.finfo(atoms.dtype).tiny)
