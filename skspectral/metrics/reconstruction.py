"""How near reconstructions are to what they reconstruct, sample by sample."""
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

# Wang et al. (2004): a Gaussian of 11 x 11 pixels, and two small constants.
_SIGMA, _WINDOW = 1.5, 11
_K1, _K2 = 0.01, 0.03
# Values of a batch, so that every step stays in the caches.
_BATCH_VALUES = 2**15
Planes = TypeVar("Planes", np.ndarray, torch.Tensor)
_RANGE_OPTION = {"data_range": [Interval(Real, 0, None, closed="neither"), None]}


@validated(**_RANGE_OPTION)
def psnr(
    X: ArrayLike, X_reconstructed: ArrayLike, *, data_range: float | None = None
) -> float:
    """Peak signal-to-noise ratio: mean over the samples, in dB.

    ``10 log10(data_range^2 / MSE)`` of each sample, then the mean.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, ...)
        Signals or images, rows or not.
    data_range : float or None, default=None
        Largest possible value minus the smallest: 1.0 for data in [0, 1], 2.0 for
        [-1, 1]. None is 255, for uint8 only.

    Returns
    -------
    ratio : float
        In dB; infinite as soon as one sample is reconstructed exactly.

    Raises
    ------
    ValueError
        If shapes or ranges of values differ, values are not finite, or ``data_range``
        is missing.

    Notes
    -----
    Some libraries take the MSE of all samples together first. That value is never
    higher, and the worst samples decide it.

    Examples
    --------
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
    """Structural similarity: mean over images, channels and places.

    At each place ``(2 m m' + a)(2 c + b) / ((m^2 + m'^2 + a)(v + v' + b))`` with the
    local means m, variances v and covariance c of the two images under a Gaussian
    window, a = (0.01 data_range)^2 and b = (0.03 data_range)^2.

    Parameters
    ----------
    images, images_reconstructed : array-like of shape (n, height, width) or \
            (n, height, width, channels)
        At least 11 pixels high and wide.
    data_range : float or None, default=None
        As in `psnr`.
    channel_axis : int, None or "auto", default="auto"
        As in `radial_power_spectrum`.

    Returns
    -------
    similarity : float
        1 for equal images; about 0 for unrelated ones, and below for negatives.

    Raises
    ------
    ValueError
        If shapes or ranges of values differ, images are smaller than the window, values
        are not finite, or ``data_range`` is missing.

    Notes
    -----
    The convention of the paper: Gaussian of standard deviation 1.5 on 11 x 11 pixels,
    population covariances, and only places where the window is inside of the image, so
    the outermost 5 pixels are left out. It is scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)``. On small images, conventions matter more than
    methods: averages that include the border, or a uniform window, differ by several
    hundredths. State it with the value.

    Costs O(n height width channels); images are filtered in batches.

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
            f"{_WINDOW} x {_WINDOW}. For smaller images take psnr."
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
    """Share of the variance of the data that a reconstruction keeps: pooled R^2.

    ``1 - sum((X - X_reconstructed)^2) / sum((X - mean)^2)`` with the mean over samples
    of each feature: scikit-learn's ``r2_score(multioutput="variance_weighted")``.

    Parameters
    ----------
    X, X_reconstructed : array-like of shape (n, ...)
        Two samples or more.

    Returns
    -------
    share : float
        1 for an exact reconstruction, 0 for the mean of each feature; negative where it
        is worse than that.

    Raises
    ------
    ValueError
        If shapes or ranges of values differ, values are not finite, or all samples of
        ``X`` are equal.

    Notes
    -----
    scikit-learn's ``explained_variance_score`` forgives a constant error of each
    feature, and is larger.

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
    # Of equal samples only the rounding of their mean is left.
    largest = max(float(true.max()), -float(true.min()))
    if variance <= true.size * (np.finfo(np.float64).eps * largest) ** 2:
        raise ValueError(
            f"X has no variance: its {len(true)} samples are equal. Pass two or more "
            "that differ."
        )
    return 1 - error / variance


def similarity_map(x: Planes, y: Planes, data_range: float = 1.0) -> Planes:
    """Structural similarity of two sets of planes at each place.

    From (n, channels, height, width) to (n, channels, height', width'), the places that
    have the whole window. It is cut to the shorter side of smaller planes.
    """
    size = min(_WINDOW, *x.shape[2:])
    mean_x, mean_y = _local_mean(x, size), _local_mean(y, size)
    # Variances and covariance, from the mean of products.
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    spread = _local_mean(x**2 + y**2, size) - squares
    shared = _local_mean(x * y, size) - product
    luminance, contrast = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    numerator = (2 * product + luminance) * (2 * shared + contrast)
    return numerator / ((squares + luminance) * (spread + contrast))


def _local_mean(planes: Planes, size: int) -> Planes:
    """Mean under a Gaussian window, as a sum of shifted planes."""
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
