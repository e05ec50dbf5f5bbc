"""Rules for the weight of shrinkage that are alternatives to "auto"."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from scipy.special import multigammaln
from sklearn.utils.extmath import randomized_svd

from skspectral.grid import Grid
from skspectral.moments import DenseMoment
from skspectral.moments.stationary import stationary_mean


def rules(X, shape, n_components):
    """Return the shrinkage weight that each rule chooses for X.

    Rules named "no tails" omit the correction for heavy tails, which "auto" makes.
    Rules named "evidence" maximise the evidence in the span of K/2 or K directions.
    """
    C = np.cov(X.T, bias=True)
    grid = Grid.of(shape, len(C))
    S = stationary_mean(DenseMoment(torch.as_tensor(C)), grid).dense().numpy()
    n, energies = len(X), ((X - X.mean(0)) ** 2).sum(1)
    gaussian = np.trace(C) ** 2 + (C**2).sum()
    spread = (energies**2).mean() - (C**2).sum()
    # Heavy tails increase the error of the covariance as fewer samples would. This is
    # their number, as a fraction of n.
    efficiency = min(1.0, (1 - 2 / n) * gaussian / spread)
    misfit = ((C - S) ** 2).sum()

    def evidence(n_directions, efficiency=1.0):
        ratios = variance_ratios(C, S, min(n_directions, len(C) - 1))
        return most_likely_weight(ratios, max(1.0, efficiency * (n - 1)))

    return {
        "no tails": float(min(1.0, gaussian / n / misfit)),
        "evidence, K/2": evidence(n_components // 2, efficiency),
        "evidence, K": evidence(n_components, efficiency),
        "evidence, K, no tails": evidence(n_components),
    }


def variance_ratios(C, S, n_directions):
    """Return eigenvalues of C relative to S in the span of leading directions of S."""
    axes, variances, _ = randomized_svd(S, n_directions, random_state=0)
    white = axes / np.sqrt(variances)
    return np.linalg.eigvalsh(white.T @ C @ white).clip(0)


def most_likely_weight(ratios, n):
    """Return the weight of largest evidence (Hannart and Naveau 2014).

    The prior of the covariance is an inverse Wishart distribution with mean S. The
    posterior mean is (n C + nu S) / (n + nu), and nu maximises the evidence.
    """
    d, nu = len(ratios), n * np.logspace(-5, 5, 201)
    degrees = nu + d + 1
    gammas = multigammaln((degrees + n) / 2, d) - multigammaln(degrees / 2, d)
    inside = np.log(nu[:, None] + n * ratios).sum(1)
    evidence = gammas + (degrees * d * np.log(nu) - (degrees + n) * inside) / 2
    best = nu[np.argmax(evidence)]
    return float(best / (n + best))
