"""Whole images, restored by `PatchRestorer`."""

import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.signal import fftconvolve
from scipy.sparse.linalg import aslinearoperator
from skimage import data
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral import SpectralDictionaryLearning
from skspectral.model_files import load_model, save_model
from skspectral.priors import GaussianMixture
from skspectral.restoration import PatchRestorer, PoissonGaussian, SignalRestorer
from skspectral.restoration.operators import Binning, Masking

CAMERA = data.camera()[100:180, 200:290]
TRAIN = [data.camera()[:, :190], data.coins()]
COLOURS = data.astronaut()[:120:2, 160:280:2]


def model(n_atoms=16, n_gaussians=4):
    prior = GaussianMixture(n_gaussians, tol=0.1)
    return SpectralDictionaryLearning(n_atoms, modulation=None, prior=prior)


def small(**settings):
    given = {"patch_size": 4, "n_patches": 3000, "random_state": 0, "n_scales": 2}
    return PatchRestorer(model(), **given | settings)


@pytest.fixture(scope="module")
def grey():
    return small().fit(TRAIN)


@pytest.fixture(scope="module")
def colour():
    given = {"patch_size": 4, "n_patches": 2000, "random_state": 0}
    images = [data.astronaut()[:, 300:], data.chelsea()]
    return PatchRestorer(model(48), channel_axis=-1, **given).fit(images)


def error(found, truth):
    return np.sqrt(np.mean((np.asarray(found, float) - truth) ** 2))


def noisy(image, sigma, seed=0):
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


def test_denoise_removes_noise_and_knows_how_much_is_left(grey):
    truth = CAMERA / 255
    image = noisy(truth, 0.1)
    before = image.copy()
    clean, std = grey.denoise(image, 0.1, return_std=True)
    np.testing.assert_array_equal(image, before)
    assert clean.dtype == std.dtype == np.float64
    assert error(clean, truth) < 0.45 * 0.1
    assert 0.8 < np.std((clean - truth) / std) < 1.25
    # The predictions tell smooth from textured parts.
    order = np.argsort(std, axis=None)
    errors = np.abs(clean - truth).ravel()[order]
    half = len(order) // 2
    assert errors[half:].mean() > 1.3 * errors[:half].mean()


def test_unknown_noise_is_estimated(grey):
    truth = CAMERA / 255
    image = noisy(truth, 0.1)
    known, unknown = grey.denoise(image, 0.1), grey.denoise(image)
    assert error(unknown, truth) < 1.1 * error(known, truth)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_type_and_range_are_kept(grey, dtype):
    unit = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = noisy(CAMERA / 255 * unit, 0.05 * unit).clip(0, unit).astype(dtype)
    clean, std = grey.denoise(image, 0.05 * unit, return_std=True)
    assert clean.dtype == dtype
    assert std.dtype == (np.float64 if dtype == np.float64 else np.float32)
    reference = grey.denoise(image / np.float64(unit), 0.05)
    np.testing.assert_allclose(clean / unit, reference, atol=2 / 255 + 1e-4)


def test_without_noise_images_come_back_exactly(grey):
    image = CAMERA / 255
    found, std = grey.denoise(image, 0, return_std=True)
    np.testing.assert_array_equal(found, image)
    assert (std == 0).all()
    np.testing.assert_array_equal(grey.inpaint(CAMERA), CAMERA)


def test_a_map_of_the_noise_is_used(grey):
    truth = CAMERA / 255
    sigma = np.full(truth.shape, 0.02)
    sigma[:, 45:] = 0.2
    rng = np.random.default_rng(0)
    image = truth + sigma * rng.standard_normal(truth.shape)
    by_map = grey.denoise(image, sigma)
    for level in (0.02, 0.1, 0.2):
        assert error(by_map, truth) < error(grey.denoise(image, level), truth)


def test_noise_of_counts(grey):
    truth = 0.02 + CAMERA / 255
    gain = 0.05
    image = gain * np.random.default_rng(0).poisson(truth / gain)
    clean, std = grey.denoise(image, PoissonGaussian(gain), return_std=True)
    level = np.sqrt(gain * truth.mean())
    assert error(clean, truth) < error(grey.denoise(image, level), truth)
    assert 0.7 < np.std((clean - truth) / std) < 1.4


def test_missing_pixels_are_filled(grey):
    truth = CAMERA / 255
    missing = np.random.default_rng(0).random(truth.shape) < 0.5
    filled = grey.inpaint(truth, missing)
    np.testing.assert_array_equal(filled[~missing], truth[~missing])
    start = Masking(~missing[..., None]).start(truth[..., None])[..., 0]
    assert error(filled, truth) < 0.95 * error(start, truth)
    as_nan = np.where(missing, np.nan, truth)
    np.testing.assert_array_equal(grey.inpaint(as_nan), filled)
    found, std = grey.inpaint(truth, missing, return_std=True, random_state=0)
    np.testing.assert_array_equal(found, filled)
    assert (std[~missing] == 0).all()
    assert 0.6 < np.std((filled - truth)[missing] / std[missing]) < 1.6


def test_draws_agree_with_the_measurement_and_differ_elsewhere(grey):
    truth = CAMERA[:40, :40] / 255
    image = np.where(np.random.default_rng(0).random(truth.shape) < 0.5, np.nan, truth)
    draws = grey.sample_posterior(image, 2, random_state=0)
    assert draws.shape == (2, 40, 40)
    known = ~np.isnan(image)
    np.testing.assert_allclose(draws[:, known], [truth[known]] * 2, atol=1e-5)
    assert error(draws[0][~known], draws[1][~known]) > 0.005
    again = grey.sample_posterior(image, 2, random_state=0)
    np.testing.assert_array_equal(again, draws)


def test_blurred_images_are_sharpened(grey):
    kernel = np.outer(np.hanning(7), np.hanning(9))[1:-1, 1:-1]
    kernel /= kernel.sum()
    large = data.camera()[90:190, 190:300] / 255
    blurred = noisy(fftconvolve(large, kernel, "valid"), 0.005)
    truth = large[2:-2, 3:-3]
    sharp = grey.deblur(blurred, kernel, 0.005)
    assert sharp.shape == blurred.shape
    assert error(sharp, truth) < 0.7 * error(blurred, truth)


def test_small_images_are_enlarged(grey):
    truth = CAMERA / 255
    little = truth.reshape(40, 2, 45, 2).mean(axis=(1, 3))
    large = grey.upsample(little, 2)
    np.testing.assert_allclose(
        large.reshape(40, 2, 45, 2).mean(axis=(1, 3)), little, atol=1e-5
    )
    blocks = little.repeat(2, axis=0).repeat(2, axis=1)
    assert error(large, truth) < 0.9 * error(blocks, truth)


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG"])
def test_colours_of_a_filter_array(colour, pattern):
    truth, mosaic = COLOURS / 255, np.empty(COLOURS.shape[:2])
    for place, name in enumerate(pattern):
        corner = (slice(place // 2, None, 2), slice(place % 2, None, 2))
        mosaic[corner] = truth[(*corner, "RGB".index(name))]
    found = colour.demosaic(mosaic, pattern)
    assert found.shape == truth.shape
    assert error(found, truth) < 0.05
    eight = colour.demosaic((255 * mosaic).astype(np.uint8), pattern)
    assert eight.dtype == np.uint8
    assert error(eight / 255, truth) < 0.05


def test_channels_may_be_first_and_are_four(colour):
    truth = COLOURS / 255
    image = noisy(truth, 0.1)
    last = colour.denoise(image, 0.1)
    assert error(last, truth) < 0.5 * 0.1
    first = clone(colour).set_params(channel_axis=0)
    first.fit(
        [
            np.moveaxis(data.astronaut()[:, 300:], -1, 0),
            np.moveaxis(data.chelsea(), -1, 0),
        ]
    )
    found = first.denoise(np.moveaxis(image, -1, 0), 0.1)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), last, atol=1e-5)
    four = np.concatenate([COLOURS, COLOURS[..., :1]], axis=-1)
    restorer = PatchRestorer(
        model(32, 2), channel_axis=-1, patch_size=3, n_patches=500, random_state=0
    ).fit([four])
    assert restorer.denoise(four, 10.0).shape == four.shape


@pytest.mark.parametrize("kind", ["matrix", "LinearOperator", "ImageOperator"])
def test_any_linear_operator(grey, kind):
    truth = CAMERA[:16, :18] / 255
    operator = Binning((16, 18, 1), 2)
    observed, shape = operator.forward(truth[..., None])[..., 0], None
    expected = grey.restore(observed, operator, 0.01)
    if kind != "ImageOperator":
        columns = [operator.forward(e.reshape(16, 18, 1)).ravel() for e in np.eye(288)]
        matrix = np.stack(columns, axis=1)
        observed, shape = observed.ravel(), (16, 18)
        operator = aslinearoperator(matrix) if kind == "LinearOperator" else matrix
    found = grey.restore(observed, operator, 0.01, image_shape=shape)
    assert found.shape == truth.shape
    # The first estimates differ.
    assert error(found, expected) < 0.02
    assert error(found, truth) < 1.1 * error(expected, truth)


def test_pictures_of_a_folder_are_learned_from(tmp_path):
    paths = []
    for i, image in enumerate(TRAIN):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    by_folder = small(n_patches=600).fit(tmp_path)
    by_paths = small(n_patches=600).fit([str(path) for path in paths])
    for restorer in (by_folder, by_paths):
        assert restorer.n_patches_ == 600
        assert restorer.n_channels_ == 1
        assert (
            error(restorer.denoise(noisy(CAMERA / 255, 0.1), 0.1), CAMERA / 255) < 0.05
        )
    coloured = small(channel_axis=-1, n_patches=600).set_params(estimator=model(48))
    assert coloured.fit(tmp_path).n_channels_ == 3


def test_patches_of_contrast_may_be_preferred():
    plain, varied = (
        small(n_patches=1000, by_variance=flag).fit(TRAIN) for flag in (False, True)
    )
    variances = [
        np.trace(np.tensordot(r.weights_, r.covariances_, 1)) for r in (plain, varied)
    ]
    assert variances[1] > 2 * variances[0]


def test_default_model_and_seeds():
    first, second = (
        PatchRestorer(patch_size=3, n_patches=800, random_state=1).fit(TRAIN)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.covariances_, second.covariances_)
    assert len(first.weights_) == 4
    assert first.estimator_.signal_shape == (3, 3)


def test_models_travel(grey, tmp_path):
    image = noisy(CAMERA / 255, 0.1)
    expected = grey.denoise(image, 0.1)
    again = pickle.loads(pickle.dumps(grey))
    np.testing.assert_array_equal(again.denoise(image, 0.1), expected)
    save_model(grey, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.denoise(image, 0.1), expected)


def test_progress(grey):
    calls = []
    report = lambda done, total: calls.append((done, total))
    grey.denoise(CAMERA, 20.0, progress=report)
    assert calls == [(i + 1, 8) for i in range(8)]
    calls.clear()
    grey.upsample(CAMERA[:20, :20], 2, progress=report)
    assert calls == [(i + 1, calls[0][1]) for i in range(calls[0][1])]


# Images and recordings are no matrix of samples and features: few checks apply.
@parametrize_with_checks([PatchRestorer(), SignalRestorer()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_constant_images_stay_constant(grey):
    image = np.full((20, 30), 0.3)
    for found in (grey.denoise(image, 0.1), grey.denoise(image)):
        np.testing.assert_allclose(found, 0.3, atol=0.003)
    mask = np.zeros(image.shape, bool)
    mask[3:9] = True
    np.testing.assert_allclose(grey.inpaint(image, mask), 0.3, atol=0.003)


BAD = {
    "smaller than a patch": (lambda r: r.denoise(CAMERA[:3], 1.0), "patch_size=4"),
    "not finite": (lambda r: r.denoise(np.full((9, 9), np.nan), 1.0), "NaN"),
    "three axes": (lambda r: r.denoise(COLOURS, 1.0), "channel_axis=None"),
    "negative sigma": (lambda r: r.denoise(CAMERA, -1.0), "sigma"),
    "wrong map": (lambda r: r.denoise(CAMERA, np.ones((3, 3))), "sigma of shape"),
    "all missing": (
        lambda r: r.inpaint(CAMERA, np.ones(CAMERA.shape, bool)),
        "All pixels|all pixels",
    ),
    "wrong mask": (lambda r: r.inpaint(CAMERA, np.ones((2, 2), bool)), "mask of shape"),
    "large kernel": (lambda r: r.deblur(CAMERA, np.ones((99, 3)), 1.0), "kernel"),
    "zero kernel": (lambda r: r.deblur(CAMERA, np.zeros((3, 3)), 1.0), "kernel"),
    "no colours": (lambda r: r.demosaic(CAMERA), "3 channels"),
    "no shape": (lambda r: r.restore(CAMERA, np.eye(3), 1.0), "image_shape"),
    "wrong observation": (
        lambda r: r.restore(CAMERA, Binning((8, 8, 1), 2), 1.0),
        "observed has the shape",
    ),
    "tiny result": (
        lambda r: r.restore(np.ones((1, 1)), Binning((2, 2, 1), 2), 1.0),
        "patch_size",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(grey, name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call(grey)


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({"stride": 5}, TRAIN, "stride=5"),
        ({}, [CAMERA, CAMERA[:3]], r"X\[1\] has 3 x"),
        ({}, [], "empty"),
        ({}, [np.ones((9, 9))], "constant"),
        ({"channel_axis": -1}, [COLOURS, COLOURS[..., :2]], "2 channels"),
    ],
)
def test_bad_fit(settings, images, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(images)


def test_priors_without_gaussians_are_refused():
    estimator = SpectralDictionaryLearning(16, modulation=None, prior=KernelDensity())
    with pytest.raises(TypeError, match="PatchRestorer"):
        small(n_patches=300).set_params(estimator=estimator).fit(TRAIN)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        PatchRestorer().denoise(CAMERA, 1.0)
