"""Maps of log-magnitudes, bin by bin, from one distribution to another."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from skspectral.metrics._images import iter_slices
from skspectral.metrics._statistics import Statistic
from skspectral.refinement._spectra import log_magnitude, spectra_of

# A bin whose spread differs by more is left with this factor.
_LARGEST_SLOPE = 2.0


def quantile_table(images: np.ndarray, n_quantiles: int, floor: float) -> np.ndarray:
    """Quantiles (i + 1/2) / n of log-magnitudes; (n_quantiles, channels, height, ...).

    All log-magnitudes are held at once, in single precision: with a half-plane, about
    the memory of the images as float32.
    """
    n, height, width, n_channels = images.shape
    logs = np.empty((n, n_channels, height, width // 2 + 1), np.float32)
    for rows in iter_slices(images):
        logs[rows] = log_magnitude(spectra_of(images[rows]), floor)
    levels = (np.arange(n_quantiles) + 0.5) / n_quantiles
    table = np.empty((n_quantiles, *logs.shape[1:]), np.float32)
    for row in range(height):
        table[:, :, row] = np.quantile(logs[:, :, row], levels, axis=0, method="hazen")
    return table


def quantile_log_gain(
    logs: np.ndarray, generated: np.ndarray, real: np.ndarray
) -> np.ndarray:
    """Log-gains that take quantiles of each bin to those of the other table.

    Linear in between; beyond the last quantile the last gain.
    """
    within = np.clip(logs, generated[0], generated[-1])
    columns = within.reshape(len(logs), -1).T.copy()
    tables = [np.ascontiguousarray(t.reshape(len(t), -1).T) for t in (generated, real)]
    mapped = [np.interp(*bin_) for bin_ in zip(columns, *tables, strict=True)]
    return np.transpose(mapped).reshape(logs.shape) - within


def affine_log_gain(
    logs: np.ndarray, generated: Statistic, real: Statistic
) -> np.ndarray:
    """Log-gains that take mean and standard deviation of each bin to the other's."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.sqrt(real.variance / generated.variance)
    # Bins that never vary, in both sets.
    slope = np.where(np.isnan(slope), 1.0, slope)
    slope = np.clip(slope, 1 / _LARGEST_SLOPE, _LARGEST_SLOPE)
    return real.mean + slope * (logs - generated.mean) - logs
