"""The translation: from log-magnitudes to the gains of a network."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import nn

from skspectral._device import as_array, as_tensor
from skspectral.refinement.translation.networks import NestedUNet
from skspectral.refinement.translation.plane import distances, even_half, whole_plane

# Added to the range of a spectrum, which may be flat.
_TINY = 1e-8
# Images that are translated at a time.
_CHUNK = 64


class Translated(NamedTuple):
    """Log-gains (n, C, H, W // 2 + 1) without the start; the encoder's features."""

    log_gain: torch.Tensor
    features: list[torch.Tensor]


class Translation(nn.Module):
    """A network over the plane of frequencies that gives each bin its gain.

    Parameters
    ----------
    mean, spread : tensor of shape (C, H, W // 2 + 1)
        By which log-magnitudes are standardised, bin by bin.
    plane_width : int
        W.
    base_channels, depth : int
        Of the `NestedUNet`.
    max_log_gain : float or None
        Bound of the gains in nats. None: the network gives magnitudes, within the range
        of those of each image, in place of gains.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    places: torch.Tensor
    changes: torch.Tensor

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
        n_channels, height, _ = mean.shape
        self.plane_width, self.max_log_gain = plane_width, max_log_gain
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("places", distances(height, plane_width), persistent=False)
        changes = torch.ones_like(mean)
        changes[:, 0, 0] = 0  # DC: mean colours stay.
        self.register_buffer("changes", changes, persistent=False)
        self.network = NestedUNet(n_channels + 2, n_channels, base_channels, depth)

    def forward(self, log_magnitudes: torch.Tensor) -> Translated:
        """Gains of all bins, and the features of the encoder."""
        plane = self.standardised(log_magnitudes, log_magnitudes)
        out, features = self.network(self.placed(plane))
        out = even_half(torch.tanh(out))
        if self.max_log_gain is None:
            low, extent = _range_of(log_magnitudes)
            log_gain = low + extent * (out + 1) / 2 - log_magnitudes
        else:
            log_gain = self.max_log_gain * out
        return Translated(log_gain * self.changes, features)

    def log_gains(self, log_magnitudes: np.ndarray) -> np.ndarray:
        """The gains of arrays, some images at a time."""
        gains = np.empty(log_magnitudes.shape)
        with torch.inference_mode():
            for rows in gen_batches(len(gains), _CHUNK):
                part = as_tensor(log_magnitudes[rows], self.mean.device, torch.float32)
                gains[rows] = as_array(self(part).log_gain)
        return gains

    def standardised(
        self, log_magnitudes: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        """Log-magnitudes as the networks see them, on the whole plane.

        Without a bound of the gains they are scaled to [-1, 1] by the extremes of the
        ``inputs`` from which they were made.
        """
        if self.max_log_gain is None:
            low, extent = _range_of(inputs)
            scaled = 2 * (log_magnitudes - low) / extent - 1
        else:
            scaled = (log_magnitudes - self.mean) / self.spread
        return whole_plane(scaled, self.plane_width)

    def placed(self, plane: torch.Tensor) -> torch.Tensor:
        """With two more channels that tell a convolution where it is."""
        places = self.places.expand(len(plane), -1, -1, -1)
        return torch.cat([plane, places], dim=1)


def _range_of(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimum of each image, and its distance to the maximum."""
    low = values.amin((1, 2, 3), keepdim=True)
    return low, values.amax((1, 2, 3), keepdim=True) - low + _TINY
