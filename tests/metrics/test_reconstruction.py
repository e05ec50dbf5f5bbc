"""Reconstruction metrics: comparison with other libraries, conventions and errors."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import r2_score

from skspectral.metrics import _images as images_module
from skspectral.metrics import explained_variance, psnr, ssim


def pair(*shape, dtype=np.float64, seed=0):
    """Samples from 0 to 255, and a noisy, darker version."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 255, size=shape)
    X = (X + np.roll(X, 1, axis=1)) / 2
    noise = rng.normal(size=shape) * rng.uniform(2, 30, (len(X), *[1] * (X.ndim - 1)))
    return X.astype(dtype), np.clip(0.9 * X + noise, 0, 255).astype(dtype)


def wang(a, b, data_range):
    """The oracle, image by image."""
    channel_axis = -1 if a.ndim == 4 else None
    return np.mean(
        [
            structural_similarity(
                x,
                y,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=data_range,
                channel_axis=channel_axis,
            )
            for x, y in zip(a, b, strict=True)
        ]
    )


SHAPES = [(3, 11, 11), (3, 32, 20), (4, 17, 23, 3), (2, 12, 40, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_ssim_is_that_of_scikit_image(shape, dtype):
    a, b = pair(*shape, dtype=dtype)
    expected = wang(a.astype(np.float64), b.astype(np.float64), 255)
    assert ssim(a, b, data_range=255) == pytest.approx(expected, abs=1e-10)
    if dtype == np.uint8:
        assert ssim(a, b) == ssim(a, b, data_range=255)


@pytest.mark.parametrize("shape", [(4, 30), (3, 8, 8), (3, 8, 9, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_psnr_is_that_of_scikit_image(shape, dtype):
    a, b = pair(*shape, dtype=dtype)
    each = [
        peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)
    ]
    assert psnr(a, b, data_range=255) == pytest.approx(np.mean(each))
    if dtype == np.uint8:
        assert psnr(a, b) == psnr(a, b, data_range=255)


@pytest.mark.parametrize("shape", [(30, 5), (6, 8, 9), (6, 8, 9, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_explained_variance_is_that_of_scikit_learn(shape, dtype):
    a, b = pair(*shape, dtype=dtype)
    rows = (x.reshape(len(x), -1).astype(float) for x in (a, b))
    expected = r2_score(*rows, multioutput="variance_weighted")
    assert explained_variance(a, b) == pytest.approx(expected)


def test_psnr_averages_decibels():
    """The PSNR of the mean squared error of all samples is lower."""
    a, b = pair(20, 64)
    pooled = 10 * np.log10(255**2 / np.mean((a - b) ** 2))
    assert psnr(a, b, data_range=255) > pooled + 0.1


def test_exact_reconstructions():
    a, b = pair(4, 16, 16)
    assert psnr(a, a, data_range=255) == np.inf
    b[2] = a[2]
    assert psnr(a, b, data_range=255) == np.inf
    assert ssim(a, a, data_range=255) == pytest.approx(1, abs=1e-12)
    assert explained_variance(a, a) == 1


def test_explained_variance_of_means_is_zero():
    a, _ = pair(8, 5)
    mean = np.broadcast_to(a.mean(0), a.shape)
    assert explained_variance(a, mean) == pytest.approx(0, abs=1e-12)
    assert explained_variance(a, mean + 500) < -1
    assert explained_variance(1e6 + a, 1e6 + mean) == pytest.approx(0, abs=1e-6)


def test_gray_is_three_equal_channels():
    a, b = pair(3, 14, 15)
    colours = (np.repeat(x[..., None], 3, axis=3) for x in (a, b))
    assert ssim(*colours, data_range=255) == pytest.approx(ssim(a, b, data_range=255))


def test_ssim_of_flipped_contrast_is_negative():
    a, _ = pair(3, 16, 16)
    assert ssim(a, 255 - a, data_range=255) < 0


METRICS = [
    lambda a, b: psnr(a, b, data_range=255),
    lambda a, b: ssim(a, b, data_range=255),
    explained_variance,
]


@pytest.mark.parametrize("metric", METRICS)
def test_order_and_batches_do_not_show(metric, monkeypatch):
    a, b = pair(9, 12, 12, 2)
    expected = metric(a, b)
    order = np.random.default_rng(1).permutation(9)
    assert metric(a[order], b[order]) == pytest.approx(expected)
    assert metric(a[order], b) != pytest.approx(expected)
    monkeypatch.setattr(images_module, "_BATCH_VALUES", 2 * a[0].size)
    assert metric(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_units_do_not_count(metric):
    a, b = pair(4, 12, 12)
    expected = metric(a, b, data_range=255)
    assert metric(a / 255, b / 255, data_range=1.0) == pytest.approx(expected)
    shifted = metric(a / 255 - 1, b / 255 - 1, data_range=1.0)
    # A change of brightness changes SSIM, but not PSNR.
    assert (shifted == pytest.approx(expected)) == (metric is psnr)


@pytest.mark.parametrize("metric", METRICS)
def test_tensors_and_lists(metric):
    a, b = pair(4, 12, 12)
    assert metric(torch.tensor(a), b) == metric(a, b)
    assert metric(a.tolist(), b.tolist()) == metric(a, b)


@pytest.mark.parametrize("metric", METRICS)
def test_input_stays_as_it_is(metric):
    a, b = pair(4, 12, 12)
    a.flags.writeable = b.flags.writeable = False
    metric(a, b)


@pytest.mark.parametrize("metric", METRICS)
def test_bad_input(metric):
    a, b = pair(4, 12, 12)
    broken = b.copy()
    broken[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"reconstructed contains NaN"):
        metric(a, broken)
    with pytest.raises(ValueError, match=r"(X|images) contains NaN"):
        metric(broken, a)
    with pytest.raises(ValueError, match=r"\(4, 12, 12.*\(3, 12, 12"):
        metric(a, b[:3])
    with pytest.raises(ValueError, match=r"reconstructed has shape \(12,\)"):
        metric(a, b[0, 0])
    with pytest.raises(ValueError, match="complex"):
        metric(a + 1j, b)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_range_has_to_be_known(metric):
    a, b = pair(4, 12, 12)
    with pytest.raises(ValueError, match=r"data_range=None .* float64"):
        metric(a, b)
    with pytest.raises(ValueError, match=r"data_range=None .* float64"):
        metric(a.astype(np.uint8), b)
    for data_range in (0, -1.0, np.nan, "255"):
        with pytest.raises(ValueError, match="data_range"):
            metric(a, b, data_range=data_range)


def test_small_images():
    a, b = pair(4, 10, 32)
    with pytest.raises(ValueError, match="10 x 32 pixels are smaller than the window"):
        ssim(a, b, data_range=255)
    with pytest.raises(ValueError, match="images has shape"):
        ssim(a[0], b[0], data_range=255)


@pytest.mark.parametrize("value", [0, 0.1, -7.3])
def test_no_variance_to_explain(value):
    with pytest.raises(ValueError, match="X has no variance"):
        explained_variance(np.full((9, 3), value), np.ones((9, 3)))
    with pytest.raises(ValueError, match="X has no variance: its 1 samples"):
        explained_variance(np.arange(3)[None], np.ones((1, 3)))
