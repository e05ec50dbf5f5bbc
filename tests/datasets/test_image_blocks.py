"""Patches of a folder of pictures, picture by picture."""

import numpy as np
import pytest
from PIL import Image

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import ImageFolderBlocks


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (
        ("a/one.png", (30, 40)),
        ("b.png", (20, 20)),
        ("c.png", (9, 50)),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (*shape, 3), np.uint8)).save(path)
    return tmp_path


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_blocks(folder, n_jobs):
    blocks = ImageFolderBlocks(folder, n_patches=5, size=10, n_jobs=n_jobs)
    assert len(blocks) == 3
    found = list(blocks())
    assert [(block.shape, block.dtype) for block in found] == [((5, 300), np.uint8)] * 3
    again = list(ImageFolderBlocks(folder, n_patches=5, size=10)())
    np.testing.assert_array_equal(found, again)
    other = list(ImageFolderBlocks(folder, n_patches=5, size=10, random_state=1)())
    assert (np.array(found) != other).any()


def test_patches_are_parts_of_the_pictures(folder):
    picture = np.asarray(Image.open(folder / "b.png"))
    (block,) = ImageFolderBlocks(folder / "b.png", n_patches=4, size=10)()
    windows = np.lib.stride_tricks.sliding_window_view(picture, (10, 10, 3))
    windows = windows.reshape(-1, 300)
    for patch in block:
        assert (windows == patch).all(axis=1).any()


def test_a_fit_to_a_folder(folder):
    blocks = ImageFolderBlocks(folder, n_patches=40, size=8)
    est = SpectralDictionaryLearning(3, signal_shape=(8, 8, 3), random_state=0)
    rows = np.concatenate(list(blocks()))
    expected = SpectralDictionaryLearning(
        3, signal_shape=(8, 8, 3), random_state=0
    ).fit(rows)
    np.testing.assert_array_equal(est.fit(blocks).components_, expected.components_)
    np.testing.assert_allclose(est.transform(blocks), expected.transform(rows))


def test_what_is_no_picture(folder, tmp_path_factory):
    (folder / "broken.png").write_text("no picture")
    blocks = ImageFolderBlocks(folder, n_patches=5, size=10)
    assert len(blocks) == 4
    with pytest.warns(UserWarning, match="Skipped 1 file"):
        assert sum(map(len, blocks())) == 15
    with pytest.raises(ValueError, match="has no files"):
        ImageFolderBlocks(tmp_path_factory.mktemp("empty"))
    with pytest.raises(FileNotFoundError, match="neither a folder nor a file"):
        ImageFolderBlocks(folder / "missing")
    with pytest.raises(ValueError, match="n_patches"):
        ImageFolderBlocks(folder, n_patches=0)
