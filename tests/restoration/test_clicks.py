"""Clicks in recordings: which samples are found, pieces, types, files, bad input."""

import wave

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import lfilter

from skspectral.datasets import make_tones
from skspectral.restoration import SignalRestorer, clicks, find_clicks

CLICKS = ((50, 1), (900, 3), (1400, 6), (1408, 1), (2980, 2))


@pytest.fixture(scope="module")
def signal():
    """Return a resonant process of order 4, like a vowel."""
    noise = np.random.default_rng(0).normal(size=3000)
    return 0.02 * lfilter([1], np.convolve([1, -1.6, 0.9], [1, 0.5, 0.8]), noise)


@pytest.fixture(scope="module")
def damaged(signal):
    rng = np.random.default_rng(1)
    x, true = signal.copy(), np.zeros(len(signal), bool)
    for start, length in CLICKS:
        signs = rng.choice([-1, 1], size=length)
        x[start : start + length] += signs * rng.uniform(0.5, 1.0, size=length)
        true[start : start + length] = True
    return x, true


def test_clicks_are_found_and_little_else(signal, damaged):
    x, true = damaged
    found = find_clicks(x)
    assert found[true].all()
    # One more sample on each side of a click belongs to it, at least.
    assert (found & ~true).sum() <= 5 * len(CLICKS)
    assert not find_clicks(signal).any()


def test_more_clicks_are_found_with_a_lower_threshold(damaged):
    x, _ = damaged
    counts = [find_clicks(x, threshold=t).sum() for t in (2.0, 6.0, 1000.0)]
    assert counts[0] > counts[1] > counts[2] == 0


def test_filled_clicks_are_close_to_the_signal(signal, damaged):
    x, _ = damaged
    restorer = SignalRestorer(
        window_length=32, n_windows=500, n_spectra=4, random_state=0
    ).fit([signal])
    filled = restorer.inpaint(x, find_clicks(x))
    assert np.std(filled - signal) < 0.2 * np.std(x - signal)


def test_result_does_not_depend_on_units_types_or_blocks(damaged, monkeypatch):
    x, _ = damaged
    found = find_clicks(x)
    np.testing.assert_array_equal(find_clicks(7e5 * x), found)
    np.testing.assert_array_equal(find_clicks(x.astype(np.float32)), found)
    integers = np.rint(10_000 * x).astype(np.int16)
    np.testing.assert_array_equal(find_clicks(integers), found)
    both = find_clicks(np.stack([x, x[::-1]], axis=1))
    np.testing.assert_array_equal(both[:, 0], found)
    assert both.shape == (len(x), 2)
    monkeypatch.setattr(clicks, "_AT_ONCE", 2)
    np.testing.assert_array_equal(find_clicks(x), found)


def test_missing_samples_are_no_clicks(damaged):
    x, _ = damaged
    found = find_clicks(x)
    gap = np.zeros(len(x), bool)
    gap[2000:2030] = True
    np.testing.assert_array_equal(find_clicks(np.where(gap, np.nan, x)), found)
    assert not find_clicks(np.full(100, np.nan)).any()


@pytest.mark.parametrize("n", [1, 5, 700])
def test_short_and_constant_recordings_have_no_clicks(n):
    assert not find_clicks(np.zeros(n)).any()
    assert not find_clicks(np.full(n, 0.7)).any()


@pytest.mark.parametrize(
    ("recording", "params", "message"),
    [
        ([], {}, "has no samples"),
        ([0.0, np.inf], {}, "infinite"),
        (np.zeros((2, 9, 9)), {}, "must have the shape"),
        (np.zeros(99), {"threshold": 0}, "threshold"),
        (np.zeros(99), {"order": 0}, "order"),
        (np.zeros(99), {"order": 64, "window_length": 64}, "order=64 must be less"),
    ],
)
def test_bad_input_is_refused(recording, params, message):
    with pytest.raises(ValueError, match=message):
        find_clicks(recording, **params)


@pytest.mark.parametrize("n_bits", [16, 24])
def test_file_without_clicks_is_that_of_the_arrays(tmp_path, n_bits, damaged):
    x = np.stack([damaged[0], damaged[0][::-1]], axis=1) / 4
    whole = np.rint(2.0 ** (n_bits - 1) * x).astype("<i4")
    path = tmp_path / "in.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, n_bits // 8, 8000, len(x), "NONE", ""))
        file.writeframes(whole[..., None].view(np.uint8)[..., : n_bits // 8].tobytes())
    tones, _ = make_tones(20, 500, random_state=0)
    restorer = SignalRestorer(
        window_length=32, n_windows=500, n_spectra=4, random_state=0
    ).fit(tones)
    restorer.denoise_file(path, tmp_path / "out.wav", 0.005, clicks=6.0)
    exact = whole / 2.0 ** (n_bits - 1)
    filled = restorer.inpaint(exact, find_clicks(exact), 0.005)
    expected = restorer.denoise(filled, 0.005)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.getsampwidth() == n_bits // 8
        assert file.getframerate() == 8000
    # SciPy puts 24 bits in front of a byte of zeros.
    rate, found = wavfile.read(tmp_path / "out.wav")
    scale = 2.0 ** (8 * found.itemsize - 1)
    # Filled samples are rounded once more than in memory.
    np.testing.assert_allclose(found / scale, expected, atol=4.0 / 2 ** (n_bits - 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "out.wav"]
    assert rate == 8000


def test_recordings_of_24_bits_are_learned_from(tmp_path):
    tones, _ = make_tones(2, 600, random_state=0)
    whole = np.rint(2.0**22 * tones).astype("<i4")
    for i, row in enumerate(whole):
        with wave.open(str(tmp_path / f"{i}.wav"), "wb") as file:
            file.setparams((1, 3, 4000, len(row), "NONE", ""))
            file.writeframes(row[:, None].view(np.uint8)[:, :3].tobytes())
    small = {"window_length": 16, "n_windows": 200, "n_spectra": 2, "random_state": 0}
    by_file = SignalRestorer(**small).fit(tmp_path)
    by_array = SignalRestorer(**small).fit(list(whole / 2.0**23))
    np.testing.assert_allclose(by_file.covariances_, by_array.covariances_, rtol=1e-9)
