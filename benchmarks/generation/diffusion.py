"""A denoising diffusion model of pixels (Ho et al. 2020) with a small U-Net.

Preconditioning, loss weights and sampling are those of Karras et al. (2022), which
train faster and need fewer steps than the first formulation.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math

import torch
from torch import nn
from torch.nn import functional as F
from training import Average, as_images, minibatches, n_parameters, seeded, train

# Standard deviation of pixels in [-1, 1].
DATA_STD = 0.5
# Mean and standard deviation of the logarithm of the noise level in training.
LOG_NOISE = (-1.2, 1.2)
# Noise levels of sampling, and the exponent of their spacing.
NOISE_RANGE = (0.01, 80.0)
RHO = 7


class DiffusionModel:
    """A denoiser of images that draws by Heun's method."""

    def __init__(self, device="cpu", widths=(32, 64, 96), batch_size=64, n_steps=12):
        self.device, self.widths = device, widths
        self.batch_size, self.n_draw_steps = batch_size, n_steps

    def fit(self, images, labels, seconds):
        """Train on uint8 images for ``seconds`` seconds; labels are ignored."""
        generator, device = seeded(0, self.device)
        torch.manual_seed(0)
        self._shape = (images.shape[3], *images.shape[1:3])
        network = UNet(images.shape[3], self.widths).to(device)
        network.to(memory_format=torch.channels_last).train()
        self._average = Average(network, 0.998)
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        batches = minibatches(images, self.batch_size, device, generator)

        def step():
            x = next(batches)
            centre, spread = LOG_NOISE
            noise = torch.randn(len(x), 1, 1, 1, generator=generator)
            sigma = (centre + spread * noise).exp().to(device)
            noisy = x + sigma * torch.randn(x.shape, generator=generator).to(device)
            weight = (sigma**2 + DATA_STD**2) / (sigma * DATA_STD) ** 2
            error = (denoised(network, noisy, sigma) - x).square()
            loss = (weight * error).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            self._average.update(network)

        self.n_steps = train(step, [optimizer], seconds)
        self.n_parameters = n_parameters(network)

    @torch.inference_mode()
    def sample(self, n_samples, seed):
        """Return images in [0, 1]."""
        generator, device = seeded(seed, self.device)
        start = torch.randn(n_samples, *self._shape, generator=generator)
        parts = [self._draw(part.to(device)) for part in start.split(100)]
        return as_images(torch.cat(parts))

    def _draw(self, start):
        """Integrate from the largest noise level to 0."""
        low, high = (s ** (1 / RHO) for s in NOISE_RANGE)
        grid = torch.linspace(high, low, self.n_draw_steps, device=start.device) ** RHO
        x = start.contiguous(memory_format=torch.channels_last) * grid[0]
        for i, sigma in enumerate(grid):
            following = grid[i + 1] if i + 1 < len(grid) else sigma * 0
            slope = self._slope(x, sigma)
            ahead = x + (following - sigma) * slope
            if following > 0:
                slope = (slope + self._slope(ahead, following)) / 2
                ahead = x + (following - sigma) * slope
            x = ahead
        return x

    def _slope(self, x, sigma):
        clean = denoised(self._average.network, x, sigma.expand(len(x), 1, 1, 1))
        return (x - clean) / sigma


def denoised(network, noisy, sigma):
    """Return the estimate of clean images.

    Inputs and outputs of the network are scaled to unit variance.
    """
    total = (sigma**2 + DATA_STD**2).sqrt()
    out = network(noisy / total, sigma.flatten().log() / 4)
    return DATA_STD**2 / total**2 * noisy + sigma * DATA_STD / total * out


class UNet(nn.Module):
    """A U-Net with one residual block per level and direction.

    The coarsest level has attention.
    """

    def __init__(self, n_channels, widths, n_embedded=128):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(64, n_embedded), nn.SiLU(), nn.Linear(n_embedded, n_embedded)
        )
        self.first = nn.Conv2d(n_channels, widths[0], 3, padding=1)
        ins = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(
            Block(i, o, n_embedded) for i, o in zip(ins, widths, strict=True)
        )
        self.middle = Attention(widths[-1])
        self.up = nn.ModuleList(
            Block(2 * o, i, n_embedded)
            for i, o in zip(ins[::-1], widths[::-1], strict=True)
        )
        self.last = nn.Sequential(
            nn.GroupNorm(8, widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], n_channels, 3, padding=1),
        )
        nn.init.zeros_(self.last[-1].weight)

    def forward(self, x, level):
        """Apply to images (n, channels, height, width) and noise levels (n,)."""
        embedded = self.embed(waves(level))
        x = self.first(x)
        kept = []
        for i, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if i else x, embedded)
            kept.append(x)
        x = self.middle(x)
        for i, block in enumerate(self.up):
            if i:
                x = F.interpolate(x, scale_factor=2)
            x = block(torch.cat([x, kept.pop()], dim=1), embedded)
        return self.last(x)


class Block(nn.Module):
    """A residual block, scaled and shifted by functions of the noise level."""

    def __init__(self, n_in, n_out, n_embedded):
        super().__init__()
        self.norm_in, self.norm_out = nn.GroupNorm(8, n_in), nn.GroupNorm(8, n_out)
        self.conv_in = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.conv_out = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.modulate = nn.Linear(n_embedded, 2 * n_out)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x, embedded):
        """Apply to features and embedded noise levels."""
        scale, shift = self.modulate(embedded)[:, :, None, None].chunk(2, dim=1)
        h = self.conv_in(F.silu(self.norm_in(x)))
        h = self.conv_out(F.silu(self.norm_out(h) * (1 + scale) + shift))
        return self.skip(x) + h


class Attention(nn.Module):
    """Self-attention between all positions."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x):
        """Apply to features (n, channels, height, width)."""
        q, k, v = self.project(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, -1)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.out(h.reshape(x.shape))


def waves(level, n=64):
    """Embed noise levels by sines and cosines."""
    frequencies = torch.linspace(0, math.log(100), n // 2, device=level.device).exp()
    angles = level[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
