"""Damped Gauss-Newton steps on the squared error, without or with fixed codes."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from skspectral._linalg import add_gram_, mirror_upper_
from skspectral.atoms.derivatives import DenseDerivatives, Derivatives
from skspectral.atoms.family import AtomModel
from skspectral.learning.projection import Projection

# A system whose matrix costs at most this number of multiplications is solved by a
# Cholesky factorisation in float64, and a larger one by conjugate gradients.
_DIRECT_COST = 5e7
# Conjugate gradients end after this number of iterations, or when the residual is below
# this fraction of the first one.
_MAX_ITERATIONS = 12
_FORCING = 0.1


@dataclass(frozen=True)
class Step:
    """A step of all parameters, and the decrease of the loss that it should bring.

    Attributes
    ----------
    change : tensor of shape (K, p), float64
        Change of the parameters.
    predicted : float
        Decrease of the quadratic model of the loss.
    """

    change: torch.Tensor
    predicted: float


class NormalSystem(ABC):
    """Gradient and Gauss-Newton matrix H of the loss J, for K atoms.

    Kaufman's simplification (1975) of variable projection neglects one term of the
    residual's derivative. With the projection P onto the atoms and the code w_i of atom
    i, the derivative with respect to parameter p of atom i is -w_i (d_p s_i)(I - P).
    Summed over the samples,

        H_pq = (Q M Q)_{i(p) i(q)} <d_p s (I - P), d_q s (I - P)>.

    The Gauss-Newton step solves 2 H step = -gradient. A subclass solves the damped
    system.

    Attributes
    ----------
    gradient : tensor of shape (K, p), float64
        Derivative of the loss.
    blocks : tensor of shape (K, p, p), float64
        The p x p blocks of H on its diagonal.
    """

    gradient: torch.Tensor
    blocks: torch.Tensor

    @abstractmethod
    def product(self, change: torch.Tensor) -> torch.Tensor:
        """Return the product of H and a change of the parameters, both (K, p)."""

    def solve(self, added: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve (H + diag(added)) step = -gradient / 2.

        By default, a few conjugate gradients are used. The preconditioner is the block
        of the damped matrix that belongs to each atom.

        Parameters
        ----------
        added : tensor of shape (K, p), float64
            Positive numbers that are added to the diagonal.

        Returns
        -------
        step : tensor of shape (K, p), float64
            The solution.
        residual : tensor of shape (K, p), float64
            Residual of the linear system.

        Raises
        ------
        ArithmeticError
            If the damped matrix is not positive definite.
        """
        factor = _factorised(self.blocks + torch.diag_embed(added))
        inverse = torch.cholesky_inverse(factor)

        def precondition(residual: torch.Tensor) -> torch.Tensor:
            return torch.bmm(inverse, residual[:, :, None])[:, :, 0]

        change = torch.zeros_like(self.gradient)
        residual = -self.gradient / 2
        direction = solved = precondition(residual)
        size = first = float((residual * solved).sum())
        for _ in range(_MAX_ITERATIONS):
            image = self.product(direction) + added * direction
            curvature = float((direction * image).sum())
            if not curvature > 0:
                break
            change = change + size / curvature * direction
            residual = residual - size / curvature * image
            solved = precondition(residual)
            previous, size = size, float((residual * solved).sum())
            if size <= _FORCING**2 * first:
                break
            direction = solved + size / previous * direction
        return change, residual

    def step(self, damping: float, min_damping: float) -> Step:
        """Return the damped step.

        Parameters
        ----------
        damping : float
            Multiple of the diagonal of H, and of 1 % of its mean, that is added to the
            diagonal.
        min_damping : float
            Multiple of the mean of the diagonal that is added in addition.

        Returns
        -------
        step : Step
            The step.

        Raises
        ------
        ArithmeticError
            If the damped matrix is not positive definite.
        """
        diagonal = self.blocks.diagonal(dim1=1, dim2=2)
        mean = diagonal.mean()
        # A parameter that does not change the loss, such as the length of an atom, has
        # a zero diagonal. The step of a parameter with a small diagonal would be mostly
        # rounding errors. Parts of the mean diagonal therefore damp all parameters.
        added = damping * (diagonal + 1e-2 * mean) + min_damping * mean
        change, residual = self.solve(added)
        # The model decreases by -g's - s'Hs, and (H + D) s = -g/2 - residual.
        predicted = (change * (added * change + residual - self.gradient / 2)).sum()
        return Step(change, float(predicted))


def normal_system(
    model: AtomModel, params: torch.Tensor, fit: Projection, dtype: torch.dtype
) -> NormalSystem:
    """Return the normal system of fitted atoms, as the class that solves it faster.

    Parameters
    ----------
    model : AtomModel
        Kind of the atoms. They are separable.
    params : tensor of shape (K, p), float64
        Parameters of the atoms.
    fit : Projection
        Least squares on the atoms.
    dtype : torch.dtype
        Floating type of the large products. Small systems are computed in float64.

    Returns
    -------
    system : NormalSystem
        The system.
    """
    if params.numel() ** 2 * model.grid.n_features <= _DIRECT_COST:
        return DenseSystem(fit, model.jacobian(params, torch.float64))
    return IterativeSystem(fit, model.derivatives(params, dtype), dtype)


class DenseSystem(NormalSystem):
    """The system with its matrix, which is solved by a Cholesky factorisation.

    Parameters
    ----------
    fit : Projection
        Least squares on the atoms.
    jacobian : tensor of shape (K, p, T), float64
        Derivatives of the atoms. The memory is reused.

    Attributes
    ----------
    gradient, blocks : tensor
        See `NormalSystem`.
    matrix : tensor of shape (K p, K p), float64
        The matrix H. It costs (K p)^2 T multiplications.
    """

    def __init__(self, fit: Projection, jacobian: torch.Tensor):
        n_atoms, n_params, n_features = jacobian.shape
        self.gradient = DenseDerivatives(jacobian).along(fit.gradient())
        # The projections are subtracted from the derivatives before these are
        # multiplied. Subtracting products of projections from products of derivatives
        # would cancel digits where a derivative lies almost in the span of the atoms.
        rows = jacobian.view(-1, n_features)
        rows.addmm_(rows @ fit.axes.T, fit.axes, alpha=-1)
        matrix = rows.new_zeros(len(rows), len(rows))
        add_gram_(matrix, rows.T)
        self.matrix = mirror_upper_(matrix)
        by_atom = matrix.view(n_atoms, n_params, n_atoms, n_params)
        by_atom *= _coupling(fit)[:, None, :, None]
        self.blocks = by_atom.diagonal(dim1=0, dim2=2).permute(2, 0, 1)

    def product(self, change: torch.Tensor) -> torch.Tensor:
        """Return the product of H and a change; see `NormalSystem.product`."""
        return (self.matrix @ change.flatten()).view_as(change)

    def solve(self, added: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve the damped system; see `NormalSystem.solve`. The residual is zero."""
        damped = self.matrix.clone()
        damped.diagonal().add_(added.flatten())
        change = torch.cholesky_solve(
            self.gradient.reshape(-1, 1), _factorised(damped)
        ).view_as(added)
        return -change / 2, torch.zeros_like(change)


class IterativeSystem(NormalSystem):
    """The system without its matrix, which is solved by a few conjugate gradients.

    Only products of the derivatives are computed.

    Parameters
    ----------
    fit : Projection
        Least squares on the atoms.
    derivatives : Derivatives
        Derivatives of the atoms.
    dtype : torch.dtype
        Floating type of the derivatives.

    Attributes
    ----------
    gradient, blocks : tensor
        See `NormalSystem`.

    Notes
    -----
    Costs K^2 p T multiplications, and K^2 T per iteration.
    """

    def __init__(self, fit: Projection, derivatives: Derivatives, dtype: torch.dtype):
        self._derivatives, self._dtype = derivatives, dtype
        self.gradient = derivatives.along(fit.gradient().to(dtype)).double()
        coupling = _coupling(fit)
        self._coupling = coupling.to(dtype)
        self._inside = derivatives.along_all(fit.axes.to(dtype))
        outside = derivatives.gram() - torch.bmm(self._inside, self._inside.mT)
        self.blocks = outside.double() * coupling.diagonal()[:, None, None]

    def product(self, change: torch.Tensor) -> torch.Tensor:
        """Return the product of H and a change; see `NormalSystem.product`."""
        change = change.to(self._dtype)
        moved = self._coupling @ self._derivatives.combine(change)
        inside = self._coupling @ torch.bmm(change[:, None], self._inside)[:, 0]
        image = self._derivatives.along(moved)
        image -= torch.bmm(inside[:, None], self._inside.mT)[:, 0]
        return image.double()


class FixedCodesSystem(NormalSystem):
    """The system of the squared error with fixed codes.

    The squared error is a quadratic function of the atoms s, with the second derivative
    2 M, so that H_pq = <d_p s, M d_q s> for atoms of unit norm.

    Parameters
    ----------
    gradient : tensor of shape (K, T)
        Derivative of the squared error with respect to the atoms.
    apply : callable
        Returns the product of M and rows of shape (K, T).
    energy : tensor of shape (K,)
        Mean of the diagonal of M for each atom. The blocks, which only precondition
        and damp, are those of a multiple of the identity.
    derivatives : Derivatives
        Derivatives of the atoms of unit norm.

    Attributes
    ----------
    gradient, blocks : tensor
        See `NormalSystem`.

    Notes
    -----
    Costs K p^2 T multiplications, and one call of ``apply`` per iteration.
    """

    def __init__(
        self,
        gradient: torch.Tensor,
        apply: Callable[[torch.Tensor], torch.Tensor],
        energy: torch.Tensor,
        derivatives: Derivatives,
    ):
        self._derivatives, self._apply = derivatives, apply
        self.gradient = derivatives.along(gradient)
        self.blocks = derivatives.gram() * energy[:, None, None]

    def product(self, change: torch.Tensor) -> torch.Tensor:
        """Return the product of H and a change; see `NormalSystem.product`."""
        return self._derivatives.along(self._apply(self._derivatives.combine(change)))


def _coupling(fit: Projection) -> torch.Tensor:
    """Return the second moment Q M Q of the codes of atoms that are not normalised."""
    return fit.code_moment / torch.outer(fit.norms, fit.norms)


def _factorised(A: torch.Tensor) -> torch.Tensor:
    """Return lower Cholesky factors of one or several matrices.

    Raises
    ------
    ArithmeticError
        If a matrix is not positive definite.
    """
    factor, info = torch.linalg.cholesky_ex(A)
    if bool((info != 0).any()):
        raise ArithmeticError("The damped normal matrix is not positive definite.")
    return factor
