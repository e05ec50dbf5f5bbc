"""Likelihood of samples under x = mean + z Q + noise.

The coordinates u of x - mean in the orthonormal basis Q of the K atoms contain noise of
the variance v. The prior was fitted on such coordinates, so that a component with the
covariance C_k stands for clean coordinates with the covariance (C_k - v I)+, and

    p(x) = N(rest; 0, v I_{T-K}) sum_k weight_k N(u; mean_k, (C_k - v I)+ + v I).

For one Gaussian this is the density of probabilistic PCA (Tipping and Bishop 1999).
"""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from skspectral.gaussian import LinearObservation, Mixture


def log_density(
    coordinates: np.ndarray,
    squared_norm: np.ndarray,
    n_features: int,
    mixture: Mixture,
    noise_variance: float,
) -> np.ndarray:
    """log p(x) of each sample; costs K^2 for each sample and component.

    Parameters
    ----------
    coordinates : ndarray of shape (n, K), float64
        u.
    squared_norm : ndarray of shape (n,), float64
        ||x - mean||^2.
    n_features : int
        T.
    mixture : Mixture
        Distribution of the coordinates, noise included.
    noise_variance : float
        v > 0.

    Returns
    -------
    log_density : ndarray of shape (n,), float64, in nats
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
