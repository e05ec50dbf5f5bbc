"""Variable projection: the squared error with the codes eliminated.

For unit-norm atoms S (K x T) and the second moment C, let G = S S' + ridge I = L L' and
A = L^-1 S. Without the ridge, the rows of A are orthonormal and span the atoms. With
least-squares codes, the mean squared error and its derivative are

    J(S) = tr C - tr(A C A'),      dJ/dS = -2 L^-T A C (I - A'A).

They depend on the data through C alone (Golub and Pereyra 1973), so that the cost of an
evaluation does not grow with the number of samples.

References
----------
G. H. Golub, V. Pereyra (1973). The differentiation of pseudo-inverses and nonlinear
least squares problems whose variables separate. SIAM Journal on Numerical Analysis 10.

L. Kaufman (1975). A variable projection method for solving separable nonlinear least
squares problems. BIT 15.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import torch

from skspectral._linalg import cholesky
from skspectral.moments.second_moment import SecondMoment

# An atom whose norm is below this fraction of the largest norm is a rounding error.
_MIN_RELATIVE_NORM = 1e-10
# The squares of smaller norms would come close to the smallest float64.
_MIN_NORM = 1e-100
# An atom of unit norm adds nothing if the square of its part outside the span of other
# atoms is below this rounding error.
_DEPENDENT = 1e-10
# Number of atoms that are subtracted from matrices together, by one product.
_BLOCK = 64


@dataclass(frozen=True)
class Projection:
    """Least squares on one dictionary, in float64.

    Attributes
    ----------
    loss : float
        Mean squared error J(S), summed over the features.
    norms : tensor of shape (K,)
        Norms of the atoms before they were normalised.
    gram : tensor of shape (K, K)
        Products S S' of the atoms of unit norm.
    factor : tensor of shape (K, K)
        Lower Cholesky factor L of G.
    axes : tensor of shape (K, T)
        Rows A = L^-1 S, which span the atoms.
    image : tensor of shape (K, T)
        Product A C.
    """

    loss: float
    norms: torch.Tensor
    gram: torch.Tensor
    factor: torch.Tensor
    axes: torch.Tensor
    image: torch.Tensor

    @property
    def atoms(self) -> torch.Tensor:
        """Atoms S of unit norm, (K, T). They are computed when they are read."""
        return self.factor @ self.axes

    @cached_property
    def axes_moment(self) -> torch.Tensor:
        """Second moment of the data along the axes, A C A', shape (K, K)."""
        return self.image @ self.axes.T

    @property
    def atoms_moment(self) -> torch.Tensor:
        """Second moment of the data along the atoms, S C S', shape (K, K)."""
        return self.factor @ self.axes_moment @ self.factor.T

    @cached_property
    def code_moment(self) -> torch.Tensor:
        """Second moment of the codes, G^-1 S C S' G^-1, shape (K, K)."""
        half = torch.linalg.solve_triangular(
            self.factor.T, self.axes_moment, upper=True
        )
        return torch.linalg.solve_triangular(self.factor.T, half.T, upper=True)

    def gradient(self) -> torch.Tensor:
        """Return the derivative of J with respect to the atoms as given, (K, T).

        These are the atoms before they were normalised.
        """
        inverse = _inverse(self.factor)
        moment = self.axes_moment
        # J does not depend on the length of an atom, so that the gradient is orthogonal
        # to the atom. Without the ridge it is so already.
        inside = moment - moment @ (inverse @ self.gram @ inverse.T)
        along = ((inverse.T @ inside) * self.factor).sum(1)
        moment = moment + self.factor.T @ (along[:, None] * self.factor)
        outside = torch.addmm(self.image, moment, self.axes, alpha=-1)
        return (-2 / self.norms[:, None] * inverse.T) @ outside


def present(norms: torch.Tensor) -> torch.Tensor:
    """Return a mask, (K,), of the atoms whose norms are finite and not rounding errors.

    Rounding errors are, for instance, the samples of a sine with the Nyquist frequency
    that is zero at all positions of the grid.
    """
    norms = torch.where(norms.isfinite(), norms, 0.0)
    return norms > max(_MIN_RELATIVE_NORM * float(norms.max()), _MIN_NORM)


def project(S: torch.Tensor, C: SecondMoment, ridge: float) -> Projection:
    """Eliminate the codes of the dictionary ``S``, shape (K, T).

    Costs K products of a row with C: O(K T^2) if C is dense.

    Raises
    ------
    ArithmeticError
        If an atom is zero or not finite.
    """
    norms = torch.linalg.vector_norm(S, dim=1)
    if not bool(present(norms).all()):
        raise ArithmeticError("An atom is zero or has NaN or infinite values.")
    gram = S @ S.T / torch.outer(norms, norms)
    factor = cholesky(gram, ridge)
    axes = (_inverse(factor) / norms) @ S
    # The image needs the memory, if the caller does not.
    del S
    image = C.left_matmul(axes)
    loss = C.trace() - float(torch.linalg.vecdot(image, axes).sum())
    return Projection(loss, norms, gram, factor, axes, image)


def _inverse(factor: torch.Tensor) -> torch.Tensor:
    """Return the inverse of a lower triangular matrix.

    Products with it are several times as fast as solutions for many columns.
    """
    eye = torch.eye(len(factor)).to(factor)
    return torch.linalg.solve_triangular(factor, eye, upper=False)


def cost_of_removal(fit: Projection, kept: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return the rise of the loss if one of the ``kept`` atoms is removed, (n_kept,).

    It is (Q M Q)_ii / Q_ii, with Q and M of the kept atoms.
    """
    gram = fit.gram[kept][:, kept]
    inverse = torch.cholesky_inverse(cholesky(gram, ridge))
    moment = fit.atoms_moment[kept][:, kept]
    return (inverse @ moment @ inverse).diagonal() / inverse.diagonal()


def added_variance(fit: Projection) -> tuple[torch.Tensor, torch.Tensor]:
    """Order the atoms by the variance they add, by forward selection.

    Each place goes to the atom that removes the most variance from the residual of the
    atoms before it. The variances sum to the variance that all atoms explain together.
    Costs O(K^3), most of it in matrix products.

    Returns
    -------
    order : tensor of shape (K,), int64
        Indices of the atoms in their new order.
    variance : tensor of shape (K,), float64
        Added variances, in the new order.
    """
    gram, moment = fit.gram.clone(), fit.atoms_moment
    n_atoms = len(gram)
    size, power = gram.diagonal().clone(), moment.diagonal().clone()
    order = torch.empty(n_atoms, dtype=torch.int64, device=gram.device)
    variance = gram.new_zeros(n_atoms)
    free = torch.ones(n_atoms, dtype=torch.bool, device=gram.device)
    for start in range(0, n_atoms, _BLOCK):
        places = range(start, min(start + _BLOCK, n_atoms))
        # The atoms of this block have been subtracted from the sizes and the powers,
        # but not yet from the matrices: Gram is gram - of_gram @ along', and the moment
        # is moment - of_moment @ along' - along @ of_moment'.
        along, of_gram, of_moment = gram.new_zeros(3, n_atoms, len(places))
        for done, place in enumerate(places):
            gain = torch.where(
                size > _DEPENDENT, power / size.clamp_min(_DEPENDENT), 0.0
            ).clamp_min(0.0)
            best = int(torch.where(free, gain, -1.0).argmax())
            order[place], variance[place], free[best] = best, gain[best], False
            if size[best] <= _DEPENDENT:
                continue
            before = slice(done)
            row = gram[best] - of_gram[:, before] @ along[best, before]
            cross = moment[best] - of_moment[:, before] @ along[best, before]
            cross -= along[:, before] @ of_moment[best, before]
            share = row / size[best]
            along[:, done], of_gram[:, done] = share, row
            of_moment[:, done] = cross - power[best] / 2 * share
            size = size - share * row
            power = power - 2 * share * of_moment[:, done]
        gram -= of_gram @ along.T
        moment = moment - of_moment @ along.T - along @ of_moment.T
    return order, variance
