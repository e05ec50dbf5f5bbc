"""Log-gains that give one set of images the mean spectrum of another set."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

from skspectral.metrics._rings import ring_means
from skspectral.metrics._statistics import Statistic
from skspectral.refinement._spectra import mirrored, ring_indices

# Side, in bins, of the square over which the variance of gains is estimated. It is
# small, so that a spike in a single bin raises the variance around it.
_NEIGHBOURHOOD = 3


class LogGain(NamedTuple):
    """Estimated log-gain per bin, in nats, and the variance of the estimate.

    Both arrays have shape (channels, height, width // 2 + 1).
    """

    value: np.ndarray
    variance: np.ndarray


def log_mean_gain(generated: Statistic, real: Statistic) -> LogGain:
    """Return the log-gain that makes mean log-magnitudes equal.

    It is the difference of the means. No other change of the log-magnitudes makes the
    means equal with a smaller mean square.
    """
    value = real.mean - generated.mean
    variance = sum(s.variance / s.n_images for s in (generated, real))
    return LogGain(without_dc(value), np.asarray(variance))


def power_gain(generated: Statistic, real: Statistic, floor: float) -> LogGain:
    """Return the log-gain that makes mean powers equal: half the log of their ratio.

    The squared floor is added to both mean powers. The variance is that of the
    logarithm of a mean, to first order in the variance of the mean.
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
    """Return the log-gain that makes mean powers over rings equal.

    The arguments are mean powers per bin; the result has shape (channels, n_rings).
    """
    rings = ring_indices(shape)
    power, target = (
        ring_means(p, rings, shape[1]) + floor**2 for p in (generated, real)
    )
    gain = 0.5 * np.log(target / power)
    gain[:, 0] = 0.0
    return gain


def without_dc(values: np.ndarray) -> np.ndarray:
    """Return log-gains with 0 at DC, which keeps the mean colour of each image."""
    kept = values.copy()
    kept[..., 0, 0] = 0.0
    return kept


def shrunk(
    gain: LogGain, shape: tuple[int, ...], shrinkage: float | str | None
) -> np.ndarray:
    """Shrink log-gains towards the means of their rings.

    `SpectrumMatcher` documents ``shrinkage``. For "auto", the variance tau^2 of the
    true deviations in a bin is estimated from the bin and its neighbours: it is the
    mean of their squared deviations minus the variance of the estimates, and at least
    0.
    """
    if shrinkage is None:
        return gain.value
    rings = ring_indices(shape)
    base = ring_means(gain.value, rings, shape[1])[:, rings]
    deviation = gain.value - base
    if shrinkage == "auto":
        excess = without_dc(deviation**2 - gain.variance)
        spread = np.maximum(_local_mean(excess, shape[1]), 0.0)
        # A total variance of 0 means exact gains without deviations: keep them.
        total = spread + gain.variance
        kept = np.divide(spread, total, out=np.ones_like(total), where=total > 0)
    else:
        kept = np.full_like(deviation, 1.0 - float(shrinkage))
    return without_dc(base + kept * deviation)


def _local_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over each bin and its neighbours on the periodic frequency plane."""
    means = uniform_filter(
        mirrored(values, width), size=(1, _NEIGHBOURHOOD, _NEIGHBOURHOOD), mode="wrap"
    )
    return means[..., : values.shape[-1]]
