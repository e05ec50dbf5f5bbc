"""Processes of `torch.distributed` that work on one computation."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


class Processes:
    """The processes of the default group of `torch.distributed`, or this one alone.

    All processes must call the methods in the same order, as all collective operations
    of `torch.distributed` require.

    Parameters
    ----------
    together : bool, default=False
        Whether the processes of the group work together.

    Raises
    ------
    RuntimeError
        If they should work together, and there is no group.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    """

    def __init__(self, together: bool = False):
        self.rank, self.size = 0, 1
        if together:
            if not (distributed.is_available() and distributed.is_initialized()):
                raise RuntimeError(
                    "There is no group of processes. Start the program with torchrun, "
                    "and call torch.distributed.init_process_group('gloo'), or 'nccl' "
                    "for NVIDIA GPUs, first."
                )
            self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def share(self, n: int) -> slice:
        """Return which of ``n`` consecutive items this process computes."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def with_mean_gradient(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose gradients are the means over all processes."""
        if self.size == 1:
            return module
        ids = [device] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, broadcast_buffers=False)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def of_first(self, value: Any) -> Any:
        """Return the object that process 0 has, which is sent as a pickle."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def of_all(self, value: Any) -> list[Any]:
        """Return the objects of all processes by rank, which are sent as pickles."""
        found = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(found, value)
        return found

    def all_equal(self, value: Any) -> bool:
        """Return whether an object is equal in all processes."""
        return all(each == value for each in self.of_all(value))
