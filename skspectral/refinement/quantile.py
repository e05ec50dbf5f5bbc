"""A map of log-magnitudes for each bin."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from skspectral._sklearn_compat import Interval
from skspectral.metrics._images import ChannelAxis, iter_slices
from skspectral.metrics._statistics import Statistic
from skspectral.refinement._base import IMAGE_CONSTRAINTS, GainRefiner
from skspectral.refinement._gains import without_dc
from skspectral.refinement._spectra import (
    log_magnitude,
    log_magnitude_statistic,
    spectra_of,
)

# A bin whose spread differs by more is left with this factor.
_LARGEST_SLOPE = 2.0


class SpectrumQuantileMatcher(GainRefiner):
    """Match the distribution over images of each bin's log-magnitude.

    With ``l = log(|Z|^2 + e^2) / 2``, e the floor of rounding, and F the distribution
    function of a bin over images, l becomes ``F_real^(-1)(F_generated(l))``, by linear
    interpolation between quantiles. The gain depends on the image. DC stays.

    Parameters
    ----------
    n_quantiles : int, default=33
        Quantiles (i + 1/2) / n_quantiles; not more than images of either kind.
    affine : bool, default=False
        Whether to match means and standard deviations only::

            l -> m_real + (s_real / s_generated) (l - m_generated)

        with a slope from 1/2 to 2.
    n_rounds : int, default=3
        Rounds of the fit: after the first, gains for all images make up for what
        clipping, rounding and the floor do to the mean spectrum.
    image_shape, data_range, channel_axis : default=None, None, "auto"
        As in `SpectrumMatcher`.

    Attributes
    ----------
    n_quantiles_ : int
    generated_quantiles_, real_quantiles_ : ndarray of shape \
            (`n_quantiles_`, channels, height, width // 2 + 1), float32
        Only if not ``affine``.
    offset_log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        These gains.
    image_shape_, data_range_, log_floor_, n_generated_, n_real_, n_features_in_
        As those of `SpectrumMatcher`.

    See Also
    --------
    SpectrumMatcher : Means alone, from fewer images.

    Notes
    -----
    The increasing map is that of optimal transport in one dimension: it changes
    log-magnitudes by the least mean square that gives them the wanted distribution.
    Beyond the outermost quantiles the outermost gains go on. If both kinds of images
    are stationary Gaussian, the distributions differ by a shift, and nothing is gained
    over `SpectrumMatcher`. Bins are mapped one by one: their joint distribution stays
    wrong.

    Costs O(n height width log(n)), and memory for all log-magnitudes of a set in single
    precision.

    Examples
    --------
    Real images differ in contrast, generated ones do not:

    >>> import numpy as np
    >>> from skspectral.refinement import SpectrumQuantileMatcher
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(2, 400, 8, 8))
    >>> real *= rng.choice([0.2, 2.0], size=(400, 1, 1))
    >>> refined = SpectrumQuantileMatcher().fit_transform(generated, real)
    >>> for images in (real, generated, refined):
    ...     print(f"{np.log(images.std(axis=(1, 2))).std():.1f}")
    1.2
    0.1
    0.2

    Bins are mapped one by one, so that images do not become soft or hard as a whole.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **IMAGE_CONSTRAINTS,
        "n_quantiles": [Interval(Integral, 2, None, closed="left")],
        "affine": ["boolean"],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_quantiles: int = 33,
        affine: bool = False,
        n_rounds: int = 3,
        image_shape: Sequence[int] | None = None,
        data_range: Sequence[float] | None = None,
        channel_axis: ChannelAxis = "auto",
    ) -> None:
        self.n_quantiles = n_quantiles
        self.affine = affine
        self.n_rounds = n_rounds
        self.image_shape = image_shape
        self.data_range = data_range
        self.channel_axis = channel_axis

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        floor = self.log_floor_
        self.n_quantiles_ = min(self.n_quantiles, len(generated), len(real))
        if self.affine:
            self._statistics = [
                log_magnitude_statistic(part, floor) for part in (generated, real)
            ]
        else:
            self.generated_quantiles_, self.real_quantiles_ = (
                quantile_table(part, self.n_quantiles_, floor)
                for part in (generated, real)
            )
        height, width, n_channels = self.image_shape_
        self.offset_log_gain_ = np.zeros((n_channels, height, width // 2 + 1))
        for _ in range(self.n_rounds - 1):
            self.offset_log_gain_ = -self._excess(generated)

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        logs = log_magnitude(spectra, self.log_floor_)
        if self.affine:
            gains = affine_log_gain(logs, *self._statistics)
        else:
            gains = quantile_log_gain(
                logs, self.generated_quantiles_, self.real_quantiles_
            )
        return without_dc(gains) + self.offset_log_gain_


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
