"""Terms of the generator's loss beside those of the discriminators."""
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch.nn import functional as F

from skspectral.refinement.translation.networks import Projections

# Constants and window of the structural similarity, for values in [0, 1].
_C1, _C2, _WINDOW, _SPREAD = 0.01**2, 0.03**2, 11, 1.5
# Inside a root, the derivative of which at zero is infinite.
_TINY = 1e-8


def patch_contrast(
    inputs: list[torch.Tensor],
    outputs: list[torch.Tensor],
    projections: Projections,
    n_patches: int,
    temperature: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Cross-entropy of finding each place of the output in the input, mean over levels.

    Features of the same place should be nearest: PatchNCE (Park et al. 2020), with
    places of the same image as the others. No gradient flows through the input.

    Parameters
    ----------
    inputs, outputs : list of tensor of shape (n, c_i, h_i, w_i)
        Features of all levels.
    projections : Projections
    n_patches : int
        Places, at most.
    temperature : float
    generator : Generator
        On the CPU, for the places.
    """
    losses = []
    for key, query, project in zip(inputs, outputs, projections, strict=True):
        n_places = key.shape[2] * key.shape[3]
        places = torch.randperm(n_places, generator=generator)[:n_patches]
        k, q = (
            F.normalize(project(part.flatten(2)[:, :, places].transpose(1, 2)), dim=2)
            for part in (key.detach(), query)
        )
        likeness = q @ k.detach().transpose(1, 2) / temperature
        same = torch.arange(len(places), device=likeness.device)
        losses.append(
            F.cross_entropy(likeness.flatten(0, 1), same.repeat(len(likeness)))
        )
    return torch.stack(losses).mean()


def dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - SSIM (Wang et al. 2004), mean over images (n, C, H, W) within [0, 1]."""
    size = min(_WINDOW, *x.shape[2:])
    at = torch.arange(size, device=x.device, dtype=x.dtype) - (size - 1) / 2
    window = torch.exp(-(at**2) / (2 * _SPREAD**2))
    window = window / window.sum()

    def local(values: torch.Tensor) -> torch.Tensor:
        planes = values.flatten(0, 1)[:, None]
        planes = F.conv2d(planes, window[None, None, :, None])
        return F.conv2d(planes, window[None, None, None, :])

    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return 1 - (numerator / denominator).mean()


def root_mean_square(change: torch.Tensor) -> torch.Tensor:
    """Of all values; with a derivative at zero."""
    return (change.square().mean() + _TINY).sqrt()
