"""A convolutional variational auto-encoder (Kingma, Welling 2014).

The variance of the decoder's noise is the one of largest likelihood in each step
(Rybkin et al. 2021), so that the two terms of the loss need no weight. Samples are
means of the decoder.
"""
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch import nn
from training import as_images, minibatches, n_parameters, seeded, train


class VariationalAutoEncoder:
    """A VAE with Gaussian codes.

    Encoder and decoder change the size twice.
    """

    def __init__(self, device="cpu", n_codes=128, width=32, batch_size=64):
        self.device, self.n_codes = device, n_codes
        self.width, self.batch_size = width, batch_size

    def _build(self, height, n_channels):
        wide, codes, side = 2 * self.width, self.n_codes, height // 4
        self.encoder = nn.Sequential(
            *down(n_channels, self.width),
            *down(self.width, wide),
            *same(wide, wide),
            nn.Flatten(),
            nn.Linear(wide * side**2, 2 * codes),
        )
        self.decoder = nn.Sequential(
            nn.Linear(codes, wide * side**2),
            nn.Unflatten(1, (wide, side, side)),
            *same(wide, wide),
            *up(wide, self.width),
            *up(self.width, self.width),
            nn.Conv2d(self.width, n_channels, 3, padding=1),
        )

    def fit(self, images, labels, seconds):
        """Train on uint8 images for ``seconds`` seconds; labels are ignored."""
        generator, device = seeded(0, self.device)
        torch.manual_seed(0)
        self._build(images.shape[1], images.shape[3])
        both = nn.ModuleList([self.encoder, self.decoder]).to(device)
        both.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.Adam(both.parameters(), 1e-3)
        batches = minibatches(images, self.batch_size, device, generator)

        def step():
            x = next(batches)
            mean, log_scale = self.encoder(x).chunk(2, dim=1)
            noise = torch.randn(mean.shape, generator=generator).to(device)
            decoded = self.decoder(mean + log_scale.exp() * noise)
            squared = (decoded - x).square().mean()
            # -log p(x | codes) at the best variance, up to a constant.
            distortion = x[0].numel() / 2 * squared.log()
            # Twice the Kullback-Leibler divergence of the codes from the prior.
            rate = mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale
            loss = distortion + rate.sum(1).mean() / 2
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(both.parameters(), 1e3)
            optimizer.step()

        self.n_steps = train(step, [optimizer], seconds)
        both.eval()
        self.n_parameters = n_parameters(both)

    @torch.inference_mode()
    def sample(self, n_samples, seed):
        """Return images in [0, 1]."""
        generator, device = seeded(seed, self.device)
        codes = torch.randn(n_samples, self.n_codes, generator=generator)
        parts = [self.decoder(part.to(device)) for part in codes.split(500)]
        return as_images(torch.cat(parts))


def same(n_in, n_out):
    """Return layers that keep the size."""
    return (
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.SiLU(),
    )


def down(n_in, n_out):
    """Return layers that halve the size."""
    return (
        nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.SiLU(),
    )


def up(n_in, n_out):
    """Return layers that double the size."""
    return nn.Upsample(scale_factor=2), *same(n_in, n_out)
