"""Which objects hold rows in blocks, and which are arrays in memory."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from skspectral._advice import brief
from skspectral._missing import is_lazy
from skspectral._validation import check_finite
from skspectral.blocks.dask_blocks import DaskBlocks
from skspectral.blocks.row_blocks import RowBlocks
from skspectral.blocks.stored import StoredBlocks
from skspectral.blocks.stream import StreamBlocks


def row_blocks(X: Any) -> RowBlocks | None:
    """Return X as blocks of rows, or None if it is an array in memory.

    Objects are recognised by their attributes, so that no library is imported for them.

    Parameters
    ----------
    X : object
        Any argument of the name X.

    Returns
    -------
    blocks : RowBlocks or None
        The blocks of a collection of dask (array or data frame, also within xarray), of
        an array that is stored in a file (zarr, h5py), of a function that returns an
        iterable of blocks, or of a `torch.utils.data.DataLoader`. None for all other
        objects.

    Raises
    ------
    TypeError
        If X is an iterator, which can be read only once.
    ValueError
        If the blocks are no rows of numbers.
    """
    if isinstance(X, (np.ndarray, torch.Tensor)):
        return None
    if is_lazy(X):
        return DaskBlocks(X)
    if _is_stored(X):
        return StoredBlocks(X)
    if isinstance(X, DataLoader) or (callable(X) and not isinstance(X, type)):
        return StreamBlocks(X)
    if isinstance(X, Iterator):
        raise TypeError(
            f"X={brief(X)} must be an array of numbers of shape (n_samples, "
            "n_features). Pass np.array(list(X)) if it yields rows, or, if it yields "
            "blocks of rows, a function that returns such an iterator."
        )
    return None


def refuse_gaps(X: Any, estimator: Any) -> None:
    """Raise an error if an array in memory has NaN, infinite or masked entries.

    Parameters
    ----------
    X : object
        Any argument of the name X. Blocks are not read.
    estimator : estimator instance
        Estimator that needs complete rows.

    Raises
    ------
    ValueError
        If entries are missing or infinite.
    """
    if row_blocks(X) is None:
        check_finite(X, estimator)


def _is_stored(X: Any) -> bool:
    """Return whether X is an array in a file, such as those of zarr and h5py."""
    has = all(hasattr(X, name) for name in ("shape", "dtype", "chunks", "__getitem__"))
    # An array of xarray in memory has these attributes, too, and dimensions.
    return has and not hasattr(X, "dims")
