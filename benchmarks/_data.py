"""Load images and windows of sound, from files or from the package."""
# SPDX-License-Identifier: BSD-3-Clause

import io
from itertools import pairwise

import numpy as np
from PIL import Image

from skspectral.datasets import load_photograph_patches, make_tones

IMAGES_HELP = (
    ".npz with uint8 images train and test, or a folder with cifar10_train.npz and "
    "cifar10_test.npz; default: patches of the bundled photographs"
)
# A mosaic of CIFAR-10 has TILES x TILES images of SIDE x SIDE pixels.
TILES, SIDE = 20, 32


def load_images(path, n_train=None, *, n_patches=5000, side=32):
    """Return training images, test images and training labels.

    Images are uint8 of shape (n, height, width, channels). Labels are None if there are
    none.

    ``path`` is one of three things. An .npz file holds arrays ``train``, ``test`` and,
    if there are labels, ``train_labels``. A folder holds cifar10_train.npz and
    cifar10_test.npz, in which images are packed as WebP mosaics. None means patches of
    the bundled photographs, ``n_train`` or else ``n_patches`` of them.
    """
    if path is None:
        return *load_photograph_patches(n_train or n_patches, side), None
    if path.is_dir():
        train, labels = _mosaics(path / "cifar10_train.npz", n_train)
        return train, _mosaics(path / "cifar10_test.npz", None)[0], labels
    with np.load(path) as data:
        labels = data["train_labels"][:n_train] if "train_labels" in data else None
        return data["train"][:n_train], data["test"], labels


def _mosaics(path, n_images):
    """Return the first images of a file of mosaics, and their labels."""
    with np.load(path) as data:
        webp, offsets, labels = data["webp"], data["offsets"], data["labels"][:n_images]
    images = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for i, start in enumerate(range(0, len(images), TILES**2)):
        picture = Image.open(io.BytesIO(webp[offsets[i] : offsets[i + 1]].tobytes()))
        tiles = np.asarray(picture).reshape(TILES, SIDE, TILES, SIDE, 3).swapaxes(1, 2)
        part = images[start : start + TILES**2]
        part[:] = tiles.reshape(-1, SIDE, SIDE, 3)[: len(part)]
    return images, labels


def load_image_rows(path, n_train):
    """Return training and test images as rows, and the shape of an image.

    Rows are float32 in [0, 1].
    """
    train, test, _ = load_images(path, n_train)
    rows = [
        part.reshape(len(part), -1).astype(np.float32) / 255 for part in (train, test)
    ]
    return *rows, train.shape[1:]


def load_windows(path):
    """Return training windows in random order, test windows, and the sampling rate.

    ``path`` is an .npz file with ``windows_train`` and ``windows_test`` of shape (n,
    length) and the scalar ``sampling_rate`` in Hz. None means synthetic notes.
    """
    if path is None:
        windows, _ = make_tones(2500, 512, sampling_rate=8000, random_state=0)
        train, test = np.split(windows.astype(np.float32), [2000])
        return train, test, 8000.0
    with np.load(path) as data:
        train, test = data["windows_train"], data["windows_test"]
        rate = float(data["sampling_rate"])
    # In random order, the first n windows come from all recordings.
    return np.random.default_rng(0).permutation(train), test, rate


def load_pictures(path, name):
    """Return the uint8 pictures of a set from a file of PNG files.

    The .npz file ``path`` has the bytes of the PNG files in "NAME_png", and the place
    where each begins in "NAME_offsets". None means photographs of scikit-learn, for
    training, and of scikit-image, for testing; all sets but "kodak24" are grey.
    """
    if path is None:
        return _bundled_pictures(name)
    with np.load(path) as data:
        raw, offsets = data[f"{name}_png"].tobytes(), data[f"{name}_offsets"]
    return [
        np.asarray(Image.open(io.BytesIO(raw[start:stop])))
        for start, stop in pairwise(offsets)
    ]


def _bundled_pictures(name):
    from skimage import data
    from sklearn.datasets import load_sample_images

    if name == "train400":
        return [image[::2, ::2, 1] for image in load_sample_images().images]
    if name == "kodak24":
        pictures = data.astronaut(), data.coffee(), data.chelsea(), data.rocket()
        return [picture[100:196, 100:196] for picture in pictures]
    return [data.camera()[100:196, 200:296], data.coins()[100:196, 100:196]]
