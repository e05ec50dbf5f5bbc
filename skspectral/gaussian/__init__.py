"""Gaussians, mixtures of them, and what a linear observation tells of a draw."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.gaussian.gaussian import Gaussian
from skspectral.gaussian.mixture import Mixture
from skspectral.gaussian.observation import LinearObservation, Posterior

__all__ = ["Gaussian", "LinearObservation", "Mixture", "Posterior"]
