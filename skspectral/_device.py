"""Conversion between arrays and tensors, devices, and memory for batches."""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info

# Type of the samples in all numerics: a numpy array, or a tensor on any device.
Samples = np.ndarray | torch.Tensor

# Largest batch on an accelerator, which needs larger batches than a CPU to be busy.
_ACCELERATOR_BYTES = 512 * 2**20
# A batch may take one eighth of the free device memory, because the centred copy of the
# batch, a float64 copy and the products must fit into the memory, too.
_FREE_MEMORY_DIVISOR = 8
# Largest block, in bytes, whose memory glibc keeps after it has been freed: 32 MiB with
# some bytes for its own use.
_LARGEST_REUSED = 2**25 - 2**16
# Phrases in the errors of the CPU's allocator, the CUDA driver and the CUDA libraries.
_SIGNS_OF_FULL_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


def resolve_device(device: str | torch.device | None, X: Any = None) -> torch.device:
    """Return the device to compute on: ``device`` or, if it is None, that of ``X``.

    Raises
    ------
    ValueError
        If ``device`` is not a device of torch, or is not present on this machine.
    RuntimeError
        In a forked process that has lost its OpenMP threads.
    """
    _refuse_lost_threads()
    if device is None:
        return X.device if isinstance(X, torch.Tensor) else torch.device("cpu")
    try:
        resolved = torch.device(device)
        # A trial, because sums are float64, which some accelerators do not support.
        torch.zeros(1, dtype=torch.float64, device=resolved).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):
            reason = "torch has no device of this name; NVIDIA GPUs are called 'cuda'"
        raise ValueError(
            f"device={device!r} cannot be used on this machine ({reason}). "
            "Pass device=None or device='cpu'."
        ) from error
    return resolved


def as_tensor(
    array: Samples, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Return a tensor with the values of ``array``, in shared memory if possible.

    torch does not support negative strides, and warns about read-only memory. Such
    arrays (reversed views, memory maps) are copied.
    """
    if isinstance(array, torch.Tensor):
        if array.is_inference() and not torch.is_inference_mode_enabled():
            # torch cannot record gradients through inference tensors.
            array = array.clone()
        return array.detach().to(device=device, dtype=dtype)
    writable = np.require(array, requirements=["C", "W"])
    if min(writable.strides, default=0) < 0:
        # numpy ignores negative strides along axes of length 1; torch does not.
        writable = writable.copy()
    return torch.from_numpy(writable).to(device=device, dtype=dtype)


def as_array(array: Samples, dtype: np.dtype | type | None = None) -> np.ndarray:
    """Return a numpy array with the values of an array, or a tensor on any device."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


def working_dtype(array: Samples) -> torch.dtype:
    """Return float64 for float64 data, and float32 for all other types."""
    double = torch.float64 if isinstance(array, torch.Tensor) else np.float64
    return torch.float64 if array.dtype == double else torch.float32


def numpy_dtype(dtype: torch.dtype) -> type[np.floating]:
    """Return the numpy type of a working dtype."""
    return np.float64 if dtype == torch.float64 else np.float32


def new_rows(like: Samples, shape: tuple[int, ...], dtype: torch.dtype) -> Samples:
    """Return uninitialised memory for results, of the kind and device of ``like``.

    On a CPU numpy allocates the memory, because it requests large pages. torch does
    not, and would spend more time in page faults than in a matrix product.
    """
    if isinstance(like, torch.Tensor) and like.device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=like.device)
    rows = np.empty(shape, numpy_dtype(dtype))
    return torch.from_numpy(rows) if isinstance(like, torch.Tensor) else rows


def as_destination(rows: Samples) -> torch.Tensor:
    """Return a view of ``rows`` to which tensors from any device can be written."""
    return rows if isinstance(rows, torch.Tensor) else torch.from_numpy(rows)


def batch_rows(
    X: Samples, batch_size: int | None, n_bytes: int, device: torch.device
) -> int:
    """Return ``batch_size`` or, if it is None, the number of rows in ``n_bytes``.

    On a CUDA device the free memory takes the place of ``n_bytes``.
    """
    if batch_size is not None:
        return batch_size
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device)
        free += reserved - torch.cuda.memory_allocated(device)
        n_bytes = min(_ACCELERATOR_BYTES, free // _FREE_MEMORY_DIVISOR)
    return max(1, n_bytes // (X.shape[1] * working_dtype(X).itemsize))


def total_memory(device: torch.device) -> float:
    """Return the number of bytes of memory of a device, or inf if it is unknown."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "cpu" and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float("inf")


def iter_batches(
    X: Samples, n_rows: int, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Iterate over batches of ``n_rows`` rows of ``X``, in its working dtype.

    The batches are tensors. They may share memory with ``X``, and must not be modified.
    """
    dtype = working_dtype(X)
    for start in range(0, len(X), n_rows):
        rows = slice(start, min(start + n_rows, len(X)))
        yield rows, as_tensor(X[rows], device, dtype)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch means that memory is full."""
    first_line = str(error).partition("\n")[0]
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in first_line for sign in _SIGNS_OF_FULL_MEMORY
    )


def keep_freed_memory() -> None:
    """Let the C library reuse the memory of freed arrays of up to 32 MiB.

    By default, glibc returns freed arrays to the operating system until it has seen
    larger ones being freed (``M_MMAP_THRESHOLD`` in mallopt(3)). A fit, which computes
    many arrays of the same few megabytes, would get new pages for each of them; this
    can take half of its time. One freed block just below the largest such size, whose
    pages are never touched, has the same effect as the larger arrays. Other C libraries
    are not affected.
    """
    torch.empty(_LARGEST_REUSED, dtype=torch.uint8)


@contextmanager
def memory_advice(batch_size: int | None) -> Iterator[None]:
    """Turn torch's errors about memory into a MemoryError with advice."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise MemoryError(
            f"Out of memory with batch_size={batch_size} ({reason}). Pass a smaller "
            "batch_size, or device='cpu'."
        ) from error


@contextmanager
def training_mode() -> Iterator[None]:
    """Let torch record gradients, and restore the caller's mode afterwards."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


# State of torch's threads in this process. It is "unused" until several threads have
# computed, then "used", and "lost" in a process that was forked from a "used" one.
_threads = "unused"


def _refuse_lost_threads() -> None:
    """Raise an error in a forked process whose OpenMP threads stayed in its parent.

    GNU's OpenMP would wait for these threads forever.
    """
    global _threads
    if torch.get_num_threads() == 1:
        return
    if _threads == "lost":
        pools = {pool.get("prefix") for pool in threadpool_info()}
        if "libgomp" in pools:
            raise RuntimeError(
                "This process was forked from one in which torch had computed with "
                "several OpenMP threads. A forked process does not have these threads, "
                "and would wait for them forever. Start workers with the method "
                "'spawn' or 'forkserver', or call torch.set_num_threads(1) in them "
                "first."
            )
    _threads = "used"


def _note_fork() -> None:
    """Note in a forked process that it has lost the threads of its parent."""
    global _threads
    if _threads == "used":
        _threads = "lost"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
