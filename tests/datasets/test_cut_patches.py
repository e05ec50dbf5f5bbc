"""Patches have the values and the dtype of the images from which they are cut."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skspectral.datasets import cut_patches

DTYPES = ("bool", "uint8", "int16", "uint16", "int64", "float16", "float32", "float64")
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "reversed": lambda array: np.ascontiguousarray(array[::-1])[::-1],
    "every second": lambda array: np.repeat(array, 2, axis=0)[::2],
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "objects": lambda array: array.astype(object),
    "lists": lambda array: array.tolist(),
}


def stands_in(image, patch):
    """Whether an image contains a patch, where NaN equals NaN."""
    size = len(patch)
    views = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
    views = np.moveaxis(views, (-2, -1), (2, 3))
    equal = (views == patch) | (np.isnan(views) & np.isnan(patch))
    return equal.all(axis=tuple(range(2, equal.ndim))).any()


def as_floats(image):
    return np.ma.filled(np.ma.asarray(image).astype(np.float64), np.nan)


@st.composite
def lists_of_images(draw):
    """Draw images of one dtype, range, layout and number of channels, some masked."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    low, high = draw(st.sampled_from([(0, 1), (0, 255), (-3, 4), (0, 4000)]))
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    masked = draw(st.booleans())
    images = []
    for _ in range(draw(st.integers(1, 3))):
        shape = (*draw(st.tuples(st.integers(3, 7), st.integers(3, 7))), *channels)
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            low, high = max(low, bounds.min), min(high, bounds.max)
        values = rng.uniform(low, high, shape).astype(dtype)
        image = LAYOUTS[layout](values)
        if masked and layout not in ("lists", "objects"):
            image = np.ma.array(image, mask=rng.random(shape) < 0.3)
        images.append(image)
    return images, dtype, layout


@given(
    made=lists_of_images(),
    size=st.integers(1, 3),
    n_patches=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_patches_are_parts_of_the_images(made, size, n_patches, seed):
    images, dtype, layout = made
    before = [np.array(image, copy=True) for image in images]
    patches = cut_patches(images, n_patches, size, random_state=seed)
    originals = [as_floats(image) for image in images]
    assert patches.shape == (n_patches, size, size, *originals[0].shape[2:])
    for patch in patches.astype(np.float64):
        assert any(stands_in(original, patch) for original in originals)
    if any(np.isnan(original).any() for original in originals):
        assert patches.dtype.kind == "f"
    elif layout not in ("lists", "objects"):
        assert patches.dtype == dtype
        assert patches.dtype.isnative
    again = cut_patches(images, n_patches, size, random_state=seed)
    np.testing.assert_array_equal(again, patches)
    for image, kept in zip(images, before, strict=True):
        np.testing.assert_array_equal(np.asarray(image), kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 1000])
def test_the_dtype_and_the_range_are_those_of_the_images(dtype, scale):
    image = (np.linspace(0, 1, 30).reshape(5, 6) * scale).astype(dtype)
    (patch,) = cut_patches([image[:, :5]], 1, 5)
    assert patch.dtype == image.dtype
    np.testing.assert_array_equal(patch, image[:, :5])


def test_every_place_is_reached_and_every_image_used_alike():
    images = [np.arange(12.0).reshape(3, 4), 100 + np.arange(20.0).reshape(5, 4)]
    patches = cut_patches(images, 401, 2, random_state=0)
    corners = patches[:, 0, 0]
    assert set(corners) == set(images[0][:2, :3].ravel()) | set(
        images[1][:4, :3].ravel()
    )
    assert abs((corners >= 100).sum() - 200.5) == 0.5


def test_an_array_is_a_list_of_images():
    rng = np.random.default_rng(0)
    for shape in ((4, 9, 8), (4, 9, 8, 3)):
        stack = rng.random(shape)
        lazy = (image for image in stack)
        for images in (stack, tuple(stack), lazy, torch.from_numpy(stack)):
            np.testing.assert_array_equal(
                cut_patches(images, 6, 5), cut_patches(list(stack), 6, 5)
            )


def test_what_is_marked_as_missing_is_nan():
    values = np.full((6, 6), -9999, dtype=np.int32)
    values[:, :3] = 7
    masked = np.ma.masked_equal(values, -9999)
    table = values.astype(object)
    table[values == -9999] = pd.NA
    columns = pd.DataFrame(values).replace(-9999, pd.NA)
    expected = np.where(values == -9999, np.nan, values)
    ways = {
        "masked": masked,
        "rows": list(masked),
        "scalars": [list(row) for row in masked],
        "objects": table,
        "lists": table.tolist(),
        "table": columns,
        "nullable": columns.astype("Int32"),
    }
    for way, image in ways.items():
        (patch,) = cut_patches([image], 1, 6)
        np.testing.assert_array_equal(patch, expected, err_msg=way)
    stack = np.ma.stack([masked, masked])
    np.testing.assert_array_equal(cut_patches(stack, 1, 6)[0], expected)


def test_a_mask_does_not_change_the_units():
    plain = np.arange(36, dtype=np.uint8).reshape(6, 6)
    masked = np.ma.masked_greater(plain, 20)
    patches = cut_patches([plain, masked], 2, 6)
    assert patches.dtype == np.float32
    assert sorted(np.isnan(patch).sum() for patch in patches) == [0, 15]
    assert np.nanmax(patches) == 35
    # Integers remain integers if the mask marks no entry.
    assert cut_patches([np.ma.array(plain)], 2, 6).dtype == np.uint8


def test_floats_of_several_sizes_become_the_largest():
    images = [np.ones((4, 4), dtype) for dtype in (np.float32, np.float64)]
    assert cut_patches(images, 2, 3).dtype == np.float64


grey, colour = np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images is empty"),
        (np.zeros((0, 5, 5)), "images is empty"),
        (None, "images=None must be a list"),
        ([grey, colour], r"images\[0\] .* images\[1\] .* differ in their channels"),
        ([colour, np.zeros((5, 5, 4), np.uint8)], "differ in their channels"),
        ([grey, grey / 255], "dtypes float64 and uint8, whose ranges differ"),
        ([grey, grey.astype(np.uint16)], "dtypes uint16 and uint8"),
        (grey, r"shape \(5, 5\) is a single image\. Pass the list \[images\]"),
        (colour, r"may be one image or 5 grey images\. Pass \[images\]"),
        ([grey[0]], r"images\[0\] has the shape \(5,\)"),
        ([np.zeros((2, 5, 5, 3))], r"images\[0\] has the shape \(2, 5, 5, 3\)"),
        ([np.zeros((5, 5, 0))], r"images\[0\] has the shape \(5, 5, 0\)"),
        ([grey + 1j], r"images\[0\] has the dtype complex"),
        ([np.ma.array(grey + 1j, mask=True)], r"images\[0\] has the dtype complex"),
        ([[["a", "b"]]], r"images\[0\] has the dtype <U1"),
        ([[[1, 2], [3]]], r"images\[0\] must be an array of real numbers"),
        ([[[1, "b"], [3, object()]]], r"images\[0\] must be an array of real numbers"),
        ([grey, grey[:2]], r"size=4 is larger than an image: .* at most 2"),
    ],
)
def test_what_is_no_list_of_images(images, message):
    with pytest.raises(ValueError, match=message):
        cut_patches(images, 3, 4)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "3", None])
@pytest.mark.parametrize("name", ["n_patches", "size"])
def test_numbers_that_are_no_counts(name, bad):
    options = {"n_patches": 3, "size": 4, name: bad}
    with pytest.raises(ValueError, match=rf"{name}=\S+ must be "):
        cut_patches([grey], **options)
    assert cut_patches([grey], np.int64(2), np.uint8(3)).shape == (2, 3, 3)
