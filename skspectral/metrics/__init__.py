"""Measures of generated and reconstructed samples, on arrays."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.metrics.features import extract_features, inception_extractor

__all__ = [
    "extract_features",
    "inception_extractor",
]
