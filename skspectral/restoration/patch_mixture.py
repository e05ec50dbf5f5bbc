"""A mixture of Gaussians as the prior of patches, and their posterior given noise.

A patch x is its mean per channel, which is not restricted, plus a vector z of the space
without constants, whose distribution is the mixture. Given y = x + white noise of
variance v, component k has the posterior probability

    p_k ~ weight_k N(z_y; mean_k, C_k + v I),

where z_y is the part of y without its mean, and under it z has the mean
mean_k + C_k (C_k + v I)^-1 (z_y - mean_k) and the covariance v C_k (C_k + v I)^-1.
`PatchPosterior` finds the most probable component of every patch (Zoran and Weiss 2011,
From learning models of natural image patches to whole image restoration, ICCV) and the
mean, or a draw, under this component.

Most components cannot win. The few candidates of a patch are those that are the most
probable by the density of its first principal components, which is one matrix product
for all patches and components. Only these are compared by the density of all
dimensions.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from skspectral._device import as_array, as_tensor

# Patches whose products are computed at a time in the choice of candidates. The
# products of this many patches fit into the cache.
_CHUNK = 2048
# A direction in which the variance of a component is below this fraction of the noise
# is not needed to compare densities: it changes them by less than 0.001.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True, eq=False)
class PatchMixture:
    """Mixture of M Gaussians in d dimensions, of patches of D pixels less their mean.

    Attributes
    ----------
    weights : Tensor of shape (M,), float64
        Probabilities of the components.
    means : Tensor of shape (M, d), float64
        Means of the components.
    vectors : Tensor of shape (M, d, d), float64
        Eigenvectors of the covariances, as columns.
    values : Tensor of shape (M, d), float64
        Eigenvalues of the covariances, >= 0.
    basis : Tensor of shape (d, D), float64
        Orthonormal principal axes of the mixture, the axis of largest variance first.
        They are orthogonal to the constants.
    constants : Tensor of shape (n_channels, D), float64
        Orthonormal images that are constant in one channel, and 0 in the others.
    """

    weights: torch.Tensor
    means: torch.Tensor
    vectors: torch.Tensor
    values: torch.Tensor
    basis: torch.Tensor
    constants: torch.Tensor

    @classmethod
    def from_moments(
        cls,
        weights: np.ndarray,
        means: np.ndarray,
        covariances: np.ndarray,
        n_channels: int,
        device: torch.device,
    ) -> "PatchMixture":
        """Return the mixture with the moments (M, D) and (M, D, D) of patches.

        Parts of the moments along the constants of the channels are removed.
        """
        n_pixels = means.shape[1] // n_channels
        constants = np.tile(np.eye(n_channels), n_pixels) / np.sqrt(n_pixels)
        left = np.eye(means.shape[1]) - constants.T @ constants
        overall = weights @ means
        spread = means - overall
        total = np.tensordot(weights, covariances, 1) + (spread.T * weights) @ spread
        _, axes = np.linalg.eigh(left @ total @ left)
        # The constants have the variance 0, so that they may be any of the last axes.
        axes = np.linalg.qr(np.concatenate([constants.T, axes[:, ::-1]], axis=1))[0]
        basis = axes[:, n_channels:].T
        values, vectors = np.linalg.eigh(basis @ covariances @ basis.T)
        parts = weights, means @ basis.T, vectors, values.clip(0), basis, constants
        return cls(*(as_tensor(np.ascontiguousarray(part), device) for part in parts))

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def n_dimensions(self) -> int:
        """Number d of dimensions without the constants."""
        return len(self.basis)

    @property
    def pixel_variance(self) -> float:
        """Mean variance of a pixel within its patch."""
        second = self.values.sum(1) + self.means.square().sum(1)
        return float((self.weights @ second) / self.basis.shape[1])

    @cached_property
    def covariances(self) -> torch.Tensor:
        """Covariances of the components, (M, d, d)."""
        return (self.vectors * self.values[:, None]) @ self.vectors.mT

    def split(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the parts (n, d) without mean, and the means as (n, n_channels)."""
        dtype = patches.dtype
        return patches @ self.basis.T.to(dtype), patches @ self.constants.T.to(dtype)

    def join(self, z: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """Return the patches (n, D) of parts without mean, and of means."""
        return z @ self.basis.to(z.dtype) + levels @ self.constants.to(z.dtype)


class PatchPosterior:
    """Posterior of patches given patches with white noise of one variance.

    Parameters
    ----------
    mixture : PatchMixture
        Prior of the patches.
    noise : float
        Variance of the noise, > 0.
    n_candidates : int
        Number of components that are compared by the density of all dimensions.
    n_screened : int
        Number of principal components by which the candidates are chosen.
    dtype : torch.dtype
        Type of the patches.
    """

    def __init__(
        self,
        mixture: PatchMixture,
        noise: float,
        n_candidates: int,
        n_screened: int,
        dtype: torch.dtype = torch.float32,
    ):
        self._mixture, self._noise, self._dtype = mixture, noise, dtype
        self._n_candidates = min(n_candidates, len(mixture))
        self._n_screened = min(n_screened, mixture.n_dimensions)
        values, means = mixture.values, mixture.means
        # log N(z; m, C + v I) is, but for the part of |z|^2 that all components share,
        # |R'(z - m)|^2 + z'm / v + a constant, with R = V sqrt(g / 2 v).
        gain = values / (values + noise)
        root = mixture.vectors * (gain / (2 * noise)).sqrt()[:, None]
        shift = (means[:, None] @ root)[:, 0]
        log_determinant = (values + noise).log().sum(1)
        self._constant = mixture.weights.log() - log_determinant / 2
        self._constant -= means.square().sum(1) / (2 * noise)
        counts = as_array((gain >= _NEGLIGIBLE).sum(1)).tolist()
        # Eigenvalues increase, so that the last ones are those that count.
        self._roots = [
            torch.cat([root[k, :, -n or None :] if n else root[k, :, :0], column], 1)
            for k, (n, column) in enumerate(
                zip(counts, means[:, :, None] / noise, strict=True)
            )
        ]
        self._roots = [part.to(dtype) for part in self._roots]
        self._shifts = [
            (shift[k, -n:] if n else shift[k, :0]).to(dtype)
            for k, n in enumerate(counts)
        ]

    @cached_property
    def _screen(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Coefficients of the log-densities of the first r principal components.

        The log-densities are products of the first tensor, (M, r (r + 1) / 2 + r), and
        the products and values of the components, plus the second tensor, (M, 1).
        """
        mixture, r = self._mixture, self._n_screened
        covariance = mixture.covariances[:, :r, :r].clone()
        covariance.diagonal(dim1=1, dim2=2).add_(self._noise)
        factor = torch.linalg.cholesky(covariance)
        precision = torch.cholesky_inverse(factor)
        means = mixture.means[:, :r]
        linear = (precision @ means[:, :, None])[:, :, 0]
        constant = mixture.weights.log() - (linear * means).sum(1) / 2
        constant -= factor.diagonal(dim1=1, dim2=2).log().sum(1)
        # The part of |z|^2 that all components share is left out, because its rounding
        # errors would be large.
        quadratic = -precision
        quadratic.diagonal(dim1=1, dim2=2).add_(1 / self._noise)
        quadratic.diagonal(dim1=1, dim2=2).div_(2)
        i, j = torch.triu_indices(r, r, device=quadratic.device)
        table = torch.cat([quadratic[:, i, j], linear], 1)
        return table.to(self._dtype), constant[:, None].to(self._dtype)

    def candidates(self, z: torch.Tensor) -> torch.Tensor:
        """Return the indices of the likely components of patches, (n, n_candidates)."""
        table, constant = self._screen
        found = torch.empty(
            (len(z), self._n_candidates), dtype=torch.int16, device=z.device
        )
        r = self._n_screened
        features = z.new_empty((table.shape[1], min(_CHUNK, len(z))))
        for start in range(0, len(z), _CHUNK):
            columns = z[start : start + _CHUNK, :r].T.contiguous()
            n = columns.shape[1]
            filled = features[:, :n]
            first = 0
            for i in range(r):
                rows = filled[first : first + r - i]
                torch.mul(columns[i:], columns[i], out=rows)
                first += r - i
            filled[first:] = columns
            density = torch.addmm(constant, table, filled)
            best = density.topk(self._n_candidates, dim=0, sorted=False).indices
            found[start : start + n] = best.T
        return found

    def best(self, z: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Return the index of the most probable candidate of each patch, (n,)."""
        density = z.new_empty(candidates.numel())
        n_candidates = candidates.shape[1]
        for k, index in _groups(candidates.reshape(-1)):
            along = z.index_select(0, index // n_candidates) @ self._roots[k]
            linear = along[:, -1]
            squared = (along[:, :-1] - self._shifts[k]).square_().sum(1)
            density[index] = squared + linear + float(self._constant[k])
        place = density.view(candidates.shape).argmax(1, keepdim=True)
        return candidates.gather(1, place)[:, 0]

    def mean(self, z: torch.Tensor, component: torch.Tensor) -> torch.Tensor:
        """Return the posterior means (n, d) of patches under their components (n,)."""
        mixture, found = self._mixture, torch.empty_like(z)
        gain = mixture.values / (mixture.values + self._noise)
        for k, index in _groups(component):
            vectors = mixture.vectors[k]
            filter_ = (vectors * gain[k]) @ vectors.T
            offset = mixture.means[k] - filter_ @ mixture.means[k]
            part = z.index_select(0, index) @ filter_.to(z.dtype)
            found[index] = part.add_(offset.to(z.dtype))
        return found

    def draw(
        self, z: torch.Tensor, component: torch.Tensor, stream: np.random.Generator
    ) -> torch.Tensor:
        """Return draws (n, d) from the posterior of patches under their components."""
        found = self.mean(z, component)
        normal = stream.standard_normal(found.shape, dtype=np.float32)
        noise = as_tensor(normal, z.device, z.dtype)
        for k, index in _groups(component):
            root = self._mixture.vectors[k] * self._variances[k].sqrt()
            found[index] += noise.index_select(0, index) @ root.T.to(z.dtype)
        return found

    @property
    def _variances(self) -> torch.Tensor:
        """Posterior variances along the eigenvectors of the components, (M, d)."""
        values = self._mixture.values
        return self._noise * values / (values + self._noise)

    @cached_property
    def pixel_variances(self) -> torch.Tensor:
        """Posterior variance of each pixel of a patch, by component: (M, D)."""
        mixture = self._mixture
        of_pixels = mixture.vectors.mT @ mixture.basis
        inside = (self._variances[:, None] @ of_pixels.square())[:, 0]
        outside = self._noise * mixture.constants.square().sum(0)
        return (inside + outside).to(self._dtype)


def _groups(labels: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Iterate over the labels that occur, each with the places where it occurs."""
    order = labels.argsort()
    present, counts = torch.unique_consecutive(labels[order], return_counts=True)
    parts = torch.split(order, as_array(counts).tolist())
    yield from zip(as_array(present).tolist(), parts, strict=True)
