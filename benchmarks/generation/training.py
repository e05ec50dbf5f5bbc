"""Minibatches, a training loop with a time limit, and other parts of the networks."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import time

import numpy as np
import torch

# Number of steps in which the learning rate rises to its full value.
WARM_UP = 200
# Fraction of the time, at its end, in which the learning rate falls to zero.
DECAY = 0.4


def minibatches(images, batch_size, device, generator):
    """Yield random batches of images in [-1, 1], half of them mirrored."""
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


def step_size(n_steps, elapsed):
    """Return the factor of the learning rate.

    It depends on the number of past steps and on the ``elapsed`` fraction of the time.
    """
    return min(1, (n_steps + 1) / WARM_UP, (1 - elapsed) / DECAY)


def train(step, optimizers, seconds):
    """Call ``step()`` for ``seconds`` seconds; return the number of calls."""
    rates = [
        [group["lr"] for group in optimizer.param_groups] for optimizer in optimizers
    ]
    start = time.perf_counter()
    n_steps = 0
    while (elapsed := (time.perf_counter() - start) / seconds) < 1:
        for optimizer, group_rates in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, group_rates, strict=True):
                group["lr"] = rate * step_size(n_steps, elapsed)
        step()
        n_steps += 1
    return n_steps


class Average:
    """Exponential moving average of a network's weights."""

    def __init__(self, network, decay):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self._n_updates = 0

    @torch.no_grad()
    def update(self, network):
        """Add the present weights to the average.

        The first updates have larger weights in the average.
        """
        self._n_updates += 1
        weight = 1 - min(self._decay, self._n_updates / (self._n_updates + 10))
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
    """Return the number of trained parameters."""
    return sum(p.numel() for network in networks for p in network.parameters())


def seeded(seed, device):
    """Return a generator of random numbers and the device.

    The generator is on the CPU, so that all devices receive the same random numbers.
    """
    return torch.Generator().manual_seed(seed), torch.device(device)


def as_images(planes):
    """Return images in [0, 1] with channels last, from planes in [-1, 1]."""
    return np.moveaxis(planes.cpu().numpy() / 2 + 0.5, 1, -1)
