"""Short atoms that may stand anywhere on long recordings."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.convolutional.dictionary import ConvolutionalSpectralDictionary

__all__ = ["ConvolutionalSpectralDictionary"]
