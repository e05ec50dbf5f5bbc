"""Windows of signals: cut, made, and read."""

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from scipy.io import wavfile

from skspectral.datasets import cut_windows, load_eeg, load_recordings, make_tones


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    length=st.integers(1, 12),
    hop=st.none() | st.integers(1, 15),
)
def test_windows_are_those_of_a_loop(sizes, length, hop):
    signals = [100.0 * i + np.arange(size) for i, size in enumerate(sizes)]
    expected = [
        signal[start : start + length]
        for signal in signals
        for start in range(0, len(signal) - length + 1, hop or length)
    ]
    if expected:
        np.testing.assert_array_equal(cut_windows(signals, length, hop), expected)
    else:
        with pytest.raises(ValueError, match=f"the longest of {len(sizes)} has"):
            cut_windows(signals, length, hop)


def test_one_signal_a_list_and_a_matrix():
    matrix = np.arange(24.0).reshape(2, 12)
    of_rows = cut_windows(matrix, 4)
    assert of_rows.shape == (6, 4)
    np.testing.assert_array_equal(cut_windows(list(matrix), 4), of_rows)
    np.testing.assert_array_equal(cut_windows(matrix[0], 4), of_rows[:3])
    np.testing.assert_array_equal(cut_windows(matrix[0].tolist(), 4), of_rows[:3])


def test_windows_are_a_copy_in_a_floating_dtype():
    signal = np.arange(10, dtype=np.float32)
    windows = cut_windows(signal, 3, 1)
    assert windows.dtype == np.float32
    windows[:] = -1
    np.testing.assert_array_equal(signal, np.arange(10))
    assert cut_windows(signal.astype(np.int16), 3).dtype == np.float64
    assert cut_windows([signal, signal.astype(np.float64)], 3).dtype == np.float64
    # A signal that gives no window still has a say: the dtype is not that of chance.
    assert cut_windows([signal, np.zeros(1)], 3).dtype == np.float64


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1.0, 2.0], 0), "length=0 must be at least 1"),
        (([1.0, 2.0], 1, -2), "hop=-2 must be at least 1"),
        (([1.0, 2.0], 3), "length=3 is longer than every signal: .* has 2 samples"),
        (([], 3), "length=3 is longer than every signal"),
        (([np.zeros(4), np.zeros((4, 2))], 3), r"signals\[1\] has the shape \(4, 2\)"),
    ],
)
def test_bad_cuts(args, message):
    with pytest.raises(ValueError, match=message):
        cut_windows(*args)


@pytest.mark.parametrize("rate", [8000.0, 44100.0])
def test_tones_are_harmonics_of_their_pitch(rate):
    X, y = make_tones(20, 4096, sampling_rate=rate, noise=0, random_state=0)
    assert X.shape == (20, 4096)
    frequencies = np.fft.rfftfreq(4096, 1 / rate)
    for row, pitch in zip(X, y, strict=True):
        power = np.abs(np.fft.rfft(row * np.hanning(4096))) ** 2
        order = np.maximum(1, np.round(frequencies / pitch))
        # A Hann window spreads a line over two bins to each side.
        near = np.abs(frequencies - order * pitch) < 3 * rate / 4096
        assert power[near].sum() > 0.99 * power.sum()


def test_tones_decay_and_differ_in_loudness_and_phase():
    X, y = make_tones(300, 2000, noise=0, pitches=[200.0], random_state=0)
    assert set(y) == {200.0}
    early, late = ((part**2).mean(1) for part in np.split(X, 2, axis=1))
    assert (late < early).all()
    assert early.max() > 10 * early.min()
    assert np.abs(X).max() < 1
    # Random phases: the mean over the notes is far below a note.
    assert X.mean(0).std() < 0.2 * X.std()


def test_noise_of_tones():
    options = {"n_samples": 50, "length": 400, "random_state": 3}
    clean, _ = make_tones(noise=0, **options)
    noisy, _ = make_tones(noise=0.1, **options)
    assert (noisy - clean).std() == pytest.approx(0.1, rel=0.05)


def test_tones_are_repeatable():
    first, again, other = (make_tones(5, 64, random_state=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("pitches", [[0.0, 100.0], [100.0, 500.0], [-1.0]])
def test_pitches_that_cannot_be_sampled(pitches):
    with pytest.raises(ValueError, match="below 500 Hz, half of sampling_rate=1000"):
        make_tones(5, 64, sampling_rate=1000, pitches=pitches)


def test_recordings_of_all_formats_agree(tmp_path):
    """One signal in every format of samples, mono and stereo: the same windows."""
    signal = np.array([-1, -0.5, 0, 0.25, 0.5, 0.75])
    formats = {
        "a_float32": signal.astype(np.float32),
        "b_float64": signal,
        "c_int16": (signal * 2**15).astype(np.int16),
        "d_int32": (signal * 2**31).astype(np.int32),
        "e_uint8": (signal * 2**7 + 128).astype(np.uint8),
        "f_stereo": np.stack([signal - 0.5, signal + 0.5], axis=1),
    }
    (tmp_path / "deep").mkdir()
    for name, samples in formats.items():
        wavfile.write(tmp_path / "deep" / f"{name}.wav", 8000, samples)
    with wave.open(str(tmp_path / "int24.WAV"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(8000)
        integers = (signal * 2**23).astype("<i4")
        file.writeframes(b"".join(i.tobytes()[:3] for i in integers))
    windows, rate = load_recordings(tmp_path, 6)
    assert rate == 8000
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(windows, np.tile(signal, (7, 1)))


def test_recordings_come_in_order_and_with_a_hop(tmp_path):
    for name, size in (("b", 9), ("a", 8), ("short", 3)):
        samples = (ord(name[0]) + np.arange(size)).astype(np.float32)
        wavfile.write(tmp_path / f"{name}.wav", 100, samples)
    windows, _ = load_recordings(tmp_path, 4, hop=2)
    starts = [97, 99, 101, 98, 100, 102]
    np.testing.assert_array_equal(windows, np.add.outer(starts, np.arange(4)))


def test_files_that_are_no_recordings(tmp_path):
    wavfile.write(tmp_path / "good.wav", 100, np.zeros(8, dtype=np.int16))
    (tmp_path / "broken.wav").write_bytes(b"no recording")
    (tmp_path / ".hidden.wav").write_bytes(b"not looked at")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "folder.wav").mkdir()
    with pytest.warns(UserWarning, match="Skipped") as warned:
        windows, _ = load_recordings(tmp_path, 4)
    assert windows.shape == (2, 4)
    assert len(warned) == 1
    assert "broken.wav" in str(warned[0].message)


def test_bad_folders_of_recordings(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_recordings(tmp_path / "missing", 4)
    with pytest.raises(ValueError, match="has no readable WAV file"):
        load_recordings(tmp_path, 4)
    wavfile.write(tmp_path / "a.wav", 100, np.zeros(8, dtype=np.int16))
    with pytest.raises(ValueError, match="length=9 is longer than every signal"):
        load_recordings(tmp_path, 9)
    wavfile.write(tmp_path / "b.wav", 200, np.zeros(8, dtype=np.int16))
    with pytest.raises(ValueError, match=r"a\.wav has 100 Hz, .*b\.wav has 200 Hz"):
        load_recordings(tmp_path, 4)


def test_eeg():
    windows, rate = load_eeg(200)
    assert rate == 80
    assert windows.shape == (16, 200)
    assert windows.dtype == np.float64
    channels = windows.reshape(4, 800)
    # Read in a wrong byte order or layout, it would be neither standardised nor smooth.
    np.testing.assert_allclose(channels.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(channels.std(1), 1, atol=1e-2)
    assert (np.diff(channels).std(1) < 0.7).all()
    overlapping, _ = load_eeg(200, hop=100)
    np.testing.assert_array_equal(overlapping[1], channels[0, 100:300])


def test_eeg_is_not_there(tmp_path, monkeypatch):
    missing = tmp_path / "eeg.dat"
    monkeypatch.setattr(cbook, "get_sample_data", lambda *_, **__: missing)
    with pytest.raises(FileNotFoundError, match="without its sample data"):
        load_eeg()
