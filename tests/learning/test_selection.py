import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from skspectral.grid import Grid
from skspectral.learning.selection import GreedySelection, waves_of
from skspectral.moments import DenseMoment


def moment(C):
    return DenseMoment(torch.as_tensor(C))


def select(C, n_atoms):
    waves = waves_of(GreedySelection(moment(C)).select(n_atoms))
    return waves.frequency[:, 0], waves.phase


def scores(S, projector, C, novelty=0.02):
    """Variance removed by each row of S, over its new length, plus the penalty."""
    left = S @ projector
    gain = ((left @ C) * left).sum(1)
    return gain / ((left**2).sum(1) + novelty * len(C) / 2)


@pytest.mark.parametrize("n_features", [8, 13])
def test_every_pick_scores_as_brute_force(n_features):
    """Compare with dense residuals, on the grid of frequencies and many phases."""
    rng = np.random.default_rng(n_features)
    A = rng.normal(size=(n_features, n_features)) * np.geomspace(1, 0.1, n_features)
    C = A @ A.T
    t = np.arange(n_features) / n_features
    frequencies = np.arange(n_features + 1) / 2
    phases = np.linspace(0, np.pi, 180, endpoint=False)
    angle = 2 * np.pi * frequencies[:, None, None] * t + phases[:, None]
    everything = np.sin(angle).reshape(-1, n_features)

    projector, worst = np.eye(n_features), 1.0
    for f, p in zip(*select(C, 5), strict=True):
        ours = np.sin(2 * np.pi * float(f) * t + float(p))[None]
        best = scores(everything, projector, C).max()
        worst = min(worst, scores(ours, projector, C)[0] / best)
        left = ours[0] @ projector
        projector = projector - np.outer(left, left) / (left @ left)
    assert worst > 0.999


def test_deflation_is_the_dense_residual():
    """The deflated spectra equal those of (I - QQ') C (I - QQ')."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(10, 10))
    C = torch.tensor(A @ A.T)
    selection = GreedySelection(moment(C))
    atoms = torch.tensor(rng.normal(size=(3, 10)))
    assert selection.deflate(atoms[:1])
    assert selection.deflate(atoms[1:])
    Q = np.linalg.qr(atoms.numpy().T)[0]
    left = np.eye(10) - Q @ Q.T
    fresh = GreedySelection(moment(left @ C.numpy() @ left))
    kept, expected = vars(selection.gain.pencil()), vars(fresh.gain.pencil())
    for name, values in kept.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-10)
    c = np.cos(np.pi / 10 * np.arange(10) * 3)
    assert float(selection.size.pencil().cos_cos[0, 0, 3]) == pytest.approx(
        c @ left @ c
    )


def test_an_atom_is_not_taken_twice():
    selection = GreedySelection(moment(np.eye(6)))
    atom = torch.arange(6).double()
    assert selection.deflate(atom[None])
    assert not selection.deflate(-2 * atom[None])


@pytest.mark.parametrize("n_features", [1, 2, 3, 10, 33])
def test_as_many_atoms_as_features_are_independent(n_features):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, n_features))
    C = torch.tensor(X.T @ X)
    frequency, phase = select(C, n_features)
    t = np.arange(n_features) / n_features
    S = np.sin(2 * np.pi * frequency.numpy()[:, None] * t + phase.numpy()[:, None])
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    assert np.linalg.cond(S) < 1e3


def test_more_atoms_than_the_data_has_dimensions():
    """The residual after one direction is zero. Further picks must be independent."""
    s = np.sin(2 * np.pi * 3 * np.arange(32) / 32 + 0.4)
    frequency, phase = select(np.outer(s, s), 8)
    assert float(frequency[0]) == 3.0
    t = np.arange(32) / 32
    S = np.sin(2 * np.pi * frequency.numpy()[:, None] * t + phase.numpy()[:, None])
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    assert np.linalg.cond(S) < 10


def plane_wave(axes, frequency, phase, colour):
    y, x = (np.arange(n) / n for n in axes.sizes)
    angle = 2 * np.pi * (frequency[0] * y[:, None] + frequency[1] * x) + phase
    return (np.sin(angle)[..., None] * colour).ravel()


def best_ratio(carriers, projector, C, energy):
    """Largest score over the colours, by SciPy, of carriers (channels, T)."""
    left = carriers @ projector
    gain, size = left @ C @ left.T, left @ left.T
    return eigh(gain, size + 0.02 * energy * np.eye(len(size)), eigvals_only=True)[-1]


def test_every_plane_wave_scores_as_brute_force():
    """Compare on all wave vectors of the grid, many phases, and all colours."""
    axes = Grid((4, 5), 3)
    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 60)) * np.geomspace(1, 0.1, 60)
    C = A @ A.T
    vectors = [(u / 2, v / 2) for u in range(-4, 4) for v in range(6)]
    phases = np.linspace(0, np.pi, 40, endpoint=False)
    projector = np.eye(60)
    selection = GreedySelection(moment(C), axes)
    for pick in selection.select(5):
        best = max(
            best_ratio(
                np.stack([plane_wave(axes, f, p, colour) for colour in np.eye(3)]),
                projector,
                C,
                energy=10,
            )
            for f in vectors
            for p in phases
        )
        assert pick.score > 0.995 * best
        ours = plane_wave(axes, pick.frequency.numpy(), pick.phase, pick.colour.numpy())
        assert scores(ours[None], projector, C, 20 * 0.02 / 60)[0] == pytest.approx(
            pick.score
        )
        left = ours @ projector
        projector = projector - np.outer(left, left) / (left @ left)


def test_the_best_wave_of_one_vector_is_that_of_the_grid():
    axes = Grid((4, 5), 3)
    A = np.random.default_rng(0).normal(size=(60, 60))
    selection = GreedySelection(moment(A @ A.T), axes)
    selection.select(3)
    pick = selection.best()
    alone = selection.best_at(pick.frequency)
    assert alone.score == pytest.approx(pick.score, rel=1e-6)
    wave, same = (
        plane_wave(axes, p.frequency.numpy(), p.phase, p.colour.numpy())
        for p in (pick, alone)
    )
    assert abs(wave @ same) == pytest.approx(wave @ wave, rel=1e-4)


def test_grey_plane_waves_are_a_basis():
    axes = Grid((4, 5))
    A = np.random.default_rng(0).normal(size=(20, 20))
    picks = GreedySelection(moment(A @ A.T), axes).select(20)
    S = np.stack(
        [plane_wave(axes, p.frequency.numpy(), p.phase, np.ones(1)) for p in picks]
    )
    assert np.linalg.cond(S) < 100


@pytest.mark.parametrize(("n_features", "n_atoms"), [(64, 20), (200, 40)])
def test_several_waves_a_search_are_as_good_as_one(n_features, n_atoms, monkeypatch):
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(100, n_features)), axis=1)
    C = moment(X.T @ X / np.trace(X.T @ X))

    def left():
        selection = GreedySelection(C)
        picks = selection.select(n_atoms)
        assert len(picks) == n_atoms
        return float(selection.power().sum()), picks

    several, picks = left()
    again, same = left()
    assert several == again
    assert all(
        torch.equal(a.frequency, b.frequency) for a, b in zip(picks, same, strict=True)
    )
    monkeypatch.setattr("skspectral.learning.selection._MAX_CANDIDATES", 1)
    single, _ = left()
    assert several <= 1.02 * single
