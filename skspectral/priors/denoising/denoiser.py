"""Estimation of clean from noisy coordinates: Wiener filter, corrected by a network."""
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from skspectral._device import as_tensor
from skspectral.grid import Grid
from skspectral.priors.denoising.distribution import PrincipalGaussian

Array = TypeVar("Array", np.ndarray, Tensor)
# Indices of labels, shape (n,), or None if there are no labels.
Labels = Tensor | None


class Denoiser(nn.Module):
    """Estimator of clean coordinates of a `PrincipalGaussian` from noisy ones.

    Let z be the noisy coordinates, s the level of the white noise, v the variances of
    the coordinates, and T the number of values per signal. The estimate is::

        D(z, s) = g z + c F(z, s),   g = v / (v + s^2),   c^2 = sum(s^2 g) / T

    g z is the posterior mean under the Gaussian (the Wiener estimate), and c its root
    mean square error per value of a signal. F is the correction by the network, in
    units of c. A subclass computes F in ``forward``.

    The network is called with its input, log(s) / 4 (n,), and indices of labels (n,) or
    None. The index ``n_labels`` means that there is no label. If ``mixed_precision`` is
    set, the network computes in bfloat16 where this is numerically safe.
    """

    variances: Tensor

    def __init__(
        self, distribution: PrincipalGaussian, network: nn.Module, n_labels: int = 0
    ):
        super().__init__()
        self.distribution, self.network = distribution, network
        self.n_values, self.n_labels = distribution.n_values, n_labels
        self.mixed_precision = False
        self._hold("variances", distribution.variances)

    def _hold(self, name: str, array: np.ndarray) -> None:
        """Register a constant in float32, which moves to the device of the module."""
        constant = as_tensor(array, torch.device("cpu"), torch.float32)
        self.register_buffer(name, constant, persistent=False)

    def gain(self, noise: Tensor) -> Tensor:
        """Return the gain g of the Wiener filter, (n, K), for noise levels (n, 1)."""
        return self.variances / (self.variances + noise**2)

    def error(self, noise: Tensor) -> Tensor:
        """Return the error c of the Wiener filter, (n, 1), for noise levels (n, 1)."""
        return wiener_error(self.variances, self.n_values, noise)

    def estimate(self, noisy: Tensor, noise: Tensor, correction: Tensor) -> Tensor:
        """Return D for noisy coordinates (n, K), noise levels (n, 1) and F (n, K)."""
        return self.gain(noise) * noisy + self.error(noise) * correction

    def correction_to(self, clean: Tensor, noisy: Tensor, noise: Tensor) -> Tensor:
        """Return the F for which D equals ``clean``: the inverse of `estimate`."""
        return (clean - self.gain(noise) * noisy) / self.error(noise)

    def loss(self, clean: Tensor, noisy: Tensor, noise: Tensor, y: Labels) -> Tensor:
        """Return the mean squared error of D, divided by T c^2.

        Its expectation is 1 for the Wiener estimate of Gaussian codes.
        """
        missed = self(noisy, noise, y) - self.correction_to(clean, noisy, noise)
        return (missed.square().sum(1) / self.n_values).mean()

    def _run_network(self, x: Tensor, noise: Tensor, label: Labels) -> Tensor:
        """Call the network; a label of None becomes the index of "no label"."""
        if label is None and self.n_labels:
            label = torch.full((len(x),), self.n_labels, device=x.device)
        bfloat16 = partial(torch.autocast, x.device.type, torch.bfloat16)
        with bfloat16() if self.mixed_precision else nullcontext():
            out: Tensor = self.network(x, noise[:, 0].log() / 4, label)
        return out.to(x.dtype)


class CodeDenoiser(Denoiser):
    """Denoiser whose network sees the noisy coordinates, scaled to variance 1."""

    def forward(self, noisy: Tensor, noise: Tensor, label: Labels = None) -> Tensor:
        """Return F for noisy coordinates (n, K), noise levels (n, 1), labels (n,)."""
        white = noisy / (self.variances + noise**2).sqrt()
        # The output of the network is in units of the error of each coordinate.
        error = noise * self.gain(noise).sqrt()
        return self._run_network(white, noise, label) * error / self.error(noise)


class SignalDenoiser(Denoiser):
    """Denoiser whose network sees the signals of the noisy coordinates.

    The network also sees the signals of the Wiener estimate. For signals with C
    channels it maps (n, 2 C, *sides) to a correction (n, C, *sides), which is projected
    on the span of the atoms. ``axes``, (K, T), holds the signals of the principal axes.
    """

    axes: Tensor

    def __init__(
        self,
        distribution: PrincipalGaussian,
        grid: Grid,
        axes: np.ndarray,
        *network: Any,
    ):
        super().__init__(distribution, *network)
        self.sides, self.n_channels = grid.sizes, grid.channels
        self._hold("axes", axes)

    def forward(self, noisy: Tensor, noise: Tensor, label: Labels = None) -> Tensor:
        """Return F for noisy coordinates (n, K), noise levels (n, 1), labels (n,)."""
        inputs = self.inputs(noisy, noise)
        x = torch.cat([self.signals(z) for z in inputs], dim=1)
        return self.coordinates(self._run_network(x, noise, label))

    def inputs(self, noisy: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coordinates of both input signals, with values of at most about 1.

        The first input is the noisy coordinates, and the second the Wiener estimate.
        """
        energy = 1 + noise**2 * (noisy.shape[1] / self.n_values)
        return noisy / energy.sqrt(), self.gain(noise) * noisy

    def signals(self, z: Tensor) -> Tensor:
        """Return the centred signals (n, C, *sides) of coordinates (n, K)."""
        signals = (z @ self.axes).reshape(-1, *self.sides, self.n_channels)
        return signals.movedim(-1, 1)

    def coordinates(self, signals: Tensor) -> Tensor:
        """Return the coordinates (n, K) of signals, projected on the atoms' span."""
        return signals.movedim(1, -1).reshape(len(signals), -1) @ self.axes.T


def wiener_error(variances: Array, n_values: int, noise: Array) -> Array:
    """Return c of a `Denoiser`, shape (n, 1), for noise levels (n, 1)."""
    energy = (noise**2 * (variances / (variances + noise**2))).sum(-1)[:, None]
    return (energy / n_values) ** 0.5
