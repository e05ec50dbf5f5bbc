"""Windows of WAV files."""

import wave

import numpy as np
import pytest
from scipy.io import wavfile

from skspectral.datasets import load_recordings


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
