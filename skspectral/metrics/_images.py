"""What the metrics of images and signals ask of their arrays, and batches of them."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite, gen_batches

from skspectral._missing import refuse_missing
from skspectral._sklearn_compat import StrOptions, as_numpy
from skspectral.metrics._ranges import Values, check_one_range, refuse_overflow

Check = Callable[[ArrayLike, str], np.ndarray]
ChannelAxis = int | None | Literal["auto"]

CHANNEL_AXIS_OPTION = {"channel_axis": [StrOptions({"auto"}), Integral, None]}
# Grey, grey and alpha, colours, colours and alpha: more have to be asked for.
_MOST_CHANNELS = 4
# One colour image has sides of this many pixels or more.
_LEAST_SIDE = 8

# Weights of red, green and blue in luma (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])
# 8 MiB in float64: a batch and its copies stay near the caches.
_BATCH_VALUES = 2**20


def check_samples(samples: ArrayLike, name: str) -> np.ndarray:
    """Real, finite numbers of any shape with two axes or more, of numpy; dtype kept.

    They must be so small that their powers do not overflow.
    """
    array = as_numpy(samples, name)
    if array.dtype.kind not in "buif":
        # Of a table, only its objects may show what is missing.
        refuse_missing(array, name)
        raise ValueError(f"{name} has dtype {array.dtype}. Pass an array of reals.")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}. Pass at least one sample along the first "
            "axis, and its values along the others."
        )
    assert_all_finite(array, input_name=name)
    refuse_overflow(array, name)
    return array


def check_images(
    images: ArrayLike, name: str, channel_axis: ChannelAxis = "auto"
) -> np.ndarray:
    """Finite images of numpy as (n, height, width, channels), not copied."""
    return channels_last(check_samples(images, name), name, channel_axis)


def channels_last(
    images: np.ndarray,
    name: str,
    channel_axis: ChannelAxis = "auto",
    *,
    known: bool = False,
) -> np.ndarray:
    """A view of images, of shape (n, height, width, channels).

    The only place that decides where channels are: at ``channel_axis``, or nowhere if
    that is None. "auto" is for images without channels, and for up to four of them in
    the last place, where more are rows or columns most of the time. Where the shape is
    ``known``, so that the result is compared with it, there may be more.

    Raises
    ------
    ValueError
        If the shape is none of images, or not what ``channel_axis`` says.
    """
    shape, ndim = images.shape, images.ndim
    if ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {shape}. Images are (n, height, width) or "
            "(n, height, width, channels): reshape rows to that."
        )
    if channel_axis == "auto":
        if not known:
            _refuse_other_layouts(shape, name)
        channel_axis = -1 if ndim == 4 else None
    if channel_axis is None and ndim == 3:
        return images[..., None]
    if channel_axis is None or channel_axis not in (-3, -2, -1, 1, 2, 3) or ndim == 3:
        raise ValueError(
            f"{name} has shape {shape}, which does not go with channel_axis="
            f"{channel_axis!r}. Pass None for (n, height, width), and of four axes "
            "that of the channels: -1 if they are last, 1 if they come first."
        )
    return np.moveaxis(images, channel_axis, -1)


def _refuse_other_layouts(shape: tuple[int, ...], name: str) -> None:
    """Raise where channels are not last, most likely, or where there is one image."""
    if len(shape) == 4 and shape[-1] > _MOST_CHANNELS:
        advice = f"Pass channel_axis=-1 if these are images of {shape[-1]} channels"
        if shape[1] <= _MOST_CHANNELS:
            advice = "Pass channel_axis=1, or move the axis of the channels to the end"
        raise ValueError(
            f"{name} has shape {shape}, and channels are expected last, at most "
            f"{_MOST_CHANNELS} of them. {advice}."
        )
    if len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) >= _LEAST_SIDE:
        raise ValueError(
            f"{name} has shape {shape}, which looks like one image with channels. Pass "
            "images[None] for a set of one, or channel_axis=None if these are "
            f"{shape[0]} images of {shape[1]} x {shape[2]} pixels."
        )


def check_signals(signals: ArrayLike, name: str) -> np.ndarray:
    """Signals of shape (n, length), not copied."""
    array = check_samples(signals, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}. Signals are (n, length).")
    return array


def check_pair(
    check: Check, /, first: int = 0, **pair: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays by their names, each checked, of one shape from axis ``first`` on.

    The gate of all metrics that compare two sets: their values are of one range, too.
    """
    array, other = (check(values, name) for name, values in pair.items())
    name, other_name = pair
    if array.shape[first:] != other.shape[first:]:
        what = "Both must be of the same shape" if first == 0 else "Samples must agree"
        raise ValueError(
            f"{name} has shape {array.shape}, {other_name} {other.shape}. {what}."
        )
    check_one_range(name, Values.of(array), other_name, Values.of(other))
    return array, other


def check_image_pair(
    channel_axis: ChannelAxis, /, first: int = 0, **pair: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """The same of images, as (n, height, width, channels)."""
    check = partial(check_images, channel_axis=channel_axis)
    return check_pair(check, first, **pair)


def check_data_range(data_range: float | None, *arrays: np.ndarray) -> float:
    """The range asked for, or 255 where all arrays are uint8.

    A range has to be given for other types, whose values do not tell it, and must not
    be that of floats where some arrays are bytes.
    """
    bytes_too = {array.dtype == np.uint8 for array in arrays} == {True, False}
    if data_range is not None and data_range <= 2 and bytes_too:
        raise ValueError(
            f"data_range={data_range} with uint8 beside another type: are the values "
            "of one from 0 to 255, and of the other from 0 to 1? Bring both to one."
        )
    if data_range is not None:
        return float(data_range)
    others = [array.dtype for array in arrays if array.dtype != np.uint8]
    if others:
        raise ValueError(
            f"data_range=None is for uint8, but there is data of type {others[0]}. "
            "Pass the largest possible value minus the smallest: 1.0 for data in "
            "[0, 1], 2.0 for [-1, 1], 255 for bytes that became floats."
        )
    return 255.0


def iter_slices(array: np.ndarray, n_values: int | None = None) -> Iterator[slice]:
    """Slices of the first axis; a row is worth ``n_values``, by default its size."""
    n_values = array[0].size if n_values is None else n_values
    return gen_batches(len(array), max(1, _BATCH_VALUES // n_values))


def iter_floats(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The same rows of all arrays, batch by batch, as float64: read-only."""
    for rows in iter_slices(arrays[0]):
        yield tuple(array[rows].astype(np.float64, copy=False) for array in arrays)


def power_of(spectra: np.ndarray) -> np.ndarray:
    """|Z|^2 of complex spectra Z."""
    return spectra.real**2 + spectra.imag**2
