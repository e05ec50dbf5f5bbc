"""From noisy to clean coordinates: Wiener's estimate, corrected by a network."""
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from skspectral._device import as_tensor
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.synthesis import Synthesis

_CPU = torch.device("cpu")
Array = TypeVar("Array", np.ndarray, torch.Tensor)


class Denoiser(nn.Module):
    """Estimate of coordinates z of a `SpectralLaw` from z + s e, with white noise e.

    With variances v of the coordinates::

        D(z, s) = g z + c F(z, s),   g = v / (v + s^2),   c^2 = sum(s^2 g) / T

    g z is the posterior mean under the Gaussian and c its root mean square error, in
    each of T values of a signal. F is the network: it corrects in units of that error.
    ``forward``, of a subclass, gives F.

    Parameters
    ----------
    law : SpectralLaw
    n_values : int
        T.
    network : Module
        Of inputs, noise levels (n,) and labels (n,) or None.
    n_labels : int
        Number of labels, or 0; this number itself means none.

    Attributes
    ----------
    mixed_precision : bool
        Whether the network computes in bfloat16 where that is safe.
    """

    def __init__(
        self, law: SpectralLaw, n_values: int, network: nn.Module, n_labels: int = 0
    ):
        super().__init__()
        self.network = network
        self.n_values, self.n_labels = n_values, n_labels
        self.mixed_precision = False
        self.variances: torch.Tensor
        self.register_buffer("variances", _constant(law.variances), persistent=False)

    def gain(self, noise: torch.Tensor) -> torch.Tensor:
        """g, for noise levels (n, 1)."""
        return self.variances / (self.variances + noise**2)

    def error(self, noise: torch.Tensor) -> torch.Tensor:
        """c, of shape (n, 1), for noise levels (n, 1)."""
        return wiener_error(self.variances, self.n_values, noise)

    def estimate(
        self, noisy: torch.Tensor, noise: torch.Tensor, correction: torch.Tensor
    ) -> torch.Tensor:
        """D, of noisy coordinates (n, K), noise levels (n, 1) and F (n, K)."""
        return self.gain(noise) * noisy + self.error(noise) * correction

    def _corrected(
        self, x: torch.Tensor, noise: torch.Tensor, label: torch.Tensor | None
    ) -> torch.Tensor:
        """Output of the network, which is told the noise."""
        with self._precision(x.device.type):
            out: torch.Tensor = self.network(x, noise[:, 0].log() / 4, label)
        return out.to(x.dtype)

    def _precision(self, device_type: str) -> AbstractContextManager[Any]:
        if self.mixed_precision:
            return torch.autocast(device_type, torch.bfloat16)
        return nullcontext()


class CodeDenoiser(Denoiser):
    """The network sees coordinates, each of variance 1."""

    def forward(
        self,
        noisy: torch.Tensor,
        noise: torch.Tensor,
        label: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """F, of noisy coordinates (n, K), noise levels (n, 1) and labels (n,)."""
        white = noisy / (self.variances + noise**2).sqrt()
        out = self._corrected(white, noise, label)
        # In units of the error of each coordinate.
        error = noise * self.gain(noise).sqrt()
        return out * error / self.error(noise)


class SignalDenoiser(Denoiser):
    """The network sees two signals: of noisy coordinates, and of Wiener's estimate.

    Its correction is a signal, too, of which what is in the span of the atoms counts.

    Parameters
    ----------
    law : SpectralLaw
    synthesis : Synthesis
    network : Module
        From (n, 2 C, *sides) to (n, C, *sides), with C channels of the signals.
    n_labels : int
        Number of labels, or 0.
    """

    def __init__(
        self,
        law: SpectralLaw,
        synthesis: Synthesis,
        network: nn.Module,
        n_labels: int = 0,
    ):
        super().__init__(law, synthesis.axes.shape[1], network, n_labels)
        self.sides, self.n_channels = grid(synthesis.signal_shape)
        self.axes: torch.Tensor
        axes = _constant(law.axes @ synthesis.axes)
        self.register_buffer("axes", axes, persistent=False)

    def forward(
        self,
        noisy: torch.Tensor,
        noise: torch.Tensor,
        label: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """F, of noisy coordinates (n, K), noise levels (n, 1) and labels (n,)."""
        x = torch.cat([self.signals(z) for z in self.seen(noisy, noise)], dim=1)
        return self.coordinates(self._corrected(x, noise, label))

    def seen(
        self, noisy: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network sees: coordinates of signals of about unit size, or less."""
        energy = 1 + noise**2 * (noisy.shape[1] / self.n_values)
        return noisy / energy.sqrt(), self.gain(noise) * noisy

    def signals(self, z: torch.Tensor) -> torch.Tensor:
        """Signals about the mean, (n, C, *sides), of coordinates (n, K)."""
        signals = (z @ self.axes).reshape(-1, *self.sides, self.n_channels)
        return signals.movedim(-1, 1)

    def coordinates(self, signals: torch.Tensor) -> torch.Tensor:
        """Coordinates of what signals have in the span."""
        return signals.movedim(1, -1).reshape(len(signals), -1) @ self.axes.T


def wiener_error(variances: Array, n_values: int, noise: Array) -> Array:
    """c of a `Denoiser`, of shape (n, 1), for noise levels (n, 1)."""
    energy = (noise**2 * (variances / (variances + noise**2))).sum(-1)[:, None]
    return (energy / n_values) ** 0.5


def grid(signal_shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Sides and number of channels of a signal."""
    if len(signal_shape) == 3:
        return signal_shape[:2], signal_shape[2]
    return signal_shape, 1


def _constant(array: np.ndarray) -> torch.Tensor:
    return as_tensor(array, _CPU, torch.float32)
