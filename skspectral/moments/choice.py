"""Choice of the form in which the scatter of the data is kept.

The forms are compared by memory, and by the time of a fit as measured by
``benchmarks/bench_second_moment.py forms``.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy

import torch

from skspectral._device import is_out_of_memory, total_memory
from skspectral.grid import Grid
from skspectral.moments.scatter import DenseScatter, FactorScatter, Scatter
from skspectral.moments.sketch import SketchScatter

# Forms from the most exact to the most economical. A merged scatter has the later one.
KINDS = ("factor", "dense", "sketch")
# With "auto", a factor or a dense matrix takes at most this number of bytes.
_AUTO_BYTES = 2**30
# A fit from the factor is faster than one from the matrix up to about this number of
# rows, as a fraction of the number of features.
_FACTOR_ROWS = 0.5
# Default number of rows of a sketch, and the fewest that the limit on bytes leaves.
_SKETCH_SIZE, _MIN_SKETCH_SIZE = 256, 16
_GIB = 2**30


def choose_kind(n_rows: int, n_features: int, itemsize: int) -> str:
    """Return the form of the scatter that suits the size of the data.

    Parameters
    ----------
    n_rows : int
        Number of all rows.
    n_features : int
        Number T of features.
    itemsize : int
        Number of bytes of an entry of X.

    Returns
    -------
    kind : str
        "factor" if there are at most half as many rows as features, or at most as many
        where the matrix would take more than 1 GiB, and if the rows take at most 1 GiB;
        otherwise "dense" if the matrix takes at most 1 GiB, which is the case up to
        11,585 features; otherwise "sketch".
    """
    matrix_fits = 8 * n_features**2 <= _AUTO_BYTES
    few = is_few(n_rows, n_features) if matrix_fits else n_rows <= n_features
    if few and n_rows * n_features * itemsize <= _AUTO_BYTES:
        return "factor"
    return "dense" if matrix_fits else "sketch"


def is_few(n_rows: int, n_features: int) -> bool:
    """Return whether a fit from the rows is faster than one from their matrix.

    Parameters
    ----------
    n_rows : int
        Number of all rows.
    n_features : int
        Number T of features.

    Returns
    -------
    few : bool
        Whether there are at most half as many rows as features.
    """
    return n_rows <= _FACTOR_ROWS * n_features


def default_sketch_size(n_features: int) -> int:
    """Return the default number of rows of a sketch.

    Parameters
    ----------
    n_features : int
        Number T of features.

    Returns
    -------
    size : int
        256, or less for long rows, so that the sketch takes about 1 GiB; at least 16,
        and at most T.
    """
    fitting = _AUTO_BYTES // _bytes_needed("sketch", 0, n_features, 1, 8)
    return min(n_features, max(_MIN_SKETCH_SIZE, min(_SKETCH_SIZE, fitting)))


def new_scatter(
    kind: str,
    grid: Grid,
    device: torch.device,
    *,
    n_rows: int,
    itemsize: int,
    sketch_size: int | None = None,
) -> Scatter:
    """Return an empty scatter.

    Parameters
    ----------
    kind : str
        "dense", "factor", "sketch", or "auto" for `choose_kind`.
    grid : Grid
        Axes and channels of the rows.
    device : torch.device
        Device of the sums.
    n_rows : int
        Number of all rows that will be added.
    itemsize : int
        Number of bytes of an entry of X.
    sketch_size : int or None, default=None
        Number of rows of a sketch. None means `default_sketch_size`.

    Returns
    -------
    scatter : Scatter
        The empty scatter.

    Raises
    ------
    ValueError
        If ``sketch_size`` is larger than the number of features.
    MemoryError
        If the scatter does not fit into memory.
    """
    n_features = grid.n_features
    if sketch_size is not None and sketch_size > n_features:
        raise ValueError(
            f"sketch_size={sketch_size} must not be larger than n_features="
            f"{n_features}, because a sketch of so many rows is larger than the exact "
            f"second moment. Pass sketch_size={n_features} or less, or "
            "second_moment='dense'."
        )
    if kind == "auto":
        kind = choose_kind(n_rows, n_features, itemsize)
    size = sketch_size or default_sketch_size(n_features)
    needed = _bytes_needed(kind, n_rows, n_features, size, itemsize)
    memory = total_memory(device)
    if needed > memory:
        raise MemoryError(_advice(kind, needed, memory, n_rows, n_features, itemsize))
    try:
        if kind == "factor":
            # Each batch adds a row for the difference of the means.
            return FactorScatter(n_features, device, n_rows + n_rows // 8 + 16)
        if kind == "dense":
            return DenseScatter(n_features, device)
        return SketchScatter(grid, size, device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            _advice(kind, needed, memory, n_rows, n_features, itemsize)
        ) from error


def merged(one: Scatter, other: Scatter) -> Scatter:
    """Return the sum of two scatters; ``other`` is not changed.

    Parameters
    ----------
    one : Scatter
        First scatter. Its memory may become that of the sum.
    other : Scatter
        Second scatter.

    Returns
    -------
    total : Scatter
        The sum, in the more economical of the two forms: a factor added to a dense
        scatter gives a dense one, and anything added to a sketch gives a sketch.
    """
    if KINDS.index(one.kind) < KINDS.index(other.kind):
        total = copy.deepcopy(other)
        total.merge(one)
        return total
    one.merge(other)
    return one


def _bytes_needed(
    kind: str, n_rows: int, n_features: int, size: int, itemsize: int
) -> int:
    """Return the number of bytes of a scatter."""
    if kind == "factor":
        return n_rows * n_features * itemsize
    if kind == "dense":
        return 8 * n_features**2
    # A sketch collects as many new rows as it keeps before it is compressed.
    return 2 * size * n_features * itemsize


def _advice(
    kind: str,
    needed: float,
    memory: float,
    n_rows: int,
    n_features: int,
    itemsize: int,
) -> str:
    """Return the text of an error about memory, with a form that would fit."""
    options = []
    if kind == "dense":
        factor = _bytes_needed("factor", n_rows, n_features, 0, itemsize)
        if 0 < factor <= memory / 4:
            options.append(
                f"second_moment='factor', which needs {factor / _GIB:.1f} GiB"
            )
    per_row = _bytes_needed("sketch", 0, n_features, 1, itemsize)
    size = int(
        min(_SKETCH_SIZE, n_features, needed // 4 // per_row, memory // 4 // per_row)
    )
    if size >= 1:
        options.append(
            f"second_moment='sketch' with sketch_size={size}, which needs "
            f"{size * per_row / _GIB:.1f} GiB"
        )
    passing = f"Pass {', or '.join(options)}. Or cut" if options else "Cut"
    return (
        f"The second moment of {n_features} features does not fit into memory: "
        f"second_moment={kind!r} needs {needed / _GIB:.0f} GiB. {passing} signals into "
        "shorter windows, or images into patches."
    )
