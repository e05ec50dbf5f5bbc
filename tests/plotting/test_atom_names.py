"""Names of atoms are wavelengths and directions that are there to be seen."""

import numpy as np
import pytest

from skspectral import SpectralDictionaryLearning
from skspectral.atom_names import atom_names


def images_of_a_wave(wavelength, degrees, side=24):
    """Images of one plane wave with random phases."""
    rows, columns = np.mgrid[:side, :side]
    angle = np.radians(degrees)
    place = np.cos(angle) * columns + np.sin(angle) * rows
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (60, 1, 1))
    return np.sin(2 * np.pi * place / wavelength + phases).reshape(60, -1)


@pytest.mark.parametrize("sampling_rate", [None, 24.0])
@pytest.mark.parametrize(
    ("wavelength", "degrees"), [(8.0, 45), (6.0, 0), (5.0, 90), (10.0, 120)]
)
def test_plane_waves(wavelength, degrees, sampling_rate):
    X = images_of_a_wave(wavelength, degrees)
    est = SpectralDictionaryLearning(
        2,
        signal_shape=(24, 24),
        modulation=None,
        sampling_rate=sampling_rate,
        random_state=0,
    ).fit(X)
    length = f"{wavelength:.1f} px"
    if sampling_rate is not None:
        length = f"{wavelength / sampling_rate:.2f}"
    assert atom_names(est) == [f"{length}, {degrees}°"] * 2


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
def test_constant_atoms(shape):
    levels = np.random.default_rng(0).normal(size=(50, 1))
    X = np.repeat(levels, np.prod(shape), axis=1)
    est = SpectralDictionaryLearning(1, signal_shape=shape, random_state=0).fit(X)
    assert atom_names(est) == ["constant"]


def test_gradients_and_trends():
    slopes = np.random.default_rng(0).normal(size=(50, 1))
    down = np.repeat(np.linspace(-1, 1, 12), 12)
    est = SpectralDictionaryLearning(
        1, signal_shape=(12, 12), modulation=None, init=[[0.1, 0.0]], random_state=0
    )
    assert atom_names(est.fit(slopes * down)) == ["gradient, 90°"]
    est = SpectralDictionaryLearning(1, modulation=None, init=[0.1], random_state=0)
    assert atom_names(est.fit(slopes * np.linspace(-1, 1, 64))) == ["trend"]


@pytest.mark.parametrize(
    ("rate", "name"), [(None, "7.0 cycles/signal"), (200, "14.0 Hz")]
)
def test_sinusoids(rate, name):
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (60, 1))
    X = np.sin(2 * np.pi * 7 * np.arange(100) / 100 + phases)
    est = SpectralDictionaryLearning(
        2, modulation=None, sampling_rate=rate, random_state=0
    )
    assert atom_names(est.fit(X)) == [name] * 2
