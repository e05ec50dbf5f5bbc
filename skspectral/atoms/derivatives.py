"""Derivatives of atoms with respect to their own parameters, as linear operators.

The derivatives of K atoms with p parameters each are K p rows of length T. Gauss-Newton
steps need only the products below, which cost much less than the rows if these have a
structure.
"""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

# Number of entries of the products of pairs of functions that are computed at a time.
_PAIR_ENTRIES = 2**22


class Derivatives(ABC):
    """Derivatives D of K atoms with respect to their own p parameters.

    Row j of D_i, (p, T), is the derivative of atom i with respect to its parameter j. A
    subclass computes products with D.
    """

    @abstractmethod
    def combine(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of each atom, to first order.

        Parameters
        ----------
        change : tensor of shape (K, p)
            Change of the parameters.

        Returns
        -------
        moved : tensor of shape (K, T)
            The sum over j of ``change[i, j]`` times row j of D_i, in the dtype of the
            derivatives.
        """

    @abstractmethod
    def along(self, rows: torch.Tensor) -> torch.Tensor:
        """Return inner products of the derivatives of each atom with a row of its own.

        Parameters
        ----------
        rows : tensor of shape (K, T)
            One row per atom, in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p)
            Inner products of ``rows[i]`` with the rows of D_i.
        """

    @abstractmethod
    def along_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return inner products of all derivatives with all rows.

        Parameters
        ----------
        rows : tensor of shape (m, T)
            Rows in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p, m)
            Inner products.
        """

    @abstractmethod
    def gram(self) -> torch.Tensor:
        """Return inner products of the derivatives of each atom with each other.

        Returns
        -------
        gram : tensor of shape (K, p, p)
            The matrices D_i D_i'.
        """


class DenseDerivatives(Derivatives):
    """Derivatives that are kept as one array.

    Parameters
    ----------
    jacobian : tensor of shape (K, p, T)
        The derivatives.
    """

    def __init__(self, jacobian: torch.Tensor):
        self._jacobian = jacobian

    def combine(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of each atom, to first order.

        Parameters
        ----------
        change : tensor of shape (K, p)
            Change of the parameters.

        Returns
        -------
        moved : tensor of shape (K, T)
            Change of the atoms.
        """
        return torch.bmm(change.to(self._jacobian.dtype)[:, None], self._jacobian)[:, 0]

    def along(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products of the derivatives of each atom with a row of its own.

        Parameters
        ----------
        rows : tensor of shape (K, T)
            One row per atom, in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p)
            Inner products.
        """
        # With the row on the left, torch.bmm is several times as fast as with a column
        # on the right.
        return torch.bmm(rows[:, None], self._jacobian.mT)[:, 0]

    def along_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products of all derivatives with all rows.

        Parameters
        ----------
        rows : tensor of shape (m, T)
            Rows in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p, m)
            Inner products.
        """
        n_atoms, n_params, _ = self._jacobian.shape
        return (self._jacobian.flatten(0, 1) @ rows.T).view(n_atoms, n_params, -1)

    def gram(self) -> torch.Tensor:
        """Return products of the derivatives of each atom with each other.

        Returns
        -------
        gram : tensor of shape (K, p, p)
            Inner products.
        """
        return torch.bmm(self._jacobian, self._jacobian.mT)


class ProductDerivatives(Derivatives):
    """Derivatives that are products of a row of the atom and functions of all atoms.

    With n functions per term, the rows of D_i are ``factors[i] * functions[j]`` for
    each term. The products cost about K (p + 1) T multiplications, and the memory is
    that of the factors.

    Parameters
    ----------
    terms : sequence of tuple (factors, functions)
        Tensors of shape (K, T) and (n, T) of one floating type. The numbers n of
        functions sum to p.
    """

    def __init__(self, terms: Sequence[tuple[torch.Tensor, torch.Tensor]]):
        kept = [term for term in terms if len(term[1]) > 0]
        sizes = [len(functions) for _, functions in kept]
        self._factors = torch.stack([factors for factors, _ in kept])
        self._functions = torch.cat([functions for _, functions in kept])
        self._terms = [
            *zip(self._factors, torch.split(self._functions, sizes), strict=True)
        ]
        # All factors meet all functions in one product, of which the terms are a part:
        # threads that wait for each other cost more than these multiplications.
        term = torch.arange(len(kept))
        owner = term.repeat_interleave(torch.tensor(sizes))
        self._owners = (owner == term[:, None])[:, None].to(self._functions)
        # Memory for one product: with new memory, large ones would take twice the time.
        self._product = torch.empty_like(self._factors)

    def combine(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of each atom, to first order.

        Parameters
        ----------
        change : tensor of shape (K, p)
            Change of the parameters.

        Returns
        -------
        moved : tensor of shape (K, T)
            Change of the atoms.
        """
        weights = (change.to(self._functions) * self._owners).flatten(0, 1)
        torch.mm(weights, self._functions, out=self._product.flatten(0, 1))
        return self._product.mul_(self._factors).sum(0)

    def along(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products of the derivatives of each atom with a row of its own.

        Parameters
        ----------
        rows : tensor of shape (K, T)
            One row per atom, in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p)
            Inner products.
        """
        torch.mul(self._factors, rows, out=self._product)
        products = self._product @ self._functions.T
        return (products * self._owners).sum(0)

    def along_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products of all derivatives with all rows.

        Parameters
        ----------
        rows : tensor of shape (m, T)
            Rows in the dtype of the derivatives.

        Returns
        -------
        products : tensor of shape (K, p, m)
            Inner products.
        """
        return torch.stack(
            [
                torch.mul(factors, function, out=self._product[0]) @ rows.T
                for factors, functions in self._terms
                for function in functions
            ],
            dim=1,
        )

    def gram(self) -> torch.Tensor:
        """Return products of the derivatives of each atom with each other.

        Returns
        -------
        gram : tensor of shape (K, p, p)
            Inner products.
        """
        blocks = {
            (i, j): _cross_gram(self._terms[i], self._terms[j])
            for i in range(len(self._terms))
            for j in range(i, len(self._terms))
        }
        return torch.cat(
            [
                torch.cat(
                    [
                        blocks[i, j] if i <= j else blocks[j, i].mT
                        for j in range(len(self._terms))
                    ],
                    dim=2,
                )
                for i in range(len(self._terms))
            ],
            dim=1,
        )


def _cross_gram(
    one: tuple[torch.Tensor, torch.Tensor], two: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return products of the derivatives of two terms, shape (K, n_one, n_two)."""
    n_one, n_two, n_features = len(one[1]), len(two[1]), one[0].shape[1]
    gram = one[0].new_zeros(len(one[0]), n_one * n_two)
    width = max(1, _PAIR_ENTRIES // (n_one * n_two))
    for start in range(0, n_features, width):
        at = slice(start, start + width)
        pairs = (one[1][:, None, at] * two[1][:, at]).flatten(0, 1)
        gram.addmm_(one[0][:, at] * two[0][:, at], pairs.T)
    return gram.view(-1, n_one, n_two)


class JoinedDerivatives(Derivatives):
    """Derivatives of several groups of atoms, one group after the other.

    Parameters
    ----------
    groups : sequence of tuple (n_atoms, derivatives)
        Number of atoms of each group, and their derivatives.
    """

    def __init__(self, groups: Sequence[tuple[int, Derivatives]]):
        self._sizes = [n_atoms for n_atoms, _ in groups]
        self._groups = [derivatives for _, derivatives in groups]

    def combine(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of each atom; see `Derivatives.combine`."""
        parts = zip(self._groups, torch.split(change, self._sizes), strict=True)
        return torch.cat([group.combine(part) for group, part in parts])

    def along(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products with one row per atom; see `Derivatives.along`."""
        parts = zip(self._groups, torch.split(rows, self._sizes), strict=True)
        return torch.cat([group.along(part) for group, part in parts])

    def along_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products with all rows; see `Derivatives.along_all`."""
        return torch.cat([group.along_all(rows) for group in self._groups])

    def gram(self) -> torch.Tensor:
        """Return the products of each atom; see `Derivatives.gram`."""
        return torch.cat([group.gram() for group in self._groups])


class UnitDerivatives(Derivatives):
    """Derivatives of atoms that are divided by their norms.

    The derivative of s / |s| is that of s, without its part along s, divided by |s|.

    Parameters
    ----------
    derivatives : Derivatives
        Derivatives of the atoms s.
    atoms : tensor of shape (K, T)
        The atoms s, in the dtype of the derivatives.
    """

    def __init__(self, derivatives: Derivatives, atoms: torch.Tensor):
        self._derivatives = derivatives
        self._norms = torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
        self._unit = atoms / self._norms

    def _across(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows without their parts along the atoms, divided by the norms."""
        along = (rows * self._unit).sum(1, keepdim=True)
        return (rows - along * self._unit) / self._norms

    def combine(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of each atom; see `Derivatives.combine`."""
        return self._across(self._derivatives.combine(change))

    def along(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products with one row per atom; see `Derivatives.along`."""
        return self._derivatives.along(self._across(rows))

    def along_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products with all rows; see `Derivatives.along_all`."""
        own = self._derivatives.along(self._unit)
        products = self._derivatives.along_all(rows)
        products = products - own[:, :, None] * (self._unit @ rows.T)[:, None]
        return products / self._norms[:, :, None]

    def gram(self) -> torch.Tensor:
        """Return the products of each atom; see `Derivatives.gram`."""
        own = self._derivatives.along(self._unit)
        products = self._derivatives.gram() - own[:, :, None] * own[:, None]
        return products / self._norms[:, :, None] ** 2
