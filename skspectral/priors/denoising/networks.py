"""Small networks that see noisy signals and the level of the noise."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

# Convolution, its kernel, and the factor between scales, by number of axes.
_CONVOLUTIONS: dict[int, tuple[Any, int, int]] = {
    1: (nn.Conv1d, 5, 4),
    2: (nn.Conv2d, 3, 2),
}
# Scales are added until the shorter side is at most so long, but at least one.
_COARSEST = 8
# Signals of at least so many values along each axis are folded first.
_FOLDED_FROM = 16
_N_EMBEDDED, _N_WAVES = 128, 64


class UNet(nn.Module):
    """One residual block a scale each way, and attention on the coarsest.

    Signals that are not small are folded: neighbours become channels, and the finest
    scale has half of the sides of an image. For the same time that is worth more than
    layers at full resolution, since Wiener's estimate is good there.

    Parameters
    ----------
    n_in, n_out : int
        Channels of input and output.
    width : int
        Channels of the finest scale; the coarser have twice as many, then three times,
        and not more than four times.
    sides : sequence of int
        (length,) or (height, width), of any size.
    n_labels : int
        Number of labels, or 0.
    """

    def __init__(
        self, n_in: int, n_out: int, width: int, sides: Sequence[int], n_labels: int = 0
    ):
        super().__init__()
        Convolution, kernel, self.factor = _CONVOLUTIONS[len(sides)]
        self.fold = self.factor if min(sides) >= _FOLDED_FROM else 1
        sides = [math.ceil(side / self.fold) for side in sides]
        n_together = self.fold ** len(sides)
        self.pool = (F.avg_pool1d, F.avg_pool2d)[len(sides) - 1]
        widths = [width * min(i, 4) for i in range(1, n_scales(sides, self.factor) + 1)]
        ins = [width, *widths[:-1]]

        def convolution(n_in: int, n_out: int) -> nn.Module:
            return Convolution(n_in, n_out, kernel, padding=kernel // 2)

        def block(n_in: int, n_out: int) -> nn.Module:
            return Block(n_in, n_out, convolution, Convolution)

        self.embed = Embedding(_N_EMBEDDED, n_labels)
        self.first = convolution(n_in * n_together, width)
        # Signals are not the same everywhere: skies are above.
        self.places = nn.Parameter(torch.zeros(1, width, *sides))
        self.down = nn.ModuleList(map(block, ins, widths))
        self.middle = Attention(widths[-1], Convolution)
        doubled = [2 * n for n in widths]
        self.up = nn.ModuleList(map(block, doubled[::-1], ins[::-1]))
        self.norm = normalisation(width)
        self.last = zeroed(convolution(width, n_out * n_together))

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, label: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Of signals (n, n_in, *sides), noise levels (n,) and labels (n,)."""
        embedded, sides = self.embed(level, label), x.shape[2:]
        x = self.first(folded(x, self.fold)) + self.places
        kept: list[torch.Tensor] = []
        for i, block in enumerate(self.down):
            if i:
                x = self.pool(x, self.factor, ceil_mode=True)
            x = block(x, embedded)
            kept.append(x)
        x = self.middle(x)
        for block in self.up:
            same = kept.pop()
            if x.shape[2:] != same.shape[2:]:
                x = F.interpolate(x, size=same.shape[2:])
            x = block(torch.cat([x, same], dim=1), embedded)
        return unfolded(self.last(F.silu(self.norm(x))), self.fold, sides)


def folded(x: torch.Tensor, n: int) -> torch.Tensor:
    """Each n neighbours along an axis as channels, of signals (n, C, *sides)."""
    if n == 1:
        return x
    short = [-side % n for side in reversed(x.shape[2:])]
    x = F.pad(x, [width for side in short for width in (0, side)])
    for axis in range(2, x.ndim):
        sides = x.shape
        x = x.reshape(*sides[:axis], sides[axis] // n, n, *sides[axis + 1 :])
        x = x.movedim(axis + 1, 2).flatten(1, 2)
    return x


def unfolded(x: torch.Tensor, n: int, sides: Sequence[int]) -> torch.Tensor:
    """Undo `folded`, for signals of such sides."""
    if n == 1:
        return x
    for axis in range(x.ndim - 1, 1, -1):
        x = x.reshape(len(x), -1, n, *x.shape[2:])
        x = x.movedim(2, axis + 1).flatten(axis, axis + 1)
        x = x.narrow(axis, 0, sides[axis - 2])
    return x


def n_scales(sides: Sequence[int], factor: int) -> int:
    """Number of scales of a U-Net on a grid."""
    side, n = min(sides), 1
    while side > 1 and (n == 1 or side > _COARSEST):
        side, n = -(-side // factor), n + 1
    return n


class Block(nn.Module):
    """Residual block; what it knows of noise and label scales and shifts it."""

    def __init__(self, n_in: int, n_out: int, convolution: Any, pointwise: Any):
        super().__init__()
        self.norm_in, self.norm_out = normalisation(n_in), normalisation(n_out)
        self.conv_in, self.conv_out = (
            convolution(n_in, n_out),
            convolution(n_out, n_out),
        )
        self.modulate = nn.Linear(_N_EMBEDDED, 2 * n_out)
        self.skip = pointwise(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """Of channels and an embedding."""
        h = self.norm_out(self.conv_in(F.silu(self.norm_in(x))))
        to_all = (...,) + (None,) * (x.ndim - 2)
        scale, shift = self.modulate(embedded)[to_all].chunk(2, dim=1)
        return self.skip(x) + self.conv_out(F.silu(h * (1 + scale) + shift))


class Attention(nn.Module):
    """Each place looks at all others."""

    def __init__(self, width: int, pointwise: Any):
        super().__init__()
        self.n_heads = width // 32 if width % 32 == 0 else 1
        self.norm = normalisation(width)
        self.project = pointwise(width, 3 * width, 1)
        self.out = zeroed(pointwise(width, width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of channels (n, width, *sides)."""
        h = self.project(self.norm(x)).flatten(2)
        h = h.unflatten(1, (3, self.n_heads, -1)).transpose(-1, -2)
        h = F.scaled_dot_product_attention(*h.unbind(1))
        return x + self.out(h.transpose(-1, -2).reshape(x.shape))


class MLP(nn.Module):
    """Residual layers on numbers that are no grid.

    Parameters
    ----------
    n_numbers : int
        Of input and output.
    width : int
        Of the layers.
    n_labels : int
        Number of labels, or 0.
    depth : int
        Number of residual layers.
    """

    def __init__(self, n_numbers: int, width: int, n_labels: int = 0, depth: int = 3):
        super().__init__()
        self.embed = Embedding(_N_EMBEDDED, n_labels)
        self.first = nn.Linear(n_numbers, width)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 2 * width),
                nn.SiLU(),
                nn.Linear(2 * width, width),
            )
            for _ in range(depth)
        )
        self.modulate = nn.ModuleList(
            nn.Linear(_N_EMBEDDED, width) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.last = zeroed(nn.Linear(width, n_numbers))

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, label: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Of numbers (n, n_numbers), noise levels (n,) and labels (n,)."""
        embedded = self.embed(level, label)
        x = self.first(x)
        for layer, modulate in zip(self.layers, self.modulate, strict=True):
            x = x + layer(x + modulate(embedded))
        return self.last(F.silu(self.norm(x)))


class Gated(nn.Module):
    """A copy of a network of the user, times a gain that is learned.

    It starts at zero; at one for a network that gives zero by itself, for then nothing
    would be learned of either.

    Parameters
    ----------
    network : Module
    example : tensor
        Of what it sees, to try it.
    n_labels : int
        Number of labels, or 0.
    """

    def __init__(self, network: nn.Module, example: torch.Tensor, n_labels: int = 0):
        super().__init__()
        self.network = copy.deepcopy(network)
        self.gain = nn.Parameter(torch.ones(()))
        zeros = torch.zeros(len(example))
        training = self.network.training
        with torch.no_grad():
            label = zeros.long() if n_labels else None
            found = self.eval()(example, zeros, label)
            self.gain.fill_(float(not found.any()))
        self.train(training)

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, label: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Of what the network takes; the label only where there is one."""
        given = () if label is None else (label,)
        return self.gain * self.network(x, level, *given)


class Embedding(nn.Module):
    """Of the noise level and, if there are any, of labels; one more means none."""

    def __init__(self, n_embedded: int, n_labels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(_N_WAVES, n_embedded),
            nn.SiLU(),
            nn.Linear(n_embedded, n_embedded),
        )
        self.labels = nn.Embedding(n_labels + 1, n_embedded) if n_labels else None
        frequencies = torch.linspace(0, math.log(100), _N_WAVES // 2).exp()
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, level: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """Of levels and labels (n,), or of no labels."""
        angles = level[:, None] * self.get_buffer("frequencies")
        embedded = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.labels is not None and label is not None:
            embedded = embedded + self.labels(label)
        return F.silu(embedded)


def normalisation(width: int) -> nn.Module:
    """Over the places of an image and some of its channels."""
    return nn.GroupNorm(math.gcd(8, width), width)


def zeroed(layer: nn.Module) -> nn.Module:
    """Layer whose output is zero before training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
