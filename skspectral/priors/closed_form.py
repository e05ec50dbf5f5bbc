"""Priors that are made of Gaussians, and so have a closed form."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import mixture

from skspectral.priors.normal import Mixture, Normal

_SCIKIT_LEARNS = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)


def has_closed_form(prior: Any) -> bool:
    """Whether `gaussian_components` tells what a fitted prior is made of."""
    ours = getattr(prior, "_made_of_gaussians", False)
    return ours or isinstance(prior, _SCIKIT_LEARNS)


def gaussian_components(prior: Any) -> Mixture:
    """(weight, Gaussian) of each component of a fitted prior made of Gaussians.

    Raises
    ------
    TypeError
        If the prior is not made of Gaussians.
    """
    if getattr(prior, "_made_of_gaussians", False):
        return prior._mixture
    if isinstance(prior, _SCIKIT_LEARNS):
        normals = map(_normal_of(prior), prior.means_, _stored_covariances(prior))
        return list(zip(prior.weights_, normals, strict=True))
    raise TypeError(
        f"The prior {type(prior).__name__} has no closed form. Use "
        "skspectral.priors.GaussianPrior, GaussianMixture or ClassConditionalPrior of "
        "these, or scikit-learn's GaussianMixture or BayesianGaussianMixture."
    )


def _stored_covariances(prior: Any) -> np.ndarray:
    """One entry a component; "tied" stores one for all."""
    stored, shape = prior.covariances_, prior.means_.shape
    if prior.covariance_type == "tied":
        return np.broadcast_to(stored, (shape[0], *stored.shape))
    if prior.covariance_type == "spherical":
        return np.broadcast_to(stored[:, None], shape)
    return stored


def _normal_of(prior: Any) -> Callable[[np.ndarray, np.ndarray], Normal]:
    if prior.covariance_type in ("full", "tied"):
        return Normal.of
    axes = np.eye(prior.means_.shape[1])
    return lambda mean, variances: Normal.along_axes(mean, axes, variances)
