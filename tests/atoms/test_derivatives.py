"""Products with the derivatives of atoms, beside those with the dense derivatives."""

import numpy as np
import pytest
import torch

from skspectral.atoms import (
    BasisModulation,
    Chirp,
    Gabor,
    PlaneWave,
    Sinusoid,
    Waves,
    check_atom_family,
)
from skspectral.atoms.derivatives import (
    DenseDerivatives,
    JoinedDerivatives,
    ProductDerivatives,
)
from skspectral.atoms.family import AtomModel
from skspectral.atoms.modulated import ModulatedWaves
from skspectral.grid import Grid

K = 5
MODELS = {
    "sinusoid": (Sinusoid(), (24,)),
    "modulated sinusoid": (ModulatedWaves(Sinusoid(), BasisModulation(2)), (24,)),
    "sinusoid on colours": (
        ModulatedWaves(Sinusoid(), BasisModulation(1)),
        (4, 3, 3),
    ),
    "plane wave": (PlaneWave(), (4, 6)),
    "modulated plane wave": (ModulatedWaves(PlaneWave(), BasisModulation(1)), (4, 6)),
    "plane wave in colour": (
        ModulatedWaves(PlaneWave(), BasisModulation(1)),
        (4, 3, 3),
    ),
    "chirp": (Chirp(), (24,)),
    "gabor": (Gabor(), (4, 6)),
}


@pytest.fixture(params=MODELS)
def case(request):
    """A model, and parameters of a few atoms away from their start."""
    family, shape = MODELS[request.param]
    model = AtomModel(family, Grid.of(shape, int(np.prod(shape))))
    on, rng = model.wave_grid, np.random.default_rng(0)
    frequency = torch.tensor(rng.uniform(0.2, 1.8, (K, on.n_axes)))
    colour = torch.tensor(rng.uniform(0.2, 1, (K, on.channels)))
    params = model.start(
        Waves.of(frequency, torch.tensor(rng.uniform(0, 3, K)), colour)
    )
    return model, params + 0.1 * torch.tensor(rng.normal(size=params.shape))


def agree(found, dense, shape, rtol):
    """Compare all products of two operators with random rows and changes."""
    rng = np.random.default_rng(1)
    n_params, n_features = shape

    def random(*size):
        return torch.tensor(rng.normal(size=size))

    change, own, others = (
        random(K, n_params),
        random(K, n_features),
        random(3, n_features),
    )
    for name, arguments in (
        ("combine", [change]),
        ("along", [own]),
        ("along_all", [others]),
        ("gram", []),
    ):
        two = getattr(dense, name)(*arguments)
        dtype = torch.float32 if rtol > 1e-9 else torch.float64
        one = getattr(found, name)(*(part.to(dtype) for part in arguments))
        assert one.dtype == dtype
        torch.testing.assert_close(
            one.double(), two, rtol=0, atol=rtol * float(two.abs().max())
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_of_the_dense_derivatives(case, dtype):
    model, params = case
    jacobian = model.jacobian(params, torch.float64)
    found = model.derivatives(params, dtype)
    rtol = 1e-5 if dtype == torch.float32 else 1e-12
    agree(found, DenseDerivatives(jacobian), jacobian.shape[1:], rtol)


def test_products_of_long_signals_are_joined(case, monkeypatch):
    model, params = case
    jacobian = model.jacobian(params, torch.float64)
    monkeypatch.setattr("skspectral.atoms.family._PART_ENTRIES", 100)
    found = model.derivatives(params, torch.float64)
    assert isinstance(found, JoinedDerivatives)
    agree(found, DenseDerivatives(jacobian), jacobian.shape[1:], 1e-12)


@pytest.mark.parametrize("name", ["modulated sinusoid", "plane wave in colour"])
def test_modulated_waves_keep_no_array_of_all_derivatives(name):
    family, shape = MODELS[name]
    model = AtomModel(family, Grid.of(shape, int(np.prod(shape))))
    on = model.wave_grid
    ones = torch.ones(K, on.n_axes).double(), torch.ones(K).double()
    waves = Waves.of(*ones, torch.ones(K, on.channels).double())
    found = model.derivatives(model.start(waves), torch.float64)
    assert isinstance(found, ProductDerivatives)


class WrongDerivatives(Sinusoid):
    """A family whose operator has twice the derivatives."""

    def derivatives(self, params, grid, dtype):
        return DenseDerivatives(2 * self.jacobian(params, grid, dtype))


def test_the_check_of_families_compares_both_forms():
    with pytest.raises(ValueError, match="combine of derivatives differs"):
        check_atom_family(WrongDerivatives())
