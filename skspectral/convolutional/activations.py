"""Sparse activations of short atoms that stand anywhere on a long recording.

A recording x with C channels is written as the sum over the atoms k and the starts t of
``z_k[t] d_k[. - t]``. The activations z minimise

    1/2 |x - sum_k z_k * d_k|^2 + alpha |z|_1,

for atoms d of unit norm.

References
----------
T. Moreau, L. Oudre, N. Vayatis (2018). DICOD: distributed convolutional coordinate
descent for convolutional sparse coding. International Conference on Machine Learning.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch

from skspectral._device import as_array, as_tensor

# Length of a segment, in lengths of an atom. One activation per segment changes at a
# time, unless a larger change is nearer than the length of an atom.
_SEGMENT = 2
# Number of changes per segment between two linear systems, and their ridge.
_PATIENCE, _RIDGE = 30, 1e-9
# Length of the blocks of the Fourier transforms, in lengths of an atom.
_BLOCK = 8


@dataclass(frozen=True, eq=False)
class Events:
    """Activations of one recording that are not zero, sorted by start and atom.

    Attributes
    ----------
    atom : tensor of shape (n,), int64
        Indices of the atoms.
    start : tensor of shape (n,), int64
        First sample of the recording that the atom covers.
    value : tensor of shape (n,), float64
        The activations.
    """

    atom: torch.Tensor
    start: torch.Tensor
    value: torch.Tensor

    @classmethod
    def of_dense(cls, activations: torch.Tensor) -> "Events":
        """Return the events of activations of shape (K, n_starts)."""
        start, atom = activations.T.nonzero(as_tuple=True)
        return cls(atom, start, activations[atom, start])

    def between(self, first: int, end: int) -> "Events":
        """Return the events that start from sample ``first`` to ``end - 1``.

        Their starts are counted from ``first``.
        """
        limits = as_tensor(np.array([first, end]), self.start.device)
        low, high = (int(place) for place in torch.searchsorted(self.start, limits))
        return Events(
            self.atom[low:high], self.start[low:high] - first, self.value[low:high]
        )

    def near_pairs(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the indices of all pairs of events less than ``length`` apart.

        Each pair occurs once, the earlier event first.
        """
        n_events, first, second = len(self.start), [], []
        for step in range(1, n_events):
            apart = self.start[step:] - self.start[: n_events - step]
            index = (apart < length).nonzero()[:, 0]
            if len(index) == 0:
                break
            first.append(index)
            second.append(index + step)
        none = self.start[:0]
        return torch.cat([none, *first]), torch.cat([none, *second])

    def dense(self, n_atoms: int, n_starts: int) -> torch.Tensor:
        """Return the activations, shape (n_atoms, n_starts)."""
        activations = self.value.new_zeros(n_atoms, n_starts)
        activations[self.atom, self.start] = self.value
        return activations

    def signal(self, atoms: torch.Tensor, n_times: int) -> torch.Tensor:
        """Return the sum of the events of atoms (K, C, L), shape (C, n_times)."""
        n_channels, length = atoms.shape[1:]
        signal = atoms.new_zeros(n_channels, n_times)
        places = self.start[:, None] + torch.arange(length, device=atoms.device)
        for channel, row in enumerate(signal):
            parts = self.value[:, None] * atoms[self.atom, channel]
            row.index_add_(0, places.flatten(), parts.flatten())
        return signal


def correlations(signal: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """Return the inner products of a signal and atoms at all starts.

    Parameters
    ----------
    signal : tensor of shape (C, n_times)
        A recording, at least as long as the atoms.
    atoms : tensor of shape (K, C, L)
        The atoms.

    Returns
    -------
    products : tensor of shape (K, n_times - L + 1)
        Inner products.

    Notes
    -----
    The signal is cut into overlapping blocks, whose Fourier transforms are multiplied
    (overlap-save). Costs O(n_times (C + K) log L + n_times C K).
    """
    n_times, length = signal.shape[1], atoms.shape[2]
    n_starts = n_times - length + 1
    size = 2 ** math.ceil(math.log2(max(2, min(_BLOCK * length, n_times))))
    hop = size - length + 1
    n_blocks = -(-n_starts // hop)
    missing = (n_blocks - 1) * hop + size - n_times
    padded = torch.nn.functional.pad(signal, (0, missing))
    blocks = torch.fft.rfft(padded.unfold(1, size, hop))
    kernel = torch.fft.rfft(atoms, size).conj()
    products = torch.fft.irfft(torch.einsum("cbf,kcf->kbf", blocks, kernel), size)
    return products[:, :, :hop].flatten(1)[:, :n_starts].contiguous()


def cross_correlations(atoms: torch.Tensor) -> torch.Tensor:
    """Return the inner products of shifted atoms, shape (K, K, 2 L - 1).

    Entry [k, l, L - 1 + m] is the product of atom k at the start m and atom l at the
    start 0.
    """
    length = atoms.shape[2]
    spectra = torch.fft.rfft(atoms, 2 * length)
    products = torch.einsum("kcf,lcf->klf", spectra.conj(), spectra)
    lags = torch.fft.irfft(products, 2 * length)
    return torch.roll(lags, length - 1, -1)[..., : 2 * length - 1]


def encode(
    signal: torch.Tensor,
    atoms: torch.Tensor,
    alpha: float,
    *,
    positive: bool = False,
    usable: torch.Tensor | None = None,
    start: Events | None = None,
    tol: float = 1e-3,
    max_iter: int = 100_000,
) -> tuple[Events, bool]:
    """Compute the activations of a recording, or of several that are joined.

    This is locally greedy coordinate descent (Moreau, Oudre and Vayatis 2018), for all
    segments of the recording at once: in each iteration, the activation of each segment
    whose optimal change is the largest changes, unless a larger change of another
    segment is nearer than the length of an atom. Such changes do not influence each
    other. Segments without changes nearby are not searched again.

    Activations of neighbouring starts converge slowly, because their atoms are almost
    equal. From time to time, all activations that are not zero therefore move towards
    the minimum over them, which solves a sparse linear system, until the first of a
    group of overlapping events is zero.

    Parameters
    ----------
    signal : tensor of shape (C, n_times), float64
        The recording.
    atoms : tensor of shape (K, C, L), float64
        Atoms of unit norm.
    alpha : float
        Weight of the absolute values.
    positive : bool, default=False
        Whether the activations must not be negative.
    usable : tensor of shape (n_times - L + 1,), bool, default=None
        Starts at which an atom may stand. None means all. If recordings are joined,
        atoms must not stand where two meet.
    start : Events or None, default=None
        Activations at which to start. None means zeros.
    tol : float, default=1e-3
        The descent ends when no activation would change by more than this multiple of
        ``alpha``.
    max_iter : int, default=100_000
        Largest number of iterations.

    Returns
    -------
    events : Events
        The activations.
    converged : bool
        Whether the descent reached ``tol``.

    Notes
    -----
    An iteration costs O(K L) per segment that is searched, and O(K L) per change.
    """
    n_atoms, _, length = atoms.shape
    n_starts = signal.shape[1] - length + 1
    size = _SEGMENT * length
    n_segments = -(-n_starts // size)
    left = signal
    if start is not None:
        left = signal - start.signal(atoms, signal.shape[1])
    # The products are padded by the length of an atom on both sides, so that changes
    # near the ends need no special case.
    width = n_segments * size
    products = signal.new_zeros(n_atoms, width + 2 * length)
    inner = products[:, length : length + width]
    inner[:, :n_starts] = correlations(left, atoms)
    values = signal.new_zeros(n_atoms, width)
    if start is not None:
        values[start.atom, start.start] = start.value
    lags = cross_correlations(atoms)
    offsets = torch.arange(1 - length, length, device=signal.device)
    flat = products.view(-1)
    rows = torch.arange(n_atoms, device=signal.device)[:, None] * products.shape[1]
    allowed = torch.zeros(width, dtype=torch.bool, device=signal.device)
    allowed[:n_starts] = True if usable is None else usable
    allowed = allowed.view(n_segments, size)

    def subtract(atom: torch.Tensor, start: torch.Tensor, by: torch.Tensor) -> None:
        """Change the products of the residual by those of changed activations."""
        places = rows + (start[:, None, None] + length + offsets)
        removed = by[:, None, None] * lags[:, atom].movedim(1, 0)
        flat.index_add_(0, places.flatten(), -removed.flatten())

    largest = signal.new_zeros(n_segments + 2)
    where = torch.zeros(n_segments + 2, dtype=torch.int64, device=signal.device)
    chosen = torch.zeros(n_segments, dtype=torch.int64, device=signal.device)
    change = signal.new_zeros(n_segments)
    every = search = torch.arange(n_segments, device=signal.device)
    by_segment = inner.unfold(1, size, size), values.view(n_atoms, n_segments, size)
    for iteration in range(1, max_iter + 1):
        if iteration % _PATIENCE == 0:
            events = Events.of_dense(values[:, :n_starts])
            by = _towards_minimum(events, inner, lags, alpha)
            moved_events = events.value + by
            # Rounding must not leave an activation of the wrong sign.
            moved_events[moved_events * events.value <= 0] = 0.0
            by = moved_events - events.value
            values[events.atom, events.start] = moved_events
            subtract(events.atom, events.start, by)
            search = every
        # The change that minimises the objective over one activation.
        present = by_segment[1][:, search]
        wanted = by_segment[0][:, search] + present
        size_of = wanted if positive else wanted.abs()
        best = (size_of - alpha).clamp_min(0) * wanted.sign()
        difference = ((best - present) * allowed[search]).transpose(0, 1).flatten(1)
        place = difference.abs().argmax(1)
        change[search] = difference.gather(1, place[:, None])[:, 0]
        chosen[search] = place
        largest[search + 1] = change[search].abs()
        where[search + 1] = search * size + place % size
        active = (largest[1:-1] > tol * alpha).nonzero()[:, 0]
        if len(active) == 0:
            return Events.of_dense(values[:, :n_starts]), True
        own, own_place = largest[active + 1], where[active + 1]
        nearer_before = own_place - where[active] < length
        nearer_after = where[active + 2] - own_place < length
        wins = ~(nearer_before & (largest[active] >= own))
        wins &= ~(nearer_after & (largest[active + 2] > own))
        moved = active[wins]
        at, atom, by = where[moved + 1], chosen[moved] // size, change[moved]
        values[atom, at] += by
        subtract(atom, at, by)
        near = torch.cat([moved - 1, moved, moved + 1])
        search = torch.unique(near.clamp(0, n_segments - 1))
    return Events.of_dense(values[:, :n_starts]), False


def _towards_minimum(
    events: Events, products: torch.Tensor, lags: torch.Tensor, alpha: float
) -> torch.Tensor:
    """Return changes of the activations towards the minimum over their values.

    The signs stay as they are. The changes of a group of events, each of which overlaps
    the next, have a common factor of at most 1, with which the first of them becomes
    zero. ``products`` are those of the residual and the atoms at all starts.
    """
    length = (lags.shape[2] + 1) // 2
    atom, start, value = events.atom, events.start, events.value
    one, two = events.near_pairs(length)
    apart = start[one] - start[two]
    entries = lags[atom[one], atom[two], length - 1 + apart]
    n_events = len(value)
    index = np.arange(n_events)
    rows = np.concatenate([index, as_array(one), as_array(two)])
    columns = np.concatenate([index, as_array(two), as_array(one)])
    data = np.concatenate([np.full(n_events, 1 + _RIDGE), *2 * [as_array(entries)]])
    matrix = scipy.sparse.csc_array((data, (rows, columns)), (n_events, n_events))
    right = products[atom, start] - alpha * value.sign()
    solved = scipy.sparse.linalg.spsolve(matrix, as_array(right))
    change = as_tensor(np.atleast_1d(solved), value.device)
    crosses = (value + change) * value <= 0
    factor = torch.where(crosses, -value / change, 1.0)
    gaps = torch.nn.functional.pad(start[1:] - start[:-1] >= length, (1, 0))
    group = gaps.long().cumsum(0)
    least = torch.ones_like(value).scatter_reduce(0, group, factor, "amin")
    return least[group] * change
