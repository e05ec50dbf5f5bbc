"""Distributions of coordinates, which the methods of priors call codes.

A prior is a `Prior`, or any scikit-learn style object with ``fit(codes, y=None)`` and
``sample``, which a `ScaledPrior` wraps. It is fitted on the coordinates of the samples
in an orthonormal basis of the span of the atoms. If its ``fit`` takes ``synthesis``, a
`Synthesis` tells it how coordinates become signals.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.priors.class_conditional import ClassConditionalPrior
from skspectral.priors.diffusion import DiffusionPrior
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.local_contrast import LocalContrastPrior
from skspectral.priors.mixture import GaussianMixture
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.scaled import ScaledPrior
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
    "Synthesis",
]
