"""Distributions of codes.

A prior is any scikit-learn style object with ``fit(codes, y=None)`` and ``sample``. It
is fitted on the coordinates of the samples along orthonormal axes of the atoms' span,
and is told how they become signals, a `Synthesis`, if its ``fit`` takes ``synthesis``.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.priors.class_conditional import ClassConditionalPrior
from skspectral.priors.diffusion import DiffusionPrior
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.local_contrast import LocalContrastPrior
from skspectral.priors.mixture import GaussianMixture
from skspectral.priors.synthesis import Synthesis

__all__ = [
    "ClassConditionalPrior",
    "DiffusionPrior",
    "GaussianMixture",
    "GaussianPrior",
    "LocalContrastPrior",
    "Synthesis",
]
