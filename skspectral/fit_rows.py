"""The rows of a fit, in memory or in blocks, for what moments cannot tell.

Most fits need the rows once, for their moments. Minibatches, and priors that are fitted
to coordinates, need them again.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from skspectral._device import Samples, as_array
from skspectral._progress import Monitor
from skspectral.blocks.moments_pass import Gathered, MomentsPass
from skspectral.blocks.row_blocks import Block, RowBlocks
from skspectral.fit_plan import FitPlan
from skspectral.learning.stochastic import Batches
from skspectral.model import LinearModel
from skspectral.moments.choice import choose_kind, new_scatter
from skspectral.moments.moments import Moments

# Coordinates in memory take at most this number of bytes, if the rows are in blocks.
_COORDINATE_BYTES = 2**30
# Coordinates, labels and weights of the same rows.
Coordinates = tuple[np.ndarray, Any, np.ndarray | None]


class FitRows(Protocol):
    """Rows of a call of ``fit`` or ``partial_fit``."""

    def moments(self, plan: FitPlan, n_earlier: int, monitor: Monitor) -> Moments:
        """Return the moments of the rows, on the device of the plan.

        ``n_earlier`` is the number of rows of earlier calls, whose moments will be
        merged.
        """

    def batches(self, mean: torch.Tensor, scale: float, plan: FitPlan) -> Batches:
        """Return random minibatches of the rows, centred and multiplied by a scale."""

    def coordinates(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Return the coordinates of rows, with their labels and weights.

        They are those of all rows, or of a uniform sample.
        """

    def sparse_codes(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Return the sparse codes of rows, with their labels and weights."""


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Samples in memory.

    Attributes
    ----------
    samples : array of shape (n, T)
        The training data.
    weights : ndarray of shape (n,) or None
        Weights of the rows. None means weights of 1.
    labels : object
        Labels for the prior, or None.
    rng : Generator
        Random numbers for the minibatches.
    """

    samples: Samples
    weights: np.ndarray | None
    labels: Any
    rng: np.random.Generator

    def moments(self, plan: FitPlan, n_earlier: int, monitor: Monitor) -> Moments:
        """Return the moments of the rows, see `FitRows`."""
        scatter = new_scatter(
            plan.second_moment,
            plan.grid,
            plan.device,
            n_rows=len(self.samples) + n_earlier,
            itemsize=plan.dtype.itemsize,
            sketch_size=plan.sketch_size,
        )
        moments = Moments(
            self.samples.shape[1], plan.device, tails=plan.needs_tails, scatter=scatter
        )
        n_batches = moments.n_batches(self.samples, plan.batch_size)
        on_batch = monitor.stage("moments", n_batches)
        return moments.update(
            self.samples, self.weights, batch_size=plan.batch_size, on_batch=on_batch
        )

    def batches(self, mean: torch.Tensor, scale: float, plan: FitPlan) -> Batches:
        """Return random minibatches of the rows, see `FitRows`."""
        return Batches(
            self.samples,
            self.weights,
            mean,
            scale,
            plan.batch_size,
            plan.dtype,
            self.rng,
        )

    def coordinates(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Return the coordinates of all rows, with their labels and weights."""
        found, _ = model.coordinates(
            self.samples, device=plan.device, batch_size=plan.batch_size
        )
        return found, self.labels, self.weights

    def sparse_codes(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Return the sparse codes of all rows, with their labels and weights."""
        assert plan.prior_coding is not None
        found, _ = model.sparse_codes(
            self.samples,
            plan.prior_coding,
            device=plan.device,
            batch_size=plan.batch_size,
        )
        return as_array(found, np.float64), self.labels, self.weights


@dataclass(eq=False)
class BlockRows:
    """Samples in blocks.

    Attributes
    ----------
    blocks : RowBlocks
        The training data.
    weights : array-like, dask array or None
        Weights of the rows. None means weights of 1.
    labels : ndarray or None
        Labels for the prior, or None.
    rng : Generator
        Random numbers for the choice of rows.
    lengths : list of int
        Numbers of rows of the blocks. Set by `moments`.
    """

    blocks: RowBlocks
    weights: Any
    labels: np.ndarray | None
    rng: np.random.Generator
    lengths: Sequence[int] = ()

    def moments(self, plan: FitPlan, n_earlier: int, monitor: Monitor) -> Moments:
        """Return the moments of the rows, see `FitRows`.

        A ValueError is raised if a block has NaN or infinite values, or another width
        or type than the others.
        """
        kind, n_rows = plan.second_moment, self.blocks.n_rows
        if kind == "auto":
            kind = choose_kind(
                2**63 if n_rows is None else n_rows + n_earlier,
                plan.grid.n_features,
                plan.dtype.itemsize,
            )
        gather = MomentsPass(
            grid=plan.grid,
            kind=kind,
            sketch_size=plan.sketch_size,
            tails=plan.needs_tails,
            batch_size=plan.batch_size,
            device=plan.device,
        )
        if self.labels is not None:
            self.blocks.require_order("y")
        on_block = monitor.stage("moments", self.blocks.n_blocks)
        gathered = self.blocks.reduce(
            gather, Gathered.merge, weights=self.weights, on_block=on_block
        )
        self.lengths = gathered.lengths
        return gathered.finish().moved_to(plan.device)

    def batches(self, mean: torch.Tensor, scale: float, plan: FitPlan) -> Batches:
        """Raise a ValueError, because minibatches need the rows in memory."""
        raise ValueError(
            "X comes in blocks, but solver='adam', stft_weight > 0, and learning for "
            "sparse codes need rows in memory. Pass an array, or other parameters. For "
            "sparse codes, partial_fit also learns from one array after the other."
        )

    def coordinates(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Return the coordinates of rows, with their labels and weights.

        They are those of all rows if they take at most 1 GiB, and otherwise those of a
        uniform sample of rows that takes 1 GiB.
        """
        n_rows = sum(self.lengths)
        if self.labels is not None and len(self.labels) != n_rows:
            raise ValueError(
                f"y has {len(self.labels)} labels, but X has {n_rows} rows. Pass one "
                "label per row."
            )
        kept = None
        most = max(1, _COORDINATE_BYTES // (8 * model.rank))
        if n_rows > most:
            # Rows are drawn by their numbers, so that the choice does not depend on the
            # blocks.
            kept = np.sort(self.rng.choice(n_rows, most, replace=False))
        starts = np.concatenate([[0], np.cumsum(self.lengths)])
        parts = self.blocks.reduce(
            partial(
                _coordinates_of_block,
                model=model,
                plan=(plan.device, plan.batch_size),
                kept=kept,
                starts=starts,
            ),
            _extend,
            weights=self.weights,
        )
        coordinates = np.concatenate([found for found, _ in parts])
        weights, labels = None, self.labels
        if self.weights is not None:
            weights = np.concatenate([each for _, each in parts])
        if labels is not None and kept is not None:
            labels = labels[kept]
        return coordinates, labels, weights

    def sparse_codes(self, model: LinearModel, plan: FitPlan) -> Coordinates:
        """Raise a ValueError, because sparse codes need the rows in memory."""
        raise ValueError(
            "X comes in blocks, but a prior of sparse codes needs rows in memory. Pass "
            "an array, or another prior."
        )


def _coordinates_of_block(
    block: Block,
    model: LinearModel,
    plan: tuple[torch.device, int | None],
    kept: np.ndarray | None,
    starts: np.ndarray,
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return coordinates and weights of the rows that are kept, as a list of one."""
    rows, weights = block.rows, block.weights
    if kept is not None:
        start = starts[block.number] if block.start is None else block.start
        within = kept - start
        within = within[(within >= 0) & (within < len(rows))]
        rows = rows[within]
        weights = None if weights is None else weights[within]
    device, batch_size = plan
    found, _ = model.coordinates(rows, device=device, batch_size=batch_size)
    return [(found, weights)]


def _extend(parts: list[Any], others: list[Any]) -> list[Any]:
    """Return the first list, with the entries of the second."""
    parts.extend(others)
    return parts
