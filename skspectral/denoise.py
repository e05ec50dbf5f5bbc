"""Denoising: the posterior mean of samples without their noise."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch

from skspectral._device import Samples, working_dtype
from skspectral.coding.linear import add_residuals
from skspectral.inference import posterior_mean, ridge_law
from skspectral.likelihood import checked_coordinates
from skspectral.model import LinearModel
from skspectral.priors.closed_form import gaussian_components, has_closed_form
from skspectral.priors.normal import Mixture
from skspectral.priors.spectrum import wiener_gain


def denoise(
    model: LinearModel,
    prior: Any,
    X: Samples,
    noise_variance: np.ndarray | None,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> Samples:
    """Posterior mean of each row of X without its noise.

    Parameters
    ----------
    model : LinearModel
    prior : object
        Fitted. Without a closed form ridge codes take its place, if ``noise_variance``
        is None.
    X : array of shape (n, T)
    noise_variance : ndarray of shape (n, 1) or None
        Of the noise in each row. None is that of the model.

    Returns
    -------
    signals : array of shape (n, T), like X

    Raises
    ------
    TypeError
        If ``noise_variance`` is given and the prior is not made of Gaussians.
    """
    mixture = mixture_or_ridge(model, prior, needed=noise_variance is not None)
    where: dict[str, Any] = {"device": device, "batch_size": batch_size}
    coordinates, _ = checked_coordinates(model, X, **where)
    fitted = model.noise_variance
    if noise_variance is None:
        noise_variance = np.full((len(X), 1), fitted)
    # The part of the residual variance that is treated as noise; the rest is signal.
    removed = np.minimum(noise_variance, fitted)
    kept = wiener_gain(fitted - removed, noise_variance)
    clean = posterior_mean(coordinates, mixture, noise_variance, removed)
    signals = model.signals(
        clean - kept * coordinates, device=device, dtype=working_dtype(X), like=X
    )
    if kept.any():
        add_residuals(signals, X, model.mean, kept[:, 0], **where)
    return signals


def mixture_or_ridge(model: LinearModel, prior: Any, *, needed: bool) -> Mixture:
    """Gaussians of the prior or, if not ``needed``, what stands for ridge codes."""
    if needed or has_closed_form(prior):
        return gaussian_components(prior)
    _, components, basis = model.float64()
    law = ridge_law(components @ basis.T, model.noise_variance, model.ridge)
    return [(1.0, law)]
