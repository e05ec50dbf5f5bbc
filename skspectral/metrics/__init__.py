"""How good reconstructions and generated samples are."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.metrics.image_spectra import (
    MeanSpectrumDistance,
    RadialSpectrum,
    mean_spectrum_distance,
    radial_power_spectrum,
    radial_spectrum_distance,
)

__all__ = [
    "MeanSpectrumDistance",
    "RadialSpectrum",
    "mean_spectrum_distance",
    "radial_power_spectrum",
    "radial_spectrum_distance",
]
