"""Repair of the spectra of generated images.

Generators leave traces in the spectrum: checkerboards of their up-sampling, or too
little of high frequencies. All classes learn from generated and from real images, which
need not be pairs, and change the spectrum of the former towards the latter.

With labels as y, ``fit_transform`` changes all rows, real ones too, as a step of a
pipeline has to: fit chains of matchers with images as y.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.refinement.cross_spectrum import CrossSpectrumMatcher
from skspectral.refinement.filters import RadialSpectrumMatcher, SpectrumMatcher
from skspectral.refinement.quantile import SpectrumQuantileMatcher
from skspectral.refinement.translator import SpectrumTranslator

__all__ = [
    "CrossSpectrumMatcher",
    "RadialSpectrumMatcher",
    "SpectrumMatcher",
    "SpectrumQuantileMatcher",
    "SpectrumTranslator",
]
