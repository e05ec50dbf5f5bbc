"""The likelihood of samples under x = mean + w S + noise and a prior.

The coordinates u of x - mean in the orthonormal basis Q of the K atoms contain noise of
the variance v. The prior was fitted on such coordinates, so that a component with the
covariance C_k stands for clean coordinates with the covariance (C_k - v I)+, and

    p(x) = N(rest; 0, v I_{T-K}) sum_k weight_k N(u; mean_k, (C_k - v I)+ + v I).

For one Gaussian this is the density of probabilistic PCA (Tipping and Bishop 1999).
"""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import Samples
from skspectral._validation import NonFiniteError
from skspectral.gaussian import LinearObservation, Mixture
from skspectral.model import LinearModel
from skspectral.priors import Prior


def score_samples(
    model: LinearModel,
    prior: Prior,
    X: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray:
    """Log-density of each row of X, shape (n,), in nats.

    Raises
    ------
    TypeError
        If the prior is not made of Gaussians.
    """
    prior.require("gaussians", "score_samples")
    coordinates, energy = checked_coordinates(
        model, X, device=device, batch_size=batch_size
    )
    n_features, noise = model.grid.n_features, model.noise_variance
    return log_density(coordinates, energy, n_features, prior.mixture(), noise)


def log_density(
    coordinates: np.ndarray,
    squared_norm: np.ndarray,
    n_features: int,
    mixture: Mixture,
    noise_variance: float,
) -> np.ndarray:
    """log p(x) of each sample, (n,), in nats; costs K^2 for each sample and component.

    From the coordinates u, (n, K), the squared norms ||x - mean||^2, (n,), the number T
    of features, the distribution of the coordinates, noise included, and its variance v
    > 0.
    """
    observation = LinearObservation(None, noise_variance)
    inside = observation.condition(
        mixture, coordinates, removed=noise_variance
    ).log_evidence
    n_rest = n_features - coordinates.shape[1]
    if n_rest == 0:
        return inside
    rest = np.maximum(squared_norm - (coordinates**2).sum(1), 0.0)
    outside = n_rest * np.log(2 * np.pi * noise_variance) + rest / noise_variance
    return inside - 0.5 * outside


def checked_coordinates(
    model: LinearModel,
    X: Samples,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of X and ||x - mean||^2; a `NonFiniteError` if these overflow."""
    found = model.coordinates(X, device=device, batch_size=batch_size)
    if not np.isfinite(found[1]).all():
        raise NonFiniteError("The squares of X overflow. Scale X down.")
    return found
