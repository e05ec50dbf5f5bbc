"""Waves that drift as a small network of the coordinates says: the published form."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor
from skspectral.atoms.family import AtomFamily, Modulation
from skspectral.atoms.modulated import SOFTPLUS_INVERSE_OF_ONE, check_integer
from skspectral.atoms.wave_family import (
    Slopes,
    WaveFamily,
    angle_at_centre,
    own_colour,
)
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

_QUANTITIES = ("amplitude", "phase", "frequency")
# Half-width of the uniform first weights of the input layer, in units of 1/sqrt(n_in):
# wide enough for a cycle over the signal.
_INPUT_SCALE = 3.0


class MLPModulation(Modulation):
    """Drift as a small network of the coordinates says: the published form.

    One multilayer perceptron, of t for signals of shape (length,) and of row, column
    and channel for images, has an output for each modulated quantity of each atom:
    A_i = softplus(A0_i + dA_i), phi_i = phi0_i + dphi_i and f_i = softplus(f0_i + df_i)
    (Kiruluta 2025, equations 3 to 5). Its hidden layers are tanh; the last layer starts
    at zero, so that learning begins with plain waves. The network is an adaptive basis
    of ``width`` functions where `BasisModulation` has a fixed one: with many samples it
    comes a little closer to PCA, more slowly, and its first weights depend on a seed.

    Parameters
    ----------
    width : int, default=32
        Units of each hidden layer.
    depth : int, default=2
        Number of hidden layers.
    modulated : tuple of str, default=("amplitude", "phase")
        What drifts: any of "amplitude", "phase" and "frequency". 2 pi df(t) t and
        dphi(t) add up to one function, so that "frequency" beside "phase" only makes
        the learning harder; it is there for the published form, and for sinusoids only.

    Examples
    --------
    >>> from skspectral import MLPModulation
    >>> MLPModulation(width=16).inputs((4, 4, 3)).shape
    (5, 48)
    """

    def __init__(
        self,
        width: int = 32,
        depth: int = 2,
        modulated: Sequence[str] = ("amplitude", "phase"),
    ):
        self.width = width
        self.depth = depth
        self.modulated = modulated

    def inputs(self, signal_shape: tuple[int, ...]) -> np.ndarray:
        """Coordinates of the samples of a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            (length,), (height, width) or (height, width, channels).

        Returns
        -------
        inputs : ndarray of shape (n_inputs, T)
            Position along each axis, from -1 to 1, and an indicator of each channel.
        """
        grid = Grid.of(signal_shape, math.prod(signal_shape))
        shape = (*grid.sizes, grid.channels)
        *places, channel = np.indices(shape).reshape(len(shape), -1)
        rows = [
            2 * (place + 0.5) / size - 1
            for place, size in zip(places, grid.sizes, strict=True)
        ]
        if grid.channels > 1:
            rows += [(channel == c).astype(float) for c in range(grid.channels)]
        return np.stack(rows)

    def first_layers(
        self, n_inputs: int, rng: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Random first weights and biases of the hidden layers.

        Parameters
        ----------
        n_inputs : int
        rng : Generator

        Returns
        -------
        layers : list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out,))

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        self._check()
        layers, n_in, scale = [], n_inputs, _INPUT_SCALE
        for _ in range(self.depth):
            bound = scale / math.sqrt(n_in)
            weights = rng.uniform(-bound, bound, (self.width, n_in))
            layers.append((weights, rng.uniform(-bound, bound, self.width)))
            n_in, scale = self.width, 1.0
        return layers

    def _check(self) -> None:
        for name in ("width", "depth"):
            check_integer("MLPModulation", name, getattr(self, name), 1)
        modulated = self.modulated
        if (
            not isinstance(modulated, (tuple, list, set))
            or not modulated
            or not all(name in _QUANTITIES for name in modulated)
        ):
            raise ValueError(
                f"MLPModulation(modulated={modulated!r}): name at least one of "
                f"{', '.join(map(repr, _QUANTITIES))} in a tuple."
            )

    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family of atoms: the waves of ``carrier``, modulated.

        Raises
        ------
        ValueError
            If the frequency of waves along more than one axis is to be modulated.
        """
        on = carrier.runs_on(grid)
        shape = grid.sizes if on.is_image else grid.shape
        hidden = self.first_layers(len(self.inputs(shape)), rng)
        if "frequency" in self.modulated and on.n_axes > 1:
            raise ValueError(
                f"MLPModulation(modulated={self.modulated!r}): a plane wave has a wave "
                "vector; modulate its amplitude and phase."
            )
        flat = np.concatenate([part.ravel() for layer in hidden for part in layer])
        return NetworkWaves(carrier, self, flat)


class NetworkWaves(WaveFamily):
    """Waves that drift as a multilayer perceptron of the coordinates says.

    A_i = softplus(a0_i + (Delta A)_i(t)),  phi_i = phi0_i + (Delta phi)_i(t) and, on
    request, f_i = softplus(f0_i + (Delta f)_i(t)): equations (3) to (5) of Kiruluta
    (2025). One network serves all atoms: tanh layers and a linear one with an output
    for each modulated quantity of each atom, which starts at zero, so that the first
    atoms are plain waves. Its bias is the constant of (3) to (5).

    The parameters are one vector: the hidden layers, then a row for each atom, f, phi0,
    a0, the weights of its outputs, and the colour.

    Parameters
    ----------
    carrier : AtomFamily
        Says along which axes the waves run.
    modulation : MLPModulation
    first_hidden : ndarray
        Weights and biases of the hidden layers to start from, one after the other.
    """

    separable = False
    drifts = True

    def __init__(
        self, carrier: AtomFamily, modulation: MLPModulation, first_hidden: np.ndarray
    ):
        self.carrier = carrier
        self.modulation = modulation
        self.first_hidden = first_hidden

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the carrier runs."""
        return self.carrier.runs_on(grid)

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key that tells the network's shape, not where it started."""
        network = self.modulation
        shape = network.width, network.depth, tuple(self._modulated)
        return (type(self), shape, self.carrier.form(grid))

    @property
    def _modulated(self) -> list[str]:
        return [name for name in _QUANTITIES if name in self.modulation.modulated]

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms that do not drift, one row each."""
        frequency = waves.frequency
        if "frequency" in self._modulated:
            # Its softplus is the frequency.
            small = frequency.clamp(1e-6, 20)
            frequency = torch.where(frequency > 20, frequency, small.expm1().log())
        n_outputs = self.modulation.width * len(self._modulated)
        return torch.cat(
            [
                frequency,
                angle_at_centre(waves)[:, None],
                torch.full_like(waves.phase, SOFTPLUS_INVERSE_OF_ONE)[:, None],
                waves.phase.new_zeros(len(waves.phase), n_outputs),
                own_colour(waves),
            ],
            dim=1,
        )

    def start(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms that do not drift, with the hidden layers."""
        hidden = as_tensor(self.first_hidden, waves.phase.device, torch.float64)
        return self.with_rows(hidden, self.new_atoms(waves, grid), grid)

    def rows(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the parameters that belong to one atom each, shape (K, p)."""
        on = self.runs_on(grid)
        n_columns = on.n_axes + 2 + self.modulation.width * len(self._modulated)
        n_columns += on.channels if on.channels > 1 else 0
        return params[len(self.first_hidden) :].reshape(-1, n_columns)

    def with_rows(
        self, params: torch.Tensor, rows: torch.Tensor, grid: Grid
    ) -> torch.Tensor:
        """Return the hidden layers of ``params`` with the rows of other atoms."""
        return torch.cat([params[: len(self.first_hidden)], rows.reshape(-1)])

    def functions(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the last hidden layer at each sample, shape (width, T)."""
        on, width = self.runs_on(grid), self.modulation.width
        values, start = _inputs(self.modulation, grid, on, params.device), 0
        for _ in range(self.modulation.depth):
            stop = start + width * len(values)
            weights = params[start:stop].reshape(width, len(values))
            start = stop + width
            values = (weights @ values + params[stop:start, None]).tanh()
        return values

    def _drift(
        self, name: str, rows: torch.Tensor, functions: torch.Tensor, n_axes: int
    ) -> torch.Tensor:
        """Return the drift of a quantity, (K, T), or a zero if it is not modulated."""
        if name not in self._modulated:
            return rows.new_zeros(())
        width = self.modulation.width
        start = n_axes + 2 + self._modulated.index(name) * width
        return rows[:, start : start + width] @ functions

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and A(t), both of shape (K, T)."""
        rows, functions = self.rows(params, grid), self.functions(params, grid)
        on = self.runs_on(grid)
        n, places = on.n_axes, on.coordinates(params.device)
        if "frequency" in self._modulated:
            # f(t) t with t from 0; the constant makes the phase that at the centre.
            constant = softplus(rows[:, :1])
            drift = self._drift("frequency", rows, functions, n)
            turns = softplus(rows[:, :1] + drift) * (places + 0.5) - constant / 2
        else:
            turns = rows[:, :n] @ places
        phase = rows[:, n : n + 1] + self._drift("phase", rows, functions, n)
        drift = self._drift("amplitude", rows, functions, n)
        raw = (rows[:, n + 1 : n + 2] + drift).expand_as(turns)
        return 2 * math.pi * turns + phase, softplus(raw)

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Raise: the parameters of the network belong to all atoms."""
        raise NotImplementedError("NetworkWaves has parameters that all atoms share.")


@lru_cache(maxsize=2)
def _inputs(
    modulation: MLPModulation, grid: Grid, on: Grid, device: torch.device
) -> torch.Tensor:
    """Coordinates at each sample; waves with a colour need none of the channel."""
    inputs = modulation.inputs(grid.sizes if on.is_image else grid.shape)
    repeats = on.channels if on.is_image else 1
    return as_tensor(np.repeat(inputs, repeats, axis=1), device, torch.float64)
