import math

import numpy as np
import pytest
import torch

from skspectral.atoms import MLPModulation, PlaneWave, Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.projection import project
from skspectral.moments import DenseMoment

EVERYTHING = ("amplitude", "phase", "frequency")


def softplus(x):
    return np.log1p(np.exp(x))


def network(shape, modulated, carrier=None):
    modulation = MLPModulation(width=4, depth=2, modulated=modulated)
    carrier = Sinusoid() if carrier is None else carrier
    grid = Grid.of(shape, math.prod(shape))
    family = modulation.apply_to(carrier, grid, np.random.default_rng(0))
    inputs = modulation.inputs(shape)
    layers = modulation.first_layers(len(inputs), np.random.default_rng(0))
    return AtomModel(family, grid), inputs, layers


def some_waves(n_axes=1, channels=1):
    rng = np.random.default_rng(1)
    return Waves.of(
        torch.tensor(rng.uniform(0.5, 4, (3, n_axes))),
        torch.tensor(rng.uniform(0, 3, 3)),
        torch.tensor(rng.normal(size=(3, channels))),
    )


def moved(model, waves):
    params = model.start(waves)
    noise = torch.tensor(np.random.default_rng(2).normal(size=params.shape))
    return params + 0.3 * noise


@pytest.mark.parametrize("shape", [(11,), (4, 5), (3, 4, 2)])
@pytest.mark.parametrize("modulated", [EVERYTHING, ("amplitude", "phase"), ("phase",)])
def test_atoms_follow_the_equations(shape, modulated):
    """Equations (2) to (5), written with numpy."""
    model, inputs, layers = network(shape, modulated)
    params = moved(model, some_waves()).numpy()
    T, width = inputs.shape[1], 4
    values, at = inputs, 0
    for weights, biases in layers:
        W = params[at : at + weights.size].reshape(weights.shape)
        b = params[at + weights.size : at + weights.size + biases.size]
        values, at = np.tanh(W @ values + b[:, None]), at + weights.size + biases.size
    t = np.arange(T) / T
    rows = params[at:].reshape(3, -1)
    for atom, row in zip(model.atoms(torch.tensor(params)), rows, strict=True):
        f0, phase_at_centre, a0 = row[:3]
        outputs = {name: np.zeros(T) for name in EVERYTHING}
        for i, name in enumerate(
            modulated
            and [m for m in ("amplitude", "phase", "frequency") if m in modulated]
        ):
            outputs[name] = row[3 + i * width : 3 + (i + 1) * width] @ values
        if "frequency" in modulated:
            f, constant = softplus(f0 + outputs["frequency"]), softplus(f0)
        else:
            f = constant = f0
        phi = phase_at_centre - math.pi * constant + outputs["phase"]
        expected = softplus(a0 + outputs["amplitude"]) * np.sin(2 * np.pi * f * t + phi)
        np.testing.assert_allclose(atom, expected, atol=1e-12)


@pytest.mark.parametrize("modulated", [EVERYTHING, ("amplitude", "phase")])
def test_learning_starts_at_plain_waves(modulated):
    """The last layer is zero."""
    model, _, _ = network((12,), modulated)
    waves = some_waves()
    t = np.arange(12) / 12
    expected = np.sin(
        2 * np.pi * waves.frequency.numpy() * t + waves.phase.numpy()[:, None]
    )
    np.testing.assert_allclose(model.atoms(model.start(waves)), expected, atol=1e-7)


def test_plane_waves_take_a_network_too():
    model, _, _ = network((3, 4, 2), ("amplitude", "phase"), PlaneWave())
    waves = some_waves(2, 2)
    atoms = model.atoms(model.start(waves)).reshape(3, 3, 4, 2).numpy()
    y, x = np.arange(3)[:, None] / 3, np.arange(4) / 4
    for atom, (u, v), phase, colour in zip(
        atoms,
        waves.frequency.numpy(),
        waves.phase.numpy(),
        waves.colour.numpy(),
        strict=True,
    ):
        wave = np.sin(2 * np.pi * (u * y + v * x) + phase)
        np.testing.assert_allclose(atom, wave[..., None] * colour, atol=1e-12)
    params = moved(model, waves)
    colour = model.family.colour(params, model.grid)
    # The drift of a plane wave is the same in all channels.
    drifted = model.atoms(params).reshape(3, 12, 2) / colour[:, None]
    np.testing.assert_allclose(drifted[..., 0], drifted[..., 1], atol=1e-12)


@pytest.mark.parametrize("modulated", [EVERYTHING, ("amplitude", "phase")])
def test_gradient_on_the_moments_by_finite_differences(modulated):
    """The closed-form gradient by the atoms, carried back to weights of the network."""
    model, _, _ = network((9,), modulated)
    params = moved(model, some_waves())
    X = np.random.default_rng(3).normal(size=(20, 9))
    C = DenseMoment(torch.tensor(X.T @ X / 20))
    point = params.clone().requires_grad_(True)
    atoms = model.atoms(point)
    slope = project(atoms.detach(), C, 1e-3).gradient()
    (gradient,) = torch.autograd.grad(atoms, point, slope)

    def loss(p):
        return project(model.atoms(p), C, 1e-3).loss

    for i in range(len(params)):
        shift = torch.zeros_like(params)
        shift[i] = 1e-5
        numeric = (loss(params + shift) - loss(params - shift)) / 2e-5
        assert float(gradient[i]) == pytest.approx(numeric, rel=1e-5, abs=1e-8)


def test_rows_belong_to_atoms():
    model, _, _ = network((9,), EVERYTHING)
    params = moved(model, some_waves())
    rows = model.rows(params)
    assert rows.shape == (3, 1 + 2 + 3 * 4)
    swapped = model.with_rows(params, rows[[2, 0, 1]])
    np.testing.assert_allclose(
        model.atoms(swapped), model.atoms(params)[[2, 0, 1]], atol=1e-12
    )
    with pytest.raises(NotImplementedError, match="share"):
        model.jacobian(params, torch.float64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"width=0\): width must be a positive integer"),
        ({"depth": True}, "depth=True"),
        ({"modulated": ("colour",)}, r"modulated=\('colour',\)"),
        ({"modulated": ()}, "at least one"),
        ({"modulated": "phase"}, "in a tuple"),
        ({"modulated": None}, "in a tuple"),
        ({"modulated": [["phase"]]}, "in a tuple"),
    ],
)
def test_parameters_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MLPModulation(**options).first_layers(1, np.random.default_rng(0))


def test_inputs_are_centred_coordinates():
    line = MLPModulation().inputs((4,))
    np.testing.assert_allclose(line, [[-0.75, -0.25, 0.25, 0.75]])
    y, x, *channels = MLPModulation().inputs((2, 1, 3))
    np.testing.assert_allclose(y, np.repeat([-0.5, 0.5], 3))
    np.testing.assert_array_equal(x, 0)
    np.testing.assert_array_equal(channels, np.tile(np.eye(3), 2))
