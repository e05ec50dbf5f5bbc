"""Denoising: the posterior mean of samples without their noise."""
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
    """Posterior mean of each row of X without its noise, as arrays like X.

    ``noise_variance`` is that of the noise in each row, (n, 1); None is that of the
    model. With a prior that is not made of Gaussians, ridge codes take its place.

    Raises
    ------
    TypeError
        If ``noise_variance`` is given and the prior is not made of Gaussians.
    """
    asked = "" if noise_variance is None else "denoise with noise_std"
    mixture = mixture_or_ridge(model, prior, asked)
    where: dict[str, Any] = {"device": device, "batch_size": batch_size}
    coordinates, _ = checked_coordinates(model, X, **where)
    fitted = model.noise_variance
    if noise_variance is None:
        noise_variance = np.full((len(X), 1), fitted)
    # The part of the residual variance that is treated as noise; the rest is signal.
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


def mixture_or_ridge(model: LinearModel, prior: Prior, asked: str) -> Mixture:
    """Gaussians of the prior or, if nothing is ``asked``, what stands for ridge codes.

    Raises
    ------
    TypeError
        If something is asked and the prior is not made of Gaussians; it names both.
    """
    if asked:
        prior.require("gaussians", asked)
    if prior.capabilities.gaussians:
        return prior.mixture()
    _, components, basis = model.float64()
    gaussian = ridge_gaussian(components @ basis.T, model.noise_variance, model.ridge)
    return Mixture(np.ones(1), (gaussian,))
