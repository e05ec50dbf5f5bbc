"""The only place that knows how arrays become tensors, and where tensors live."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
import torch


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Device to compute on: the CPU unless another one was asked for.

    Raises
    ------
    ValueError
        If ``device`` is not a device of torch, or is not present on this machine.
    """
    if device is None:
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
        # Sums are float64, which not every accelerator has.
        torch.empty(0, dtype=torch.float64, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} cannot be used on this machine ({reason}). "
            "Pass device=None or device='cpu'."
        ) from error
    return resolved


def as_tensor(
    array: np.ndarray, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Tensor with the values of ``array``; shares its memory where that is possible.

    torch takes neither negative strides nor, without a warning, read-only memory:
    such arrays (views, memory maps) are copied.
    """
    writable = np.require(array, requirements=["C", "W"])
    return torch.from_numpy(writable).to(device=device, dtype=dtype)


def as_array(tensor: torch.Tensor, dtype: np.dtype | type | None = None) -> np.ndarray:
    """Numpy array with the values of ``tensor``, from whatever device."""
    array = tensor.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


def working_dtype(array: np.ndarray) -> torch.dtype:
    """float64 for float64 data, float32 for everything smaller."""
    return torch.float64 if array.dtype == np.float64 else torch.float32


def numpy_dtype(dtype: torch.dtype) -> type[np.floating]:
    """The numpy type of a working dtype."""
    return np.float64 if dtype == torch.float64 else np.float32


def batch_rows(X: np.ndarray, batch_size: int | None, n_bytes: int) -> int:
    """``batch_size`` or, where it is None, as many rows as fill ``n_bytes``."""
    if batch_size is not None:
        return batch_size
    return max(1, n_bytes // (X.shape[1] * working_dtype(X).itemsize))


def iter_batches(
    X: np.ndarray, n_rows: int, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of ``X`` in batches of ``n_rows``, as tensors of its working dtype.

    A batch may share memory with ``X``: treat it as read-only.
    """
    dtype = working_dtype(X)
    for start in range(0, len(X), n_rows):
        rows = slice(start, min(start + n_rows, len(X)))
        yield rows, as_tensor(X[rows], device, dtype)
