"""Fourier sums of rows at uneven times, and what a wave of one frequency explains.

For a wave v_1 cos(2 pi f t) + v_2 sin(2 pi f t) and a row of N values r, whose own mean
has been removed, let z = (sum r cos, sum r sin), and let G be the 2 x 2 matrix of the
products of cosine and sine over the times, about their means. The wave reduces the sum
of squares of the row by (v'z)^2 / v'Gv. With weights v of its own, a row is reduced by
z'G^-1 z: this is the Lomb-Scargle periodogram with a floating mean.

References
----------
M. Zechmeister, M. Kürster (2009). The generalised Lomb-Scargle periodogram. Astronomy
and Astrophysics 496.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import torch

from skspectral.uneven.rows import TimedRows

# Number of positions of the grid per cycle of the highest frequency. The phase of a
# nearest position is wrong by at most pi / 16.
_PER_CYCLE = 16
# A 2 x 2 matrix is singular below this fraction of its squared trace.
_SINGULAR = 1e-10


@dataclass(frozen=True)
class WaveSums:
    """The sums of some rows at F frequencies.

    Attributes
    ----------
    z : tensor of shape (n, F, 2)
        Sums of the values times cosine and sine.
    gram : tensor of shape (n, F, 2, 2)
        Products of cosine and sine.
    """

    z: torch.Tensor
    gram: torch.Tensor


def _of_transforms(
    values: torch.Tensor,
    ones: torch.Tensor,
    doubled: torch.Tensor,
    counts: torch.Tensor,
    floating_mean: bool,
) -> WaveSums:
    """Return the sums from those of exp(-2 pi i f t), which are complex.

    ``values`` are weighted by the values, ``ones`` not at all, and ``doubled`` belong
    to twice the frequency. All have the shape (n, F), and ``counts`` (n,).
    """
    n = counts[:, None].clamp_min(1)
    cc, ss = (n + doubled.real) / 2, (n - doubled.real) / 2
    cs = -doubled.imag / 2
    cosine, sine = ones.real, -ones.imag
    if floating_mean:
        cc, ss = cc - cosine**2 / n, ss - sine**2 / n
        cs = cs - cosine * sine / n
    gram = torch.stack([cc, cs, cs, ss], -1).reshape(*cc.shape, 2, 2)
    return WaveSums(torch.stack([values.real, -values.imag], -1), gram)


def exact_sums(
    rows: TimedRows, frequencies: torch.Tensor, *, floating_mean: bool
) -> WaveSums:
    """Return the sums at given frequencies; costs n L F evaluations.

    With ``floating_mean``, the values must have been centred.
    """
    angle = 2 * math.pi * frequencies[None, :, None] * rows.times[:, None]
    carrier = torch.polar(rows.observed[:, None].expand_as(angle), -angle)
    ones = carrier.sum(2)
    values = torch.einsum("nfl,nl->nf", carrier, rows.values.to(carrier.dtype))
    doubled = (carrier**2).sum(2)
    return _of_transforms(values, ones, doubled, rows.counts, floating_mean)


def grid_sums(
    rows: TimedRows, step: float, n_frequencies: int, *, floating_mean: bool
) -> WaveSums:
    """Return the sums at 0, step, 2 step, ..., with times at the nearest positions.

    Costs O(M log M) per row for a grid of M = 16 n_frequencies positions.
    """
    size = 2 ** math.ceil(math.log2(_PER_CYCLE * n_frequencies))
    places = (rows.times * (step * size)).round().long() % size
    on_grid = torch.zeros(2, len(rows), size, dtype=torch.float64)
    on_grid[0].scatter_add_(1, places, rows.values)
    on_grid[1].scatter_add_(1, places, rows.observed)
    spectra = torch.fft.rfft(on_grid)
    values, ones = spectra[:, :, :n_frequencies]
    doubled = spectra[1, :, : 2 * n_frequencies : 2]
    return _of_transforms(values, ones, doubled, rows.counts, floating_mean)


def own_reduction(sums: WaveSums) -> torch.Tensor:
    """Return z'G^-1 z, the reduction of each row by its own best wave, (n, F)."""
    g, z = sums.gram, sums.z
    cc, cs, ss = g[..., 0, 0], g[..., 0, 1], g[..., 1, 1]
    determinant, trace = cc * ss - cs**2, cc + ss
    a, b = z[..., 0], z[..., 1]
    regular = determinant > _SINGULAR * trace**2
    both = (ss * a**2 - 2 * cs * a * b + cc * b**2) / torch.where(
        regular, determinant, 1.0
    )
    # If cosine and sine are proportional, one of them is enough.
    one = torch.where(
        cc >= ss, a**2 / cc.clamp_min(1e-300), b**2 / ss.clamp_min(1e-300)
    )
    one = torch.where(trace > 0, one, 0.0)
    return torch.where(regular, both, one)


@dataclass(frozen=True)
class CommonWave:
    """The best wave of each frequency if all rows share its phase.

    Attributes
    ----------
    reduction : tensor of shape (F,)
        About the reduction of the sum of squares of all rows. It is exact for one row.
    phase : tensor of shape (F,)
        Phase of the wave sin(2 pi f t + phase).
    """

    reduction: torch.Tensor
    phase: torch.Tensor


class CommonWaveSearch:
    """Sums over rows from which the best common wave of each frequency follows.

    The matrices G of the rows are replaced by their mean, times the number of values of
    a row.
    """

    def __init__(self, n_frequencies: int):
        self._moment = torch.zeros(n_frequencies, 2, 2, dtype=torch.float64)
        self._gram = torch.zeros_like(self._moment)
        self._weight = 0.0

    def add(self, sums: WaveSums, counts: torch.Tensor) -> None:
        """Add rows with the given numbers of values."""
        z = sums.z / counts[:, None, None].sqrt()
        self._moment += torch.einsum("nfi,nfj->fij", z, z)
        self._gram += sums.gram.sum(0)
        self._weight += float(counts.sum())

    def best(self) -> CommonWave:
        """Return the best wave of each frequency, by a generalised eigenproblem."""
        gram = self._gram / self._weight
        trace = gram.diagonal(dim1=1, dim2=2).sum(1)
        floor = (1e-6 * trace).clamp_min(1e-12)
        gram = gram + floor[:, None, None] * torch.eye(2, dtype=torch.float64)
        factor = torch.linalg.cholesky(gram)
        half = torch.linalg.solve_triangular(factor, self._moment, upper=False)
        white = torch.linalg.solve_triangular(factor, half.mT, upper=False)
        values, vectors = torch.linalg.eigh((white + white.mT) / 2)
        v = torch.linalg.solve_triangular(factor.mT, vectors[:, :, 1:], upper=True)[
            :, :, 0
        ]
        return CommonWave(values[:, 1], torch.atan2(v[:, 0], v[:, 1]))
