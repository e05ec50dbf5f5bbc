"""What the model x = mean + w S + noise implies about a sample.

The coordinates u of x - mean along the K orthonormal axes Q of the atoms' span, on
which the prior was fitted, contain their share of the noise, of variance v. A component
of the clean coordinates has therefore the covariance (C_k - v I)+, and samples have

    p(x) = N(rest; 0, v I_{T-K}) sum_k weight_k N(u; mean_k, (C_k - v I)+ + v I),

which for one Gaussian is the density of probabilistic PCA (Tipping and Bishop 1999).
Nothing here has T x T numbers. `skspectral.conditional` does the same for samples of
which some entries are missing.
"""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy.special import logsumexp, softmax

from skspectral.priors.normal import Mixture, Normal, log_joint


def log_density(
    coordinates: np.ndarray,
    squared_norm: np.ndarray,
    n_features: int,
    mixture: Mixture,
    noise_variance: float,
) -> np.ndarray:
    """log p(x); costs K^2 for each sample and component.

    Parameters
    ----------
    coordinates : ndarray of shape (n, K), float64
        u.
    squared_norm : ndarray of shape (n,), float64
        ||x - mean||^2.
    n_features : int
        T.
    mixture : list of (weight, Normal)
        Of the coordinates.
    noise_variance : float
        v > 0.

    Returns
    -------
    log_density : ndarray of shape (n,), float64, in nats
    """
    joint = log_joint(coordinates, mixture, noise_variance, noise_variance)
    inside = logsumexp(joint, axis=1)
    n_rest = n_features - coordinates.shape[1]
    if n_rest == 0:
        return inside
    rest = np.maximum(squared_norm - (coordinates**2).sum(1), 0.0)
    outside = n_rest * np.log(2 * np.pi * noise_variance) + rest / noise_variance
    return inside - 0.5 * outside


def posterior_mean(
    coordinates: np.ndarray, mixture: Mixture, noise: np.ndarray, removed: np.ndarray
) -> np.ndarray:
    """Mean of the clean coordinates given noisy ones: a mixture of Wiener estimates.

    Costs K^2 for each sample and component.

    Parameters
    ----------
    coordinates : ndarray of shape (n, K), float64
    mixture : list of (weight, Normal)
        Of the coordinates of the samples of fit.
    noise, removed : ndarray of shape (n, 1)
        Variances of the noise of these rows, and of that in the samples of fit.

    Returns
    -------
    mean : ndarray of shape (n, K)
    """
    shares = softmax(log_joint(coordinates, mixture, noise, removed), axis=1)
    mean = np.zeros_like(coordinates)
    for share, (_, normal) in zip(shares.T, mixture, strict=True):
        mean += share[:, None] * normal.posterior_mean(coordinates, noise, removed)
    return mean


def ridge_law(components: np.ndarray, noise_variance: float, ridge: float) -> Normal:
    """Law of the coordinates under which posterior means are ridge codes.

    The codes w are independent with the variance v / ridge; ridge 0 stands for the
    smallest one that rounding leaves room for.

    Parameters
    ----------
    components : ndarray of shape (K, r)
        Coordinates of the atoms.
    noise_variance : float
        v.
    ridge : float
    """
    smallest = np.finfo(np.float64).eps * len(components)
    _, singular, axes = np.linalg.svd(components, full_matrices=False)
    clean = singular**2 * noise_variance / max(ridge, smallest)
    return Normal(np.zeros(len(axes)), axes.T, clean + noise_variance)
