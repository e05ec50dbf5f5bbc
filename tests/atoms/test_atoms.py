import math

import numpy as np
import pytest
import torch

from skspectral.atoms import BasisModulation, PlaneWave, Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.modulated import ModulatedWaves
from skspectral.atoms.waves import Waves, nearest_waves
from skspectral.grid import Grid

SHAPES = [(11,), (4, 5), (3, 4, 2)]


def waves_of(frequency, phase, colour=None):
    """Waves from lists of numbers, with one or several frequencies per atom."""
    frequency = torch.tensor(frequency, dtype=torch.float64)
    frequency = frequency[:, None] if frequency.ndim == 1 else frequency
    phase = torch.tensor(phase, dtype=torch.float64)
    return Waves.of(frequency, phase, None if colour is None else torch.tensor(colour))


class Along:
    """A modulation along given functions."""

    def __init__(self, *functions):
        self.given = functions

    def functions(self, signal_shape, channel_axis="auto"):
        return self.given


def sinusoids(shape, order=None):
    family = ModulatedWaves(Sinusoid(), BasisModulation(order))
    return AtomModel(family, Grid.of(shape, math.prod(shape)))


def along(basis, constant):
    family = ModulatedWaves(Sinusoid(), Along(basis, constant))
    return AtomModel(family, Grid((basis.shape[1],)))


def drifting(shape):
    model = sinusoids(shape, order=1)
    generator = torch.Generator().manual_seed(0)
    params = model.start(waves_of([0.3, 1.9, 4.2], [0.1, 1.0, 2.5]))
    noise = torch.randn(params.shape, generator=generator, dtype=torch.float64)
    return model, params + 0.3 * noise


@pytest.mark.parametrize("shape", SHAPES)
def test_atoms_follow_the_equations(shape):
    """Equations (2), (3) and (5), written with numpy."""
    basis, _ = BasisModulation(order=1).functions(shape)
    model, params = drifting(shape)
    n_terms, n_features = basis.shape
    t = np.arange(n_features) / n_features
    for atom, p in zip(model.atoms(params), params.numpy(), strict=True):
        amplitude = np.log1p(np.exp(p[1 + n_terms :] @ basis))
        phase = p[1 : 1 + n_terms] @ basis - math.pi * p[0]
        expected = amplitude * np.sin(2 * math.pi * p[0] * t + phase)
        np.testing.assert_allclose(atom, expected, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_jacobian_by_finite_differences(shape):
    model, params = drifting(shape)
    jacobian = model.jacobian(params, torch.float64)
    step = 1e-6
    for j in range(params.shape[1]):
        shift = torch.zeros_like(params)
        shift[:, j] = step
        slope = (model.atoms(params + shift) - model.atoms(params - shift)) / (2 * step)
        np.testing.assert_allclose(jacobian[:, j], slope, atol=1e-8)


def test_start_is_an_undrifting_sinusoid():
    model = sinusoids((4, 4, 3))
    t = np.arange(48) / 48
    np.testing.assert_allclose(
        model.atoms(model.start(waves_of([2.5], [0.7])))[0],
        np.sin(2 * np.pi * 2.5 * t + 0.7),
        atol=1e-13,
    )


@pytest.mark.parametrize("n_features", [1, 2, 15, 16])
def test_fold_keeps_the_samples(n_features):
    rng = np.random.default_rng(0)
    f = torch.tensor(rng.uniform(-2 * n_features, 2 * n_features, 200))
    phase = torch.tensor(rng.uniform(-20, 20, 200))
    waves = Waves.of(f[:, None], phase).fold((n_features,))
    t = np.arange(n_features) / n_features

    def sampled(f, phase):
        return np.sin(2 * np.pi * f.numpy()[:, None] * t + phase.numpy()[:, None])

    folded = sampled(waves.frequency[:, 0], waves.phase)
    folded = waves.sign.numpy()[:, None] * folded
    np.testing.assert_allclose(folded, sampled(f, phase), atol=1e-10)
    assert waves.frequency.min() >= 0
    assert waves.frequency.max() <= n_features / 2
    assert waves.phase.min() >= 0
    assert waves.phase.max() < math.pi


def test_fold_of_a_phase_just_below_zero():
    waves = waves_of([0.0], [-1e-30]).fold((8,))
    assert 0 <= float(waves.phase) < math.pi


def test_a_linear_drift_of_the_phase_counts_as_frequency():
    """A ramp of the phase by one turn is one cycle."""
    t = np.arange(64) / 64
    model = along(np.stack([np.ones(64), t]), np.array([1.0, 0.0]))
    params = model.start(waves_of([5.0], [1.0]))
    params[0, 2] = 2 * math.pi
    waves = model.describe(params).waves
    assert float(waves.frequency) == pytest.approx(6.0)
    assert float(waves.phase) == pytest.approx(1.0)


def test_one_atom_has_one_wave_whatever_its_parameters():
    """With a phase per channel, f and f + T/channels give the same samples."""
    model = sinusoids((4, 5, 3), order=1)
    params = model.start(waves_of([1.4], [0.4]))
    params[0, 4] += 0.3
    expected = model.describe(params).waves
    other = params.clone()
    # Time 0 is in the middle, so that the phase of all channels changes by 20 pi.
    other[0, 0] += 20
    other[0, 1:4] += math.pi * 20 - 2 * math.pi / 3 * torch.arange(3).double()
    other[0, 2] += 2 * math.pi
    np.testing.assert_allclose(model.atoms(other), model.atoms(params), atol=1e-9)
    waves = model.describe(other).waves
    assert float(waves.frequency) == pytest.approx(float(expected.frequency))
    assert float(waves.phase) == pytest.approx(float(expected.phase))
    assert float(expected.frequency) == pytest.approx(1.4, abs=0.5)


@pytest.mark.parametrize("f", [0.0, 0.1, 0.6, 3.7, 15.9, 16.0])
def test_the_nearest_wave_of_a_wave_is_itself(f):
    t = np.arange(32) / 32
    atom = np.sin(2 * np.pi * f * t + 1.0)
    waves = nearest_waves(torch.tensor(atom)[None])
    found = np.sin(2 * np.pi * float(waves.frequency) * t + float(waves.phase))
    found *= float(waves.sign) * np.linalg.norm(atom) / np.linalg.norm(found)
    np.testing.assert_allclose(found, atom, atol=1e-3)
    if 0 < f < 16:
        assert float(waves.frequency) == pytest.approx(f, abs=0.02)


def test_static_waves_are_the_parameters():
    model = AtomModel(Sinusoid(), Grid((32,)))
    given = waves_of([0.0, 3.3, 15.9], [1.5, 0.2, 3.0])
    waves = model.describe(model.start(given)).waves
    np.testing.assert_allclose(waves.frequency, given.frequency, atol=1e-10)
    np.testing.assert_allclose(waves.phase, given.phase, atol=1e-10)
    np.testing.assert_array_equal(waves.sign, 1)


AXES = Grid((4, 5), 2)


def plane_waves(order):
    family = PlaneWave()
    if order:
        family = ModulatedWaves(family, BasisModulation(order))
    model = AtomModel(family, AXES)
    rng = np.random.default_rng(0)
    given = waves_of(
        [[0.3, 1.9], [1.2, -0.7], [0.0, 2.0]], [0.1, 1.0, 2.5], rng.normal(size=(3, 2))
    )
    params = model.start(given)
    return model, params + 0.3 * torch.tensor(rng.normal(size=params.shape))


@pytest.mark.parametrize("order", [0, 1])
def test_plane_waves_follow_the_equations(order):
    """A wave of row and column with a colour, written with numpy."""
    model, params = plane_waves(order)
    basis, _ = BasisModulation(order=order).functions((4, 5))
    n = len(basis)
    y, x = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(4) / 4, np.arange(5) / 5, indexing="ij")
    )
    for atom, p in zip(model.atoms(params), params.numpy(), strict=True):
        phase = p[2 : 2 + n] @ basis - math.pi * (p[0] + p[1])
        amplitude = np.log1p(np.exp(p[2 + n : 2 + 2 * n] @ basis))
        wave = amplitude * np.sin(2 * math.pi * (p[0] * y + p[1] * x) + phase)
        expected = wave[:, None] * p[-2:]
        np.testing.assert_allclose(atom.reshape(20, 2), expected, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1])
def test_jacobian_of_plane_waves_by_finite_differences(order):
    model, params = plane_waves(order)
    jacobian = model.jacobian(params, torch.float64)
    assert jacobian.shape == (*params.shape, 40)
    for j in range(params.shape[1]):
        shift = torch.zeros_like(params)
        shift[:, j] = 1e-6
        slope = (model.atoms(params + shift) - model.atoms(params - shift)) / 2e-6
        np.testing.assert_allclose(jacobian[:, j], slope, atol=1e-8)


def test_plain_plane_waves_are_their_summary():
    """The public wave vector, phase, colour and amplitude determine the atoms."""
    model, params = plane_waves(0)
    params[:, 0] += 9
    found = model.describe(params)
    waves, amplitude = found.waves, found.amplitude
    assert bool((waves.colour.sum(1) >= 0).all())
    assert bool((waves.frequency[:, 0] >= 0).all())
    assert float(waves.frequency.abs().max()) <= 2.5
    y, x = np.arange(4)[:, None] / 4, np.arange(5) / 5
    for i, atom in enumerate(model.atoms(params)):
        u, v = waves.frequency[i].numpy()
        wave = np.sin(2 * np.pi * (u * y + v * x) + float(waves.phase[i]))
        found = float(amplitude[i]) * wave[..., None] * waves.colour[i].numpy()
        sign = float(waves.sign[i])
        np.testing.assert_allclose(sign * atom.reshape(4, 5, 2), found, atol=1e-9)


def test_a_drifting_plane_wave_has_the_mean_slope_of_its_phase():
    """A phase that falls by one turn lowers the frequency by one cycle."""
    y = np.repeat(np.arange(8) / 8, 8)
    functions = Along(np.stack([np.ones(64), y]), np.array([1.0, 0.0]))
    model = AtomModel(ModulatedWaves(PlaneWave(), functions), Grid((8, 8)))
    params = model.start(waves_of([[3.0, 2.0]], [1.0]))
    params[0, 3] = -2 * math.pi
    waves = model.describe(params).waves
    np.testing.assert_allclose(waves.frequency, [[2.0, 2.0]], atol=1e-9)
    assert float(waves.phase) == pytest.approx(1.0)
