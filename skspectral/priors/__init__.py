"""Distributions of codes.

A prior is any scikit-learn style object with ``fit(codes, y=None)`` and ``sample``. It
is fitted on the coordinates of the samples along orthonormal axes of the atoms' span.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.priors.class_conditional import ClassConditionalPrior
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.mixture import GaussianMixture

__all__ = ["ClassConditionalPrior", "GaussianMixture", "GaussianPrior"]
