"""The pass over all blocks that gathers their moments."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch

from skspectral._device import keep_freed_memory
from skspectral.blocks.row_blocks import Block
from skspectral.grid import Grid
from skspectral.moments.choice import is_few, merged, new_scatter
from skspectral.moments.moments import Moments
from skspectral.moments.scatter import DenseScatter

_CPU = torch.device("cpu")


@dataclass(eq=False)
class Gathered:
    """Moments of some consecutive blocks, and the sizes of these blocks.

    Attributes
    ----------
    moments : Moments
        Moments of all rows, on the CPU.
    kind : str
        Form of the scatter of all blocks. A matrix is formed only where it is smaller
        than the rows.
    lengths : list of int
        Number of rows of each block.
    """

    moments: Moments
    kind: str
    lengths: list[int]

    def merge(self, other: "Gathered") -> "Gathered":
        """Add the moments of the blocks that follow.

        Parameters
        ----------
        other : Gathered
            Moments of the next blocks. They are not changed.

        Returns
        -------
        self : Gathered
            The updated moments.
        """
        self.moments.merge(other.moments)
        self.lengths = self.lengths + other.lengths
        if not is_few(self.moments.n_samples, len(self.moments.mean)):
            self.finish()
        return self

    def finish(self) -> Moments:
        """Return the moments, with the scatter in its form.

        Returns
        -------
        moments : Moments
            The moments of all rows.
        """
        scatter = self.moments.scatter
        if self.kind == "dense" and scatter.kind == "factor":
            dense = DenseScatter(scatter.n_features, scatter.device)
            self.moments.scatter = merged(dense, scatter)
        return self.moments


@dataclass(frozen=True)
class MomentsPass:
    """How the moments of a block are gathered.

    An object is a function of a `Block`, for `RowBlocks.reduce` with `Gathered.merge`.

    Attributes
    ----------
    grid : Grid
        Axes and channels of the rows.
    kind : str
        Form of the scatter of all rows: "dense", "factor" or "sketch".
    sketch_size : int or None
        Number of rows of a sketch.
    tails : bool
        Whether to gather the third and fourth moments.
    batch_size : int or None
        Number of rows that are processed together.
    device : torch.device
        Device on which to compute.
    """

    grid: Grid
    kind: str
    sketch_size: int | None
    tails: bool
    batch_size: int | None
    device: torch.device

    def __call__(self, block: Block) -> Gathered:
        """Return the moments of a block.

        Parameters
        ----------
        block : Block
            Rows and weights.

        Returns
        -------
        gathered : Gathered
            The moments. A block of few rows is kept as rows, which are smaller than the
            matrix.

        Raises
        ------
        ValueError
            If the rows have NaN or infinite values.
        """
        keep_freed_memory()
        rows = block.rows
        if block.weights is not None:
            # A row of weight 0 would hide its NaN values.
            block.check_finite()
        kind, n_features = self.kind, self.grid.n_features
        if kind == "dense" and is_few(len(rows), n_features):
            kind = "factor"
        scatter = new_scatter(
            kind,
            self.grid,
            self.device,
            n_rows=len(rows),
            itemsize=rows.dtype.itemsize,
            sketch_size=self.sketch_size,
        )
        moments = Moments(n_features, self.device, tails=self.tails, scatter=scatter)
        moments.update(rows, block.weights, batch_size=self.batch_size)
        if not math.isfinite(moments.scatter.second_moment().trace()):
            block.check_finite()
        return Gathered(moments.moved_to(_CPU), self.kind, [len(rows)])
