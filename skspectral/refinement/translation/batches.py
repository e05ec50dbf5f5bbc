"""Images as batches of spectra for the training of a translation."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral.refinement._spectra import log_magnitude, spectra_of


class Batch(NamedTuple):
    """Spectra of images of one kind, (n, C, H, W // 2 + 1).

    The complex ``spectra`` are those of images in which 0 is black and 1 is white.
    """

    log_magnitudes: torch.Tensor
    spectra: torch.Tensor


@dataclass(frozen=True)
class Units:
    """The values of black and white, and the rounding floor of a bin."""

    black: float
    white: float
    floor: float

    def batch(self, images: np.ndarray, device: torch.device) -> Batch:
        """A batch of images (n, height, width, channels), in single precision."""
        spectra = spectra_of(images)
        log_magnitudes = log_magnitude(spectra, self.floor)
        spectra[..., 0, 0] -= self.black * math.prod(images.shape[1:3])
        spectra /= self.white - self.black
        return Batch(
            as_tensor(log_magnitudes, device, torch.float32),
            as_tensor(spectra, device, torch.complex64),
        )


@dataclass(frozen=True)
class Pairs:
    """Generated and real images, a few of either at a time, in a random order."""

    images: Sequence[np.ndarray]
    units: Units
    batch_size: int
    device: torch.device
    stream: np.random.Generator

    def batches(self, n_steps: int) -> Iterator[list[Batch]]:
        """A batch of either kind, ``n_steps`` times."""
        needed = n_steps * self.batch_size
        orders = [self._order(len(images), needed) for images in self.images]
        for start in range(0, needed, self.batch_size):
            some = slice(start, start + self.batch_size)
            yield [
                self.units.batch(images[order[some]], self.device)
                for images, order in zip(self.images, orders, strict=True)
            ]

    def _order(self, n_images: int, needed: int) -> np.ndarray:
        """Every image comes once before any comes again."""
        repeats = -(-needed // n_images)
        orders = [self.stream.permutation(n_images) for _ in range(repeats)]
        return np.concatenate(orders)[:needed]
