"""Images of the user as arrays (height, width, channels) in units of the model."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral._sklearn_compat import as_numpy, check_array


@dataclass(frozen=True)
class ImageForm:
    """Layout and units of images, to which results are returned.

    Integers are divided by the largest number of their type, so that 1 is white. Floats
    are not changed.

    Attributes
    ----------
    channel_axis : int or None
        Axis of the channels of the user's images. None means that there is none.
    dtype : dtype
        Type of the user's images.
    """

    channel_axis: int | None
    dtype: np.dtype

    @property
    def unit(self) -> float:
        """Value that is 1 in units of the model."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind in "iu" else 1.0

    def channels_last(self, values: np.ndarray) -> np.ndarray:
        """Return an array of the user's layout as (height, width, channels)."""
        if self.channel_axis is None:
            return values[:, :, None]
        return np.moveaxis(values, self.channel_axis, -1)

    def user_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the user's shape of an image (height, width, channels)."""
        if self.channel_axis is None:
            return shape[:2]
        sizes = list(shape[:2])
        sizes.insert(self.channel_axis % 3, shape[2])
        return tuple(sizes)

    def to_model(self, values: np.ndarray) -> np.ndarray:
        """Return an image as (height, width, channels), in float64 or float32."""
        values = self.channels_last(values)
        kind: Any = np.float64 if values.dtype == np.float64 else np.float32
        return np.asarray(values.astype(kind) / kind(self.unit))

    def to_user(self, image: np.ndarray) -> np.ndarray:
        """Return an image (height, width, channels) in the user's layout and type.

        Integers are rounded and limited to the range of their type.
        """
        if self.channel_axis is None:
            image = image[:, :, 0]
        else:
            image = np.moveaxis(image, -1, self.channel_axis)
        if self.dtype.kind in "iu":
            limits = np.iinfo(self.dtype)
            image = np.clip(np.rint(image * self.unit), limits.min, limits.max)
        return np.ascontiguousarray(image.astype(self.dtype))

    def to_user_units(self, std: np.ndarray) -> np.ndarray:
        """Return standard deviations in the user's layout and units, as floats."""
        kind = np.float64 if self.dtype == np.float64 else np.float32
        floating = ImageForm(self.channel_axis, np.dtype(kind))
        return floating.to_user(std * self.unit)


def check_image(
    image: Any,
    name: str,
    channel_axis: int | None,
    n_channels: int | None,
    *,
    allow_nan: bool = False,
) -> tuple[np.ndarray, ImageForm]:
    """Check an image, and return it as (height, width, channels) with its form.

    Raises
    ------
    ValueError
        If the number of axes or channels is wrong, the image is empty, or it has
        infinite values, or NaN without ``allow_nan``.
    """
    array = check_array(
        as_numpy(image, name),
        name,
        allow_nd=True,
        ensure_2d=False,
        dtype="numeric",
        ensure_all_finite="allow-nan" if allow_nan else True,
        ensure_min_samples=0,
    )
    n_axes = 2 if channel_axis is None else 3
    layout = "(height, width)" if n_axes == 2 else "height, width and channels"
    if array.ndim != n_axes:
        hint = (
            "Pass channel_axis=-1 for images whose last axis holds the channels."
            if n_axes == 2
            else "Pass channel_axis=None for images without channels."
        )
        raise ValueError(
            f"{name} has the shape {array.shape}, but channel_axis={channel_axis} "
            f"means an image of {n_axes} axes, {layout}. {hint}"
        )
    if channel_axis is not None and not -3 <= channel_axis < 3:
        raise ValueError(
            f"channel_axis={channel_axis} is not an axis of an image of shape "
            f"{array.shape}. Pass channel_axis=-1 if the channels are last."
        )
    if 0 in array.shape:
        raise ValueError(f"{name} of shape {array.shape} has no pixels.")
    if array.dtype.kind == "b":
        array = array.astype(np.float32)
    form = ImageForm(channel_axis, array.dtype)
    values = form.to_model(array)
    if n_channels is not None and values.shape[2] != n_channels:
        raise ValueError(
            f"{name} has {values.shape[2]} channels, but the model was fitted on "
            f"images with {n_channels}. Pass images with {n_channels} channels, or fit "
            "the model on such images."
        )
    return values, form
