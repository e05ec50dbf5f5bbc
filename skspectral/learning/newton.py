"""Damped Gauss-Newton steps on the squared error with the codes eliminated."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import cached_property

import torch

from skspectral._linalg import add_gram_, mirror_upper_
from skspectral.learning.projection import Projection

# A system whose matrix costs at most this number of multiplications is solved by a
# Cholesky factorisation in float64, and a larger one by conjugate gradients.
_DIRECT_COST = 2e8
# Conjugate gradients end after this number of iterations, or when the residual is below
# this fraction of the first one.
_MAX_ITERATIONS = 12
_FORCING = 0.1


def is_small(n_params: int, n_features: int) -> bool:
    """Return whether a system of this size is solved directly, in float64."""
    return n_params**2 * n_features <= _DIRECT_COST


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


@dataclass(frozen=True)
class NormalSystem:
    """Gradient and Gauss-Newton matrix H of the loss J, for K atoms.

    Kaufman's simplification (1975) of variable projection neglects one term of the
    residual's derivative. With the projection P onto the atoms and the code w_i of atom
    i, the derivative with respect to parameter p of atom i is -w_i (d_p s_i)(I - P).
    Summed over the samples,

        H_pq = (Q M Q)_{i(p) i(q)} <d_p s (I - P), d_q s (I - P)>.

    The Gauss-Newton step solves 2 H step = -gradient.

    Attributes
    ----------
    gradient : tensor of shape (K, p), float64
        Derivative of the loss.
    derivatives : tensor of shape (K, p, T)
        Derivatives of the atoms outside the span of the atoms, d_p s (I - P). Their
        dtype is that of the large matrix products.
    coupling : tensor of shape (K, K), float64
        Second moment Q M Q of the codes, for atoms that were not normalised.
    """

    gradient: torch.Tensor
    derivatives: torch.Tensor
    coupling: torch.Tensor

    @classmethod
    def of(cls, fit: Projection, jacobian: torch.Tensor) -> "NormalSystem":
        """Return the system from derivatives of the atoms, (K, p, T).

        Costs 2 K^2 p T multiplications. The memory of ``jacobian`` is reused.
        """
        n_features, dtype = jacobian.shape[2], jacobian.dtype
        slope = fit.gradient().to(dtype)
        gradient = _along(slope, jacobian).double()
        # The projections are subtracted from the derivatives before these are
        # multiplied. Subtracting products of projections from products of derivatives
        # would cancel digits where a derivative lies almost in the span of the atoms.
        rows, atoms = jacobian.view(-1, n_features), fit.atoms.to(dtype)
        along = torch.cholesky_solve((atoms @ rows.T).double(), fit.factor)
        rows.addmm_(along.T.to(dtype), atoms, alpha=-1)
        coupling = fit.code_moment / torch.outer(fit.norms, fit.norms)
        return cls(gradient, jacobian, coupling)

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
            The step, from a direct or an iterative solution, whichever is faster.

        Raises
        ------
        ArithmeticError
            If the damped matrix is not positive definite.
        """
        diagonal = self._blocks.diagonal(dim1=1, dim2=2)
        mean = diagonal.mean()
        # A parameter that does not change the loss, such as the length of an atom, has
        # a zero diagonal. The step of a parameter with a small diagonal would be mostly
        # rounding errors. Parts of the mean diagonal therefore damp all parameters.
        added = damping * (diagonal + 1e-2 * mean) + min_damping * mean
        solve = self.direct if self._is_small else self.iterative
        change, residual = solve(added)
        # The model decreases by -g's - s'Hs, and (H + D) s = -g/2 - residual.
        predicted = (change * (added * change + residual - self.gradient / 2)).sum()
        return Step(change, float(predicted))

    @property
    def _is_small(self) -> bool:
        return is_small(self.gradient.numel(), self.derivatives.shape[2])

    @cached_property
    def matrix(self) -> torch.Tensor:
        """The matrix H, (K p, K p). Costs (K p)^2 T multiplications."""
        n_atoms, n_params, n_features = self.derivatives.shape
        rows = self.derivatives.view(-1, n_features)
        matrix = rows.new_zeros(len(rows), len(rows))
        add_gram_(matrix, rows.T)
        mirror_upper_(matrix)
        blocks = matrix.view(n_atoms, n_params, n_atoms, n_params)
        blocks *= self.coupling.to(matrix.dtype)[:, None, :, None]
        return matrix

    def product(self, change: torch.Tensor) -> torch.Tensor:
        """Return the product of H and a change of the parameters, both (K, p).

        Costs K^2 T + 2 K p T multiplications.
        """
        dtype = self.derivatives.dtype
        moved = torch.bmm(change.to(dtype)[:, None], self.derivatives)[:, 0]
        moved = self.coupling.to(dtype) @ moved
        return _along(moved, self.derivatives).double()

    @cached_property
    def _blocks(self) -> torch.Tensor:
        """The p x p blocks of H on its diagonal, (K, p, p), float64."""
        inner = torch.bmm(self.derivatives, self.derivatives.mT).double()
        return inner * self.coupling.diagonal()[:, None, None]

    def direct(self, added: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve (H + diag(added)) step = -gradient / 2 by a Cholesky factorisation.

        Returns the step and the residual, which is zero, both (K, p).
        """
        damped = self.matrix.clone()
        damped.diagonal().add_(added.flatten())
        factor = _factorised(damped)
        flat = self.gradient.reshape(-1, 1).to(damped.dtype)
        change = torch.cholesky_solve(flat, factor).reshape(self.gradient.shape)
        return -change.double() / 2, torch.zeros_like(self.gradient)

    def iterative(self, added: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve (H + diag(added)) step = -gradient / 2 by a few conjugate gradients.

        The preconditioner is the block of the damped matrix that belongs to each atom.
        Returns the step and the residual, both (K, p).
        """
        factor = _factorised(self._blocks + torch.diag_embed(added))

        def precondition(residual: torch.Tensor) -> torch.Tensor:
            return torch.cholesky_solve(residual[:, :, None], factor)[:, :, 0]

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


def _along(rows: torch.Tensor, derivatives: torch.Tensor) -> torch.Tensor:
    """Return products of each row, (K, T), with the derivatives of its atom, (K, p)."""
    # With the row on the left, torch.bmm is several times as fast as with a column on
    # the right.
    return torch.bmm(rows[:, None], derivatives.mT)[:, 0]


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
