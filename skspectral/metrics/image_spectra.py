"""Spectra of sets of images: their mean power on rings of equal frequency."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Real
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft
from scipy.signal.windows import hann

from skspectral._sklearn_compat import Interval, StrOptions, validated
from skspectral.metrics._images import (
    CHANNEL_AXIS_OPTION,
    LUMA,
    ChannelAxis,
    check_image_pair,
    check_images,
    iter_floats,
    power_of,
)
from skspectral.metrics._rings import ring_frequencies, ring_means

_RING_OPTIONS = {
    "window": [StrOptions({"hann"}), None],
    "channels": [StrOptions({"luma", "separate"})],
    "corners": ["boolean"],
    **CHANNEL_AXIS_OPTION,
}


class RadialSpectrum(NamedTuple):
    """Mean power of a set of images on rings of equal frequency.

    Attributes
    ----------
    frequencies : ndarray of shape (n_rings,)
        1, 2, ... cycles per image; of the shorter side, where sides differ.
    power : ndarray of shape (n_rings,) or (n_channels, n_rings)
        Mean over images and bins of ``|DFT|^2 / (height * width)``, in squared units of
        the pixels: white noise has its variance in every ring.
    """

    frequencies: np.ndarray
    power: np.ndarray


@validated(**_RING_OPTIONS)
def radial_power_spectrum(
    images: ArrayLike,
    *,
    window: Literal["hann"] | None = None,
    channels: Literal["luma", "separate"] = "luma",
    corners: bool = False,
    channel_axis: ChannelAxis = "auto",
) -> RadialSpectrum:
    """Power of a set of images at each frequency, whatever the direction.

    The mean of each image is subtracted; power is averaged over the images, and over
    the bins (u, v) of the discrete Fourier transform with
    round(hypot(u, v)) = r, for r = 1 ... floor(side / 2).

    Parameters
    ----------
    images : array-like of shape (n, height, width) or (n, height, width, channels)
        Of any real type.
    window : {"hann"} or None, default=None
        Taper of the images, its mean square being 1. None takes the image as periodic:
        the jump from an edge to the opposite one then adds power at high frequencies.
    channels : {"luma", "separate"}, default="luma"
        Of colours their luma 0.299 R + 0.587 G + 0.114 B (BT.601), or the spectrum of
        each channel.
    corners : bool, default=False
        Whether to go on beyond side / 2, where rings are not closed, to the highest
        frequency that there is. A fifth of all bins is there, and so are checkerboards.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels: -1 if they are last, 1 if they come first, None if there
        are none. "auto" takes images without channels, or with up to four in the last
        place, and refuses what looks like another layout.

    Returns
    -------
    spectrum : RadialSpectrum
        Its ``power`` has a first axis of channels if they are "separate".

    Raises
    ------
    ValueError
        If ``images`` is not a set of images of at least 2 x 2 finite pixels, has its
        channels elsewhere, or neither one nor three and "luma" was asked for.

    See Also
    --------
    radial_spectrum_distance : How far apart two such spectra are.

    Notes
    -----
    Of the conventions in use this is mean, then log: the curve of
    ``10 * log10(power)`` lies above the mean of the images' own logarithms, for
    natural images by 1 to 2 dB. The window matters as much: without one, slopes are
    less steep. Compare only curves of the same convention.

    Where the sides differ, bins are placed by their frequency, so that a ring is round
    in the image; r counts the cycles along the shorter side. Of images more than twice
    as long as high, waves of less than half a cycle along the shorter side are left
    out.

    Costs O(n height width log(height width)).

    Examples
    --------
    A plane wave of amplitude 1 with five cycles across the image:

    >>> import numpy as np
    >>> from skspectral.metrics import radial_power_spectrum
    >>> wave = np.cos(2 * np.pi * 5 * np.arange(16) / 16) * np.ones((16, 1))
    >>> frequencies, power = radial_power_spectrum(wave[None])
    >>> int(frequencies[power.argmax()])
    5
    """
    checked = check_images(images, "images", channel_axis)
    return _radial_spectrum(checked, window, channels, corners)


@validated(**_RING_OPTIONS, dynamic_range=[Interval(Real, 0, None, closed="neither")])
def radial_spectrum_distance(
    images_real: ArrayLike,
    images_generated: ArrayLike,
    *,
    window: Literal["hann"] | None = None,
    channels: Literal["luma", "separate"] = "luma",
    corners: bool = False,
    dynamic_range: float = 100.0,
    channel_axis: ChannelAxis = "auto",
) -> float:
    """Root mean square over the rings of the ratio of two mean powers, in dB.

    ``sqrt(mean_r (10 log10(P_generated(r) / P_real(r)))^2)`` with P of
    `radial_power_spectrum`. Images whose contrast is a times too large are
    20 log10(a) dB away.

    Parameters
    ----------
    images_real, images_generated : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        Two sets of images of one size, on the same scale. Their numbers may differ.
    window, channels, corners, channel_axis
        As in `radial_power_spectrum`.
    dynamic_range : float, default=100.0
        Rings more than that many dB below the strongest real one (of its channel) are
        raised to there: images without any high frequencies are far away, not
        infinitely far.

    Returns
    -------
    distance : float
        In dB; 0 for equal spectra.

    Raises
    ------
    ValueError
        As `radial_power_spectrum`, and if image sizes or ranges of values differ, such
        as those of bytes and of floats from 0 to 1, or all real images are constant.

    See Also
    --------
    radial_power_spectrum : The spectra, and what their conventions mean.

    Notes
    -----
    Never use it alone: it does not look at phases. Draws of a Gaussian with the right
    covariance, or real images with random phases, have the right spectrum and look
    like clouds. Two real sets are not at 0 either: measure theirs as a reference.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import radial_spectrum_distance
    >>> images = np.random.default_rng(0).normal(size=(20, 16, 16))
    >>> round(radial_spectrum_distance(images, 10 * images), 6)
    20.0
    """
    real, generated = check_image_pair(
        channel_axis, 1, images_real=images_real, images_generated=images_generated
    )
    reference = _radial_spectrum(real, window, channels, corners).power
    power = _radial_spectrum(generated, window, channels, corners).power
    peak = reference.max(axis=-1, keepdims=True)
    largest = max(float(real.max()), -float(real.min()))
    # What is left of constants is their rounding.
    if (peak <= (np.finfo(np.float64).eps * largest) ** 2).any():
        raise ValueError(
            "images_real have no power beside their means: all are constant, in one "
            "channel at least."
        )
    floor = peak * 10 ** (-dynamic_range / 10)
    ratio = np.log10(np.maximum(power, floor) / np.maximum(reference, floor))
    return float(10 * np.sqrt(np.mean(ratio**2)))


def _radial_spectrum(
    images: np.ndarray, window: str | None, channels: str, corners: bool
) -> RadialSpectrum:
    _, height, width, n_channels = images.shape
    shorter = min(height, width)
    if shorter < 2:
        raise ValueError(
            f"Images of {height} x {width} pixels have no rings: both sides must have "
            "at least 2."
        )
    if channels == "luma" and n_channels not in (1, 3):
        raise ValueError(
            f"channels='luma' is for one or three channels; images have "
            f"{n_channels}. Pass channels='separate', or the three colours only."
        )
    rings = np.rint(ring_frequencies((height, width), "shorter")).astype(int)
    n_rings = int(rings.max()) if corners else shorter // 2
    power = _mean_power(images, window, channels)
    means = ring_means(power, rings, width)[:, 1 : n_rings + 1]
    return RadialSpectrum(
        np.arange(1.0, n_rings + 1), means[0] if channels == "luma" else means
    )


def _mean_power(images: np.ndarray, window: str | None, channels: str) -> np.ndarray:
    """Mean over the images of |DFT|^2, of half the plane, (channels, height, ...)."""
    taper: np.ndarray | float = 1.0
    if window == "hann":
        taper = np.outer(*(hann(size, sym=False) for size in images.shape[1:3]))
        # White noise keeps its power under it.
        taper /= np.sqrt(np.mean(taper**2))
    total: np.ndarray | float = 0.0
    for (batch,) in iter_floats(images):
        if channels == "luma" and batch.shape[3] == 3:
            planes = (batch @ LUMA)[:, None]
        else:
            planes = np.moveaxis(batch, 3, 1)
        planes = planes - planes.mean(axis=(2, 3), keepdims=True)
        spectra = fft.rfft2(planes * taper, norm="ortho")
        total = total + power_of(spectra).sum(axis=0)
    return np.asarray(total) / len(images)
