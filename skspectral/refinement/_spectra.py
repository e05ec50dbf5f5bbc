"""Spectra of images, of half the plane, and their statistics over a set of images.

Images are (n, height, width, channels); spectra Z, of any set or of one image, are
(..., channels, height, width // 2 + 1), as ``rfft2`` gives them. A real gain over half
the plane is even over the whole one, so that what it makes of an image is real.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy import fft

from skspectral._device import as_array, as_tensor
from skspectral.metrics._images import iter_slices, power_of
from skspectral.metrics._rings import ring_frequencies
from skspectral.metrics._statistics import Statistic, statistic_of

# Grey levels of a file's byte.
_STEPS = 255


def spectra_of(images: np.ndarray) -> np.ndarray:
    """Spectra of a batch, in double precision."""
    planes = np.moveaxis(images.astype(np.float64, copy=False), -1, -3)
    return fft.rfft2(planes)


def images_of(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse, for images of ``shape`` (height, width, channels)."""
    return np.moveaxis(fft.irfft2(spectra, s=shape[:2]), -3, -1)


def iter_spectra(images: np.ndarray) -> Iterator[np.ndarray]:
    """Spectra of all images, batch by batch."""
    for rows in iter_slices(images):
        yield spectra_of(images[rows])


def rounding_floor(shape: tuple[int, ...], extent: float) -> float:
    """Root mean square of what rounding to bytes adds to a bin.

    Rounding errors are independent from pixel to pixel and uniform over a step, so that
    a bin of H x W pixels gets ``sqrt(H W / 12)`` steps of ``extent / 255``.
    """
    return extent / _STEPS * math.sqrt(shape[0] * shape[1] / 12)


def log_magnitude(spectra: np.ndarray, floor: float) -> np.ndarray:
    """``log(|Z|^2 + floor^2) / 2``: what lies below the floor counts as the floor."""
    return 0.5 * np.log(power_of(spectra) + floor**2)


def log_magnitude_statistic(images: np.ndarray, floor: float) -> Statistic:
    """Mean and variance of the log-magnitudes of all bins."""
    return statistic_of(log_magnitude(z, floor) for z in iter_spectra(images))


def power_statistic(images: np.ndarray) -> Statistic:
    """Mean and variance of the powers of all bins."""
    return statistic_of(power_of(spectra) for spectra in iter_spectra(images))


def ring_numbers(shape: tuple[int, ...]) -> np.ndarray:
    """The ring of each bin: whole cycles along the longer side; ring 0 is DC alone."""
    return np.rint(ring_frequencies(shape, "longer")).astype(int)


def mirrored(half: np.ndarray, width: int) -> np.ndarray:
    """An even function of frequency on the whole plane, (..., height, width)."""
    return as_array(mirrored_tensor(as_tensor(half, torch.device("cpu")), width))


def mirrored_tensor(half: torch.Tensor, width: int) -> torch.Tensor:
    """Values on the whole plane from those in the bins of ``rfft2``, if even."""
    opposite = opposite_rows(half)[..., 1 : width - half.shape[-1] + 1].flip(-1)
    return torch.cat([half, opposite], dim=-1)


def opposite_rows(values: torch.Tensor) -> torch.Tensor:
    """Row -u in the place of row u."""
    return values.flip(-2).roll(1, -2)
