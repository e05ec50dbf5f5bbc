"""The plane of frequencies as an image, with DC in the middle."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral.metrics._rings import ring_frequencies
from skspectral.refinement._spectra import mirrored_tensor, opposite_rows


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
