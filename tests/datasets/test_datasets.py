import builtins
import hashlib
import pickle
from functools import partial

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from skspectral.datasets import (
    load_cifar10,
    load_image_folder,
    load_photograph_patches,
    load_recordings,
)


def save(path, shape, color=None):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, size=shape).astype(np.uint8)
    if color is not None:
        pixels[:] = color
    Image.fromarray(pixels).save(path)
    return pixels


def contains(photograph, patch):
    """Whether the photograph contains the patch."""
    size = len(patch)
    views = np.lib.stride_tricks.sliding_window_view(photograph, (size, size, 3))
    return (views[:, :, 0] == patch).all(axis=(-3, -2, -1)).any()


def test_photographs():
    train, test = load_photograph_patches(50, size=12)
    assert train.shape == (50, 12, 12, 3)
    assert test.shape == (10, 12, 12, 3)
    assert train.dtype == np.uint8
    again, _ = load_photograph_patches(50, size=12)
    np.testing.assert_array_equal(again, train)
    other, _ = load_photograph_patches(50, size=12, random_state=1)
    assert not np.array_equal(other, train)


def test_photograph_patches_are_cut_apart():
    """Training patches at full size lie outside the band of the test patches."""
    train, test = load_photograph_patches(30, size=16, random_state=0)
    bands = [photograph[:, 256:384] for photograph in load_sample_images().images]
    textured = [patch for patch in (*train, *test) if patch.std() > 30]
    found = [any(contains(band, patch) for band in bands) for patch in textured]
    is_test = [any(np.array_equal(p, t) for t in test) for p in textured]
    assert sum(found) > 0
    assert not any(f and not t for f, t in zip(found, is_test, strict=True))


def test_patches_of_a_larger_size_than_the_photographs_allow():
    with pytest.raises(ValueError, match="size=200 is larger than an image"):
        load_photograph_patches(10, size=200)


def test_few_patches_for_training_leave_none_for_testing():
    train, test = load_photograph_patches(3, size=8)
    assert train.shape == (3, 8, 8, 3)
    assert test.shape == (0, 8, 8, 3)


@pytest.mark.parametrize("name", ["n_patches", "size"])
def test_numbers_that_are_no_counts(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        load_photograph_patches(**{name: 0})


def test_folder_of_all_kinds_of_pictures(tmp_path):
    save(tmp_path / "colour.png", (80, 100, 3))
    save(tmp_path / "grey.jpg", (90, 120))
    (tmp_path / "deep").mkdir()
    save(tmp_path / "deep" / "alpha.png", (70, 99, 4))
    save(tmp_path / "small.bmp", (5, 9, 3))
    (tmp_path / ".hidden.png").write_bytes(b"not looked at")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    cut_short = (tmp_path / "colour.png").read_bytes()[:500]
    (tmp_path / "short.png").write_bytes(cut_short)
    with pytest.warns(UserWarning, match="Skipped") as warned:
        train, test = load_image_folder(tmp_path, 40, 32)
    (message,) = (str(w.message) for w in warned)
    assert "Skipped 2 files" in message
    assert "broken.png (UnidentifiedImageError" in message
    assert "short.png (" in message
    assert ".hidden" not in message
    assert train.shape == (40, 32, 32, 3)
    assert test.shape == (8, 32, 32, 3)


def test_small_pictures_are_kept_apart_whole(tmp_path):
    for i in range(5):
        save(tmp_path / f"{i}.png", (32, 32, 3), color=50 * i)
    train, test = load_image_folder(tmp_path, 8, 32)
    assert set(np.unique(train)) == {0, 50, 100, 150}
    assert set(np.unique(test)) == {200}


def test_rotated_pictures_are_turned_upright(tmp_path):
    pixels = np.zeros((8, 200, 3), dtype=np.uint8)
    pixels[:, :100] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    train, _ = load_image_folder(tmp_path, 200, 8)
    # In the upright picture the left half is black. The middle band is held out.
    assert set(np.unique(train)) == {0, 255}


@pytest.mark.parametrize("folder", [5, None, b"pictures", ["pictures"]])
@pytest.mark.parametrize(
    "load", [load_image_folder, partial(load_recordings, length=8)]
)
def test_what_is_no_folder(load, folder):
    with pytest.raises(TypeError, match=r"folder=.* must be a str or a Path"):
        load(folder)


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_image_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match="has no readable picture"):
        load_image_folder(tmp_path)
    save(tmp_path / "one.png", (32, 40, 3))
    with pytest.raises(ValueError, match="too few pictures"):
        load_image_folder(tmp_path)


def write_cifar10(folder, datasets, monkeypatch):
    """A small data set in CIFAR-10's format.

    Only its checksums are replaced: the real files cannot be shipped.
    """
    base = folder / datasets.CIFAR10.base_folder
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name, content):
        (base / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((base / name).read_bytes()).hexdigest()

    def batch(n):
        return {
            "data": rng.integers(0, 255, size=(n, 3072)).astype(np.uint8),
            "labels": list(range(n)),
        }

    train = [write(f"data_batch_{i}", batch(4)) for i in range(1, 6)]
    test = [write("test_batch", batch(3))]
    name, md5 = write("batches.meta", {"label_names": ["cat", "dog"]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    meta = {**datasets.CIFAR10.meta, "filename": name, "md5": md5}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return base


def test_cifar10(tmp_path, torchvision_datasets, monkeypatch):
    base = write_cifar10(tmp_path, torchvision_datasets, monkeypatch)
    images, labels = load_cifar10(tmp_path)
    assert images.shape == (20, 32, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels, list(range(4)) * 5)
    stored = pickle.loads((base / "data_batch_1").read_bytes())["data"]
    np.testing.assert_array_equal(
        images[0, 3, 5], stored[0].reshape(3, 32, 32)[:, 3, 5]
    )
    assert len(load_cifar10(tmp_path, train=False)[0]) == 3


def test_cifar10_is_not_there(tmp_path, torchvision_datasets):
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'torchvision'"), r"skspectral\[vision\]"),
        (RuntimeError("operator torchvision::nms does not exist"), "another PyTorch"),
    ],
)
def test_torchvision_cannot_be_imported(tmp_path, monkeypatch, error, message):
    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.startswith("torchvision"):
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match=message):
        load_cifar10(tmp_path)
