"""Draws of mixtures of Gaussians of which linear functions are known."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from skspectral._device import as_array, as_tensor
from skspectral._linalg import cholesky
from skspectral._sklearn_compat import as_numbers
from skspectral.priors.normal import Mixture, Normal

_CPU = torch.device("cpu")
# Relative to the mean variance of what is known, which may say some things twice.
_RIDGE = 1e-9
# The same of what is outside the span of the atoms, where rounding is relatively more.
_LEAST = 1e-6


def draw_given(
    mixture: Mixture,
    operator: np.ndarray,
    seen: np.ndarray,
    noise_variance: float | np.ndarray,
    n_samples: int,
    stream: np.random.Generator,
) -> np.ndarray:
    """Codes w with ``operator @ w`` = seen up to noise, shape (n_samples, K).

    The component by its share times the density of what is seen; then a draw of it,
    moved by the difference that remains (Matheron's rule). Costs m^2 K + m^3 for each
    component.

    Parameters
    ----------
    mixture : list of (weight, Normal)
    operator : ndarray of shape (m, K)
    seen : ndarray of shape (m,) or (n_samples, m)
    noise_variance : float or ndarray of shape (m, m)
        Of white noise, or the covariance of any.
    n_samples : int
    stream : Generator
    """
    seen = np.broadcast_to(seen, (n_samples, len(operator)))
    parts = [_Given(normal, operator, noise_variance) for _, normal in mixture]
    logs = np.stack([part.log_density(seen) for part in parts], axis=1)
    with np.errstate(divide="ignore"):
        logs += np.log([weight for weight, _ in mixture])
    shares = np.exp(log_softmax(logs, axis=1)).cumsum(axis=1)
    chosen = (stream.random((n_samples, 1)) > shares[:, :-1]).sum(axis=1)
    codes = np.empty((n_samples, operator.shape[1]))
    for i, part in enumerate(parts):
        rows = np.flatnonzero(chosen == i)
        if len(rows):
            codes[rows] = part.draw(seen[rows], stream)
    return codes


def checked_known(
    operator: ArrayLike, seen: ArrayLike, n_samples: int, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Operator and what is seen, float64.

    Raises
    ------
    ValueError
        If they are not finite, tell nothing, or have other shapes than they should.
    """
    operator, seen = as_numbers(operator), as_numbers(seen)
    if operator.ndim != 2 or operator.shape[1] != n_columns:
        raise ValueError(
            f"operator of shape {operator.shape} must be of shape (m, {n_columns}): "
            "operator @ x is what is seen of x."
        )
    m = len(operator)
    if not (np.isfinite(operator).all() and np.isfinite(seen).all()):
        raise ValueError("operator and seen must be finite.")
    if not operator.any():
        raise ValueError(
            f"operator of shape {operator.shape} tells nothing: it is empty, or zero. "
            "Use sample."
        )
    if seen.shape not in ((m,), (n_samples, m)):
        raise ValueError(
            f"seen of shape {seen.shape} must be of shape ({m},), or of "
            f"({n_samples}, {m}) for each draw to have its own."
        )
    return operator, seen


def noise_of(
    variance: float | np.ndarray, n_seen: int
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the noise of what is seen, and R with R R' = covariance."""
    if np.ndim(variance) == 0:
        identity = np.eye(n_seen)
        return variance * identity, np.sqrt(variance) * identity
    covariance = np.asarray(variance, dtype=np.float64)
    return covariance, as_array(cholesky(as_tensor(covariance, _CPU), _RIDGE))


class _Given:
    """One Gaussian, and the law of linear functions of it with noise."""

    def __init__(
        self, normal: Normal, operator: np.ndarray, noise_variance: float | np.ndarray
    ):
        self._normal, self._operator = normal, operator
        noise, self._noise_root = noise_of(noise_variance, len(operator))
        through = operator @ normal.root
        covariance = as_tensor(through @ through.T, _CPU)
        covariance += as_tensor(noise, _CPU)
        self._factor = cholesky(covariance, _RIDGE)
        self._crossed = through @ normal.root.T

    def _white(self, differences: np.ndarray) -> torch.Tensor:
        """Of variance 1 and uncorrelated, shape (m, n)."""
        rows = as_tensor(differences.T, _CPU)
        return torch.linalg.solve_triangular(self._factor, rows, upper=False)

    def log_density(self, seen: np.ndarray) -> np.ndarray:
        """Of rows of what is seen, up to a constant."""
        white = self._white(seen - self._operator @ self._normal.mean)
        log_root = self._factor.diagonal().log().sum()
        return as_array(-(white**2).sum(0) / 2 - log_root)

    def draw(self, seen: np.ndarray, stream: np.random.Generator) -> np.ndarray:
        """One draw for each row of what is seen."""
        drawn = self._normal.draw(len(seen), stream)
        noise = stream.standard_normal(seen.shape) @ self._noise_root.T
        white = self._white(seen - drawn @ self._operator.T - noise)
        gain = as_tensor(self._crossed, _CPU)
        half = torch.linalg.solve_triangular(self._factor, gain, upper=False)
        return drawn + as_array(white.T @ half)


def least_change(
    functions: np.ndarray, missed: np.ndarray, noise: float = 0.0
) -> np.ndarray:
    """Smallest signals, in squared norm, of which linear functions are ``missed``.

    The posterior mean of white noise of variance 1, of which the functions were seen
    with noise of a variance. Costs m^2 T + m^3.

    Parameters
    ----------
    functions : ndarray of shape (m, T)
        Rows may be dependent, or rounding.
    missed : ndarray of shape (n, m)
    noise : float, default=0.0
    """
    rows = as_tensor(functions, _CPU)
    inner = rows @ rows.T
    inner.diagonal().add_(noise)
    factor = cholesky(inner, _LEAST)
    weights = torch.cholesky_solve(as_tensor(missed.T, _CPU), factor)
    return as_array(weights.T @ rows)
