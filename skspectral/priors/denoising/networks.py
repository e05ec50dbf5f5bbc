"""Small networks that denoise signals, given the level of the noise and a label."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Per number of axes: the convolution, its kernel size, and the factor between scales.
_CONVOLUTIONS: dict[int, tuple[Any, int, int]] = {
    1: (nn.Conv1d, 5, 4),
    2: (nn.Conv2d, 3, 2),
}
# A U-Net has at least two scales. Scales are added until the shorter side is at most
# this long.
_COARSEST = 8
# Signals are folded first if their shorter side is at least this long.
_FOLDED_FROM = 16
# Length of the embedding, and number of sines and cosines of the noise level.
_N_EMBEDDED, _N_WAVES = 128, 64


class UNet(nn.Module):
    """U-Net with a residual block per scale and direction, and one attention layer.

    Signals have one or two axes (``sides``), of any length. Large signals are folded:
    neighbouring samples become channels, so that for an image the sides of the finest
    scale are half of those of the image. With equal computing time, folded networks
    were more accurate than layers at full resolution, where the Wiener estimate is
    already good. The finest scale has ``width`` channels; coarser scales have two,
    three, and at most four times as many.
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
        side, widths = min(sides), [width]
        while side > 1 and (len(widths) == 1 or side > _COARSEST):
            side = math.ceil(side / self.factor)
            widths.append(width * min(len(widths) + 1, 4))
        ins = [width, *widths[:-1]]

        def convolution(n_in: int, n_out: int) -> nn.Module:
            return Convolution(n_in, n_out, kernel, padding=kernel // 2)

        def block(n_in: int, n_out: int) -> nn.Module:
            return Block(n_in, n_out, convolution, Convolution)

        self.embed = Embedding(n_labels)
        self.first = convolution(n_in * n_together, width)
        # A learned bias per position: the statistics of signals depend on the position.
        # For example, the sky is at the top of a photograph.
        self.places = nn.Parameter(torch.zeros(1, width, *sides))
        self.down = nn.ModuleList(map(block, ins, widths))
        self.middle = Attention(widths[-1], Convolution)
        doubled = [2 * n for n in widths]
        self.up = nn.ModuleList(map(block, doubled[::-1], ins[::-1]))
        self.norm = normalisation(width)
        self.last = zeroed(convolution(width, n_out * n_together))

    def forward(self, x: Tensor, level: Tensor, label: Tensor | None = None) -> Tensor:
        """Map signals (n, n_in, *sides) to corrections (n, n_out, *sides).

        ``level`` (n,) is log(s) / 4 of the noise level s, and ``label`` (n,) holds the
        indices of the labels, or is None.
        """
        embedded, sides = self.embed(level, label), x.shape[2:]
        x = self.first(folded(x, self.fold)) + self.places
        skipped: list[Tensor] = []
        for i, block in enumerate(self.down):
            if i:
                x = self.pool(x, self.factor, ceil_mode=True)
            x = block(x, embedded)
            skipped.append(x)
        x = self.middle(x)
        for block in self.up:
            same = skipped.pop()
            if x.shape[2:] != same.shape[2:]:
                x = F.interpolate(x, size=same.shape[2:])
            x = block(torch.cat([x, same], dim=1), embedded)
        return unfolded(self.last(F.silu(self.norm(x))), self.fold, sides)


def folded(x: Tensor, n: int) -> Tensor:
    """Turn ``n`` neighbours along each axis of signals (., C, *sides) into channels.

    Sides that are not multiples of ``n`` are padded with zeros.
    """
    if n == 1:
        return x
    short = [-side % n for side in reversed(x.shape[2:])]
    x = F.pad(x, [width for side in short for width in (0, side)])
    for axis in range(2, x.ndim):
        x = torch.unflatten(x, axis, (-1, n)).movedim(axis + 1, 2).flatten(1, 2)
    return x


def unfolded(x: Tensor, n: int, sides: Sequence[int]) -> Tensor:
    """Invert `folded`, for signals with these sides."""
    if n == 1:
        return x
    for axis in range(x.ndim - 1, 1, -1):
        x = torch.unflatten(x, 1, (-1, n)).movedim(2, axis + 1)
        x = x.flatten(axis, axis + 1).narrow(axis, 0, sides[axis - 2])
    return x


class Block(nn.Module):
    """Residual block with a scale and shift from the embedded noise level and label."""

    def __init__(self, n_in: int, n_out: int, convolution: Any, pointwise: Any):
        super().__init__()
        self.norm_in, self.norm_out = normalisation(n_in), normalisation(n_out)
        self.conv_in = convolution(n_in, n_out)
        self.conv_out = convolution(n_out, n_out)
        self.modulate = nn.Linear(_N_EMBEDDED, 2 * n_out)
        self.skip = pointwise(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Map (n, n_in, *sides) to (n, n_out, *sides), given embeddings (n, 128)."""
        h = self.norm_out(self.conv_in(F.silu(self.norm_in(x))))
        at_all_places = (...,) + (None,) * (x.ndim - 2)
        scale, shift = self.modulate(embedded)[at_all_places].chunk(2, dim=1)
        return self.skip(x) + self.conv_out(F.silu(h * (1 + scale) + shift))


class Attention(nn.Module):
    """Self-attention between the positions of a signal."""

    def __init__(self, width: int, pointwise: Any):
        super().__init__()
        self.n_heads = width // 32 if width % 32 == 0 else 1
        self.norm = normalisation(width)
        self.project = pointwise(width, 3 * width, 1)
        self.out = zeroed(pointwise(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, *sides) to the same shape."""
        h = self.project(self.norm(x)).flatten(2)
        h = h.unflatten(1, (3, self.n_heads, -1)).transpose(-1, -2)
        h = F.scaled_dot_product_attention(*h.unbind(1))
        return x + self.out(h.transpose(-1, -2).reshape(x.shape))


class MLP(nn.Module):
    """Multilayer perceptron with residual layers, for codes that have no signals."""

    def __init__(self, n_codes: int, width: int, n_labels: int = 0, depth: int = 3):
        super().__init__()
        self.embed = Embedding(n_labels)
        self.first = nn.Linear(n_codes, width)
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
        self.last = zeroed(nn.Linear(width, n_codes))

    def forward(self, x: Tensor, level: Tensor, label: Tensor | None = None) -> Tensor:
        """Map codes (n, n_codes) to corrections of the same shape.

        ``level`` and ``label`` are those of `UNet.forward`.
        """
        embedded = self.embed(level, label)
        x = self.first(x)
        for layer, modulate in zip(self.layers, self.modulate, strict=True):
            x = x + layer(x + modulate(embedded))
        return self.last(F.silu(self.norm(x)))


class Gated(nn.Module):
    """A copy of the user's network, multiplied by a learned gain.

    The gain starts at zero, so that the training starts from the Gaussian. It starts at
    one if the network returns zero for an ``example`` of its input: if both were zero,
    the gradients of both would vanish.
    """

    def __init__(self, network: nn.Module, example: Tensor, n_labels: int = 0):
        super().__init__()
        self.network = copy.deepcopy(network)
        self.gain = nn.Parameter(torch.ones(()))
        zeros = torch.zeros(len(example))
        training = self.network.training
        with torch.no_grad():
            out = self.eval()(example, zeros, zeros.long() if n_labels else None)
            self.gain.fill_(float(not out.any()))
        self.train(training)

    def forward(self, x: Tensor, level: Tensor, label: Tensor | None = None) -> Tensor:
        """Call the network; the label is passed only if it is not None."""
        given = () if label is None else (label,)
        return self.gain * self.network(x, level, *given)


class Embedding(nn.Module):
    """Embedding of the noise level, and of the label if there are labels.

    The index ``n_labels`` means that there is no label.
    """

    def __init__(self, n_labels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(_N_WAVES, _N_EMBEDDED),
            nn.SiLU(),
            nn.Linear(_N_EMBEDDED, _N_EMBEDDED),
        )
        self.labels = nn.Embedding(n_labels + 1, _N_EMBEDDED) if n_labels else None
        frequencies = torch.linspace(0, math.log(100), _N_WAVES // 2).exp()
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, level: Tensor, label: Tensor | None) -> Tensor:
        """Return embeddings (n, 128) of levels (n,) and labels (n,) or None."""
        angles = level[:, None] * self.get_buffer("frequencies")
        embedded = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.labels is not None and label is not None:
            embedded = embedded + self.labels(label)
        return F.silu(embedded)


def normalisation(width: int) -> nn.Module:
    """Return a group normalisation, with two or more channels per group if possible."""
    n_groups = math.gcd(8, width)
    if n_groups == width > 1:
        # A group of one channel at one position is a single number, which would be
        # normalised to zero.
        n_groups //= 2
    return nn.GroupNorm(n_groups, width)


def zeroed(layer: nn.Module) -> nn.Module:
    """Set all parameters of a layer to zero, and return it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
