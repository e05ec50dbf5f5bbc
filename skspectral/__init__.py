"""Spectral dictionary learning with a scikit-learn interface.

A fit passes the data through the subpackages and modules in this order::

    X -> moments -> learning (of the atoms) -> model -> coding -> priors
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral._version import __version__
from skspectral.atoms import BasisModulation, MLPModulation
from skspectral.imputer import SpectralImputer
from skspectral.model_selection import SpectralDictionaryLearningCV
from skspectral.outliers import SpectralOutlierDetector
from skspectral.spectral_dictionary import SpectralDictionaryLearning

__all__ = [
    "BasisModulation",
    "MLPModulation",
    "SpectralDictionaryLearning",
    "SpectralDictionaryLearningCV",
    "SpectralImputer",
    "SpectralOutlierDetector",
    "__version__",
]
