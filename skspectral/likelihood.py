"""The likelihood of samples under x = mean + w S + noise and a prior.

The coordinates u of x - mean in the orthonormal basis Q of the atoms' span, on which
the prior was fitted, contain their share of the noise, of variance v. A component of
the clean coordinates has therefore the covariance (C_k - v I)+, and samples have

    p(x) = N(rest; 0, v I_{T-K}) sum_k weight_k N(u; mean_k, (C_k - v I)+ + v I),

which for one Gaussian is the density of probabilistic PCA (Tipping and Bishop 1999).
"""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch

from skspectral._device import Samples
from skspectral._validation import NonFiniteError
from skspectral.inference import log_density
from skspectral.model import LinearModel
from skspectral.priors.closed_form import gaussian_components


def score_samples(
    model: LinearModel,
    prior: Any,
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
    mixture = gaussian_components(prior)
    coordinates, energy = checked_coordinates(
        model, X, device=device, batch_size=batch_size
    )
    return log_density(
        coordinates, energy, model.grid.n_features, mixture, model.noise_variance
    )


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
