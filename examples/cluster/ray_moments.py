"""Moments of rows in Ray, and a fit to them.

    python examples/cluster/ray_moments.py

Neighbours are merged pair by pair, so that the order of the sum is that of the blocks.
"""

import numpy as np
import ray
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.moments import Moments


@ray.remote
def moments_of(block):
    """Return the moments of one block of rows."""
    return Moments(block.shape[1], torch.device("cpu")).update(block)


@ray.remote
def merged(one, *others):
    """Return the moments of one or two neighbours."""
    for other in others:
        one.merge(other)
    return one


def ray_moments(blocks):
    """Return the moments of blocks of rows, which may be references of Ray."""
    parts = [moments_of.remote(block) for block in blocks]
    while len(parts) > 1:
        parts = [merged.remote(*parts[i : i + 2]) for i in range(0, len(parts), 2)]
    return ray.get(parts[0])


def main():
    """Fit to blocks that are made here; in practice tasks would read files."""
    ray.init(num_cpus=2)
    blocks = [
        np.random.default_rng(seed).normal(size=(1000, 64)).cumsum(axis=1)
        for seed in range(20)
    ]
    est = SpectralDictionaryLearning(8).fit_moments(ray_moments(blocks))
    print(est.n_samples_seen_, est.explained_variance_ratio_.sum().round(2))
    ray.shutdown()


if __name__ == "__main__":
    main()
