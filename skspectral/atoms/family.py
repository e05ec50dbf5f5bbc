"""What learning asks of a kind of atom, whoever wrote it.

A kind of atom says how parameters become atoms, how an atom starts at a plain wave, and
how it is described. Everything else (selection, projection, Gauss-Newton, spectral
loss, control, plots) sees `AtomFamily` alone, so that a new kind is one file.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch.autograd.functional import jvp

from skspectral.atoms.waves import Waves
from skspectral.grid import Grid


@dataclass(frozen=True)
class Description:
    """What users read of K atoms.

    Attributes
    ----------
    waves : Waves
        The plain wave that each atom is, or is nearest to.
    amplitude : tensor of shape (K,)
        Root mean square amplitude of the wave, in units of the atom.
    extras : mapping of str to tensor
        Further quantities of the family in public units, the first axis of length K.
        The estimator publishes each as an attribute, the name with an underscore
        added: "sweep_rates" becomes ``sweep_rates_``. Names of attributes that every
        fit has are refused.
    """

    waves: Waves
    amplitude: torch.Tensor
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)


class AtomFamily(BaseEstimator, ABC):
    """A kind of atom: rows of parameters that become atoms on a grid.

    Subclasses are scikit-learn objects: ``__init__`` stores its parameters, and nothing
    is kept between calls. The parameters of K atoms are one float64 tensor, by default
    of shape (K, p) with a row for each atom. `skspectral.atoms.check_atom_family`
    tests a new family; the estimator calls it on every instance that is passed as
    ``atoms``.

    Attributes
    ----------
    takes_modulation : bool
        Whether the atoms are plain waves along the axes of `runs_on`, to which the
        parameter ``modulation`` of the estimator may give a drift.
    separable : bool
        Whether each parameter belongs to one atom alone, as Gauss-Newton steps need.

    Notes
    -----
    `WaveFamily` writes atoms, derivatives and descriptions for waves of which a
    subclass says the angle and the amplitude; it is the shorter way for these.
    """

    takes_modulation: ClassVar[bool] = False
    separable: ClassVar[bool] = True

    @abstractmethod
    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms that are, or are near to, plain waves.

        Parameters
        ----------
        waves : Waves
            On the grid `runs_on`; ``waves.envelope`` numbers the `envelopes`.
        grid : Grid
            Of the signals, as for all methods.

        Returns
        -------
        rows : tensor of shape (K, p), float64
        """

    @abstractmethod
    def atoms(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the atoms, of any length and differentiable, shape (K, T), float64."""

    @abstractmethod
    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return what users read of the atoms."""

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the waves run.

        By default the flattened signal.

        Raises
        ------
        ValueError
            If such atoms do not exist on signals of this grid.
        """
        return grid.flattened()

    def jacobian(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the derivatives of separable atoms by their parameters, (K, p, T).

        By default by automatic differentiation, one parameter after the other.
        """
        return row_jacobian(lambda rows: self.atoms(rows, grid), params).to(dtype)

    def envelopes(self, grid: Grid, device: torch.device) -> torch.Tensor | None:
        """Return envelopes in which the greedy selection looks for waves.

        Returns
        -------
        envelopes : tensor of shape (n_envelopes, T) or None
            Factors of exp(-2 pi i f t), real or complex: the cosine and sine of a
            candidate are the real and negative imaginary part of the product. The
            first one is used where waves are not selected. None is the constant alone.
        """
        return None

    def start(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return the first parameters, with those that all atoms share."""
        return self.new_atoms(waves, grid)

    def rows(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the parameters that belong to one atom each, shape (K, p)."""
        return params

    def with_rows(
        self, params: torch.Tensor, rows: torch.Tensor, grid: Grid
    ) -> torch.Tensor:
        """Return the shared parameters of ``params`` with the rows of other atoms."""
        return rows

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key of the family and the grid, without units.

        Where two keys are equal, equal parameters make equal atoms.
        """
        options = sorted(self.get_params(deep=False).items())
        return (type(self), repr(options), grid.without_units())


class Modulation(BaseEstimator, ABC):
    """A way in which amplitude and phase of waves drift over the signal."""

    @abstractmethod
    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family of atoms: the waves of ``carrier``, modulated.

        Parameters
        ----------
        carrier : AtomFamily
            With ``takes_modulation``.
        grid : Grid
            Of the signals.
        rng : Generator
            For random first parameters.

        Raises
        ------
        ValueError
            If the modulation does not fit the carrier or the grid.
        """


@dataclass(frozen=True)
class AtomModel:
    """A family of atoms on the grid of the signals.

    Attributes
    ----------
    family : AtomFamily
    grid : Grid
        Of the signals.
    """

    family: AtomFamily
    grid: Grid

    @property
    def wave_grid(self) -> Grid:
        """The grid along whose axes the waves run."""
        return self.family.runs_on(self.grid)

    @property
    def separable(self) -> bool:
        """Whether each parameter belongs to one atom alone."""
        return self.family.separable

    @property
    def form(self) -> tuple[Any, ...]:
        """The key of the family and its grid, see `AtomFamily.form`."""
        return self.family.form(self.grid)

    def envelopes(self, device: torch.device) -> torch.Tensor | None:
        """See `AtomFamily.envelopes`."""
        return self.family.envelopes(self.grid, device)

    def new_atoms(self, waves: Waves) -> torch.Tensor:
        """See `AtomFamily.new_atoms`."""
        return self.family.new_atoms(waves, self.grid)

    def start(self, waves: Waves) -> torch.Tensor:
        """See `AtomFamily.start`."""
        return self.family.start(waves, self.grid)

    def atoms(self, params: torch.Tensor) -> torch.Tensor:
        """See `AtomFamily.atoms`."""
        return self.family.atoms(params, self.grid)

    def jacobian(self, params: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """See `AtomFamily.jacobian`."""
        return self.family.jacobian(params, self.grid, dtype)

    def describe(self, params: torch.Tensor) -> Description:
        """See `AtomFamily.describe`."""
        return self.family.describe(params, self.grid)

    def rows(self, params: torch.Tensor) -> torch.Tensor:
        """See `AtomFamily.rows`."""
        return self.family.rows(params, self.grid)

    def with_rows(self, params: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """See `AtomFamily.with_rows`."""
        return self.family.with_rows(params, rows, self.grid)


def row_jacobian(
    function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor
) -> torch.Tensor:
    """Derivatives of each row of a result by the same row of the input.

    Parameters
    ----------
    function : callable
        Maps (K, p) to (K, T), row by row.
    rows : tensor of shape (K, p)

    Returns
    -------
    jacobian : tensor of shape (K, p, T)
    """
    columns = [
        jvp(function, rows, direction.expand_as(rows))[1]  # type: ignore[no-untyped-call]
        for direction in torch.eye(rows.shape[1]).to(rows)
    ]
    return torch.stack(columns, dim=1)
