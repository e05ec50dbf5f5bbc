"""What a fitted diffusion prior consists of, and its denoiser."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from skspectral._random import seeded_torch
from skspectral.priors.denoising import checkpoint
from skspectral.priors.denoising.denoiser import (
    CodeDenoiser,
    Denoiser,
    SignalDenoiser,
    grid,
)
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.denoising.networks import MLP, Gated, UNet
from skspectral.priors.denoising.plan import Log
from skspectral.priors.synthesis import Synthesis

# Sides of the signals that a network is for.
_N_SIDES = {"unet1d": 1, "unet2d": 2}
# Layers on numbers that are no grid are so many times as wide.
_MLP_WIDTHS = 4


@dataclass(frozen=True, eq=False)
class Model:
    """A law, a network, and how far its training is.

    Attributes
    ----------
    law : SpectralLaw
    synthesis : Synthesis or None
        None if codes are no signals.
    network : str or Module
        A name, not "auto"; or a network of the user.
    width : int
        Channels of the finest scale.
    n_labels : int
        Number of labels, or 0.
    seed : int
        Of the weights before training.
    state : dict
        Of the `Training`; empty before it.
    log : Log
        Of the run so far.
    """

    law: SpectralLaw
    synthesis: Synthesis | None
    network: str | nn.Module
    width: int
    n_labels: int
    seed: int
    state: dict[str, Any] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    # To be replaced in experiments.
    signal_denoiser = SignalDenoiser

    def denoiser(self, weights: str | None = None) -> Denoiser:
        """Denoiser on the CPU: Wiener's, or with "network" or "average" weights."""
        denoiser = self._new()
        if weights is not None:
            denoiser.network.load_state_dict(self.state[weights])
        return denoiser

    def _new(self) -> Denoiser:
        n_labels = self.n_labels
        if self.sees_codes:
            n_values = len(self.law.mean)
            if self.synthesis is not None:
                n_values = self.synthesis.axes.shape[1]
            network = self._network(len(self.law.mean), None)
            return CodeDenoiser(self.law, n_values, network, n_labels)
        assert self.synthesis is not None
        sides, n_channels = grid(self.synthesis.signal_shape)
        network = self._network(n_channels, sides)
        if len(sides) == 2:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.signal_denoiser(self.law, self.synthesis, network, n_labels)

    @property
    def sees_codes(self) -> bool:
        """Whether the network sees codes, and not their signals."""
        return self.synthesis is None or self.network == "mlp"

    def _network(self, n_channels: int, sides: tuple[int, ...] | None) -> nn.Module:
        """Network that gives zero, whose weights depend on the seed alone."""
        n_in = n_channels if sides is None else 2 * n_channels
        with seeded_torch(self.seed):
            if isinstance(self.network, nn.Module):
                example = torch.randn(2, n_in, *(sides or ()), dtype=torch.float32)
                made: nn.Module = Gated(self.network, example, self.n_labels)
            elif sides is None:
                made = MLP(n_in, _MLP_WIDTHS * self.width, self.n_labels)
            else:
                made = UNet(n_in, n_channels, self.width, sides, self.n_labels)
        return made.float()

    def resumed(self, path: Path, identity: dict[str, Any]) -> "Model":
        """The same training where a checkpoint, if there is one, has brought it.

        Of the `identity` of this model.

        Raises
        ------
        ValueError
            If the file is of another training, or none.
        """
        if not path.exists():
            return self
        kept = checkpoint.load(path)
        checkpoint.check_same(path, kept, identity)
        # Signals do not depend on the axes of codes, which may be rounded otherwise.
        law = self.law
        if self.sees_codes:
            law = SpectralLaw(**{k: _as_array(v) for k, v in kept["law"].items()})
        return replace(self, law=law, state=kept["state"], log=Log(**kept["log"]))

    def keep(self, path: Path, identity: dict[str, Any]) -> None:
        """Write a checkpoint."""
        content = {"state": self.state, "log": asdict(self.log)}
        if self.sees_codes:
            content["law"] = vars(self.law)
        checkpoint.save(path, identity | content)

    def identity(self, options: dict[str, Any]) -> dict[str, Any]:
        """What another training would have otherwise; costs K^2 T."""
        name = self.network if isinstance(self.network, str) else "module"
        identity = {
            "network": name,
            "width": self.width,
            "n_labels": self.n_labels,
            **options,
        }
        axes, mean = self.law.axes, self.law.mean
        if not self.sees_codes and self.synthesis is not None:
            identity["signal_shape"] = list(self.synthesis.signal_shape)
            axes = axes @ self.synthesis.axes
            mean = mean @ self.synthesis.axes + self.synthesis.mean
        # Of the values that the network sees, in units of their deviations.
        variances = self.law.variances @ axes**2 * self.law.unit**2
        scale = np.sqrt(variances.max())
        return identity | {
            "means": mean / scale,
            "variances": variances / scale**2,
            "principal variances": self.law.variances / self.law.variances[0],
            "scale": np.array([scale]),
        }


def network_name(network: str, synthesis: Synthesis | None) -> str:
    """Name of the network for such signals, which is not "auto".

    Raises
    ------
    ValueError
        If it is not for them.
    """
    n_sides = 0 if synthesis is None else len(grid(synthesis.signal_shape)[0])
    if network == "auto":
        return ("mlp", "unet1d", "unet2d")[n_sides]
    if network in _N_SIDES and n_sides != _N_SIDES[network]:
        seen = "codes alone" if synthesis is None else synthesis.signal_shape
        needed = ("(length,)", "(height, width[, channels])")[network == "unet2d"]
        raise ValueError(
            f"network={network!r} needs signals of signal_shape={needed}, but is given "
            f"{seen}. Set signal_shape of the estimator, or use network='auto'."
        )
    return network


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
