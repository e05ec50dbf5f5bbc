"""The translation: a network that sees the plane of frequencies as an image."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import nn

from skspectral._device import as_array, as_tensor
from skspectral._random import seeded_torch
from skspectral.metrics._rings import ring_frequencies
from skspectral.refinement._spectra import mirrored_tensor, opposite_rows
from skspectral.refinement.translation.networks import NestedUNet

# Added to the range of a spectrum, which may be flat.
_TINY = 1e-8
# Images that are translated at a time.
_CHUNK = 64


class Translation(nn.Module):
    """A network over the plane of frequencies that gives each bin its log-gain.

    Log-magnitudes are standardised by ``mean`` and ``spread`` of each bin,
    (C, H, W // 2 + 1). Gains are within ``max_log_gain`` nats; without that bound the
    network gives magnitudes, within the range of each image's, in place of gains.
    Copies are on the CPU, and ready to be used, not trained.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    places: torch.Tensor

    def __init__(
        self,
        mean: torch.Tensor,
        spread: torch.Tensor,
        plane_width: int,
        base_channels: int,
        depth: int,
        max_log_gain: float | None,
    ):
        super().__init__()
        self._sizes = {
            "plane_width": plane_width,
            "base_channels": base_channels,
            "depth": depth,
            "max_log_gain": max_log_gain,
        }
        n_channels, height, _ = mean.shape
        self.plane_width, self.max_log_gain = plane_width, max_log_gain
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("places", distances(height, plane_width), persistent=False)
        self.network = NestedUNet(n_channels + 2, n_channels, base_channels, depth)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a file holds: parameters and arrays of numpy, and no code."""
        weights = {name: as_array(value) for name, value in self.state_dict().items()}
        return {**self._sizes, "weights": weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        cpu, sizes = torch.device("cpu"), dict(state)
        weights = {n: as_tensor(v, cpu) for n, v in sizes.pop("weights").items()}
        with seeded_torch(0):
            self.__init__(weights["mean"], weights["spread"], **sizes)  # type: ignore[misc]
        self.load_state_dict(weights)
        self.eval()

    def forward(
        self, log_magnitudes: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Log-gains of all bins, (n, C, H, W // 2 + 1), and the encoder's features."""
        plane = self.standardised(log_magnitudes, log_magnitudes)
        out, features = self.network(self.placed(plane))
        log_gain = even_half(torch.tanh(out))
        if self.max_log_gain is None:
            centre, spread = self._scale(log_magnitudes)
            log_gain = centre + spread * log_gain - log_magnitudes
        else:
            log_gain = self.max_log_gain * log_gain
        log_gain[..., 0, 0] = 0  # Mean colours stay.
        return log_gain, features

    def log_gains(self, log_magnitudes: np.ndarray) -> np.ndarray:
        """The gains of arrays, some images at a time."""
        gains = np.empty(log_magnitudes.shape)
        with torch.inference_mode():
            for rows in gen_batches(len(gains), _CHUNK):
                part = as_tensor(log_magnitudes[rows], self.mean.device, torch.float32)
                gains[rows] = as_array(self(part)[0])
        return gains

    def standardised(
        self, log_magnitudes: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        """Log-magnitudes as the networks see them, on the whole plane.

        Without a bound of the gains they are scaled to [-1, 1] by the extremes of the
        ``inputs`` from which they were made.
        """
        centre, spread = self._scale(inputs)
        return whole_plane((log_magnitudes - centre) / spread, self.plane_width)

    def placed(self, plane: torch.Tensor) -> torch.Tensor:
        """With two more channels that tell a convolution where it is."""
        places = self.places.expand(len(plane), -1, -1, -1)
        return torch.cat([plane, places], dim=1)

    def _scale(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.max_log_gain is not None:
            return self.mean, self.spread
        low, high = inputs.amin((1, 2, 3), True), inputs.amax((1, 2, 3), True)
        return (high + low) / 2, (high - low + _TINY) / 2


def whole_plane(half: torch.Tensor, width: int) -> torch.Tensor:
    """Even values of bins of ``rfft2``, (..., height, width // 2 + 1), on the plane."""
    return torch.fft.fftshift(mirrored_tensor(half, width), dim=(-2, -1))


def even_half(plane: torch.Tensor) -> torch.Tensor:
    """The even part of a plane in the bins of ``rfft2``: inverts `whole_plane`."""
    plane = torch.fft.ifftshift(plane, dim=(-2, -1))
    opposite = opposite_rows(plane).flip(-1).roll(1, -1)
    return ((plane + opposite) / 2)[..., : plane.shape[-1] // 2 + 1]


def distances(height: int, width: int) -> torch.Tensor:
    """|u| and |v| on the whole plane, where 1 is the Nyquist frequency; (2, H, W)."""
    u, v = (
        2 * torch.fft.fftshift(torch.fft.fftfreq(size)).abs()
        for size in (height, width)
    )
    return torch.stack([u[:, None].expand(-1, width), v.expand(height, -1)])


def square_rings(height: int, width: int) -> torch.Tensor:
    """Matrix (H W, n_rings) that takes a plane to the means over its square rings."""
    rings = np.rint(ring_frequencies((height, width), "square"))
    numbers = whole_plane(torch.from_numpy(rings).long(), width).flatten()
    members = torch.nn.functional.one_hot(numbers).float()
    # The mean over a ring without bins, as elongated images have some, is 0.
    return members / members.sum(0).clamp(min=1)
