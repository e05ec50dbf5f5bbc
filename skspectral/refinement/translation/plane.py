"""The plane of frequencies as an image: DC in the middle, and opposite bins."""
# SPDX-License-Identifier: BSD-3-Clause

import torch


def whole_plane(half: torch.Tensor, width: int) -> torch.Tensor:
    """Even values of bins of ``rfft2`` on the whole plane, DC in the middle.

    (..., height, width // 2 + 1) becomes (..., height, width).
    """
    opposite = _opposite_rows(half)[..., 1 : width - half.shape[-1] + 1].flip(-1)
    return torch.fft.fftshift(torch.cat([half, opposite], dim=-1), dim=(-2, -1))


def even_half(plane: torch.Tensor) -> torch.Tensor:
    """The even part of a plane, in the bins of ``rfft2``; its inverse where even."""
    plane = torch.fft.ifftshift(plane, dim=(-2, -1))
    opposite = _opposite_rows(plane).flip(-1).roll(1, -1)
    return ((plane + opposite) / 2)[..., : plane.shape[-1] // 2 + 1]


def _opposite_rows(values: torch.Tensor) -> torch.Tensor:
    """Row -u in the place of row u."""
    return values.flip(-2).roll(1, -2)


def distances(height: int, width: int) -> torch.Tensor:
    """|u| and |v| on the whole plane, where 1 is the Nyquist frequency; (2, H, W)."""
    u, v = (
        2 * torch.fft.fftshift(torch.fft.fftfreq(size)).abs()
        for size in (height, width)
    )
    return torch.stack([u[:, None].expand(-1, width), v.expand(height, -1)])


def square_rings(height: int, width: int) -> torch.Tensor:
    """Mean over the bins of each square ring, as a matrix (H W, n_rings).

    Rings of equal max(|u|, |v|), so that every bin of the plane is in one.
    """
    size = max(height, width)
    radius = distances(height, width).amax(0) * size / 2
    ring = radius.round().long().flatten()
    members = torch.nn.functional.one_hot(ring).float()
    # A ring without bins, as some of elongated images, is 0.
    return members / members.sum(0).clamp(min=1)
