"""A small autoencoder whose decoder leaves checkerboard artefacts.

The decoder doubles the side lengths by transposed convolutions with stride 2 and
kernel size 3. Their kernels overlap unevenly, which causes checkerboards (Odena,
Dumoulin, Olah 2016, "Deconvolution and checkerboard artifacts").
"""
# SPDX-License-Identifier: BSD-3-Clause

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH, RATE = 64, 2e-3


def network(n_channels, width=32, n_codes=4):
    """Return an autoencoder with two strided convolutions in each direction."""

    def up(n_in, n_out):
        return nn.ConvTranspose2d(n_in, n_out, 3, 2, padding=1, output_padding=1)

    return nn.Sequential(
        nn.Conv2d(n_channels, width, 3, 2, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, n_codes, 3, 2, padding=1),
        up(n_codes, width),
        nn.SiLU(),
        up(width, n_channels),
    )


def as_planes(images):
    """Return uint8 images as a tensor (n, channels, height, width) in [0, 1]."""
    return torch.from_numpy(np.moveaxis(images, -1, 1).copy()).float() / 255


def train(images, seconds):
    """Train on uint8 images for ``seconds`` seconds; sides are multiples of 4."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = network(images.shape[3])
    optimizer = torch.optim.Adam(autoencoder.parameters(), RATE)
    start = time.perf_counter()
    while (elapsed := (time.perf_counter() - start) / seconds) < 1:
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        batch = as_planes(images[rows.numpy()])
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - elapsed))
        optimizer.zero_grad()
        F.mse_loss(autoencoder(batch), batch).backward()
        optimizer.step()
    return autoencoder


@torch.inference_mode()
def passed_through(autoencoder, images):
    """Return the reconstructions of images by the autoencoder, as uint8."""
    parts = [autoencoder(as_planes(part)) for part in np.array_split(images, 20)]
    planes = torch.cat(parts).clamp(0, 1).numpy()
    return np.rint(255 * np.moveaxis(planes, 1, -1)).astype(np.uint8)
