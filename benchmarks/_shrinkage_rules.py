"""Ways to choose the weight of shrinkage other than "auto"."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from scipy.special import multigammaln
from sklearn.utils.extmath import randomized_svd

from skspectral.grid import Grid
from skspectral.moments import DenseMoment
from skspectral.moments.stationary import stationary_mean


def rules(X, shape, n_components):
    """Weights that "auto" could have chosen."""
    C = np.cov(X.T, bias=True)
    grid = Grid.of(shape, len(C))
    S = stationary_mean(DenseMoment(torch.as_tensor(C)), grid).dense().numpy()
    n, energies = len(X), ((X - X.mean(0)) ** 2).sum(1)
    gaussian = np.trace(C) ** 2 + (C**2).sum()
    spread = (energies**2).mean() - (C**2).sum()
    # Heavy tails make the covariance worth fewer samples.
    worth = min(1.0, (1 - 2 / n) * gaussian / spread)
    misfit = ((C - S) ** 2).sum()

    def evidence(n_directions, worth=1.0):
        ratios = variance_ratios(C, S, min(n_directions, len(C) - 1))
        return most_likely_weight(ratios, max(1.0, worth * (n - 1)))

    return {
        "no tails": float(min(1.0, gaussian / n / misfit)),
        "evidence, K/2": evidence(n_components // 2, worth),
        "evidence, K": evidence(n_components, worth),
        "evidence, K, no tails": evidence(n_components),
    }


def variance_ratios(C, S, n_directions):
    """Eigenvalues of C relative to S, along leading directions of S."""
    axes, variances, _ = randomized_svd(S, n_directions, random_state=0)
    white = axes / np.sqrt(variances)
    return np.linalg.eigvalsh(white.T @ C @ white).clip(0)


def most_likely_weight(ratios, n):
    """Empirical Bayes with an inverse Wishart of mean S (Hannart and Naveau 2014).

    The posterior mean is (n C + nu S) / (n + nu), with the nu of most evidence.
    """
    d, nu = len(ratios), n * np.logspace(-5, 5, 201)
    degrees = nu + d + 1
    gammas = multigammaln((degrees + n) / 2, d) - multigammaln(degrees / 2, d)
    inside = np.log(nu[:, None] + n * ratios).sum(1)
    evidence = gammas + (degrees * d * np.log(nu) - (degrees + n) * inside) / 2
    best = nu[np.argmax(evidence)]
    return float(best / (n + best))
