"""Standard deviation of the noise in an image or a signal."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.fft import dct
from scipy.ndimage import maximum_filter
from scipy.stats import chi2
from sklearn.utils import gen_batches

from skspectral._missing import missing_as_nan
from skspectral._sklearn_compat import as_numpy, validated

# Largest size of a patch along each axis, for signals and for images.
_PATCH_SIZES = {1: 32, 2: 8}
# Smallest size of an image along each axis.
_MIN_SIZE = 4
# Fraction of the cosine coefficients of a patch that measure the noise: 6 of 64.
_MEASURING = 0.1
# A patch is smooth if its texture is below this quantile of the texture of noise.
_QUANTILE = 0.9
# At least these fractions of the patches, those of the least texture, are used for the
# first estimate and for the line. At least this number of patches is used.
_START_FRACTION, _LINE_FRACTION, _MIN_PATCHES = 0.02, 0.1, 64
# Largest slope of the line, and smallest texture of a weight relative to the mean.
_MAX_SLOPE, _FLOOR = 0.9, 1e-6
# Limits of the number of patches, in all and in memory at a time.
_MAX_PATCHES, _BATCH = 2**18, 2**13
_N_ITERATIONS = 8


@validated(channel_axis=[Integral, None])
def estimate_sigma(
    image: ArrayLike, *, channel_axis: int | None = None
) -> float | np.ndarray:
    """Estimate the standard deviation of white Gaussian noise.

    The variance of white noise is the same for all coefficients of an orthonormal
    cosine transform of a patch. The coefficients of the highest frequencies contain
    little else than noise if the patch is smooth. A patch counts as smooth if its other
    coefficients could be noise, too::

        noise   = mean square of the coefficients of the highest frequencies
        texture = mean square of the other coefficients, except that of frequency 0
        smooth  = texture <= sigma^2 q

    Here q is the 0.9-quantile of the texture of noise of variance 1. At least the 10 %
    of the patches with the least texture are used. A line is fitted to their values of
    noise over texture. The estimate of ``sigma^2`` is its value at
    ``texture = sigma^2``, which patches without texture have on average. The estimate
    and the set of smooth patches are computed in turn. The choice of patches does not
    bias the estimate, because the coefficients of white noise are independent.

    Parameters
    ----------
    image : array-like of shape (length,) or (height, width), or with one more axis
        Signal or image with noise, at least 4 values along each axis. All values are
        used as they are, also those of integers. NaN and masked values are ignored,
        together with all patches that contain some. The array is not modified.
    channel_axis : int or None, default=None
        Index of the axis of the channels. None means that there are no channels.

    Returns
    -------
    sigma : float or ndarray of shape (n_channels,)
        Standard deviation of the noise, in units of the image. With ``channel_axis``,
        it is an array of one value per channel. ``np.sqrt(np.mean(sigma**2))`` is then
        the value for noise that is equally strong in all channels.

    Raises
    ------
    ValueError
        If ``image`` has a wrong number of axes or fewer than 4 values along an axis, or
        ``channel_axis`` is no axis of it.
    ValueError
        If ``image`` has infinite or complex values, or if NaN leaves no patch.

    Notes
    -----
    On three sets of photographs, the mean estimate is right to 2 % for noise of
    10 / 255 or more, and too large by 1 % to 7 % for noise of 5 / 255. Photographs
    contain weak noise of their own, which the estimate includes. Texture of high
    frequencies everywhere makes the estimate too large.

    The noise must be white. Noise is not white any more, and is underestimated, after
    an image was interpolated, compressed as JPEG or smoothed. Values that are clipped
    to a range have less noise. Patches with the smallest or the largest value of an
    image are therefore left out if enough other patches remain. Set constant frames to
    NaN.

    The size of a patch is 8 x 8 in images and 32 in signals, or the size of the image
    along an axis if that is smaller. About 260 000 patches, spread evenly, are used of
    a larger image. The result is deterministic.

    References
    ----------
    N. N. Ponomarenko, V. V. Lukin, M. S. Zriakhov, A. Kaarna, J. Astola (2007). An
    automatic approach to lossy compression of AVIRIS images. IEEE International
    Geoscience and Remote Sensing Symposium, 472-475.

    M. Colom, A. Buades (2013). Analysis and extension of the Ponomarenko et al. method,
    estimating a noise curve from a single image. Image Processing On Line 3, 173-197.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_sample_image
    >>> from skspectral.restoration import estimate_sigma
    >>> photograph = load_sample_image("flower.jpg")[:200, :300] / 255
    >>> noise = np.random.default_rng(0).normal(0, 0.1, size=photograph.shape)
    >>> sigma = estimate_sigma(photograph + noise, channel_axis=-1)
    >>> np.abs(sigma - 0.1) < 0.005
    array([ True,  True,  True])
    """
    values = as_numpy(missing_as_nan(image), "image")
    if channel_axis is None:
        _check(values, values.ndim, values.shape)
        return _sigma_of_channel(values)
    if not -values.ndim <= channel_axis < values.ndim:
        raise ValueError(
            f"channel_axis={channel_axis} is no axis of image of shape {values.shape}. "
            "Pass the index of the axis of the channels, or None."
        )
    channels = np.moveaxis(values, channel_axis, 0)
    _check(values, channels.ndim - 1, channels.shape[1:])
    return np.array([_sigma_of_channel(channel) for channel in channels])


def _check(values: np.ndarray, n_axes: int, sizes: tuple[int, ...]) -> None:
    """Raise an error if values are no image of n_axes axes with the given sizes."""
    if values.dtype.kind not in "buif":
        raise ValueError(
            f"image of type {values.dtype} must be an array of real numbers. Convert "
            "it, for example by np.asarray(image, dtype=float)."
        )
    if n_axes not in _PATCH_SIZES:
        raise ValueError(
            f"image of shape {values.shape} must have one or two axes, and one more "
            "if channel_axis is given. Pass channel_axis=-1 for an image of shape "
            "(height, width, channels), and one image at a time."
        )
    if min(sizes) < _MIN_SIZE:
        raise ValueError(
            f"image of shape {values.shape} must have at least {_MIN_SIZE} values "
            "along each axis except that of the channels. Pass a larger part of the "
            "image, or a signal as an array of one axis."
        )
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise ValueError(
            f"image has {np.isinf(values).sum()} infinite values. Replace them by NaN, "
            "which is ignored."
        )


def _sigma_of_channel(image: np.ndarray) -> float:
    """Return the standard deviation of the noise in an image of one or two axes."""
    shape = tuple(min(size, _PATCH_SIZES[image.ndim]) for size in image.shape)
    measuring = _measuring_waves(shape)
    windows = sliding_window_view(image, shape)
    places = np.unravel_index(_positions(image, shape), windows.shape[: image.ndim])
    low, high = np.nanmin(image), np.nanmax(image)
    noise, texture = np.empty((2, len(places[0])))
    clipped = np.empty(len(noise), dtype=bool)
    n_others = np.prod(shape) - 1 - len(measuring)
    for batch in gen_batches(len(noise), _BATCH):
        patches = windows[tuple(index[batch] for index in places)]
        patches = patches.reshape(len(patches), -1)
        clipped[batch] = ((patches == low) | (patches == high)).any(axis=1)
        # Differences are exact zeros for constant patches, and lose no digits to the
        # mean of the image.
        patches = patches.astype(np.float64) - patches[:, :1].astype(np.float64)
        energy = _row_energy(patches) - patches.sum(axis=1) ** 2 / patches.shape[1]
        measured = _row_energy(patches @ measuring.T)
        noise[batch] = measured / len(measuring)
        texture[batch] = np.maximum(energy - measured, 0) / n_others
    kept = ~clipped
    if kept.sum() >= max(_LINE_FRACTION * len(kept), _MIN_PATCHES):
        noise, texture = noise[kept], texture[kept]
    return float(np.sqrt(_variance(noise, texture, n_others)))


def _row_energy(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _measuring_waves(shape: tuple[int, ...]) -> np.ndarray:
    """Return cosine waves of the highest frequencies on patches, one per row."""
    waves, frequency = np.ones((1, 1)), np.zeros(1)
    for size in shape:
        waves = np.kron(waves, dct(np.eye(size), axis=0, norm="ortho"))
        frequency = np.add.outer(frequency, np.arange(size) / size).ravel()
    number = max(1, round(_MEASURING * len(waves)))
    return waves[np.argsort(-frequency.round(9), kind="stable")[:number]]


def _positions(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return indices of patches without NaN, over all positions of patches."""
    sizes = np.subtract(image.shape, shape) + 1
    total, complete = int(np.prod(sizes)), None
    missing = np.isnan(image)
    if missing.any():
        near = maximum_filter(missing, size=shape, mode="constant", cval=False)
        first = [size // 2 for size in shape]
        inside = tuple(slice(a, a + n) for a, n in zip(first, sizes, strict=True))
        complete = np.flatnonzero(~near[inside])
        total = len(complete)
    if total == 0:
        raise ValueError(
            f"image has NaN in every patch of shape {shape}: {missing.sum()} of "
            f"{image.size} values are NaN. Fill them, or pass a part of the image "
            "with fewer NaN."
        )
    chosen = np.arange(total)
    if total > _MAX_PATCHES:
        # Random distances prevent a pattern of the image from matching the positions.
        jitter = np.random.default_rng(0).uniform(size=_MAX_PATCHES)
        spread = (np.arange(_MAX_PATCHES) + jitter) * (total / _MAX_PATCHES)
        chosen = spread.astype(np.intp)
    return chosen if complete is None else complete[chosen]


def _variance(noise: np.ndarray, texture: np.ndarray, n_others: int) -> float:
    """Return the variance of white noise from the statistics of patches.

    ``noise`` and ``texture`` of a patch are the mean squares of its coefficients of the
    highest frequencies and of its ``n_others`` other ones.
    """
    order = np.argsort(texture, kind="stable")
    noise, texture = noise[order], texture[order]
    sums = np.cumsum(noise)
    limit = chi2.ppf(_QUANTILE, n_others) / n_others

    def number(fraction: float, variance: float) -> int:
        fewest = min(max(int(fraction * len(noise)), _MIN_PATCHES), len(noise))
        return max(fewest, int(np.searchsorted(texture, limit * variance)))

    variance = 0.0
    for _ in range(_N_ITERATIONS):
        n = number(_START_FRACTION, variance)
        variance = float(sums[n - 1] / n)
    if len(noise) <= _MIN_PATCHES:
        # A line through so few patches would be uncertain.
        return variance
    for _ in range(_N_ITERATIONS):
        n = number(_LINE_FRACTION, variance)
        variance = _line_at(noise[:n], texture[:n], variance)
    return variance


def _line_at(noise: np.ndarray, texture: np.ndarray, variance: float) -> float:
    """Return the value at the texture ``variance`` of a line, noise over texture.

    The weighted least-squares fit takes the standard deviation of the values as
    proportional to texture + variance.
    """
    scale = texture.mean()
    if scale == 0:
        return float(noise.mean())
    weights = (texture / scale + variance / scale + _FLOOR) ** -2
    weights /= weights.sum()
    centre, level = weights @ texture, weights @ noise
    spread = weights @ (texture - centre) ** 2
    slope = weights @ ((texture - centre) * (noise - level))
    # Less texture never comes with more noise, except by chance.
    slope = np.clip(slope / spread, 0, _MAX_SLOPE) if spread > 0 else 0.0
    return max(float(level - slope * (centre - variance)), 0.0)
