"""The distance of mean log-spectra, and what chance alone would make of it."""
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
    """A distance of mean spectra, beside what chance alone would give.

    Attributes
    ----------
    distance : float
    floor : float
        The distance of two independent sets of real images, of the same two sizes.
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
    """Distance of mean log-spectra: "LFD" of the work on spectral artefacts.

    ``log(1 + sum_{c, u, v} (255 (s_real - s_generated))^2)`` with s the mean over a set
    of the spectra ``log(1 + abs(DFT))`` of its images, each stretched to [0, 1] over
    all its channels and bins.

    Parameters
    ----------
    images_real, images_generated : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        Two sets of images of one size, with values from 0 to ``data_range``: add 1 to
        images in [-1, 1], as brightness is part of the spectrum.
    data_range : float or None, default=None
        The value of white. Images are divided by it before the transform. None is 255,
        for uint8 only.
    channel_axis : int, None or "auto", default="auto"
        As in `radial_power_spectrum`.

    Returns
    -------
    result : MeanSpectrumDistance
        ``distance``, and its ``floor`` for sets of these sizes. Show both.

    Raises
    ------
    ValueError
        If the sets are not images of one size and range, if there are fewer than two
        real ones, or if ``data_range`` is missing.

    Notes
    -----
    A poor measure, here for comparison with published values. The authors' code
    computes in 8 bits, where the squares of differences above 15 wrap around.

    - It sums over bins: values for different image sizes do not compare.
    - It depends on the numbers of images. With v the variance of a bin over real
      images, two independent sets of n and m of them are expected to differ by
      ``255^2 sum v (1/n + 1/m)``; ``floor`` is the logarithm of 1 plus that. It is a
      mean, not a bound: brightness and contrast move all bins together, so real sets
      scatter around it, small ones by 1 and more. Near the floor or below it, sets
      cannot be told apart, and a lower value is not a better one.
    - Only means are compared. A fixed filter, in closed form, brings any set of images
      to the floor, and so does a Gaussian with about the right spectrum. Neither looks
      right for that.
    - The stretch ties all bins to the brightness of the image. For images of 32 x 32,
      high frequencies are so weak that the logarithm is hardly one.

    The focal-frequency "LFD" of pairs of images is another quantity: a function of the
    mean squared error.

    References
    ----------
    L. Jiang, B. Dai, W. Wu, C. C. Loy (2021). Focal frequency loss for image
    reconstruction and synthesis. ICCV. (The name, for the other quantity.)

    S. Lee, S.-W. Jung, H. Seo (2024). Spectrum translation for refinement of image
    generation (STIG) based on contrastive learning and spectral filter profile. AAAI.

    Examples
    --------
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
            "images_real has 1 image. Pass two or more: the floor is made of their "
            "variance."
        )
    mean, variance, _ = statistic_of(_stretched_log_spectra(real, scale))
    other = statistic_of(_stretched_log_spectra(generated, scale)).mean
    multiplicity = columns_of_half_plane(real.shape[2])
    squared = float(((mean - other) ** 2 * multiplicity).sum())
    noise = float((variance * multiplicity).sum())
    by_chance = noise * (1 / len(real) + 1 / len(generated))
    return MeanSpectrumDistance(
        math.log1p(_GREY_LEVELS**2 * squared), math.log1p(_GREY_LEVELS**2 * by_chance)
    )


def _stretched_log_spectra(images: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """Batches (n, channels, height, width // 2 + 1) of stretched log-spectra."""
    for (batch,) in iter_floats(images):
        spectra = np.log1p(np.abs(fft.rfft2(np.moveaxis(batch, 3, 1) / scale)))
        low = spectra.min(axis=(1, 2, 3), keepdims=True)
        spread = spectra.max(axis=(1, 2, 3), keepdims=True) - low
        # A black image has no spectrum to stretch.
        yield (spectra - low) / np.where(spread > 0, spread, 1.0)
