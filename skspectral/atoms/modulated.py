"""Waves whose amplitude and phase drift along fixed smooth functions."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import abstractmethod
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor
from skspectral.atoms.family import AtomFamily, Modulation
from skspectral.atoms.wave_family import (
    Slopes,
    WaveFamily,
    angle_at_centre,
    own_colour,
)
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))


class BasisModulation(Modulation):
    """Drift of amplitude and phase along fixed smooth functions of the coordinates.

    Atom i is ``A_i(t) sin(2 pi f_i t + phi_i(t))`` with ``A_i = softplus(sum_m a_im
    b_m)`` and ``phi_i = sum_m p_im b_m`` (Kiruluta 2025, equations 2, 3 and 5, with the
    network's last hidden layer replaced by fixed functions b_m). Plane waves have a
    colour and a wave vector in place of the channels and of f. The functions are

    - signals of shape (length,): 1, and cos(2 pi j t), sin(2 pi j t) for j = 1..order;
    - images of shape (height, width): 1, and cos(pi j y), cos(pi j x) for j = 1..order,
      where y and x run over the rows and columns from 0 to 1;
    - images with channels: the same, with one constant for each channel.

    Parameters
    ----------
    order : int or None, default=None
        Highest j. None means 4 for signals and 2 for images. An atom has one frequency
        and two numbers for each function: 19 and, for colour images, 15 by default.
        Fewer terms need fewer samples; more come closer to PCA on aligned data.

    Examples
    --------
    >>> from skspectral import BasisModulation
    >>> basis, constant = BasisModulation(order=1).functions((4, 4))
    >>> basis.shape
    (3, 16)
    """

    def __init__(self, order: int | None = None):
        self.order = order

    def functions(self, signal_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Values of the functions over a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            (length,), (height, width) or (height, width, channels).

        Returns
        -------
        basis : ndarray of shape (M, T)
            One function a row, sampled in C order.
        constant : ndarray of shape (M,)
            Coefficients of the function that is 1 everywhere.

        Raises
        ------
        ValueError
            If ``order`` is not a non-negative integer or None.
        """
        order = self.order
        if order is not None:
            check_integer("BasisModulation", "order", order, 0)
        grid = Grid.of(signal_shape, math.prod(signal_shape))
        if grid.is_image:
            return _image_functions(grid, 2 if order is None else order)
        return _signal_functions(grid.n_features, 4 if order is None else order)

    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family of atoms: the waves of ``carrier``, modulated."""
        return ModulatedWaves(carrier, self)


class BasisWaves(WaveFamily):
    """Waves with amplitude and phase along fixed functions b_m(t).

    A(t) = softplus(sum_m a_m b_m(t)) and angle(t) = 2 pi f t + sum_m p_m b_m(t):
    equations (2), (3) and (5) of Kiruluta (2025). With the constant as the only b_m the
    atoms are plain waves. A row of parameters is f, p_1..p_M, a_1..a_M, colour.
    """

    @abstractmethod
    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the functions (M, T), and the coefficients (M,) of the constant 1."""

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms that do not drift."""
        _, constant = self.basis(grid, waves.phase.device)
        raw = SOFTPLUS_INVERSE_OF_ONE * constant
        return torch.cat(
            [
                waves.frequency,
                angle_at_centre(waves)[:, None] * constant,
                raw.expand(len(waves.phase), -1),
                own_colour(waves),
            ],
            dim=1,
        )

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and A(t), both of shape (K, T)."""
        angle, raw = self._angle_and_raw(params, grid)
        return angle, softplus(raw)

    def _angle_and_raw(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        on, (basis, _) = self.runs_on(grid), self.basis(grid, params.device)
        n, n_terms = on.n_axes, len(basis)
        angle = 2 * math.pi * (params[:, :n] @ on.coordinates(params.device))
        angle = angle + params[:, n : n + n_terms] @ basis
        return angle, params[:, n + n_terms : n + 2 * n_terms] @ basis

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of angle and amplitude by their parameters."""
        basis = self.basis(grid, params.device)[0].to(dtype)
        turns = 2 * math.pi * self.runs_on(grid).coordinates(params.device).to(dtype)
        raw = self._angle_and_raw(params, grid)[1]
        return Slopes(torch.cat([turns, basis]), raw.sigmoid(), basis)


class ModulatedWaves(BasisWaves):
    """The waves of a carrier, with amplitude and phase that drift.

    Parameters
    ----------
    carrier : AtomFamily
        Says along which axes the waves run.
    modulation : BasisModulation
        Says along which functions they drift.
    """

    drifts = True

    def __init__(self, carrier: AtomFamily, modulation: BasisModulation):
        self.carrier = carrier
        self.modulation = modulation

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the carrier runs."""
        return self.carrier.runs_on(grid)

    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the functions (M, T), and the coefficients (M,) of the constant 1."""
        return _basis(self.modulation, grid, self.runs_on(grid).channels, device)

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key that tells the functions, not the parameter they come from."""
        n_functions = len(self.basis(grid, torch.device("cpu"))[0])
        return (type(self), type(self.modulation), n_functions, self.carrier.form(grid))


@lru_cache(maxsize=2)
def _basis(
    modulation: BasisModulation, grid: Grid, channels: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Functions over a row; waves with a colour need none of the channel."""
    shape = grid.sizes if channels > 1 else grid.shape
    basis, constant = modulation.functions(shape)
    if channels > 1:
        basis = np.repeat(basis, channels, axis=1)
    return (
        as_tensor(basis, device, torch.float64),
        as_tensor(constant, device, torch.float64),
    )


def check_integer(owner: str, name: str, value: Any, least: int) -> None:
    """Raise a ValueError unless a parameter is an integer from ``least`` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        kind = "non-negative" if least == 0 else "positive"
        raise ValueError(f"{owner}({name}={value!r}): {name} must be a {kind} integer.")


def _signal_functions(length: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(length) / length
    # Beyond the Nyquist harmonic the functions repeat themselves.
    angles = [2 * math.pi * j * t for j in range(1, min(order, (length - 1) // 2) + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    basis = np.stack([np.ones(length), *waves])
    return basis, np.eye(len(basis))[0]


def _image_functions(grid: Grid, order: int) -> tuple[np.ndarray, np.ndarray]:
    (height, width), channels = grid.sizes, grid.channels
    row, column, channel = np.indices((height, width, channels)).reshape(3, -1)
    constants = [(channel == c).astype(float) for c in range(channels)]
    drifts = [
        np.cos(math.pi * j * (index + 0.5) / size)
        for index, size in ((row, height), (column, width))
        for j in range(1, min(order, size - 1) + 1)
    ]
    basis = np.stack([*constants, *drifts])
    return basis, (np.arange(len(basis)) < channels).astype(float)
