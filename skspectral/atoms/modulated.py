"""Waves whose amplitude and phase are weighted sums of fixed smooth functions."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import abstractmethod
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_array, as_tensor
from skspectral.atoms.family import AtomFamily, Modulation
from skspectral.atoms.wave_family import (
    Slopes,
    WaveFamily,
    angle_at_centre,
    own_colour,
)
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

_CPU = torch.device("cpu")
SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))


class BasisModulation(Modulation):
    """Modulation of amplitude and phase by fixed smooth functions of the coordinates.

    Atom i is ``A_i(t) sin(2 pi f_i t + phi_i(t))``. Its amplitude is
    ``A_i = softplus(sum_m a_im b_m)`` and its phase is ``phi_i = sum_m p_im b_m``, with
    learned weights a_im and p_im. Plane waves have a wave vector instead of the
    frequency f_i, and a colour in addition. The fixed functions b_m are

    - for signals of shape (length,): 1, and cos(2 pi j t), sin(2 pi j t) for j = 1,
      ..., order;
    - for images of shape (height, width): 1, and cos(pi j y), cos(pi j x) for j = 1,
      ..., order, where y and x run over the rows and the columns from 0 to 1;
    - for volumes and videos: the same along three axes;
    - for channels and atoms without a pattern: the functions of one channel, with one
      constant per channel instead of 1.

    Parameters
    ----------
    order : int or None, default=None
        Largest j. Amplitude and phase can vary by up to ``order`` cycles over a signal,
        or half cycles over an image; 0 makes them constant. Functions above the Nyquist
        frequency are left out. Fewer functions need fewer samples; more functions bring
        the reconstruction closer to that of PCA on aligned data. None means 4 for
        signals and 2 for images, volumes and videos.

    See Also
    --------
    MLPModulation : Learns the functions b_m as well, by a small network.

    Notes
    -----
    An atom has one frequency and two weights per function. By default, a sinusoid has
    19 parameters for signals and 15 for colour images.

    References
    ----------
    Equations (2), (3) and (5) of Kiruluta (2025), with fixed functions b_m in place of
    the last hidden layer of the network.

    Examples
    --------
    >>> from skspectral import BasisModulation
    >>> basis, constant = BasisModulation(order=1).functions((4, 4))
    >>> basis.shape  # 3 functions: the constant, one over rows, one over columns.
    (3, 16)
    """

    def __init__(self, order: int | None = None):
        self.order = order

    def functions(
        self,
        signal_shape: tuple[int, ...],
        channel_axis: int | str | None = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of the functions b_m over a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            Shape of the signals, as the estimator takes it.
        channel_axis : int, "auto" or None, default="auto"
            Axis of the channels, as the estimator takes it.

        Returns
        -------
        basis : ndarray of shape (M, T)
            One function per row, sampled at the T features in C order.
        constant : ndarray of shape (M,)
            Weights for which the weighted sum of the functions is 1 everywhere.

        Raises
        ------
        ValueError
            If ``order`` is neither a non-negative integer nor None.
        """
        order = self.order
        if order is not None:
            check_integer("BasisModulation", "order", order, 0)
        size = math.prod(signal_shape)
        grid = Grid.of(signal_shape, size, channel_axis=channel_axis)
        if grid.n_axes > 1:
            waves = _image_functions(grid.sizes, 2 if order is None else order)
        else:
            waves = _signal_functions(grid.n_places, 4 if order is None else order)
        constants = as_array(grid.channel_indicator(_CPU))
        basis = np.concatenate([constants, grid.spread(waves)])
        return basis, (np.arange(len(basis)) < grid.channels).astype(float)

    def apply_to(
        self, carrier: AtomFamily, grid: Grid, rng: np.random.Generator
    ) -> AtomFamily:
        """Return a family whose atoms are the waves of ``carrier``, modulated.

        Parameters
        ----------
        carrier : AtomFamily
            Family of plain waves.
        grid : Grid
            Ignored.
        rng : numpy.random.Generator
            Ignored: all atoms start without modulation.

        Returns
        -------
        family : AtomFamily
            Family of the modulated waves.
        """
        return ModulatedWaves(carrier, self)


class BasisWaves(WaveFamily):
    """Waves whose amplitude and phase are weighted sums of fixed functions b_m(t).

    As in equations (2), (3) and (5) of Kiruluta (2025), amplitude and angle are::

        A(t) = softplus(sum_m a_m b_m(t))
        angle(t) = 2 pi f t + sum_m p_m b_m(t)

    If the constant is the only function, the atoms are plain waves. A row of parameters
    holds the wave vector f, the weights p_1..p_M and a_1..a_M, and the colour.
    """

    @abstractmethod
    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the functions, (M, T), and their weights for the constant 1, (M,)."""

    def new_atoms(self, waves: Waves, grid: Grid) -> torch.Tensor:
        """Return parameters of atoms whose amplitude and phase are constant."""
        _, constant = self.basis(grid, waves.phase.device)
        raw = SOFTPLUS_INVERSE_OF_ONE * constant
        return torch.cat(
            [
                waves.frequency,
                angle_at_centre(waves)[:, None] * constant,
                raw.expand(len(waves.phase), -1),
                own_colour(waves, self.complex_patterns),
            ],
            dim=1,
        )

    def angle_and_amplitude(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle and the amplitude A(t), both of shape (K, T)."""
        angle, raw = self._angle_and_raw(params, grid)
        return angle, softplus(raw)

    def _angle_and_raw(
        self, params: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the angle, and the amplitude before the softplus, both (K, T)."""
        on, (basis, _) = self.runs_on(grid), self.basis(grid, params.device)
        n, n_terms = on.n_axes, len(basis)
        angle = 2 * math.pi * (params[:, :n] @ on.coordinates(params.device))
        angle = angle + params[:, n : n + n_terms] @ basis
        return angle, params[:, n + n_terms : n + 2 * n_terms] @ basis

    def slopes(self, params: torch.Tensor, grid: Grid, dtype: torch.dtype) -> Slopes:
        """Return the derivatives of the angle and of the amplitude."""
        basis = self.basis(grid, params.device)[0].to(dtype)
        turns = 2 * math.pi * self.runs_on(grid).coordinates(params.device).to(dtype)
        raw = self._angle_and_raw(params, grid)[1]
        return Slopes(torch.cat([turns, basis]), raw.sigmoid(), basis)


class ModulatedWaves(BasisWaves):
    """The waves of a carrier, with an amplitude and a phase that vary over the signal.

    Parameters
    ----------
    carrier : AtomFamily
        Family of plain waves. It determines along which axes the waves run.
    modulation : BasisModulation
        Provides the functions whose weighted sums are amplitude and phase.
    """

    is_modulated = True

    def __init__(self, carrier: AtomFamily, modulation: BasisModulation):
        self.carrier = carrier
        self.modulation = modulation

    @property
    def complex_patterns(self) -> bool:  # type: ignore[override]
        """Whether the waves of the carrier have a phase in each channel."""
        return getattr(self.carrier, "complex_patterns", False)

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid along whose axes the carrier runs."""
        return self.carrier.runs_on(grid)

    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the functions, (M, T), and their weights for the constant 1, (M,)."""
        has_pattern = self.runs_on(grid).channels > 1
        return _basis(self.modulation, grid.without_units(), has_pattern, device)

    def form(self, grid: Grid) -> tuple[Any, ...]:
        """Return a key, see `AtomFamily.form`.

        It contains the number of functions instead of ``order``, because orders above
        the Nyquist frequency give equal functions.
        """
        n_functions = len(self.basis(grid, _CPU)[0])
        return (type(self), type(self.modulation), n_functions, self.carrier.form(grid))


@lru_cache(maxsize=2)
def _basis(
    modulation: BasisModulation, grid: Grid, has_pattern: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the functions at all features, as tensors.

    Waves with a pattern have it in place of one constant per channel, so that their
    functions are those of one channel, repeated.
    """
    if has_pattern:
        basis, constant = modulation.functions(grid.sizes, None)
        basis = grid.spread(basis)
    else:
        basis, constant = modulation.functions(grid.shape, grid.channel_axis)
    return (
        as_tensor(np.ascontiguousarray(basis), device, torch.float64),
        as_tensor(constant, device, torch.float64),
    )


def check_integer(owner: str, name: str, value: Any, least: int) -> None:
    """Raise a ValueError unless a parameter is an integer of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        kind = "non-negative" if least == 0 else "positive"
        raise ValueError(f"{owner}({name}={value!r}): {name} must be a {kind} integer.")


def _signal_functions(length: int, order: int) -> np.ndarray:
    """Return the functions of a signal except the constant, (2 order, length)."""
    t = np.arange(length) / length
    # Above the Nyquist frequency the sampled functions would repeat.
    angles = [2 * math.pi * j * t for j in range(1, min(order, (length - 1) // 2) + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.array(waves).reshape(-1, length)


def _image_functions(sizes: tuple[int, ...], order: int) -> np.ndarray:
    """Return the functions of several axes except the constant, (n, n_places)."""
    places = np.indices(sizes).reshape(len(sizes), -1)
    waves = [
        np.cos(math.pi * j * (place + 0.5) / size)
        for place, size in zip(places, sizes, strict=True)
        for j in range(1, min(order, size - 1) + 1)
    ]
    return np.array(waves).reshape(-1, places.shape[1])
