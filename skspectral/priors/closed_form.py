"""Priors that are made of Gaussians, and so have a closed form."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn import mixture

from skspectral.priors.class_conditional import ClassConditionalPrior
from skspectral.priors.density import GaussianDensity
from skspectral.priors.normal import Mixture, Normal

_SCIKIT_LEARNS = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)


def has_closed_form(prior: Any) -> bool:
    """Whether `gaussian_components` tells what a fitted prior is made of."""
    if isinstance(prior, ClassConditionalPrior):
        return all(map(has_closed_form, prior.priors_))
    return isinstance(prior, (GaussianDensity, *_SCIKIT_LEARNS))


def gaussian_components(prior: Any) -> Mixture:
    """(weight, Gaussian) of each component of a fitted prior made of Gaussians.

    Raises
    ------
    TypeError
        If the prior is not made of Gaussians.
    """
    if isinstance(prior, GaussianDensity):
        return prior._mixture
    if isinstance(prior, ClassConditionalPrior):
        return [
            (share * weight, normal)
            for share, of_class in zip(prior.class_prior_, prior.priors_, strict=True)
            for weight, normal in gaussian_components(of_class)
        ]
    if isinstance(prior, _SCIKIT_LEARNS):
        n_components, n_codes = prior.means_.shape
        stored = prior.covariances_
        if prior.covariance_type == "diag":
            stored = stored[:, :, None] * np.eye(n_codes)
        elif prior.covariance_type == "spherical":
            stored = stored[:, None, None] * np.eye(n_codes)
        # "tied" stores one covariance for all components.
        covariances = np.broadcast_to(stored, (n_components, n_codes, n_codes))
        normals = map(Normal.of, prior.means_, covariances)
        return list(zip(prior.weights_, normals, strict=True))
    raise TypeError(
        f"The prior {type(prior).__name__} has no closed form. Use "
        "skspectral.priors.GaussianPrior, GaussianMixture or ClassConditionalPrior of "
        "these, or scikit-learn's GaussianMixture or BayesianGaussianMixture."
    )
