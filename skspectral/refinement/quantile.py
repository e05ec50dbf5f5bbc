"""A matcher that maps the distribution of the log-magnitudes of each bin."""
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

# Largest ratio by which the affine map widens or narrows the distribution of a bin.
_MAX_SLOPE = 2.0


class SpectrumQuantileMatcher(GainRefiner):
    """Match the distribution over images of the log-magnitudes of each bin.

    The log-magnitude of a bin Z is ``l = log(|Z|^2 + e^2) / 2``, where e is the
    rounding floor: the error of a bin if pixels are rounded to bytes. Let F be the
    distribution function of l over images. Every l is replaced by
    ``F_real^(-1)(F_generated(l))``, with linear interpolation between quantiles. The
    gain of a bin therefore depends on the image. DC and all phases are kept.

    Parameters
    ----------
    n_quantiles : int, default=33
        Number of quantiles that describe a distribution, at the levels (i + 1/2) /
        n_quantiles. It is lowered to the number of generated or real images if there
        are fewer. More quantiles follow the distribution more closely but are noisier.
        Ignored if ``affine`` is True.
    affine : bool, default=False
        Whether to match only means m and standard deviations s, by an affine map with a
        slope that is limited to [1/2, 2]::

            l -> m_real + (s_real / s_generated) (l - m_generated)

    n_rounds : int, default=3
        Number of rounds of the fit. Every round after the first measures how far
        clipping, rounding and the floor keep refined images from the requested mean
        spectrum, and corrects this error by gains that are the same for all images. 1
        omits the correction.
    image_shape : sequence of int or None, default=None
        Shape (height, width) or (height, width, channels) of one image, required if
        images are passed as rows of ``n_features`` values. None takes rows as signals
        of one channel, and images with axes in their own shape.
    data_range : (float, float) or None, default=None
        Values of black and white, to which refined images are clipped. None means (0,
        255) for uint8, (0, 1) for floats if the real images lie in this range, and
        otherwise no limits. ``(-inf, inf)`` turns off the clipping and the check that
        all images have the same range.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels in images with axes: -1 if channels are last, 1 if channels
        come before rows, None for images without channels. "auto" accepts images
        without channels or with at most four channels as the last axis, and raises an
        error for shapes that look like another layout.

    Attributes
    ----------
    n_quantiles_ : int
        Number of quantiles per distribution.
    generated_quantiles_, real_quantiles_ : ndarray of shape \
            (`n_quantiles_`, channels, height, width // 2 + 1), float32
        Quantiles of the log-magnitudes of generated and of real images. Set only if
        ``affine`` is False.
    offset_log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        Log-gains, the same for all images, that are added in the rounds after the
        first.
    image_shape_ : tuple of int
        Shape (height, width, channels) of one image.
    data_range_ : tuple of float
        Lower and upper limit to which refined images are clipped.
    log_floor_ : float
        The rounding floor e: root mean square error of a bin if pixels are rounded to
        255 steps, in the unit of ``numpy.fft.rfft2``.
    n_generated_, n_real_ : int
        Number of generated and of real images in ``fit``.
    n_features_in_ : int
        Number of values per image.

    See Also
    --------
    SpectrumMatcher : Matches only means, and needs fewer images.

    Notes
    -----
    The increasing map is the map of optimal transport in one dimension: no other map to
    the target distribution changes log-magnitudes by a smaller mean square. Beyond the
    smallest and the largest quantile, the gain is constant.

    If generated and real images are stationary and Gaussian, the two distributions of a
    bin differ by a shift, and `SpectrumMatcher` is as good. Bins are mapped
    independently, so that their joint distribution is not corrected.

    The cost is O(n height width log(n)). The memory is that of all log-magnitudes of
    one set in single precision.

    Examples
    --------
    Real images differ in contrast, generated images do not. The numbers are the
    standard deviations of the logarithmic contrast over images:

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

    The contrast of refined images varies only a little more than before: every bin gets
    the distribution of real images, but the bins of an image do not become strong or
    weak together.
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
    """Return quantiles (i + 1/2) / n of log-magnitudes over images, as float32.

    The result has shape (n_quantiles, channels, height, width // 2 + 1). All
    log-magnitudes are held in memory at once, about as much as the images take in
    float32.
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
    """Return log-gains that map the quantiles of each bin to those of real images.

    The map is linear between quantiles. Beyond the outermost quantiles the gain is
    constant.
    """
    within = np.clip(logs, generated[0], generated[-1])
    columns = within.reshape(len(logs), -1).T.copy()
    tables = [np.ascontiguousarray(t.reshape(len(t), -1).T) for t in (generated, real)]
    mapped = [np.interp(*bin_) for bin_ in zip(columns, *tables, strict=True)]
    return np.transpose(mapped).reshape(logs.shape) - within


def affine_log_gain(
    logs: np.ndarray, generated: Statistic, real: Statistic
) -> np.ndarray:
    """Return log-gains that map the mean and standard deviation of each bin.

    They become those of real images, as far as the limits of the slope permit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.sqrt(real.variance / generated.variance)
    # 0 / 0: the bin is constant in both sets.
    slope = np.where(np.isnan(slope), 1.0, slope)
    slope = np.clip(slope, 1 / _MAX_SLOPE, _MAX_SLOPE)
    return real.mean + slope * (logs - generated.mean) - logs
