"""How near generated samples are to real ones, as distributions.

Real, training or reference samples come first, generated ones second. Features are rows
of numbers of any kind: samples, codes, or what a network makes of images.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.metrics.bins import NDBScore, ndb_score
from skspectral.metrics.classifiers import (
    ClassifierScore,
    classifier_score,
    classifier_two_sample_score,
)
from skspectral.metrics.frechet import frechet_distance, frechet_distance_infinity
from skspectral.metrics.kernel import KernelDistance, kernel_distance
from skspectral.metrics.neighbours import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    memorization_ratio,
    precision_recall,
)

__all__ = [
    "ClassifierScore",
    "DensityCoverage",
    "KernelDistance",
    "NDBScore",
    "PrecisionRecall",
    "classifier_score",
    "classifier_two_sample_score",
    "density_coverage",
    "frechet_distance",
    "frechet_distance_infinity",
    "kernel_distance",
    "memorization_ratio",
    "ndb_score",
    "precision_recall",
]
