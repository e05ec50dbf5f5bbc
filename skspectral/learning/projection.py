"""Variable projection: squared error with the codes eliminated, on the moments.

For unit-norm atoms S (K x T) and second moment C, with G = S S' + ridge I, Q = G^-1,
B = S C and M = B S', the least-squares codes leave the mean squared error

    J(S) = tr C - tr(Q M),      dJ/dS = -2 (Q B - Q M Q S),

a function of C alone (Golub and Pereyra 1973). Its size does not grow with the number
of samples.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import torch

from skspectral._linalg import add_gram_, cholesky, mirror_upper_
from skspectral.moments.second_moment import SecondMoment

# An atom of less than this share of the longest atom's norm is rounding.
_ROUNDING = 1e-10
# The squares of smaller norms come near the end of float64.
_SMALLEST = 1e-100


@dataclass(frozen=True)
class Projection:
    """Least squares on one dictionary; float64.

    ``loss`` is J(S), the sum over features of the mean squared error; ``atoms`` are S,
    (K, T), rows of unit norm, and ``norms`` their norms before; ``factor`` is the lower
    Cholesky factor of G, (K, K), ``image`` is B = S C, and ``code_moment`` is Q M Q,
    the second moment of the codes.
    """

    loss: float
    atoms: torch.Tensor
    norms: torch.Tensor
    factor: torch.Tensor
    image: torch.Tensor
    code_moment: torch.Tensor

    def gradient(self) -> torch.Tensor:
        """Derivative of J by the rows before they were normalised, shape (K, T)."""
        slope = self.code_moment @ self.atoms
        slope = 2 * (slope - torch.cholesky_solve(self.image, self.factor))
        # The length of an atom is no parameter of the model.
        slope = slope - (slope * self.atoms).sum(1, keepdim=True) * self.atoms
        return slope / self.norms[:, None]


def present(norms: torch.Tensor) -> torch.Tensor:
    """Mask of the atoms that are finite and more than rounding, by their norms, (K,).

    Rounding is what is left of a sine that is zero at all places of the grid, such as
    that of the Nyquist frequency, beside the other atoms.
    """
    norms = torch.where(norms.isfinite(), norms, 0.0)
    return norms > max(_ROUNDING * float(norms.max()), _SMALLEST)


def project(S: torch.Tensor, C: SecondMoment, ridge: float) -> Projection:
    """Eliminate the codes of the dictionary ``S``, shape (K, T).

    Costs K products of a row with C: O(K T^2) for a dense one.

    Raises
    ------
    ArithmeticError
        If an atom is zero or not finite.
    """
    norms = torch.linalg.vector_norm(S, dim=1)
    if not bool(present(norms).all()):
        raise ArithmeticError("An atom is zero or not finite.")
    atoms = S / norms[:, None]
    factor = cholesky(atoms @ atoms.T, ridge)
    image = C.left_matmul(atoms)
    Q_M = torch.cholesky_solve(image @ atoms.T, factor)
    return Projection(
        loss=C.trace() - float(Q_M.trace()),
        atoms=atoms,
        norms=norms,
        factor=factor,
        image=image,
        code_moment=torch.cholesky_solve(Q_M.T.contiguous(), factor),
    )


def gauss_newton_system(
    fit: Projection, jacobian: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal matrix (K p, K p) and gradient (K, p) of J by the parameters of the atoms.

    Kaufman's (1975) simplification of variable projection: the residual's derivative by
    parameter p of atom i is -w_i (d_p s_i)(I - P), P the projection on the atoms.
    Summed over the samples,

        H_pq = (Q M Q)_{i(p) i(q)} <d_p s (I - P), d_q s (I - P)>.

    The ``jacobian`` d_p s_i has the shape (K, p, T) and the dtype for the product of
    size (K p) x (K p) x T. The Gauss-Newton step solves 2 matrix step = -gradient.
    """
    n_atoms, n_params, n_features = jacobian.shape
    dtype = jacobian.dtype
    slope = fit.gradient().to(dtype)
    gradient = torch.bmm(jacobian, slope[:, :, None]).double()[:, :, 0]

    # The derivatives less their projections, and not their products less those of the
    # projections: where an atom turns into others, only the first keeps its digits.
    rows, atoms = jacobian.reshape(-1, n_features), fit.atoms.to(dtype)
    along = torch.cholesky_solve((atoms @ rows.T).double(), fit.factor)
    rows = torch.addmm(rows, along.T.to(dtype), atoms, alpha=-1)
    matrix = rows.new_zeros(len(rows), len(rows))
    add_gram_(matrix, rows.T)
    mirror_upper_(matrix)
    coupling = fit.code_moment / torch.outer(fit.norms, fit.norms)
    blocks = matrix.view(n_atoms, n_params, n_atoms, n_params)
    blocks *= coupling.to(dtype)[:, None, :, None]
    return matrix, gradient


def cost_of_removal(fit: Projection, kept: torch.Tensor, ridge: float) -> torch.Tensor:
    """Rise of the loss when one of the ``kept`` atoms is left out, shape (n_kept,).

    (Q M Q)_ii / Q_ii, with Q and M of the kept atoms.
    """
    atoms = fit.atoms[kept]
    inverse = torch.cholesky_inverse(cholesky(atoms @ atoms.T, ridge))
    moment = fit.image[kept] @ atoms.T
    return (inverse @ moment @ inverse).diagonal() / inverse.diagonal()


def added_variance(fit: Projection) -> tuple[torch.Tensor, torch.Tensor]:
    """Order of the atoms by the variance they add, and those variances.

    Forward selection: each place goes to the atom that removes the most variance from
    what those before it leave. The variances sum to what all atoms explain together.

    Returns
    -------
    order : tensor of shape (K,), int64
    variance : tensor of shape (K,), float64, in that order
    """
    gram = fit.atoms @ fit.atoms.T
    moment = fit.image @ fit.atoms.T
    n_atoms = len(gram)
    # An atom within rounding of the span of the earlier ones adds nothing.
    floor = 1e-10
    order = torch.empty(n_atoms, dtype=torch.int64, device=gram.device)
    variance = gram.new_zeros(n_atoms)
    free = torch.ones(n_atoms, dtype=torch.bool, device=gram.device)
    for place in range(n_atoms):
        size = gram.diagonal()
        gain = torch.where(
            size > floor, moment.diagonal() / size.clamp_min(floor), 0.0
        ).clamp_min(0.0)
        best = int(torch.where(free, gain, -1.0).argmax())
        order[place], variance[place], free[best] = best, gain[best], False
        if gram[best, best] > floor:
            share = gram[best] / gram[best, best]
            cross = torch.outer(share, moment[best])
            moment = (
                moment
                - cross
                - cross.T
                + moment[best, best] * torch.outer(share, share)
            )
            gram = gram - torch.outer(share, gram[best])
    return order, variance
