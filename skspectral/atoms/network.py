"""Waves whose amplitude and phase are computed by a small neural network.

This is the published form of the atoms (Kiruluta 2025).
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_array, as_tensor
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

_CPU = torch.device("cpu")
_QUANTITIES = ("amplitude", "phase", "frequency")
# Half-width of the uniform distribution of the input layer's initial weights, in units
# of 1 / sqrt(n_in). It is wide enough for functions that turn once over the signal.
_INPUT_SCALE = 3.0


class MLPModulation(Modulation):
    """Modulation of amplitude and phase by a small neural network: the published form.

    One multilayer perceptron serves all atoms. It maps the coordinates of a sample (t
    for signals; row, column and channel for images) to one output per modulated
    quantity of each atom: ``A_i = softplus(A0_i + dA_i)``, ``phi_i = phi0_i + dphi_i``
    and, if the frequency is modulated, ``f_i = softplus(f0_i + df_i)``. The hidden
    layers are tanh layers. The last layer starts at zero, so that learning begins with
    plain waves.

    Parameters
    ----------
    width : int, default=32
        Number of units of each hidden layer. More units can describe faster changes,
        and need more samples and time.
    depth : int, default=2
        Number of hidden layers.
    modulated : tuple of str, default=("amplitude", "phase")
        The quantities that the network modulates: any of "amplitude", "phase" and
        "frequency". "frequency" requires sinusoids (atoms="sinusoid"). It is part of
        the published form, but together with "phase" it only makes learning harder:
        2 pi t df(t) and dphi(t) add up to one function.

    See Also
    --------
    BasisModulation : Faster modulation by fixed functions, without random weights.

    Notes
    -----
    The last hidden layer is a learned set of ``width`` functions in place of the fixed
    functions of `BasisModulation`. With many samples the reconstruction comes a little
    closer to that of PCA. Learning takes longer, and its result depends on the random
    initial weights.

    References
    ----------
    Equations (3) to (5) of Kiruluta (2025).

    Examples
    --------
    >>> from skspectral import MLPModulation
    >>> inputs = MLPModulation(width=16).inputs((4, 4, 3))
    >>> inputs.shape  # Row, column and 3 channels, at 48 features.
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

    def inputs(
        self,
        signal_shape: tuple[int, ...],
        channel_axis: int | str | None = "auto",
    ) -> np.ndarray:
        """Return the inputs of the network at the samples of a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            Shape of the signals, as the estimator takes it.
        channel_axis : int, "auto" or None, default="auto"
            Axis of the channels, as the estimator takes it.

        Returns
        -------
        inputs : ndarray of shape (n_inputs, T)
            Coordinate along each axis, from -1 to 1, and one indicator per channel if
            there are several channels.
        """
        size = math.prod(signal_shape)
        grid = Grid.of(signal_shape, size, channel_axis=channel_axis)
        places = np.indices(grid.sizes).reshape(grid.n_axes, -1)
        middle = np.array(grid.sizes)[:, None]
        inputs = grid.spread(2 * (places + 0.5) / middle - 1)
        if grid.channels == 1:
            return np.array(inputs)
        indicator = as_array(grid.channel_indicator(_CPU))
        return np.concatenate([inputs, indicator])

    def first_layers(
        self, n_inputs: int, rng: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return random initial weights and biases of the hidden layers.

        Parameters
        ----------
        n_inputs : int
            Number of inputs of the network.
        rng : numpy.random.Generator
            Source of the random weights.

        Returns
        -------
        layers : list of tuple
            Pair of weights, of shape (n_out, n_in), and biases, of shape (n_out,), per
            hidden layer.

        Raises
        ------
        ValueError
            If ``width`` or ``depth`` is not a positive integer.
        ValueError
            If ``modulated`` is not a tuple, list or set of at least one allowed name.
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
        """Raise a ValueError if a parameter has an invalid value."""
        for name in ("width", "depth"):
            check_integer("MLPModulation", name, getattr(self, name), 1)
        modulated = self.modulated
        if (
            not isinstance(modulated, (tuple, list, set))
            or not modulated
            or not all(name in _QUANTITIES for name in modulated)
        ):
            raise ValueError(
                f"MLPModulation(modulated={modulated!r}): modulated must hold at least "
                f"one of {', '.join(map(repr, _QUANTITIES))}, in a tuple."
            )

    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family whose atoms are the waves of ``carrier``, modulated.

        Parameters
        ----------
        carrier : AtomFamily
            Family of plain waves.
        grid : Grid
            Axes, channels and sampling rate of the signals.
        rng : numpy.random.Generator
            Source of the random initial weights of the hidden layers.

        Returns
        -------
        family : AtomFamily
            Family of the modulated waves.

        Raises
        ------
        ValueError
            If a parameter has an invalid value.
        ValueError
            If "frequency" is modulated and the waves run along more than one axis.
        """
        on = carrier.runs_on(grid)
        hidden = self.first_layers(len(_inputs(self, grid, on, _CPU)), rng)
        if "frequency" in self.modulated and on.n_axes > 1:
            raise ValueError(
                f"MLPModulation(modulated={self.modulated!r}): the frequency of "
                f"atoms={carrier!r} cannot be modulated, because it is a wave vector "
                'along several axes. Use modulated=("amplitude", "phase").'
            )
        flat = np.concatenate([part.ravel() for layer in hidden for part in layer])
        return NetworkWaves(carrier, self, flat)


class NetworkWaves(WaveFamily):
    """Waves whose modulation is computed by a multilayer perceptron.

    As in equations (3) to (5) of Kiruluta (2025), the amplitude, the phase and, if
    modulated, the frequency of atom i are::

        A_i(t) = softplus(a0_i + dA_i(t))
        phi_i(t) = phi0_i + dphi_i(t)
        f_i(t) = softplus(f0_i + df_i(t))

    One network of tanh layers serves all atoms. Its linear output layer has one output
    per modulated quantity of each atom. The weights of this layer start at zero, so
    that the first atoms are plain waves; its biases are the constants f0, phi0 and a0.

    The parameters are one vector: the hidden layers, then one row per atom with f0,
    phi0, a0, the output weights, and the colour.

    Parameters
    ----------
    carrier : AtomFamily
        Family of plain waves. It determines along which axes the waves run.
    modulation : MLPModulation
        Provides the sizes of the network and the modulated quantities.
    first_hidden : ndarray
        Initial weights and biases of the hidden layers, concatenated.
    """

    separable = False
    is_modulated = True

    def __init__(
        self, carrier: AtomFamily, modulation: MLPModulation, first_hidden: np.ndarray
    ):
        self.carrier = carrier
        self.modulation = modulation
        self.first_hidden = first_hidden

    @property
    def complex_patterns(self) -> bool:  # type: ignore[override]
        """Whether the waves of the carrier have a phase in each channel."""
        return getattr(self.carrier, "complex_patterns", False)

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the carrier runs."""
        return self.carrier.runs_on(grid)

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key, see `AtomFamily.form`, without the initial weights."""
        network = self.modulation
        shape = network.width, network.depth, tuple(self._modulated)
        return (type(self), shape, self.carrier.form(grid))

    @property
    def _modulated(self) -> list[str]:
        """Names of the modulated quantities, in a fixed order."""
        return [name for name in _QUANTITIES if name in self.modulation.modulated]

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return rows of parameters of atoms without modulation."""
        frequency = waves.frequency
        if "frequency" in self._modulated:
            # The parameter is the inverse softplus of the frequency.
            small = frequency.clamp(1e-6, 20)
            frequency = torch.where(frequency > 20, frequency, small.expm1().log())
        n_outputs = self.modulation.width * len(self._modulated)
        return torch.cat(
            [
                frequency,
                angle_at_centre(waves)[:, None],
                torch.full_like(waves.phase, SOFTPLUS_INVERSE_OF_ONE)[:, None],
                waves.phase.new_zeros(len(waves.phase), n_outputs),
                own_colour(waves, self.complex_patterns),
            ],
            dim=1,
        )

    def start(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return the initial hidden layers and rows of atoms without modulation."""
        hidden = as_tensor(self.first_hidden, waves.phase.device, torch.float64)
        return self.with_rows(hidden, self.new_atoms(waves, grid), grid)

    def rows(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the parameters that belong to single atoms, shape (K, p)."""
        on = self.runs_on(grid)
        n_columns = on.n_axes + 2 + self.modulation.width * len(self._modulated)
        if on.channels > 1:
            n_columns += on.channels * (2 if self.complex_patterns else 1)
        return params[len(self.first_hidden) :].reshape(-1, n_columns)

    def with_rows(
        self, params: torch.Tensor, rows: torch.Tensor, grid: Grid
    ) -> torch.Tensor:
        """Return the hidden layers of ``params``, combined with other rows."""
        return torch.cat([params[: len(self.first_hidden)], rows.reshape(-1)])

    def functions(self, params: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Return the last hidden layer at all features, shape (width, T)."""
        on, width = self.runs_on(grid), self.modulation.width
        values, start = _inputs(self.modulation, grid, on, params.device), 0
        for _ in range(self.modulation.depth):
            stop = start + width * len(values)
            weights = params[start:stop].reshape(width, len(values))
            start = stop + width
            values = (weights @ values + params[stop:start, None]).tanh()
        return values

    def _modulation_of(
        self, name: str, rows: torch.Tensor, functions: torch.Tensor, n_axes: int
    ) -> torch.Tensor:
        """Return the modulation of one quantity, (K, T), or 0 if it has none."""
        if name not in self._modulated:
            return rows.new_zeros(())
        width = self.modulation.width
        start = n_axes + 2 + self._modulated.index(name) * width
        return rows[:, start : start + width] @ functions

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle and the amplitude A(t), both of shape (K, T)."""
        rows, functions = self.rows(params, grid), self.functions(params, grid)
        on = self.runs_on(grid)
        n, places = on.n_axes, on.coordinates(params.device)
        if "frequency" in self._modulated:
            # The paper's f(t) t, with t from 0 at the first sample. Subtracting half of
            # the constant frequency makes phi0 the phase in the middle of the signal.
            constant = softplus(rows[:, :1])
            change = self._modulation_of("frequency", rows, functions, n)
            turns = softplus(rows[:, :1] + change) * (places + 0.5) - constant / 2
        else:
            turns = rows[:, :n] @ places
        phase = rows[:, n : n + 1] + self._modulation_of("phase", rows, functions, n)
        change = self._modulation_of("amplitude", rows, functions, n)
        raw = (rows[:, n + 1 : n + 2] + change).expand_as(turns)
        return 2 * math.pi * turns + phase, softplus(raw)

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Raise NotImplementedError, because all atoms share the hidden layers."""
        raise NotImplementedError(
            "NetworkWaves has no slopes, because its atoms share the hidden layers. "
            "Differentiate atoms automatically instead."
        )


@lru_cache(maxsize=2)
def _inputs(
    modulation: MLPModulation, grid: Grid, on: Grid, device: torch.device
) -> torch.Tensor:
    """Return the inputs of the network at all features, as a tensor.

    Waves with a pattern have it in place of channel indicators, so that their inputs
    are those of one channel, repeated.
    """
    if on.channels > 1:
        inputs = grid.spread(modulation.inputs(grid.sizes, None))
    else:
        inputs = modulation.inputs(grid.shape, grid.channel_axis)
    return as_tensor(np.ascontiguousarray(inputs), device, torch.float64)
