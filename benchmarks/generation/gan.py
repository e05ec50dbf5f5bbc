"""A convolutional adversarial network of the DCGAN class (Radford et al. 2016).

With what has since made such networks stable at small cost: spectral normalisation of
the discriminator (Miyato et al. 2018), the hinge loss, and an average of the
generator's weights.
"""
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from training import Average, as_images, minibatches, n_parameters, seeded, train


class AdversarialNetwork:
    """Generator and discriminator of four convolutions each."""

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
        """Train for so many seconds on uint8 images."""
        chance, device = seeded(0, self.device)
        torch.manual_seed(0)
        generator = self._generator(*images.shape[1::2]).to(device)
        judge = self._discriminator(*images.shape[1::2]).to(device)
        for network in (generator, judge):
            network.to(memory_format=torch.channels_last).train()
        self._average = Average(generator, 0.998)
        of_generator = torch.optim.Adam(generator.parameters(), 2e-4, (0.0, 0.9))
        of_judge = torch.optim.Adam(judge.parameters(), 4e-4, (0.0, 0.9))
        batches = minibatches(images, self.batch_size, device, chance)

        def step():
            real = next(batches)
            codes = torch.randn(len(real), self.n_codes, generator=chance).to(device)
            fake = generator(codes)
            loss = (1 - judge(real)).relu().mean() + (
                1 + judge(fake.detach())
            ).relu().mean()
            of_judge.zero_grad()
            loss.backward()
            of_judge.step()
            loss = -judge(fake).mean()
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
            self._average.update(generator)

        self.n_steps = train(step, [of_generator, of_judge], seconds)
        self.n_parameters = n_parameters(generator, judge)

    @torch.inference_mode()
    def sample(self, n_samples, seed):
        """Images from 0 to 1."""
        chance, device = seeded(seed, self.device)
        codes = torch.randn(n_samples, self.n_codes, generator=chance)
        parts = [self._average.network(part.to(device)) for part in codes.split(500)]
        return as_images(torch.cat(parts))


def twice(n_in, n_out):
    """Doubles the size."""
    return (
        nn.Upsample(scale_factor=2),
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


def half(n_in, n_out):
    """Halves the size."""
    return (
        spectral_norm(nn.Conv2d(n_in, n_out, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.1),
    )
