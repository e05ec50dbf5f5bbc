"""Windows of WAV files."""

import shutil
import tracemalloc
import warnings
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from skspectral.datasets import cut_windows, load_recordings


def test_recordings_of_all_formats_agree(tmp_path):
    """The windows do not depend on the format of the samples, nor on mono or stereo."""
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


def test_a_channel_of_several(tmp_path):
    channels = np.arange(24, dtype=np.float32).reshape(8, 3) / 24
    wavfile.write(tmp_path / "a.wav", 100, channels)
    for channel in range(3):
        windows, _ = load_recordings(tmp_path, 4, channel=channel)
        np.testing.assert_array_equal(windows.ravel(), channels[:, channel])
    windows, _ = load_recordings(tmp_path, 4)
    np.testing.assert_allclose(windows.ravel(), channels.mean(axis=1), rtol=1e-6)
    wavfile.write(tmp_path / "b.wav", 100, channels[:, :2])
    # This recording gives no window, so that its single channel does not matter.
    wavfile.write(tmp_path / "c.wav", 100, channels[:2, 0])
    with pytest.raises(ValueError, match=r"channel=2 must be from 0 to 1, .*b\.wav"):
        load_recordings(tmp_path, 4, channel=2)
    assert len(load_recordings(tmp_path, 4, channel=1)[0]) == 4


@pytest.mark.parametrize("bad", [-1, 0.5, "left"])
def test_what_is_no_channel(tmp_path, bad):
    with pytest.raises(ValueError, match=r"channel=\S+ must be "):
        load_recordings(tmp_path, 4, channel=bad)


@pytest.mark.parametrize("leftover", [0.0, 1e-3])
def test_channels_that_cancel(tmp_path, leftover):
    rng = np.random.default_rng(0)
    sound = rng.uniform(-0.5, 0.5, 80)
    both = np.stack([sound, leftover * rng.uniform(-1, 1, 80) - sound], axis=1)
    wavfile.write(tmp_path / "against.wav", 100, both.astype(np.float32))
    # Neither independent channels nor silence raise a warning.
    noise = rng.uniform(-1, 1, (80, 8)).astype(np.float32)
    wavfile.write(tmp_path / "noise.wav", 100, noise)
    wavfile.write(tmp_path / "silence.wav", 100, np.zeros((80, 2), np.int16))
    with pytest.warns(UserWarning, match=r"about 1 file .*against\.wav \(.* cancel"):
        load_recordings(tmp_path, 4)
    windows, _ = load_recordings(tmp_path, 4, channel=0)
    np.testing.assert_allclose(windows[:20].ravel(), sound, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, -1e300])
def test_samples_that_are_no_float32(tmp_path, bad):
    good = np.linspace(-1, 1, 12)
    wavfile.write(tmp_path / "a.wav", 100, good)
    wavfile.write(tmp_path / "z.wav", 100, -good)
    samples = good.copy()
    samples[5] = bad
    wavfile.write(tmp_path / "m.wav", 100, samples)
    wavfile.write(tmp_path / "stereo.wav", 100, np.stack([samples, -samples], 1))
    with pytest.warns(UserWarning, match=r"Skipped 2 files .*m\.wav .*stereo\.wav"):
        windows, _ = load_recordings(tmp_path, 4)
    expected = np.concatenate([good, -good]).reshape(-1, 4).astype(np.float32)
    np.testing.assert_array_equal(windows, expected)
    for name in ("a", "z"):
        (tmp_path / f"{name}.wav").unlink()
    with (
        pytest.warns(UserWarning, match=r"m\.wav"),
        pytest.raises(ValueError, match="has no readable WAV file"),
    ):
        load_recordings(tmp_path, 4)
    # Samples outside all windows are not checked.
    assert len(load_recordings(tmp_path, 5, hop=100, channel=0)[0]) == 2


def test_the_rate_of_a_file_without_windows_does_not_matter(tmp_path):
    wavfile.write(tmp_path / "a.wav", 44100, np.zeros(3, np.int16))
    wavfile.write(tmp_path / "b.wav", 8000, np.zeros(8, np.int16))
    windows, rate = load_recordings(tmp_path, 4)
    assert windows.shape == (2, 4)
    assert rate == 8000


def test_a_file_that_is_cut_short_is_named(tmp_path):
    signal = np.arange(100, dtype=np.float32) / 100
    wavfile.write(tmp_path / "whole.wav", 100, signal)
    content = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[:-100])
    strange = b"odd " + (4).to_bytes(4, "little") + b"data"
    size = (len(content) + len(strange) - 8).to_bytes(4, "little")
    (tmp_path / "odd.wav").write_bytes(b"RIFF" + size + content[8:] + strange)
    with pytest.warns(wavfile.WavFileWarning, match="Warnings about 2 files") as warned:
        windows, _ = load_recordings(tmp_path, 25)
    (message,) = (str(warning.message) for warning in warned)
    assert "cut.wav (Reached EOF prematurely" in message
    assert "odd.wav (Chunk (non-data) not understood" in message
    assert "whole.wav" not in message
    expected = [*signal[:75], *signal, *signal]
    np.testing.assert_array_equal(windows.ravel(), np.float32(expected))


@pytest.mark.parametrize("n_lost", range(1, 14))
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int24", "float64"])
def test_a_file_that_is_cut_within_a_frame_is_read_up_to_that(tmp_path, dtype, n_lost):
    channels = np.stack([np.arange(100), np.arange(100)], axis=1)
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut" / "cut.wav"
    cut.parent.mkdir()
    if dtype == "int24":
        write_24_bits(whole, channels)
    else:
        wavfile.write(whole, 100, channels.astype(dtype))
    cut.write_bytes(whole.read_bytes()[:-n_lost])
    with pytest.warns(wavfile.WavFileWarning, match=r"about 1 file .*: cut\.wav \("):
        windows, _ = load_recordings(cut.parent, 1)
    frame_size = 2 * (3 if dtype == "int24" else np.dtype(dtype).itemsize)
    cut.write_bytes(whole.read_bytes())
    expected, _ = load_recordings(cut.parent, 1)
    n_lost_frames = -(-n_lost // frame_size)
    np.testing.assert_array_equal(windows, expected[:-n_lost_frames])


SHIPPED = Path(wavfile.__file__).parent / "tests" / "data"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.wav")), ids=lambda p: p.stem)
def test_files_of_all_kinds_as_scipy_reads_them(tmp_path, path):
    shutil.copy(path, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rate, samples = wavfile.read(path)
        except Exception:
            with pytest.raises(ValueError, match="has no readable WAV file"):
                load_recordings(tmp_path, 1)
            return
        windows, sampling_rate = load_recordings(tmp_path, 1)
    middle, white = {
        "u": (128, 128),
        "i": (0, 2.0 ** (8 * samples.dtype.itemsize - 1)),
        "f": (0, 1),
    }[samples.dtype.kind]
    expected = (samples.reshape(len(samples), -1).astype(float) - middle) / white
    np.testing.assert_allclose(windows[:, 0], expected.mean(axis=1), atol=1e-7)
    assert sampling_rate == rate


@pytest.mark.parametrize(
    ("length", "hop"),
    [(64, 7), (64, 64), (64, 100), (64, 70_000), (90_000, 9000), (90_000, 110_001)],
)
@pytest.mark.parametrize("bits", [24, 32])
def test_pieces_join(tmp_path, length, hop, bits):
    """The windows do not depend on the number of windows per piece."""
    rng = np.random.default_rng(0)
    integers = rng.integers(-(2**23), 2**23, (200_001, 2)) * 2**8
    if bits == 32:
        wavfile.write(tmp_path / "a.wav", 100, integers.astype(np.int32))
    else:
        write_24_bits(tmp_path / "a.wav", integers // 2**8)
    windows, _ = load_recordings(tmp_path, length, hop)
    signal = np.float32(integers.mean(axis=1) / 2**31)
    np.testing.assert_array_equal(windows, cut_windows(signal, length, hop))


def write_24_bits(path, integers):
    with wave.open(str(path), "wb") as file:
        file.setparams((integers.shape[1], 3, 8000, len(integers), "NONE", None))
        as_bytes = integers.astype("<i4")[..., None].view(np.uint8)
        file.writeframes(as_bytes[..., :3].tobytes())


@pytest.mark.parametrize("dtype", ["int16", "float64", "int24"])
def test_memory_does_not_grow_with_the_recordings(tmp_path, dtype):
    n_frames = 1_000_000
    for name in "abcd":
        path = tmp_path / f"{name}.wav"
        if dtype == "int24":
            write_24_bits(path, np.zeros((n_frames, 1)))
        else:
            wavfile.write(path, 8000, np.zeros((n_frames, 1), dtype))
    load_recordings(tmp_path, 1000, 500_000)
    tracemalloc.start()
    try:
        load_recordings(tmp_path, 1000, 500_000)
        few = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        windows, _ = load_recordings(tmp_path, 1000)
        all_of_it = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    largest = path.stat().st_size
    assert few < largest
    assert all_of_it < windows.nbytes + largest
