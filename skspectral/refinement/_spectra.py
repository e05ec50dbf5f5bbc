"""Spectra of images, of half the plane, and their statistics over a set of images.

Images are (n, height, width, channels); spectra Z, of any set or of one image, are
(..., channels, height, width // 2 + 1), as ``rfft2`` gives them. A real gain over half
the plane is even over the whole one, so that what it makes of an image is real.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import fft

from skspectral.metrics._images import columns_of_half_plane, iter_slices

# Grey levels of a file's byte.
_STEPS = 255


class Statistic(NamedTuple):
    """Mean of a quantity over images, and the variance of one image's."""

    mean: np.ndarray
    variance: np.ndarray
    n_images: int


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


def power_of(spectra: np.ndarray) -> np.ndarray:
    """|Z|^2."""
    return spectra.real**2 + spectra.imag**2


def log_magnitude(spectra: np.ndarray, floor: float) -> np.ndarray:
    """``log(|Z|^2 + floor^2) / 2``: what lies below the floor counts as the floor."""
    return 0.5 * np.log(power_of(spectra) + floor**2)


def log_magnitude_statistic(images: np.ndarray, floor: float) -> Statistic:
    """Mean and variance of the log-magnitudes of all bins."""
    values = (log_magnitude(spectra, floor) for spectra in iter_spectra(images))
    return _statistic(values)


def power_statistic(images: np.ndarray) -> Statistic:
    """Mean and variance of the powers of all bins."""
    return _statistic(power_of(spectra) for spectra in iter_spectra(images))


def _statistic(batches: Iterator[np.ndarray]) -> Statistic:
    """Moments of batches, one after the other; each is gone when the next comes."""
    n, mean, scatter = 0, np.float64(0.0), np.float64(0.0)
    for values in batches:
        n_new, mean_new = len(values), values.mean(axis=0)
        step = mean_new - mean
        n += n_new
        # Chan, Golub and LeVeque (1979): no difference of large sums.
        scatter = scatter + ((values - mean_new) ** 2).sum(axis=0)
        scatter = scatter + step**2 * (n_new * (n - n_new) / n)
        mean = mean + step * (n_new / n)
    return Statistic(np.asarray(mean), np.asarray(scatter) / max(n - 1, 1), n)


def cycles_of(shape: tuple[int, ...]) -> np.ndarray:
    """Cycles along the longer side of each bin; (height, width // 2 + 1)."""
    height, width = shape[:2]
    return max(height, width) * np.hypot(
        fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    )


def rings_of(shape: tuple[int, ...]) -> np.ndarray:
    """Number of the ring of each bin: its frequency, rounded. Ring 0 is DC alone."""
    return np.rint(cycles_of(shape)).astype(int)


def ring_means(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Mean over the bins of each ring, of the whole plane; (channels, n_rings).

    A ring without bins, as some of elongated images, is 0.
    """
    rings = rings_of(shape).ravel()
    weights = np.broadcast_to(columns_of_half_plane(shape[1]), values.shape[-2:])
    n_bins = np.bincount(rings, weights.ravel())
    sums = [np.bincount(rings, (plane * weights).ravel()) for plane in values]
    return np.stack(sums) / np.maximum(n_bins, 1)


def mirrored(values: np.ndarray, width: int) -> np.ndarray:
    """An even function of frequency on the whole plane: (channels, height, width)."""
    opposite = np.roll(values[:, ::-1], 1, axis=1)[
        ..., width - values.shape[-1] : 0 : -1
    ]
    return np.concatenate([values, opposite], axis=-1)
