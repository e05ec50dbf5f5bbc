"""The average of the posterior means of all overlapping patches of an image."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.restoration.patch_mixture import PatchMixture, PatchPosterior
from skspectral.restoration.patches import PatchGrid, Stripe

# If the noise variances of patches differ, they are rounded to powers of this ratio.
_NOISE_RATIO = 2**0.25

Noise = float | torch.Tensor


class PatchDenoiser:
    """Denoiser of all overlapping patches of images of one shape.

    The candidates among the components are chosen in the first call, and are the same
    in all later calls. The component of a patch is that of the latest call.

    Parameters
    ----------
    mixture : PatchMixture
        Prior of the patches.
    grid : PatchGrid
        Positions of the patches.
    n_candidates, n_screened : int
        Numbers of components and of principal components; see `PatchPosterior`.
    """

    def __init__(
        self,
        mixture: PatchMixture,
        grid: PatchGrid,
        n_candidates: int,
        n_screened: int,
    ):
        self._mixture, self._grid = mixture, grid
        self._limits = n_candidates, n_screened
        self._device = device = mixture.basis.device
        shape = grid.n_patches, min(n_candidates, len(mixture))
        self._candidates = torch.empty(shape, dtype=torch.int16, device=device)
        self._has_candidates = False
        self._component = torch.empty(shape[0], dtype=torch.int16, device=device)
        self._counts = grid.totals(device)

    def as_image(self, image: np.ndarray) -> torch.Tensor:
        """Return an array as an image on the device of the mixture, in float32."""
        return as_tensor(image, self._device, torch.float32)

    def estimate(self, image: torch.Tensor, noise: Noise) -> torch.Tensor:
        """Return the average of the posterior means of all patches.

        The ``image``, (height, width, channels), is the true one plus white noise of
        the variance ``noise``, a number or a tensor of the shape of the image. The mean
        of a patch in each channel is kept as it is.
        """
        total, posteriors = self._new_image(), dict[float, PatchPosterior]()
        for stripe in self._grid.stripes():
            z, levels = self._mixture.split(stripe.cut(image))
            candidates = self._candidates[stripe.patches]
            component = self._component[stripe.patches]
            for variance, rows in _by_noise(stripe, noise):
                posterior = self._posterior(posteriors, variance, z.dtype)
                part = z[rows]
                if not self._has_candidates:
                    candidates[rows] = posterior.candidates(part)
                best = posterior.best(part, candidates[rows])
                component[rows] = best
                z[rows] = posterior.mean(part, best)
            stripe.add(self._mixture.join(z, levels), total)
        self._has_candidates = True
        return total / self._counts

    def variance(self, noise: Noise) -> torch.Tensor:
        """Return the average of the posterior variances of the patches, per pixel.

        The components are those of the latest call of `estimate`. Since the errors of
        overlapping patches are correlated, but not equal, the result is an upper bound
        of the variance of the error of the average.
        """
        total, posteriors = self._new_image(), dict[float, PatchPosterior]()
        for stripe in self._grid.stripes():
            component = self._component[stripe.patches].long()
            found = total.new_empty((len(component), self._grid.n_pixels))
            for variance, rows in _by_noise(stripe, noise):
                posterior = self._posterior(posteriors, variance, total.dtype)
                found[rows] = posterior.pixel_variances[component[rows]]
            stripe.add(found, total)
        return total / self._counts

    def _new_image(self) -> torch.Tensor:
        return torch.zeros(self._grid.shape, dtype=torch.float32, device=self._device)

    def _posterior(
        self, known: dict[float, PatchPosterior], noise: float, dtype: torch.dtype
    ) -> PatchPosterior:
        if noise not in known:
            known[noise] = PatchPosterior(self._mixture, noise, *self._limits, dtype)
        return known[noise]


def _by_noise(
    stripe: Stripe, noise: Noise
) -> Iterator[tuple[float, slice | torch.Tensor]]:
    """Iterate over noise variances, each with the patches of a stripe that have it."""
    if isinstance(noise, float):
        yield noise, slice(None)
        return
    mean = stripe.cut(noise).mean(1)
    power = (mean.log() / np.log(_NOISE_RATIO)).round()
    for value in as_array(power.unique()).tolist():
        yield float(_NOISE_RATIO**value), (power == value).nonzero()[:, 0]
