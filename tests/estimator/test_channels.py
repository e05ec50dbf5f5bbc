"""Signals with several channels, volumes and videos."""

import math

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning
from skspectral.atom_names import atom_names
from skspectral.atoms import Chirp, Gabor, PlaneWave, Sinusoid, check_atom_family
from skspectral.control import filter as filter_band
from skspectral.grid import Grid
from skspectral.modulation_curves import modulation_curves
from skspectral.priors import DiffusionPrior, GaussianMixture, LocalContrastPrior

# Shape and axis of the channels.
LAYOUTS = [
    ((3, 20), 0),
    ((20, 3), -1),
    ((4, 5, 6), None),
    ((3, 4, 5), 0),
    ((4, 3, 5), 1),
    ((3, 4, 5, 2), "auto"),
    ((2, 3, 4, 5), 0),
]


def waves(shape, n=80, seed=0):
    """Smooth random signals, of shape (n, *shape)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, *shape))
    for axis in range(1, X.ndim):
        X = X.cumsum(axis=axis)
    return X


def learn(shape, channel_axis, X=None, n_components=6, **options):
    X = waves(shape) if X is None else X
    return SpectralDictionaryLearning(
        n_components,
        signal_shape=shape,
        channel_axis=channel_axis,
        random_state=0,
        **options,
    ).fit(X)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_views_of_the_grid_are_those_of_numpy(shape, axis):
    grid = Grid.of(shape, math.prod(shape), channel_axis=axis)
    rows = np.random.default_rng(0).normal(size=(2, math.prod(shape)))
    whole = rows.reshape(2, *shape)
    at = grid.index_of_channels
    expected = whole[:, None] if at is None else np.moveaxis(whole, 1 + at, 1)
    np.testing.assert_array_equal(grid.signals(rows), expected)
    np.testing.assert_array_equal(grid.rows(expected), rows)
    np.testing.assert_array_equal(grid.first_channel(rows), expected[:, 0])
    values = expected[:, 0].reshape(2, -1)
    spread = grid.signals(grid.spread(values))
    np.testing.assert_array_equal(
        spread, np.broadcast_to(expected[:, :1], spread.shape)
    )
    for index in (0, 7, rows.shape[1] - 1):
        place, channel = grid.place_and_channel(index)
        np.testing.assert_array_equal(expected[:, channel, *place], rows[:, index])
    assert grid.shape == shape


@pytest.mark.parametrize("family", [PlaneWave(), PlaneWave("complex"), Gabor()])
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_families_in_all_layouts(family, shape, axis):
    check_atom_family(family, shape, channel_axis=axis, sampling_rate=8.0)


@pytest.mark.parametrize("family", [Sinusoid(), Chirp()])
def test_families_along_the_flattened_signal(family):
    check_atom_family(family, (3, 20), channel_axis=0)


@pytest.mark.parametrize("second_moment", ["dense", "factor", "sketch"])
@pytest.mark.parametrize("shrinkage", [None, "auto", 0.5])
@pytest.mark.parametrize("sizes", [(20,), (4, 5), (3, 4, 2)])
def test_the_axis_of_the_channels_does_not_matter(sizes, shrinkage, second_moment):
    options = {
        "shrinkage": shrinkage,
        "second_moment": second_moment,
        "sketch_size": 10,
        "modulation": None,
    }
    X = waves((3, *sizes), 40)
    first = learn((3, *sizes), 0, X, **options)
    last = learn((*sizes, 3), -1, np.moveaxis(X, 1, -1), **options)
    atoms = first.components_.reshape(-1, 3, *sizes)
    atoms = np.moveaxis(atoms, 1, -1).reshape(len(atoms), -1)
    np.testing.assert_allclose(atoms, last.components_, atol=1e-6)
    assert first.frequencies_ == pytest.approx(last.frequencies_)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_atoms_are_waves_with_a_pattern(shape, axis):
    est = learn(shape, axis, modulation=None)
    grid = est.model_.grid
    places = np.indices(grid.sizes).reshape(grid.n_axes, -1)
    places = places / np.array(grid.sizes)[:, None]
    vectors = est.frequencies_[:, None] if grid.n_axes == 1 else est.wave_vectors_
    wave = np.sin(2 * np.pi * vectors @ places + est.phases_[:, None])
    wave *= est.amplitudes_[:, None] * math.sqrt(2)
    pattern = np.ones((len(wave), 1))
    if grid.channels > 1:
        pattern = est.colors_ if grid.is_image else est.patterns_
    expected = pattern[:, :, None] * wave[:, None]
    expected *= np.linalg.norm(expected, axis=(1, 2), keepdims=True) ** -1
    found = grid.signals(est.components_).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_signals_with_their_axes_are_rows(shape, axis):
    X = waves(shape)
    est, rows = learn(shape, axis, X), X.reshape(len(X), -1)
    again = learn(shape, axis, rows)
    np.testing.assert_array_equal(est.components_, again.components_)
    np.testing.assert_array_equal(est.transform(X), est.transform(rows))
    assert est.score(X) == est.score(rows)
    assert est.inverse_transform(est.transform(X)).shape == rows.shape
    clean = est.denoise(X, noise_std=1.0)
    np.testing.assert_array_equal(
        clean.reshape(rows.shape), est.denoise(rows, noise_std=1.0)
    )
    assert clean.shape == X.shape
    gaps = X.copy()
    gaps[0].flat[3] = np.nan
    filled, std = est.impute(gaps, return_std=True)
    assert filled.shape == std.shape == X.shape
    assert est.sample_posterior(gaps, 2).shape == (2, *X.shape)
    later = est.partial_fit(X[:5])
    assert later.n_samples_seen_ == len(X) + 5


def test_other_axes_are_refused():
    est = learn((3, 20), 0)
    for X in (waves((20, 3)), waves((2, 3, 20))):
        with pytest.raises(ValueError, match="axes of signal_shape"):
            est.transform(X)


def test_one_channel_is_that_without_channels():
    X = waves((20,))
    plain = SpectralDictionaryLearning(5, random_state=0).fit(X)
    one = learn((1, 20), 0, X, 5)
    np.testing.assert_allclose(one.components_, plain.components_, atol=1e-9)
    assert not hasattr(one, "patterns_")


def test_rates_of_each_axis_are_units_of_the_wave_vectors():
    shape = (4, 5, 6, 2)
    X = waves(shape)
    plain = learn(shape, -1, X)
    rated = learn(shape, -1, X, sampling_rate=(25.0, 5.0, 6.0))
    units = np.array([25.0 / 4, 1, 1])
    np.testing.assert_allclose(rated.wave_vectors_, plain.wave_vectors_ * units)
    assert rated.frequencies_ == pytest.approx(
        np.linalg.norm(rated.wave_vectors_, axis=1)
    )
    same = learn(shape, -1, X, sampling_rate=[2.0, 2.0, 2.0])
    assert same.model_.grid.sampling_rate == 2.0


def sources(n, patterns, frequencies, rng, snr=10.0, length=128):
    """Waves that reach the channels one after the other, with noise at ``snr`` dB."""
    t = np.arange(length) / length
    X = np.zeros((n, patterns.shape[1], length))
    for pattern, f in zip(patterns, frequencies, strict=True):
        phase = rng.uniform(0, 2 * np.pi, n)[:, None, None]
        size = rng.rayleigh(size=n)[:, None, None]
        X += size * np.imag(pattern[:, None] * np.exp(1j * (2 * np.pi * f * t + phase)))
    noise = np.sqrt((X**2).mean() / 10 ** (snr / 10))
    return X + noise * rng.normal(size=X.shape)


def test_travelling_waves_are_recovered():
    """Two sources with known delays, at 10 dB; two atoms for the phases of each."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(2, 5)) * np.exp(1j * rng.uniform(0, 6, (2, 5)))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    X = sources(300, patterns, [7.3, 19.8], rng)
    est = learn((5, 128), 0, X, 4, atoms=PlaneWave(patterns="complex"), modulation=None)
    assert np.iscomplexobj(est.patterns_)
    for pattern, f in zip(patterns, [7.3, 19.8], strict=True):
        near = np.abs(est.frequencies_ - f) < 0.02
        assert near.sum() == 2
        cosines = np.abs(est.patterns_[near] @ pattern.conj())
        assert cosines.min() > 0.99
    t = np.arange(128) / 128
    angle = 2 * np.pi * est.frequencies_[:, None] * t + est.phases_[:, None]
    atoms = np.imag(est.patterns_[:, :, None] * np.exp(1j * angle[:, None]))
    atoms /= np.linalg.norm(atoms, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(atoms.reshape(4, -1), est.components_, atol=1e-6)
    real = learn((5, 128), 0, X, 4, modulation=None)
    ours, theirs = (e.explained_variance_ratio_.sum() for e in (est, real))
    assert ours > theirs + 0.05


def test_standing_waves_are_recovered():
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(3, 8))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    X = sources(200, patterns, [3.2, 11.0, 30.7], rng)
    est = learn((8, 128), 0, X, 6, modulation=None)
    for pattern, f in zip(patterns, [3.2, 11.0, 30.7], strict=True):
        near = np.abs(est.frequencies_ - f) < 0.05
        assert near.sum() == 2
        assert np.abs(est.patterns_[near] @ pattern).min() > 0.99


def test_patterns_need_a_known_kind():
    with pytest.raises(ValueError, match="must be 'real' or 'complex'"):
        learn((3, 20), 0, atoms=PlaneWave("polar"))


@pytest.mark.parametrize("modulation", ["basis", "mlp"])
def test_modulated_complex_patterns(modulation):
    est = learn(
        (3, 20),
        0,
        atoms=PlaneWave("complex"),
        modulation=modulation,
        max_iter=3,
        tol=1.0,
    )
    norms = np.linalg.norm(est.patterns_, axis=1)
    np.testing.assert_allclose(norms, 1)
    assert modulation_curves(est).phase.shape == (6, 20)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_what_is_around_the_estimator(shape, axis):
    est = learn(shape, axis)
    grid = est.model_.grid
    assert modulation_curves(est).phase.shape == (6, *grid.sizes)
    assert len(set(est.get_feature_names_out())) == len(atom_names(est)) == 6
    X = waves(shape).reshape(80, -1)
    assert filter_band(est, X, 0.0, 1.0).shape == X.shape
    windowed = learn(shape, axis, windows=2, n_components=3)
    assert windowed.window_centers_.shape[1] == grid.n_axes


def test_names_of_features_contain_the_channel():
    est = learn((3, 20), 0)
    strongest = np.abs(est.patterns_).argmax(axis=1)
    for name, channel in zip(est.get_feature_names_out(), strongest, strict=True):
        assert name.endswith(f"_channel{channel}")


@pytest.mark.parametrize(("shape", "axis"), [((2, 16), 0), ((3, 6, 6), 0)])
def test_priors_that_use_positions(shape, axis):
    """Priors see the channels on the last axis, so that the results are equal."""
    at_end = (*shape[1:], shape[0])
    X = waves(shape, 60)
    moved = np.moveaxis(X, 1, -1)
    for prior in (
        LocalContrastPrior(n_details=20),
        DiffusionPrior(max_images=100, width=8, random_state=0),
        GaussianMixture(2, random_state=0),
    ):
        first = learn(shape, axis, X, prior=prior).sample(3, random_state=0)
        last = learn(at_end, -1, moved, prior=prior).sample(3, random_state=0)
        expected = np.moveaxis(last.reshape(3, *at_end), -1, 1).reshape(3, -1)
        np.testing.assert_allclose(first, expected, atol=1e-3 * np.abs(last).max())


def test_volumes_take_a_diffusion_prior_of_codes():
    est = learn((3, 4, 5), None, prior=DiffusionPrior(max_images=100, random_state=0))
    assert est.sample(2).shape == (2, 60)


def test_channels_in_a_pipeline():
    X = waves((3, 20)).reshape(80, -1)
    model = SpectralDictionaryLearning(4, signal_shape=(3, 20), channel_axis=0)
    pipeline = make_pipeline(StandardScaler(), model)
    assert pipeline.fit_transform(X).shape == (80, 4)
