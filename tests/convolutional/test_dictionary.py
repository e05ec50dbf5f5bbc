"""The estimator for short atoms that stand anywhere."""

import pickle

import numpy as np
import pytest
import scipy.sparse

from skspectral import BasisModulation, MLPModulation
from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.plotting import EventDisplay


def pulses(n_times=6000, n_atoms=2, length=48, n_channels=1, noise=0.02, seed=0):
    """Return a recording, Gabor atoms, and the starts of their events."""
    rng = np.random.default_rng(seed)
    t = np.arange(length) - (length - 1) / 2
    atoms, starts = [], []
    signal = noise * rng.normal(size=(n_channels, n_times))
    for k in range(n_atoms):
        wave = np.exp(-((t / (7 + 2 * k)) ** 2) / 2)
        wave = wave * np.sin(2 * np.pi * (0.08 + 0.1 * k) * t + rng.uniform(0, 6))
        pattern = (
            rng.normal(size=(n_channels, 1)) if n_channels > 1 else np.ones((1, 1))
        )
        atom = pattern * wave
        atom /= np.linalg.norm(atom)
        # Events of one atom are at least 24 samples apart, and overlap those of others.
        slots = rng.choice((n_times - length) // 24, n_times // 100, replace=False)
        for start in slots * 24:
            signal[:, start : start + length] += rng.uniform(0.7, 1.5) * atom
        atoms.append(atom)
        starts.append(np.sort(slots * 24))
    return signal, np.array(atoms), starts


def likeness(found, atom):
    """Return the largest cosine of two atoms over all shifts, and the shift."""
    products = sum(np.correlate(a, b, "full") for a, b in zip(found, atom, strict=True))
    return products.max(), products.argmax() - (atom.shape[1] - 1)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("kind", ["gabor", "auto"])
def test_atoms_and_events_are_found(n_channels, kind):
    signal, atoms, starts = pulses(n_channels=n_channels)
    est = ConvolutionalSpectralDictionary(2, n_times_atom=48, atoms=kind)
    est.fit(signal[None] if n_channels > 1 else signal)
    shape = (48,) if n_channels == 1 else (n_channels, 48)
    assert est.components_.shape == (2, *shape)
    recording = [signal]
    events = est.find_events(recording, min_distance=12)
    for atom, true in zip(atoms, starts, strict=True):
        pairs = [likeness(found.reshape(atom.shape), atom) for found in est.components_]
        best = int(np.argmax([cosine for cosine, _ in pairs]))
        cosine, shift = pairs[best]
        assert cosine > 0.98
        found = np.sort(events["start"][events["atom"] == best] + shift)
        near = np.abs(found[:, None] - true).min(0) <= 3
        assert 2 * near.sum() / (len(found) + len(true)) > 0.95
    assert (np.diff(est.losses_) <= 1e-12).all()
    assert est.score(recording) > 0.9
    # The penalty makes activations smaller, so that a part of the events remains.
    assert 0.02**2 < est.noise_variance_ < 4 * 0.02**2
    if n_channels > 1:
        np.testing.assert_allclose(np.linalg.norm(est.patterns_, axis=1), 1)


def test_phases_and_frequencies_are_those_of_the_atoms():
    signal, _, _ = pulses()
    est = ConvolutionalSpectralDictionary(
        2, n_times_atom=48, atoms="sinusoid", modulation=None, sampling_rate=48.0
    ).fit(signal)
    t = np.arange(48) / 48
    waves = np.sin(2 * np.pi * est.frequencies_[:, None] * t + est.phases_[:, None])
    np.testing.assert_allclose(
        est.amplitudes_[:, None] * waves, est.components_, atol=1e-6
    )


def test_activations_of_arrays_and_lists():
    signal, _, _ = pulses(n_times=1200)
    est = ConvolutionalSpectralDictionary(2, n_times_atom=48, reg=0.3)
    X = np.concatenate([signal, signal[:, ::-1]])
    codes = est.fit(X).transform(X)
    assert scipy.sparse.issparse(codes)
    assert codes.shape == (2, 2 * (1200 - 47))
    assert len(est.get_feature_names_out()) == codes.shape[1]
    back = est.inverse_transform(codes)
    assert back.shape == X.shape
    explained = 1 - ((X - back) ** 2).sum() / ((X - est.mean_) ** 2).sum()
    assert est.score(X) == pytest.approx(explained)
    np.testing.assert_allclose(est.inverse_transform(codes.toarray()), back)
    parts = est.transform([X[0], X[1, :700]])
    assert [part.shape for part in parts] == [(2, 1153), (2, 653)]
    np.testing.assert_allclose(
        parts[0].toarray().ravel(), codes[[0]].toarray().ravel(), atol=1e-3
    )
    signals = est.inverse_transform(parts)
    assert [part.shape for part in signals] == [(1200,), (700,)]
    half = est.transform(X.astype(np.float32))
    assert half.dtype == np.float32
    single = est.find_events([X[0]])
    assert (single["recording"] == 0).all()
    both = est.find_events(X)
    assert (np.diff(both["recording"]) >= 0).all()
    assert np.abs(both["amplitude"]).min() > 0.25 * est.event_scales_.min()


def test_three_axes_are_recordings_with_channels():
    signal, _, _ = pulses(n_times=1500, n_channels=2)
    X = np.stack([signal[:, :700], signal[:, 700:1400]])
    est = ConvolutionalSpectralDictionary(1, n_times_atom=48, reg=0.3).fit(X)
    codes = est.transform(X)
    assert codes.shape == (2, 700 - 47)
    assert est.inverse_transform(codes).shape == X.shape
    with pytest.raises(ValueError, match="1 and 2 channels"):
        est.transform([signal[0]])


def test_partial_fit_adds_the_sums_of_further_recordings():
    signal, _, _ = pulses(n_times=6000)
    est = ConvolutionalSpectralDictionary(2, n_times_atom=48)
    for start in (0, 2000, 4000):
        est.partial_fit([signal[:, start : start + 2000]])
        assert est.moments_.n_times == start + 2000
    whole = ConvolutionalSpectralDictionary(2, n_times_atom=48).fit([signal])
    for atom in whole.components_:
        cosines = [likeness(atom[None], own[None])[0] for own in est.components_]
        assert max(cosines) > 0.98
    with pytest.raises(ValueError, match="differs from the 2 atoms"):
        est.set_params(n_components=3).partial_fit([signal])


def test_a_fit_is_its_pickle():
    signal, _, _ = pulses(n_times=1500)
    est = ConvolutionalSpectralDictionary(1, n_times_atom=48).fit(signal)
    back = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(
        back.transform(signal).toarray(), est.transform(signal).toarray()
    )
    # A fit continues from its pickle as from itself.
    np.testing.assert_array_equal(
        back.partial_fit([signal]).components_, est.partial_fit([signal]).components_
    )


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.ones((1, 100)), {}, "are constant"),
        (np.eye(40), {"n_times_atom": 50}, "fewer than the 50 samples of an atom"),
        ([np.ones((1, 2, 30))], {}, "recording 0 of X has 3 axes"),
        ([np.ones(30), np.full(30, np.inf)], {}, "contains infinity"),
        (np.full((2, 50), np.nan), {}, "are constant"),
        (np.eye(40), {"n_times_atom": 1}, "n_times_atom"),
        (np.eye(40), {"reg": 1.0}, "reg"),
        (np.eye(40), {"modulation": MLPModulation()}, "common parameters"),
    ],
)
def test_what_cannot_be_learned(X, options, message):
    with pytest.raises(ValueError, match=message):
        ConvolutionalSpectralDictionary(**options).fit(X)


def test_wrong_activations():
    signal, _, _ = pulses(n_times=1500)
    est = ConvolutionalSpectralDictionary(2, n_times_atom=48, reg=0.3).fit(signal)
    with pytest.raises(ValueError, match="do not belong to 2 atoms"):
        est.inverse_transform(np.ones((1, 7)))
    with pytest.raises(ValueError, match="min_distance"):
        est.find_events(signal, min_distance=-1)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_display(n_channels):
    signal, _, _ = pulses(n_times=1500, n_channels=n_channels)
    est = ConvolutionalSpectralDictionary(
        2,
        n_times_atom=48,
        sampling_rate=100.0,
        reg=0.3,
        modulation=BasisModulation(order=1),
    ).fit([signal])
    display = EventDisplay.from_estimator(est, signal, start=2.0, duration=5.0)
    display.figure_.canvas.draw()
    assert display.excerpt.shape == (n_channels, 500)
    assert display.times[0] == pytest.approx(2.0)
    assert (display.events["time"] >= 2.0).all()
    assert len(display.panels_) == 4
    with pytest.raises(ValueError, match="select the samples"):
        EventDisplay.from_estimator(est, signal, start=14.9)


def test_missing_samples():
    signal, atoms, _ = pulses(n_times=4000, n_atoms=1)
    hidden = signal.copy()
    rng = np.random.default_rng(0)
    hidden[:, rng.random(4000) < 0.1] = np.nan
    for start in range(300, 3900, 500):
        hidden[:, start : start + 15] = np.nan
    est = ConvolutionalSpectralDictionary(1, n_times_atom=48, reg=0.05).fit(hidden)
    assert likeness(est.components_, atoms[0])[0] > 0.98
    (filled,) = est.inverse_transform(est.transform([hidden]))
    gaps = np.isnan(hidden[0])
    error = ((filled - signal[0])[gaps] ** 2).mean()
    assert error < 0.15 * (signal[0][gaps] ** 2).mean()
    assert est.score([hidden]) > 0.9
    assert (np.diff(est.losses_) <= 1e-9).all()
