"""Sums over activations, on which the atoms depend."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from skspectral.convolutional.activations import Events


@dataclass(frozen=True, eq=False)
class ActivationMoments:
    """Correlations of activations with each other, and with the recordings.

    With fixed activations, the squared error depends on the recordings through these
    sums alone. Sums over several recordings are added.

    Attributes
    ----------
    lags : tensor of shape (K, K, 2 L - 1), float64
        Entry [k, l, L - 1 + m] is the sum over t of z_k[t] z_l[t + m].
    cross : tensor of shape (K, C, L), float64
        Sum of the windows of the recordings that an atom covers, times its activations.
    square_sum : float
        Sum of the squares of the recordings.
    penalty : float
        Sum of the absolute values of the activations.
    n_events : int
        Number of activations that are not zero.
    n_times : int
        Number of samples of the recordings.
    """

    lags: torch.Tensor
    cross: torch.Tensor
    square_sum: float = 0.0
    penalty: float = 0.0
    n_events: int = 0
    n_times: int = 0

    @classmethod
    def of(
        cls, signal: torch.Tensor, events: Events, n_atoms: int, length: int
    ) -> "ActivationMoments":
        """Return the sums over one recording, (C, n_times)."""
        windows = signal.unfold(1, length, 1)[:, events.start]
        weighted = (windows * events.value[:, None]).movedim(1, 0)
        cross = signal.new_zeros(n_atoms, len(signal), length)
        cross.index_add_(0, events.atom, weighted)
        return cls(
            _lags(events, n_atoms, length),
            cross,
            float((signal**2).sum()),
            float(events.value.abs().sum()),
            len(events.value),
            signal.shape[1],
        )

    def plus(self, other: "ActivationMoments") -> "ActivationMoments":
        """Return the sums over the recordings of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return ActivationMoments(*(own + added for own, added in pairs))

    def converted(self, convert: Callable[[Any], Any]) -> "ActivationMoments":
        """Return the sums with each array converted, for example to numpy."""
        return replace(self, lags=convert(self.lags), cross=convert(self.cross))

    def reordered(self, order: torch.Tensor, sign: torch.Tensor) -> "ActivationMoments":
        """Return the sums for atoms in another order, multiplied by signs of +1, -1."""
        both = torch.outer(sign, sign)[..., None]
        lags = self.lags[order][:, order] * both
        return replace(self, lags=lags, cross=self.cross[order] * sign[:, None, None])

    @property
    def code_energy(self) -> torch.Tensor:
        """Mean squares of the activations per sample, shape (K,)."""
        middle = self.lags.shape[2] // 2
        return self.lags[:, :, middle].diagonal() / self.n_times

    def apply(self, rows: torch.Tensor) -> torch.Tensor:
        """Return half of the product of the second derivative of the error and rows.

        Rows and result have the shape (K, C L).
        """
        n_atoms, n_channels, length = self.cross.shape
        size = 4 * length
        spectra = torch.fft.rfft(rows.reshape(n_atoms, n_channels, length), size)
        # Entry m of the lags is moved to the place m of the circular transform.
        lags = torch.fft.rfft(
            torch.roll(
                torch.nn.functional.pad(self.lags, (0, 2 * length + 1)), 1 - length, -1
            ),
            size,
        )
        combined = torch.fft.irfft(torch.einsum("klf,lcf->kcf", lags, spectra), size)
        return combined[..., :length].reshape(n_atoms, -1) / self.n_times

    def squared_error(self, atoms: torch.Tensor) -> float:
        """Return the mean squared error per sample, for atoms of shape (K, C L)."""
        inside = (self.apply(atoms) * atoms).sum()
        inside -= 2 * (self.cross.flatten(1) * atoms).sum() / self.n_times
        return self.square_sum / self.n_times + float(inside)

    def gradient(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the derivative of the mean squared error, shape (K, C L)."""
        return 2 * (self.apply(atoms) - self.cross.flatten(1) / self.n_times)


def _lags(events: Events, n_atoms: int, length: int) -> torch.Tensor:
    """Return the correlations of the activations, from pairs of near events."""
    atom, start, value = events.atom, events.start, events.value
    lags = value.new_zeros(n_atoms * n_atoms * (2 * length - 1))

    def add(one: torch.Tensor, two: torch.Tensor) -> None:
        """Add the products of pairs of events at their distances."""
        apart = length - 1 + start[two] - start[one]
        place = (atom[one] * n_atoms + atom[two]) * (2 * length - 1) + apart
        lags.index_add_(0, place, value[one] * value[two])

    every = torch.arange(len(value), device=lags.device)
    first, second = events.near_pairs(length)
    add(every, every)
    add(first, second)
    add(second, first)
    return lags.view(n_atoms, n_atoms, -1)
