"""What the networks have in common: minibatches, and training against the clock."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import time

import numpy as np
import torch

WARM_UP = 200  # steps
DECAY = 0.4  # share of the time, at the end, in which the step size falls to zero


def minibatches(images, batch_size, device, generator):
    """Endless batches of images from -1 to 1, half of them mirrored."""
    planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(device)
    while True:
        order = torch.randperm(len(planes), generator=generator).to(device)
        for chosen in order.split(batch_size):
            if len(chosen) < min(batch_size, len(planes)):
                continue
            batch = planes[chosen].float() / 127.5 - 1
            mirrored = torch.rand(len(batch), generator=generator) < 0.5
            batch[mirrored] = batch[mirrored].flip(-1)
            yield batch.contiguous(memory_format=torch.channels_last)


def step_size(n_steps, share):
    """Factor of the learning rate after so many steps, at a share of the time."""
    return min(1, (n_steps + 1) / WARM_UP, (1 - share) / DECAY)


def train(step, optimizers, seconds):
    """Call ``step()`` until the time is over; return the number of calls."""
    rates = [
        [group["lr"] for group in optimizer.param_groups] for optimizer in optimizers
    ]
    start = time.perf_counter()
    n_steps = 0
    while (share := (time.perf_counter() - start) / seconds) < 1:
        for optimizer, of_groups in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, of_groups, strict=True):
                group["lr"] = rate * step_size(n_steps, share)
        step()
        n_steps += 1
    return n_steps


class Average:
    """Exponential moving average of a network's weights."""

    def __init__(self, network, decay):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self._n = 0

    @torch.no_grad()
    def update(self, network):
        """Take in the present weights; early on they count for more."""
        self._n += 1
        weight = 1 - min(self._decay, self._n / (self._n + 10))
        pairs = zip(
            self.network.state_dict().values(),
            network.state_dict().values(),
            strict=True,
        )
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)


def n_parameters(*networks):
    """Number of trained numbers."""
    return sum(p.numel() for network in networks for p in network.parameters())


def seeded(seed, device):
    """Generator of the draws, made on the CPU so that devices see the same."""
    return torch.Generator().manual_seed(seed), torch.device(device)


def as_images(planes):
    """Images from 0 to 1, channels last, from planes from -1 to 1."""
    return np.moveaxis(planes.cpu().numpy() / 2 + 0.5, 1, -1)
