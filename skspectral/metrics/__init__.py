"""Measure the quality of reconstructions and of generated samples.

All metrics are functions on arrays. The first argument holds the real or original
samples, the second argument the generated or reconstructed samples. Metrics that take
features accept any array of shape (n_samples, n_features): the samples themselves,
their codes, or the outputs of a neural network for images (`extract_features`).
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.metrics.bins import NDBScore, ndb_score
from skspectral.metrics.classifiers import (
    ClassifierScore,
    classifier_score,
    classifier_two_sample_score,
)
from skspectral.metrics.features import extract_features, inception_extractor
from skspectral.metrics.frechet import frechet_distance, frechet_distance_infinity
from skspectral.metrics.image_spectra import (
    RadialSpectrum,
    radial_power_spectrum,
    radial_spectrum_distance,
)
from skspectral.metrics.kernel import KernelDistance, kernel_distance
from skspectral.metrics.mean_spectra import MeanSpectrumDistance, mean_spectrum_distance
from skspectral.metrics.neighbours import (
    DensityCoverage,
    PrecisionRecall,
    authenticity,
    density_coverage,
    memorization_ratio,
    precision_recall,
)
from skspectral.metrics.reconstruction import explained_variance, psnr, ssim
from skspectral.metrics.scorers import generation_scorer, reconstruction_scorer
from skspectral.metrics.signal_spectra import (
    log_spectral_distance,
    multi_resolution_stft_distance,
    spectral_convergence,
)

__all__ = [
    "ClassifierScore",
    "DensityCoverage",
    "KernelDistance",
    "MeanSpectrumDistance",
    "NDBScore",
    "PrecisionRecall",
    "RadialSpectrum",
    "authenticity",
    "classifier_score",
    "classifier_two_sample_score",
    "density_coverage",
    "explained_variance",
    "extract_features",
    "frechet_distance",
    "frechet_distance_infinity",
    "generation_scorer",
    "inception_extractor",
    "kernel_distance",
    "log_spectral_distance",
    "mean_spectrum_distance",
    "memorization_ratio",
    "multi_resolution_stft_distance",
    "ndb_score",
    "precision_recall",
    "psnr",
    "radial_power_spectrum",
    "radial_spectrum_distance",
    "reconstruction_scorer",
    "spectral_convergence",
    "ssim",
]
