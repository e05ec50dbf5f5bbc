"""Moments of rows that are divided between the processes of `torch.distributed`."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math

import numpy as np
import torch

from skspectral._processes import Processes
from skspectral.moments.moments import Moments
from skspectral.moments.scatter import DenseScatter


def all_reduce_moments(moments: Moments) -> Moments:
    """Return the moments of the rows of all processes, in each process.

    All processes of the default group of ``torch.distributed`` must call the function.
    With the backend "nccl", the moments must be on a GPU, one for each process.

    Parameters
    ----------
    moments : Moments
        Moments of the rows of this process. They are not changed. All processes have
        the same number of features and the same form of the scatter.

    Returns
    -------
    total : Moments
        Moments of the rows of all processes, on the device of ``moments``.

    Raises
    ------
    RuntimeError
        If there is no group of processes.
    ValueError
        If the processes have other numbers of features, or other forms of the scatter.

    See Also
    --------
    Moments.merge : Add moments in one process.

    Notes
    -----
    Dense scatter matrices are summed by one all-reduce of T^2 numbers, so that memory
    and network do not grow with the number of processes. Factors and sketches are sent
    to all processes, which merge them in the order of their ranks. The result is the
    same in all processes, up to rounding of the backend.

    Examples
    --------
    Each process gathers the moments of its rows, and all learn the same atoms::

        torch.distributed.init_process_group("gloo")
        moments = Moments(n_features, torch.device("cpu")).update(own_rows)
        est.fit_moments(all_reduce_moments(moments))
    """
    processes = Processes(together=True)
    same = processes.all_equal((len(moments.mean), moments.scatter.kind))
    if not same:
        raise ValueError(
            f"moments have {len(moments.mean)} features and a scatter of the form "
            f"{moments.scatter.kind!r}, but those of another process differ. Gather all"
            " with the same n_features and form, such as Moments(n_features, device)."
        )
    if moments.scatter.kind != "dense":
        return _merged(moments, processes)
    return _summed(moments, processes)


def _summed(moments: Moments, processes: Processes) -> Moments:
    """Return the sum of dense moments, about their common mean."""
    device = moments.mean.device

    def total_of(number: float) -> float:
        return float(processes.sum(torch.tensor(number, device=device).double()))

    weight = total_of(moments.weight)
    total = Moments(len(moments.mean), device)
    total.weight = weight
    total.n_samples = round(total_of(moments.n_samples))
    if total_of(moments.dtype.itemsize == 8) > 0:
        total.dtype = np.dtype(np.float64)
    if weight == 0:
        return total
    total.mean = processes.sum(moments.mean * (moments.weight / weight))
    gap = moments.mean - total.mean
    matrix = moments.scatter.second_moment().dense().clone()
    matrix += moments.weight * torch.outer(gap, gap)
    third, fourth = torch.zeros_like(total.mean), math.nan
    if not math.isnan(moments.fourth):
        third, fourth = moments.tails_about(total.mean)
    matrix, total.third = processes.sum(matrix), processes.sum(third)
    total.fourth = total_of(fourth)
    total.scatter = DenseScatter.of_matrix(matrix)
    return total


def _merged(moments: Moments, processes: Processes) -> Moments:
    """Return the moments of all processes, merged in the order of their ranks."""
    first, *others = processes.of_all(moments)
    device = moments.mean.device
    total: Moments = copy.deepcopy(first).moved_to(device)
    for other in others:
        total.merge(other.moved_to(device))
    return total
