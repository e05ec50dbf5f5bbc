"""Distance between mean log-spectra, and its expected value for real images."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._images import (
    CHANNEL_AXIS_OPTION,
    ChannelAxis,
    check_data_range,
    check_image_pair,
    iter_floats,
)
from skspectral.metrics._rings import columns_of_half_plane
from skspectral.metrics._statistics import statistic_of

_GREY_LEVELS = 255.0


class MeanSpectrumDistance(NamedTuple):
    """Distance between mean log-spectra, with its expected value for real images.

    Parameters
    ----------
    distance : float
        Distance between the mean log-spectra of the two sets.
    floor : float
        Expected distance between two independent sets of real images with the same
        numbers of images.
    """

    distance: float
    floor: float


@validated(
    data_range=[Interval(Real, 0, None, closed="neither"), None], **CHANNEL_AXIS_OPTION
)
def mean_spectrum_distance(
    images_real: ArrayLike,
    images_generated: ArrayLike,
    *,
    data_range: float | None = None,
    channel_axis: ChannelAxis = "auto",
) -> MeanSpectrumDistance:
    """Compute the distance between the mean log-spectra of two sets of images.

    The distance is called "LFD" in work on spectral artefacts. It is
    ``log(1 + sum_{c, u, v} (255 (s_real - s_generated))^2)``. Here s is the mean over a
    set of the log-spectra ``log(1 + abs(DFT))`` of its images. The log-spectrum of each
    image is scaled to [0, 1] over all its channels c and bins (u, v).

    Parameters
    ----------
    images_real, images_generated : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        Sets of real and generated images of the same size, with values from 0 to
        ``data_range``. Add 1 to images in [-1, 1], because the spectrum includes the
        mean brightness. At least two real images are needed.
    data_range : float or None, default=None
        Largest possible value of a pixel. Images are divided by it before the
        transform. None means 255, and is accepted only if both sets are uint8.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels: -1 if channels are last, 1 if channels come before rows,
        None for images without channels. "auto" accepts images without channels or with
        at most four channels as the last axis, and raises an error for shapes that look
        like another layout.

    Returns
    -------
    result : MeanSpectrumDistance
        Named tuple with the fields ``distance``, and ``floor``, the expected distance
        between real sets of these sizes. Report both.

    Raises
    ------
    ValueError
        If the sets are not images of the same size and the same range of values.
    ValueError
        If there are fewer than two real images.
    ValueError
        If ``data_range`` is None and a set is not uint8.

    See Also
    --------
    radial_spectrum_distance : Distance between mean power spectra, in dB.

    Notes
    -----
    This distance has several weaknesses. It is provided for comparison with published
    values. The published code computes in 8 bits, where squares of differences above 15
    overflow; this function does not reproduce the overflow.

    - It is a sum over bins. Values for different image sizes are not comparable.
    - It depends on the numbers of images. Let v be the variance of a bin over the real
      images. For two independent sets of n and m real images, the expected sum is
      ``255^2 sum v (1/n + 1/m)``, and ``floor`` is the logarithm of 1 plus this sum.
      The floor is an expected value, not a lower bound. Brightness and contrast change
      all bins together, so the distances of real sets scatter around the floor, by 1 or
      more for small sets. If the distance is close to the floor or below it, the sets
      cannot be distinguished, and a smaller distance is not better.
    - Only means are compared. A fixed filter can bring any set of images to the
      floor, and so can a Gaussian distribution with about the right spectrum, although
      neither produces images that look right.
    - The scaling to [0, 1] makes all bins depend on the brightness of the image. For
      images of 32 x 32 pixels, the magnitudes at high frequencies are so small that
      ``log(1 + x)`` is almost linear.

    The focal frequency distance of Jiang et al. (2021), also called "LFD", is a
    different quantity: a function of the mean squared error of pairs of images.

    References
    ----------
    L. Jiang, B. Dai, W. Wu, C. C. Loy (2021). Focal frequency loss for image
    reconstruction and synthesis. ICCV.

    S. Lee, S.-W. Jung, H. Seo (2024). Spectrum translation for refinement of image
    generation (STIG) based on contrastive learning and spectral filter profile. AAAI.

    Examples
    --------
    Two halves of a set of random images are at a distance close to the floor:

    >>> import numpy as np
    >>> from skspectral.metrics import mean_spectrum_distance
    >>> images = np.random.default_rng(0).integers(256, size=(60, 8, 8), dtype=np.uint8)
    >>> distance, floor = mean_spectrum_distance(images[:30], images[30:])
    >>> bool(abs(distance - floor) < 1)
    True
    """
    real, generated = check_image_pair(
        channel_axis, 1, images_real=images_real, images_generated=images_generated
    )
    scale = check_data_range(data_range, real, generated)
    if len(real) < 2:
        raise ValueError(
            "images_real has 1 image, but the floor requires the variance of the real "
            "images. Pass two or more."
        )
    mean, variance, _ = statistic_of(_scaled_log_spectra(real, scale))
    other = statistic_of(_scaled_log_spectra(generated, scale)).mean
    multiplicity = columns_of_half_plane(real.shape[2])
    squared = float(((mean - other) ** 2 * multiplicity).sum())
    noise = float((variance * multiplicity).sum())
    by_chance = noise * (1 / len(real) + 1 / len(generated))
    return MeanSpectrumDistance(
        math.log1p(_GREY_LEVELS**2 * squared), math.log1p(_GREY_LEVELS**2 * by_chance)
    )


def _scaled_log_spectra(images: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """Yield batches of log-spectra that are scaled to [0, 1] per image.

    The batches have shape (n, channels, height, width // 2 + 1).
    """
    for (batch,) in iter_floats(images):
        spectra = np.log1p(np.abs(fft.rfft2(np.moveaxis(batch, 3, 1) / scale)))
        low = spectra.min(axis=(1, 2, 3), keepdims=True)
        spread = spectra.max(axis=(1, 2, 3), keepdims=True) - low
        # The spectrum of a black image is constant: avoid a division by zero.
        yield (spectra - low) / np.where(spread > 0, spread, 1.0)
