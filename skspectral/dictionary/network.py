"""Drift by a small network of the coordinates: the published form of the atoms."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor
from skspectral.dictionary.atoms import (
    SOFTPLUS_INVERSE_OF_ONE,
    DriftingWaves,
    fingerprint,
)
from skspectral.dictionary.axes import WaveAxes
from skspectral.dictionary.waves import Waves


class NetworkWaves(DriftingWaves):
    """Waves that drift as a multilayer perceptron of the coordinates says.

    a_i = a0_i + (Delta A)_i(t),  phi_i = phi0_i + (Delta phi)_i(t) and, on request,
    f_i = softplus(f0_i + (Delta f)_i(t)): equations (3) to (5) of Kiruluta (2025).
    One network serves all atoms: tanh layers and a linear one with an output for each
    modulated quantity of each atom, which starts at zero, so that the first atoms are
    plain waves. Its bias is the constant of (3) to (5).

    The parameters are one vector: the hidden layers, then a row for each atom, f, phi0,
    a0, the weights of its outputs, g.

    Parameters
    ----------
    axes : WaveAxes
    inputs : ndarray of shape (I, T)
        Coordinates of the samples, within [-1, 1].
    hidden : sequence of (ndarray, ndarray)
        First weights (n_out, n_in) and biases (n_out,) of the hidden layers.
    modulated : sequence of {"amplitude", "phase", "frequency"}
    device : torch.device
    """

    separable = False

    def __init__(
        self,
        axes: WaveAxes,
        inputs: np.ndarray,
        hidden: Sequence[tuple[np.ndarray, np.ndarray]],
        modulated: Sequence[str],
        device: torch.device,
    ):
        super().__init__(axes, device)
        self._inputs = as_tensor(inputs, device, torch.float64)
        self._layers = [weights.shape for weights, _ in hidden]
        flat = [part.ravel() for layer in hidden for part in layer]
        self._first_hidden = as_tensor(np.concatenate(flat), device, torch.float64)
        self._width = self._layers[-1][0]
        self._modulated = [
            name for name in ("amplitude", "phase", "frequency") if name in modulated
        ]
        self.form = (
            f"network {axes} {fingerprint(inputs)} {self._layers} {self._modulated}"
        )

    def new_rows(self, waves: Waves) -> torch.Tensor:
        """Return parameters of undrifting atoms, one row each."""
        frequency = waves.frequency
        if "frequency" in self._modulated:
            # Its softplus is the frequency.
            small = frequency.clamp(1e-6, 20)
            frequency = torch.where(frequency > 20, frequency, small.expm1().log())
        n_outputs = self._width * len(self._modulated)
        return torch.cat(
            [
                frequency,
                self._phase_at_centre(waves)[:, None],
                torch.full_like(waves.phase, SOFTPLUS_INVERSE_OF_ONE)[:, None],
                waves.phase.new_zeros(len(waves.phase), n_outputs),
                self._own_colour(waves),
            ],
            dim=1,
        )

    def start(self, waves: Waves) -> torch.Tensor:
        """Return parameters of undrifting atoms, with the first hidden layers."""
        return self.with_rows(self._first_hidden, self.new_rows(waves))

    def rows(self, params: torch.Tensor) -> torch.Tensor:
        """Return the parameters that belong to one atom each, shape (K, p)."""
        n_columns = self.n_axes + 2 + self._width * len(self._modulated)
        n_columns += self.axes.channels if self.axes.channels > 1 else 0
        return params[len(self._first_hidden) :].reshape(-1, n_columns)

    def with_rows(self, params: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return ``params`` with other atoms."""
        return torch.cat([params[: len(self._first_hidden)], rows.reshape(-1)])

    def functions(self, params: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer at each sample, shape (width, T)."""
        values, start = self._inputs, 0
        for n_out, n_in in self._layers:
            stop = start + n_out * n_in
            weights = params[start:stop].reshape(n_out, n_in)
            start = stop + n_out
            values = (weights @ values + params[stop:start, None]).tanh()
        return values

    def _drift(
        self, name: str, rows: torch.Tensor, functions: torch.Tensor
    ) -> torch.Tensor:
        """Return what the network adds to a quantity: (K, T), or zero."""
        if name not in self._modulated:
            return rows.new_zeros(())
        start = self.n_axes + 2 + self._modulated.index(name) * self._width
        return rows[:, start : start + self._width] @ functions

    def angle_and_amplitude(
        self, params: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and a_i(t): both (K, T)."""
        rows, functions, n = self.rows(params), self.functions(params), self.n_axes
        if "frequency" in self._modulated:
            # f(t) t with t from 0; the constant makes the phase that at the centre.
            constant = softplus(rows[:, :1])
            frequency = softplus(
                rows[:, :1] + self._drift("frequency", rows, functions)
            )
            turns = frequency * (self.coordinates + 0.5) - constant / 2
        else:
            turns = rows[:, :n] @ self.coordinates
        phase = rows[:, n : n + 1] + self._drift("phase", rows, functions)
        raw = rows[:, n + 1 : n + 2] + self._drift("amplitude", rows, functions)
        return 2 * math.pi * turns + phase, raw.expand_as(turns)
