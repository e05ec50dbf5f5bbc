"""Patches of images in memory, or of picture files, from which a model is learned."""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from skspectral._random import draw_seed
from skspectral.datasets import ImageFolderBlocks
from skspectral.metrics._images import LUMA
from skspectral.restoration.images import check_image

# Number of positions per patch among which the ones of largest variance are likely.
_CHOICE = 4


class ImageSource:
    """Images in memory, or picture files of which one is in memory at a time.

    Parameters
    ----------
    images : array-like, list of array-like, str, Path, or list of str or Path
        One image, a list or stack of images, a folder of pictures, or a list of paths.
    channel_axis : int or None
        Axis of the channels of images in memory. Pictures of files become grey if it is
        None, and have the channels red, green and blue otherwise.
    """

    def __init__(self, images: Any, channel_axis: int | None):
        self._channel_axis = channel_axis
        self._n_channels: int | None = None
        self._paths, self._arrays = list[Any](), list[Any]()
        if isinstance(images, (str, os.PathLike)):
            self._paths = [images]
        elif _is_list_of_paths(images):
            self._paths = list(images)
        else:
            n_axes = 2 if channel_axis is None else 3
            single = np.ndim(images) == n_axes if hasattr(images, "ndim") else False
            self._arrays = [images] if single else _listed(images)

    def patches(
        self,
        n_patches: int,
        size: int,
        by_variance: bool,
        stream: np.random.Generator,
    ) -> Iterator[np.ndarray]:
        """Iterate over the images; yield patches of each, (n, size, size, channels).

        All images have the same number of patches, and the total is at least
        ``n_patches`` if no file is skipped.
        """
        more = _CHOICE if by_variance else 1
        for patches in self._evenly(n_patches, more, size, stream):
            if not by_variance:
                yield patches
                continue
            n = len(patches) // more
            variance = patches.var(axis=(1, 2)).sum(-1).astype(np.float64)
            # Flat patches stay possible, so that every image has enough patches.
            weight = variance + 1e-6 * variance.mean() + np.finfo(np.float64).tiny
            chosen = stream.choice(len(patches), n, False, weight / weight.sum())
            yield patches[chosen]

    def crops(
        self, n_crops: int, size: int, least: int, stream: np.random.Generator
    ) -> list[np.ndarray]:
        """Return crops of some images, (height, width, channels).

        They are squares of ``size`` pixels, or what smaller images hold of them. The
        shorter side of every image is at least ``least``.
        """
        found = list[np.ndarray]()
        if self._paths:
            for patches in self._evenly(n_crops, 1, size, stream):
                found += list(patches)
                if len(found) >= n_crops:
                    break
            return found[:n_crops]
        for i in stream.permutation(np.arange(n_crops) % len(self._arrays)).tolist():
            image = self._image(i)
            top, left = (
                int(stream.integers(max(1, n - size + 1))) for n in image.shape[:2]
            )
            crop = image[top : top + size, left : left + size]
            found.append(crop.astype(np.float32))
        return found

    def _evenly(
        self, n_patches: int, more: int, size: int, stream: np.random.Generator
    ) -> Iterator[np.ndarray]:
        if not self._paths:
            each = more * -(-n_patches // len(self._arrays))
            for i in range(len(self._arrays)):
                yield _random_patches(self._image(i, size), each, size, stream)
            return
        lengths = [len(ImageFolderBlocks(path, 1, size)) for path in self._paths]
        each = more * -(-n_patches // sum(lengths))
        for path in self._paths:
            seed = draw_seed(stream)
            for rows in ImageFolderBlocks(path, each, size, random_state=seed)():
                patches = rows.reshape(-1, size, size, 3).astype(np.float32) / 255
                if self._channel_axis is None:
                    patches = (patches @ LUMA.astype(np.float32))[..., None]
                yield patches

    def _image(self, i: int, least: int = 1) -> np.ndarray:
        """Return the checked image of an index, (height, width, channels)."""
        name, image = f"X[{i}]", self._arrays[i]
        values, _ = check_image(image, name, self._channel_axis, self._n_channels)
        self._n_channels = values.shape[2]
        if min(values.shape[:2]) < least:
            raise ValueError(
                f"{name} has {values.shape[0]} x {values.shape[1]} pixels, but "
                f"patch_size={least}. Leave out smaller images, or pass patch_size <= "
                f"{min(values.shape[:2])}."
            )
        return values


def _random_patches(
    image: np.ndarray, n_patches: int, size: int, stream: np.random.Generator
) -> np.ndarray:
    """Return patches (n, size, size, channels) at random positions of an image."""
    rows, columns = (
        stream.integers(n - size + 1, size=n_patches) for n in image.shape[:2]
    )
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
    return np.moveaxis(windows[rows, columns], 1, -1).astype(np.float32)


def _is_list_of_paths(images: Any) -> bool:
    if not isinstance(images, (list, tuple)) or not images:
        return False
    return all(isinstance(image, (str, os.PathLike)) for image in images)


def _listed(images: Any) -> list[Any]:
    try:
        listed = list(images)
    except TypeError as error:
        raise ValueError(
            f"X={images!r} must be an image, a list of images, a folder, or a "
            "list of paths."
        ) from error
    if not listed:
        raise ValueError("X is empty. Pass at least one image.")
    return listed
