import numpy as np
import pytest
import torch

from skspectral.atoms import BasisModulation, Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.modulated import ModulatedWaves
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.descent import Descent, Settings, Step, descend
from skspectral.learning.dictionary import LearningPlan, learn_dictionary, renew
from skspectral.learning.projection import project
from skspectral.learning.selection import GreedySelection, waves_of
from skspectral.learning.starts import Start
from skspectral.moments import DenseMoment


class Silent:
    """A monitor that ignores all calls."""

    def stage(self, name, n_steps):
        return lambda **state: False


def settings_with(**changes):
    options = {"ridge": 1e-6, "max_iter": 30, "tol": 1e-4, "dtype": torch.float64}
    return Settings(**{**options, **changes})


def learn(C, n_atoms, order=None, shape=None, **changes):
    C = DenseMoment(torch.as_tensor(C))
    static = plain(C.n_features)
    plan = LearningPlan(
        n_atoms=n_atoms,
        carrier=static,
        model=static if order is None else drifting(order, shape or (C.n_features,)),
        start=Start(),
        settings=settings_with(**changes),
    )
    return learn_dictionary(C, plan, Silent())


def plain(n_features):
    return AtomModel(Sinusoid(), Grid((n_features,)))


def drifting(order, shape):
    family = ModulatedWaves(Sinusoid(), BasisModulation(order))
    return AtomModel(family, Grid.of(shape, np.prod(shape)))


def greedy(C, n_atoms):
    return waves_of(GreedySelection(C).select(n_atoms))


@pytest.fixture(scope="module")
def photographs(patches):
    X = patches[0]
    return np.cov(X.T, bias=True)


def test_refinement_lowers_the_loss_at_every_step(photographs):
    learned = learn(photographs, 12, order=2, shape=(8, 8, 3))
    stages = [step.stage for step in learned.history]
    losses = [step.squared_error for step in learned.history]
    assert stages[0] == "start"
    assert set(stages[1:]) == {"frequencies", "modulation"}
    assert (np.diff(losses) < 0).all()


def test_drift_explains_more(photographs):
    static = learn(photographs, 12).variance.sum()
    drifting = learn(photographs, 12, order=2, shape=(8, 8, 3)).variance.sum()
    best = np.linalg.eigvalsh(photographs)[-12:].sum()
    assert static < drifting < best
    assert best - drifting < 0.5 * (best - static)


def test_atoms_are_unit_and_ordered(photographs):
    learned = learn(photographs, 12, order=1, shape=(8, 8, 3))
    np.testing.assert_allclose((learned.components**2).sum(1), 1)
    assert float(learned.variance.min()) >= 0
    assert int(learned.variance.argmax()) == 0
    assert float(learned.waves.frequency[:, 0].min()) >= 0
    assert float(learned.waves.frequency[:, 0].max()) <= 96
    assert bool(((learned.waves.phase >= 0) & (learned.waves.phase < np.pi)).all())


def test_variance_sums_to_what_the_span_explains(photographs):
    learned = learn(photographs, 12)
    Q = np.linalg.qr(learned.components.numpy().T)[0]
    explained = np.trace(Q.T @ photographs @ Q)
    assert float(learned.variance.sum()) == pytest.approx(explained, rel=1e-9)


def test_static_components_are_the_public_formula(photographs):
    learned = learn(photographs, 12)
    t = np.arange(192) / 192
    f, phase, amplitude = (
        x.numpy()[:, None]
        for x in (
            learned.waves.frequency[:, 0],
            learned.waves.phase,
            learned.description.amplitude,
        )
    )
    expected = amplitude * np.sin(2 * np.pi * f * t + phase)
    np.testing.assert_allclose(learned.components, expected, atol=1e-9)


def test_lbfgs_reaches_what_gauss_newton_reaches(photographs):
    C = DenseMoment(torch.tensor(photographs))
    model = drifting(1, (8, 8, 3))
    params = model.start(greedy(C, 10))
    found = {}
    for method in ("gauss-newton", "lbfgs"):
        losses = []

        def note(loss, losses=losses):
            losses.append(loss)
            return False

        settings = settings_with(max_iter=60, tol=1e-3, method=method)
        state = descend(model, params, C, settings, note)
        assert losses == state.losses
        assert state.converged
        assert state.fit.loss == pytest.approx(losses[-1], rel=1e-9)
        found[method] = (
            state.start.squared_error - state.fit.loss
        ) / state.start.squared_error
    # Two local searches end in different minima of similar depth.
    assert found["gauss-newton"] > 0.05
    assert found["lbfgs"] == pytest.approx(found["gauss-newton"], rel=0.3)


def test_tol_of_lbfgs_is_relative_to_the_loss(photographs):
    """A tolerance relative to the total variance would stop a good fit at once."""
    model = plain(192)
    C = DenseMoment(torch.tensor(photographs))
    params = model.start(greedy(C, 60))
    settings = settings_with(max_iter=40, tol=1e-2, method="lbfgs")
    state = descend(model, params, C, settings, lambda loss: False)
    assert state.start.squared_error < 0.03 * float(C.trace())
    assert state.converged
    losses = [state.start.squared_error, *state.losses]
    assert losses[-11] - losses[-1] <= 1e-2 * losses[-1]
    assert all(a - b > 1e-2 * b for a, b in zip(losses, losses[10:-1], strict=False))


@pytest.mark.parametrize("method", ["gauss-newton", "lbfgs"])
def test_a_monitor_may_stop_early(photographs, method):
    C = DenseMoment(torch.tensor(photographs))
    model = plain(192)
    params = model.start(greedy(C, 10))
    settings = settings_with(tol=0.0, method=method)
    state = descend(model, params, C, settings, lambda loss: True)
    assert len(state.losses) == 1
    assert state.stopped
    assert not state.converged


def test_no_step_to_take_is_converged():
    """Data of one direction, one atom in that direction."""
    s = np.sin(2 * np.pi * 3 * np.arange(32) / 32 + 0.4)
    learned = learn(np.outer(s, s), 1)
    assert learned.converged
    assert float(learned.waves.frequency[:, 0][0]) == pytest.approx(3.0, abs=1e-6)


def state_at(model, C, frequency, phase):
    waves = Waves.of(
        torch.tensor(frequency, dtype=torch.float64)[:, None],
        torch.tensor(phase, dtype=torch.float64),
    )
    params = model.start(waves)
    fit = project(model.atoms(params), C, 1e-6)
    return Descent(params, fit, Step(fit.loss))


@pytest.mark.parametrize(
    ("start", "forced"), [([3.2, 3.2001, 20.0], True), ([3.2, 3.6, 20.0], False)]
)
def test_an_atom_that_is_not_worth_its_place_is_drawn_anew(start, forced):
    t = np.arange(64) / 64
    waves = np.stack([np.sin(2 * np.pi * f * t + 1) for f in (3.2, 9.0, 20.0)])
    C = DenseMoment(torch.tensor(waves.T @ waves))
    model = plain(64)
    whole = GreedySelection(C)
    renewal = renew(
        model, state_at(model, C, start, [1.0, 1.0, 1.0]), whole, np.inf, 1e-6
    )
    assert renewal.forced is forced
    frequency = np.sort(model.describe(renewal.params).waves.frequency[:, 0].numpy())
    np.testing.assert_allclose(frequency, [3.2, 9.0, 20.0], atol=1e-6)
    settled = state_at(model, C, [3.2, 9.0, 20.0], [1.0, 1.0, 1.0])
    assert renew(model, settled, whole, np.inf, 1e-6) is None


def test_a_strong_wave_does_not_hide_a_weak_one():
    """The strong wave lies between the frequencies of the selection's grid."""
    t = np.arange(128) / 128
    strong, weak = (np.sin(2 * np.pi * f * t + 1) for f in (7.23, 30.6))
    C = 1e4 * np.outer(strong, strong) + np.outer(weak, weak)
    learned = learn(C, 2, tol=1e-6)
    np.testing.assert_allclose(learned.waves.frequency[:, 0], [7.23, 30.6], atol=5e-3)


def test_a_loss_that_is_not_finite_names_the_step():
    from skspectral.learning.descent import _finite

    with pytest.raises(ArithmeticError, match="became nan at step 7"):
        _finite(float("nan"), 7)


def test_no_two_atoms_are_the_same_even_where_the_data_have_one_direction():
    """The ridge repeatedly draws all atoms to the only direction of the data."""
    for seed in range(30):
        row = np.random.default_rng(seed).normal(size=4)
        C = np.outer(row, row)
        learned = learn(C, 3, order=2, shape=(2, 2), ridge=1e-2, tol=0.0)
        cosine = (learned.components @ learned.components.T).abs().triu(1)
        assert float(cosine.max()) < 0.999
