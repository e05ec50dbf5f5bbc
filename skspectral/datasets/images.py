"""Load patches of images as arrays of shape (n, height, width, channels)."""
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
    patches_by_image,
    whole_images,
)

# An array whose last axis has at most this length may be a single colour image.
_MAX_CHANNELS = 4


def load_photograph_patches(
    n_patches: int = 5000, size: int = 32, *, random_state: Any = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Load colour patches of the two photographs bundled with scikit-learn.

    Patches for training and patches for testing share no pixel: a band in the middle of
    each photograph is held out for testing. One third of the patches are cut from the
    photographs at half their size.

    Parameters
    ----------
    n_patches : int, default=5000
        Number of patches for training. There are a fifth as many patches for testing.
    size : int, default=32
        Height and width of a patch in pixels, at most 64.
    random_state : int, RandomState instance or None, default=0
        Controls the random positions of the patches. Pass an int for the same patches
        in every call.

    Returns
    -------
    train : ndarray of shape (n_patches, size, size, 3), uint8
        Patches for training.
    test : ndarray of shape (n_patches // 5, size, size, 3), uint8
        Patches for testing.

    Raises
    ------
    ValueError
        If ``n_patches`` or ``size`` is not a positive integer.
    ValueError
        If ``size`` is more than 64.

    See Also
    --------
    load_image_folder : Load patches of your own pictures.
    cut_patches : Cut patches from images in memory.

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
    """Load square colour patches of all pictures below a folder.

    The pictures may have any size. Patches for training and patches for testing share
    no pixel: a band in the middle of each picture is held out for testing. A picture
    that is too narrow for this is not divided, and every fifth picture may be held out
    as a whole. Pictures smaller than a patch are enlarged.

    Pictures are read one at a time, turned upright, and converted to 8 bits per
    channel. Integers are scaled from the bit depth of their file, and floats from the
    interval [0, 1]. Transparent areas are blended with white. Only the first frame of a
    file is read.

    Parameters
    ----------
    folder : str or Path
        Folder that is searched for pictures, with its subfolders. Symbolic links are
        followed. Hidden files and folders are ignored, and a file that can be reached
        by several paths counts once.
    n_patches : int, default=5000
        Number of patches for training, spread evenly over the pictures. There are a
        fifth as many patches for testing.
    size : int, default=32
        Height and width of a patch in pixels.
    random_state : int, RandomState instance or None, default=0
        Controls the random positions of the patches. Pass an int for the same patches
        in every call.

    Returns
    -------
    train : ndarray of shape (n_patches, size, size, 3), uint8
        Patches for training.
    test : ndarray of shape (n_patches // 5, size, size, 3), uint8
        Patches for testing.

    Raises
    ------
    TypeError
        If ``folder`` is neither a str nor a Path.
    FileNotFoundError
        If ``folder`` is not an existing folder.
    ValueError
        If the folder has no readable picture.
    ValueError
        If the folder has too few pictures to hold out some for testing.
    ValueError
        If ``n_patches`` or ``size`` is not a positive integer.

    Warns
    -----
    UserWarning
        If files are skipped, because they are not readable pictures or because the
        range of their pixel values is unknown. One warning names these files.
    Warning
        If Pillow warns about a file. The category is that of Pillow's warning.

    See Also
    --------
    cut_patches : Cut patches from images in memory.

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
    counts = (n_patches, n_patches // HELD_OUT)
    patches = None
    with Folder(folder) as files:
        sizes = files.read_all(lambda path: picture_size(path, size))
        if not hold_out(list(sizes.values()), size)[1]:
            # The headers leave nothing to hold out, but headers may be wrong. There are
            # less than five pictures, so they are decoded to measure their sizes.
            sizes = files.read_all(lambda path: read_picture(path, size).shape[:2])
        while patches is None:
            patches = _cut_files(files, sizes, counts, size, seed)
    return patches[:n_patches], patches[n_patches:]


def cut_patches(
    images: Sequence[ArrayLike] | ArrayLike,
    n_patches: int,
    size: int,
    *,
    random_state: Any = 0,
) -> np.ndarray:
    """Cut patches at random positions from images.

    The numbers of patches of two images differ by at most one.

    Parameters
    ----------
    images : list of array-like of shape (height, width, n_channels) or (height, width)
        Images of any sizes. Either all are grey, or all have the same number of
        channels. Either all have the same dtype, or all are floats. An array of shape
        (n, height, width, n_channels) or (n, height, width) is a list of n images.
        Masked entries and NA of pandas become NaN, which
        :meth:`~skspectral.SpectralDictionaryLearning.impute` fills.
    n_patches : int
        Total number of patches.
    size : int
        Height and width of a patch in pixels, at most the shortest side of an image.
    random_state : int, RandomState instance or None, default=0
        Controls the random positions of the patches. Pass an int for the same patches
        in every call.

    Returns
    -------
    patches : ndarray of shape (n_patches, size, size, n_channels) or \
            (n_patches, size, size)
        Patches in random order, in the dtype of the images. Images of several floating
        dtypes give patches in the largest one. Integers become floats of the same
        values if an entry is missing.

    Raises
    ------
    ValueError
        If ``images`` is empty, is not a list of images, or may be a single image.
    ValueError
        If the images differ in their channels, or in dtypes that are not all floating.
    ValueError
        If an image is smaller than a patch.
    ValueError
        If ``n_patches`` or ``size`` is not a positive integer.

    See Also
    --------
    load_image_folder : Load patches of all pictures below a folder.
    cut_windows : Cut windows from signals.

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
    """Load the CIFAR-10 data set from a folder.

    The files are read by torchvision. They are not downloaded.

    Parameters
    ----------
    folder : str or Path
        Folder that contains the folder ``cifar-10-batches-py``, the Python version of
        the data set.
    train : bool, default=True
        Whether to load the 50,000 training images. False loads the 10,000 test images.

    Returns
    -------
    images : ndarray of shape (n, 32, 32, 3), uint8
        Colour images.
    labels : ndarray of shape (n,), int64
        Class of each image, from 0 to 9.

    Raises
    ------
    ImportError
        If torchvision is not installed, or was built for another version of PyTorch.
    FileNotFoundError
        If ``folder`` does not contain the complete data set.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise ImportError(
            "load_cifar10 requires torchvision, which is not installed. Install it by: "
            "pip install 'skspectral[vision]'"
        ) from error
    except RuntimeError as error:
        import torch

        raise ImportError(
            "The installed torchvision was built for another PyTorch than version "
            f"{torch.__version__}, which is installed ({error}). Install both packages "
            "from the same index."
        ) from error
    try:
        data = datasets.CIFAR10(root=str(folder), train=train, download=False)
    except RuntimeError as error:
        raise FileNotFoundError(
            f"folder={str(folder)!r} does not contain the complete CIFAR-10 data set. "
            f"It must contain the folder {datasets.CIFAR10.base_folder} with the "
            "unchanged files of the Python version."
        ) from error
    return data.data, np.array(data.targets)


def _as_images(images: Any) -> tuple[list[np.ndarray], np.dtype]:
    """Return the images as arrays with the same channels, and the dtype of patches."""
    listed = _as_list(images)
    arrays = [as_real_array(image, f"images[{i}]") for i, image in enumerate(listed)]
    for i, array in enumerate(arrays):
        if array.ndim not in (2, 3) or 0 in array.shape[2:]:
            raise ValueError(
                f"images[{i}] has the shape {array.shape}, but an image must have the "
                "shape (height, width) or (height, width, n_channels), with at least "
                "one channel."
            )
        if array.shape[2:] != arrays[0].shape[2:]:
            raise ValueError(
                f"images[0] of shape {arrays[0].shape} and images[{i}] of shape "
                f"{array.shape} differ in their channels. Pass images that are all "
                "grey, or images that all have the same number of channels."
            )
    # The dtypes before masks turned integers into floats, which keep their values.
    given = {
        given_dtype(image, array) for image, array in zip(listed, arrays, strict=True)
    }
    names = sorted({dtype.name for dtype in given})
    if len(names) > 1 and any(dtype.kind != "f" for dtype in given):
        raise ValueError(
            f"images have the dtypes {' and '.join(names)}, whose ranges differ. "
            "Convert them to one dtype, for example images of uint8 by "
            "image.astype(np.float32) / 255."
        )
    return arrays, np.result_type(*{array.dtype for array in arrays})


def _as_list(images: Any) -> list[Any]:
    """Return a list of the images; an array is a list along its first axis."""
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] <= _MAX_CHANNELS):
        if len(shape) == 2:
            raise ValueError(
                f"images of shape {shape} is a single image. Pass the list [images]."
            )
        raise ValueError(
            f"images of shape {shape} may be one image or {shape[0]} grey images. Pass "
            "[images] for one image, or list(images) for several images."
        )
    try:
        listed = list(images)
    except TypeError as error:
        raise ValueError(
            f"images={images!r} must be a list of arrays, one array per image."
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
    """Cut patches at random positions from arrays."""
    sides = [min(pair) for pair in _sizes(images)]
    if min(sides) < size:
        i = int(np.argmin(sides))
        raise ValueError(
            f"size={size} is larger than an image: the image with index {i} has the "
            f"shape {images[i].shape}. Pass a size of at most {sides[i]}, or remove "
            "this image."
        )
    patches = np.empty((n_patches, size, size, *images[0].shape[2:]), dtype=dtype)
    places = draw_places(whole_images(_sizes(images)), n_patches, size, stream)
    for patch, (i, row, column) in zip(patches, places, strict=True):
        patch[:] = images[i][row : row + size, column : column + size]
    return patches


def _cut_files(
    files: Folder,
    sizes: dict[Path, tuple[int, int]],
    counts: tuple[int, int],
    size: int,
    seed: int,
) -> np.ndarray | None:
    """Cut patches from picture files, first for training, then for testing.

    Only one picture is in memory at a time. The ``counts`` are the numbers of patches
    for training and for testing. If a picture cannot be decoded, or if its size differs
    from that in ``sizes``, then ``sizes`` is corrected and the result is None.
    """
    if not sizes:
        raise ValueError(
            f"folder={str(files.folder)!r} has no readable picture. Pass a folder that "
            "contains pictures."
        )
    parts = hold_out(list(sizes.values()), size)
    if not parts[1]:
        raise ValueError(
            f"folder={str(files.folder)!r} has too few pictures to hold out some for "
            "testing. Add pictures until there are five, or add one that is at least "
            f"{3 * size} pixels wide."
        )
    stream = random_stream(seed)
    places = np.concatenate(
        [
            draw_places(part, count, size, stream)
            for part, count in zip(parts, counts, strict=True)
        ]
    )
    patches = np.empty((len(places), size, size, 3), dtype=np.uint8)
    expected = list(sizes.items())
    for i, patches_of_picture in patches_by_image(places).items():
        path, shape = expected[i]
        picture = files.read(path, lambda path: read_picture(path, size))
        if picture is None:
            del sizes[path]
            continue
        sizes[path] = picture.shape[:2]
        if sizes[path] == shape:
            for k in patches_of_picture:
                _, row, column = places[k]
                patches[k] = picture[row : row + size, column : column + size]
        # Free the memory before the next picture is read.
        del picture
    return patches if list(sizes.items()) == expected else None


def _sizes(images: list[np.ndarray]) -> list[tuple[int, int]]:
    return [image.shape[:2] for image in images]


def _halved(images: list[np.ndarray]) -> list[np.ndarray]:
    """Return the images at half their size: means of blocks of 2 x 2 pixels."""
    halves = []
    for image in images:
        height, width = (side // 2 * 2 for side in image.shape[:2])
        blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
        halves.append(blocks.mean(axis=(1, 3)).round().astype(np.uint8))
    return halves
