"""Gains, as logarithms, that give one set of images the mean spectrum of another."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

from skspectral.metrics._rings import ring_means
from skspectral.metrics._statistics import Statistic
from skspectral.refinement._spectra import mirrored, ring_numbers

# Bins along each axis over which the spread of gains is estimated: a spike of a single
# bin has to stand out among its neighbours.
_NEIGHBOURS = 3


class LogGain(NamedTuple):
    """A log-gain in nats for each bin, and the variance of its estimate."""

    value: np.ndarray
    variance: np.ndarray


def log_mean_gain(generated: Statistic, real: Statistic) -> LogGain:
    """Difference of mean log-magnitudes: the least change that makes them equal."""
    value = real.mean - generated.mean
    variance = sum(s.variance / s.n_images for s in (generated, real))
    return LogGain(without_dc(value), np.asarray(variance))


def power_gain(generated: Statistic, real: Statistic, floor: float) -> LogGain:
    """Half the logarithm of the ratio of mean powers, each with the floor's.

    The variance is that of the logarithm of a mean, to first order.
    """
    means = [statistic.mean + floor**2 for statistic in (generated, real)]
    value = 0.5 * np.log(means[1] / means[0])
    variance = sum(
        0.25 * statistic.variance / (statistic.n_images * mean**2)
        for statistic, mean in zip((generated, real), means, strict=True)
    )
    return LogGain(without_dc(value), np.asarray(variance))


def ring_power_gain(
    generated: np.ndarray, real: np.ndarray, floor: float, shape: tuple[int, ...]
) -> np.ndarray:
    """The same of mean powers over rings; (channels, n_rings)."""
    rings = ring_numbers(shape)
    power, wanted = (
        ring_means(p, rings, shape[1]) + floor**2 for p in (generated, real)
    )
    gain = 0.5 * np.log(wanted / power)
    gain[:, 0] = 0.0
    return gain


def without_dc(values: np.ndarray) -> np.ndarray:
    """Log-gains that keep each image's mean colour."""
    kept = values.copy()
    kept[..., 0, 0] = 0.0
    return kept


def shrunk(
    gain: LogGain, shape: tuple[int, ...], shrinkage: float | str | None
) -> np.ndarray:
    """Log-gains drawn to the means of their rings, as `SpectrumMatcher` describes.

    For "auto", tau^2 is what the squared deviations of the neighbouring bins exceed s^2
    by, on average.
    """
    if shrinkage is None:
        return gain.value
    rings = ring_numbers(shape)
    base = ring_means(gain.value, rings, shape[1])[:, rings]
    deviation = gain.value - base
    if shrinkage == "auto":
        excess = without_dc(deviation**2 - gain.variance)
        spread = np.maximum(_local_mean(excess, shape[1]), 0.0)
        # Where nothing varies there is nothing to shrink.
        total = spread + gain.variance
        kept = np.divide(spread, total, out=np.ones_like(total), where=total > 0)
    else:
        kept = np.full_like(deviation, 1.0 - float(shrinkage))
    return without_dc(base + kept * deviation)


def _local_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over the neighbouring bins; the plane of frequencies is periodic."""
    means = uniform_filter(
        mirrored(values, width), size=(1, _NEIGHBOURS, _NEIGHBOURS), mode="wrap"
    )
    return means[..., : values.shape[-1]]
