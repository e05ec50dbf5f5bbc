"""Which files below a folder are read, and the warnings about the other files."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from skspectral.datasets import load_image_folder, load_recordings


def write(path, value):
    """Write a recording of one window, whose samples identify it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, 100, np.full(4, value, np.float32))


def numbers(folder):
    """Return the numbers of the recordings below a folder, in the order of reading."""
    windows, _ = load_recordings(folder, 4)
    return windows[:, 0].astype(int).tolist()


def test_files_are_sorted_by_name(tmp_path):
    for value, name in enumerate(["a.wav", "b/a.wav", "b/c/a.WAV", "b/d.wav", "c.wav"]):
        write(tmp_path / name, value)
    assert numbers(tmp_path) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".Trash-1000", "b/.git/c"])
def test_what_is_hidden_is_left_out(tmp_path, hidden):
    write(tmp_path / "a.wav", 0)
    write(tmp_path / "b" / ".c.wav", 1)
    write(tmp_path / hidden / "a.wav", 2)
    assert numbers(tmp_path) == [0]
    # A hidden folder is read if the user passes its path.
    assert numbers(tmp_path / hidden) == [2]


def test_a_hidden_folder_of_pictures_is_no_test(tmp_path):
    """A hidden copy of a picture, made by an editor, is not used for testing."""
    for i in range(5):
        for folder in (tmp_path, tmp_path / ".ipynb_checkpoints"):
            folder.mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (50 * i, 0, 0)).save(folder / f"{i}.png")
    train, test = load_image_folder(tmp_path, 20, 8)
    assert not set(np.unique(train[..., 0])) & set(np.unique(test[..., 0]))


def test_links_are_followed_once(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "in" / "a.wav", 1)
    write(elsewhere / "b.wav", 2)
    folder = tmp_path / "folder"
    write(folder / "z.wav", 3)
    (folder / "y").symlink_to(elsewhere)
    (folder / "once_more").symlink_to(elsewhere)
    (folder / "part").symlink_to(elsewhere / "in")
    (folder / "file.wav").symlink_to(elsewhere / "b.wav")
    assert sorted(numbers(folder)) == [1, 2, 3]


def test_a_file_has_its_own_name_before_that_of_a_link(tmp_path):
    write(tmp_path / "b" / "x.wav", 1)
    write(tmp_path / "c.wav", 2)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "a.wav").symlink_to(tmp_path / "c.wav")
    os.link(tmp_path / "c.wav", tmp_path / "d.wav")
    (tmp_path / "b" / "broken.wav").write_bytes(b"no recording")
    with pytest.warns(UserWarning, match=r"Skipped 1 file .* b/broken\.wav"):
        assert numbers(tmp_path) == [1, 2]


def test_links_in_a_circle(tmp_path):
    folder = tmp_path / "folder"
    write(folder / "deep" / "a.wav", 1)
    write(folder / "deeper" / "b.wav", 2)
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "deep" / "across").symlink_to(folder / "deeper")
    (folder / "deeper" / "back").symlink_to(folder / "deep")
    (folder / "self").symlink_to(folder / "self")
    (folder / "lost.wav").symlink_to(folder / "nowhere")
    with pytest.warns(UserWarning, match="Skipped 2 files") as warned:
        assert numbers(folder) == [1, 2]
    (message,) = (str(warning.message) for warning in warned)
    assert "lost.wav (FileNotFoundError" in message
    assert "self (OSError" in message
    # The folder itself may be a link.
    for name in ("self", "lost.wav"):
        (folder / name).unlink()
    (tmp_path / "link").symlink_to(folder / "deeper")
    assert numbers(tmp_path / "link") == [2, 1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    write(tmp_path / "a.wav", 1)
    os.mkfifo(tmp_path / "b.wav")
    with pytest.warns(UserWarning, match=r"b\.wav \(OSError: it is not a regular file"):
        assert numbers(tmp_path) == [1]


def test_one_warning_counts_what_is_skipped(tmp_path):
    write(tmp_path / "z.wav", 1)
    for i in range(7):
        (tmp_path / f"{i}.wav").write_bytes(b"no recording")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "empty.wav").write_bytes(b"")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        assert numbers(tmp_path) == [1]
    (warning,) = caught
    message = str(warning.message)
    assert f"Skipped 8 files below {tmp_path} (8 ValueError): 0.wav (" in message
    assert "4.wav (ValueError" in message
    assert "; and 3 more." in message
    assert "5.wav" not in message
    assert warning.filename == __file__


def test_reasons_are_told_where_nothing_is_left(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no recording")
    (tmp_path / "b.txt").write_text("no recording")
    with (
        pytest.warns(UserWarning, match=r"a\.wav \(ValueError"),
        pytest.raises(ValueError, match="has no readable WAV file"),
    ):
        load_recordings(tmp_path, 4)
    with (
        pytest.warns(UserWarning, match=r"a\.wav .*b\.txt"),
        pytest.raises(ValueError, match="has no readable picture"),
    ):
        load_image_folder(tmp_path)
