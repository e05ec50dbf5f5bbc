"""Spectral dictionary learning with a scikit-learn interface.

The path of the data, one module a step:

    X -> moments -> learning (of atoms) -> model -> coding -> priors -> samples
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral._version import __version__
from skspectral.atoms import BasisModulation, MLPModulation
from skspectral.outliers import SpectralOutlierDetector
from skspectral.spectral_dictionary import SpectralDictionaryLearning

__all__ = [
    "BasisModulation",
    "MLPModulation",
    "SpectralDictionaryLearning",
    "SpectralOutlierDetector",
    "__version__",
]
