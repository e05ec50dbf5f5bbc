"""Radial power spectra: the mean power of images on rings of equal frequency."""
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

    Parameters
    ----------
    frequencies : ndarray of shape (n_rings,)
        Frequencies 1, 2, ... of the rings, in cycles per image. If the sides of the
        image differ, the unit is cycles along the shorter side.
    power : ndarray of shape (n_rings,) or (n_channels, n_rings)
        Mean of ``|DFT|^2 / (height * width)`` over the images and the bins of each
        ring, in squared units of the pixels. White noise has its variance as the power
        of every ring.
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
    """Compute the mean power of images at each frequency, averaged over directions.

    The mean of each image is subtracted first. The power is averaged over the images
    and over the rings of the discrete Fourier transform: ring r contains the bins (u,
    v) with ``round(hypot(u, v)) == r``, for r = 1, ..., floor(side / 2).

    Parameters
    ----------
    images : array-like of shape (n, height, width) or (n, height, width, channels)
        Set of images of any real type, at least 2 x 2 pixels each.
    window : {"hann"} or None, default=None
        Window that the images are multiplied by, scaled to a mean square of 1. None
        takes the image as periodic: jumps between opposite edges then add power at high
        frequencies.
    channels : {"luma", "separate"}, default="luma"
        Treatment of colour images. "luma" uses 0.299 R + 0.587 G + 0.114 B (BT.601),
        "separate" computes a spectrum per channel.
    corners : bool, default=False
        Whether to include the frequencies above side / 2, up to the highest frequency
        in the corners of the spectrum. The rings are not complete there. The corners
        hold about a fifth of all bins, and the frequencies of checkerboard patterns.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels: -1 if channels are last, 1 if channels come before rows,
        None for images without channels. "auto" accepts images without channels or with
        at most four channels as the last axis, and raises an error for shapes that look
        like another layout.

    Returns
    -------
    spectrum : RadialSpectrum
        Named tuple with the fields ``frequencies`` and ``power``. With
        ``channels="separate"``, the first axis of ``power`` is the channel.

    Raises
    ------
    ValueError
        If ``images`` is not a set of images with at least 2 x 2 pixels, or contains NaN
        or infinite values.
    ValueError
        If the shape of ``images`` does not agree with ``channel_axis``.
    ValueError
        If ``channels="luma"`` and the images have neither one nor three channels.

    See Also
    --------
    radial_spectrum_distance : Distance between the radial spectra of two sets.

    Notes
    -----
    Several conventions are in use. This function averages the powers; the logarithm is
    left to the caller. The curve of ``10 * log10(power)`` lies above the mean of the
    logarithms of the single images, by 1 to 2 dB for natural images. The window has an
    effect of the same size: without a window, spectra fall less steeply. Compare only
    spectra of the same convention.

    If the sides of the images differ, bins are assigned by their frequency per pixel,
    so that all waves of a ring have about the same wavelength. If one side is more than
    twice as long as the other, waves with less than half a cycle along the shorter side
    are left out.

    The cost is O(n height width log(height width)).

    Examples
    --------
    A plane wave with five cycles across the image has its power at frequency 5:

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
    """Compute the difference between two radial power spectra, in dB.

    The distance is the root mean square over the rings r of the ratio in dB,
    ``sqrt(mean_r (10 log10(P_generated(r) / P_real(r)))^2)``, where P are the powers of
    `radial_power_spectrum`. Images with a contrast that is too large by a factor a are
    at a distance of ``20 log10(a)`` dB.

    Parameters
    ----------
    images_real, images_generated : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        Sets of real and generated images of the same size and range of values. The
        numbers of images may differ.
    window : {"hann"} or None, default=None
        Window that the images are multiplied by, scaled to a mean square of 1. None
        takes the image as periodic: jumps between opposite edges then add power at high
        frequencies.
    channels : {"luma", "separate"}, default="luma"
        Treatment of colour images. "luma" uses 0.299 R + 0.587 G + 0.114 B (BT.601),
        "separate" computes a spectrum per channel.
    corners : bool, default=False
        Whether to include the frequencies above side / 2, up to the highest frequency
        in the corners of the spectrum. The rings are not complete there. The corners
        hold about a fifth of all bins, and the frequencies of checkerboard patterns.
    dynamic_range : float, default=100.0
        Lower bound of the powers, in dB below the strongest ring of the real images (of
        the same channel). Smaller powers are replaced by this bound, so that the
        distance stays finite for images without high frequencies.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels: -1 if channels are last, 1 if channels come before rows,
        None for images without channels. "auto" accepts images without channels or with
        at most four channels as the last axis, and raises an error for shapes that look
        like another layout.

    Returns
    -------
    distance : float
        Distance in dB, 0 for equal spectra.

    Raises
    ------
    ValueError
        If a set is invalid for `radial_power_spectrum`.
    ValueError
        If the two sets have different image sizes.
    ValueError
        If the ranges of values differ, such as bytes and floats from 0 to 1.
    ValueError
        If all real images are constant.

    See Also
    --------
    radial_power_spectrum : The spectra, and the effect of their conventions.

    Notes
    -----
    Do not use this distance alone: it ignores phases. Samples of a Gaussian
    distribution with the right covariance have the right spectrum, and so do real
    images with random phases, but both look like clouds. The distance between two sets
    of real images is not 0 either; report it as a reference.

    Examples
    --------
    A factor of 10 in amplitude is 20 dB:

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
    # The power of constant images is due to rounding only.
    if (peak <= (np.finfo(np.float64).eps * largest) ** 2).any():
        raise ValueError(
            "images_real have no power except in their means: in at least one channel, "
            "all images are constant. Pass images that vary, or leave this channel out."
        )
    floor = peak * 10 ** (-dynamic_range / 10)
    ratio = np.log10(np.maximum(power, floor) / np.maximum(reference, floor))
    return float(10 * np.sqrt(np.mean(ratio**2)))


def _radial_spectrum(
    images: np.ndarray, window: str | None, channels: str, corners: bool
) -> RadialSpectrum:
    """Return the spectrum of images of shape (n, height, width, channels)."""
    _, height, width, n_channels = images.shape
    shorter = min(height, width)
    if shorter < 2:
        raise ValueError(
            f"Images of {height} x {width} pixels have no rings of equal frequency. "
            "Pass images with at least 2 x 2 pixels."
        )
    if channels == "luma" and n_channels not in (1, 3):
        raise ValueError(
            "channels='luma' requires one or three channels, but the images have "
            f"{n_channels}. Pass channels='separate', or only the three colours."
        )
    rings = np.rint(ring_frequencies((height, width), "shorter")).astype(int)
    n_rings = int(rings.max()) if corners else shorter // 2
    power = _mean_power(images, window, channels)
    means = ring_means(power, rings, width)[:, 1 : n_rings + 1]
    return RadialSpectrum(
        np.arange(1.0, n_rings + 1), means[0] if channels == "luma" else means
    )


def _mean_power(images: np.ndarray, window: str | None, channels: str) -> np.ndarray:
    """Return the mean of |DFT|^2 over the images, for the half plane of ``rfft2``.

    The result has shape (channels, height, width // 2 + 1).
    """
    taper: np.ndarray | float = 1.0
    if window == "hann":
        taper = np.outer(*(hann(size, sym=False) for size in images.shape[1:3]))
        # With this scale, the window does not change the power of white noise.
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
