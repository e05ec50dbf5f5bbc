"""Checks of the images and labels that refiners receive: layout, range and type."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from skspectral._missing import refuse_missing
from skspectral._sklearn_compat import as_numpy, assert_all_finite, check_array
from skspectral.metrics._images import ChannelAxis, channels_last, iter_slices
from skspectral.metrics._ranges import (
    Range,
    Values,
    check_one_range,
    is_within_reach,
)
from skspectral.priors.labels import without_gaps

_ADVICE = ", or pass data_range=(-inf, inf) to turn off this check and the clipping"
# Excess over the limits that is accepted as rounding in single precision, as a fraction
# of the range.
_TOLERANCE = 1e-6

Shape = tuple[int, int, int]


def n_axes(X: Any) -> int:
    """Return the number of axes of an array, or of anything that becomes an array."""
    return int(X.ndim) if hasattr(X, "ndim") else np.asarray(X).ndim


def without_mask(X: Any, name: str) -> Any:
    """Return X without its mask; a tensor becomes a numpy array.

    Raises ValueError if entries are masked or NA.
    """
    X = refuse_missing(X, name)
    return as_numpy(X, name) if hasattr(X, "__dlpack__") else X


def rows_and_shape(
    X: Any, name: str, channel_axis: ChannelAxis, *, known: bool
) -> tuple[Any, Shape | None]:
    """Return images as rows, and their shape (height, width, channels).

    The shape is None if X is already a matrix of rows. ``known`` states that the caller
    compares the shape with an expected one, which permits more than four channels.
    """
    if n_axes(X) < 3:
        return X, None
    array = check_array(X, name, allow_nd=True, dtype="numeric")
    images = channels_last(array, name, channel_axis, known=known)
    _, height, width, n_channels = images.shape
    return images.reshape(len(images), -1), (height, width, n_channels)


def in_layout(images: np.ndarray, n_axes: int, channel_axis: ChannelAxis) -> np.ndarray:
    """Return images of shape (n, height, width, channels) in the layout of the input.

    The input had ``n_axes`` axes: rows, images without channels, or images with
    channels at ``channel_axis``.
    """
    if n_axes == 2:
        return images.reshape(len(images), -1)
    if n_axes == 3:
        return images[..., 0]
    axis = channel_axis if isinstance(channel_axis, Integral) else -1
    return np.ascontiguousarray(np.moveaxis(images, -1, axis))


def check_image_shape(
    image_shape: Sequence[int] | None, found: Shape | None, n_features: int
) -> Shape:
    """Return (height, width, channels) from ``image_shape`` or from the axes of X.

    Rows without ``image_shape`` are signals of one channel, hence images of height 1.
    Raises ValueError if the shapes disagree, or if images have fewer than two pixels.
    """
    if image_shape is None:
        shape = found or (1, n_features, 1)
    else:
        sizes = tuple(image_shape)
        if len(sizes) not in (2, 3) or not all(
            isinstance(size, Integral) and size > 0 for size in sizes
        ):
            raise ValueError(
                f"image_shape={image_shape!r} must be (height, width) or (height, "
                "width, channels) with positive integers, such as (28, 28)."
            )
        if math.prod(sizes) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r} holds {math.prod(sizes)} values, but X "
                f"has {n_features} features. Pass the shape of one image of X."
            )
        height, width, *channels = map(int, sizes)
        shape = height, width, *(channels or (1,))
    if found is not None and shape != found:
        raise ValueError(
            f"X has images of shape {found} (height, width, channels), but "
            f"image_shape={image_shape!r}. Pass image_shape=None for images with axes."
        )
    if shape[0] * shape[1] < 2:
        raise ValueError(
            f"Images of shape {shape} (n_features={n_features}) have one pixel, and "
            "therefore no frequency except 0. Pass images of two pixels or more."
        )
    return shape


def as_images(rows: np.ndarray, shape: Shape) -> np.ndarray:
    """Return rows unfolded to images of ``shape``.

    float32, float64 and integers keep their type; other types become floats.
    """
    if rows.dtype.kind not in "iu" and rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float32 if rows.dtype == np.float16 else np.float64)
    return rows.reshape(len(rows), *shape)


def real_rows(y: Any, n_samples: int) -> np.ndarray | None:
    """Return a mask of the real rows if y holds labels, or None if y holds images.

    Raises ValueError unless there is one label per row and exactly two distinct labels.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None. Pass "
            "real images, or one label per row of X: 0 for generated, 1 for real."
        )
    if n_axes(y) > 1:
        return None
    labels = without_gaps(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"y has {len(labels)} labels for {n_samples} rows of X. Pass one label per "
            "row, or an array of real images."
        )
    if labels.dtype.kind == "f":
        assert_all_finite(labels, "y")
    values = np.unique(labels)
    if len(values) != 2:
        raise ValueError(
            f"y has {len(values)} different labels, but exactly two are expected. Its "
            f"smallest labels are {values[:3].tolist()}. Pass 0 for generated and 1 "
            "for real images."
        )
    return labels == values[1]


def find_range(
    data_range: Sequence[float] | None, generated: np.ndarray, real: np.ndarray
) -> Range:
    """Return ``data_range``, or limits of pixel values inferred from the images.

    The inferred limits are (0, 255) if all images are uint8. They are (0, 1) for floats
    if the real images lie in this range. Otherwise they are infinite. Raises ValueError
    if ``data_range`` is not a range, or if one set is uint8 and the other is not.
    """
    if data_range is not None:
        limits = tuple(data_range)
        numbers = len(limits) == 2 and all(isinstance(x, Real) for x in limits)
        if not numbers or not limits[0] < limits[1]:
            raise ValueError(
                f"data_range={data_range!r} must be (low, high) with low < high, such "
                "as (0, 255)."
            )
        return float(limits[0]), float(limits[1])
    check_same_kind(generated, "generated images", Values.of(real), "real images")
    if real.dtype == np.uint8:
        return (0.0, 255.0)
    low, high = real.min(), real.max()
    unit = real.dtype.kind == "f" and low >= 0 and high <= 1 + _TOLERANCE
    return (0.0, 1.0) if unit else (-math.inf, math.inf)


def check_same_kind(
    images: np.ndarray, name: str, known: Values, known_name: str
) -> None:
    """Raise ValueError if one of two sets is uint8 and the other has another type.

    The range of the other set would have to be guessed.
    """
    if (images.dtype == np.uint8) != (known.type == np.uint8):
        raise ValueError(
            f"Some images are uint8 and others are not: {images.dtype} "
            f"{Values.of(images)} in {name}, {known.type} {known} in {known_name}. "
            "Convert all images to the same type and range, or pass their common "
            "data_range."
        )


def check_within(images: np.ndarray, limits: Range, name: str) -> None:
    """Raise ValueError if values lie outside a ``data_range`` set by the user."""
    slack = _TOLERANCE * (limits[1] - limits[0]) if math.isfinite(limits[1]) else 0.0
    low, high = images.min(), images.max()
    if low < limits[0] - slack or high > limits[1] + slack:
        raise ValueError(
            f"The values of {name} go from {low:.6g} to {high:.6g}, outside data_range="
            f"{limits}. Clip the images, or pass a data_range that holds their values."
        )


def check_range(images: np.ndarray, limits: Range, name: str) -> None:
    """Raise ValueError if images exceed inferred limits by more than an overshoot.

    `is_within_reach` defines which excess is an overshoot.
    """
    if math.isfinite(limits[1] - limits[0]) and not is_within_reach(images, limits):
        raise ValueError(
            f"The ranges of values differ: {Values.of(images)} in {name}, but the real "
            f"images suggest data_range={limits}. Scale both to one range{_ADVICE}."
        )


def check_like(images: np.ndarray, name: str, known: Values, known_name: str) -> None:
    """Raise ValueError if images have another range of values than known images."""
    check_one_range(name, Values.of(images), known_name, known, _ADVICE)


def extent_of(limits: Range, real: np.ndarray) -> Range:
    """Return the values of black and white.

    They are the limits if these are finite, and otherwise the extremes of real images.
    """
    if math.isfinite(limits[1] - limits[0]):
        return limits
    return float(real.min()), float(real.max())


def check_set(images: np.ndarray, name: str) -> None:
    """Raise ValueError unless there are two images or more, not all constant."""
    if len(images) < 2:
        raise ValueError(
            f"The number of {name} is only {len(images)}, but two or more are required "
            f"to learn a spectrum. Pass more {name}."
        )
    for rows in iter_slices(images):
        if (images[rows] != images[rows, :1, :1]).any():
            return
    raise ValueError(
        f"The {name} are all constant, so that their spectra are 0 except at DC. Pass "
        "images whose pixels vary."
    )
