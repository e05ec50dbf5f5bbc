"""Choose the positions of patches from the sizes of the images alone."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# One fifth of the material is held out for testing.
HELD_OUT = 5


class Part(NamedTuple):
    """Strip of the image with index ``image``: ``width`` columns from ``left`` on."""

    image: int
    height: int
    left: int
    width: int


def whole_images(sizes: Sequence[tuple[int, int]]) -> list[Part]:
    """Return one part per image, the whole image; ``sizes`` are (height, width)."""
    return [Part(i, height, 0, width) for i, (height, width) in enumerate(sizes)]


def hold_out(
    sizes: Sequence[tuple[int, int]], size: int
) -> tuple[list[Part], list[Part]]:
    """Return parts for training and parts for testing that share no pixel.

    The middle band of each image is held out for testing: a fifth of its width, but at
    least ``size`` columns. The columns to both sides of the band are for training. An
    image with less than ``size`` columns beside the band is not divided. Such an image
    is held out as a whole if its index is 4, 9, 14 and so on. The ``sizes`` are
    (height, width).
    """
    train: list[Part] = []
    test: list[Part] = []
    for part in whole_images(sizes):
        i, height, _, width = part
        band = max(size, width // HELD_OUT)
        start = (width - band) // 2
        if start >= size:
            end = start + band
            train += [Part(i, height, 0, start), Part(i, height, end, width - end)]
            test.append(Part(i, height, start, band))
        else:
            (test if i % HELD_OUT == HELD_OUT - 1 else train).append(part)
    return train, test


def draw_places(
    parts: Sequence[Part], n_patches: int, size: int, stream: np.random.Generator
) -> np.ndarray:
    """Draw the image, the top row and the left column of every patch.

    The numbers of patches in two parts differ by at most one. The result is an array of
    integers of shape (n_patches, 3).
    """
    image, height, left, width = np.array(parts).T
    chosen = stream.permutation(np.arange(n_patches) % len(parts))
    free = np.stack([height, width], axis=1)[chosen] - size + 1
    row, column = stream.integers(free).T
    return np.stack([image[chosen], row, left[chosen] + column], axis=1)


def patches_by_image(places: np.ndarray) -> dict[int, np.ndarray]:
    """Map the index of each image that has patches to the indices of its patches."""
    order = np.argsort(places[:, 0], kind="stable")
    images, starts = np.unique(places[order, 0], return_index=True)
    return dict(zip(images.tolist(), np.split(order, starts[1:]), strict=False))
