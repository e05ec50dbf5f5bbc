"""A convolutional generative adversarial network like DCGAN (Radford et al. 2016).

Three later techniques make its training stable: spectral normalisation of the
discriminator (Miyato et al. 2018), the hinge loss, and an average of the generator's
weights.
"""
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from training import Average, as_images, minibatches, n_parameters, seeded, train


class AdversarialNetwork:
    """A generator and a discriminator with few convolutions."""

    def __init__(self, device="cpu", n_codes=64, width=32, batch_size=64):
        self.device, self.n_codes = device, n_codes
        self.width, self.batch_size = width, batch_size

    def _generator(self, height, n_channels):
        width, side = self.width, height // 8
        return nn.Sequential(
            nn.Linear(self.n_codes, 4 * width * side**2),
            nn.Unflatten(1, (4 * width, side, side)),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            *twice(4 * width, 4 * width),
            *twice(4 * width, 2 * width),
            *twice(2 * width, width),
            nn.Conv2d(width, n_channels, 3, padding=1),
            nn.Tanh(),
        )

    def _discriminator(self, height, n_channels):
        width, side = self.width, height // 8
        return nn.Sequential(
            *half(n_channels, width),
            *half(width, 2 * width),
            *half(2 * width, 4 * width),
            nn.Flatten(),
            spectral_norm(nn.Linear(4 * width * side**2, 1)),
        )

    def fit(self, images, labels, seconds):
        """Train on uint8 images for ``seconds`` seconds; labels are ignored."""
        stream, device = seeded(0, self.device)
        torch.manual_seed(0)
        generator = self._generator(*images.shape[1::2]).to(device)
        discriminator = self._discriminator(*images.shape[1::2]).to(device)
        for network in (generator, discriminator):
            network.to(memory_format=torch.channels_last).train()
        self._average = Average(generator, 0.998)
        generator_optimizer = torch.optim.Adam(generator.parameters(), 2e-4, (0.0, 0.9))
        discriminator_optimizer = torch.optim.Adam(
            discriminator.parameters(), 4e-4, (0.0, 0.9)
        )
        batches = minibatches(images, self.batch_size, device, stream)

        def step():
            real = next(batches)
            codes = torch.randn(len(real), self.n_codes, generator=stream).to(device)
            fake = generator(codes)
            loss = (1 - discriminator(real)).relu().mean()
            loss = loss + (1 + discriminator(fake.detach())).relu().mean()
            discriminator_optimizer.zero_grad()
            loss.backward()
            discriminator_optimizer.step()
            loss = -discriminator(fake).mean()
            generator_optimizer.zero_grad()
            loss.backward()
            generator_optimizer.step()
            self._average.update(generator)

        optimizers = [generator_optimizer, discriminator_optimizer]
        self.n_steps = train(step, optimizers, seconds)
        self.n_parameters = n_parameters(generator, discriminator)

    @torch.inference_mode()
    def sample(self, n_samples, seed):
        """Return images in [0, 1]."""
        stream, device = seeded(seed, self.device)
        codes = torch.randn(n_samples, self.n_codes, generator=stream)
        parts = [self._average.network(part.to(device)) for part in codes.split(500)]
        return as_images(torch.cat(parts))


def twice(n_in, n_out):
    """Return layers that double the size."""
    return (
        nn.Upsample(scale_factor=2),
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


def half(n_in, n_out):
    """Return layers that halve the size."""
    return (
        spectral_norm(nn.Conv2d(n_in, n_out, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.1),
    )
