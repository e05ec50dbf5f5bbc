"""Networks on the frequency plane: U-Net, discriminators and patch contrast."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import torch
from torch import nn
from torch.nn import functional as F

# Largest number of channels of a level, as a multiple of those of the first level.
_MAX_WIDENING = 8
# Slope of leaky ReLUs for negative values.
_LEAK = 0.2


def _periodic(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of a periodic plane.

    Zero padding would distort the borders of the plane, which hold the Nyquist
    frequencies and thus checkerboard patterns.
    """
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, padding_mode="circular")


def _block(n_in: int, n_out: int) -> nn.Sequential:
    """Two convolutions, each followed by normalisation and a ReLU."""
    layers: list[nn.Module] = []
    for n in (n_in, n_out):
        norm = nn.GroupNorm(math.gcd(8, n_out), n_out)
        layers += [_periodic(n, n_out), norm, nn.ReLU()]
    return nn.Sequential(*layers)


class NestedUNet(nn.Module):
    """UNet++: a U-Net whose skip connections are U-Nets themselves (Zhou et al. 2018).

    Node (i, 0) is level i of the encoder. Node (i, j) receives all earlier nodes of its
    level, and node (i + 1, j - 1) at twice the resolution. The first level has
    ``width`` channels. Each further level has twice as many, up to a limit, and half
    the side lengths; there are ``depth`` halvings.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int):
        super().__init__()
        self.depth = depth
        self.widths = [width * min(2**i, _MAX_WIDENING) for i in range(depth + 1)]
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
        """Return the features of all levels of the encoder, finest level first."""
        features = []
        for i in range(self.depth + 1):
            x = self.nodes[f"{i}, 0"](F.max_pool2d(x, 2) if i else x)
            features.append(x)
        return features

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return planes (n, n_out, H, W) and the features of the encoder."""
        features = self.encode(x)
        rows = [[feature] for feature in features]
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                below = F.interpolate(
                    rows[i + 1][j - 1], scale_factor=2.0, mode="bilinear"
                )
                inputs = torch.cat([*rows[i], below], dim=1)
                rows[i].append(self.nodes[f"{i}, {j}"](inputs))
        return self.head(rows[0][self.depth]), features


class PatchDiscriminator(nn.Sequential):
    """A discriminator that returns one score per patch of the plane.

    Scores are trained by least squares, hence there is no sigmoid.
    """

    def __init__(self, n_in: int, width: int, depth: int):
        layers: list[nn.Module] = []
        for i in range(depth):
            n_out = width * min(2**i, _MAX_WIDENING)
            layers.append(_periodic(n_in, n_out, stride=2))
            if i:
                layers.append(nn.InstanceNorm2d(n_out))
            layers.append(nn.LeakyReLU(_LEAK))
            n_in = n_out
        super().__init__(*layers, _periodic(n_in, 1))
        initialise(self)


class LinearDiscriminator(nn.Linear):
    """A linear discriminator that returns one score per plane.

    It receives ``n_values`` numbers per plane: all bins or, if a matrix ``rings`` of
    shape (H W, n_rings) is given, means over rings.
    """

    rings: torch.Tensor | None

    def __init__(self, n_values: int, rings: torch.Tensor | None = None):
        super().__init__(n_values, 1)
        self.register_buffer("rings", rings)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        """Return scores (n, 1) of planes (n, C, H, W)."""
        values = plane if self.rings is None else plane.flatten(2) @ self.rings
        # This scale makes the effect of one step independent of the number of values.
        scale = 3 / math.sqrt(self.in_features)
        return super().forward(scale * values.flatten(1))


class PatchContrast(nn.Module):
    """The contrastive loss PatchNCE (Park et al. 2020) between features of an encoder.

    Each level of the encoder has one entry in ``widths``, its number of channels. Two
    linear layers project the features of a level to ``n_out`` dimensions. At most
    ``n_patches`` random positions of an image are compared: the loss is the
    cross-entropy of finding the position of an output feature among the input features,
    by their cosine similarity divided by ``temperature``.
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
        """Return the loss, averaged over the levels of features (n, c_i, h_i, w_i).

        Gradients flow through the outputs only.
        """
        losses = []
        for key, query, project in zip(inputs, outputs, self.projections, strict=True):
            n_positions = key.shape[2] * key.shape[3]
            order = torch.randperm(n_positions, generator=self._stream)
            positions = order[: self.n_patches]
            k, q = (
                F.normalize(project(part.flatten(2)[:, :, positions].mT), dim=2)
                for part in (key.detach(), query)
            )
            logits = q @ k.detach().mT / self.temperature
            target = torch.arange(len(positions), device=logits.device)
            losses.append(
                F.cross_entropy(logits.flatten(0, 1), target.repeat(len(logits)))
            )
        return torch.stack(losses).mean()


def initialise(network: nn.Module) -> None:
    """Initialise convolutions by the method of Kaiming He, with biases of 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=_LEAK)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
