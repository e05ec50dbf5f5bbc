"""Filters that give generated images the mean spectrum of real images."""
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
    ring_indices,
)


class RadialSpectrumMatcher(FilterRefiner):
    """Match the mean power at each radial frequency, averaged over directions.

    Let P be the mean of ``|Z|^2`` over images and over the bins Z of a ring of equal
    frequency. Let e be the rounding floor, which is the error of a bin if pixels are
    rounded to bytes. Every bin of a channel is multiplied by the gain of its ring::

        h(ring) = sqrt((P_real + e^2) / (P_generated + e^2))

    DC is not changed, so that mean colours are kept.

    Parameters
    ----------
    corners : bool, default=True
        Whether to change the bins whose radial frequency is above the Nyquist
        frequency, in the corners of the spectrum. Checkerboard patterns have their
        power in these bins.
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
    ring_log_gain_ : ndarray of shape (channels, n_rings)
        Logarithm of h on the rings of 0, 1, ... cycles along the longer side.
    log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        Logarithm of h in the bins of ``numpy.fft.rfft2``.
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
    SpectrumMatcher : Learns a gain per bin instead of a gain per ring.
    skspectral.metrics.radial_power_spectrum : Computes radial spectra of images.

    Notes
    -----
    Between stationary isotropic Gaussians this filter is the map of optimal transport:
    covariances A and B are diagonal in the Fourier basis, and the map ``A^(-1/2)
    (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)`` becomes ``sqrt(B / A)``. The artefacts of
    generators are often not isotropic. An artefact in a single bin of a strong ring is
    reduced only slightly; use `SpectrumMatcher` for such artefacts.

    The cost is O(n height width log(height width)). The memory is that of a batch of
    images.

    References
    ----------
    R. Durall, M. Keuper, J. Keuper (2020). Watch your up-convolution: CNN based
    generative deep neural networks are failing to reproduce spectral distributions.
    CVPR. (The radial spectrum as a trace of generators.)

    Examples
    --------
    Images that are blurred along rows get back the radial spectrum of white noise:

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
        self.log_gain_ = gain[:, ring_indices(shape)]


class SpectrumMatcher(FilterRefiner):
    """Match the mean spectrum bin by bin: the refiner to try first.

    Let Z be the spectrum of a channel, E the mean over images, and e the rounding
    floor, which is the error of a bin if pixels are rounded to bytes. Every bin is
    multiplied by a gain h. It is defined by mean log-magnitudes m (``statistic="log"``)
    or by mean powers (``statistic="power"``)::

        log h = m_real - m_generated,  m = E log(|Z|^2 + e^2) / 2             "log"
        h^2 = (E|Z_real|^2 + e^2) / (E|Z_generated|^2 + e^2)                "power"

    DC is not changed, so that mean colours are kept. Phases are not changed either. The
    estimates of log h are shrunk towards the mean of their ring, which contains the
    bins of equal frequency.

    Parameters
    ----------
    statistic : {"log", "power"}, default="log"
        Mean that is made equal: "log" for mean log-magnitudes, "power" for mean powers.
        Mean powers are dominated by the few images with the strongest contrast;
        log-magnitudes are not.
    shrinkage : "auto", float or None, default="auto"
        Strength of the shrinkage of log h towards the mean of its ring, from 0 for none
        to 1 for one gain per ring. "auto" chooses the strength per bin by empirical
        Bayes, which reduces the error if there are few images. None means 0.
    n_rounds : int, default=3
        Number of times that the gains are estimated. Every round after the first
        measures how far clipping, rounding and the floor keep the refined images from
        the requested mean spectrum, and corrects the gains. 1 omits the correction.
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
    log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        log h in the bins of ``numpy.fft.rfft2``.
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
    SpectrumQuantileMatcher : Matches the distribution over images instead of the mean.
    RadialSpectrumMatcher : Learns a gain per ring instead of a gain per bin.

    Notes
    -----
    Let g_i be the change of the log-magnitude of image i in a bin. Among all changes
    that make the means equal, the constant change, g_i = log h for every i, has the
    smallest mean square. In this sense, "log" without shrinkage is the smallest change
    that matches the spectra. After it, a distance of mean log-spectra such as
    `skspectral.metrics.mean_spectrum_distance` is at its floor and cannot distinguish
    generators any more. A detector that is trained on refined images still can.

    The logarithm of the magnitude of a Gaussian bin has a standard deviation of pi /
    sqrt(24) nats, or 5.6 dB. Differences of contrast between images increase it. An
    accuracy of 0.5 dB in log h therefore requires about 400 images of each kind. "auto"
    models a gain as the mean of its ring, plus a deviation of variance tau^2, plus an
    error of variance ``s^2 = v_real / n_real + v_generated / n_generated``, where v is
    the variance over images and n the number of images. It keeps the fraction ``tau^2 /
    (tau^2 + s^2)`` of the observed deviation. tau^2 is estimated from the 3 x 3 bins
    around each bin.

    The mean spectrum of refined images differs from the requested one: images are
    clipped and rounded, and magnitudes below the floor grow by less than their gain.
    The measured difference is subtracted from log h, ``n_rounds - 1`` times. Images of
    integers change by whole steps, so that up to half a grey level of a regular pattern
    remains. If possible, refine the floating-point output of a generator before it is
    rounded.

    The images passed to ``fit`` and ``transform`` must have the same range of values:
    an error is raised, for example, if one set lies in [0, 1] and another set in [-1,
    1] or in [0, 255]. ``data_range=(-inf, inf)`` turns this check off. If
    ``data_range`` is a finite range, all values must lie in it. If it is None,
    generated images may exceed the range of real images and are then clipped. They may
    not exceed it by too much: an error is raised if clipping would remove more than a
    third of their variance and change their values by more than a tenth of the range
    (root mean square), or if a hundredth of the values exceeds the range by more than
    three quarters of it.

    The variation between images, the phases, and the dependence between bins are not
    corrected.

    The cost is O(n_rounds n height width log(height width)). The memory is that of a
    batch of images.

    References
    ----------
    S. Lee, S.-W. Jung, H. Seo (2024). Spectrum translation for refinement of image
    generation (STIG) based on contrastive learning and spectral filter profile. AAAI.
    (The task.)

    C. Dong, A. Kumar, E. Liu (2022). Think twice before detecting GAN-generated fake
    images from their spectral domain imprints. CVPR. (Corrections after generation.)

    Examples
    --------
    The matcher learns a checkerboard from half of the images and removes it from the
    others:

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
