"""The axes that a wave runs along, and the channels it colours."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class WaveAxes:
    """How a row of T samples unfolds, in C order, for the waves that are its atoms.

    Attributes
    ----------
    sizes : tuple of int
        Length of each axis along which the wave runs: (T,) for sinusoids of the
        flattened signal, (height, width) for plane waves.
    channels : int
        Number of channels, innermost, each with its own share of the wave.
    """

    sizes: tuple[int, ...]
    channels: int = 1

    @property
    def n_features(self) -> int:
        """Number T of samples."""
        return math.prod(self.sizes) * self.channels

    def coordinates(self, device: torch.device) -> torch.Tensor:
        """Position of each sample along each axis, in [-1/2, 1/2); shape (D, T)."""
        lines = [
            torch.arange(n, dtype=torch.float64, device=device) / n - 0.5
            for n in self.sizes
        ]
        mesh = torch.meshgrid(*lines, indexing="ij")
        flat = torch.stack([axis.reshape(-1) for axis in mesh])
        return flat.repeat_interleave(self.channels, dim=1)

    def channel_indicator(self, device: torch.device) -> torch.Tensor:
        """1 where a sample belongs to a channel, shape (channels, T)."""
        eye = torch.eye(self.channels, dtype=torch.float64, device=device)
        return eye.repeat(1, math.prod(self.sizes))

    def grid(self, like: torch.Tensor) -> torch.Tensor:
        """Half-cycle grid of wave vectors, cycles along each axis; shape (F, D).

        The order is that of `spectra`; the last component is not negative.
        """
        *first, last = self.sizes
        # Exact, which the frequencies of torch.fft are not.
        lines = [((torch.arange(2 * n) + n) % (2 * n) - n) / 2 for n in first]
        lines.append(torch.arange(last + 1) / 2)
        mesh = torch.meshgrid(*lines, indexing="ij")
        return torch.stack([axis.reshape(-1) for axis in mesh], dim=1).to(like)

    def spectra(self, rows: torch.Tensor) -> torch.Tensor:
        """Fourier transform of each channel at the grid, (n, T) -> (n, channels, F)."""
        signals = rows.reshape(-1, *self.sizes, self.channels).movedim(-1, 1)
        return self.transform(signals).flatten(2)

    def transform(self, signals: torch.Tensor) -> torch.Tensor:
        """Real Fourier transform over the last axes, padded to twice their size."""
        padded = [2 * n for n in self.sizes]
        return torch.fft.rfftn(signals, padded, dim=tuple(range(-len(padded), 0)))
