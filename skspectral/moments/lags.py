"""Lag products: sums of a second moment over all pairs of positions with the same lag.

An array of lags has the shape (channels, channels, 2 n_1 - 1, ..., 2 n_D - 1) for axes
of n_1, ..., n_D samples. Its entry [c, d, n_1 - 1 + l_1, ..., n_D - 1 + l_D] belongs to
channel c at one position and channel d at the position that lies l_1, ..., l_D samples
further.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Iterator

import torch

from skspectral.grid import Grid

# Largest number of bytes of the spectra of a chunk of rows.
_CHUNK_BYTES = 2**26


def lags_of_blocks(
    blocks: Iterable[tuple[int, torch.Tensor]], grid: Grid, device: torch.device
) -> torch.Tensor:
    """Return the lag products of a matrix from blocks of its rows.

    Each block is a pair: the index of its first row, and consecutive rows. Costs T^2
    additions.
    """
    sides = [2 * n - 1 for n in grid.sizes]
    shape = (grid.channels, grid.channels, *sides)
    lags = torch.zeros(shape, dtype=torch.float64, device=device)
    for start, rows in blocks:
        for index, products in enumerate(grid.signals(rows), start):
            place, channel = grid.place_and_channel(index)
            lags[channel][lags_from(place, grid)] += products
    return symmetric_lags(lags)


def lags_from(place: tuple[int, ...], grid: Grid) -> tuple[slice, ...]:
    """Return where the lags of one channel hold those from a position to all others."""
    pairs = zip(place, grid.sizes, strict=True)
    return (slice(None), *(slice(n - 1 - i, 2 * n - 1 - i) for i, n in pairs))


def symmetric_lags(lags: torch.Tensor) -> torch.Tensor:
    """Return lag products averaged with those of the transposed matrix."""
    return (lags + lags.flip(*range(2, lags.ndim)).transpose(0, 1)) / 2


def row_chunks(rows: torch.Tensor, grid: Grid) -> Iterator[torch.Tensor]:
    """Iterate over rows, (n, T), in float64 chunks whose spectra fit into memory."""
    # A zero-padded complex spectrum takes about 2^D times the memory of a row.
    n_bytes = 16 * 2**grid.n_axes * grid.n_features
    n_rows = max(1, _CHUNK_BYTES // n_bytes)
    for start in range(0, len(rows), n_rows):
        yield rows[start : start + n_rows].double()


def power_of_rows(rows: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the cross-spectra of the channels, summed over zero-padded rows (n, T).

    The result has the shape (channels, channels, F), complex128, where F counts the
    frequencies of ``Grid.spectra``. Costs O(n T log T).
    """
    n_frequencies = len(grid.frequencies(rows[:0].double()))
    shape = (grid.channels, grid.channels, n_frequencies)
    power = torch.zeros(shape, dtype=torch.complex128, device=rows.device)
    for chunk in row_chunks(rows, grid):
        power += cross_power(grid.spectra(chunk))
    return power


def cross_power(spectra: torch.Tensor) -> torch.Tensor:
    """Return the sums over rows of conj(q_c) q_d, for the channels c and d.

    ``spectra`` has the shape (n, channels, F), and the result (channels, channels, F).
    """
    q = spectra.movedim(1, 0)
    power = q.new_empty(len(q), len(q), q.shape[-1])
    # Channel by channel: this is faster than an einsum, which computes a small product
    # for each frequency.
    for c in range(len(q)):
        for d in range(c, len(q)):
            power[c, d] = (q[c].conj() * q[d]).sum(0)
            power[d, c] = power[c, d].conj()
    return power


def lags_of_power(power: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the lag products of the rows whose power is given, see `power_of_rows`.

    This is the theorem of Wiener and Khinchin for finite, zero-padded signals.
    """
    padded = [2 * n for n in grid.sizes]
    shape = (*power.shape[:2], *padded[:-1], grid.sizes[-1] + 1)
    axes = tuple(range(2, 2 + grid.n_axes))
    whole = torch.fft.irfftn(power.reshape(shape), padded, dim=axes)
    # Lag l has the index l modulo twice the size.
    whole = torch.roll(whole, [n - 1 for n in grid.sizes], axes)
    kept = tuple(slice(n - 1) for n in padded)
    return symmetric_lags(whole[(slice(None),) * 2 + kept])


def power_of_lags(lags: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the cross-spectra that belong to lag products; see `power_of_rows`."""
    # Lag zero moves to the index zero, and zeros come between the positive and the
    # negative lags.
    padded = torch.nn.functional.pad(lags, (1, 0) * grid.n_axes)
    axes = tuple(range(2, 2 + grid.n_axes))
    padded = padded.roll([-n for n in grid.sizes], axes)
    return grid.transform(padded).flatten(2)


def sums_of_lags(
    lags: torch.Tensor, grid: Grid, of_sums: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the transform of the sums along the antidiagonals of a Toeplitz matrix.

    The matrix has the entries ``lags``. The sums run over all pairs of positions whose
    coordinates have a given sum; each is multiplied by its entry of ``of_sums``, shape
    (2 n_1 - 1, ..., 2 n_D - 1). The result has the shape of `power_of_rows`.
    """
    sums = lags
    for axis in range(2, lags.ndim):
        sums = _antidiagonal_sums(sums, axis)
    if of_sums is not None:
        sums = sums * of_sums
    return grid.transform(sums).flatten(2)


def _antidiagonal_sums(lags: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the sums of f(j - i) over all 0 <= i, j < n with i + j = u.

    The lags j - i = 1 - n, ..., n - 1 of f lie along one axis; the sums u = 0, ..., 2n
    - 2 replace them. For each u, the lags run from -m to m in steps of two, where m is
    the smaller of u and 2n - 2 - u.
    """
    lags = lags.movedim(axis, -1)
    n = (lags.shape[-1] + 1) // 2
    # Sums over all lags of equal parity up to a lag, with a zero in front for each
    # parity.
    pairs = torch.cat([lags, torch.zeros_like(lags[..., :1])], -1)
    running = pairs.reshape(*pairs.shape[:-1], n, 2).cumsum(-2).flatten(-2)
    running = torch.cat([torch.zeros_like(running[..., :2]), running], -1)
    u = torch.arange(2 * n - 1, device=lags.device)
    m = torch.minimum(u, 2 * n - 2 - u)
    # The lag l has the index l + n - 1, and l + n + 1 in the running sums.
    sums = running[..., m + n + 1] - running[..., n - 1 - m]
    return sums.movedim(-1, axis)
