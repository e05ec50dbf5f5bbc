"""Parameters of drifting waves -> the atoms and their derivatives."""
# SPDX-License-Identifier: BSD-3-Clause

import math
import zlib
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch.nn.functional import softplus

from skspectral._device import as_tensor
from skspectral.dictionary.axes import WaveAxes
from skspectral.dictionary.waves import Waves, nearest_waves

SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))


def fingerprint(array: np.ndarray) -> str:
    """Shape and checksum."""
    return f"{array.shape} {zlib.crc32(np.ascontiguousarray(array).tobytes())}"


class DriftingWaves(ABC):
    """Waves whose amplitude and phase drift over the signal.

    s_i(t) = g_i(t) A_i(t) sin(2 pi f_i . x(t) + phi_i(t)),  A_i(t) = softplus(a_i(t)):
    equations (2), (3) and (5) of Kiruluta (2025), where x is the time of the flattened
    signal and g is 1. For plane waves x is the place in the image, f a wave vector and
    g the colour of the channel. Places are counted from the middle, where frequency
    and phase are almost uncorrelated.

    Subclasses say what parameters make a_i and phi_i. The parameters of K atoms are one
    float64 tensor; those of each atom are a row of ``rows(params)`` that begins with f
    and, for several channels, ends with g.

    Attributes
    ----------
    axes : WaveAxes
    separable : bool
        Whether each parameter belongs to one atom, as the Gauss-Newton system needs.
    form : str
        Equal where the same parameters make the same atoms.
    """

    form: str

    separable = True

    def __init__(self, axes: WaveAxes, device: torch.device):
        self.axes = axes
        self.coordinates = axes.coordinates(device)
        self.channel = axes.channel_indicator(device)

    @property
    def n_axes(self) -> int:
        """Number D of components of a frequency."""
        return len(self.axes.sizes)

    @property
    def drifts(self) -> bool:
        """Whether the atoms are anything but plain waves."""
        return True

    @abstractmethod
    def new_rows(self, waves: Waves) -> torch.Tensor:
        """Return parameters of undrifting atoms, one row each."""

    def jacobian(self, params: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the derivatives of separable atoms by their parameters, (K, p, T)."""
        raise NotImplementedError(f"{type(self).__name__} has common parameters.")

    @abstractmethod
    def angle_and_amplitude(
        self, params: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and a_i(t): both (K, T)."""

    def start(self, waves: Waves) -> torch.Tensor:
        """Return parameters of undrifting atoms."""
        return self.new_rows(waves)

    def rows(self, params: torch.Tensor) -> torch.Tensor:
        """Return the parameters that belong to one atom each, shape (K, p)."""
        return params

    def with_rows(self, params: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return ``params`` with other atoms."""
        return rows

    def _phase_at_centre(self, waves: Waves) -> torch.Tensor:
        return waves.phase + math.pi * waves.frequency.sum(1)

    def _own_colour(self, waves: Waves) -> torch.Tensor:
        """Return the colours as columns of a row: none for one channel."""
        return waves.colour if self.axes.channels > 1 else waves.colour[:, :0]

    def colour(self, params: torch.Tensor) -> torch.Tensor:
        """Return g, shape (K, channels)."""
        rows = self.rows(params)
        if self.axes.channels == 1:
            return torch.ones_like(rows[:, :1])
        return rows[:, -self.axes.channels :]

    def atoms(self, params: torch.Tensor) -> torch.Tensor:
        """Return the atoms, (K, T), float64, not normalised; differentiable."""
        angle, raw = self.angle_and_amplitude(params)
        wave = softplus(raw) * angle.sin()
        if self.axes.channels == 1:
            return wave
        return (self.colour(params) @ self.channel) * wave

    def amplitude(self, params: torch.Tensor) -> torch.Tensor:
        """Return the root mean square of A_i(t) times the norm of g_i, shape (K,)."""
        squared = softplus(self.angle_and_amplitude(params)[1]) ** 2
        norm = torch.linalg.vector_norm(self.colour(params), dim=1)
        return squared.mean(1).sqrt() * norm

    def waves(self, params: torch.Tensor) -> Waves:
        """Return the folded plain wave that each atom is, or is nearest to.

        Of a drifting sinusoid the parameters do not tell: with a phase for each of n
        channels, f and f + T/n are one atom. There it is the sinusoid with the largest
        |cosine|; for plane waves the least-squares plane through the phase, weighted
        with the squared amplitude.
        """
        if self.drifts and self.n_axes == 1:
            return nearest_waves(self.atoms(params))
        angle, raw = self.angle_and_amplitude(params)
        weights = softplus(raw) ** 2
        columns = torch.cat([self.coordinates + 0.5, torch.ones_like(angle[:1])])
        products = (columns[:, None] * columns[None]).flatten(0, 1)
        normal = (weights @ products.T).reshape(-1, len(columns), len(columns))
        right = (weights * angle) @ columns.T
        damping = 1e-12 * normal.diagonal(dim1=1, dim2=2).sum(1)
        normal.diagonal(dim1=1, dim2=2).add_(damping[:, None])
        plane = torch.linalg.solve(normal, right[:, :, None])[:, :, 0]
        colour = self.colour(params)
        colour = colour / torch.linalg.vector_norm(colour, dim=1, keepdim=True)
        found = Waves.of(plane[:, :-1] / (2 * math.pi), plane[:, -1], colour)
        return found.fold(self.axes.sizes)


class BasisWaves(DriftingWaves):
    """Waves that drift along fixed functions b_m(t).

    a_i(t) = sum_m a_im b_m(t),  phi_i(t) = sum_m p_im b_m(t). With the constant as the
    only b_m the atoms are plain waves. A row of parameters is f, p_1..p_M, a_1..a_M, g.

    Parameters
    ----------
    axes : WaveAxes
    basis : ndarray of shape (M, T)
        The functions b_m.
    constant : ndarray of shape (M,)
        Coefficients of the function that is 1 everywhere.
    device : torch.device
    """

    def __init__(
        self,
        axes: WaveAxes,
        basis: np.ndarray,
        constant: np.ndarray,
        device: torch.device,
    ):
        super().__init__(axes, device)
        self.basis = as_tensor(basis, device, torch.float64)
        self.constant = as_tensor(constant, device, torch.float64)
        self.form = f"basis {axes} {fingerprint(basis)}"

    @classmethod
    def plain(cls, axes: WaveAxes, device: torch.device) -> "BasisWaves":
        """Return waves that do not drift."""
        return cls(axes, np.ones((1, axes.n_features)), np.ones(1), device)

    @property
    def drifts(self) -> bool:
        """Whether there are functions but the constant."""
        return len(self.basis) > 1

    def new_rows(self, waves: Waves) -> torch.Tensor:
        """Return parameters of undrifting atoms, one row each."""
        return torch.cat(
            [
                waves.frequency,
                self._phase_at_centre(waves)[:, None] * self.constant,
                (SOFTPLUS_INVERSE_OF_ONE * self.constant).expand(len(waves.phase), -1),
                self._own_colour(waves),
            ],
            dim=1,
        )

    def angle_and_amplitude(
        self, params: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the argument of the sine and a_i(t): both (K, T)."""
        n, n_terms = self.n_axes, len(self.basis)
        angle = 2 * math.pi * (params[:, :n] @ self.coordinates)
        angle = angle + params[:, n : n + n_terms] @ self.basis
        return angle, params[:, n + n_terms : n + 2 * n_terms] @ self.basis

    def jacobian(self, params: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the derivatives of the atoms by their parameters, (K, p, T)."""
        angle, raw = self.angle_and_amplitude(params)
        amplitude, sine, cosine = softplus(raw), angle.sin(), angle.cos()
        own = self.channel if self.axes.channels > 1 else self.channel[:0]
        by_colour = (amplitude * sine).to(dtype)[:, None] * own.to(dtype)
        if self.axes.channels > 1:
            colour = self.colour(params) @ self.channel
            sine, cosine = colour * sine, colour * cosine
        by_phase = (amplitude * cosine).to(dtype)[:, None]
        by_amplitude = (raw.sigmoid() * sine).to(dtype)[:, None]
        basis = self.basis.to(dtype)
        by_frequency = by_phase * (2 * math.pi * self.coordinates.to(dtype))
        parts = [by_frequency, by_phase * basis, by_amplitude * basis, by_colour]
        return torch.cat(parts, dim=1)
