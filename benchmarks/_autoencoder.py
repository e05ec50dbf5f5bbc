"""A small autoencoder that leaves checkerboards, as careless decoders do.

Its decoder doubles sides by transposed convolutions of stride 2 and kernel 3, whose
overlaps are uneven (Odena, Dumoulin, Olah 2016, "Deconvolution and checkerboard
artifacts").
"""
# SPDX-License-Identifier: BSD-3-Clause

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH, RATE = 64, 2e-3


def network(n_channels, width=32, n_codes=4):
    """Two strided convolutions each way, and codes between them."""

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
    return torch.from_numpy(np.moveaxis(images, -1, 1).copy()).float() / 255


def train(images, seconds):
    """Fit to uint8 images for so many seconds; sides are multiples of 4."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = network(images.shape[3])
    optimizer = torch.optim.Adam(autoencoder.parameters(), RATE)
    start = time.perf_counter()
    while (share := (time.perf_counter() - start) / seconds) < 1:
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        batch = as_planes(images[rows.numpy()])
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - share))
        optimizer.zero_grad()
        F.mse_loss(autoencoder(batch), batch).backward()
        optimizer.step()
    return autoencoder


@torch.inference_mode()
def passed_through(autoencoder, images):
    """Images as the autoencoder gives them back, as a file would hold them."""
    parts = [autoencoder(as_planes(part)) for part in np.array_split(images, 20)]
    planes = torch.cat(parts).clamp(0, 1).numpy()
    return np.rint(255 * np.moveaxis(planes, 1, -1)).astype(np.uint8)
