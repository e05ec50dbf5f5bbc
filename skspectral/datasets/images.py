"""Patches of images to learn from, as arrays (n, height, width, channels)."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.datasets import load_sample_images

from skspectral._random import draw_seed, random_stream
from skspectral.datasets._arrays import as_real_array, check_count, given_dtype
from skspectral.datasets._folders import Folder
from skspectral.datasets._pictures import picture_size, read_picture
from skspectral.datasets._places import (
    HELD_OUT,
    draw_places,
    hold_out,
    of_each_image,
    whole,
)

# An array whose last axis is no longer than this may be a single image in colour.
_MOST_COLOURS = 4


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

    Raises
    ------
    ValueError
        If ``n_patches`` or ``size`` is not positive, or ``size`` is more than 64.

    Examples
    --------
    >>> from skspectral.datasets import load_photograph_patches
    >>> train, test = load_photograph_patches(100, size=16)
    >>> train.shape, test.shape
    ((100, 16, 16, 3), (20, 16, 16, 3))
    """
    n_patches = check_count("n_patches", n_patches, "patch")
    size = check_count("size", size, "pixel")
    photographs = load_sample_images().images
    train, test = (
        [photographs[i][:, left : left + width] for i, _, left, width in parts]
        for parts in hold_out(_sizes(photographs), size)
    )
    stream = random_stream(random_state)
    return (
        _cut(train + train + _halved(train), n_patches, size, stream),
        _cut(test + test + _halved(test), n_patches // HELD_OUT, size, stream),
    )


def load_image_folder(
    folder: str | Path, n_patches: int = 5000, size: int = 32, *, random_state: Any = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Square colour patches of all pictures below a folder, whatever their size.

    A band in the middle of each picture is kept apart for the second array; where a
    picture is too narrow for that, every fifth picture is. Pictures smaller than a
    patch are enlarged.

    Pictures are read one at a time, turned upright, and brought to 8 bits a channel:
    integers by the depth of their file, floats from [0, 1]. What is transparent lies
    over white. Of several frames the first is taken. A file that is no readable
    picture, or whose numbers have no known range, is skipped, and one warning names
    such files.

    Parameters
    ----------
    folder : str or Path
        A folder, or a single picture. A folder is searched with its subfolders, links
        included; hidden files and folders are left out, and a file that is reached
        twice counts once.
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
    TypeError
        If the folder is no path.
    FileNotFoundError
        If it does not exist.
    ValueError
        If it has no readable picture, or too few to keep some for testing, or
        ``n_patches`` or ``size`` is not positive.

    Warns
    -----
    UserWarning
        If files are skipped, or a reader warns of them.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from skspectral.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (100, 80)).save(f"{folder}/black.png")
    ...     train, test = load_image_folder(folder, n_patches=10, size=16)
    >>> train.shape, test.shape
    ((10, 16, 16, 3), (2, 16, 16, 3))
    """
    n_patches = check_count("n_patches", n_patches, "patch")
    size = check_count("size", size, "pixel")
    seed = draw_seed(random_stream(random_state))
    numbers = (n_patches, n_patches // HELD_OUT)
    patches = None
    with Folder(folder) as files:
        sizes = files.read_all(lambda path: picture_size(path, size))
        if not hold_out(list(sizes.values()), size)[1]:
            # Few as they are, look at the pictures: a header may not tell all.
            sizes = files.read_all(lambda path: read_picture(path, size).shape[:2])
        while patches is None:
            patches = _cut_files(files, sizes, numbers, size, seed)
    return patches[:n_patches], patches[n_patches:]


def cut_patches(
    images: Sequence[ArrayLike] | ArrayLike,
    n_patches: int,
    size: int,
    *,
    random_state: Any = 0,
) -> np.ndarray:
    """Patches at random places of the images, equally many of each (or one more).

    Parameters
    ----------
    images : list of array-like of shape (height, width, n_channels) or (height, width)
        All grey, or all with the same number of channels; of one dtype, or all of
        floats. An array (n, height, width, n_channels) or (n, height, width) is a list
        of n images. Entries that are masked, or NA of pandas, become NaN, which
        :meth:`~skspectral.SpectralDictionaryLearning.impute` fills.
    n_patches : int
    size : int
        Height and width of a patch in pixels.
    random_state : int, RandomState instance or None, default=0
        Seed of the positions.

    Returns
    -------
    patches : ndarray of shape (n_patches, size, size, n_channels) or \
            (n_patches, size, size)
        In the dtype of the images, of floats of several sizes in the largest. Where an
        entry is marked as missing, integers become floats, with the same values.

    Raises
    ------
    ValueError
        If there is no image, an image is smaller than a patch, the images are not of
        one kind as told above, or ``n_patches`` or ``size`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.datasets import cut_patches
    >>> images = [np.linspace(0, 1, 80).reshape(8, 10), np.zeros((5, 5))]
    >>> patches = cut_patches(images, n_patches=6, size=4)
    >>> patches.shape, patches.dtype
    ((6, 4, 4), dtype('float64'))
    """
    n_patches = check_count("n_patches", n_patches, "patch")
    size = check_count("size", size, "pixel")
    arrays, dtype = _as_images(images)
    return _cut(arrays, n_patches, size, random_stream(random_state), dtype)


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


def _as_images(images: Any) -> tuple[list[np.ndarray], np.dtype]:
    """The images as arrays that agree in their channels, and the dtype of patches."""
    listed = _as_list(images)
    arrays = [as_real_array(image, f"images[{i}]") for i, image in enumerate(listed)]
    for i, array in enumerate(arrays):
        if array.ndim not in (2, 3) or 0 in array.shape[2:]:
            raise ValueError(
                f"images[{i}] has the shape {array.shape}, but an image is of shape "
                "(height, width) or (height, width, n_channels), one channel at least."
            )
        if array.shape[2:] != arrays[0].shape[2:]:
            raise ValueError(
                f"images[0] of shape {arrays[0].shape} and images[{i}] of shape "
                f"{array.shape} differ in their channels. Pass images that are all "
                "grey, or all with the same channels."
            )
    # A mask turns integers into floats, which are in the same units.
    given = {
        given_dtype(image, array) for image, array in zip(listed, arrays, strict=True)
    }
    names = sorted({dtype.name for dtype in given})
    if len(names) > 1 and any(dtype.kind != "f" for dtype in given):
        raise ValueError(
            f"images have the dtypes {' and '.join(names)}, whose ranges differ. "
            "Convert them to one, such as image.astype(np.float32) / 255 for uint8."
        )
    return arrays, np.result_type(*{array.dtype for array in arrays})


def _as_list(images: Any) -> list[Any]:
    """The images one by one; an array is a list along its first axis."""
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] <= _MOST_COLOURS):
        several = f" or {shape[0]} grey ones" if len(shape) == 3 else ""
        raise ValueError(
            f"images of shape {shape} may be one image{several}. Pass [images] for "
            "one, list(images) for several."
        )
    try:
        listed = list(images)
    except TypeError as error:
        raise ValueError(
            f"images={images!r} must be a list of arrays, one for each image."
        ) from error
    if not listed:
        raise ValueError("images is empty. Pass a list of at least one array.")
    return listed


def _cut(
    images: list[np.ndarray],
    n_patches: int,
    size: int,
    stream: np.random.Generator,
    dtype: Any = np.uint8,
) -> np.ndarray:
    """Patches at random places of images that are in memory."""
    sides = [min(pair) for pair in _sizes(images)]
    if min(sides) < size:
        i = int(np.argmin(sides))
        raise ValueError(
            f"size={size} is larger than an image, whose shorter side is {sides[i]}: "
            f"the one at index {i}, of shape {images[i].shape}. Pass a size of at most "
            "that, or leave the image out."
        )
    patches = np.empty((n_patches, size, size, *images[0].shape[2:]), dtype=dtype)
    places = draw_places(whole(_sizes(images)), n_patches, size, stream)
    for patch, (i, row, column) in zip(patches, places, strict=True):
        patch[:] = images[i][row : row + size, column : column + size]
    return patches


def _cut_files(
    files: Folder,
    sizes: dict[Path, tuple[int, int]],
    numbers: tuple[int, int],
    size: int,
    seed: int,
) -> np.ndarray | None:
    """Patches of pictures, those for training first; one picture is held at a time.

    Where a picture cannot be decoded, or is of another size than its header says, the
    ``sizes`` are corrected and there is no result.
    """
    if not sizes:
        raise ValueError(f"{files.folder} has no readable picture.")
    parts = hold_out(list(sizes.values()), size)
    if not parts[1]:
        raise ValueError(
            f"{files.folder} has too few pictures to keep some for testing: needed are "
            f"five, or one of at least {3 * size} pixels in width."
        )
    stream = random_stream(seed)
    places = np.concatenate(
        [
            draw_places(part, number, size, stream)
            for part, number in zip(parts, numbers, strict=True)
        ]
    )
    patches = np.empty((len(places), size, size, 3), dtype=np.uint8)
    expected = list(sizes.items())
    for i, of_picture in of_each_image(places).items():
        path, shape = expected[i]
        picture = files.read(path, lambda path: read_picture(path, size))
        if picture is None:
            del sizes[path]
            continue
        sizes[path] = picture.shape[:2]
        if sizes[path] == shape:
            for k in of_picture:
                _, row, column = places[k]
                patches[k] = picture[row : row + size, column : column + size]
        # Before the next one is read.
        del picture
    return patches if list(sizes.items()) == expected else None


def _sizes(images: list[np.ndarray]) -> list[tuple[int, int]]:
    return [image.shape[:2] for image in images]


def _halved(images: list[np.ndarray]) -> list[np.ndarray]:
    """Means of 2 x 2 pixels."""
    halves = []
    for image in images:
        height, width = (side // 2 * 2 for side in image.shape[:2])
        blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
        halves.append(blocks.mean(axis=(1, 3)).round().astype(np.uint8))
    return halves
