"""Terms of the translation's loss beside those of the discriminators."""
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch.nn import functional as F

from skspectral.metrics.reconstruction import similarity_map
from skspectral.refinement.translation.networks import Projections

# Keeps the derivative of a square root finite at zero.
_TINY = 1e-8


def patch_contrast(
    inputs: list[torch.Tensor],
    outputs: list[torch.Tensor],
    projections: Projections,
    n_patches: int,
    temperature: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """PatchNCE (Park et al. 2020) of features (n, c_i, h_i, w_i), mean over levels.

    It is the cross-entropy of finding each place of the output in the input among at
    most ``n_patches`` places of the same image, drawn with the ``generator``, which
    lives on the CPU. No gradient flows through the input.
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
    return 1 - similarity_map(x, y).mean()


def root_mean_square(change: torch.Tensor) -> torch.Tensor:
    """Root of the mean square of all values, with a derivative at zero."""
    return (change.square().mean() + _TINY).sqrt()
