"""Quality of reconstructions, compared with the original samples one by one."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Real
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from skspectral._sklearn_compat import Interval, validated
from skspectral.metrics._images import (
    CHANNEL_AXIS_OPTION,
    ChannelAxis,
    check_data_range,
    check_image_pair,
    check_pair,
    check_samples,
    iter_floats,
)

# Wang et al. (2004): a Gaussian window of 11 x 11 pixels, and two small constants.
_SIGMA, _WINDOW = 1.5, 11
_K1, _K2 = 0.01, 0.03
# Number of values per batch, so that every step stays in the processor's caches.
_BATCH_VALUES = 2**15
Planes = TypeVar("Planes", np.ndarray, torch.Tensor)
_RANGE_OPTION = {"data_range": [Interval(Real, 0, None, closed="neither"), None]}


@validated(**_RANGE_OPTION)
def psnr(
    X: ArrayLike, X_reconstructed: ArrayLike, *, data_range: float | None = None
) -> float:
    """Compute the peak signal-to-noise ratio in dB, averaged over the samples.

    The ratio of one sample is ``10 log10(data_range^2 / MSE)``, where MSE is the mean
    squared error of this sample.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, ...)
        Original and reconstructed signals or images, of the same shape. Images may be
        flattened.
    data_range : float or None, default=None
        Largest possible value minus the smallest possible value: 1.0 for data in [0,
        1], 2.0 for [-1, 1]. None means 255, and is accepted only if both arrays are
        uint8.

    Returns
    -------
    ratio : float
        Mean ratio in dB. It is infinite if at least one sample is reconstructed
        exactly.

    Raises
    ------
    ValueError
        If the two arrays have different shapes or ranges of values.
    ValueError
        If an array contains NaN or infinite values.
    ValueError
        If ``data_range`` is None and an array is not uint8, or if ``data_range`` is
        less than a tenth of the range of the values.

    Notes
    -----
    Some libraries first average the squared error over all samples. Their value is
    never higher than the result of this function, and is dominated by the worst
    samples.

    Examples
    --------
    An error of 0.1 for data in [0, 1] is a ratio of 20 dB:

    >>> import numpy as np
    >>> from skspectral.metrics import psnr
    >>> X = np.random.default_rng(0).uniform(size=(5, 64))
    >>> round(psnr(X, X + 0.1, data_range=1.0), 6)
    20.0
    """
    true, other = check_pair(check_samples, X=X, X_reconstructed=X_reconstructed)
    peak = check_data_range(data_range, true, other)
    errors = np.concatenate(
        [
            np.mean((a - b).reshape(len(a), -1) ** 2, axis=1)
            for a, b in iter_floats(true, other)
        ]
    )
    with np.errstate(divide="ignore"):
        return float(np.mean(10 * np.log10(peak**2 / errors)))


@validated(**_RANGE_OPTION, **CHANNEL_AXIS_OPTION)
def ssim(
    images: ArrayLike,
    images_reconstructed: ArrayLike,
    *,
    data_range: float | None = None,
    channel_axis: ChannelAxis = "auto",
) -> float:
    """Compute the structural similarity, averaged over images, channels and pixels.

    The similarity at a pixel is
    ``(2 m m' + a)(2 c + b) / ((m^2 + m'^2 + a)(v + v' + b))``. Here m and m' are the
    local means, v and v' the local variances and c the local covariance of the two
    images under a Gaussian window. The constants are ``a = (0.01 data_range)^2`` and
    ``b = (0.03 data_range)^2`` (Wang et al. 2004).

    Parameters
    ----------
    images, images_reconstructed : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        Original and reconstructed images of the same shape, at least 11 pixels high and
        wide.
    data_range : float or None, default=None
        Largest possible value minus the smallest possible value: 1.0 for data in [0,
        1], 2.0 for [-1, 1]. None means 255, and is accepted only if both sets are
        uint8.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels: -1 if channels are last, 1 if channels come before rows,
        None for images without channels. "auto" accepts images without channels or with
        at most four channels as the last axis, and raises an error for shapes that look
        like another layout.

    Returns
    -------
    similarity : float
        Mean similarity: 1 for equal images, about 0 for unrelated images, negative for
        an image and its negative.

    Raises
    ------
    ValueError
        If the two sets have different shapes or ranges of values.
    ValueError
        If the images are smaller than 11 x 11 pixels.
    ValueError
        If a set contains NaN or infinite values.
    ValueError
        If ``data_range`` is None and a set is not uint8.

    Notes
    -----
    This function follows the convention of the paper: a Gaussian window of 11 x 11
    pixels with a standard deviation of 1.5, and population covariances. Only pixels
    whose window lies inside the image are used, so 5 pixels at each border are left
    out. The result equals the one of scikit-image's ``structural_similarity`` with
    ``gaussian_weights=True``, ``sigma=1.5`` and ``use_sample_covariance=False``. On
    small images, results of different conventions, such as a uniform window or averages
    that include the border, differ by several hundredths. Report the convention with
    the value.

    The cost is O(n height width channels). Images are processed in batches.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli (2004). Image quality
    assessment: from error visibility to structural similarity. IEEE Transactions on
    Image Processing 13.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import ssim
    >>> images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3))
    >>> round(ssim(images, images, data_range=1.0), 6)
    1.0
    """
    true, other = check_image_pair(
        channel_axis, images=images, images_reconstructed=images_reconstructed
    )
    scale = check_data_range(data_range, true, other)
    height, width = true.shape[1:3]
    if min(height, width) < _WINDOW:
        raise ValueError(
            f"images of {height} x {width} pixels are smaller than the window of "
            f"{_WINDOW} x {_WINDOW} pixels. Use psnr for smaller images."
        )
    total = 0.0
    for rows in gen_batches(len(true), max(1, _BATCH_VALUES // true[0].size)):
        x, y = (
            np.ascontiguousarray(np.moveaxis(part[rows], 3, 1), np.float64)
            for part in (true, other)
        )
        total += float(similarity_map(x, y, scale).mean(axis=(1, 2, 3)).sum())
    return total / len(true)


def explained_variance(X: ArrayLike, X_reconstructed: ArrayLike) -> float:
    """Compute the fraction of the variance of the data that a reconstruction explains.

    The fraction is the pooled R^2,
    ``1 - sum((X - X_reconstructed)^2) / sum((X - mean)^2)``, where ``mean`` is the mean
    of each feature over the samples. It equals scikit-learn's
    ``r2_score(multioutput="variance_weighted")``.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, ...)
        Original and reconstructed samples of the same shape, at least two samples.

    Returns
    -------
    fraction : float
        1 for an exact reconstruction, 0 if each sample is reconstructed as the mean. It
        is negative if the reconstruction is worse than the mean.

    Raises
    ------
    ValueError
        If the two arrays have different shapes or ranges of values.
    ValueError
        If an array contains NaN or infinite values.
    ValueError
        If all samples of ``X`` are equal.

    Notes
    -----
    scikit-learn's ``explained_variance_score`` ignores a constant error of each
    feature. With ``multioutput="variance_weighted"`` it is therefore at least as large
    as this fraction.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.metrics import explained_variance
    >>> X = np.array([[1.0, 2.0], [3.0, 6.0]])
    >>> explained_variance(X, X + 0.5)
    0.9
    """
    true, other = check_pair(check_samples, X=X, X_reconstructed=X_reconstructed)
    mean = true.mean(axis=0, dtype=np.float64)
    error = variance = 0.0
    for a, b in iter_floats(true, other):
        error += float(((a - b) ** 2).sum())
        variance += float(((a - mean) ** 2).sum())
    # The variance of equal samples is due to the rounding of their mean.
    largest = max(float(true.max()), -float(true.min()))
    if variance <= true.size * (np.finfo(np.float64).eps * largest) ** 2:
        raise ValueError(
            f"X has no variance: its {len(true)} samples are equal. Pass two or more "
            "samples that differ."
        )
    return 1 - error / variance


def similarity_map(x: Planes, y: Planes, data_range: float = 1.0) -> Planes:
    """Return the structural similarity of two sets of planes at each pixel.

    The planes have shape (n, channels, height, width). The map contains only the pixels
    whose window lies inside the plane. In planes smaller than the window, the window is
    reduced to the length of the shorter side.
    """
    size = min(_WINDOW, *x.shape[2:])
    mean_x, mean_y = _local_mean(x, size), _local_mean(y, size)
    # A variance is the mean of the squares minus the square of the mean.
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    spread = _local_mean(x**2 + y**2, size) - squares
    covariance = _local_mean(x * y, size) - product
    luminance, contrast = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    numerator = (2 * product + luminance) * (2 * covariance + contrast)
    return numerator / ((squares + luminance) * (spread + contrast))


def _local_mean(planes: Planes, size: int) -> Planes:
    """Return the mean under a Gaussian window, as a sum of shifted planes."""
    window = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * _SIGMA**2))
    first, *others = (window / window.sum()).tolist()
    n_rows, n_columns = (length - size + 1 for length in planes.shape[2:])
    mean = first * planes[..., :n_columns]
    for i, weight in enumerate(others, start=1):
        mean += weight * planes[..., i : i + n_columns]
    planes, mean = mean, first * mean[..., :n_rows, :]
    for i, weight in enumerate(others, start=1):
        mean += weight * planes[..., i : i + n_rows, :]
    return mean
