"""Overlapping patches of an image: cut them out, and average estimates of them.

An image is a tensor of shape (height, width, channels). A signal is an image of height
1. Patches are rows of a matrix, in the order (row, column, channel) of their pixels.
All patches of some rows of positions are processed at a time, so that the patches of a
large image are never in memory at once, and the result does not depend on the number of
rows that are processed at a time.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

# Number of pixels of patches that are in memory at a time.
_PATCH_ENTRIES = 2**22


@dataclass(frozen=True)
class PatchGrid:
    """Positions of overlapping patches that cover an image.

    Parameters
    ----------
    shape : tuple of int
        Height, width and number of channels of the image.
    size : tuple of int
        Height and width of a patch, at most those of the image.
    stride : tuple of int
        Distances of neighbouring patches along both axes, at most the size. The last
        patches touch the border, so that all pixels are covered.
    """

    shape: tuple[int, int, int]
    size: tuple[int, int]
    stride: tuple[int, int]

    @property
    def n_pixels(self) -> int:
        """Number of entries of a patch, with its channels."""
        return self.size[0] * self.size[1] * self.shape[2]

    @property
    def positions(self) -> tuple[list[int], list[int]]:
        """First rows and first columns of the patches."""
        pairs = zip(self.shape, self.size, self.stride, strict=False)
        rows, columns = ([*range(0, n - p, s), n - p] for n, p, s in pairs)
        return rows, columns

    @property
    def n_patches(self) -> int:
        """Number of patches."""
        rows, columns = self.positions
        return len(rows) * len(columns)

    def stripes(self) -> Iterator["Stripe"]:
        """Iterate over groups of rows of positions, from top to bottom."""
        rows, columns = self.positions
        step = max(1, _PATCH_ENTRIES // (len(columns) * self.n_pixels))
        for first in range(0, len(rows), step):
            taken = rows[first : first + step]
            start = first * len(columns)
            patches = slice(start, start + len(taken) * len(columns))
            yield Stripe(self, patches, taken, columns)

    def totals(
        self, device: torch.device, weights: Sequence[torch.Tensor | float] = (1, 1)
    ) -> torch.Tensor:
        """Return the total weight of the patches at each pixel, (height, width, 1).

        The weight of a pixel of a patch is the product of a weight per row and one per
        column. The default counts the patches.
        """
        of_axis = []
        for n, size, positions, weight in zip(
            self.shape, self.size, self.positions, weights, strict=False
        ):
            total = torch.zeros(n)
            for first in positions:
                total[first : first + size] += weight
            of_axis.append(total)
        return torch.outer(*of_axis)[:, :, None].to(device)


@dataclass(frozen=True)
class Stripe:
    """The patches of consecutive rows of positions.

    ``patches`` is the slice of their indices among all patches of the image.
    """

    grid: PatchGrid
    patches: slice
    rows: list[int]
    columns: list[int]

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """Return the patches as rows of a new matrix, (n, pixels)."""
        height, width = self.grid.size
        top, bottom = self.rows[0], self.rows[-1] + height
        windows = image[top:bottom].unfold(0, height, 1).unfold(1, width, 1)
        rows = _span([row - top for row in self.rows])
        windows = windows[rows][:, _span(self.columns)]
        return windows.permute(0, 1, 3, 4, 2).reshape(-1, self.grid.n_pixels)

    def add(self, estimates: torch.Tensor, total: torch.Tensor) -> None:
        """Add estimates of the patches, (n, pixels), to the pixels of an image."""
        height, width = self.grid.size
        n_rows, n_columns = len(self.rows), len(self.columns)
        # Transposed, so that the estimates of one pixel of the patches are contiguous.
        by_pixel = estimates.T.contiguous()
        by_pixel = by_pixel.view(height, width, -1, n_rows, n_columns)
        for i in range(height):
            rows = _span([row + i for row in self.rows])
            for j in range(width):
                columns = _span([column + j for column in self.columns])
                part = by_pixel[i, j].permute(1, 2, 0)
                if isinstance(rows, slice) and isinstance(columns, slice):
                    total[rows, columns] += part
                else:
                    total[_places(rows)[:, None], _places(columns)] += part


def _span(positions: list[int]) -> slice | torch.Tensor:
    """Return a slice with these positions, or a tensor of them if there is none."""
    step = positions[1] - positions[0] if len(positions) > 1 else 1
    span = slice(positions[0], positions[-1] + 1, step)
    evenly = len(range(span.stop)[span]) == len(positions)
    return span if evenly else torch.tensor(positions)


def _places(positions: slice | torch.Tensor) -> torch.Tensor:
    if isinstance(positions, slice):
        return torch.arange(positions.start, positions.stop, positions.step)
    return positions
