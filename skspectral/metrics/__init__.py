"""How good reconstructions and generated samples are: functions on arrays."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.metrics.features import extract_features, inception_extractor
from skspectral.metrics.image_spectra import (
    RadialSpectrum,
    radial_power_spectrum,
    radial_spectrum_distance,
)
from skspectral.metrics.mean_spectra import (
    MeanSpectrumDistance,
    mean_spectrum_distance,
)
from skspectral.metrics.reconstruction import explained_variance, psnr, ssim
from skspectral.metrics.scorers import (
    generation_scorer,
    reconstruction_scorer,
)
from skspectral.metrics.signal_spectra import (
    log_spectral_distance,
    multi_resolution_stft_distance,
    spectral_convergence,
)

__all__ = [
    "MeanSpectrumDistance",
    "RadialSpectrum",
    "explained_variance",
    "extract_features",
    "generation_scorer",
    "inception_extractor",
    "log_spectral_distance",
    "mean_spectrum_distance",
    "multi_resolution_stft_distance",
    "psnr",
    "radial_power_spectrum",
    "radial_spectrum_distance",
    "reconstruction_scorer",
    "spectral_convergence",
    "ssim",
]
