import numpy as np
import pytest
import torch

from skspectral._progress import Silent
from skspectral.dictionary.atoms import Sinusoids
from skspectral.dictionary.descent import Settings, refine
from skspectral.dictionary.learning import LearningPlan, learn_dictionary
from skspectral.dictionary.selection import GreedySelection
from skspectral.modulation import BasisModulation, static_functions


def settings_with(**changes):
    options = {"ridge": 1e-6, "max_iter": 30, "tol": 1e-4, "dtype": torch.float64}
    return Settings(**{**options, **changes})


def learn(C, n_atoms, order=None, shape=None, **changes):
    cpu = torch.device("cpu")
    C = torch.as_tensor(C)
    drift = None
    if order is not None:
        drift = Sinusoids(*BasisModulation(order).functions(shape or (len(C),)), cpu)
    plan = LearningPlan(
        n_atoms=n_atoms,
        static=Sinusoids(*static_functions(len(C)), cpu),
        drift=drift,
        settings=settings_with(**changes),
    )
    return learn_dictionary(C, plan, Silent())


@pytest.fixture(scope="module")
def photographs(patches):
    X = patches[0]
    return np.cov(X.T, bias=True)


def test_refinement_lowers_the_loss_at_every_step(photographs):
    learned = learn(photographs, 12, order=2, shape=(8, 8, 3))
    stages, losses = zip(*learned.history, strict=True)
    assert stages[0] == "selection"
    assert set(stages[1:]) == {"frequencies", "modulation"}
    assert (np.diff(losses) < 0).all()
    assert learned.n_iter == len(losses) - 1


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
    assert float(learned.frequency.min()) >= 0
    assert float(learned.frequency.max()) <= 96
    assert bool(((learned.phase >= 0) & (learned.phase < np.pi)).all())


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
        for x in (learned.frequency, learned.phase, learned.amplitude)
    )
    expected = amplitude * np.sin(2 * np.pi * f * t + phase)
    np.testing.assert_allclose(learned.components, expected, atol=1e-9)


def test_lbfgs_reaches_what_gauss_newton_reaches(photographs):
    C = torch.tensor(photographs)
    model = Sinusoids(*BasisModulation(1).functions((8, 8, 3)), torch.device("cpu"))
    params = model.start(*GreedySelection(C).select(10))
    found = {}
    for name, max_system in (("gauss-newton", 4096), ("l-bfgs", 0)):
        losses = []

        def note(loss, losses=losses):
            losses.append(loss)
            return False

        settings = settings_with(max_iter=60, tol=1e-5, max_system=max_system)
        state = refine(model, params, C, settings, note)
        assert losses == state.losses
        assert state.converged
        assert state.fit.loss == pytest.approx(losses[-1], rel=1e-9)
        found[name] = (state.start_loss - state.fit.loss) / state.start_loss
    # Two local searches from one start end in different minima of like depth.
    assert found["gauss-newton"] > 0.05
    assert found["l-bfgs"] == pytest.approx(found["gauss-newton"], rel=0.3)


@pytest.mark.parametrize("max_system", [4096, 0])
def test_a_monitor_may_stop_early(photographs, max_system):
    C = torch.tensor(photographs)
    model = Sinusoids(*static_functions(192), torch.device("cpu"))
    params = model.start(*GreedySelection(C).select(10))
    settings = settings_with(tol=0.0, max_system=max_system)
    state = refine(model, params, C, settings, lambda loss: True)
    assert len(state.losses) == 1
    assert state.stopped
    assert not state.converged


def test_no_step_to_take_is_converged():
    """Data of one direction, one atom in that direction."""
    s = np.sin(2 * np.pi * 3 * np.arange(32) / 32 + 0.4)
    learned = learn(np.outer(s, s), 1)
    assert learned.converged
    assert float(learned.frequency[0]) == pytest.approx(3.0, abs=1e-6)


def test_duplicates_are_drawn_anew():
    """Two starts in one basin end in one atom; the second is replaced."""
    from skspectral.dictionary.learning import _replace_duplicates

    t = np.arange(64) / 64
    waves = np.stack([np.sin(2 * np.pi * f * t + 1) for f in (3.2, 9.1)])
    C = torch.tensor(waves.T @ waves)
    model = Sinusoids(*static_functions(64), torch.device("cpu"))
    twice = model.start(
        torch.tensor([3.2, 3.2001]).double(), torch.tensor([1.0, 1.0]).double()
    )
    state = refine(model, twice, C, settings_with(max_iter=1, tol=1.0), lambda _: False)
    state.params = twice
    from skspectral.dictionary.projection import project

    state.fit = project(model.atoms(twice), C, 1e-6)
    renewed = _replace_duplicates(model, state, C)
    frequency = np.sort(model.waves(renewed).frequency.numpy())
    np.testing.assert_allclose(frequency, [3.2, 9.1], atol=0.01)
    state.params, state.fit = renewed, project(model.atoms(renewed), C, 1e-6)
    assert _replace_duplicates(model, state, C) is None


def test_a_loss_that_is_not_finite_names_the_step():
    from skspectral.dictionary.descent import _finite

    with pytest.raises(ArithmeticError, match="became nan at step 7"):
        _finite(float("nan"), 7)
