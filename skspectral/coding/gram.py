"""Inner products of atoms, and rows of sparse codes.

Algorithms for sparse codes look for the atom that has the largest inner product with
the residual of each row. They need the rows only through their inner products with the
atoms, and the atoms only through their inner products with each other.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import torch

# The atoms are divided into groups of this size when the largest product is looked for:
# torch finds the maxima of groups several times as fast as the place of one maximum.
_GROUP = 32


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of codes with few nonzeros.

    Attributes
    ----------
    support : tensor of shape (n, L), int64
        Indices of atoms. Unused places have the index 0 and the value 0.
    values : tensor of shape (n, L)
        Codes of these atoms.
    """

    support: torch.Tensor
    values: torch.Tensor

    def dense(self, n_atoms: int) -> torch.Tensor:
        """Return the codes as a matrix of shape (n, n_atoms)."""
        codes = self.values.new_zeros(len(self.values), n_atoms)
        return codes.scatter_add_(1, self.support, self.values)

    def widened(self, width: int) -> "SparseRows":
        """Return the same codes with ``width`` places per row."""
        added = (0, width - self.values.shape[1])
        pad = torch.nn.functional.pad
        return SparseRows(pad(self.support, added), pad(self.values, added))

    def combine(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product of the codes and ``rows``, which has a row per atom."""
        return weighted_rows(self.support, self.values, rows)


@dataclass(frozen=True, eq=False)
class Gram:
    """Inner products of K atoms.

    The search for atoms uses float32, because products with it are several times as
    fast; results are then confirmed in float64.

    Attributes
    ----------
    exact : tensor of shape (K, K), float64
        The inner products.
    """

    exact: torch.Tensor

    @classmethod
    def of(cls, atoms: torch.Tensor) -> "Gram":
        """Return the products of atoms, shape (K, T)."""
        atoms = atoms.double()
        return cls(atoms @ atoms.T)

    @property
    def n_atoms(self) -> int:
        """Number K of atoms."""
        return len(self.exact)

    @cached_property
    def search(self) -> torch.Tensor:
        """The products in float32, with columns of zeros that fill the last group."""
        return self.padded(self.exact)

    def padded(self, correlations: torch.Tensor) -> torch.Tensor:
        """Return rows of K numbers in float32, with zeros that fill the last group."""
        rows = correlations.new_zeros(
            len(correlations), -(-self.n_atoms // _GROUP) * _GROUP, dtype=torch.float32
        )
        rows[:, : self.n_atoms] = correlations
        return rows


def weighted_rows(
    support: torch.Tensor, values: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return the sums over j of ``values[n, j] * rows[support[n, j]]``."""
    return torch.nn.functional.embedding_bag(
        support, rows, per_sample_weights=values.to(rows.dtype), mode="sum"
    )


def largest(
    values: torch.Tensor, n_atoms: int, count: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return large entries of each row, and their atoms, both (n, count).

    The first is the largest of its row. The others are the largest of other groups of
    columns, in decreasing order. The columns are those of `Gram.padded`. If all entries
    of the atoms are negative, the entry is 0, and the atom is any.
    """
    groups = values.view(len(values), _GROUP, -1)
    count = min(count, groups.shape[2])
    of_group = groups.amax(1)
    if count == 1:
        # This is several times as fast as topk.
        found, group = of_group.max(1, keepdim=True)
    else:
        found, group = of_group.topk(count, dim=1)
    members = groups.gather(2, group[:, None].expand(-1, _GROUP, -1))
    # torch finds the places of maxima along contiguous numbers much faster.
    place = members.mT.contiguous().argmax(2) * groups.shape[2] + group
    return found, place.clamp_max_(n_atoms - 1)
