"""Read a picture file of any mode and bit depth as 8-bit red, green and blue."""
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Numbers of tags of TIFF and EXIF.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT = 258, 262, 274, 339
# Value of the tag "sample format" for signed integers.
_SIGNED = 2
# Values of the tag "orientation" that exchange height and width.
_TRANSPOSED = (5, 6, 7, 8)
# Formats in which Pillow scales integers of more than 8 bits to the range of 16 bits.
_SCALED_TO_16_BITS = ("PNG", "PPM", "JPEG2000")


def picture_size(path: Path, least: int) -> tuple[int, int]:
    """Predict the height and width of the result of `read_picture` from the header."""
    from PIL import Image

    with path.open("rb") as file, Image.open(file) as picture:
        width, height = picture.size
        # The method `getexif` of a PNG image would decode the whole picture.
        orientation = Image.Image.getexif(picture).get(_ORIENTATION)
        # Pillow has already exchanged height and width of a TIFF.
        if orientation in _TRANSPOSED and picture.format != "TIFF":
            width, height = height, width
    width, height = _enlarged((width, height), least)
    return height, width


def read_picture(path: Path, least: int) -> np.ndarray:
    """Read the first frame of a picture file, turned upright.

    Transparent areas are blended with white. A picture whose shorter side has less than
    ``least`` pixels is enlarged in proportion.

    Returns
    -------
    picture : ndarray of shape (height, width, 3), uint8

    Raises
    ------
    ValueError
        If the range of the pixel values is unknown.
    Exception
        If Pillow cannot read the file. Pillow raises exceptions of several classes.
    """
    from PIL import Image, ImageOps

    # Given a path, Pillow would map a rotated TIFF into memory in a wrong shape.
    with path.open("rb") as file, Image.open(file) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        colours = as_rgb(picture)
    size = _enlarged(colours.size, least)
    return np.asarray(colours if size == colours.size else colours.resize(size))


def _enlarged(size: tuple[int, int], least: int) -> tuple[int, int]:
    """Return the size, enlarged in proportion until no side is below ``least``."""
    scale = max(1, least / min(size))
    width, height = (max(least, round(side * scale)) for side in size)
    return width, height


def as_rgb(picture: "Image.Image") -> "Image.Image":
    """Convert a picture to mode RGB; transparent areas are blended with white."""
    from PIL import Image

    tags = getattr(picture, "tag_v2", {})
    if picture.mode == "L" and _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        # Pillow would read negative values as bright pixels.
        raise ValueError(
            "its pixel values are signed integers, so that the value of black is "
            "unknown. Save the picture with 8 or 16 unsigned bits"
        )
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = Image.fromarray(_as_8_bits(picture))
    if picture.mode == "La":
        picture = picture.convert("LA")
    is_transparent = (
        picture.mode in ("P", "PA", "LA", "RGBA", "RGBa")
        or "transparency" in picture.info
    )
    if not is_transparent:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    picture = picture.convert("RGBA")
    background = Image.new("RGB", picture.size, "white")
    background.paste(picture, mask=picture.getchannel("A"))
    return background


def _as_8_bits(picture: "Image.Image") -> np.ndarray:
    """Scale the grey values of a picture with more than 8 bits to uint8."""
    values = np.asarray(picture)
    white = _white_value(picture)
    # The comparison is written so that NaN fails it.
    if not (values.min() >= 0 and values.max() <= white):
        raise ValueError(
            f"its pixel values range from {values.min():g} to {values.max():g}, but "
            f"must lie within [0, {white:g}]. Save the picture with 8 bits"
        )
    grey = np.rint(values * np.float32(255 / white)).astype(np.uint8)
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == 0:
        # 0 is white in this file, which Pillow takes into account only with 8 bits.
        grey = 255 - grey
    transparent = picture.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return grey


def _white_value(picture: "Image.Image") -> float:
    """Return the value of white in a picture of mode "F", "I" or "I;16" (and similar).

    Raises
    ------
    ValueError
        If the file's format does not specify the range of its integers.
    """
    if picture.mode == "F":
        return 1.0
    if picture.format in _SCALED_TO_16_BITS:
        return 2.0**16 - 1
    if picture.format == "TIFF" and picture.mode != "I":
        return 2.0 ** picture.tag_v2[_BITS_PER_SAMPLE][0] - 1  # type: ignore[attr-defined]
    raise ValueError(
        f"its pixel values, integers of mode {picture.mode} in a {picture.format} "
        "file, have no known range. Save the picture with 8 or 16 unsigned bits"
    )
