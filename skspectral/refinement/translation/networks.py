"""Networks over the plane of frequencies: generator, discriminators, projections."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import torch
from torch import nn
from torch.nn import functional as F

# Deeper levels are at most so many times as wide as the first.
_WIDEST = 8
_LEAK = 0.2


def _periodic(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of a plane whose opposite sides are neighbours."""
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, padding_mode="circular")


class Block(nn.Sequential):
    """Two convolutions, each normalised and rectified.

    The plane of frequencies is periodic, and so is the padding: zeros would meet the
    Nyquist frequencies, where checkerboards are.
    """

    def __init__(self, n_in: int, n_out: int):
        layers: list[nn.Module] = []
        for n in (n_in, n_out):
            norm = nn.GroupNorm(math.gcd(8, n_out), n_out)
            layers += [_periodic(n, n_out), norm, nn.ReLU()]
        super().__init__(*layers)


class NestedUNet(nn.Module):
    """A U-Net whose skips are U-Nets themselves (Zhou et al. 2018).

    Node (i, 0) is the encoder's of level i; node (i, j) sees all nodes of its level
    before it and, at twice the size, node (i + 1, j - 1). The first level has ``width``
    channels, each further one twice as many; the sides are halved ``depth`` times.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int):
        super().__init__()
        self.depth = depth
        self.widths = [width * min(2**i, _WIDEST) for i in range(depth + 1)]
        self.nodes = nn.ModuleDict()
        for i, n in enumerate(self.widths):
            before = n_in if i == 0 else self.widths[i - 1]
            self.nodes[f"{i}, 0"] = Block(before, n)
            for j in range(1, depth + 1 - i):
                self.nodes[f"{i}, {j}"] = Block(j * n + self.widths[i + 1], n)
        self.head = nn.Conv2d(width, n_out, 1)
        initialise(self)
        nn.init.zeros_(self.head.weight)

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features of all levels, finest first."""
        features = []
        for i in range(self.depth + 1):
            x = self.nodes[f"{i}, 0"](F.max_pool2d(x, 2) if i else x)
            features.append(x)
        return features

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Planes (n, n_out, H, W) of (n, n_in, H, W), and the encoder's features."""
        features = self.encode(x)
        rows = [[feature] for feature in features]
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                below = F.interpolate(
                    rows[i + 1][j - 1], scale_factor=2.0, mode="bilinear"
                )
                seen = torch.cat([*rows[i], below], dim=1)
                rows[i].append(self.nodes[f"{i}, {j}"](seen))
        return self.head(rows[0][self.depth]), features


class PatchDiscriminator(nn.Sequential):
    """One number for each patch of the plane, without a sigmoid."""

    def __init__(self, n_in: int, width: int, depth: int):
        layers: list[nn.Module] = []
        n = n_in
        for i in range(depth):
            n_next = width * min(2**i, _WIDEST)
            layers.append(_periodic(n, n_next, stride=2))
            if i:
                layers.append(nn.InstanceNorm2d(n_next))
            layers.append(nn.LeakyReLU(_LEAK))
            n = n_next
        super().__init__(*layers, _periodic(n, 1))
        initialise(self)


class LinearDiscriminator(nn.Module):
    """One number from all values, each standardised: a logistic regression's."""

    def __init__(self, n_values: int):
        super().__init__()
        # A step then changes the output by as much for any number of values.
        self.scale = 3 / math.sqrt(n_values)
        self.linear = nn.Linear(n_values, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The numbers (n, 1) of values (n, ...)."""
        out: torch.Tensor = self.linear(self.scale * values.flatten(1))
        return out


class Projections(nn.ModuleList):
    """For each level of features two layers to directions of a sphere."""

    def __init__(self, widths: list[int], n_out: int):
        super().__init__(
            nn.Sequential(nn.Linear(n, n_out), nn.ReLU(), nn.Linear(n_out, n_out))
            for n in widths
        )


def initialise(network: nn.Module) -> None:
    """Kaiming's weights for convolutions, without biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=_LEAK)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
