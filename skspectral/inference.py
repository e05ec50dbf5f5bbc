"""What the model x = mean + w S + noise implies about a sample."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy.special import logsumexp

from skspectral.priors.gaussian import covariance_factor, log_normal_density
from skspectral.priors.protocol import Component


def log_density(
    coordinates: np.ndarray,
    squared_norm: np.ndarray,
    n_features: int,
    components: list[Component],
    noise_variance: float,
) -> np.ndarray:
    """log p(x) for a mixture of Gaussians on the coordinates plus white noise.

    The coordinates u of x - mean along the K orthonormal axes of the atoms' span, on
    which the prior was fitted, contain their share of the noise, of variance v. A
    component of the clean coordinates has therefore the covariance (C_k - v I)+, and

        p(x) = N(rest; 0, v I_{T-K}) sum_k weight_k N(u; mean_k, (C_k - v I)+ + v I):

    the density of N(mean, Q' (C - v I)+ Q + v I), which for one Gaussian is that of
    probabilistic PCA (Tipping and Bishop 1999), without its T x T matrix. Costs K^3 for
    each component and K^2 more for each sample.

    Parameters
    ----------
    coordinates : ndarray of shape (n, K), float64
        u.
    squared_norm : ndarray of shape (n,), float64
        ||x - mean||^2.
    n_features : int
        T.
    components : list of (weight, mean, covariance)
    noise_variance : float
        v > 0.

    Returns
    -------
    log_density : ndarray of shape (n,), float64, in nats
    """
    n_codes = coordinates.shape[1]
    inside = logsumexp(
        [
            log_normal_density(
                coordinates, mean, _factor_with_noise(covariance, noise_variance)
            )
            for _, mean, covariance in components
        ],
        axis=0,
        b=np.array([[weight] for weight, _, _ in components]),
    )
    n_rest = n_features - n_codes
    if n_rest == 0:
        return inside
    rest = np.maximum(squared_norm - (coordinates**2).sum(1), 0.0)
    outside = n_rest * np.log(2 * np.pi * noise_variance) + rest / noise_variance
    return inside - 0.5 * outside


def _factor_with_noise(covariance: np.ndarray, noise_variance: float) -> np.ndarray:
    """Cholesky factor of (C - v I)+ + v I: no direction varies less than the noise."""
    values, vectors = np.linalg.eigh(covariance)
    return covariance_factor((vectors * np.maximum(values, noise_variance)) @ vectors.T)
