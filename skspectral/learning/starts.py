"""First waves: greedy, from the spectrum, at random, or given."""
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

    The method is "greedy", "spectrum", "random" with ``rng``, "waves" with the first
    waves, or "params" with parameters of atoms in their final form; atoms that are
    missing are selected greedily. ``frequencies`` (K, D), in cycles along each axis,
    replace the greedy ones; their phases and colours are the best ones.
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
    """Return ``n_atoms`` waves; the chosen waves are deflated from ``selection``."""
    if start.method == "random" and start.rng is not None:
        return random_waves(selection.grid, n_atoms, start.rng).to(selection.device)
    if start.method == "spectrum":
        frequencies = strongest_frequencies(selection, n_atoms)
        return _at(selection, frequencies, on_atom)
    if start.frequencies is not None:
        return _at(selection, start.frequencies, on_atom)
    if start.waves is None:
        return waves_of(selection.select(n_atoms, on_atom))
    waves = start.waves
    for atom in carrier.atoms(carrier.start(waves)):
        selection.deflate(atom[None])
    missing = n_atoms - len(waves.phase)
    if missing == 0:
        return waves
    return waves.joined(waves_of(selection.select(missing, on_atom)))


def _at(
    selection: GreedySelection,
    frequencies: torch.Tensor,
    on_atom: Callable[[], object],
) -> Waves:
    """Waves of given wave vectors, each with the phase and colour that explain most."""
    picks = []
    # Folded first, because an envelope belongs to a frequency with its sign.
    none = torch.zeros_like(frequencies[:, 0])
    folded = Waves.of(frequencies, none).fold(selection.grid.sizes).frequency
    for frequency in folded:
        pick = selection.best_at(frequency)
        # One that repeats others is kept: it is drawn anew in the end.
        selection.take(pick)
        picks.append(pick)
        on_atom()
    return waves_of(picks).fold(selection.grid.sizes)


def strongest_frequencies(selection: GreedySelection, n_atoms: int) -> torch.Tensor:
    """Return the peaks of the mean power spectrum, shape (n_atoms, D).

    The DFT frequencies with the most power, each twice, for its two phases, but for
    those with only one. Neighbours of a strong line, which its leakage fills, come
    before weaker lines: why `GreedySelection` is better.
    """
    grid = selection.frequencies
    sizes = grid.new_tensor(selection.grid.sizes)
    whole = (grid == grid.round()).all(1)
    # At 0 and at the Nyquist frequency f and -f are on the grid, and the same.
    half = (2 * grid) % sizes == 0
    other = ((grid < 0) & ~half).any(1)
    places = (whole & ~(half[:, -1] & other)).nonzero()[:, 0]
    real = half[places].all(1)
    order = selection.power()[places].argsort(descending=True, stable=True)
    copies = torch.where(real, 1, 2)[order]
    frequencies = grid[places[order]].repeat_interleave(copies, dim=0)
    missing = n_atoms - len(frequencies)
    if missing > 0:
        # Several channels: each frequency has more than two waves.
        n_times = -(-n_atoms // len(frequencies))
        frequencies = frequencies.repeat(n_times, 1)
    return frequencies[:n_atoms]


def random_waves(grid: Grid, n_atoms: int, rng: np.random.Generator) -> Waves:
    """Return waves of independent uniform frequencies and phases, and any colours.

    Gradients do not lead from there to the data's frequencies: the squared error has a
    minimum about every cycle. What helps is the renewal of weak atoms, which selects
    greedily.
    """
    frequency = rng.uniform(-0.5, 0.5, (n_atoms, grid.n_axes)) * grid.sizes
    phase = rng.uniform(0, 2 * math.pi, n_atoms)
    colour = rng.standard_normal((n_atoms, grid.channels))
    colour /= np.linalg.norm(colour, axis=1, keepdims=True)
    waves = Waves.of(*map(torch.from_numpy, (frequency, phase, colour)))
    return waves.fold(grid.sizes)
