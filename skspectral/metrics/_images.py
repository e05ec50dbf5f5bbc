"""What the metrics of images and signals ask of their arrays, and batches of them."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite, gen_batches

from skspectral._sklearn_compat import as_numpy

Check = Callable[[ArrayLike, str], np.ndarray]

# Weights of red, green and blue in luma (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])
# 8 MiB in float64: a batch and its copies stay near the caches.
_BATCH_VALUES = 2**20


def check_samples(samples: ArrayLike, name: str) -> np.ndarray:
    """Real, finite numbers of any shape with two axes or more, of numpy; dtype kept."""
    array = as_numpy(samples)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} has dtype {array.dtype}. Pass an array of reals.")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}. Pass at least one sample along the first "
            "axis, and its values along the others."
        )
    assert_all_finite(array, input_name=name)
    return array


def check_images(images: ArrayLike, name: str) -> np.ndarray:
    """Images of shape (n, height, width[, channels]), with channels, not copied."""
    array = check_samples(images, name)
    if array.ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {array.shape}. Images are (n, height, width) or "
            "(n, height, width, channels): reshape rows to that."
        )
    return array[..., None] if array.ndim == 3 else array


def check_signals(signals: ArrayLike, name: str) -> np.ndarray:
    """Signals of shape (n, length), not copied."""
    array = check_samples(signals, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}. Signals are (n, length).")
    return array


def check_pair(
    check: Check, /, first: int = 0, **pair: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays by their names, each checked, of one shape from axis ``first`` on."""
    array, other = (check(values, name) for name, values in pair.items())
    if array.shape[first:] != other.shape[first:]:
        name, other_name = pair
        what = "Both must be of the same shape" if first == 0 else "Samples must agree"
        raise ValueError(
            f"{name} has shape {array.shape}, {other_name} {other.shape}. {what}."
        )
    return array, other


def check_data_range(data_range: float | None, *arrays: np.ndarray) -> float:
    """The range asked for, or 255 where all arrays are uint8.

    A range has to be given for other types, whose values do not tell it, and must not
    be that of floats where some arrays are bytes.
    """
    bytes_too = {array.dtype == np.uint8 for array in arrays} == {True, False}
    if data_range is not None and data_range <= 2 and bytes_too:
        raise ValueError(
            f"data_range={data_range} with uint8 beside another type: are the values "
            "of one from 0 to 255, and of the other from 0 to 1? Bring both to one."
        )
    if data_range is not None:
        return float(data_range)
    others = [array.dtype for array in arrays if array.dtype != np.uint8]
    if others:
        raise ValueError(
            f"data_range=None is for uint8, but there is data of type {others[0]}. "
            "Pass the largest possible value minus the smallest: 1.0 for data in "
            "[0, 1], 2.0 for [-1, 1], 255 for bytes that became floats."
        )
    return 255.0


def iter_slices(array: np.ndarray, n_values: int | None = None) -> Iterator[slice]:
    """Slices of the first axis; a row is worth ``n_values``, by default its size."""
    n_values = array[0].size if n_values is None else n_values
    return gen_batches(len(array), max(1, _BATCH_VALUES // n_values))


def iter_floats(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The same rows of all arrays, batch by batch, as float64: read-only."""
    for rows in iter_slices(arrays[0]):
        yield tuple(array[rows].astype(np.float64, copy=False) for array in arrays)


def power_of(spectra: np.ndarray) -> np.ndarray:
    """|Z|^2 of complex spectra Z."""
    return spectra.real**2 + spectra.imag**2
