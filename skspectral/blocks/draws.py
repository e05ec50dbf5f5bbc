"""Draws in chunks, as lazy dask arrays."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any
from uuid import uuid4

import numpy as np

from skspectral._random import draw_seed, seed_of_part
from skspectral._sklearn_compat import as_numpy
from skspectral.blocks.row_wise import without_moments

# Rows that are drawn with one seed. Chunks are cut from such groups, so that a row does
# not depend on the chunk in which it is.
GROUP_ROWS = 1024


def lazy_draws(
    estimator: Any,
    n_samples: int,
    chunks: Any,
    y: Any,
    stream: np.random.Generator,
) -> Any:
    """Return draws as a lazy dask array.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``sample``.
    n_samples : int
        Number of rows.
    chunks : int, tuple of int, or "auto"
        Chunks of the rows, as in ``dask.array.from_array``.
    y : label or array-like of shape (n_samples,), or None
        Labels of the rows.
    stream : Generator
        Source of the seeds.

    Returns
    -------
    draws : dask array of shape (n_samples, T)
        The draws, which do not depend on the chunks.

    Raises
    ------
    ValueError
        If there is not one label per row, or the chunks do not add up to the rows.
    ImportError
        If dask is not installed.

    Notes
    -----
    Rows come in groups of 1,024 with a seed each. A group on the border of two chunks
    is drawn twice.
    """
    try:
        import dask
        import dask.array
    except ImportError as error:
        raise ImportError(
            "chunks needs dask. Install it with pip install 'skspectral[dask]', or pass"
            " chunks=None."
        ) from error
    labels = None
    if y is not None:
        labels = np.asarray(y)
        if labels.shape not in ((), (n_samples,)):
            raise ValueError(
                f"y of shape {labels.shape} must be one label, or one for each of the "
                f"n_samples={n_samples} draws."
            )
        labels = np.broadcast_to(labels, (n_samples,))
    light = without_moments(estimator)
    # These draws give type and width, and the errors that all draws would raise.
    example = _draw(light, 1, 0, None if labels is None else labels[:1])
    width = example.shape[1]
    shape = (n_samples, width)
    try:
        rows, _ = dask.array.empty(shape, example.dtype, chunks=(chunks, width)).chunks
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[-1].removeprefix("Original Message: ")
        raise ValueError(
            f"chunks={chunks!r} cannot divide n_samples={n_samples} rows ({reason}). "
            "Pass an int, a tuple of ints whose sum is n_samples, or 'auto'."
        ) from error
    root = draw_seed(stream)
    stops = np.cumsum(rows).tolist()
    task = dask.delayed(_rows, pure=False)
    shared = dask.delayed(light, traverse=False)
    parts = []
    for start, stop in zip([0, *stops[:-1]], stops, strict=True):
        groups = range(start // GROUP_ROWS, -(-stop // GROUP_ROWS))
        first = groups.start * GROUP_ROWS
        within = slice(first, min(n_samples, groups.stop * GROUP_ROWS))
        part = task(
            shared,
            root,
            groups,
            within.stop - first,
            None if labels is None else labels[within],
            (start - first, stop - first),
            dask_key_name=f"sample-{uuid4().hex}",
        )
        parts.append(
            dask.array.from_delayed(
                part,
                (stop - start, width),
                dtype=example.dtype,
                meta=np.empty((0, 0), example.dtype),
            )
        )
    return dask.array.concatenate(parts)


def _rows(
    estimator: Any,
    root: int,
    groups: range,
    n_rows: int,
    y: np.ndarray | None,
    kept: tuple[int, int],
) -> np.ndarray:
    """Draw consecutive groups of rows, and return a range of their rows."""
    drawn = []
    for i, group in enumerate(groups):
        rows = slice(i * GROUP_ROWS, min(n_rows, (i + 1) * GROUP_ROWS))
        seed = seed_of_part(root, group)
        labels = None if y is None else y[rows]
        drawn.append(_draw(estimator, rows.stop - rows.start, seed, labels))
    return np.concatenate(drawn)[slice(*kept)]


def _draw(estimator: Any, n: int, seed: int, y: np.ndarray | None) -> np.ndarray:
    """Return some draws of an estimator."""
    drawn: np.ndarray = as_numpy(estimator.sample(n, y=y, random_state=seed), "sample")
    return drawn
