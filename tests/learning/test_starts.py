import numpy as np
import pytest
import torch

from skspectral.atoms import PlaneWave, Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.selection import GreedySelection
from skspectral.learning.starts import (
    Start,
    first_waves,
    random_waves,
    strongest_frequencies,
)
from skspectral.moments import DenseMoment

CPU = torch.device("cpu")


def second_moment(n_features, seed=0):
    X = np.random.default_rng(seed).normal(size=(50, n_features)).cumsum(axis=1)
    return DenseMoment(torch.tensor(X.T @ X / 50)), X


def first(start, C, n_atoms, axes=None):
    selection = GreedySelection(C, axes)
    plain = AtomModel(
        PlaneWave() if selection.grid.is_image else Sinusoid(), selection.grid
    )
    return first_waves(start, plain, selection, n_atoms, lambda: None)


@pytest.mark.parametrize("n_features", [16, 17])
def test_spectrum_takes_the_peaks_of_the_mean_power(n_features):
    C, X = second_moment(n_features)
    power = (np.abs(np.fft.rfft(X)) ** 2).mean(0)
    strongest = np.argsort(-power)
    expected = []
    for f in strongest:
        expected += [f] * (1 if f == 0 or 2 * f == n_features else 2)
    found = strongest_frequencies(GreedySelection(C), 7)
    np.testing.assert_array_equal(found[:, 0], expected[:7])
    # All n_features waves together form a basis.
    waves = first(Start("spectrum"), C, n_features)
    plain = AtomModel(Sinusoid(), Grid((n_features,)))
    assert np.linalg.cond(plain.atoms(plain.start(waves))) < 10


def test_spectrum_of_images():
    """Each wave vector of whole cycles is used once, although the grid has f and -f."""
    axes = Grid((4, 6), 2)
    C, _ = second_moment(48)
    found = strongest_frequencies(GreedySelection(C, axes), 48)
    waves = Waves.of(found, torch.zeros(48)).fold(axes.sizes)
    _, counts = np.unique(waves.frequency.numpy(), axis=0, return_counts=True)
    # 24 pixels have 10 pairs of frequencies and 4 real ones; two channels double them.
    assert sorted(counts) == [2] * 4 + [4] * 10
    waves = first(Start("spectrum"), C, 20, axes)
    assert waves.colour.shape == (20, 2)


def test_random_waves_are_within_the_nyquist_frequency_and_repeat():
    grid = Grid((5, 8), 3)
    waves = random_waves(grid, 50, np.random.default_rng(0))
    assert float(waves.frequency[:, 0].min()) >= 0
    assert float(waves.frequency[:, 0].max()) <= 2.5
    assert 2 < float(waves.frequency[:, 1].abs().max()) <= 4
    np.testing.assert_allclose((waves.colour**2).sum(1), 1)
    again = random_waves(grid, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(waves.frequency, again.frequency)


def test_given_frequencies_get_the_best_phases():
    C, _ = second_moment(20)
    frequencies = torch.tensor([[1.3], [1.3], [4.7]]).double()
    waves = first(Start(frequencies=frequencies), C, 3)
    np.testing.assert_array_equal(waves.frequency, frequencies)
    t = np.arange(20) / 20

    def gain(phase):
        s = np.sin(2 * np.pi * 1.3 * t + phase)
        return s @ C.dense().numpy() @ s / (s @ s + 0.02 * 10)

    best = max(gain(p) for p in np.linspace(0, np.pi, 500))
    assert gain(float(waves.phase[0])) == pytest.approx(best, rel=1e-4)
    # The second wave of a frequency has another phase.
    assert abs(np.sin(float(waves.phase[1] - waves.phase[0]))) > 0.5


def test_given_frequencies_are_folded():
    C, _ = second_moment(20)
    frequencies = torch.tensor([[-4.0], [16.0]]).double()
    waves = first(Start(frequencies=frequencies), C, 2)
    np.testing.assert_allclose(waves.frequency, [[4.0], [4.0]])


def test_given_waves_are_completed():
    C, _ = second_moment(20)
    greedy = first(Start(), C, 5)
    some = greedy.at(torch.arange(3))
    waves = first(Start("waves", waves=some), C, 5)
    np.testing.assert_allclose(waves.frequency, greedy.frequency)
    turns = (waves.phase - greedy.phase) / np.pi
    np.testing.assert_allclose(turns, turns.round(), atol=1e-9)
