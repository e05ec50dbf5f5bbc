"""Spectra of images and signals: definitions, invariances, and what is refused."""

import math

import numpy as np
import pytest
import torch

from skspectral.metrics import (
    log_spectral_distance,
    mean_spectrum_distance,
    multi_resolution_stft_distance,
    radial_power_spectrum,
    radial_spectrum_distance,
    spectral_convergence,
)

SIZES = [(8, 8), (9, 9), (8, 12), (15, 6), (7, 10)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def pixels(*shape, seed=0):
    """Bytes with more power at low frequencies."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=shape)
    smooth = white + np.roll(white, 1, 1) + np.roll(white, 1, 2)
    brightness = rng.uniform(60, 200, size=(shape[0], *[1] * (len(shape) - 1)))
    return np.clip(brightness + 25 * smooth, 0, 255).astype(np.uint8)


def plane_wave(size, u, v):
    y, x = np.mgrid[:size, :size] / size
    return np.cos(2 * np.pi * (u * y + v * x) + 0.3)


def radial_by_loops(images, n_rings):
    """Power of gray images on rings, from the definition of the transform's bins."""
    _, height, width = images.shape
    sums, counts = np.zeros(n_rings), np.zeros(n_rings)
    centred = images - images.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred)) ** 2 / (height * width)
    for i in range(height):
        for j in range(width):
            u, v = min(i, height - i) / height, min(j, width - j) / width
            ring = round(min(height, width) * math.hypot(u, v))
            if 1 <= ring <= n_rings:
                sums[ring - 1] += power[:, i, j].mean()
                counts[ring - 1] += 1
    return sums / counts


# Power on rings


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_rings_are_the_definition(height, width):
    images = noise(4, height, width)
    frequencies, power = radial_power_spectrum(images)
    n_rings = min(height, width) // 2
    np.testing.assert_array_equal(frequencies, np.arange(1, n_rings + 1))
    np.testing.assert_allclose(power, radial_by_loops(images, n_rings))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_corners_are_the_rings_beyond(height, width):
    images = noise(4, height, width)
    frequencies, power = radial_power_spectrum(images, corners=True)
    assert len(power) > min(height, width) // 2
    np.testing.assert_allclose(power, radial_by_loops(images, len(frequencies)))


@pytest.mark.parametrize(("height", "width"), [*SIZES[:3], (15, 8)])
def test_all_rings_together_have_the_variance(height, width):
    """Parseval: each ring's mean times its number of bins."""
    images = 3 + noise(4, height, width)
    _, power = radial_power_spectrum(images, corners=True)
    v, u = np.abs(np.fft.fftfreq(width)), np.abs(np.fft.fftfreq(height))
    rings = np.rint(min(height, width) * np.hypot(u[:, None], v)).astype(int)
    n_bins = np.bincount(rings.ravel())[1:]
    variance = images.var(axis=(1, 2)).mean()
    assert (power * n_bins).sum() / (height * width) == pytest.approx(variance)


@pytest.mark.parametrize(("u", "v"), [(1, 0), (0, 5), (3, 4), (2, -6), (8, 0)])
def test_plane_wave_is_in_its_ring_only(u, v):
    _, power = radial_power_spectrum(plane_wave(16, u, v)[None])
    ring = round(math.hypot(u, v)) - 1
    assert power[ring] > 0.1
    assert np.delete(power, ring).max() < 1e-25


def test_white_noise_is_flat():
    for window in (None, "hann"):
        _, power = radial_power_spectrum(2 * noise(800, 16, 16), window=window)
        # Ring 1 has four bins and, under a window, lost a little with the mean.
        np.testing.assert_allclose(power[1:], 4, rtol=0.1)


def test_window_has_the_power_of_none():
    """A ring far from the wave's leaks less with a window; the power stays."""
    y, x = np.mgrid[:32, :32]
    between_bins = np.cos(2 * np.pi * (6.5 * y + 0.5 * x) / 32)[None]
    _, plain = radial_power_spectrum(between_bins)
    _, tapered = radial_power_spectrum(between_bins, window="hann")
    assert tapered[13:].max() < 0.01 * plain[13:].max()
    rings = np.arange(1, 17)
    assert (rings * tapered).sum() == pytest.approx((rings * plain).sum(), rel=0.1)


@pytest.mark.parametrize("window", [None, "hann"])
def test_mean_does_not_count(window):
    images = noise(3, 12, 12)
    moved = images + np.array([1.0, -5.0, 1e3])[:, None, None]
    np.testing.assert_allclose(
        radial_power_spectrum(moved, window=window).power,
        radial_power_spectrum(images, window=window).power,
        rtol=1e-9,
    )


def test_shifts_and_order_change_nothing():
    images = noise(6, 10, 14, 3)
    _, power = radial_power_spectrum(images)
    for other in (
        np.roll(images, (3, 5), (1, 2)),
        images[::-1],
        np.tile(images, (2, 1, 1, 1)),
    ):
        np.testing.assert_allclose(radial_power_spectrum(other).power, power)


def test_luma_of_three_equal_channels_is_gray():
    gray = noise(3, 8, 8)
    _, power = radial_power_spectrum(gray)
    colours = np.repeat(gray[..., None], 3, axis=3)
    np.testing.assert_allclose(radial_power_spectrum(colours).power, power)
    np.testing.assert_allclose(radial_power_spectrum(gray[..., None]).power, power)


def test_luma_is_bt_601():
    images = noise(3, 8, 8, 3)
    luma = 0.299 * images[..., 0] + 0.587 * images[..., 1] + 0.114 * images[..., 2]
    np.testing.assert_allclose(
        radial_power_spectrum(images).power, radial_power_spectrum(luma).power
    )


def test_separate_channels_are_gray_images():
    images = noise(3, 8, 10, 4)
    _, power = radial_power_spectrum(images, channels="separate")
    assert power.shape == (4, 4)
    for c in range(4):
        expected = radial_power_spectrum(images[..., c]).power
        np.testing.assert_allclose(power[c], expected)


def test_batches_do_not_show(monkeypatch):
    from skspectral.metrics import _images

    images = pixels(7, 12, 12, 3)
    whole = (
        radial_power_spectrum(images).power,
        *mean_spectrum_distance(images, images[:3]),
    )
    monkeypatch.setattr(_images, "_BATCH_VALUES", 2 * images[0].size)
    parts = (
        radial_power_spectrum(images).power,
        *mean_spectrum_distance(images, images[:3]),
    )
    np.testing.assert_allclose(parts[0], whole[0])
    np.testing.assert_allclose(parts[1:], whole[1:])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_types_keep_their_scale(dtype):
    images = pixels(3, 8, 8).astype(dtype)
    np.testing.assert_allclose(
        radial_power_spectrum(images).power,
        radial_power_spectrum(images.astype(np.float64)).power,
    )


def test_tensors_are_images():
    images = noise(3, 8, 8)
    np.testing.assert_array_equal(
        radial_power_spectrum(torch.tensor(images)).power,
        radial_power_spectrum(images).power,
    )


# Distance of rings


@pytest.mark.parametrize("gain", [0.1, 0.9, 7.0])
def test_gain_is_its_decibels(gain):
    images = noise(5, 12, 12, 3)
    for options in ({}, {"channels": "separate"}, {"window": "hann"}):
        distance = radial_spectrum_distance(images, gain * images, **options)
        assert distance == pytest.approx(abs(20 * math.log10(gain)))


def test_distance_is_the_mean_square_over_rings():
    real, generated = noise(5, 9, 12), np.cumsum(noise(7, 9, 12, seed=1), axis=1)
    ratio = radial_power_spectrum(generated).power / radial_power_spectrum(real).power
    expected = np.sqrt(np.mean((10 * np.log10(ratio)) ** 2))
    assert radial_spectrum_distance(real, generated) == pytest.approx(expected)
    assert radial_spectrum_distance(generated, real) == pytest.approx(expected)
    assert radial_spectrum_distance(real, real) == 0


def test_missing_frequencies_are_not_infinitely_far():
    real = noise(5, 16, 16)
    blank = np.zeros_like(real)
    peak = radial_power_spectrum(real).power
    level = 60 + 10 * np.log10(peak / peak.max())
    found = radial_spectrum_distance(real, blank, dynamic_range=60)
    assert found == pytest.approx(np.sqrt(np.mean(level**2)))


def test_checkerboard_is_in_the_corner():
    """Which is why the corners are on offer."""
    real = noise(20, 16, 16)
    y, x = np.mgrid[:16, :16]
    generated = real + 3 * (-1.0) ** (y + x)
    assert radial_spectrum_distance(real, generated) < 1e-6
    assert radial_spectrum_distance(real, generated, corners=True) > 5


def test_random_phases_are_not_noticed():
    """As the docstring warns."""
    real = np.cumsum(np.cumsum(noise(10, 16, 16), axis=1), axis=2)
    phases = np.exp(1j * np.angle(np.fft.rfft2(noise(10, 16, 16, seed=1))))
    scrambled = np.fft.irfft2(np.abs(np.fft.rfft2(real)) * phases, s=(16, 16))
    assert np.abs(real - scrambled).max() > 1
    assert radial_spectrum_distance(real, scrambled) == pytest.approx(0, abs=1e-6)


# Mean spectra


def stretched_spectra(images, data_range):
    """One image after the other, over the whole plane, as published."""
    spectra = []
    for image in images.astype(float) / data_range:
        planes = image[..., None] if image.ndim == 2 else image
        magnitudes = [
            np.fft.fftshift(np.log(1 + np.abs(np.fft.fft2(planes[..., c]))))
            for c in range(planes.shape[2])
        ]
        stack = np.stack(magnitudes)
        spectra.append((stack - stack.min()) / (stack.max() - stack.min()))
    return np.stack(spectra)


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (8, 6, 3), (5, 5, 2)])
@pytest.mark.parametrize("scale", [255, 1.0])
def test_mean_spectrum_distance_is_its_formula(shape, scale):
    real = pixels(9, *shape) / (255 / scale)
    generated = pixels(6, *shape, seed=1)[:, ::-1] / (255 / scale) / 2
    a, b = stretched_spectra(real, scale), stretched_spectra(generated, scale)
    squares = (255 * a.mean(0) - 255 * b.mean(0)) ** 2
    floor = 255**2 * a.var(axis=0, ddof=1).sum() * (1 / 9 + 1 / 6)
    found = mean_spectrum_distance(real, generated, data_range=scale)
    assert found.distance == pytest.approx(math.log(1 + squares.sum()))
    assert found.floor == pytest.approx(math.log(1 + floor))


def test_bytes_are_0_to_255():
    real, generated = pixels(5, 8, 8), pixels(5, 8, 8, seed=1)
    np.testing.assert_allclose(
        mean_spectrum_distance(real, generated),
        mean_spectrum_distance(real / 255, generated / 255, data_range=1.0),
    )


def test_floor_is_what_real_images_are_apart():
    """Over random splits of one set, of different sizes."""
    images = pixels(90, 8, 8)
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(150):
        order = rng.permutation(90)
        result = mean_spectrum_distance(images[order[:30]], images[order[30:]])
        found.append(math.expm1(result.distance))
        expected.append(math.expm1(result.floor))
    error = np.std(found) / math.sqrt(len(found))
    assert error < 0.05 * np.mean(found)
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=4 * error)


def test_a_filter_reaches_the_floor():
    """As the docstring says: real images with gains per bin, undone in closed form."""
    size = 16
    real = pixels(500, size, size) / 255
    gain = 1 + 0.8 * np.cos(np.arange(size // 2 + 1))
    fake = np.fft.irfft2(np.fft.rfft2(real[250:]) * gain, s=(size, size))
    logs = [
        np.log(np.abs(np.fft.rfft2(part))).mean(0) for part in (real[:200], fake[:200])
    ]
    repaired = np.fft.irfft2(
        np.fft.rfft2(fake[200:]) * np.exp(logs[0] - logs[1]), s=(size, size)
    )
    held_out = real[200:250]
    before, floor = mean_spectrum_distance(held_out, fake[200:], data_range=1.0)
    after, _ = mean_spectrum_distance(held_out, repaired, data_range=1.0)
    assert before > floor + 1.5
    assert after < floor + 0.5


def test_mean_spectra_have_no_order_and_no_place():
    real, generated = pixels(6, 8, 8, 3), pixels(5, 8, 8, 3, seed=1)
    result = mean_spectrum_distance(real, generated)
    moved = np.roll(real[::-1], (2, 3), (1, 2))
    np.testing.assert_allclose(mean_spectrum_distance(moved, generated), result)
    assert mean_spectrum_distance(real, real).distance == 0
    assert mean_spectrum_distance(real, moved).distance < 1e-12


def test_black_images_have_a_spectrum():
    black = np.zeros((4, 8, 8), np.uint8)
    assert tuple(mean_spectrum_distance(black, black)) == (0, 0)


# Short-time spectra


def torch_magnitudes(rows, n_fft, hop, window):
    spectra = torch.stft(
        torch.tensor(rows),
        n_fft,
        hop,
        window,
        torch.hann_window(window, dtype=torch.float64),
        return_complex=True,
    )
    return spectra.abs().numpy()


FRAMES = [(64, 16, 64), (64, 10, 40), (32, 32, 32)]


@pytest.mark.parametrize(("n_fft", "hop", "window"), FRAMES)
@pytest.mark.parametrize("length", [64, 203, 256])
def test_signal_metrics_are_their_formulas_on_torchs_spectra(
    n_fft, hop, window, length
):
    X, Y = noise(4, length), np.cumsum(noise(4, length, seed=1), axis=1)
    S, R = (torch_magnitudes(rows, n_fft, hop, window) for rows in (X, Y))
    frames = {"n_fft": n_fft, "hop": hop, "window": window}

    decibels = 20 * np.log10(S / R)
    expected = np.mean([[math.sqrt((f**2).mean()) for f in row.T] for row in decibels])
    found = log_spectral_distance(X, Y, **frames, dynamic_range=400)
    assert found == pytest.approx(expected)

    norms = [
        np.linalg.norm(s - r) / np.linalg.norm(s) for s, r in zip(S, R, strict=True)
    ]
    assert spectral_convergence(X, Y, **frames) == pytest.approx(np.mean(norms))

    logarithms = np.abs(np.log(np.maximum(S, 1e-3)) - np.log(np.maximum(R, 1e-3)))
    found = multi_resolution_stft_distance(
        X, Y, resolutions=[(n_fft, hop, window)], eps=1e-6
    )
    assert found == pytest.approx(np.mean(norms) + logarithms.mean())


def test_defaults_of_frames():
    X, Y = noise(3, 600), noise(3, 600, seed=1)
    for metric in (log_spectral_distance, spectral_convergence):
        assert metric(X, Y) == metric(X, Y, n_fft=512, hop=128, window=512)
        assert metric(X, Y, window=100) == metric(X, Y, hop=25, window=100)


def test_multi_resolution_is_the_mean_over_what_fits():
    X, Y = noise(2, 1300), noise(2, 1300, seed=1)
    resolutions = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
    parts = [multi_resolution_stft_distance(X, Y, resolutions=[r]) for r in resolutions]
    assert multi_resolution_stft_distance(X, Y) == pytest.approx(np.mean(parts))
    X, Y = X[:, :599], Y[:, :599]
    shortest = multi_resolution_stft_distance(X, Y, resolutions=resolutions[2:])
    assert multi_resolution_stft_distance(X, Y) == shortest


def test_gain_of_signals():
    X = noise(5, 300)
    for gain in (0.1, 1.5, 10):
        found = log_spectral_distance(X, gain * X, n_fft=64, dynamic_range=300)
        assert found == pytest.approx(abs(20 * math.log10(gain)))
        found = spectral_convergence(X, gain * X, n_fft=64)
        assert found == pytest.approx(abs(1 - gain))


def test_equal_signals_and_signs():
    X = noise(5, 300)
    for metric in (log_spectral_distance, spectral_convergence):
        assert metric(X, X, n_fft=64) == 0
        assert metric(X, -X, n_fft=64) == 0
    assert multi_resolution_stft_distance(X, -X) == 0


def test_common_scale_of_signals():
    X, Y = noise(5, 300), noise(5, 300, seed=1)
    for metric in (log_spectral_distance, spectral_convergence):
        assert metric(99 * X, 99 * Y, n_fft=64) == pytest.approx(metric(X, Y, n_fft=64))


def test_symmetry_of_signals():
    X, Y = noise(5, 300), 2 * noise(5, 300, seed=1)
    there, back = (log_spectral_distance(*pair, n_fft=64) for pair in ((X, Y), (Y, X)))
    assert there == pytest.approx(back)
    there, back = (spectral_convergence(*pair, n_fft=64) for pair in ((X, Y), (Y, X)))
    assert there > back


def test_silence_is_the_dynamic_range_away():
    X = noise(3, 300)
    silence = np.zeros_like(X)
    assert 0 < log_spectral_distance(X, silence, n_fft=64, dynamic_range=50) < 50
    assert log_spectral_distance(silence, silence, n_fft=64) == 0
    assert spectral_convergence(X, silence, n_fft=64) == pytest.approx(1)


def test_signals_are_averaged(monkeypatch):
    from skspectral.metrics import _images

    X, Y = noise(6, 300), 3 * noise(6, 300, seed=1)
    metrics = [
        lambda X, Y: log_spectral_distance(X, Y, n_fft=64),
        lambda X, Y: spectral_convergence(X, Y, n_fft=64),
        multi_resolution_stft_distance,
    ]
    for metric in metrics:
        alone = np.mean([metric(X[i : i + 1], Y[i : i + 1]) for i in range(6)])
        assert metric(X, Y) == pytest.approx(alone)
        assert metric(X[::-1], Y[::-1]) == pytest.approx(alone)
        with monkeypatch.context() as context:
            context.setattr(_images, "_BATCH_VALUES", 1)
            assert metric(X, Y) == pytest.approx(alone)


# What is refused, and left alone


IMAGE_SETS = [radial_spectrum_distance, mean_spectrum_distance]
SIGNAL_PAIRS = [
    log_spectral_distance,
    spectral_convergence,
    multi_resolution_stft_distance,
]


@pytest.mark.parametrize("metric", IMAGE_SETS)
def test_bad_images(metric):
    images = pixels(4, 8, 8)
    broken = images.astype(float)
    broken[1, 2, 3] = np.nan
    for bad, match in [
        (images[0], r"shape \(8, 8\)"),
        (images[:0], "at least one sample"),
        (images.astype(complex), "complex128"),
        (images.astype(str), "dtype <U"),
        (broken, "NaN"),
        (np.full_like(broken, np.inf), "infinity"),
    ]:
        with pytest.raises(ValueError, match=match):
            metric(bad, images)
        with pytest.raises(ValueError, match=match):
            metric(images, bad)
    with pytest.raises(
        ValueError, match=r"\(4, 8, 8, 1\) and images_generated .* \(4, 8, 7"
    ):
        metric(images, images[:, :, :7])


@pytest.mark.parametrize("metric", SIGNAL_PAIRS)
def test_bad_signals(metric):
    X = noise(3, 600)
    broken = X.copy()
    broken[1, 2] = np.inf
    for bad, match in [
        (X[0], "X has shape"),
        (X[:, :, None], r"signals must have shape \(n, length\)"),
        (broken, "X contains infinity"),
    ]:
        with pytest.raises(ValueError, match=match):
            metric(bad, X)
    with pytest.raises(
        ValueError, match=r"\(3, 600\) and X_reconstructed .* \(2, 600\)"
    ):
        metric(X, X[:2])


def test_images_without_rings_or_luma():
    with pytest.raises(ValueError, match="1 x 8 pixels have no rings"):
        radial_power_spectrum(noise(3, 1, 8))
    with pytest.raises(ValueError, match="images have 4"):
        radial_power_spectrum(noise(3, 8, 8, 4))
    for options in ({"window": "flat"}, {"channels": "red"}, {"corners": 2}):
        with pytest.raises(ValueError, match=next(iter(options))):
            radial_power_spectrum(noise(3, 8, 8), **options)


@pytest.mark.parametrize("value", [0.0, 0.1, 255.0])
def test_constant_images_have_no_spectrum(value):
    with pytest.raises(ValueError, match="images_real have no power"):
        radial_spectrum_distance(np.full((3, 8, 8), value), noise(3, 8, 8))


def test_range_and_number_of_images():
    images = pixels(3, 8, 8)
    with pytest.raises(ValueError, match=r"data_range=None.*float64"):
        mean_spectrum_distance(images, images.astype(float))
    with pytest.raises(ValueError, match="data_range"):
        mean_spectrum_distance(images, images, data_range=0)
    with pytest.raises(ValueError, match="images_real has 1 image"):
        mean_spectrum_distance(images[:1], images)
    assert mean_spectrum_distance(images, images[:1]).distance > 0


def test_frames_that_do_not_fit():
    X = noise(3, 100)
    for metric in (log_spectral_distance, spectral_convergence):
        for options, match in [
            ({}, "n_fft=512 is longer than the signals, which have 100"),
            ({"window": 101}, "window=101 .* Pass window<=100"),
            ({"n_fft": 64, "window": 65}, "n_fft>=65"),
            ({"n_fft": 64, "hop": 65}, "hop=65 .* Pass hop<=64"),
            ({"n_fft": 64, "hop": 0}, "hop"),
            ({"n_fft": 64.0}, "n_fft"),
        ]:
            with pytest.raises(ValueError, match=match):
                metric(X, X, **options)
    for resolutions, match in [
        (None, "resolutions=None .* 240 .* at most 100"),
        ([], "resolutions is empty"),
        ([(64, 16)], "triples"),
        ([(64, 16, 1.5)], "triples"),
        ([(64, 0, 32)], "triples"),
        ([(128, 16, 128)], "window=128"),
    ]:
        with pytest.raises(ValueError, match=match):
            multi_resolution_stft_distance(X, X, resolutions=resolutions)


def test_silence_has_no_relative_error():
    X = noise(3, 300)
    X[1] = 0
    for metric in (
        lambda X: spectral_convergence(X, X, n_fft=64),
        lambda X: multi_resolution_stft_distance(X, X),
    ):
        with pytest.raises(ValueError, match="silent"):
            metric(X)


def test_input_stays_as_it_is():
    images, signals = pixels(4, 12, 12, 3) / 255, noise(4, 300)
    signals.flags.writeable = images.flags.writeable = False
    radial_spectrum_distance(images, images, window="hann")
    mean_spectrum_distance(images, images, data_range=1.0)
    log_spectral_distance(signals, signals, n_fft=64)
    multi_resolution_stft_distance(signals, signals)
