"""The model of a diffusion prior: a Gaussian distribution of codes, and a network."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from skspectral._random import seeded_torch
from skspectral.priors.denoising.denoiser import (
    CodeDenoiser,
    Denoiser,
    SignalDenoiser,
)
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.networks import MLP, Gated, UNet
from skspectral.priors.synthesis import Synthesis

# Default networks for signals with no axis (codes alone), one axis and two axes.
_NETWORKS = ("mlp", "unet1d", "unet2d")
# Width of the layers of an MLP, relative to the parameter `width`.
_MLP_FACTOR = 4


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """Gaussian distribution of the codes, and specification of the network.

    ``synthesis`` is None if the codes have no signals. ``network`` is a name or the
    user's Module, ``width`` the parameter of `DiffusionPrior`, ``n_labels`` the number
    of different labels (0 without labels), and ``seed`` the seed of the initial
    weights. ``signal_denoiser`` is the class of the denoiser of signals; benchmarks
    replace it by variants.
    """

    distribution: PrincipalGaussian
    synthesis: Synthesis | None
    network: str | nn.Module
    width: int
    n_labels: int
    seed: int
    signal_denoiser: type[SignalDenoiser] = SignalDenoiser

    @classmethod
    def fit(
        cls,
        codes: np.ndarray,
        synthesis: Synthesis | None,
        network: str | nn.Module,
        *,
        mirrored: bool,
        **options: Any,
    ) -> "DiffusionModel":
        """Fit the Gaussian to codes (n, K), and choose the network for "auto".

        A ValueError is raised if the network does not fit the shape of the signals, or
        if the synthesis has another number of codes.
        """
        n_axes = 0 if synthesis is None else synthesis.grid.n_axes
        suited = _NETWORKS[n_axes] if n_axes < len(_NETWORKS) else "mlp"
        if network == "auto":
            network = suited
        if isinstance(network, str) and network not in ("mlp", suited):
            needed = ("(length,)", "(height, width[, channels])")[network == "unet2d"]
            raise ValueError(
                f"network={network!r} needs signals of signal_shape={needed}, but it "
                f"gets {synthesis.signal_shape if synthesis else 'codes alone'}. Set "
                "signal_shape of the estimator, or use network='auto'."
            )
        signals = synthesis or Synthesis.identity(codes.shape[1])
        signals.check_codes(codes)
        distribution = PrincipalGaussian.fit(codes, signals, mirrored=mirrored)
        return cls(distribution, synthesis, network, **options)

    @property
    def sees_codes(self) -> bool:
        """Whether the input of the network is the codes and not their signals."""
        return self.synthesis is None or self.network == "mlp"

    def denoiser(self, weights: dict[str, Any] | None = None) -> Denoiser:
        """Return a denoiser on the CPU, with the given or the initial weights.

        The initial weights depend only on the seed. With them, the correction of the
        network is zero.
        """
        sides: tuple[int, ...] = ()
        n_in = n_out = len(self.distribution.mean)
        if self.synthesis is not None and not self.sees_codes:
            sides, n_out = self.synthesis.grid.sizes, self.synthesis.grid.channels
            n_in = 2 * n_out
        network: nn.Module
        with seeded_torch(self.seed):
            if isinstance(self.network, nn.Module):
                example = torch.randn(2, n_in, *sides, dtype=torch.float32)
                network = Gated(self.network, example, self.n_labels)
            elif sides:
                network = UNet(n_in, n_out, self.width, sides, self.n_labels)
            else:
                network = MLP(n_in, _MLP_FACTOR * self.width, self.n_labels)
        network.float()
        if weights is not None:
            network.load_state_dict(weights)
        if self.synthesis is None or not sides:
            return CodeDenoiser(self.distribution, network, self.n_labels)
        if len(sides) == 2:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.signal_denoiser(
            self.distribution,
            self.synthesis.grid,
            self._signal_axes,
            network,
            self.n_labels,
        )

    @cached_property
    def _signal_axes(self) -> np.ndarray:
        """Signals of the principal axes, (K, T), at a cost of K^2 T operations."""
        assert self.synthesis is not None
        return (self.distribution.axes @ self.synthesis.basis).astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
