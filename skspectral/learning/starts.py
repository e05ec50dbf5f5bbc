"""Initial waves: selected greedily, from the power spectrum, at random, or given."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.selection import GreedySelection, waves_of


@dataclass(frozen=True)
class Start:
    """Where learning starts.

    Attributes
    ----------
    method : str
        "greedy", "spectrum", "random", "waves" or "params". "random" requires ``rng``,
        "waves" requires ``waves``, and "params" requires ``params``.
    rng : numpy.random.Generator or None
        Source of random waves.
    frequencies : tensor of shape (K, D) or None
        Wave vectors, in cycles per signal along each axis, in place of the greedily
        selected ones. Their best phases and colours are computed.
    waves : Waves or None
        Initial waves. Missing atoms are selected greedily.
    params : tensor or None
        Initial parameters of atoms in their final form, with modulation. Missing atoms
        are selected greedily.
    """

    method: str = "greedy"
    rng: np.random.Generator | None = None
    frequencies: torch.Tensor | None = None
    waves: Waves | None = None
    params: torch.Tensor | None = None


def first_waves(
    start: Start,
    carrier: AtomModel,
    selection: GreedySelection,
    n_atoms: int,
    on_atom: Callable[[], object],
) -> Waves:
    """Return ``n_atoms`` initial waves.

    Unless the waves are random, they are deflated from ``selection``.
    """
    if start.method == "random" and start.rng is not None:
        return random_waves(selection.grid, n_atoms, start.rng).to(selection.device)
    if start.method == "spectrum":
        frequencies = strongest_frequencies(selection, n_atoms)
        return _waves_at(selection, frequencies, on_atom)
    if start.frequencies is not None:
        return _waves_at(selection, start.frequencies, on_atom)
    if start.waves is None:
        return waves_of(selection.select(n_atoms, on_atom))
    waves = start.waves
    for atom in carrier.atoms(carrier.start(waves)):
        selection.deflate(atom[None])
    missing = n_atoms - len(waves.phase)
    if missing == 0:
        return waves
    return waves.joined(waves_of(selection.select(missing, on_atom)))


def _waves_at(
    selection: GreedySelection,
    frequencies: torch.Tensor,
    on_atom: Callable[[], object],
) -> Waves:
    """Return waves of given wave vectors, with their best phases and colours."""
    picks = []
    # Frequencies are folded before the selection. Folding may change the sign of a
    # frequency, and the best complex envelope depends on this sign.
    none = torch.zeros_like(frequencies[:, 0])
    folded = Waves.of(frequencies, none).fold(selection.grid.sizes).frequency
    for frequency in folded:
        pick = selection.best_at(frequency)
        # A wave that is not linearly independent is kept. Later, `renew` replaces it.
        selection.take(pick)
        picks.append(pick)
        on_atom()
    return waves_of(picks).fold(selection.grid.sizes)


def strongest_frequencies(selection: GreedySelection, n_atoms: int) -> torch.Tensor:
    """Return the strongest frequencies of the mean power spectrum, shape (n_atoms, D).

    These are the frequencies of the discrete Fourier transform with the most power.
    Each one is returned twice, for two phases; frequencies that have only one phase are
    returned once. The neighbours of a strong line, which contain its leakage, precede
    weaker lines. `GreedySelection` avoids this.
    """
    grid = selection.frequencies
    sizes = grid.new_tensor(selection.grid.sizes)
    whole = (grid == grid.round()).all(1)
    # If the last component is 0 or the Nyquist frequency, the grid contains both f and
    # -f, which define the same waves. One of the two is left out.
    half = (2 * grid) % sizes == 0
    other = ((grid < 0) & ~half).any(1)
    places = (whole & ~(half[:, -1] & other)).nonzero()[:, 0]
    real = half[places].all(1)
    order = selection.power()[places].argsort(descending=True, stable=True)
    copies = torch.where(real, 1, 2)[order]
    frequencies = grid[places[order]].repeat_interleave(copies, dim=0)
    missing = n_atoms - len(frequencies)
    if missing > 0:
        # With several channels, each frequency has more than two independent waves.
        n_times = -(-n_atoms // len(frequencies))
        frequencies = frequencies.repeat(n_times, 1)
    return frequencies[:n_atoms]


def random_waves(grid: Grid, n_atoms: int, rng: np.random.Generator) -> Waves:
    """Return waves with independent uniform frequencies and phases, and random colours.

    This is a poor start: the squared error has a minimum about every cycle, so that
    gradients do not lead to the frequencies of the data. The replacement of weak atoms
    by greedily selected waves improves the result.
    """
    frequency = rng.uniform(-0.5, 0.5, (n_atoms, grid.n_axes)) * grid.sizes
    phase = rng.uniform(0, 2 * math.pi, n_atoms)
    colour = rng.standard_normal((n_atoms, grid.channels))
    colour /= np.linalg.norm(colour, axis=1, keepdims=True)
    waves = Waves.of(*map(torch.from_numpy, (frequency, phase, colour)))
    return waves.fold(grid.sizes)
