"""Whole recordings: posterior of a window, reconstruction, pieces, files, bad input."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from scipy.linalg import toeplitz
from scipy.signal import lfilter
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import make_tones
from skspectral.priors import GaussianMixture
from skspectral.restoration import recordings, signal_restorer
from skspectral.restoration.signal_noise import (
    WindowPrior,
    autocovariance,
    extended,
    nearly_stationary,
    noise_covariance,
    taper,
)
from skspectral.restoration.signal_restorer import SignalRestorer

LENGTH = 32
SMALL = {"window_length": LENGTH, "n_windows": 1500, "n_spectra": 8, "random_state": 0}


@pytest.fixture(scope="module")
def tones():
    return make_tones(40, 1000, sampling_rate=4000, noise=0.001, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(tones):
    return SignalRestorer(**SMALL).fit(tones[:30])


def coloured(n, seed=0):
    """Return noise of low frequencies."""
    return lfilter([0.1], [1, -0.95], np.random.default_rng(seed).normal(size=n))


def error(x, y):
    return np.sqrt(((x - y) ** 2).mean())


def a_prior(size=6, n_parts=3, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_parts, size, 2 * size))
    covariances = roots @ roots.swapaxes(1, 2) / (2 * size)
    weights = rng.dirichlet(np.ones(n_parts))
    return WindowPrior.of(weights, covariances, torch.device("cpu"))


@pytest.mark.parametrize("kind", ["white", "coloured"])
def test_posterior_of_a_window_is_that_of_dense_gaussians(kind):
    prior = a_prior()
    R = np.eye(6) if kind == "white" else toeplitz(0.8 ** np.arange(6.0))
    levels = np.array([0.5, 1.0, 2.0])
    Y = np.random.default_rng(1).normal(size=(4, 6))
    posterior = prior.given_noise(None if kind == "white" else R)
    means, variances = posterior.posterior(Y, levels, True)
    for y, mean, variance in zip(Y, means, variances, strict=True):
        joint, first, second = [], [], []
        for weight, C in zip(prior.weights, prior.covariances.numpy(), strict=True):
            for level in levels:
                S = level**2 * C
                gain = S @ np.linalg.inv(S + R)
                joint.append(weight * multivariate_normal.pdf(y, np.zeros(6), S + R))
                first.append(gain @ y)
                second.append(np.diag(S - gain @ S) + first[-1] ** 2)
        p = np.array(joint) / np.sum(joint)
        np.testing.assert_allclose(mean, p @ first, atol=2e-4)
        expected = p @ second - (p @ first) ** 2
        np.testing.assert_allclose(variance, expected, atol=1e-3)


def test_filled_samples_are_the_mean_over_all_levels():
    prior = a_prior()
    y, observed = np.array([0.3, -1.0, 0.5, 0.8]), np.array([1, 1, 0, 1, 0, 1], bool)
    mean, variance = prior.fill(y, observed, np.zeros((6, 6)))
    levels = np.geomspace(1e-2, 1e3, 4000)
    total, first, second = 0.0, 0.0, 0.0
    for weight, C in zip(prior.weights, prior.covariances.numpy(), strict=True):
        S = C[np.ix_(observed, observed)]
        gain = C[np.ix_(~observed, observed)] @ np.linalg.inv(S)
        rest = np.diag(C[np.ix_(~observed, ~observed)] - gain @ S @ gain.T)
        maha = y @ np.linalg.solve(S, y)
        p = levels**-4.0 * np.exp(-maha / levels**2 / 2) / np.linalg.det(S) ** 0.5
        p = float(weight) * p
        total += p.sum()
        first += p.sum() * (gain @ y)
        second += p.sum() * (gain @ y) ** 2 + (p * levels**2).sum() * rest
    np.testing.assert_allclose(mean, first / total, rtol=1e-3)
    np.testing.assert_allclose(
        variance, second / total - (first / total) ** 2, rtol=5e-3
    )


def test_autocovariance_is_that_of_all_products():
    parts = [coloured(50), coloured(7, seed=1)]
    found = autocovariance(parts, 10)
    expected = [
        sum((part[: max(len(part) - lag, 0)] * part[lag:]).sum() for part in parts) / 57
        for lag in range(10)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.linalg.eigvalsh(noise_covariance(found)).min() > 0


def test_extended_autocovariance_is_that_of_the_process():
    response = lfilter([1.0], [1.0, -1.2, 0.8], np.eye(1, 400)[0])
    lags = autocovariance([response], 20)
    np.testing.assert_allclose(extended(lags[:3], 20), lags, atol=1e-9)
    geometric = 0.9 ** np.arange(20.0)
    np.testing.assert_allclose(extended(geometric[:4], 20), geometric)
    np.testing.assert_array_equal(extended(geometric, 5), geometric[:5])


def test_covariance_of_noise_without_high_frequencies_is_positive_definite():
    covariance = noise_covariance(np.ones(20))
    assert np.linalg.eigvalsh(covariance).min() > 0
    np.testing.assert_allclose(covariance, 1.0, rtol=1e-6)


def test_shrinkage_keeps_stationary_covariances():
    stationary = toeplitz(0.7 ** np.arange(8.0))
    np.testing.assert_allclose(nearly_stationary(stationary[None], 0.5)[0], stationary)
    diagonal = np.diag(np.arange(1.0, 9.0))[None]
    shrunk = nearly_stationary(diagonal, 1.0)[0]
    np.testing.assert_allclose(shrunk, 4.5 * np.eye(8), atol=1e-12)


@pytest.mark.parametrize(("size", "hop"), [(8, 2), (9, 4), (10, 3), (8, 1)])
def test_weights_of_windows_add_to_one(size, hop):
    total = np.zeros(10 * size)
    for start in range(0, 9 * size, hop):
        total[start : start + size] += taper(size, hop)
    np.testing.assert_allclose(total[size : 8 * size], 1.0)


@pytest.mark.parametrize("n", [1, 5, LENGTH - 1, LENGTH, LENGTH + 3, 500])
def test_recording_comes_back_if_there_is_no_noise(fitted, tones, n):
    x = tones[35, :n] + 0.1
    np.testing.assert_array_equal(fitted.denoise(x, 0.0), x)
    restored = fitted.denoise(x, 1e-7 * np.abs(x).max())
    np.testing.assert_allclose(restored, x, atol=1e-6 * np.abs(x).max())


def test_noise_is_removed(fitted, tones):
    x = tones[36]
    noisy = x + 0.05 * np.random.default_rng(0).normal(size=len(x))
    restored, std = fitted.denoise(noisy, return_std=True)
    assert error(restored, x) < 0.6 * error(noisy, x)
    assert restored.shape == std.shape == x.shape
    predicted = np.sqrt((std**2).mean())
    assert 0.7 * error(restored, x) < predicted < 1.5 * error(restored, x)
    np.testing.assert_allclose(restored, fitted.denoise(noisy))


def test_learned_noise_is_removed_better_than_white_noise(tones):
    x, noise = tones[37], coloured(9000)
    noisy = x + noise[: len(x)]
    restorer = SignalRestorer(**SMALL).fit_noise(noise[len(x) :]).fit(tones[:30])
    known = error(restorer.denoise(noisy), x)
    assert known < 0.7 * error(restorer.denoise(noisy, noise.std()), x)
    assert known < 0.5 * error(noisy, x)
    expected = 0.01 / (1 - 0.95**2) * 0.95 ** np.arange(LENGTH)
    found = restorer.noise_autocovariance_
    assert np.abs(found - expected).max() < 0.15 * expected[0]
    assert restorer.noise_covariance_.shape == (LENGTH, LENGTH)


def test_result_follows_the_units(fitted, tones):
    noisy = tones[35] + 0.05 * np.random.default_rng(0).normal(size=1000)
    np.testing.assert_allclose(
        fitted.denoise(7.3 * noisy, 7.3 * 0.05), 7.3 * fitted.denoise(noisy, 0.05)
    )


def test_pieces_are_the_parts_of_the_whole(fitted, tones, monkeypatch):
    noisy = tones[35] + 0.05 * np.random.default_rng(0).normal(size=1000)
    whole = fitted.denoise(noisy, 0.05, return_std=True)
    for size in (1, 7):
        monkeypatch.setattr(signal_restorer, "_BLOCK", size)
        monkeypatch.setattr(recordings, "_AT_ONCE", 100)
        pieces = fitted.denoise(noisy, 0.05, return_std=True)
        np.testing.assert_allclose(pieces, whole, rtol=1e-9, atol=1e-12)


def test_types_are_kept_and_the_input_is_not_changed(fitted, tones):
    x = np.stack([tones[35], tones[36]], axis=1)
    x += 0.02 * np.random.default_rng(0).normal(size=x.shape)
    before = x.copy()
    both = fitted.denoise(x, 0.02)
    np.testing.assert_allclose(both[:, 1], fitted.denoise(x[:, 1], 0.02))
    np.testing.assert_array_equal(x, before)
    assert fitted.denoise(x.astype(np.float32), 0.02).dtype == np.float32
    integers = np.rint(32768 * x.clip(-0.9, 0.9)).astype(np.int16)
    restored = fitted.denoise(integers, 0.02)
    assert restored.dtype == np.int16
    expected = fitted.denoise(integers / 32768, 0.02) * 32768
    assert np.abs(restored - expected).max() <= 0.5 + 1e-6
    bytes_ = np.rint(128 + 100 * x.clip(-1, 1)).astype(np.uint8)
    assert fitted.denoise(bytes_, 0.02).dtype == np.uint8
    full = np.full(100, 32767, np.int16)
    np.testing.assert_array_equal(fitted.denoise(full), full)
    zeros = np.zeros(50)
    np.testing.assert_array_equal(fitted.denoise(zeros), zeros)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64]
)
def test_file_is_denoised_like_the_array(fitted, tones, tmp_path, dtype, monkeypatch):
    x = np.stack([tones[35], tones[36]], axis=1)
    x += 0.02 * np.random.default_rng(0).normal(size=x.shape)
    if np.issubdtype(dtype, np.integer):
        half = 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
        x = np.rint(half * (x / 2 + (dtype == np.uint8)))
    x = x.astype(dtype)
    wavfile.write(tmp_path / "in.wav", 4000, x)
    expected = fitted.denoise(x, 0.02)
    monkeypatch.setattr(signal_restorer, "_BLOCK", 13)
    fitted.denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", 0.02)
    rate, found = wavfile.read(tmp_path / "out.wav")
    assert rate == 4000
    assert found.dtype == x.dtype
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav"]
    largest = np.abs(expected.astype(float)).max()
    np.testing.assert_allclose(found.astype(float), expected, atol=1e-6 * largest + 1)
    with pytest.raises(ValueError, match="is the file of path_in"):
        fitted.denoise_file(tmp_path / "in.wav", tmp_path / "in.wav")


def test_gaps_are_filled(fitted, tones):
    x = tones[38]
    gap = np.zeros(len(x), bool)
    for start, length in ((100, 1), (300, 4), (310, 2), (600, 9), (990, 10)):
        gap[start : start + length] = True
    clicks = np.where(gap, 5.0, x)
    filled, std = fitted.inpaint(clicks, gap, return_std=True)
    np.testing.assert_array_equal(filled[~gap], x[~gap])
    np.testing.assert_array_equal(std > 0, gap)
    linear = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), x[~gap])
    assert error(filled[gap], x[gap]) < 0.5 * error(linear, x[gap])
    np.testing.assert_array_equal(fitted.inpaint(np.where(gap, np.nan, x)), filled)
    masked = np.ma.masked_array(clicks, gap)
    np.testing.assert_array_equal(fitted.inpaint(masked), filled)
    np.testing.assert_array_equal(fitted.inpaint(x), x)
    integers = np.rint(20000 * x).astype(np.int16)
    assert fitted.inpaint(integers, gap).dtype == np.int16
    noisy = x + 0.02 * np.random.default_rng(0).normal(size=x.shape)
    aware, unaware = (fitted.inpaint(noisy, gap, sigma)[gap] for sigma in (0.02, 0.0))
    assert error(aware, x[gap]) < error(unaware, x[gap])


def test_long_gaps_and_short_recordings_are_filled(fitted, tones):
    x = np.stack([tones[38], tones[39]], axis=1)
    gap = np.zeros(len(x), bool)
    gap[200 : 200 + 4 * LENGTH] = True
    filled, std = fitted.inpaint(x, gap, return_std=True)
    assert np.isfinite(filled).all()
    assert np.isfinite(std).all()
    assert np.abs(filled[gap]).max() < 3 * np.abs(x).max()
    short = fitted.inpaint([0.5, np.nan, 0.4])
    assert 0.2 < short[1] < 0.8


def test_learned_noise_is_used_for_gaps(tones):
    x, noise = tones[37], coloured(9000)
    noisy = x + noise[: len(x)]
    gap = np.zeros(len(x), bool)
    gap[500:505] = True
    restorer = SignalRestorer(**SMALL).fit(tones[:30]).fit_noise(noise[1000:])
    filled = restorer.inpaint(noisy, gap, None)
    np.testing.assert_array_equal(filled[~gap], noisy[~gap])
    assert not np.array_equal(filled, restorer.inpaint(noisy, gap))


def test_fit_takes_recordings_in_all_forms(tones, tmp_path):
    integers = np.rint(32768 * tones[:4].clip(-0.9, 0.9)).astype(np.int16)
    for i, x in enumerate(integers):
        wavfile.write(tmp_path / f"{i}.wav", 4000, x)
    forms = (
        integers,
        list(integers),
        tmp_path,
        sorted(tmp_path.iterdir()),
        integers / 32768,
    )
    fits = [SignalRestorer(**SMALL).fit(form).covariances_ for form in forms]
    for other in fits[1:]:
        np.testing.assert_allclose(other, fits[0], atol=1e-10)
    one = SignalRestorer(**SMALL).fit(tones[0])
    assert one.n_windows_ == 1500
    stereo = SignalRestorer(**SMALL).fit([tones[:2].T, tones[2], tones[3, :9]])
    assert stereo.covariances_.shape[1:] == (LENGTH, LENGTH)
    wavfile.write(tmp_path / "other.wav", 8000, integers[0])
    with pytest.raises(ValueError, match="several sampling rates"):
        SignalRestorer(**SMALL).fit(tmp_path)


def test_estimator_of_the_user_is_cloned_and_used(tones):
    model = SpectralDictionaryLearning(
        20, modulation=None, prior=GaussianMixture(3, tol=0.1)
    )
    restorer = SignalRestorer(model, **SMALL).fit(tones[:30])
    assert not hasattr(model, "prior_")
    assert restorer.covariances_.shape == (3, LENGTH, LENGTH)
    x = tones[36]
    noisy = x + 0.05 * np.random.default_rng(0).normal(size=len(x))
    assert error(restorer.denoise(noisy, 0.05), x) < 0.7 * error(noisy, x)


def test_prior_without_gaussians_is_refused(tones):
    model = SpectralDictionaryLearning(4, modulation=None, prior=KernelDensity())
    with pytest.raises(TypeError, match=r"SignalRestorer needs a prior.*KernelDensity"):
        SignalRestorer(model, **SMALL).fit(tones)


def test_fits_are_repeatable_and_can_be_stored(fitted, tones):
    again = clone(fitted).fit(tones[:30])
    noisy = tones[36] + 0.05 * np.random.default_rng(0).normal(size=1000)
    restored = fitted.denoise(noisy, 0.05)
    np.testing.assert_allclose(again.denoise(noisy, 0.05), restored)
    stored = pickle.dumps(fitted)
    assert len(stored) < 2 * len(pickle.dumps(again.estimator_)) + 1e6
    loaded = pickle.loads(stored)
    np.testing.assert_allclose(loaded.denoise(noisy, 0.05), restored)
    public = [value for name, value in vars(fitted).items() if name.endswith("_")]
    assert not any(isinstance(value, torch.Tensor) for value in public)


def test_skops_can_store_a_fit(fitted, tones):
    skops = pytest.importorskip("skops.io")
    stored = skops.dumps(fitted)
    unknown = skops.get_untrusted_types(data=stored)
    assert all(name.startswith(("skspectral", "numpy", "torch")) for name in unknown)
    loaded = skops.loads(stored, trusted=unknown)
    np.testing.assert_allclose(
        loaded.denoise(tones[35], 0.05), fitted.denoise(tones[35], 0.05)
    )


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ([], "has no samples"),
        ([1.0, np.nan, 2.0], "has NaN"),
        ([1.0, np.inf, 2.0], "infinite"),
        (np.zeros((2, 50)), "more channels than samples"),
        (np.zeros((2, 2, 2)), "must have the shape"),
        (["a"], "real numbers"),
        ([1 + 1j], "real numbers"),
        ([0.5, 0.2], "cannot be estimated"),
    ],
)
def test_bad_recordings_are_refused(fitted, recording, message):
    with pytest.raises(ValueError, match=message):
        fitted.denoise(recording)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf, [0.1, 0.2]])
def test_bad_sigma_is_refused(fitted, tones, sigma):
    with pytest.raises(ValueError, match="sigma="):
        fitted.denoise(tones[0], sigma)


def test_bad_masks_are_refused(fitted, tones):
    with pytest.raises(ValueError, match="mask of shape"):
        fitted.inpaint(tones[0], np.ones(10, bool))
    with pytest.raises(ValueError, match="mask of shape"):
        fitted.inpaint(tones[0], np.ones(1000))
    with pytest.raises(ValueError, match="no observed samples"):
        fitted.inpaint(tones[0], np.ones(1000, bool))


@pytest.mark.parametrize(
    ("params", "recordings", "message"),
    [
        ({"hop": LENGTH}, np.ones(100), "at most half"),
        ({"window_length": 2}, np.ones(100), "window_length"),
        ({"window_length": 200}, np.ones(100), "window_length=200 is longer"),
        ({}, np.zeros(100), "have no signal"),
        ({}, np.full(100, np.nan), "have no signal"),
        ({}, [], "is empty"),
        ({}, np.ones((2, 2, 100)), "must have the shape"),
        ({}, [np.full(100, np.inf)], "infinite"),
        ({"device": "nowhere"}, np.ones(100), "device"),
    ],
)
def test_bad_fits_are_refused(params, recordings, message):
    with pytest.raises(ValueError, match=message):
        SignalRestorer(**SMALL | params).fit(recordings)


def test_bad_noise_and_files_are_refused(fitted, tmp_path):
    with pytest.raises(ValueError, match="has no noise"):
        clone(fitted).fit_noise(np.zeros(100))
    with pytest.raises(ValueError, match="has NaN"):
        clone(fitted).fit_noise([0.1, np.nan])
    with pytest.raises(FileNotFoundError):
        fitted.denoise_file(tmp_path / "none.wav", tmp_path / "out.wav")
    with pytest.raises(FileNotFoundError):
        clone(fitted).fit(tmp_path / "none")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ValueError, match="format"):
        fitted.denoise_file(tmp_path / "text.wav", tmp_path / "out.wav")


@pytest.mark.slow
def test_benchmark_runs():
    script = Path(__file__).parents[2] / "benchmarks" / "bench_recordings.py"
    options = "--recordings 1 --windows 500 --spectra 4 --window-length 32 --snr 5"
    command = [sys.executable, script, *options.split(), "--noises", "white", "brown"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.count("| SignalRestorer |") == 6
