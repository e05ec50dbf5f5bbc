"""Input checks of the metrics of images and signals, and iteration over batches."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from skspectral._missing import refuse_missing
from skspectral._sklearn_compat import StrOptions, as_numpy, assert_all_finite
from skspectral.metrics._ranges import Values, check_one_range, refuse_overflow

Check = Callable[[ArrayLike, str], np.ndarray]
ChannelAxis = int | None | Literal["auto"]

CHANNEL_AXIS_OPTION = {"channel_axis": [StrOptions({"auto"}), Integral, None]}
# "auto" accepts grey or colour images, with or without an alpha channel.
_MAX_CHANNELS = 4
# An array is taken for one colour image only if both sides have this many pixels.
_MIN_SIDE = 8

# Reference values may exceed the data range by this factor, for example with outliers.
_MAX_EXCESS = 10

# Weights of red, green and blue in the luma of ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114])
# Number of values per batch: 8 MiB in float64, about the size of a processor cache.
_BATCH_VALUES = 2**20


def check_samples(samples: ArrayLike, name: str) -> np.ndarray:
    """Return samples as a numpy array of at least two axes, without changing the dtype.

    The first axis counts the samples. An error is raised unless the values are real and
    finite, and small enough that their powers do not overflow.
    """
    array = as_numpy(samples, name)
    if array.dtype.kind not in "buif":
        # A table with missing entries has dtype object: name these entries first.
        refuse_missing(array, name)
        raise ValueError(
            f"{name} has dtype {array.dtype}, but only real numbers are accepted. "
            "Convert it to float64 first."
        )
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}. Pass at least one sample along the first "
            "axis, with the values of each sample along the other axes."
        )
    assert_all_finite(array, name)
    refuse_overflow(array, name)
    return array


def check_images(
    images: ArrayLike, name: str, channel_axis: ChannelAxis = "auto"
) -> np.ndarray:
    """Return finite images of shape (n, height, width, channels), without a copy."""
    return channels_last(check_samples(images, name), name, channel_axis)


def channels_last(
    images: np.ndarray,
    name: str,
    channel_axis: ChannelAxis = "auto",
    *,
    known: bool = False,
) -> np.ndarray:
    """Return a view of images, of shape (n, height, width, channels).

    Only this function decides which axis holds the channels. An integer
    ``channel_axis`` is the index of this axis; None means that images have no channels.
    "auto" accepts images without channels, and images with at most four channels on the
    last axis; a last axis with more entries usually holds rows or columns of pixels. If
    the shape is ``known``, because the caller compares the result with an expected
    shape, "auto" accepts any number of channels.

    Raises
    ------
    ValueError
        If the shape is not that of a set of images, or does not agree with
        ``channel_axis``.
    """
    shape, ndim = images.shape, images.ndim
    if ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {shape}, but images must have shape (n, height, width) "
            "or (n, height, width, channels). Reshape flattened images first."
        )
    if channel_axis == "auto":
        if not known:
            _refuse_other_layouts(shape, name)
        channel_axis = -1 if ndim == 4 else None
    if channel_axis is None and ndim == 3:
        return images[..., None]
    if channel_axis is None or channel_axis not in (-3, -2, -1, 1, 2, 3) or ndim == 3:
        raise ValueError(
            f"{name} has shape {shape}, which does not agree with channel_axis="
            f"{channel_axis!r}. Pass channel_axis=None for images of shape (n, height, "
            "width). For arrays with four axes, pass channel_axis=-1 if the channels "
            "are on the last axis, or channel_axis=1 if they are on axis 1."
        )
    return np.moveaxis(images, channel_axis, -1)


def _refuse_other_layouts(shape: tuple[int, ...], name: str) -> None:
    """Raise an error for a likely single image, or likely channels on another axis."""
    if len(shape) == 4 and shape[-1] > _MAX_CHANNELS:
        advice = f"Pass channel_axis=-1 if the images have {shape[-1]} channels"
        if shape[1] <= _MAX_CHANNELS:
            advice = "Pass channel_axis=1, or move the axis of the channels to the end"
        raise ValueError(
            f"{name} has shape {shape}, but channel_axis='auto' expects at most "
            f"{_MAX_CHANNELS} channels, on the last axis. {advice}."
        )
    if len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) >= _MIN_SIDE:
        raise ValueError(
            f"{name} has shape {shape}, which looks like one image with channels. Pass "
            "images[None] for a set that contains one image, or channel_axis=None for "
            f"{shape[0]} images of {shape[1]} x {shape[2]} pixels."
        )


def check_signals(signals: ArrayLike, name: str) -> np.ndarray:
    """Return signals of shape (n, length), without a copy."""
    array = check_samples(signals, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, but signals must have shape (n, length)."
        )
    return array


def check_pair(
    check: Check, /, first: int = 0, **pair: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Check two arrays, given by name, and return them.

    ``check`` is applied to each array. Both must have the same shape from axis
    ``first`` on, and the same range of values. Every metric that compares two sets of
    images or signals calls this function.
    """
    array, other = (check(values, name) for name, values in pair.items())
    name, other_name = pair
    if array.shape[first:] != other.shape[first:]:
        expected = "both must have the same shape"
        if first > 0:
            expected = "the samples of both must have the same shape"
        raise ValueError(
            f"{name} has shape {array.shape} and {other_name} has shape "
            f"{other.shape}, but {expected}."
        )
    check_one_range(name, Values.of(array), other_name, Values.of(other))
    return array, other


def check_image_pair(
    channel_axis: ChannelAxis, /, first: int = 0, **pair: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Check two sets of images like `check_pair`.

    Both sets are returned with shape (n, height, width, channels).
    """
    check = partial(check_images, channel_axis=channel_axis)
    return check_pair(check, first, **pair)


def check_data_range(data_range: float | None, *arrays: np.ndarray) -> float:
    """Return the data range to use: ``data_range``, or 255 if all arrays are uint8.

    Arrays of other types require ``data_range``, because their dtype does not imply it.
    If only some of the arrays are uint8, a data range of 2 or less is refused: the
    arrays then have different scales.
    """
    mixed = {array.dtype == np.uint8 for array in arrays} == {True, False}
    if data_range is not None and data_range <= 2 and mixed:
        raise ValueError(
            f"data_range={data_range} does not fit an array of type uint8, with values "
            "up to 255. Convert both arrays to floats in the same range."
        )
    if data_range is not None:
        low, high = float(arrays[0].min()), float(arrays[0].max())
        if high - low > _MAX_EXCESS * data_range:
            raise ValueError(
                f"data_range={data_range} does not fit values from {low:.6g} to "
                f"{high:.6g}. Pass the largest possible value minus the smallest, such "
                "as data_range=255 for bytes converted to floats."
            )
        return float(data_range)
    others = [array.dtype for array in arrays if array.dtype != np.uint8]
    if others:
        raise ValueError(
            f"data_range=None is for arrays of type uint8 only, but one array has type "
            f"{others[0]}. Pass the largest possible value minus the smallest: 1.0 for "
            "data in [0, 1], 2.0 for [-1, 1], 255 for bytes converted to floats."
        )
    return 255.0


def iter_slices(array: np.ndarray, n_values: int | None = None) -> Iterator[slice]:
    """Yield slices of the first axis that hold about `_BATCH_VALUES` values each.

    A row counts as ``n_values`` values. None means the size of a row.
    """
    n_values = array[0].size if n_values is None else n_values
    return gen_batches(len(array), max(1, _BATCH_VALUES // n_values))


def iter_floats(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield batches of the same rows of all arrays, as float64.

    The batches may be views of the arrays: do not write to them.
    """
    for rows in iter_slices(arrays[0]):
        yield tuple(array[rows].astype(np.float64, copy=False) for array in arrays)


def power_of(spectra: np.ndarray) -> np.ndarray:
    """Return ``|Z|^2`` for complex spectra Z."""
    return spectra.real**2 + spectra.imag**2
