"""Hands on the spectrum: bands of atoms, gains over frequency, paths between samples.

Functions take a fitted `SpectralDictionaryLearning`; the transformers fit one, and sit
in a pipeline.
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
