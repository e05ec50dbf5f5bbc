"""Correct the spectra of generated images towards those of real images.

Generative models leave traces in the spectrum of their images, such as the
checkerboards of transposed convolutions or too little power at high frequencies. Every
class of this package learns from a set of generated and a set of real images, which
need not be paired, and changes the spectra of generated images towards the spectra of
real images.

``fit`` takes the real images as ``y``, or labels that mark each row of ``X`` as real or
generated. With labels, ``fit_transform`` changes all rows of ``X``, including the real
ones, because a step of a pipeline must return every row. To chain several matchers,
therefore pass the real images as ``y``.
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
