"""Priors: distributions of the codes, which are the coordinates of the samples.

A prior is fitted on the coordinates of the samples in an orthonormal basis of the span
of the atoms. The methods of priors call these coordinates *codes*. A prior is either a
`Prior`, or any object in the style of scikit-learn with ``fit(codes, y=None)`` and
``sample``, which the estimator wraps in a `ScaledPrior`. A prior whose ``fit`` takes
``synthesis`` receives a `Synthesis`, which describes how codes become signals.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.priors.class_conditional import ClassConditionalPrior
from skspectral.priors.diffusion import DiffusionPrior
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.local_contrast import LocalContrastPrior
from skspectral.priors.mixture import GaussianMixture
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.scaled import ScaledPrior
from skspectral.priors.spike_and_slab import SpikeAndSlabPrior
from skspectral.priors.synthesis import Synthesis

__all__ = [
    "Capabilities",
    "ClassConditionalPrior",
    "DiffusionPrior",
    "GaussianMixture",
    "GaussianPrior",
    "LocalContrastPrior",
    "Prior",
    "ScaledPrior",
    "SpikeAndSlabPrior",
    "Synthesis",
]
