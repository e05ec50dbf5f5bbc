"""Where patches stand in images, chosen from the sizes of the images alone."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# One part in this many is kept for testing.
HELD_OUT = 5


class Part(NamedTuple):
    """The columns of an image from ``left`` on, ``width`` of them."""

    image: int
    height: int
    left: int
    width: int


def whole(sizes: Sequence[tuple[int, int]]) -> list[Part]:
    """All of each image, given by its height and width."""
    return [Part(i, height, 0, width) for i, (height, width) in enumerate(sizes)]


def hold_out(
    sizes: Sequence[tuple[int, int]], size: int
) -> tuple[list[Part], list[Part]]:
    """Parts for training and for testing that share no pixel.

    They are the sides and the middle of each image, given by its height and width;
    where that is too narrow, every fifth image is kept for testing as a whole.
    """
    train: list[Part] = []
    test: list[Part] = []
    for part in whole(sizes):
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
    """Image, first row and first column of each patch: integers (n_patches, 3).

    The parts have equally many patches each, or one more.
    """
    image, height, left, width = np.array(parts).T
    which = stream.permutation(np.arange(n_patches) % len(parts))
    free = np.stack([height, width], axis=1)[which] - size + 1
    row, column = stream.integers(free).T
    return np.stack([image[which], row, left[which] + column], axis=1)


def of_each_image(places: np.ndarray) -> dict[int, np.ndarray]:
    """Which patches stand in an image, by the number of the image."""
    order = np.argsort(places[:, 0], kind="stable")
    numbers, starts = np.unique(places[order, 0], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=False))
