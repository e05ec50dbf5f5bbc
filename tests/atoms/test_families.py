"""Families of atoms: those of the package and families of third parties."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.atoms import (
    FAMILIES,
    AtomFamily,
    BasisModulation,
    Chirp,
    Description,
    Gabor,
    MLPModulation,
    PlaneWave,
    Sinusoid,
    Slopes,
    WaveFamily,
    Waves,
    check_atom_family,
)
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import nearest_waves
from skspectral.grid import Grid
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan, learn_dictionary
from skspectral.learning.selection import GreedySelection
from skspectral.learning.starts import Start
from skspectral.modulation_curves import modulation_curves
from skspectral.moments import DenseMoment


class DampedWave(WaveFamily):
    """A third party's family: exp(-d x) sin(2 pi f x + phi), in one file."""

    def new_atoms(self, waves, grid):
        phase = waves.phase + math.pi * waves.frequency[:, 0]
        return torch.stack(
            [waves.frequency[:, 0], phase, torch.zeros_like(phase)], dim=1
        )

    def angle_and_amplitude(self, params, grid):
        x = self.runs_on(grid).coordinates(params.device)
        angle = 2 * math.pi * params[:, :1] * x + params[:, 1:2]
        return angle, (-params[:, 2:] * x).exp()

    def slopes(self, params, grid, dtype):
        x = self.runs_on(grid).coordinates(params.device)
        _, amplitude = self.angle_and_amplitude(params, grid)
        by_angle = torch.cat([2 * math.pi * x, torch.ones_like(x)])
        return Slopes(by_angle.to(dtype), amplitude, (-x).to(dtype))

    def describe(self, params, grid):
        plain = super().describe(params, grid)
        return Description(plain.waves, plain.amplitude, {"dampings": params[:, 2]})


class Ramp(AtomFamily):
    """A family that derives from `AtomFamily` alone: x^k sin(2 pi f t + phi)."""

    def __init__(self, power=1):
        self.power = power

    def new_atoms(self, waves, grid):
        return torch.cat([waves.frequency, waves.phase[:, None]], dim=1)

    def atoms(self, params, grid):
        t = self.runs_on(grid).coordinates(params.device) + 0.5
        wave = (2 * math.pi * params[:, :1] * t + params[:, 1:]).sin()
        return (1 + t**self.power) * wave

    def describe(self, params, grid):
        waves = nearest_waves(self.atoms(params, grid))
        return Description(waves, torch.ones_like(waves.phase))


def fit(X, n_components, atoms, **options):
    return SpectralDictionaryLearning(n_components, atoms=atoms, **options).fit(X)


@pytest.mark.parametrize("shape", [(32,), (1,), (8, 6), (6, 5, 3), (8, 1), (7, 6, 1)])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_passes_the_check(name, shape):
    family = FAMILIES[name]()
    if name == "plane_wave" and len(shape) == 1:
        with pytest.raises(ValueError, match="'plane_wave' needs images"):
            check_atom_family(family, shape)
    else:
        check_atom_family(family, shape)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
@pytest.mark.parametrize("carrier", [Sinusoid(), PlaneWave()])
@pytest.mark.parametrize("modulation", [BasisModulation(), MLPModulation()])
def test_modulated_families_pass_the_check(carrier, modulation, shape):
    grid = Grid.of(shape, math.prod(shape))
    family = modulation.apply_to(carrier, grid, np.random.default_rng(0))
    check_atom_family(family, shape)


class WrongSlopes(DampedWave):
    def slopes(self, params, grid, dtype):
        right = super().slopes(params, grid, dtype)
        return right._replace(amplitude=-right.amplitude)


class WrongShape(Ramp):
    def atoms(self, params, grid):
        return super().atoms(params, grid)[:, 1:]


class Single(Ramp):
    def atoms(self, params, grid):
        return super().atoms(params, grid).float()


class Undecided(Ramp):
    def atoms(self, params, grid):
        return super().atoms(params, grid) * (
            1 + 1e-3 * np.random.default_rng().random()
        )


class Shared(Ramp):
    def atoms(self, params, grid):
        return super().atoms(params, grid) + 1e-2 * params[0, 0]


class NotFolded(Ramp):
    def describe(self, params, grid):
        found = super().describe(params, grid)
        waves = Waves.of(found.waves.frequency + 32, found.waves.phase)
        return Description(waves, found.amplitude)


class Overwriting(DampedWave):
    def __init__(self, key="model"):
        self.key = key

    def describe(self, params, grid):
        found = super().describe(params, grid)
        return Description(found.waves, found.amplitude, {self.key: params[:, 2]})


class FarAway(Ramp):
    def new_atoms(self, waves, grid):
        return super().new_atoms(waves, grid) + 3.3


class Infinite(Ramp):
    def atoms(self, params, grid):
        return super().atoms(params, grid) / 0.0


class WrongEnvelopes(Ramp):
    def envelopes(self, grid, device):
        return torch.ones(4, grid.n_features - 1, dtype=torch.float64)


class SingleEnvelopes(Ramp):
    def envelopes(self, grid, device):
        return torch.ones(4, grid.n_features)


@pytest.mark.parametrize(
    ("family", "problem"),
    [
        (WrongSlopes(), "the derivative of an atom with respect to its parameter 2"),
        (WrongShape(), r"atoms have the shape \(3, 31\), but must .* \(3, 32\)"),
        (Single(), "atoms have the type torch.float32, but must be float64"),
        (Undecided(), "with the same parameters return different atoms"),
        (Shared(), "the parameters of one atom change another atom"),
        (NotFolded(), "describe returns a frequency that is not folded"),
        (Overwriting(), r"extras\['model'\] of describe cannot become an attribute"),
        (FarAway(), "an atom of new_atoms has an absolute cosine of"),
        (WrongEnvelopes(), r"envelopes have the shape \(4, 31\), but must .* 32\)"),
        (SingleEnvelopes(), "envelopes have the type torch.float32"),
        (Infinite(), "atoms have NaN or infinite values"),
    ],
)
def test_the_check_finds_what_is_wrong(family, problem):
    with pytest.raises(ValueError, match=problem):
        check_atom_family(family)
    with pytest.raises(ValueError, match=problem):
        fit(np.random.default_rng(0).normal(size=(20, 32)), 2, family)


def test_no_family_can_overwrite_an_attribute_of_the_estimator():
    X = np.random.default_rng(0).normal(size=(20, 16))
    est = fit(X, 2, "plane_wave", signal_shape=(4, 4), windows=2)
    for name in [name[:-1] for name in vars(est) if name.endswith("_")]:
        with pytest.raises(ValueError, match=f"{name}_, because the name is taken"):
            check_atom_family(Overwriting(name))


def test_only_families_are_taken():
    with pytest.raises(TypeError, match="must be the name of a family"):
        check_atom_family("gabor")
    with pytest.raises(ValueError, match="'atoms' parameter"):
        fit(np.random.default_rng(0).normal(size=(20, 8)), 2, Gabor)
    with pytest.raises(ValueError, match=r"cannot be applied to atoms of .* Chirp"):
        fit(np.eye(8), 2, "chirp", modulation="basis")


@pytest.mark.parametrize("family", [DampedWave(), Ramp(2)])
def test_a_family_of_a_third_party_is_learned(family):
    check_atom_family(family, (40,))
    rng, t = np.random.default_rng(0), np.arange(40) / 40
    if isinstance(family, Ramp):
        rows = [(1 + t**2) * np.sin(2 * np.pi * f * t + 1) for f in (3.2, 8.4)]
    else:
        rows = [np.exp(-2 * t) * np.sin(2 * np.pi * f * t + 1) for f in (3.2, 8.4)]
    X = rng.normal(size=(60, 2)) @ np.stack(rows)
    est = fit(X, 2, family, tol=1e-8, max_iter=200)
    assert est.explained_variance_ratio_.sum() > 1 - 1e-6
    np.testing.assert_allclose(np.sort(est.frequencies_), [3.2, 8.4], atol=0.4)
    if isinstance(family, DampedWave):
        np.testing.assert_allclose(est.dampings_, 2, atol=1e-2)
        assert modulation_curves(est).amplitude.shape == (2, 40)
    else:
        with pytest.raises(TypeError, match="does not derive from WaveFamily"):
            modulation_curves(est)
    assert np.isfinite(est.score(X))
    assert clone(est).get_params()["atoms"] is not family
    # A refit with other atoms removes attributes that only these atoms have.
    est.set_params(atoms="sinusoid", modulation=None).fit(X)
    assert not hasattr(est, "dampings_")


def test_the_family_of_the_user_is_not_kept():
    family = Gabor(n_scales=1)
    X = np.random.default_rng(0).normal(size=(30, 16)).cumsum(1)
    est = fit(X, 3, family)
    before = modulation_curves(est).amplitude
    family.n_scales = 3
    assert est.model_.dictionary.atoms.family.n_scales == 1
    np.testing.assert_array_equal(modulation_curves(est).amplitude, before)


def windowed_waves(centres, widths, frequencies, n=96):
    x = np.arange(n) / n
    return np.stack(
        [
            np.exp(-(((x - c) / s) ** 2) / 2) * np.sin(2 * np.pi * f * x + 1)
            for c, s, f in zip(centres, widths, frequencies, strict=True)
        ]
    )


def test_gabor_atoms_are_found():
    centres, widths, frequencies = [0.25, 0.7], [0.06, 0.11], [12.3, 20.8]
    rows = windowed_waves(centres, widths, frequencies)
    X = np.random.default_rng(0).normal(size=(50, 2)) @ rows
    est = fit(X, 2, "gabor", tol=1e-9, max_iter=300)
    assert est.explained_variance_ratio_.sum() > 1 - 1e-5
    order = np.argsort(est.frequencies_)
    np.testing.assert_allclose(est.frequencies_[order], frequencies, atol=0.1)
    np.testing.assert_allclose(est.centers_[order, 0], centres, atol=5e-3)
    np.testing.assert_allclose(est.widths_[order, 0], widths, atol=5e-3)


def test_gabor_atoms_of_images_are_found():
    y, x = np.arange(16)[:, None] / 16, np.arange(16) / 16
    window = np.exp(-(((y - 0.3) / 0.15) ** 2 + ((x - 0.7) / 0.12) ** 2) / 2)
    wave = window * np.sin(2 * np.pi * (2 * y + 4 * x) + 0.5)
    rows = (wave[..., None] * [0.8, 0.6, 0.0]).reshape(1, -1)
    X = np.random.default_rng(0).normal(size=(30, 1)) * rows
    est = fit(X, 1, "gabor", signal_shape=(16, 16, 3), tol=1e-9, max_iter=300)
    assert est.explained_variance_ratio_.sum() > 1 - 1e-5
    np.testing.assert_allclose(est.centers_, [[0.3, 0.7]], atol=5e-3)
    np.testing.assert_allclose(est.widths_, [[0.15, 0.12]], atol=1e-2)
    np.testing.assert_allclose(est.wave_vectors_, [[2, 4]], atol=0.1)
    np.testing.assert_allclose(est.colors_, [[0.8, 0.6, 0.0]], atol=1e-3)


@pytest.mark.parametrize("rate", [None, 200.0])
def test_chirps_are_found(rate):
    t = np.arange(100) / 100
    sweeps = [(15.0, 18.0), (30.0, -9.0)]
    rows = [np.sin(2 * np.pi * (f * t + c * (t - 0.5) ** 2 / 2) + 1) for f, c in sweeps]
    X = np.random.default_rng(0).normal(size=(50, 2)) @ np.stack(rows)
    est = fit(X, 2, "chirp", tol=1e-9, max_iter=300, sampling_rate=rate)
    assert est.explained_variance_ratio_.sum() > 1 - 1e-6
    order = np.argsort(est.frequencies_)
    unit = 1.0 if rate is None else rate / 100
    np.testing.assert_allclose(
        est.frequencies_[order], unit * np.array([15.0, 30.0]), rtol=1e-3
    )
    np.testing.assert_allclose(
        est.sweep_rates_[order], unit**2 * np.array([18.0, -9.0]), rtol=1e-2
    )


@pytest.mark.parametrize("family", [Gabor(2), Chirp(8.0)])
def test_selection_in_envelopes_by_brute_force(family):
    """The best wave over envelopes, frequencies and phases, by dense products."""
    n = 24
    A = np.random.default_rng(0).normal(size=(n, n)) * np.geomspace(1, 0.1, n)
    C, grid = A @ A.T, Grid((n,))
    envelopes = family.envelopes(grid, torch.device("cpu"))
    selection = GreedySelection(DenseMoment(torch.as_tensor(C)), grid, envelopes)
    t = np.arange(n) / n
    phases = np.linspace(0, np.pi, 90, endpoint=False)
    turns = np.exp(2j * np.pi * np.outer(np.arange(n + 1) / 2, t))
    waves = np.imag(
        np.exp(1j * phases)[:, None]
        * turns[:, None]
        * envelopes.numpy().conj()[:, None, None]
    )
    projector = np.eye(n)
    for _ in range(4):
        left = waves @ projector
        energy = (np.abs(envelopes.numpy()) ** 2).sum(1)[:, None, None] / 2
        gain = ((left @ C) * left).sum(-1)
        best = (gain / ((left**2).sum(-1) + 0.02 * energy)).max()
        pick = selection.best()
        assert pick.score == pytest.approx(best, rel=2e-3)
        assert pick.score > 0.9999 * best
        assert selection.take(pick)
        angle = 2 * np.pi * float(pick.frequency) * t + pick.phase
        wave = np.imag(np.exp(1j * angle) * envelopes[pick.envelope].numpy().conj())
        rest = wave @ projector
        projector = projector - np.outer(rest, rest) / (rest @ rest)


def test_selected_waves_start_where_they_were_selected():
    for family in (Gabor(), Chirp()):
        model = AtomModel(family, Grid((40,)))
        envelopes = model.envelopes(torch.device("cpu"))
        index = torch.arange(len(envelopes))
        frequency = 3.5 + 0 * index[:, None].double()
        phase = 0.3 + 0 * frequency[:, 0]
        atoms = model.atoms(model.start(Waves.of(frequency, phase, None, index)))
        t = np.arange(40) / 40
        carrier = np.exp(1j * (2 * np.pi * 3.5 * t + 0.3))
        expected = np.imag(carrier * envelopes.numpy().conj())
        np.testing.assert_allclose(atoms, expected, atol=1e-12)


@pytest.mark.parametrize("atoms", ["gabor", "chirp"])
def test_new_families_do_all_that_others_do(atoms):
    X, options = load_digits().data[:300], {"signal_shape": (8, 8), "random_state": 0}
    est = fit(X, 12, atoms, shrinkage="auto", **options)
    assert est.explained_variance_ratio_.sum() > 0.4
    assert est.sample(3).shape == (3, 64)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    assert np.isfinite(est.impute(gaps)).all()
    windows = fit(X, 4, atoms, windows=2, **options)
    assert len(windows.components_) == 16
    again = fit(X, 14, atoms, init=est, **options)
    ratio = again.explained_variance_ratio_.sum()
    assert ratio > est.explained_variance_ratio_.sum() - 0.02
    est.partial_fit(X[:50])
    extra = {"gabor": "centers_", "chirp": "sweep_rates_"}[atoms]
    assert len(getattr(est, extra)) == 12
    lbfgs = fit(X, 5, atoms, solver="lbfgs", max_iter=20, tol=1e-2, **options)
    assert lbfgs.explained_variance_ratio_.sum() > 0.2


class ChannelWave(Sinusoid):
    """A wave in time with a real pattern over the channels of a signal."""

    def runs_on(self, grid):
        return grid

    def basis(self, grid, device):
        one = torch.ones(1, grid.n_features, dtype=torch.float64, device=device)
        return one, one[0, :1]


def test_channels_of_signals_need_a_grid_and_a_family_alone():
    """Selection, refinement and description work on one axis with channels."""
    grid = Grid((48,), channels=3)
    model = AtomModel(ChannelWave(), grid)
    t = np.arange(48) / 48
    patterns = np.array([[0.6, 0.8, 0.0], [0.0, 0.6, -0.8]])
    waves = [np.sin(2 * np.pi * f * t + 1) for f in (5.3, 11.6)]
    rows = np.stack(
        [np.outer(w, g).ravel() for w, g in zip(waves, patterns, strict=True)]
    )
    X = np.random.default_rng(0).normal(size=(40, 2)) @ rows
    plan = LearningPlan(
        n_atoms=2,
        carrier=model,
        model=model,
        start=Start(),
        settings=Settings(ridge=1e-9, max_iter=100, tol=1e-9, dtype=torch.float64),
    )
    C = DenseMoment(torch.as_tensor(X.T @ X / len(X)))
    learned = learn_dictionary(C, plan, Silent())
    order = learned.waves.frequency[:, 0].argsort()
    np.testing.assert_allclose(
        learned.waves.frequency[order, 0], [5.3, 11.6], atol=1e-3
    )
    found = learned.waves.colour[order].numpy()
    agree = np.abs((found * patterns).sum(1))
    np.testing.assert_allclose(agree, 1, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_gabor_windows_may_leave_the_signal(seed):
    """Impulses would be fitted best by windows whose width goes to zero."""
    rng = np.random.default_rng(seed)
    X = np.zeros((200, 64))
    X[np.arange(200), rng.integers(0, 64, 200)] = rng.standard_normal(200)
    est = fit(X, 16, "gabor", solver="lbfgs", max_iter=20, tol=0.01)
    assert np.isfinite(est.components_).all()
    assert np.isfinite(est.widths_).all()


@pytest.mark.parametrize(
    ("first", "then"), [(Gabor(), Gabor(3)), (Chirp(), Chirp(8.0))]
)
def test_what_only_the_selection_uses_does_not_end_a_warm_start(first, then):
    X = np.random.default_rng(0).normal(size=(80, 32)).cumsum(1)
    est = fit(X, 4, first, warm_start=True)
    loss = est.history_["loss"][-1]
    est.set_params(atoms=then).fit(X)
    assert est.history_["loss"][0] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("frequencies", [[10, 10], [-10, -10]])
def test_given_frequencies_of_chirps_are_folded_first(frequencies):
    t = np.arange(64) / 64
    phases = np.random.default_rng(0).uniform(0, 6, size=(50, 1))
    X = np.sin(2 * np.pi * (5 * t + 5 * t**2) + phases)
    est = fit(X, 2, "chirp", init=frequencies)
    assert est.history_["loss"][0] < 0.2 * X.var(axis=0).sum()
    np.testing.assert_allclose(est.sweep_rates_, 10, atol=0.1)


@pytest.mark.parametrize("n_scales", [True, -1, 1.5])
def test_numbers_of_scales_that_are_none(n_scales):
    with pytest.raises(ValueError, match="n_scales must be a non-negative integer"):
        fit(np.random.default_rng(0).normal(size=(20, 8)), 2, Gabor(n_scales))


def test_windows_are_not_narrower_than_a_sample():
    cpu = torch.device("cpu")
    assert len(Gabor(20).envelopes(Grid((8, 8)), cpu)) == 1 + 4 + 16
    assert len(Gabor(20).envelopes(Grid((16, 1)), cpu)) == 1 + 2 + 4 + 8


class Silent:
    def stage(self, name, n_steps):
        return lambda **state: False


class Strided(Sinusoid):
    """Derivatives in a tensor of other strides, which the family keeps."""

    kept = None

    def jacobian(self, params, grid, dtype):
        found = super().jacobian(params, grid, dtype)
        Strided.kept = (found.transpose(1, 2).contiguous().transpose(1, 2), found)
        return Strided.kept[0]


def test_derivatives_of_a_family_may_have_any_strides_and_are_not_changed():
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(40, 48)), axis=1)
    ours, theirs = (
        SpectralDictionaryLearning(3, atoms=atoms, modulation=None).fit(X)
        for atoms in (Sinusoid(), Strided())
    )
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-9)
    np.testing.assert_array_equal(*Strided.kept)
