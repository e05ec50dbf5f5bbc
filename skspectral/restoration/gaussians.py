"""The Gaussians of the patches or windows that an estimator was fitted to."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np


def gaussians_of(estimator: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights (M,), means (M, T) and covariances (M, T, T) of signals.

    The estimator is a fitted `SpectralDictionaryLearning` whose prior consists of M
    Gaussians. Within the span of the atoms, their covariances contain the noise of the
    model. Outside, signals have the variance of the residual.
    """
    mixture = estimator.prior_.mixture()
    mean, _, basis = estimator.model_.float64()
    outside = estimator.noise_variance_ * (np.eye(len(mean)) - basis.T @ basis)
    covariances = np.empty((len(mixture), len(mean), len(mean)))
    for covariance, (_, part) in zip(covariances, mixture, strict=True):
        covariance[:] = basis.T @ part.covariance @ basis + outside
    return mixture.weights.copy(), mixture.means @ basis + mean, covariances
