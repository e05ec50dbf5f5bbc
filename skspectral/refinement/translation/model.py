"""The translation: a network that treats the frequency plane as an image."""
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

# Added to the range of a spectrum, which is 0 for a flat spectrum.
_TINY = 1e-8
# Number of images per batch in `Translation.log_gains`.
_BATCH_SIZE = 64


class Translation(nn.Module):
    """A network on the frequency plane that returns the log-gain of each bin.

    Log-magnitudes are standardised by the ``mean`` and ``spread`` of each bin, of shape
    (C, H, W // 2 + 1). Log-gains are bounded by ``max_log_gain`` nats. If this bound is
    None, the network returns magnitudes within the range of each image's magnitudes,
    and gains follow from them. Copies and unpickled networks are on the CPU and in
    evaluation mode.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    coordinates: torch.Tensor

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
        coordinates = distances(height, plane_width)
        self.register_buffer("coordinates", coordinates, persistent=False)
        self.network = NestedUNet(n_channels + 2, n_channels, base_channels, depth)

    def __getstate__(self) -> dict[str, Any]:
        """Return sizes and weights as numbers and numpy arrays, without code."""
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
        """Return log-gains (n, C, H, W // 2 + 1) and the features of the encoder."""
        plane = self.standardised(log_magnitudes, log_magnitudes)
        out, features = self.network(self.with_coordinates(plane))
        log_gain = even_half(torch.tanh(out))
        if self.max_log_gain is None:
            centre, spread = self._scale(log_magnitudes)
            log_gain = centre + spread * log_gain - log_magnitudes
        else:
            log_gain = self.max_log_gain * log_gain
        log_gain[..., 0, 0] = 0  # Keep mean colours.
        return log_gain, features

    def log_gains(self, log_magnitudes: np.ndarray) -> np.ndarray:
        """Return the log-gains of an array of log-magnitudes, batch by batch."""
        gains = np.empty(log_magnitudes.shape)
        with torch.inference_mode():
            for rows in gen_batches(len(gains), _BATCH_SIZE):
                part = as_tensor(log_magnitudes[rows], self.mean.device, torch.float32)
                gains[rows] = as_array(self(part)[0])
        return gains

    def standardised(
        self, log_magnitudes: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        """Return log-magnitudes on the whole plane, standardised for the networks.

        If gains are not bounded, log-magnitudes are instead scaled per image, by the
        map that takes the log-magnitudes ``inputs`` of that image to [-1, 1].
        """
        centre, spread = self._scale(inputs)
        return whole_plane((log_magnitudes - centre) / spread, self.plane_width)

    def with_coordinates(self, plane: torch.Tensor) -> torch.Tensor:
        """Append two channels with the coordinates of each bin.

        Convolutions cannot infer the position of a bin from a standardised plane.
        """
        coordinates = self.coordinates.expand(len(plane), -1, -1, -1)
        return torch.cat([plane, coordinates], dim=1)

    def _scale(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Centre and scale by which the log-magnitudes are standardised."""
        if self.max_log_gain is not None:
            return self.mean, self.spread
        low, high = inputs.amin((1, 2, 3), True), inputs.amax((1, 2, 3), True)
        return (high + low) / 2, (high - low + _TINY) / 2


def whole_plane(half: torch.Tensor, width: int) -> torch.Tensor:
    """Extend even values in the bins of ``rfft2`` to the plane, DC in the centre."""
    return torch.fft.fftshift(mirrored_tensor(half, width), dim=(-2, -1))


def even_half(plane: torch.Tensor) -> torch.Tensor:
    """Return the even part of a plane in the bins of ``rfft2``.

    This is the inverse of `whole_plane`.
    """
    plane = torch.fft.ifftshift(plane, dim=(-2, -1))
    opposite = opposite_rows(plane).flip(-1).roll(1, -1)
    return ((plane + opposite) / 2)[..., : plane.shape[-1] // 2 + 1]


def distances(height: int, width: int) -> torch.Tensor:
    """Return |u| and |v| of the bins of the whole plane, of shape (2, H, W).

    The unit is the Nyquist frequency.
    """
    u, v = (
        2 * torch.fft.fftshift(torch.fft.fftfreq(size)).abs()
        for size in (height, width)
    )
    return torch.stack([u[:, None].expand(-1, width), v.expand(height, -1)])


def square_rings(height: int, width: int) -> torch.Tensor:
    """Return the matrix (H W, n_rings) that averages a plane over square rings."""
    rings = np.rint(ring_frequencies((height, width), "square"))
    numbers = whole_plane(torch.from_numpy(rings).long(), width).flatten()
    members = torch.nn.functional.one_hot(numbers).float()
    # Elongated images have rings without bins. The mean over these rings is set to 0.
    return members / members.sum(0).clamp(min=1)
