"""False-alarm probabilities: the formula, noise of several spectra, real tones."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianPrior
from skspectral.significance import largest_of_two

T = 64


def noise(n, seed, memory=0.0):
    white = np.random.default_rng(seed).normal(size=(n, T + 60))
    return lfilter([1], [1, -memory], white)[:, 60:]


def tone(frequency):
    return np.sin(2 * np.pi * frequency * np.arange(T) / T + 0.3)


def fitted(X, n_components=1, **params):
    params = {"modulation": None, "prior": GaussianPrior(), "random_state": 0} | params
    return SpectralDictionaryLearning(n_components, **params).fit(X)


@pytest.mark.parametrize("n", [2, 3, 40])
def test_largest_eigenvalue_of_a_wishart_matrix(n):
    A = np.random.default_rng(0).normal(size=(4000, 2, n))
    largest = np.linalg.eigvalsh(A @ A.swapaxes(1, 2))[:, 1]
    assert kstest(largest_of_two(largest, n), "uniform").pvalue > 0.001


def test_large_numbers_of_rows_do_not_overflow():
    n = 1e9
    found = largest_of_two(np.array([0.0, n, n + 1e6, 2 * n]), n)
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 0).all()
    assert found[0] > 0.99
    assert found[-1] == 0


@pytest.mark.parametrize(
    ("memory", "kind", "most"), [(0.0, "white", 0.15), (0.7, "red", 0.15)]
)
def test_noise_is_seldom_significant(memory, kind, most):
    found = [
        fitted(noise(30, seed, memory)).false_alarm_probability(noise=kind)[0]
        for seed in range(80)
    ]
    assert np.mean(np.array(found) < 0.05) <= most
    assert np.median(found) > 0.2


def test_peaks_of_red_noise_are_significant_beside_white_noise():
    est = fitted(noise(50, 0, 0.9))
    white, residual, red = (
        est.false_alarm_probability(noise=kind)[0]
        for kind in ("white", "residual", "red")
    )
    assert white < 1e-6
    assert red > 0.05
    assert residual > white


@pytest.mark.parametrize("kind", ["white", "residual", "red"])
@pytest.mark.parametrize("center", [True, False])
def test_tones_are_significant_and_extra_waves_are_not(kind, center):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(100, 2)) * [1.0, 0.6]
    X = codes @ [tone(6.3), tone(17.8)] + noise(100, 1)
    est = fitted(X, 4, center=center)
    found = est.false_alarm_probability(noise=kind)
    np.testing.assert_allclose(est.frequencies_[:2], [6.3, 17.8], atol=0.3)
    assert (found[:2] < 1e-6).all()
    assert (found[2:] > 0.02).all()


def test_of_two_atoms_that_share_a_tone_the_first_is_significant():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1)) * tone(5.3) + noise(50, 1)
    est = fitted(X, 2, init=np.array([5.0, 5.6]))
    assert np.abs(est.frequencies_ - 5.3).max() < 0.5
    found = est.false_alarm_probability()
    assert found[0] < 1e-6
    assert found[1] > 0.02


def test_waves_of_images_are_significant():
    y, x = np.mgrid[:8, :8] / 8
    wave = np.sin(2 * np.pi * (1.3 * y + 2.2 * x)).ravel()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1)) * wave + noise(100, 1)
    est = fitted(X, 2, signal_shape=(8, 8), atoms="plane_wave")
    for kind in ("white", "residual"):
        found = est.false_alarm_probability(noise=kind)
        assert found[0] < 1e-6
        assert found[1] > 0.01
    with pytest.raises(ValueError, match="one axis"):
        est.false_alarm_probability(noise="red")


def test_probability_does_not_depend_on_units():
    X = noise(30, 0)
    one, other = (fitted(scale * X).false_alarm_probability() for scale in (1, 1e4))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_probabilities_are_refused_where_there_are_none():
    X = noise(30, 0)
    with pytest.raises(ValueError, match="noise"):
        fitted(X).false_alarm_probability(noise="pink")
    with pytest.raises(ValueError, match="plain waves"):
        fitted(X, modulation="basis").false_alarm_probability()
    with pytest.raises(ValueError, match="windows"):
        fitted(X, windows=2).false_alarm_probability()
    with pytest.raises(AttributeError, match="keep_moments"):
        fitted(X, keep_moments=False).false_alarm_probability()
