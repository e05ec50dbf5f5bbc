"""Spectra of images in the bins of ``rfft2``, and their statistics over images.

Images have shape (n, height, width, channels). Spectra have shape (..., channels,
height, width // 2 + 1), the half of the frequency plane that ``rfft2`` returns. The
other half follows by symmetry: a real gain in the bins of ``rfft2`` is extended to an
even function of frequency, so that filtered images are real.
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

# Number of steps between black and white in 8 bits.
_STEPS = 255


def spectra_of(images: np.ndarray) -> np.ndarray:
    """Return the spectra of a batch of images, in double precision."""
    planes = np.moveaxis(images.astype(np.float64, copy=False), -1, -3)
    return fft.rfft2(planes)


def images_of(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the images that have the given spectra.

    ``shape`` is the (height, width, channels) of the images.
    """
    return np.moveaxis(fft.irfft2(spectra, s=shape[:2]), -3, -1)


def iter_spectra(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the spectra of images batch by batch."""
    for rows in iter_slices(images):
        yield spectra_of(images[rows])


def rounding_floor(shape: tuple[int, ...], extent: float) -> float:
    """Return the root mean square error of a bin if pixels are rounded to bytes.

    Rounding errors are independent between pixels and uniform over one step of ``extent
    / 255``, so that their variance is 1/12 squared step per pixel. In a bin of an H x W
    image they add up to ``sqrt(H W / 12)`` steps.
    """
    return extent / _STEPS * math.sqrt(shape[0] * shape[1] / 12)


def log_magnitude(spectra: np.ndarray, floor: float) -> np.ndarray:
    """Return ``log(|Z|^2 + floor^2) / 2``.

    Magnitudes far below the floor give about the logarithm of the floor.
    """
    return 0.5 * np.log(power_of(spectra) + floor**2)


def log_magnitude_statistic(images: np.ndarray, floor: float) -> Statistic:
    """Return mean and variance of the log-magnitude per bin, over images."""
    return statistic_of(log_magnitude(z, floor) for z in iter_spectra(images))


def power_statistic(images: np.ndarray) -> Statistic:
    """Return mean and variance of the power per bin, over images."""
    return statistic_of(power_of(spectra) for spectra in iter_spectra(images))


def ring_indices(shape: tuple[int, ...]) -> np.ndarray:
    """Return the index of the ring that contains each bin.

    Ring r holds the frequencies that round to r cycles along the longer side. Ring 0 is
    DC alone.
    """
    return np.rint(ring_frequencies(shape, "longer")).astype(int)


def mirrored(half: np.ndarray, width: int) -> np.ndarray:
    """Extend an even function from the bins of ``rfft2`` to the whole plane.

    The result has shape (..., height, width).
    """
    return as_array(mirrored_tensor(as_tensor(half, torch.device("cpu")), width))


def mirrored_tensor(half: torch.Tensor, width: int) -> torch.Tensor:
    """Extend even values, as `mirrored` does, for tensors."""
    opposite = opposite_rows(half)[..., 1 : width - half.shape[-1] + 1].flip(-1)
    return torch.cat([half, opposite], dim=-1)


def opposite_rows(values: torch.Tensor) -> torch.Tensor:
    """Return a plane whose row u holds the values of row -u."""
    return values.flip(-2).roll(1, -2)
