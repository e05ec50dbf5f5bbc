"""What matchers ask of images: layout, labels, range of values and type."""
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

_ADVICE = ", or pass data_range=(-inf, inf) if they are as they should be"
# Of the range of values: what rounding in single precision may add to it.
_TOLERANCE = 1e-6

Shape = tuple[int, int, int]


def n_axes(X: Any) -> int:
    """Number of axes of anything like an array."""
    return int(X.ndim) if hasattr(X, "ndim") else np.asarray(X).ndim


def without_mask(X: Any, name: str) -> Any:
    """X, or where it is a tensor its numbers; ValueError if entries are missing."""
    X = refuse_missing(X, name)
    return as_numpy(X, name) if hasattr(X, "__dlpack__") else X


def rows_and_shape(
    X: Any, name: str, channel_axis: ChannelAxis, *, known: bool
) -> tuple[Any, Shape | None]:
    """Rows of values, and the shape (height, width, channels) where X has axes.

    Whether the shape is ``known`` otherwise is for `channels_last`.
    """
    if n_axes(X) < 3:
        return X, None
    array = check_array(X, name, allow_nd=True, dtype="numeric")
    images = channels_last(array, name, channel_axis, known=known)
    _, height, width, n_channels = images.shape
    return images.reshape(len(images), -1), (height, width, n_channels)


def in_layout(images: np.ndarray, n_axes: int, channel_axis: ChannelAxis) -> np.ndarray:
    """Images (n, height, width, channels) as rows, or with the axes that they had."""
    if n_axes == 2:
        return images.reshape(len(images), -1)
    if n_axes == 3:
        return images[..., 0]
    axis = channel_axis if isinstance(channel_axis, Integral) else -1
    return np.ascontiguousarray(np.moveaxis(images, -1, axis))


def check_image_shape(
    image_shape: Sequence[int] | None, found: Shape | None, n_features: int
) -> Shape:
    """The shape asked for, or found; of rows alone that of signals, of height 1."""
    if image_shape is None:
        shape = found or (1, n_features, 1)
    else:
        sizes = tuple(image_shape)
        if len(sizes) not in (2, 3) or not all(
            isinstance(size, Integral) and size > 0 for size in sizes
        ):
            raise ValueError(
                f"image_shape={image_shape!r} must be (height, width) or (height, "
                "width, channels), of positive integers."
            )
        if math.prod(sizes) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r} holds {math.prod(sizes)} values, but X "
                f"has {n_features} features."
            )
        height, width, *channels = map(int, sizes)
        shape = height, width, *(channels or (1,))
    if found is not None and shape != found:
        raise ValueError(
            f"X has images of shape {found}, but image_shape={image_shape!r}."
        )
    if shape[0] * shape[1] < 2:
        raise ValueError(
            f"Images of shape {shape} (n_features={n_features}) have no frequency but "
            "0. Pass at least two pixels."
        )
    return shape


def as_numbers(rows: np.ndarray, shape: Shape) -> np.ndarray:
    """Images of rows: floats of two precisions and integers as they are."""
    if rows.dtype.kind not in "iu" and rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float32 if rows.dtype == np.float16 else np.float64)
    return rows.reshape(len(rows), *shape)


def real_rows(y: Any, n_samples: int) -> np.ndarray | None:
    """Which rows are real where y is labels; None where y is images itself."""
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None. Pass "
            "real images, or labels of the rows of X: 0 for generated, 1 for real."
        )
    if n_axes(y) > 1:
        return None
    labels = without_gaps(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"y has {len(labels)} labels for {n_samples} rows of X. Pass one label for "
            "each, or real images."
        )
    if labels.dtype.kind == "f":
        assert_all_finite(labels, "y")
    values = np.unique(labels)
    if len(values) != 2:
        raise ValueError(
            f"y has {len(values)} different labels, the first of them "
            f"{values[:3].tolist()}. Labels are 0 for generated and 1 for real images, "
            "and both have to be there."
        )
    return labels == values[1]


def find_range(
    data_range: Sequence[float] | None, generated: np.ndarray, real: np.ndarray
) -> Range:
    """The limits of values: those asked for, or those that real images suggest.

    Bytes go from 0 to 255, floats from 0 to 1 where real images do, others are without
    limits. ValueError is raised if ``data_range`` is no range, or if one set holds
    bytes and the other does not.
    """
    if data_range is not None:
        limits = tuple(data_range)
        numbers = len(limits) == 2 and all(isinstance(x, Real) for x in limits)
        if not numbers or not limits[0] < limits[1]:
            raise ValueError(
                f"data_range={data_range!r} must be (low, high), such as (0, 255)."
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
    """Raise where bytes meet another type: their ranges would be guesses."""
    if (images.dtype == np.uint8) != (known.type == np.uint8):
        raise ValueError(
            f"Some images are uint8 and others are not: {images.dtype} "
            f"{Values.of(images)} in {name}, {known.type} {known} in {known_name}. "
            "Bring all to one type, or pass data_range."
        )


def check_within(images: np.ndarray, limits: Range, name: str) -> None:
    """Raise where values lie outside limits that were asked for."""
    slack = _TOLERANCE * (limits[1] - limits[0]) if math.isfinite(limits[1]) else 0.0
    low, high = images.min(), images.max()
    if low < limits[0] - slack or high > limits[1] + slack:
        raise ValueError(
            f"{name} has values from {low:.6g} to {high:.6g}, outside data_range="
            f"{limits}. Clip them, or pass the range of these images."
        )


def check_range(images: np.ndarray, limits: Range, name: str) -> None:
    """Raise where images do not just overshoot limits that real images suggest."""
    if math.isfinite(limits[1] - limits[0]) and not is_within_reach(images, limits):
        raise ValueError(
            f"The ranges of values differ: {Values.of(images)} in {name}, but real "
            f"images suggest data_range={limits}. Bring both to one range{_ADVICE}."
        )


def check_like(images: np.ndarray, name: str, known: Values, known_name: str) -> None:
    """Raise where images are of another range than those that are known."""
    check_one_range(name, Values.of(images), known_name, known, _ADVICE)


def extent_of(limits: Range, real: np.ndarray) -> Range:
    """Black and white: the limits, or where there are none the extremes of images."""
    if math.isfinite(limits[1] - limits[0]):
        return limits
    return float(real.min()), float(real.max())


def check_set(images: np.ndarray, name: str) -> None:
    """Raise unless there are images to learn a spectrum from."""
    if len(images) < 2:
        raise ValueError(f"{name}: there is only {len(images)}. Pass two or more.")
    for rows in iter_slices(images):
        if (images[rows] != images[rows, :1, :1]).any():
            return
    raise ValueError(f"{name}: all are constant, so that there is no spectrum.")
