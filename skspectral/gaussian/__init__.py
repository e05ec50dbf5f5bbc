"""Gaussian distributions, their mixtures, and posteriors given linear observations."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.gaussian.gaussian import Gaussian
from skspectral.gaussian.mixture import Mixture
from skspectral.gaussian.observation import LinearObservation, Posterior

__all__ = ["Gaussian", "LinearObservation", "Mixture", "Posterior"]
