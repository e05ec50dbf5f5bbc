"""Denoising: the posterior mean of the signals, given noisy samples."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch

from skspectral._device import Samples, working_dtype
from skspectral.coding.linear import add_residuals
from skspectral.gaussian import LinearObservation, Mixture
from skspectral.gaussian.gaussian import ridge_gaussian, wiener_gain
from skspectral.likelihood import checked_coordinates
from skspectral.model import LinearModel
from skspectral.priors import Prior


def denoise(
    model: LinearModel,
    prior: Prior,
    X: Samples,
    noise_variance: np.ndarray | None,
    *,
    device: torch.device,
    batch_size: int | None = None,
) -> Samples:
    """Return the posterior mean of the signal per row of X, as arrays like X.

    ``noise_variance`` has the shape (n, 1); None means the noise variance of the model.
    If the prior is not made of Gaussians, the signals are reconstructions from ridge
    codes.

    Raises
    ------
    TypeError
        If ``noise_variance`` is given and the prior is not made of Gaussians.
    """
    needed_by = "" if noise_variance is None else "denoise with noise_std"
    mixture = mixture_or_ridge(model, prior, needed_by)
    where: dict[str, Any] = {"device": device, "batch_size": batch_size}
    coordinates, _ = checked_coordinates(model, X, **where)
    fitted = model.noise_variance
    if noise_variance is None:
        noise_variance = np.full((len(X), 1), fitted)
    # The part of the fitted noise variance that is treated as noise. The rest of the
    # residual outside the span is treated as signal.
    removed = np.minimum(noise_variance, fitted)
    kept = wiener_gain(fitted - removed, noise_variance)
    posterior = LinearObservation(None, noise_variance).condition(
        mixture, coordinates, removed=removed
    )
    inside = posterior.mean() - kept * coordinates
    signals = model.signals(inside, device=device, dtype=working_dtype(X), like=X)
    if kept.any():
        add_residuals(signals, X, model.mean, kept[:, 0], **where)
    return signals


def mixture_or_ridge(model: LinearModel, prior: Prior, needed_by: str) -> Mixture:
    """Return the Gaussians of the prior, or one that reproduces the ridge codes.

    The latter is returned if the prior is not made of Gaussians and ``needed_by``
    is empty.

    Raises
    ------
    TypeError
        If the prior is not made of Gaussians and ``needed_by`` names a call that needs
        them. The error names the call and the prior.
    """
    if needed_by:
        prior.require("gaussians", needed_by)
    if prior.capabilities.gaussians:
        return prior.mixture()
    _, components, basis = model.float64()
    gaussian = ridge_gaussian(components @ basis.T, model.noise_variance, model.ridge)
    return Mixture(np.ones(1), (gaussian,))
