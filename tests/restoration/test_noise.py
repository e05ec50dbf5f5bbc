"""The estimate of the standard deviation of noise."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data
from sklearn.datasets import load_sample_image

from skspectral.restoration.noise import _measuring_waves, estimate_sigma


def with_noise(image, sigma, seed=0):
    return image + np.random.default_rng(seed).normal(0, sigma, size=image.shape)


def photograph(channels=False):
    image = load_sample_image("china.jpg")[:250, :320] / 255
    return image if channels else image.mean(axis=-1)


# Accuracy


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize("shape", [(5000,), (120, 140)])
def test_noise_alone(shape, sigma):
    image = with_noise(np.full(shape, 7.0), sigma)
    assert estimate_sigma(image) == pytest.approx(image.std(), rel=0.03)


@pytest.mark.parametrize("sigma", [5, 10, 15, 25, 50])
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_noise_of_photographs(name, sigma):
    image = load_sample_image(name)[100:350, 100:400] / 255
    found = estimate_sigma(with_noise(image, sigma / 255), channel_axis=-1)
    assert found.shape == (3,)
    assert_allclose(found * 255, sigma, rtol=0.05)


@pytest.mark.parametrize("texture", [data.brick, data.grass])
def test_noise_is_separated_from_texture(texture):
    """The estimate is right although no patch is smooth."""
    noisy = with_noise(texture()[:200, :200] / 255, 0.1)
    assert estimate_sigma(noisy) == pytest.approx(0.1, rel=0.1)


def test_noise_of_a_smooth_signal():
    t = np.linspace(0, 1, 4000)
    signal = np.sin(40 * t) + (t > 0.5)
    assert estimate_sigma(with_noise(signal, 0.2)) == pytest.approx(0.2, rel=0.05)


def test_estimates_of_small_images_are_not_biased():
    rng = np.random.default_rng(0)
    for shape in ((4, 4), (5, 30), (9, 12), (20,)):
        found = [estimate_sigma(rng.normal(size=shape)) ** 2 for _ in range(300)]
        assert np.mean(found) == pytest.approx(1, abs=0.15)


def test_clipped_values_are_left_out():
    image = np.repeat(np.linspace(-0.4, 1.4, 200)[:, None], 200, axis=1)
    noisy = np.clip(with_noise(image, 0.05), 0, 1)
    assert estimate_sigma(noisy) == pytest.approx(0.05, rel=0.05)


def test_large_images_are_sampled_in_little_memory():
    image = np.random.default_rng(0).standard_normal((2500, 2500), dtype=np.float32)
    tracemalloc.start()
    try:
        found = estimate_sigma(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(1, rel=0.01)
    # A patch at each position would take 3 GB in float64.
    assert peak < 80e6


# Properties


@pytest.mark.parametrize("shape", [(30,), (20, 30)])
def test_constant_and_linear_images_have_no_noise(shape):
    assert estimate_sigma(np.full(shape, 0.1)) == 0
    ramp = np.add.outer(np.arange(20.0), np.arange(30.0)) if len(shape) > 1 else None
    if ramp is not None:
        assert estimate_sigma(ramp) < 0.05


def test_clean_photographs_have_little_noise():
    image = photograph()
    assert estimate_sigma(image) < 2 / 255 < estimate_sigma(with_noise(image, 5 / 255))
    assert estimate_sigma(np.kron(np.eye(2), np.ones((50, 50)))) == 0


def test_estimates_follow_units_offset_and_orientation():
    image = with_noise(photograph(), 0.1)
    expected = estimate_sigma(image)
    assert estimate_sigma(30 * image - 7) == pytest.approx(30 * expected, rel=1e-6)
    assert estimate_sigma(image + 1e6) == pytest.approx(expected, rel=1e-3)
    for other in (image.T, image[::-1], -image, np.asfortranarray(image)):
        assert estimate_sigma(other) == pytest.approx(expected, rel=0.01)
    assert estimate_sigma(image.astype(np.float32)) == pytest.approx(expected, rel=1e-4)


def test_estimates_are_deterministic_and_change_nothing():
    image = with_noise(photograph(), 0.1)
    before, state = image.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = estimate_sigma(image)
    assert isinstance(first, float)
    assert estimate_sigma(image) == first
    assert_array_equal(image, before)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_channels_are_separate():
    image = photograph(channels=True)
    noise = np.random.default_rng(0).normal(size=image.shape) * [0.02, 0.1, 0.3]
    found = estimate_sigma(image + noise, channel_axis=-1)
    assert_allclose(found, [0.02, 0.1, 0.3], rtol=0.1)
    first = np.moveaxis(image + noise, -1, 0)
    assert_array_equal(estimate_sigma(first, channel_axis=0), found)
    alone = [estimate_sigma(channel) for channel in first]
    assert_array_equal(found, alone)
    signals = np.random.default_rng(0).normal(size=(1000, 2)) * [1, 5]
    assert_allclose(estimate_sigma(signals, channel_axis=1), [1, 5], rtol=0.1)


def test_integers_are_used_as_they_are():
    image = with_noise(np.full((200, 200), 128.0), 20).round().astype(np.uint8)
    # Rounding adds noise of the variance 1/12.
    assert estimate_sigma(image) == pytest.approx(20, rel=0.03)
    assert estimate_sigma(image) == estimate_sigma(image.astype(np.int64))


# Missing values


def test_patches_with_missing_values_are_ignored():
    image = with_noise(photograph(), 0.1)
    gaps = image.copy()
    gaps[40:90, 60:] = np.nan
    gaps[5, 5] = gaps[-1, -1] = np.nan
    assert estimate_sigma(gaps) == pytest.approx(0.1, rel=0.05)
    masked = np.ma.masked_invalid(gaps)
    assert estimate_sigma(masked) == estimate_sigma(gaps)
    signal = with_noise(np.zeros(2000), 1.0)
    signal[::100] = np.nan
    assert estimate_sigma(signal) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("corner", [(0, 0), (5, 9), (13, 22), (6, 0)])
def test_one_complete_patch_is_enough(corner):
    patch = np.random.default_rng(0).normal(size=(8, 8))
    image = np.full((21, 30), np.nan)
    i, j = corner
    image[i : i + 8, j : j + 8] = patch
    assert estimate_sigma(image) == pytest.approx(estimate_sigma(patch))


def test_no_complete_patch():
    image = np.zeros((30, 30))
    image[::6, ::6] = np.nan
    with pytest.raises(ValueError, match=r"NaN in every patch of shape \(8, 8\)"):
        estimate_sigma(image)
    with pytest.raises(ValueError, match="100 of 100 values are NaN"):
        estimate_sigma(np.full(100, np.nan))


# Errors


@pytest.mark.parametrize(
    ("image", "channel_axis", "message"),
    [
        (np.zeros((9, 9, 3)), None, "Pass channel_axis=-1"),
        (np.zeros((2, 9, 9, 3)), -1, "one image at a time"),
        (np.float64(3), None, r"shape \(\)"),
        (np.zeros(9), 0, "one or two axes"),
        (np.zeros((9, 9, 3)), 3, "channel_axis=3 is no axis"),
        (np.zeros((3, 9)), None, "at least 4 values"),
        (np.zeros((9, 9, 3)), 0, "at least 4 values"),
        (np.zeros((9, 9), dtype=complex), None, "complex128 must be an array of real"),
        (np.full((9, 9), np.inf), None, "81 infinite values"),
        (np.zeros((9, 9)), 1.5, "channel_axis"),
    ],
)
def test_errors(image, channel_axis, message):
    with pytest.raises(ValueError, match=message):
        estimate_sigma(image, channel_axis=channel_axis)


@pytest.mark.parametrize("shape", [(32,), (8, 8), (4, 7), (5,)])
def test_measuring_waves_are_orthonormal_and_see_no_ramp(shape):
    waves = _measuring_waves(shape)
    assert_allclose(waves @ waves.T, np.eye(len(waves)), atol=1e-12)
    assert_allclose(waves.sum(axis=1), 0, atol=1e-12)
    # A wave of a high frequency changes its sign between most neighbours.
    for wave in waves.reshape(-1, *shape):
        for axis in range(wave.ndim):
            assert (np.diff(np.sign(wave), axis=axis) != 0).mean() >= 0.5
