"""Images to learn from, as arrays (n, height, width, 3) of uint8."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_images

from skspectral._random import random_stream
from skspectral.datasets._folders import read_folder

# One part in this many is kept for testing.
_HELD_OUT = 5


def load_photograph_patches(
    n_patches: int = 5000, size: int = 32, *, random_state: Any = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Colour patches of the two photographs bundled with scikit-learn.

    A band in the middle of each photograph is kept apart for the second array, so that
    no pixel is in both. A third of the patches show the photograph at half its size.

    Parameters
    ----------
    n_patches : int, default=5000
        Patches for training; a fifth as many more are for testing.
    size : int, default=32
        Height and width of a patch in pixels, at most 64.
    random_state : int, RandomState instance or None, default=0
        Seed of the positions.

    Returns
    -------
    train : ndarray of shape (n_patches, size, size, 3), uint8
    test : ndarray of shape (n_patches // 5, size, size, 3), uint8

    Examples
    --------
    >>> from skspectral.datasets import load_photograph_patches
    >>> train, test = load_photograph_patches(100, size=16)
    >>> train.shape, test.shape
    ((100, 16, 16, 3), (20, 16, 16, 3))
    """
    train, test = _hold_out(load_sample_images().images, size)
    return _cut_both(
        train + train + [_halved(part) for part in train],
        test + test + [_halved(part) for part in test],
        n_patches,
        size,
        random_state,
    )


def load_image_folder(
    folder: str | Path, n_patches: int = 5000, size: int = 32, *, random_state: Any = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Square colour patches of all pictures below a folder, whatever their size.

    A band in the middle of each picture is kept apart for the second array; where a
    picture is too narrow for that, every fifth picture is. Pictures smaller than a
    patch are enlarged. A file that is no readable picture is skipped with a warning
    that names it.

    Parameters
    ----------
    folder : str or Path
        Searched with its subfolders; hidden files are left out.
    n_patches : int, default=5000
        Patches for training, spread evenly over the pictures; a fifth as many more are
        for testing.
    size : int, default=32
        Height and width of a patch in pixels.
    random_state : int, RandomState instance or None, default=0
        Seed of the positions.

    Returns
    -------
    train : ndarray of shape (n_patches, size, size, 3), uint8
    test : ndarray of shape (n_patches // 5, size, size, 3), uint8

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If it has no readable picture, or too few to keep some for testing.
    """
    pictures = read_folder(folder, _picture_reader(size), "picture")
    train, test = _hold_out([picture for _, picture in pictures], size)
    if not test:
        raise ValueError(
            f"{folder} has too few pictures to keep some for testing: needed are five, "
            f"or one of at least {3 * size} pixels in width."
        )
    return _cut_both(train, test, n_patches, size, random_state)


def cut_patches(
    images: list[np.ndarray], n_patches: int, size: int, *, random_state: Any = 0
) -> np.ndarray:
    """Patches at random places of the images, equally many of each (or one more).

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3) or (height, width)
        All grey, or all in colour.
    n_patches : int
    size : int
        Height and width of a patch in pixels.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    patches : ndarray of shape (n_patches, size, size, 3) or (n_patches, size, size)

    Raises
    ------
    ValueError
        If an image is smaller than a patch.
    """
    smallest = min(min(image.shape[:2]) for image in images)
    if smallest < size:
        raise ValueError(
            f"size={size} is larger than an image, whose shorter side is {smallest}."
        )
    stream = random_stream(random_state)
    which = stream.permutation(np.arange(n_patches) % len(images))
    shape = (n_patches, size, size, *images[0].shape[2:])
    patches = np.empty(shape, dtype=np.uint8)
    for patch, image in zip(patches, which, strict=True):
        height, width = images[image].shape[:2]
        row = stream.integers(height - size + 1)
        column = stream.integers(width - size + 1)
        patch[:] = images[image][row : row + size, column : column + size]
    return patches


def load_cifar10(
    folder: str | Path, *, train: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 from its Python version on disk, read by torchvision.

    Parameters
    ----------
    folder : str or Path
        Holds ``cifar-10-batches-py``. Nothing is downloaded.
    train : bool, default=True
        The 50,000 training images, or the 10,000 test images.

    Returns
    -------
    images : ndarray of shape (n, 32, 32, 3), uint8
    labels : ndarray of shape (n,), int64

    Raises
    ------
    ImportError
        If torchvision is missing, or does not fit the installed PyTorch.
    FileNotFoundError
        If the folder does not hold the complete data set.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise ImportError(
            "CIFAR-10 is read by torchvision: pip install 'skspectral[vision]'."
        ) from error
    except RuntimeError as error:
        import torch

        raise ImportError(
            f"torchvision is installed, but was built for another PyTorch than the "
            f"{torch.__version__} here ({error}). Install both from one index."
        ) from error
    try:
        data = datasets.CIFAR10(root=str(folder), train=train, download=False)
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{folder} does not hold CIFAR-10 complete and unchanged: it must contain "
            f"the folder {datasets.CIFAR10.base_folder} of the Python version."
        ) from error
    return data.data, np.array(data.targets)


def _hold_out(
    images: list[np.ndarray], size: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Parts for training and for testing that share no pixel."""
    train: list[np.ndarray] = []
    test: list[np.ndarray] = []
    for i, image in enumerate(images):
        width = image.shape[1]
        band = max(size, width // _HELD_OUT)
        start = (width - band) // 2
        if start >= size:
            left, middle, right = np.split(image, [start, start + band], axis=1)
            train += [left, right]
            test.append(middle)
        else:
            (test if i % _HELD_OUT == _HELD_OUT - 1 else train).append(image)
    return train, test


def _cut_both(
    train: list[np.ndarray],
    test: list[np.ndarray],
    n_patches: int,
    size: int,
    random_state: Any,
) -> tuple[np.ndarray, np.ndarray]:
    stream = random_stream(random_state)
    return (
        cut_patches(train, n_patches, size, random_state=stream),
        cut_patches(test, n_patches // _HELD_OUT, size, random_state=stream),
    )


def _halved(image: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels."""
    height, width = (size // 2 * 2 for size in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)


def _picture_reader(size: int) -> Callable[[Path], np.ndarray]:
    """A function that reads a picture, enlarged to hold a patch of ``size``."""
    from PIL import Image, ImageOps

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
        scale = size / min(picture.size)
        if scale > 1:
            sides = [max(size, round(side * scale)) for side in picture.size]
            picture = picture.resize(sides)
        return np.asarray(picture)

    return read
