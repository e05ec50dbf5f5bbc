"""What a fitted diffusion prior consists of, and its denoiser."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skspectral.priors.denoising import checkpoint
from skspectral.priors.denoising.denoiser import (
    CodeDenoiser,
    Denoiser,
    SignalDenoiser,
    grid,
)
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.denoising.networks import MLP, Gated, UNet
from skspectral.priors.synthesis import Synthesis

# Sides of the signals that a network is for.
_N_SIDES = {"unet1d": 1, "unet2d": 2}
# Layers on numbers that are no grid are so many times as wide.
_MLP_WIDTHS = 8


@dataclass
class Log:
    """What happened so far: in this run, and of the loss in all.

    Attributes
    ----------
    n_images : int
        Rows seen in this run.
    seconds : float
        That this run took.
    history : dict of lists
        "n_images", in all runs, and the mean "loss" since the entry before.
    """

    n_images: int = 0
    seconds: float = 0.0
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"n_images": [], "loss": []}
    )

    def state(self) -> dict[str, Any]:
        """Everything, as `Log` takes it; a copy."""
        history = {name: list(values) for name, values in self.history.items()}
        return {**vars(self), "history": history}


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
        if isinstance(self.network, nn.Module):
            made: nn.Module = Gated(copy.deepcopy(self.network))
        else:
            # torch's global stream is put back as it was.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                made = self._network(self.network)
        if self.synthesis is None:
            return CodeDenoiser(self.law, len(self.law.mean), made, self.n_labels)
        if self.network == "mlp":
            n_values = self.synthesis.axes.shape[1]
            return CodeDenoiser(self.law, n_values, made, self.n_labels)
        if len(grid(self.synthesis.signal_shape)[0]) == 2:
            made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.signal_denoiser(self.law, self.synthesis, made, self.n_labels)

    def _network(self, name: str) -> nn.Module:
        if name == "mlp" or self.synthesis is None:
            return MLP(len(self.law.mean), _MLP_WIDTHS * self.width, self.n_labels)
        sides, n_channels = grid(self.synthesis.signal_shape)
        return UNet(2 * n_channels, n_channels, self.width, sides, self.n_labels)

    def resumed(self, path: Path, options: dict[str, Any]) -> "Model":
        """The same training where a checkpoint, if there is one, has brought it.

        Raises
        ------
        ValueError
            If the file is of another training, or none.
        """
        if not path.exists():
            return self
        kept = checkpoint.load(path)
        checkpoint.check_same(path, kept, self._identity(options))
        law = SpectralLaw(**{k: _as_array(v) for k, v in kept["law"].items()})
        return replace(self, law=law, state=kept["state"], log=Log(**kept["log"]))

    def keep(self, path: Path, options: dict[str, Any]) -> None:
        """Write a checkpoint."""
        content = {"law": vars(self.law), "state": self.state, "log": self.log.state()}
        checkpoint.save(path, self._identity(options) | content)

    def _identity(self, options: dict[str, Any]) -> dict[str, Any]:
        """What another training would have otherwise."""
        name = self.network if isinstance(self.network, str) else "module"
        return {
            "network": name,
            "width": self.width,
            "labels": self.n_labels,
            "mean": self.law.mean,
            "variances": self.law.variances * self.law.unit**2,
            **options,
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
