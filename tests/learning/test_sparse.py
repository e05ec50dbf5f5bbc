"""Learning for sparse codes: sums, steps, and the alternation."""

import numpy as np
import pytest
import torch

from skspectral.atoms import BasisModulation, Chirp, Gabor, Sinusoid
from skspectral.atoms.derivatives import DenseDerivatives, UnitDerivatives
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.coding.gram import SparseRows
from skspectral.coding.sparse import SparseCoding
from skspectral.grid import Grid
from skspectral.learning.code_moments import CodeMoments
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan
from skspectral.learning.newton import FixedCodesSystem
from skspectral.learning.sparse import learn_sparse
from skspectral.learning.starts import Start
from skspectral.learning.stochastic import Batches
from skspectral.moments import DenseMoment


class Silent:
    def stage(self, name, n_steps):
        return lambda **state: False


def sums(rows, codes, weights):
    found = CodeMoments.zeros(codes.shape[1], rows.shape[1], rows.device)
    support = torch.arange(codes.shape[1]).expand_as(codes)
    found.add(rows, weights, SparseRows(support, codes))
    return found


@pytest.fixture
def data():
    torch.manual_seed(0)
    rows = torch.randn(30, 8, dtype=torch.float64)
    codes = torch.randn(30, 5, dtype=torch.float64) * (torch.rand(30, 5) < 0.4)
    return rows, codes, torch.rand(30, dtype=torch.float64)


def test_sums_are_those_of_the_rows(data):
    rows, codes, weights = data
    whole = sums(rows, codes, weights)
    atoms = torch.randn(5, 8, dtype=torch.float64)
    error = ((rows - codes @ atoms) ** 2).sum(1)
    assert whole.squared_error(atoms) == pytest.approx(
        float(weights @ error / weights.sum())
    )
    assert whole.n_nonzeros == pytest.approx(
        float(weights @ (codes != 0).sum(1).double())
    )
    parts = [sums(*(part[i:j] for part in data)) for i, j in ((0, 11), (11, 30))]
    merged = parts[0].plus(parts[1])
    shift = torch.randn(8, dtype=torch.float64)
    pairs = [
        (merged, whole),
        (whole.plus(whole), sums(rows, codes, 2 * weights)),
        (whole.moved(shift), sums(rows + shift, codes, weights)),
        (whole.in_units(0.3), sums(0.3 * rows, 0.3 * codes, weights)),
    ]
    for found, expected in pairs:
        for name, value in vars(found).items():
            np.testing.assert_allclose(value, getattr(expected, name), atol=1e-12)


def test_the_gradient_of_the_error_with_fixed_codes(data):
    whole = sums(*data)
    atoms = torch.randn(5, 8, dtype=torch.float64)
    change = torch.randn(5, 8, dtype=torch.float64)
    numeric = (
        whole.squared_error(atoms + 1e-5 * change)
        - whole.squared_error(atoms - 1e-5 * change)
    ) / 2e-5
    assert float((whole.gradient(atoms) * change).sum()) == pytest.approx(numeric)


@pytest.mark.parametrize("family", [Sinusoid(), Gabor(), Chirp()])
def test_derivatives_of_atoms_of_unit_norm(family):
    grid = Grid((12,))
    model = AtomModel(family, grid)
    waves = Waves.of(
        torch.tensor([[1.3], [2.2], [4.1]]).double(), torch.ones(3).double()
    )
    params = model.start(waves)

    def unit(params):
        atoms = model.atoms(params)
        return atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)

    dense = torch.autograd.functional.jacobian(unit, params)
    dense = torch.stack([dense[k, :, k].T for k in range(3)])
    expected = DenseDerivatives(dense)
    found = UnitDerivatives(
        model.derivatives(params, torch.float64), model.atoms(params)
    )
    change, rows = torch.randn_like(params), torch.randn(3, 12).double()
    torch.testing.assert_close(found.combine(change), expected.combine(change))
    torch.testing.assert_close(found.along(rows), expected.along(rows))
    torch.testing.assert_close(found.along_all(rows), expected.along_all(rows))
    torch.testing.assert_close(found.gram(), expected.gram())


def test_the_system_with_fixed_codes_is_that_of_its_matrix(data):
    whole = sums(*data)
    jacobian = torch.randn(5, 3, 8, dtype=torch.float64)
    moment = whole.codes / whole.weight
    system = FixedCodesSystem(
        whole.gradient(torch.zeros(5, 8).double()),
        whole.apply,
        whole.code_energy,
        DenseDerivatives(jacobian),
    )
    matrix = torch.einsum("kl,kit,ljt->kilj", moment, jacobian, jacobian)
    change = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(
        system.product(change), torch.einsum("kilj,lj->ki", matrix, change)
    )
    damped = matrix.reshape(15, 15) + torch.eye(15)
    solved, residual = system.solve(torch.ones(5, 3, dtype=torch.float64))
    expected = torch.linalg.solve(damped, -system.gradient.flatten() / 2)
    assert (solved.flatten() - expected).norm() < 0.2 * expected.norm()
    torch.testing.assert_close(
        damped @ solved.flatten() + residual.flatten(), -system.gradient.flatten() / 2
    )


def learn(X, n_atoms, coding, family=None, modulation=None, weights=None, **options):
    grid = Grid((X.shape[1],))
    carrier = AtomModel(Sinusoid() if family is None else family, grid)
    model = carrier
    rng = np.random.default_rng(0)
    if modulation is not None:
        model = AtomModel(modulation.apply_to(carrier.family, grid, rng), grid)
    total = (X**2).sum() / len(X)
    plan = LearningPlan(
        n_atoms,
        carrier,
        model,
        options.pop("start", Start(rng=rng)),
        Settings(1e-6, options.pop("max_iter", 60), 1e-3, torch.float64, "auto", 1e-3),
        coding=coding.in_units(total**-0.5),
    )
    mean = torch.zeros(X.shape[1], dtype=torch.float64)
    batches = Batches(X, weights, mean, total**-0.5, None, torch.float64, rng)
    C = DenseMoment(torch.from_numpy(X.T @ X / len(X) / total))
    return learn_sparse(C, plan, Silent(), batches, **options)


def sparse_sums(n_rows=1500, n_atoms=12, n_features=40, seed=0):
    """Return rows that are sums of 3 of the sinusoids, and the sinusoids."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_features) / n_features
    frequency = np.linspace(1.3, 17.9, n_atoms)
    phase = rng.uniform(0, np.pi, n_atoms)
    atoms = np.sin(2 * np.pi * frequency[:, None] * t + phase[:, None])
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((n_rows, n_atoms))
    for row in codes:
        row[rng.choice(n_atoms, 3, replace=False)] = rng.normal(size=3)
    return codes @ atoms + 0.01 * rng.normal(size=(n_rows, n_features)), atoms


@pytest.mark.parametrize(
    "coding", [SparseCoding("omp", n_nonzero=3), SparseCoding("lasso", alpha=0.05)]
)
def test_the_atoms_of_sparse_sums_are_found(coding):
    X, atoms = sparse_sums()
    learned, moments = learn(X, len(atoms), coding)
    cosine = np.abs(atoms @ learned.components.numpy().T)
    assert (cosine.max(1) > 0.995).mean() > 0.9
    losses = [step.squared_error + step.penalty for step in learned.history]
    assert (np.diff(losses) <= 1e-12).all()
    assert moments.weight == pytest.approx(len(X))
    energy = moments.codes.diagonal()
    assert (energy.diff() <= 0).all()


@pytest.mark.parametrize(
    ("family", "modulation"),
    [(Gabor(), None), (Sinusoid(), BasisModulation(order=1)), (Chirp(), None)],
)
def test_overcomplete_atoms(family, modulation):
    X, _ = sparse_sums(n_rows=400, n_features=16)
    learned, _ = learn(
        X, 48, SparseCoding("omp", n_nonzero=2), family, modulation, max_iter=8
    )
    assert learned.components.shape == (48, 16)
    np.testing.assert_allclose(learned.components.norm(dim=1), 1)
    first, last = learned.history[0], learned.history[-1]
    assert last.squared_error < 0.8 * first.squared_error


def test_dead_atoms_are_replaced():
    X, _ = sparse_sums()
    # Eleven atoms that are nearly zero in the data, and one that is not.
    start = Start(
        "waves",
        waves=Waves.of(torch.full((12, 1), 3.0).double(), torch.zeros(12).double()),
    )
    learned, moments = learn(X, 12, SparseCoding("omp", n_nonzero=3), start=start)
    energy = moments.codes.diagonal()
    assert (energy > 1e-2 * energy.mean()).all()
    assert learned.history[-1].squared_error < 0.1


def test_weights_are_repetitions():
    X, _ = sparse_sums(n_rows=200)
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    coding = SparseCoding("lasso", alpha=0.1)
    one, _ = learn(X, 6, coding, weights=weights, max_iter=2)
    two, _ = learn(np.repeat(X, weights.astype(int), axis=0), 6, coding, max_iter=2)
    assert one.history[0].squared_error == pytest.approx(
        two.history[0].squared_error, rel=0.3
    )


def test_a_penalty_that_makes_all_codes_zero_is_an_error():
    X, _ = sparse_sums(n_rows=50)
    with pytest.raises(
        ValueError, match=r"alpha=100 makes all codes zero: the largest"
    ):
        learn(X, 6, SparseCoding("lasso", alpha=100.0))
