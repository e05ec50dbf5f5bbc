"""Pictures of every mode and depth become the colours that a viewer shows."""

import struct
import tracemalloc
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from skspectral.datasets import load_image_folder
from skspectral.datasets._pictures import as_rgb

SIZE = 4


def black_pictures(folder):
    """Write five pictures of the size of a patch; the fifth one is held out."""
    for i in range(5):
        Image.new("RGB", (SIZE, SIZE)).save(folder / f"z{i}.png")


def whole_picture(folder):
    """Return the only picture below a folder that is not black, (SIZE, SIZE)."""
    black_pictures(folder)
    train, test = load_image_folder(folder, 5, SIZE)
    assert not test.any()
    (picture,) = (patch for patch in train if patch.any())
    return picture


GREY = np.array(
    [[255, 0, 1, 2], [3, 100, 127, 128], [129, 200, 253, 254], [5, 6, 7, 8]]
)


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)


def write_pgm(path, values, white):
    depth = ">u2" if white > 255 else "u1"
    head = f"P5 {SIZE} {SIZE} {white}\n".encode()
    path.write_bytes(head + values.astype(depth).tobytes())


def write_12_bits(path, values):
    """Write a TIFF with 12 bits per sample: two values in three bytes."""
    pairs = values.astype(int).reshape(-1, 2)
    packed = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in pairs.tolist()]
    pixels = bytes(np.array(packed).ravel().tolist())
    tags = {256: SIZE, 257: SIZE, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: SIZE}
    tags[279] = len(pixels)
    entries = b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    path.write_bytes(head + pixels + struct.pack("<H", len(tags)) + entries + bytes(4))


def write_fits(path, values):
    height, width = values.shape
    cards = f"SIMPLE=T BITPIX=16 NAXIS=2 NAXIS1={width} NAXIS2={height}".split()
    pairs = (card.split("=") for card in cards)
    head = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in pairs)
    path.write_bytes(
        (head + "END").ljust(2880).encode() + values.astype(">i2").tobytes()
    )


# Per format of GREY: the values, and a function that writes them to a path.
DEEP = {
    "png of 16 bits": lambda path: saved(
        path / "a.png", (GREY * 257).astype(np.uint16)
    ),
    "tiff of 16 bits": lambda path: saved(
        path / "a.tif", (GREY * 257).astype(np.uint16)
    ),
    "big-endian tiff": lambda path: tifffile.imwrite(
        path / "a.tif", (GREY * 257).astype(np.uint16), byteorder=">"
    ),
    "tiff whose white is 0": lambda path: tifffile.imwrite(
        path / "a.tif", (65535 - GREY * 257).astype(np.uint16), photometric="miniswhite"
    ),
    "tiff of floats whose white is 0": lambda path: tifffile.imwrite(
        path / "a.tif",
        (1 - GREY / 255).astype(np.float32),
        photometric="miniswhite",
    ),
    "tiff of 12 bits": lambda path: write_12_bits(
        path / "a.tif", np.rint(GREY * (4095 / 255))
    ),
    "tiff of floats": lambda path: saved(
        path / "a.tif", (GREY / 255).astype(np.float32)
    ),
    "pgm of 16 bits": lambda path: write_pgm(path / "a.pgm", GREY * 257, 65535),
    "pgm of 10 bits": lambda path: write_pgm(
        path / "a.pgm", np.rint(GREY * (1023 / 255)), 1023
    ),
    "pgm of 8 bits": lambda path: write_pgm(path / "a.pgm", GREY, 255),
    "pfm": lambda path: saved(path / "a.pfm", (GREY / 255).astype(np.float32)),
    "jpeg 2000 of 16 bits": lambda path: saved(
        path / "a.jp2", (GREY * 257).astype(np.uint16)
    ),
}


@pytest.mark.parametrize("way", DEEP)
def test_grey_of_every_depth(tmp_path, way):
    DEEP[way](tmp_path)
    picture = whole_picture(tmp_path)
    np.testing.assert_array_equal(picture, np.repeat(GREY[..., None], 3, axis=2))


def test_values_between_those_of_8_bits_are_rounded(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (SIZE, SIZE)).astype(np.uint16)
    saved(tmp_path / "a.png", values)
    expected = np.rint(values / 65535 * 255)
    np.testing.assert_array_equal(whole_picture(tmp_path)[..., 0], expected)


COLOURS = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
ALPHA = np.array([[0, 255, 0, 255]] * 4, np.uint8)
OVER_WHITE = np.where(ALPHA[..., None] == 0, 255, COLOURS)
RGBA = np.dstack([COLOURS, ALPHA])


def few_colours():
    """A picture of mode P of the same size, and its colours."""
    picture = Image.fromarray(COLOURS).quantize(8)
    return picture, np.asarray(picture.convert("RGB"))


def save_palette(path):
    picture, colours = few_colours()
    picture.save(path / "a.png")
    return colours


def save_palette_with_one_transparent(path):
    picture, colours = few_colours()
    picture.save(path / "a.png", transparency=3)
    return np.where(np.asarray(picture)[..., None] == 3, 255, colours)


def save_palette_with_alpha(path):
    picture, colours = few_colours()
    alpha = bytes([0, 255, 0, 255, 0, 255, 0, 255])
    picture.save(path / "a.png", transparency=alpha)
    return np.where(np.asarray(picture)[..., None] % 2 == 0, 255, colours)


def save_gif(path):
    picture, colours = few_colours()
    picture.save(path / "a.gif", transparency=3)
    return np.where(np.asarray(picture)[..., None] == 3, 255, colours)


def save_grey_alpha(path):
    saved(path / "a.png", np.dstack([GREY.astype(np.uint8), ALPHA]))
    return np.where(ALPHA == 0, 255, GREY)[..., None].repeat(3, axis=2)


def save_half_transparent(path):
    saved(path / "a.png", np.dstack([COLOURS, np.full_like(ALPHA, 51)]))
    return np.rint(255 * 0.8 + 0.2 * COLOURS)


def save_one_transparent_colour(path):
    Image.fromarray(COLOURS).save(
        path / "a.png", transparency=tuple(COLOURS[1, 1].tolist())
    )
    expected = COLOURS.copy()
    expected[1, 1] = 255
    return expected


def save_one_transparent_grey_of_16_bits(path):
    values = (GREY * 257).astype(np.uint16)
    saved(path / "a.png", values, transparency=100 * 257)
    return np.where(GREY == 100, 255, GREY)[..., None].repeat(3, axis=2)


def save_bits(path):
    saved(path / "a.png", GREY > 100)
    return np.where(GREY > 100, 255, 0)[..., None].repeat(3, axis=2)


def save_rgb(path):
    saved(path / "a.png", COLOURS)
    return COLOURS


def save_rgba(path):
    saved(path / "a.png", RGBA)
    return OVER_WHITE


def save_rgba_tiff(path):
    saved(path / "a.tif", RGBA)
    return OVER_WHITE


def save_cmyk(path):
    picture = Image.fromarray(COLOURS).convert("CMYK")
    picture.save(path / "a.tif")
    return np.asarray(picture.convert("RGB"))


def save_lab(path):
    """Make a grey picture in CIELAB, where 128 means no colour."""
    lab = np.full((SIZE, SIZE, 3), (255, 0, 0), np.uint8)
    Image.frombytes("LAB", (SIZE, SIZE), lab.tobytes()).save(path / "a.tif")
    return np.full((SIZE, SIZE, 3), 255)


def save_colour_of_16_bits(path):
    tifffile.imwrite(path / "a.tif", COLOURS.astype(np.uint16) * 257, photometric="rgb")
    return COLOURS


def save_frames(path):
    frames = [Image.fromarray(array) for array in (COLOURS, 255 - COLOURS)]
    frames[0].save(path / "a.tif", save_all=True, append_images=frames[1:])
    return COLOURS


def save_animation(path):
    frames = [Image.fromarray(array) for array in (COLOURS, 255 - COLOURS)]
    frames[0].save(path / "a.png", save_all=True, append_images=frames[1:])
    return COLOURS


@pytest.mark.parametrize(
    "save",
    [
        save_palette,
        save_palette_with_one_transparent,
        save_palette_with_alpha,
        save_gif,
        save_grey_alpha,
        save_half_transparent,
        save_one_transparent_colour,
        save_one_transparent_grey_of_16_bits,
        save_bits,
        save_rgb,
        save_rgba,
        save_rgba_tiff,
        save_cmyk,
        save_lab,
        save_colour_of_16_bits,
        save_frames,
        save_animation,
    ],
)
def test_colours_of_every_mode(tmp_path, save):
    expected = save(tmp_path)
    np.testing.assert_allclose(whole_picture(tmp_path), expected, atol=1)


@pytest.mark.parametrize("mode", ["RGBX", "YCbCr", "HSV", "CMYK", "RGBa", "La", "PA"])
def test_modes_that_few_files_have(mode):
    """Conversion from RGB to a mode and back changes little; transparent is white."""
    if mode == "PA":
        picture, expected = few_colours()
        picture = picture.convert("PA")
        picture.putalpha(Image.fromarray(ALPHA))
    elif mode == "La":
        grey = GREY.astype(np.uint8)
        picture = Image.fromarray(np.dstack([grey, ALPHA])).convert("La")
        expected = grey[..., None].repeat(3, axis=2)
    else:
        source = RGBA if mode == "RGBa" else COLOURS
        picture, expected = Image.fromarray(source).convert(mode), COLOURS
    assert picture.mode == mode
    if mode[-1] in "Aa":
        expected = np.where(ALPHA[..., None] == 0, 255, expected)
    rgb = as_rgb(picture)
    assert rgb.mode == "RGB"
    # Hues have 8 bits only, which is coarse.
    np.testing.assert_allclose(np.asarray(rgb, float), expected, atol=6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("beyond.tif", np.array([[0.0, 1.5]], np.float32)),
        ("below.tif", np.array([[-0.1, 1.0]], np.float32)),
        ("nan.tif", np.array([[np.nan, 1.0]], np.float32)),
        ("inf.tif", np.array([[np.inf, 1.0]], np.float32)),
        ("signed.tif", np.array([[-5, 5]], np.int32)),
        ("long.tif", np.array([[0, 2**20]], np.int32)),
        ("short.tif", np.array([[-5, 5]], np.int16)),
        ("tiny.tif", np.array([[-5, 5]], np.int8)),
        ("stars.fits", np.array([[0, 2**15 - 1]], np.int16)),
    ],
)
def test_numbers_of_no_known_range_are_skipped_by_name(tmp_path, name, values):
    values = values.repeat(SIZE, axis=0).repeat(SIZE, axis=1)
    if name.endswith(".fits"):
        write_fits(tmp_path / name, values)
    elif values.dtype in (np.int8, np.int16):
        tifffile.imwrite(tmp_path / name, values)
    else:
        saved(tmp_path / name, values)
    black_pictures(tmp_path)
    with pytest.warns(UserWarning, match=rf"Skipped 1 file .*{name} \(ValueError: its"):
        train, test = load_image_folder(tmp_path, 6, SIZE)
    assert not train.any()
    assert not test.any()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_pictures_are_turned_upright(tmp_path, orientation, suffix, deep):
    upright = np.arange(3 * SIZE * SIZE).reshape(SIZE, 3 * SIZE) % 5 * 60
    turns = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(turns[orientation](upright)).astype(np.uint8)
    if deep and suffix != "webp":
        stored = stored.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    saved(tmp_path / f"a.{suffix}", stored, exif=exif, **options)
    train, test = load_image_folder(tmp_path, 40, SIZE)
    for patch in train:
        assert any(
            np.array_equal(patch[..., 0], part)
            for part in (upright[:, :SIZE], upright[:, 2 * SIZE :])
        )
    np.testing.assert_array_equal(test[0, ..., 1], upright[:, SIZE : 2 * SIZE])


def big_pictures(folder, n, side):
    rng = np.random.default_rng(0)
    for i in range(n):
        saved(
            folder / f"{i}.bmp", rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        )


def test_one_picture_is_held_at_a_time(tmp_path):
    side, n = 500, 12
    big_pictures(tmp_path, n, side)
    load_image_folder(tmp_path, 10, 8)
    tracemalloc.start()
    try:
        load_image_folder(tmp_path, 100, 8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The array of one picture, and the pieces from which Pillow makes it.
    assert peak < 3 * side * side * 3


def test_a_picture_that_cannot_be_decoded_does_not_change_the_others(tmp_path):
    """The patches equal those of the folder without the broken picture."""
    big_pictures(tmp_path, 7, 30)
    expected = load_image_folder(tmp_path, 50, 8)
    whole = (tmp_path / "3.bmp").read_bytes()
    (tmp_path / "3b.bmp").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"Skipped 1 file .*3b\.bmp"):
        patches = load_image_folder(tmp_path, 50, 8)
    for part, other in zip(patches, expected, strict=True):
        np.testing.assert_array_equal(part, other)


def test_the_seed_decides(tmp_path):
    big_pictures(tmp_path, 2, 30)
    first, again, other = (
        load_image_folder(tmp_path, 50, 8, random_state=seed)[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    for state in (np.random.RandomState(0), np.random.default_rng(0), None):
        assert load_image_folder(tmp_path, 5, 8, random_state=state)[0].shape[0] == 5


def test_warnings_of_the_reader_name_the_file(tmp_path, monkeypatch):
    big_pictures(tmp_path, 1, 64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_image_folder(tmp_path, 5, 8)
    (warning,) = caught
    assert warning.category is Image.DecompressionBombWarning
    assert "0.bmp (Image size (4096 pixels)" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("name", ["n_patches", "size"])
def test_numbers_that_are_no_counts(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        load_image_folder(tmp_path, **{name: 0})
