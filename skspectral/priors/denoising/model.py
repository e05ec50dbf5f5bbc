"""What a diffusion prior trains: a distribution of codes, and a network for it."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from skspectral._random import seeded_torch
from skspectral.priors.denoising.denoiser import (
    CodeDenoiser,
    Denoiser,
    SignalDenoiser,
    grid,
)
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.networks import MLP, Gated, UNet
from skspectral.priors.synthesis import Synthesis

# Networks by the number of sides of a signal; 0 stands for codes alone.
_NETWORKS = ("mlp", "unet1d", "unet2d")
# An MLP's layers have this many times the width.
_MLP_WIDTHS = 4


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """The distribution of the codes, and a network with its first weights.

    Attributes
    ----------
    distribution : PrincipalGaussian
    synthesis : Synthesis or None
        None if codes are no signals.
    network : {"mlp", "unet1d", "unet2d"} or Module
    width : int
        Channels of the finest scale.
    n_labels : int
        Number of labels, or 0.
    seed : int
        Seed of the first weights.
    signal_denoiser : type
        Denoiser of signals, which experiments replace.
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
        *,
        network: str | nn.Module,
        mirrored: bool,
        **options: Any,
    ) -> "DiffusionModel":
        """Fit the distribution to codes (n, K), and choose the network if it is "auto".

        Raises
        ------
        ValueError
            If the network or the synthesis is for other signals or codes.
        """
        if isinstance(network, str):
            network = network_name(network, synthesis)
        signals = synthesis or Synthesis.identity(codes.shape[1])
        signals.check_codes(codes)
        distribution = PrincipalGaussian.fit(codes, signals, mirrored=mirrored)
        return cls(distribution, synthesis, network, **options)

    @property
    def sees_codes(self) -> bool:
        """Whether the network sees codes, and not their signals."""
        return self.synthesis is None or self.network == "mlp"

    def denoiser(self, weights: dict[str, Any] | None = None) -> Denoiser:
        """Denoiser on the CPU, of a network with trained weights or the first ones.

        The first weights depend on the seed alone; with them the output is zero.
        """
        denoiser: Denoiser
        if self.synthesis is None or self.sees_codes:
            network = self._new_network(len(self.distribution.mean), ())
            denoiser = CodeDenoiser(self.distribution, network, self.n_labels)
        else:
            sides, n_channels = grid(self.synthesis.signal_shape)
            network = self._new_network(n_channels, sides)
            if len(sides) == 2:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            denoiser = self.signal_denoiser(
                self.distribution, self.synthesis, network, self.n_labels
            )
        if weights is not None:
            denoiser.network.load_state_dict(weights)
        return denoiser

    def _new_network(self, n_channels: int, sides: tuple[int, ...]) -> nn.Module:
        n_in = 2 * n_channels if sides else n_channels
        with seeded_torch(self.seed):
            made: nn.Module
            if isinstance(self.network, nn.Module):
                example = torch.randn(2, n_in, *sides, dtype=torch.float32)
                made = Gated(self.network, example, self.n_labels)
            elif sides:
                made = UNet(n_in, n_channels, self.width, sides, self.n_labels)
            else:
                made = MLP(n_in, _MLP_WIDTHS * self.width, self.n_labels)
        return made.float()


def network_name(network: str, synthesis: Synthesis | None) -> str:
    """Name of the network for such signals in place of "auto".

    Raises
    ------
    ValueError
        If the network is for other signals.
    """
    n_sides = 0 if synthesis is None else len(grid(synthesis.signal_shape)[0])
    if network in ("auto", "mlp", _NETWORKS[n_sides]):
        return _NETWORKS[n_sides] if network == "auto" else network
    given = "codes alone" if synthesis is None else synthesis.signal_shape
    needed = ("(length,)", "(height, width[, channels])")[network == "unet2d"]
    raise ValueError(
        f"network={network!r} needs signals of signal_shape={needed}, but is given "
        f"{given}. Set signal_shape of the estimator, or use network='auto'."
    )
