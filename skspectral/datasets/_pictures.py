"""A picture file, whatever its mode and depth, as 8 bits of red, green and blue."""
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Tags of TIFF, and of EXIF.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT = 258, 262, 274, 339
_SIGNED = 2
# Orientations that exchange height and width.
_LYING = (5, 6, 7, 8)
# Formats whose integers of more than 8 bits Pillow brings to the range of 16 bits.
_FILL_16_BITS = ("PNG", "PPM", "JPEG2000")


def picture_size(path: Path, least: int) -> tuple[int, int]:
    """Height and width that `read_picture` is expected to give, from the header."""
    from PIL import Image

    with path.open("rb") as file, Image.open(file) as picture:
        width, height = picture.size
        # The method that a PNG has of its own would decode the whole of it.
        orientation = Image.Image.getexif(picture).get(_ORIENTATION)
        # Pillow has turned the size of a TIFF.
        if orientation in _LYING and picture.format != "TIFF":
            width, height = height, width
    width, height = _enlarged((width, height), least)
    return height, width


def read_picture(path: Path, least: int) -> np.ndarray:
    """The first frame, upright, over white, enlarged to sides of at least ``least``.

    Returns
    -------
    picture : ndarray of shape (height, width, 3), uint8

    Raises
    ------
    ValueError
        If the picture's numbers have no known range.
    Exception
        Whatever Pillow raises on a file that it cannot read.
    """
    from PIL import Image, ImageOps

    # Of a TIFF that lies on its side, Pillow maps the file in a wrong shape if it can.
    with path.open("rb") as file, Image.open(file) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        colours = as_rgb(picture)
    size = _enlarged(colours.size, least)
    return np.asarray(colours if size == colours.size else colours.resize(size))


def _enlarged(size: tuple[int, int], least: int) -> tuple[int, int]:
    """Size enlarged in proportion until its shorter side is at least ``least``."""
    scale = max(1, least / min(size))
    width, height = (max(least, round(side * scale)) for side in size)
    return width, height


def as_rgb(picture: "Image.Image") -> "Image.Image":
    """The picture in mode RGB, over white where it is transparent."""
    from PIL import Image

    tags = getattr(picture, "tag_v2", {})
    if picture.mode == "L" and _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        # Pillow takes the bits of negative numbers for those of bright ones.
        raise ValueError(
            "its numbers have a sign, so that black is not known. Save it with 8 or 16 "
            "unsigned bits"
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
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _as_8_bits(picture: "Image.Image") -> np.ndarray:
    """Grey values of a picture of more than 8 bits, scaled to those of uint8."""
    values = np.asarray(picture)
    white = _white(picture)
    # NaN is outside as well.
    if not (values.min() >= 0 and values.max() <= white):
        raise ValueError(
            f"its values, from {values.min():g} to {values.max():g}, are outside of "
            f"[0, {white:g}], so that white is not known. Save it with 8 bits"
        )
    grey = np.rint(values * np.float32(255 / white)).astype(np.uint8)
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == 0:
        # White is zero, which Pillow heeds in files of 8 bits only.
        grey = 255 - grey
    transparent = picture.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return grey


def _white(picture: "Image.Image") -> float:
    """The value of white in a picture of mode F, I, or I;16 and its kin.

    Raises
    ------
    ValueError
        If the file's format does not tell.
    """
    if picture.mode == "F":
        return 1.0
    if picture.format in _FILL_16_BITS:
        return 2.0**16 - 1
    if picture.format == "TIFF" and picture.mode != "I":
        return 2.0 ** picture.tag_v2[_BITS_PER_SAMPLE][0] - 1  # type: ignore[attr-defined]
    raise ValueError(
        f"its integers, of mode {picture.mode} in a {picture.format} file, have no "
        "known range. Save it with 8 or 16 unsigned bits"
    )
