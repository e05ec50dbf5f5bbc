import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skspectral import MLPModulation, SpectralDictionaryLearning
from skspectral.modulation_curves import modulation_curves

FREQUENCY_TOO = MLPModulation(width=4, depth=1, modulated=("frequency", "amplitude"))


def smooth(shape, n=50):
    """Random walks along each axis."""
    X = np.random.default_rng(0).normal(size=(n, *shape))
    for axis in range(1, 1 + min(2, len(shape))):
        X = X.cumsum(axis=axis)
    return X.reshape(n, -1)


def fit(shape, atoms="sinusoid", **params):
    est = SpectralDictionaryLearning(
        4, signal_shape=shape, atoms=atoms, tol=0.1, random_state=0, **params
    )
    return est.fit(smooth(shape))


def rebuilt(est, curves):
    """The atoms from their public frequencies and their curves."""
    if est.atoms == "sinusoid":
        n = est.n_features_in_
        t = np.arange(n) / (est.sampling_rate or n)
        angle = 2 * np.pi * est.frequencies_[:, None] * t
        angle += curves.phase.reshape(-1, n)
        return curves.amplitude.reshape(-1, n) * np.sin(angle)
    sizes = est.signal_shape[:2]
    places = [
        index / (est.sampling_rate or size)
        for index, size in zip(np.indices(sizes), sizes, strict=True)
    ]
    angle = 2 * np.pi * np.tensordot(est.wave_vectors_, places, axes=1) + curves.phase
    wave = curves.amplitude * np.sin(angle)
    return (wave[..., None] * est.colors_[:, None, None]).reshape(len(wave), -1)


@pytest.mark.parametrize(
    ("shape", "atoms", "modulation", "rate"),
    [
        ((30,), "sinusoid", "basis", 8000.0),
        ((30,), "sinusoid", FREQUENCY_TOO, None),
        ((6, 5), "sinusoid", "basis", None),
        ((6, 5, 3), "sinusoid", "basis", 10.0),
        ((6, 5), "plane_wave", "basis", None),
        ((6, 5, 3), "plane_wave", "basis", 10.0),
        ((6, 5, 3), "plane_wave", MLPModulation(width=4, depth=1), None),
        ((1, 7), "plane_wave", None, None),
    ],
)
def test_atoms_rebuilt_from_their_curves(shape, atoms, modulation, rate):
    est = fit(shape, atoms, modulation=modulation, sampling_rate=rate)
    curves = modulation_curves(est)
    np.testing.assert_allclose(rebuilt(est, curves), est.components_, atol=1e-12)
    places = shape if atoms == "sinusoid" else shape[:2]
    assert {curve.shape for curve in curves} == {(4, *places)}
    # The root mean square of the amplitude curve is the public amplitude.
    power = np.mean(curves.amplitude.reshape(4, -1) ** 2, axis=1)
    np.testing.assert_allclose(np.sqrt(power), est.amplitudes_)


@pytest.mark.parametrize(
    ("shape", "atoms", "windows"),
    [
        ((30,), "sinusoid", 3),
        ((6, 5), "sinusoid", (2, 3)),
        ((6, 5, 3), "plane_wave", (3, 1)),
    ],
)
def test_windowed_atoms_rebuilt_from_their_curves(shape, atoms, windows):
    est = fit(shape, atoms, windows=windows)
    curves = modulation_curves(est)
    assert len(curves.phase) == len(est.components_) == 4 * np.prod(windows)
    np.testing.assert_allclose(rebuilt(est, curves), est.components_, atol=1e-12)


@pytest.mark.parametrize("rate", [None, 100.0])
@pytest.mark.parametrize(
    ("shape", "atoms"),
    [((30,), "sinusoid"), ((6, 5, 3), "sinusoid"), ((6, 5, 3), "plane_wave")],
)
def test_plain_waves_have_constant_curves(shape, atoms, rate):
    est = fit(shape, atoms, modulation=None, sampling_rate=rate)
    curves = modulation_curves(est)
    public = est.amplitudes_, est.frequencies_, est.phases_
    for curve, value in zip(curves, public, strict=True):
        expected = np.broadcast_to(value, curve.shape[::-1]).T
        np.testing.assert_allclose(curve, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("rate", [None, 500.0])
def test_a_known_chirp(rate):
    n = 256
    t = np.arange(n) / n
    amplitude = 1 + 0.4 * np.cos(2 * np.pi * t)
    phase = 0.7 + 0.9 * np.sin(2 * np.pi * t)
    frequency = 20 + 0.9 * np.cos(2 * np.pi * t)
    signal = amplitude * np.sin(2 * np.pi * 20 * t + phase)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1)) * signal + 0.01 * rng.normal(size=(50, n))
    est = SpectralDictionaryLearning(1, sampling_rate=rate)
    curves = modulation_curves(est.fit(X))
    unit = 1 if rate is None else rate / n
    norm = np.linalg.norm(signal)
    np.testing.assert_allclose(curves.amplitude[0], amplitude / norm, rtol=0.02)
    np.testing.assert_allclose(curves.frequency[0], frequency * unit, rtol=0.005)


def test_frequency_is_the_derivative_of_the_angle():
    est = fit((40,), modulation="basis")
    _, frequency, phase = modulation_curves(est)
    turns = est.frequencies_[:, None] * np.arange(40) / 40 + phase / (2 * np.pi)
    # A central difference is the mean of the left and the right difference.
    steps = 40 * np.diff(turns, axis=1)
    np.testing.assert_allclose(
        frequency[:, 1:-1], (steps[:, 1:] + steps[:, :-1]) / 2, atol=1e-9
    )


def test_local_wave_vectors_of_plane_waves():
    est = fit((7, 5), "plane_wave", sampling_rate=2.0)
    _, frequency, phase = modulation_curves(est)
    # One unit of length is two samples.
    down = (phase[:, 2:, 1:-1] - phase[:, :-2, 1:-1]) / (2 * np.pi)
    right = (phase[:, 1:-1, 2:] - phase[:, 1:-1, :-2]) / (2 * np.pi)
    local = est.wave_vectors_.T[:, :, None, None] + np.stack([down, right])
    inner = frequency[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, np.linalg.norm(local, axis=0), atol=1e-9)
    assert np.ptp(inner, axis=(1, 2)).max() > 0.01


def test_phase_is_near_the_public_one_and_has_no_jumps():
    est = fit((60,), modulation="basis")
    phase = modulation_curves(est).phase
    assert np.abs(np.diff(phase, axis=1)).max() < np.pi
    assert np.abs(phase.mean(axis=1) - est.phases_).max() <= np.pi


def test_parameters_that_are_changed_after_fit_do_not_matter():
    est = fit((30,))
    before = modulation_curves(est)
    est.set_params(modulation=None, signal_shape=(5, 6), windows=3)
    for curve, again in zip(before, modulation_curves(est), strict=True):
        np.testing.assert_array_equal(curve, again)


def test_unfitted():
    with pytest.raises(NotFittedError):
        modulation_curves(SpectralDictionaryLearning())
