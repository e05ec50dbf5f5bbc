"""The interface of a kind of atom.

A kind of atom, called a family, defines how parameters become atoms, how an atom starts
at a plain wave, and how an atom is described to users. Selection, projection,
Gauss-Newton steps, spectral loss, control and plots use `AtomFamily` alone, so that a
new kind of atom is one new file.
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

from skspectral.atoms.derivatives import (
    DenseDerivatives,
    Derivatives,
    JoinedDerivatives,
)
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

# Atoms and their derivatives are computed in parts of at most this number of entries,
# unless a single atom has more.
_PART_ENTRIES = 2**22
# Parameters count as independent if the singular values of the derivatives of an atom
# are above this fraction of the largest.
_INDEPENDENT = 1e-6


@dataclass(frozen=True)
class Description:
    """Description of K atoms in terms that users read.

    Parameters
    ----------
    waves : Waves
        Plain wave that each atom is, or that is nearest to the atom.
    amplitude : tensor of shape (K,), float64
        Root mean square of the factor A(t) over the signal, for an atom that is A(t)
        times a sine. It is in the unit of the atom.
    extras : mapping of str to tensor
        Further quantities of the family, float64, in the units that users see. The
        first axis of each has length K. The estimator publishes each one as a fitted
        attribute whose name is the key with an underscore added: "sweep_rates" becomes
        ``sweep_rates_``. `check_atom_family` refuses the names of attributes that every
        fit has.
    """

    waves: Waves
    amplitude: torch.Tensor
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)


class AtomFamily(BaseEstimator, ABC):
    """A kind of atom: turns rows of parameters into atoms on a grid.

    Subclasses are scikit-learn estimators: ``__init__`` stores its parameters
    unchanged, and no method stores anything. The parameters of K atoms are one float64
    tensor, by default of shape (K, p) with one row per atom. A subclass must define
    `new_atoms`, `atoms` and `describe`. The function `check_atom_family` tests a new
    family; the estimator calls it on every instance that is passed as ``atoms``.

    Attributes
    ----------
    takes_modulation : bool
        Whether the estimator's parameter ``modulation`` may be used with these atoms.
        Set it to True only if the atoms are plain waves along the axes of `runs_on`.
        The default is False.
    separable : bool
        Whether each parameter belongs to exactly one atom. Gauss-Newton steps need
        separable atoms. The default is True.

    See Also
    --------
    WaveFamily : Base class for waves that have an angle and an amplitude.
    check_atom_family : Tests whether a family follows this interface.
    """

    takes_modulation: ClassVar[bool] = False
    separable: ClassVar[bool] = True

    @abstractmethod
    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms that start at given plain waves.

        Parameters
        ----------
        waves : Waves
            The K plain waves to start at, on the grid that `runs_on` returns.
            ``waves.envelope`` holds the index, into `envelopes`, of the envelope in
            which each wave was selected.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        rows : tensor of shape (K, p), float64
            One row of parameters per atom. Each atom must equal its plain wave or be
            similar to it, with an absolute cosine above 0.5.
        """

    @abstractmethod
    def atoms(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the atoms that the parameters define.

        The result must be differentiable with respect to ``params``. The atoms need not
        have unit norm.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        atoms : tensor of shape (K, T), float64
            One atom per row, sampled at the T features of the signals.
        """

    @abstractmethod
    def describe(self, params: torch.Tensor, grid: Grid) -> Description:
        """Return the description of the atoms that users read.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms, as `start` or `with_rows` returns them.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        description : Description
            Folded plain waves (see `Waves.fold`), amplitudes, and further quantities of
            the family.
        """

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the waves run.

        By default the waves run along the flattened signal, also if the signals are
        images.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        wave_grid : Grid
            Grid with the same number of features. Its axes are the axes of the wave
            vectors, and its channels are the entries of the colours.

        Raises
        ------
        ValueError
            If atoms of this family do not exist on ``grid``.
        """
        return grid.flattened()

    def jacobian(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the derivatives of the atoms with respect to their own parameters.

        This method is called only if ``separable`` is True. By default it uses
        automatic differentiation, one parameter after the other; a subclass with a
        closed form overrides it, for speed.

        Parameters
        ----------
        params : tensor of shape (K, p), float64
            Parameters of the K atoms.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        dtype : torch.dtype
            Floating type of the result.

        Returns
        -------
        jacobian : tensor of shape (K, p, T)
            Entry [i, j] is the derivative of atom i with respect to its parameter j.
        """
        return row_jacobian(lambda rows: self.atoms(rows, grid), params).to(dtype)

    def derivatives(
        self, params: torch.Tensor, grid: Grid, dtype: torch.dtype
    ) -> Derivatives:
        """Return the derivatives as an operator.

        By default it holds the result of `jacobian`. A subclass whose derivatives are
        products of few functions overrides this method, for speed and memory.

        Parameters
        ----------
        params : tensor of shape (K, p), float64
            Parameters of the K atoms.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        dtype : torch.dtype
            Floating type of the products.

        Returns
        -------
        derivatives : Derivatives
            Operator with the entries of `jacobian`.
        """
        return DenseDerivatives(self.jacobian(params, grid, dtype))

    def envelopes(self, grid: Grid, device: torch.device) -> torch.Tensor | None:
        """Return the envelopes in which the greedy selection looks for waves.

        The selection compares the waves of all envelopes, so that its time is
        proportional to the number of envelopes. By default there is only the constant
        envelope.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.
        device : torch.device
            Device of the result.

        Returns
        -------
        envelopes : tensor of shape (n_envelopes, T) or None
            Envelopes g, float64 or complex128. The cosine and the sine of a candidate
            wave are the real part and the negative imaginary part of g(t) exp(-2 pi i f
            t). The first envelope also serves the starts that do not select waves. None
            means one envelope, the constant 1.
        """
        return None

    def start(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return all parameters of atoms that start at given plain waves.

        By default there are no shared parameters, and this method returns the result of
        `new_atoms`.

        Parameters
        ----------
        waves : Waves
            The K plain waves to start at, on the grid that `runs_on` returns.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        params : tensor, float64
            Parameters of the K atoms, including the parameters that all atoms share.
        """
        return self.new_atoms(waves, grid)

    def rows(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the parameters that belong to single atoms.

        By default these are all parameters.

        Parameters
        ----------
        params : tensor, float64
            Parameters of the K atoms.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        rows : tensor of shape (K, p), float64
            One row of parameters per atom, without the shared parameters.
        """
        return params

    def with_rows(
        self, params: torch.Tensor, rows: torch.Tensor, grid: Grid
    ) -> torch.Tensor:
        """Return parameters with other rows and unchanged shared parameters.

        Parameters
        ----------
        params : tensor, float64
            Parameters that provide the shared part. Families without shared parameters
            ignore them.
        rows : tensor of shape (n, p), float64
            One row of parameters per atom. The number n of atoms may differ from that
            of ``params``.
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        new_params : tensor, float64
            Shared parameters of ``params``, combined with ``rows``.
        """
        return rows

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key by which two fits can be compared.

        If two keys are equal, then equal parameters define equal atoms. The key does
        not depend on the sampling rate, because the atoms do not depend on it.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        key : tuple
            Hashable key that identifies the family, its options and the grid.
        """
        options = sorted(self.get_params(deep=False).items())
        return (type(self), repr(options), grid.without_units())


class Modulation(BaseEstimator, ABC):
    """A rule by which the amplitude and the phase of waves change over the signal.

    A subclass must define `apply_to`. Pass an instance to the estimator as
    ``modulation``.
    """

    @abstractmethod
    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family whose atoms are the waves of ``carrier``, modulated.

        Parameters
        ----------
        carrier : AtomFamily
            Family of plain waves. Its attribute ``takes_modulation`` is True.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        rng : numpy.random.Generator
            Source of random initial parameters. Modulations without random parameters
            ignore it.

        Returns
        -------
        family : AtomFamily
            Family of the modulated waves. It starts at the waves of ``carrier``.

        Raises
        ------
        ValueError
            If the modulation cannot be used with the carrier or the grid.
        """


@dataclass(frozen=True)
class AtomModel:
    """A family of atoms on the grid of the signals.

    Its methods call those of the family, with the grid filled in.

    Attributes
    ----------
    family : AtomFamily
        Kind of the atoms.
    grid : Grid
        Axes, channels and sampling rate of the signals.
    """

    family: AtomFamily
    grid: Grid

    @property
    def wave_grid(self) -> Grid:
        """Grid along whose axes the waves run."""
        return self.family.runs_on(self.grid)

    @property
    def separable(self) -> bool:
        """Whether each parameter belongs to exactly one atom."""
        return self.family.separable

    @property
    def form(self) -> tuple[Any, ...]:
        """Key of the family and its grid, see `AtomFamily.form`."""
        return self.family.form(self.grid)

    def envelopes(self, device: torch.device) -> torch.Tensor | None:
        """Call `AtomFamily.envelopes` with this grid."""
        return self.family.envelopes(self.grid, device)

    def new_atoms(self, waves: Waves) -> torch.Tensor:
        """Call `AtomFamily.new_atoms` with this grid."""
        return self.family.new_atoms(waves, self.grid)

    def start(self, waves: Waves) -> torch.Tensor:
        """Call `AtomFamily.start` with this grid."""
        return self.family.start(waves, self.grid)

    def atoms(self, params: torch.Tensor) -> torch.Tensor:
        """Call `AtomFamily.atoms` with this grid, for long signals in parts."""
        parts = self._parts(params, 1)
        if len(parts) == 1 or params.requires_grad:
            return self.family.atoms(params, self.grid)
        return _filled(parts, lambda rows: self.family.atoms(rows, self.grid))

    def jacobian(self, params: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Call `AtomFamily.jacobian` with this grid, for long signals in parts.

        The result is a new contiguous tensor, which the caller may change.
        """
        parts = self._parts(params, params.shape[-1])
        if len(parts) == 1:
            # The family may keep its tensor, or return one with other strides.
            whole = self.family.jacobian(params, self.grid, dtype)
            return whole.clone(memory_format=torch.contiguous_format)
        return _filled(parts, lambda rows: self.family.jacobian(rows, self.grid, dtype))

    def derivatives(self, params: torch.Tensor, dtype: torch.dtype) -> Derivatives:
        """Call `AtomFamily.derivatives` with this grid, for long signals in parts."""
        parts = self._parts(params, 1)
        groups = [
            (len(rows), self.family.derivatives(rows, self.grid, dtype))
            for rows in parts
        ]
        return groups[0][1] if len(groups) == 1 else JoinedDerivatives(groups)

    def n_independent(self, params: torch.Tensor) -> torch.Tensor:
        """Return the number of independent parameters of each atom of unit norm, (K,).

        The length of an atom is not counted. Neither is a parameter whose effect is
        that of another parameter, such as the phase of a wave of frequency 0.
        """
        waves = self.atoms(params)
        waves = waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)
        jacobian = self.jacobian(params, torch.float64)
        jacobian -= (jacobian @ waves[:, :, None]) * waves[:, None]
        return torch.linalg.matrix_rank(jacobian, rtol=_INDEPENDENT)

    def _parts(self, params: torch.Tensor, n_arrays: int) -> list[torch.Tensor]:
        """Split the parameters of separable atoms into parts of bounded memory.

        A part has about ``n_arrays`` results of length T per atom.
        """
        if not self.separable:
            return [params]
        n_atoms = max(1, _PART_ENTRIES // (n_arrays * self.grid.n_features))
        return [
            params[start : start + n_atoms] for start in range(0, len(params), n_atoms)
        ]

    def describe(self, params: torch.Tensor) -> Description:
        """Call `AtomFamily.describe` with this grid."""
        return self.family.describe(params, self.grid)

    def rows(self, params: torch.Tensor) -> torch.Tensor:
        """Call `AtomFamily.rows` with this grid."""
        return self.family.rows(params, self.grid)

    def with_rows(self, params: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Call `AtomFamily.with_rows` with this grid."""
        return self.family.with_rows(params, rows, self.grid)


def _filled(
    parts: list[torch.Tensor], function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return the results of all parts as one tensor, without a second copy of them."""
    first = function(parts[0])
    whole = first.new_empty(sum(map(len, parts)), *first.shape[1:])
    whole[: len(first)] = first
    start = len(first)
    for part in parts[1:]:
        whole[start : start + len(part)] = function(part)
        start += len(part)
    return whole


def row_jacobian(
    function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor
) -> torch.Tensor:
    """Return the derivative of each row of a result with respect to its input row.

    Parameters
    ----------
    function : callable
        Function that maps a tensor of shape (K, p) to one of shape (K, T). Row i of the
        result depends on row i of the input only.
    rows : tensor of shape (K, p)
        Point at which the derivatives are computed.

    Returns
    -------
    jacobian : tensor of shape (K, p, T)
        Entry [i, j] is the derivative of row i of the result with respect to entry j of
        row i of the input.
    """
    columns = [
        jvp(function, rows, direction.expand_as(rows))[1]  # type: ignore[no-untyped-call]
        for direction in torch.eye(rows.shape[1]).to(rows)
    ]
    return torch.stack(columns, dim=1)
