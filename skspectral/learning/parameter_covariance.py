"""Covariance of the errors of the atoms' parameters.

The samples are x_n = w_n S(a) + noise, and the codes w_n are eliminated (see
`projection`). With E_p = d_p s (I - P), the part of a derivative outside the span of
the atoms, the gradient of the squared error at the true parameters is

    g_p = -2 sum_n v_ni (E_p . noise_n),        v_n = w_n + noise_n S^+.

For white noise of variance s2, the least-squares codes v_n and the residuals are
independent. With the second moments V of the codes v, and W = V - s2 (S S')^-1 of the
codes w, and N samples,

    cov(g) = 4 N s2 B,   B_pq = V_ij (E_p . E_q),       i, j: the atoms of p and q,
    E[Hessian] = 2 N A,  A_pq = W_ij (E_p . E_q),

because the noise adds a constant to the expected error, whatever the atoms. The errors
of the parameters then have the covariance A^-1 B A^-1 s2 / N (White 1982). For other
noise that does not depend on the codes, s2 (E_p . E_q) in B is replaced by E_p R E_q',
with the second moment R of the residuals.

References
----------
H. White (1982). Maximum likelihood estimation of misspecified models. Econometrica 50,
1-25.

P. Stoica, A. Nehorai (1989). MUSIC, maximum likelihood, and Cramer-Rao bound. IEEE
Transactions on Acoustics, Speech, and Signal Processing 37, 720-741. They derive the
covariance of maximum likelihood estimates for complex waves at an array of sensors.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import torch

from skspectral.atoms.family import AtomModel
from skspectral.learning.projection import project
from skspectral.moments.second_moment import SecondMoment

# Directions of the scaled matrix A with smaller eigenvalues leave the error unchanged.
_UNIDENTIFIED = 1e-9


@dataclass(frozen=True)
class ParameterCovariance:
    """Covariance of the errors of the p parameters of K atoms.

    Attributes
    ----------
    covariance : tensor of shape (K, p, K, p), float64
        Covariance in the directions that the data identify.
    free : tensor of shape (m, K, p), float64
        Directions that the data do not identify, relative to ``scale``. They include
        those that change the lengths of atoms.
    scale : tensor of shape (K, p), float64
        Change of each parameter that changes its atom by its own norm.
    noise_variance : float
        Variance of the noise per feature, with the degrees of freedom of the fit.
    """

    covariance: torch.Tensor
    free: torch.Tensor
    scale: torch.Tensor
    noise_variance: float


def parameter_covariance(
    model: AtomModel,
    params: torch.Tensor,
    C: SecondMoment,
    n_samples: float,
    n_means: int,
    ridge: float,
    *,
    robust: bool,
) -> ParameterCovariance:
    """Return the covariance of the errors of atoms that minimise the squared error.

    Parameters
    ----------
    model : AtomModel
        Kind of the atoms, which are separable.
    params : tensor of shape (K, p), float64
        Parameters of the atoms.
    C : SecondMoment
        Second moment of the samples.
    n_samples : float
        Number N of samples, or the sum of their weights.
    n_means : int
        1 if the mean of the samples was subtracted from them, otherwise 0.
    ridge : float
        Relative ridge of the products of the atoms.
    robust : bool
        Whether the noise may have any spectrum. Otherwise it is white.

    Returns
    -------
    found : ParameterCovariance
        The covariance.

    Notes
    -----
    Costs O(K p T^2) for a dense second moment, O((K p)^2 T) and O((K p)^3).
    """
    n_atoms, n_params = params.shape
    fit = project(model.atoms(params), C, ridge)
    jacobian = model.jacobian(params, torch.float64)
    # A change by the scale moves an atom of unit norm by a vector of unit norm.
    norms = torch.linalg.vector_norm(jacobian, dim=2)
    scale = fit.norms[:, None] / norms.clamp_min(torch.finfo(norms.dtype).tiny)
    scale = torch.where(norms > 0, scale, 1.0)
    rows = (jacobian * (scale / fit.norms[:, None])[:, :, None]).flatten(0, 1)
    del jacobian
    outside = rows - (rows @ fit.axes.T) @ fit.axes
    gram = outside @ outside.T
    codes = fit.code_moment
    inverse = torch.cholesky_inverse(fit.factor)
    n_free_samples = max(n_samples - n_means, 0.0)
    n_residuals = n_free_samples * (C.n_features - n_atoms)
    noise = fit.loss * n_samples / max(n_residuals, 1.0)

    def matrix(moment: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
        spread = moment.repeat_interleave(n_params, 0)
        return spread.repeat_interleave(n_params, 1) * products

    power = codes.diagonal().sqrt().repeat_interleave(n_params)
    signal = matrix(codes - noise * inverse, gram) / torch.outer(power, power)
    values, vectors = torch.linalg.eigh(signal)
    known = values > _UNIDENTIFIED
    # The parameters that the residuals have adapted to.
    noise *= n_residuals / max(n_residuals - float(known.sum()), 1.0)
    if robust:
        products = C.left_matmul(outside) @ outside.T
        products *= n_samples / max(n_free_samples, 1.0)
    else:
        products = noise * gram
    spread = matrix(codes, products) / torch.outer(power, power)
    half = vectors[:, known] / values[known]
    middle = vectors[:, known].T @ spread @ vectors[:, known]
    found = half @ middle @ half.T / n_samples
    unit = (scale.flatten() / power)[:, None]
    covariance = (unit * found * unit.T).reshape(n_atoms, n_params, n_atoms, n_params)
    free = vectors[:, ~known].T / power
    free = free / torch.linalg.vector_norm(free, dim=1, keepdim=True)
    free = free.reshape(-1, n_atoms, n_params)
    return ParameterCovariance(covariance, free, scale, noise)
