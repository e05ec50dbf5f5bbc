"""The only place that knows how arrays become tensors, and where tensors live."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# What the numerics take: a numpy array, or a tensor that stays where it is.
Samples = np.ndarray | torch.Tensor

# An accelerator needs larger batches than a CPU's caches to be busy.
_ACCELERATOR_BYTES = 512 * 2**20
# Share of the free device memory that one batch may take: beside it live its centred
# copy, its float64 copy and the products.
_FREE_SHARE = 8
# In errors of the CPU's allocator, the driver, and CUDA's libraries.
_SIGNS_OF_FULL_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


def resolve_device(device: str | torch.device | None, X: Any = None) -> torch.device:
    """Device to compute on: that of ``X`` unless another one was asked for.

    Raises
    ------
    ValueError
        If ``device`` is not a device of torch, or is not present on this machine.
    """
    if device is None:
        return X.device if isinstance(X, torch.Tensor) else torch.device("cpu")
    try:
        resolved = torch.device(device)
        # Sums are float64, which not every accelerator has.
        torch.zeros(1, dtype=torch.float64, device=resolved).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} cannot be used on this machine ({reason}). "
            "Pass device=None or device='cpu'."
        ) from error
    return resolved


def as_tensor(
    array: Samples, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Tensor with the values of ``array``; shares its memory where that is possible.

    torch takes neither negative strides nor, without a warning, read-only memory:
    such arrays (views, memory maps) are copied.
    """
    if isinstance(array, torch.Tensor):
        return array.detach().to(device=device, dtype=dtype)
    writable = np.require(array, requirements=["C", "W"])
    if min(writable.strides, default=0) < 0:
        # Along axes of length 1 numpy takes no notice of them.
        writable = writable.copy()
    return torch.from_numpy(writable).to(device=device, dtype=dtype)


def as_array(array: Samples, dtype: np.dtype | type | None = None) -> np.ndarray:
    """Numpy array with the values of a tensor, from whatever device, or an array."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


def working_dtype(array: Samples) -> torch.dtype:
    """float64 for float64 data, float32 for everything smaller."""
    double = torch.float64 if isinstance(array, torch.Tensor) else np.float64
    return torch.float64 if array.dtype == double else torch.float32


def numpy_dtype(dtype: torch.dtype) -> type[np.floating]:
    """The numpy type of a working dtype."""
    return np.float64 if dtype == torch.float64 else np.float32


def new_rows(like: Samples, shape: tuple[int, ...], dtype: torch.dtype) -> Samples:
    """Memory for results, of the kind and in the place of ``like``.

    numpy asks for large pages, torch on a CPU does not: it would spend more time in
    page faults than in a product.
    """
    if isinstance(like, torch.Tensor) and like.device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=like.device)
    rows = np.empty(shape, numpy_dtype(dtype))
    return torch.from_numpy(rows) if isinstance(like, torch.Tensor) else rows


def as_destination(rows: Samples) -> torch.Tensor:
    """View of ``rows`` that tensors from any device can be written to."""
    return rows if isinstance(rows, torch.Tensor) else torch.from_numpy(rows)


def batch_rows(
    X: Samples, batch_size: int | None, n_bytes: int, device: torch.device
) -> int:
    """``batch_size`` or, where it is None, as many rows as fill ``n_bytes``.

    On an accelerator more, as far as its free memory allows.
    """
    if batch_size is not None:
        return batch_size
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device)
        free += reserved - torch.cuda.memory_allocated(device)
        n_bytes = min(_ACCELERATOR_BYTES, free // _FREE_SHARE)
    return max(1, n_bytes // (X.shape[1] * working_dtype(X).itemsize))


def iter_batches(
    X: Samples, n_rows: int, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of ``X`` in batches of ``n_rows``, as tensors of its working dtype.

    A batch may share memory with ``X``: treat it as read-only.
    """
    dtype = working_dtype(X)
    for start in range(0, len(X), n_rows):
        rows = slice(start, min(start + n_rows, len(X)))
        yield rows, as_tensor(X[rows], device, dtype)


@contextmanager
def memory_advice(batch_size: int | None) -> Iterator[None]:
    """Turn torch's errors about memory into a MemoryError that says what to change."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        if not (
            isinstance(error, torch.OutOfMemoryError)
            or any(sign in reason for sign in _SIGNS_OF_FULL_MEMORY)
        ):
            raise
        raise MemoryError(
            f"Out of memory with batch_size={batch_size} ({reason}) Pass a smaller "
            "batch_size, or device='cpu'."
        ) from error


@contextmanager
def training_mode() -> Iterator[None]:
    """Let torch record gradients, whatever mode the caller has set; put it back."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
