"""Filters that give generated images the mean spectrum of real ones."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np

from skspectral._sklearn_compat import Interval, StrOptions
from skspectral.metrics._images import ChannelAxis
from skspectral.refinement._base import IMAGE_CONSTRAINTS, FilterRefiner
from skspectral.refinement._gains import (
    LogGain,
    log_mean_gain,
    power_gain,
    ring_power_gain,
    shrunk,
)
from skspectral.refinement._spectra import (
    log_magnitude_statistic,
    power_statistic,
    ring_numbers,
)


class RadialSpectrumMatcher(FilterRefiner):
    """Match mean power at each frequency, whatever the direction.

    With P the mean of ``|Z|^2`` over images and over the bins of a ring of equal
    frequency, and e the floor of rounding, each channel's bins are multiplied by::

        h(ring) = sqrt((P_real + e^2) / (P_generated + e^2))

    and DC by 1, so that mean colours stay.

    Parameters
    ----------
    corners : bool, default=True
        Whether bins beyond the Nyquist frequency of an axis change too, up to the
        highest frequency. Checkerboards are there.
    image_shape, data_range, channel_axis : default=None, None, "auto"
        As in `SpectrumMatcher`.

    Attributes
    ----------
    ring_log_gain_ : ndarray of shape (channels, n_rings)
        Logarithm of h for 0, 1, ... cycles along the longer side.
    log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        The same for each bin of ``numpy.fft.rfft2``.
    image_shape_, data_range_, log_floor_, n_generated_, n_real_, n_features_in_
        As those of `SpectrumMatcher`.

    See Also
    --------
    SpectrumMatcher : Each bin for itself.
    skspectral.metrics.radial_power_spectrum : Such spectra, to look at.

    Notes
    -----
    Between stationary isotropic Gaussians this is the map of optimal transport: their
    covariances are diagonal in the Fourier basis, and the map
    ``A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)`` becomes ``sqrt(B / A)``. Traces of
    generators are not isotropic: single bins of strong rings pass nearly unchanged.

    Costs O(n height width log(height width)), and memory of a batch of images.

    References
    ----------
    R. Durall, M. Keuper, J. Keuper (2020). Watch your up-convolution: CNN based
    generative deep neural networks are failing to reproduce spectral distributions.
    CVPR. (The radial spectrum as a trace of generators.)

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import radial_spectrum_distance
    >>> from skspectral.refinement import RadialSpectrumMatcher
    >>> rng = np.random.default_rng(0)
    >>> real, noise = rng.normal(size=(2, 100, 16, 16))
    >>> blurred = noise + np.roll(noise, 1, axis=2)
    >>> refined = RadialSpectrumMatcher().fit_transform(blurred, real)
    >>> print(f"{radial_spectrum_distance(real, refined, corners=True):.1f} dB")
    0.0 dB
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **IMAGE_CONSTRAINTS,
        "corners": ["boolean"],
    }

    def __init__(
        self,
        *,
        corners: bool = True,
        image_shape: Sequence[int] | None = None,
        data_range: Sequence[float] | None = None,
        channel_axis: ChannelAxis = "auto",
    ) -> None:
        self.corners = corners
        self.image_shape = image_shape
        self.data_range = data_range
        self.channel_axis = channel_axis

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        shape = self.image_shape_
        powers = [power_statistic(images).mean for images in (generated, real)]
        gain = ring_power_gain(powers[0], powers[1], self.log_floor_, shape)
        if not self.corners:
            gain[:, max(shape[:2]) // 2 + 1 :] = 0.0
        self.ring_log_gain_ = gain
        self.log_gain_ = gain[:, ring_numbers(shape)]


class SpectrumMatcher(FilterRefiner):
    """Match the mean spectrum bin by bin: the default to try first.

    With Z the spectrum of a channel, e the floor of rounding and E the mean over
    images, each bin is multiplied by h, where::

        log h = m_real - m_generated,  m = E log(|Z|^2 + e^2) / 2             "log"
        h^2 = (E|Z_real|^2 + e^2) / (E|Z_generated|^2 + e^2)                "power"

    and DC by 1, so that mean colours stay. Estimates of log h are drawn to the means of
    their rings of equal frequency, by as much as their errors call for.

    Parameters
    ----------
    statistic : {"log", "power"}, default="log"
        What is made equal: mean log-magnitudes, which a few strong images do not
        decide, or mean powers.
    shrinkage : "auto", float or None, default="auto"
        How far each log h is drawn to the mean of its ring: 1 is all the way, None not
        at all, "auto" by empirical Bayes.
    n_rounds : int, default=3
        Times that gains are estimated: after the first, from what clipping, rounding
        and the floor leave of the match.
    image_shape : sequence of int, default=None
        (height, width) or (height, width, channels) of rows. None takes rows as signals
        of one channel, images of height 1.
    data_range : (float, float), default=None
        Black and white; (-inf, inf) is no limit. None is (0, 255) for uint8, (0, 1) for
        floats where real images keep to that, and else no limit.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels where images have axes: -1 if they are last, 1 if they come
        first, None if there are none. "auto" takes images without channels, or with up
        to four in the last place, and refuses what looks like another layout.

    Attributes
    ----------
    log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        log h for each bin of ``numpy.fft.rfft2``.
    image_shape_ : tuple of int
        (height, width, channels).
    data_range_ : tuple of float
        Limits to which images are clipped.
    log_floor_ : float
        What rounding to bytes adds to a bin, in the units of ``numpy.fft.rfft2``.
    n_generated_, n_real_ : int
        Numbers of images in ``fit``.
    n_features_in_ : int

    See Also
    --------
    SpectrumQuantileMatcher : The distribution over images of each bin, not its mean.

    Notes
    -----
    Of all changes g_i of the log-magnitudes of image i that make the means equal, the
    same one for all images has the least mean square: "log" without shrinkage is the
    least change. A distance of mean log-spectra such as
    `skspectral.metrics.mean_spectrum_distance` is therefore at its floor after it, and
    says nothing more. A detector trained on *refined* images still does.

    For Gaussian bins log|Z| has a standard deviation of pi / sqrt(24), 5.6 dB, to which
    differences of contrast between images add: 0.5 dB of error of log h take 400 images
    of either kind. With "auto" a gain is its ring's mean plus a deviation of variance
    tau^2 plus an error of variance ``s^2 = v_real / n_real + v_gen / n_gen``, and
    ``tau^2 / (tau^2 + s^2)`` of the deviation found is kept; tau^2 is estimated from
    the 3 x 3 bins about each.

    Mean spectra of refined images are not quite what h asks for: they are clipped and
    rounded, and bins below the floor grow by less than their gain. What is found to be
    too much is taken off log h, ``n_rounds - 1`` times. Integers change by whole steps:
    of a regular pattern on bytes up to half a grey level stays. Refine what a generator
    gives before it is rounded, where there is that choice.

    Images of different ranges are refused where ``data_range`` is None: bytes that
    became floats beside floats from 0 to 1, or these beside [-1, 1]. Images of
    generators overshoot, and are clipped, as long as that takes neither more than a
    third of their variance (and more, root mean square, than a tenth of the range), nor
    a hundredth of the values is further beyond than three quarters of the range.

    What changes from image to image, phases, and what bins have to do with each other
    are left as they were.

    Costs O(n_rounds n height width log(height width)), and memory of a batch of images.

    References
    ----------
    S. Lee, S.-W. Jung, H. Seo (2024). Spectrum translation for refinement of image
    generation (STIG) based on contrastive learning and spectral filter profile. AAAI.
    (The task.)

    C. Dong, A. Kumar, E. Liu (2022). Think twice before detecting GAN-generated fake
    images from their spectral domain imprints. CVPR. (Corrections after generation.)

    Examples
    --------
    A checkerboard on generated images, and its removal from others:

    >>> import numpy as np
    >>> from skspectral.metrics import mean_spectrum_distance
    >>> from skspectral.refinement import SpectrumMatcher
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.uniform(0.2, 0.8, size=(2, 400, 16, 16))
    >>> generated += 0.05 * (-1) ** np.indices((16, 16)).sum(axis=0)
    >>> matcher = SpectrumMatcher().fit(generated[:200], real[:200])
    >>> for images in (generated[200:], matcher.transform(generated[200:])):
    ...     result = mean_spectrum_distance(real[200:], images, data_range=1.0)
    ...     print(f"{result.distance:.1f} (floor {result.floor:.1f})")
    9.1 (floor 7.1)
    7.2 (floor 7.1)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **IMAGE_CONSTRAINTS,
        "statistic": [StrOptions({"log", "power"})],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"}), None],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        statistic: Literal["log", "power"] = "log",
        shrinkage: float | Literal["auto"] | None = "auto",
        n_rounds: int = 3,
        image_shape: Sequence[int] | None = None,
        data_range: Sequence[float] | None = None,
        channel_axis: ChannelAxis = "auto",
    ) -> None:
        self.statistic = statistic
        self.shrinkage = shrinkage
        self.n_rounds = n_rounds
        self.image_shape = image_shape
        self.data_range = data_range
        self.channel_axis = channel_axis

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        floor = self.log_floor_
        if self.statistic == "log":
            gain = log_mean_gain(
                log_magnitude_statistic(generated, floor),
                log_magnitude_statistic(real, floor),
            )
        else:
            gain = power_gain(power_statistic(generated), power_statistic(real), floor)
        self.log_gain_ = shrunk(gain, self.image_shape_, self.shrinkage)
        for _ in range(self.n_rounds - 1):
            excess = self._excess(generated, self.statistic)
            corrected = LogGain(gain.value - excess, gain.variance)
            self.log_gain_ = shrunk(corrected, self.image_shape_, self.shrinkage)
