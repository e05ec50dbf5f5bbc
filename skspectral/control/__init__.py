"""Select atoms by frequency, filter and equalize signals, and interpolate between them.

The functions take a fitted `SpectralDictionaryLearning`. The transformers fit one as a
step of a pipeline.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.control.atoms import select_atoms
from skspectral.control.filtering import equalize, filter
from skspectral.control.generation import interpolate, sample
from skspectral.control.transformers import SpectralEqualizer, SpectralFilter

__all__ = [
    "SpectralEqualizer",
    "SpectralFilter",
    "equalize",
    "filter",
    "interpolate",
    "sample",
    "select_atoms",
]
