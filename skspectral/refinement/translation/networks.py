"""Networks over the plane of frequencies: generator and adversaries."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import torch
from torch import nn
from torch.nn import functional as F

# Deeper levels are at most so many times as wide as the first.
_WIDEST = 8
_LEAK = 0.2


def _periodic(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of a plane whose opposite sides are neighbours.

    Padding by zeros would meet the Nyquist frequencies, where checkerboards are.
    """
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, padding_mode="circular")


def _block(n_in: int, n_out: int) -> nn.Sequential:
    """Two convolutions, each normalised and rectified."""
    layers: list[nn.Module] = []
    for n in (n_in, n_out):
        norm = nn.GroupNorm(math.gcd(8, n_out), n_out)
        layers += [_periodic(n, n_out), norm, nn.ReLU()]
    return nn.Sequential(*layers)


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
            self.nodes[f"{i}, 0"] = _block(before, n)
            for j in range(1, depth + 1 - i):
                self.nodes[f"{i}, {j}"] = _block(j * n + self.widths[i + 1], n)
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
        for i in range(depth):
            n_out = width * min(2**i, _WIDEST)
            layers.append(_periodic(n_in, n_out, stride=2))
            if i:
                layers.append(nn.InstanceNorm2d(n_out))
            layers.append(nn.LeakyReLU(_LEAK))
            n_in = n_out
        super().__init__(*layers, _periodic(n_in, 1))
        initialise(self)


class LinearDiscriminator(nn.Linear):
    """The log-odds of a logistic regression for each plane.

    It sees ``n_values`` of a plane: all bins or, with a matrix (H W, n_rings), the
    means over rings.
    """

    rings: torch.Tensor | None

    def __init__(self, n_values: int, rings: torch.Tensor | None = None):
        super().__init__(n_values, 1)
        self.register_buffer("rings", rings)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        """The numbers (n, 1) of planes (n, C, H, W)."""
        values = plane if self.rings is None else plane.flatten(2) @ self.rings
        # A step then changes the output by as much for any number of values.
        scale = 3 / math.sqrt(self.in_features)
        return super().forward(scale * values.flatten(1))


class PatchContrast(nn.Module):
    """PatchNCE (Park et al. 2020) of the features of an encoder before and after.

    Features of each level, of ``widths`` channels, are projected by two layers to
    ``n_out`` directions. The loss is the cross-entropy of finding each place of the
    output in the input, by likenesses over ``temperature``, among at most ``n_patches``
    random places of the same image.
    """

    def __init__(
        self,
        widths: list[int],
        n_out: int,
        n_patches: int,
        temperature: float,
        seed: int,
    ):
        super().__init__()
        self.n_patches, self.temperature = n_patches, temperature
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(n, n_out), nn.ReLU(), nn.Linear(n_out, n_out))
            for n in widths
        )
        self._stream = torch.Generator().manual_seed(seed)

    def forward(
        self, inputs: list[torch.Tensor], outputs: list[torch.Tensor]
    ) -> torch.Tensor:
        """Mean over levels of features (n, c_i, h_i, w_i); inputs get no gradient."""
        losses = []
        for key, query, project in zip(inputs, outputs, self.projections, strict=True):
            n_places = key.shape[2] * key.shape[3]
            places = torch.randperm(n_places, generator=self._stream)[: self.n_patches]
            k, q = (
                F.normalize(project(part.flatten(2)[:, :, places].mT), dim=2)
                for part in (key.detach(), query)
            )
            likeness = q @ k.detach().mT / self.temperature
            same = torch.arange(len(places), device=likeness.device)
            losses.append(
                F.cross_entropy(likeness.flatten(0, 1), same.repeat(len(likeness)))
            )
        return torch.stack(losses).mean()


def initialise(network: nn.Module) -> None:
    """Kaiming's weights for convolutions, without biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=_LEAK)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
