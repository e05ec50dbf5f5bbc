"""Standard errors of atoms: formulas, simulations, atoms that are not identified."""

import numpy as np
import pytest
from scipy.signal import lfilter

from skspectral import MLPModulation, SpectralDictionaryLearning
from skspectral.atoms import PlaneWave
from skspectral.datasets import make_tones

T = 60
FREQUENCIES, PHASES = np.array([5.3, 12.6]), np.array([0.4, 1.3])


def atoms(frequencies=FREQUENCIES, phases=PHASES):
    time = np.arange(T) / T
    return np.sin(2 * np.pi * frequencies[:, None] * time + phases[:, None])


def signals(n, seed, power=(1.0, 1.0), noise=1.0, memory=0.0):
    """Return rows of two tones with random codes, in white or red noise."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(n, 2)) * power
    errors = rng.normal(size=(n, T + 50))
    errors = lfilter([np.sqrt(1 - memory**2)], [1, -memory], errors)[:, 50:]
    return codes @ atoms() + noise * errors


def fitted(X, n_components=2, **params):
    params = {"modulation": None, "tol": 1e-9, "random_state": 0} | params
    return SpectralDictionaryLearning(n_components, **params).fit(X)


def deviations(make, n_simulations, covariance, **params):
    """Return errors of frequencies and phases, divided by standard errors."""
    found = []
    for seed in range(n_simulations):
        est = fitted(make(seed), **params)
        order = np.argsort(est.frequencies_)
        errors = est.standard_errors(covariance=covariance)
        change = est.phases_[order] - PHASES
        change -= np.pi * np.round(change / np.pi)
        found.append(
            [
                (est.frequencies_[order] - FREQUENCIES) / errors.frequencies[order],
                change / errors.phases[order],
            ]
        )
    return np.array(found)


def test_errors_are_those_of_nonlinear_least_squares():
    # With almost no noise, the codes are known, and the errors are those of ordinary
    # nonlinear least squares with these codes, by derivatives from differences.
    X = signals(30, 0, noise=0.01)
    est = fitted(X, center=False)
    order = np.argsort(est.frequencies_)
    S = atoms()
    codes = np.linalg.lstsq(S.T, X.T, rcond=None)[0].T
    columns = []
    for i in range(2):
        for part in range(2):
            step = np.zeros((2, 2))
            step[part, i] = 1e-5
            ends = [
                atoms(FREQUENCIES + sign * step[0], PHASES + sign * step[1])
                for sign in (-1, 1)
            ]
            columns.append((codes @ (ends[1] - ends[0]) / 2e-5).ravel())
        for row in np.eye(len(X)):
            columns.append(np.outer(row, S[i]).ravel())
    J = np.stack(columns, axis=1)
    residual = X - codes @ S
    variance = (residual**2).sum() / (X.size - J.shape[1])
    expected = np.linalg.inv(J.T @ J) * variance
    keep = [0, 1, 2 + len(X), 3 + len(X)]
    found = est.param_covariance(order)
    np.testing.assert_allclose(found, expected[np.ix_(keep, keep)], rtol=0.03)


@pytest.mark.parametrize("covariance", ["white", "robust"])
def test_errors_are_those_of_simulations(covariance):
    found = deviations(lambda seed: signals(100, seed, (1.0, 0.5)), 60, covariance)
    assert (found.std(0) > 0.75).all()
    assert (found.std(0) < 1.3).all()


def test_robust_errors_hold_in_red_noise():
    def make(seed):
        return signals(100, seed, memory=0.6)

    white = deviations(make, 50, "white").std(0)
    robust = deviations(make, 50, "robust").std(0)
    # Red noise is stronger than white noise at the lower frequency.
    assert white[0, 0] > 1.15
    assert white[0, 1] < 0.9
    assert (robust > 0.75).all()
    assert (robust < 1.35).all()


def test_errors_follow_the_number_of_rows_and_the_units():
    X = signals(2000, 0)
    whole, part = fitted(X), fitted(X[:500])
    ratio = part.frequencies_std_ / whole.frequencies_std_
    np.testing.assert_allclose(ratio, 2, rtol=0.15)
    scaled = fitted(1e3 * X, sampling_rate=50)
    np.testing.assert_allclose(
        scaled.frequencies_std_, 50 / T * whole.frequencies_std_, rtol=1e-5
    )
    np.testing.assert_allclose(scaled.phases_std_, whole.phases_std_, rtol=1e-5)
    robust = whole.standard_errors(covariance="robust")
    np.testing.assert_allclose(robust.frequencies, whole.frequencies_std_, rtol=0.1)


def test_joint_covariance_has_the_squared_errors_on_its_diagonal():
    est = fitted(signals(100, 0))
    matrix = est.param_covariance()
    errors = np.stack([est.frequencies_std_, est.phases_std_], axis=1).ravel()
    np.testing.assert_allclose(np.sqrt(matrix.diagonal()), errors, rtol=1e-6)
    np.testing.assert_allclose(matrix, matrix.T)
    assert (np.linalg.eigvalsh(matrix) > 0).all()
    np.testing.assert_array_equal(est.param_covariance([1]), matrix[2:, 2:])
    swapped = est.param_covariance([1, 0])
    np.testing.assert_array_equal(swapped[:2, 2:], matrix[2:, :2])


def test_waves_of_images_have_errors_of_vectors():
    y, x = np.mgrid[:10, :10] / 10
    vectors = np.array([[1.3, 2.2], [3.1, -1.4]])
    waves = [np.sin(2 * np.pi * (u * y + v * x) + 0.5).ravel() for u, v in vectors]
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(100, 2)) @ waves + rng.normal(size=(100, 100))
        est = fitted(X, signal_shape=(10, 10), atoms="plane_wave")
        order = [np.abs(est.wave_vectors_ - v).sum(1).argmin() for v in vectors]
        change = est.wave_vectors_[order] - vectors
        found.append((change / est.wave_vectors_std_[order]).ravel())
    assert (np.std(found, axis=0) > 0.7).all()
    assert (np.std(found, axis=0) < 1.4).all()
    errors = est.standard_errors()
    assert errors.orientations.shape == (2,)
    # The variance of the length is that of the vector along itself.
    C = est.param_covariance([order[0]])[:2, :2]
    along = est.wave_vectors_[order[0]] / est.frequencies_[order[0]]
    np.testing.assert_allclose(
        errors.frequencies[order[0]], np.sqrt(along @ C @ along), rtol=1e-4
    )


@pytest.mark.parametrize("patterns", ["real", "complex"])
def test_patterns_have_errors(patterns):
    rng = np.random.default_rng(0)
    wave = atoms()[0]
    X = rng.normal(size=(200, 1)) * np.concatenate([wave, 0.5 * wave])
    X += 0.1 * rng.normal(size=X.shape)
    X = X.reshape(200, 2, T).swapaxes(1, 2).reshape(200, -1)
    est = fitted(X, 1, signal_shape=(T, 2), channel_axis=1, atoms=PlaneWave(patterns))
    errors = est.standard_errors()
    assert errors.is_identified.all()
    assert errors.frequencies < 0.01
    if patterns == "real":
        assert errors.patterns.shape == (1, 2)
        assert (
            np.abs(est.patterns_ - [[2, 1] / np.sqrt(5)]) < 5 * errors.patterns
        ).all()


def test_atoms_of_noise_and_constants_are_not_identified():
    X = signals(200, 0, noise=0.5)
    X += 2 * np.random.default_rng(1).normal(size=(200, 1))
    est = fitted(X, 3)
    errors = est.standard_errors()
    is_constant = est.frequencies_ < 1e-3
    assert is_constant.sum() == 1
    np.testing.assert_array_equal(errors.is_identified, ~is_constant)
    assert np.isinf(errors.phases[is_constant] + errors.frequencies[is_constant]).all()
    matrix = est.param_covariance()
    is_free = np.isinf(matrix.diagonal())
    assert np.isnan(matrix[is_free][:, ~is_free]).all()
    assert np.isfinite(matrix[~is_free][:, ~is_free]).all()
    noise = fitted(np.random.default_rng(0).normal(size=(200, T)), 3)
    assert not noise.standard_errors().is_identified.all()


def test_modulated_atoms_have_errors():
    X, _ = make_tones(300, T, noise=0.1, random_state=0)
    est = fitted(X, 3, modulation="basis", max_iter=300, tol=1e-6)
    errors = est.standard_errors()
    assert (errors.frequencies > 0).all()
    assert (errors.amplitudes > 0).all()


def test_errors_are_refused_where_there_are_none():
    X = signals(60, 0)
    with pytest.raises(ValueError, match="covariance"):
        fitted(X).standard_errors(covariance="red")
    with pytest.raises(ValueError, match=r"atoms=.* must be indices from 0 to 1"):
        fitted(X).param_covariance([2])
    with pytest.raises(AttributeError, match="keep_moments"):
        fitted(X, keep_moments=False).standard_errors()
    assert not hasattr(SpectralDictionaryLearning(), "frequencies_std_")
    assert not hasattr(fitted(X), "wave_vectors_std_")
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    for reason, est in {
        "windows": fitted(X, windows=2),
        "share parameters": fitted(X, modulation=MLPModulation(), max_iter=3, tol=0.5),
        "sparse codes": fitted(X, alpha=0.1),
        "spectral loss": fitted(X, stft_weight=0.1, stft_window=16),
        "gaps": fitted(gaps),
    }.items():
        assert not hasattr(est, "frequencies_std_")
        with pytest.raises(ValueError, match=reason):
            est.standard_errors()
