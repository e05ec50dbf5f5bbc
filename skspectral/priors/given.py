"""Draws of mixtures of Gaussians of which linear functions are known."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from scipy.special import log_softmax

from skspectral._device import as_array, as_tensor
from skspectral._linalg import cholesky
from skspectral.priors.normal import Mixture, Normal

_CPU = torch.device("cpu")
# Relative to the mean variance of what is known, which may say some things twice.
_RIDGE = 1e-9


def draw_given(
    mixture: Mixture,
    operator: np.ndarray,
    seen: np.ndarray,
    noise_variance: float,
    n_samples: int,
    stream: np.random.Generator,
) -> np.ndarray:
    """Codes w with ``operator @ w`` = seen up to white noise, shape (n_samples, K).

    The component by its share times the density of what is seen; then a draw of it,
    moved by the difference that remains (Matheron's rule). Costs m^2 K + m^3 for each
    component.

    Parameters
    ----------
    mixture : list of (weight, Normal)
    operator : ndarray of shape (m, K)
    seen : ndarray of shape (m,) or (n_samples, m)
    noise_variance : float
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


def check_known(operator: np.ndarray, seen: np.ndarray, n_samples: int) -> None:
    """Raise a ValueError if what is seen is not finite, or of another shape."""
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


class _Given:
    """One Gaussian, and the law of linear functions of it with white noise."""

    def __init__(self, normal: Normal, operator: np.ndarray, noise_variance: float):
        self._normal, self._operator = normal, operator
        self._noise = np.sqrt(noise_variance)
        through = operator @ normal.root
        covariance = as_tensor(through @ through.T, _CPU)
        covariance.diagonal().add_(noise_variance)
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
        noise = self._noise * stream.standard_normal(seen.shape)
        white = self._white(seen - drawn @ self._operator.T - noise)
        gain = as_tensor(self._crossed, _CPU)
        half = torch.linalg.solve_triangular(self._factor, gain, upper=False)
        return drawn + as_array(white.T @ half)
