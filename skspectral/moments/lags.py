"""Lag products: sums of a second moment over all pairs of positions with the same lag.

An array of lags has the shape (channels, 2 height - 1, 2 width - 1, channels). Its
entry [c, height - 1 + dy, width - 1 + dx, d] belongs to channel c at one position and
channel d at the position that lies dy rows and dx columns further. A signal is treated
as an image of height 1.
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

    Each block is a pair: the index of its first row, and rows that contain all channels
    of some positions. Costs T^2 additions.
    """
    height, width, channels = grid.image_shape
    lags = torch.zeros(
        channels,
        2 * height - 1,
        2 * width - 1,
        channels,
        dtype=torch.float64,
        device=device,
    )
    for start, rows in blocks:
        of_places = rows.reshape(-1, channels, height, width, channels)
        for place, products in enumerate(of_places, start // channels):
            y, x = divmod(place, width)
            at_rows = slice(height - 1 - y, 2 * height - 1 - y)
            at_columns = slice(width - 1 - x, 2 * width - 1 - x)
            lags[:, at_rows, at_columns] += products
    return symmetric_lags(lags)


def symmetric_lags(lags: torch.Tensor) -> torch.Tensor:
    """Return lag products averaged with those of the transposed matrix."""
    return (lags + lags.flip(1, 2).transpose(0, 3)) / 2


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
    height, width, channels = grid.image_shape
    padded = [2 * n for n in grid.sizes]
    shape = (*power.shape[:2], *padded[:-1], grid.sizes[-1] + 1)
    axes = tuple(range(2, 2 + grid.n_axes))
    whole = torch.fft.irfftn(power.reshape(shape), padded, dim=axes)
    # Lag l has the index l modulo twice the size.
    whole = torch.roll(whole, [n - 1 for n in grid.sizes], axes)
    whole = whole.reshape(channels, channels, -1, 2 * width)
    whole = whole[:, :, : 2 * height - 1, : 2 * width - 1]
    return symmetric_lags(whole.movedim(1, 3))


def power_of_lags(lags: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the cross-spectra that belong to lag products; see `power_of_rows`."""
    height, width, _ = grid.image_shape
    # Lag zero moves to the index zero, and zeros come between the positive and the
    # negative lags.
    padded = torch.nn.functional.pad(lags.movedim(3, 1), (1, 0, 1, 0))
    padded = padded.roll((-height, -width), (2, 3))
    if grid.n_axes == 1:
        padded = padded[:, :, 0]
    return grid.transform(padded).flatten(2)


def sums_of_lags(
    lags: torch.Tensor, grid: Grid, of_sums: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the transform of the sums along the antidiagonals of a Toeplitz matrix.

    The matrix has the entries ``lags``. The sums run over all pairs of positions whose
    coordinates have a given sum; each is multiplied by its entry of ``of_sums``, shape
    (2 height - 1, 2 width - 1). The result has the shape of `power_of_rows`.
    """
    sums = _antidiagonal_sums(_antidiagonal_sums(lags.movedim(3, 1), 2), 3)
    if of_sums is not None:
        sums = sums * of_sums
    if grid.n_axes == 1:
        sums = sums[:, :, 0]
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
