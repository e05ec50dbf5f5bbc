"""The generalised Anscombe transform and its exact unbiased inverse."""

import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import norm, poisson

from skspectral.restoration.variance_stabilising import (
    PoissonGaussian,
    _mean_over_gaussian,
)

# Standard deviations of the Gaussian noise in counts.
RATIOS = [0.0, 0.03, 0.6, 1.0, 5.0, 100.0, 1000.0, 3000.0]
models = st.builds(
    PoissonGaussian, st.floats(1e-3, 1e3), st.sampled_from([0, 0.01, 1, 30, 1e3])
)
finite = st.floats(allow_nan=False, allow_infinity=False)


def moments(noise, x):
    """Mean and variance of stabilised values, by sums over a fine grid of noise."""
    counts = x / noise.gain
    n = np.arange(poisson.ppf(1e-15, counts), poisson.isf(1e-15, counts) + 1)
    z = np.linspace(-9, 9, 4001)
    weight = np.outer(poisson.pmf(n, counts), norm.pdf(z))
    weight /= weight.sum()
    d = noise.stabilise(noise.gain * n[:, None] + noise.sigma * z)
    mean = (weight * d).sum()
    return mean, (weight * (d - mean) ** 2).sum()


def rounding_error(noise):
    """The inverse subtracts sigma^2 / gain, and its rounding error remains."""
    return 1e-14 * noise.sigma**2 / noise.gain


# The inverse has no bias


@pytest.mark.parametrize("gain", [0.01, 2.0])
@pytest.mark.parametrize("ratio", RATIOS)
def test_inverse_of_the_mean_is_the_true_value(gain, ratio):
    noise = PoissonGaussian(gain, ratio * gain)
    x = gain * np.array([0.1, 0.3, 1, 3, 10, 100, 390, 399.9, 410, 1000, 1e4])
    means = np.array([moments(noise, one)[0] for one in x])
    assert_allclose(noise.inverse(means), x, rtol=2e-4)


def test_inverse_of_the_average_of_random_values():
    rng = np.random.default_rng(0)
    noise = PoissonGaussian(0.5, 0.4)
    x = np.array([0.1, 0.7, 5.0])
    shape = (400_000, 3)
    y = 0.5 * rng.poisson(x / 0.5, size=shape) + rng.normal(0, 0.4, size=shape)
    d = noise.stabilise(y)
    error = np.sqrt(noise.variance(x) / len(y))
    assert (np.abs(noise.inverse(d.mean(axis=0)) - x) < 4 * error).all()
    assert_allclose(noise.variance(x), y.var(axis=0), rtol=0.02)
    # The inverse of the formula is biased.
    algebraic = (d.mean(axis=0) / 2) ** 2 * 0.5 - 0.375 * 0.5 - 0.4**2 / 0.5
    assert (algebraic < x - 0.05).all()


@pytest.mark.parametrize("middle", [-0.2, 0.4, 1.0, 3.7, 50.0])
@pytest.mark.parametrize("ratio", [0.02, 0.5, 3.0])
def test_mean_over_gaussian_by_adaptive_quadrature(middle, ratio):
    def integrand(v):
        return 2 * np.sqrt(v) * norm.pdf(v, middle, ratio)

    low, high = max(middle - 12 * ratio, 0), middle + 12 * ratio
    if high <= 0:
        expected = 0.0
    else:
        near = [p for p in (middle - ratio, middle, middle + ratio) if low < p < high]
        expected, _ = quad(
            integrand, low, high, points=near, epsabs=1e-13, epsrel=1e-11, limit=500
        )
    found = _mean_over_gaussian(np.array([middle]), ratio)
    assert_allclose(found, [expected], rtol=1e-8, atol=1e-12)


# The variance is stabilised


@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_has_standard_deviation_one(ratio):
    noise = PoissonGaussian(3.0, 3.0 * ratio)
    for counts in (4, 10, 100, 2000):
        assert np.sqrt(moments(noise, 3.0 * counts)[1]) == pytest.approx(1, abs=0.03)


def test_poisson_noise_alone_is_the_transform_of_anscombe():
    y = np.arange(20.0)
    assert_allclose(PoissonGaussian(1.0).stabilise(y), 2 * np.sqrt(y + 3 / 8))


# Properties


@given(models, arrays(np.float64, 20, elements=finite))
def test_methods_are_monotone_and_never_nan(noise, values):
    values = np.sort(values)
    for method in (noise.stabilise, noise.inverse, noise.variance):
        found = method(values)
        assert not np.isnan(found).any()
        assert (found >= 0).all()
        assert (found[1:] >= found[:-1]).all()


@given(models, arrays(np.float64, 20, elements=st.floats(0, 1e5)))
def test_inverse_is_monotone_at_the_end_of_its_table(noise, d):
    ends = 2 * np.sqrt(400 + np.linspace(-1, 1, 50) + (noise.sigma / noise.gain) ** 2)
    found = noise.inverse(np.sort(np.append(d, ends)))
    assert (found[1:] - found[:-1] >= -1e-9 * found[1:]).all()


@given(models, st.floats(1e3, 1e6))
def test_round_trip_of_bright_values(noise, counts):
    """Noise and bias are negligible for bright pixels: the difference is gain / 4."""
    x = noise.gain * counts
    back = noise.inverse(noise.stabilise(np.array([x])))
    rounding = 1e-8 * x + rounding_error(noise)
    assert back[0] - x == pytest.approx(noise.gain / 4, rel=0.05, abs=rounding)


@given(models, st.floats(1e-3, 1e3), st.floats(0, 1e5))
def test_units_of_the_values_do_not_matter(noise, factor, y):
    other = PoissonGaussian(noise.gain * factor, noise.sigma * factor)
    y = y * noise.gain
    assert_allclose(other.stabilise(factor * y), noise.stabilise(y), rtol=1e-9)
    d = noise.stabilise(y)
    # The mean of f(y) is nearly constant where the noise hides the counts.
    atol = factor * (1e-7 * (noise.gain + y) + 10 * rounding_error(noise))
    assert_allclose(other.inverse(d), factor * noise.inverse(d), atol=atol)


# Arrays


@pytest.mark.parametrize("method", ["stabilise", "inverse", "variance"])
def test_shapes_types_and_missing_values(method):
    call = getattr(PoissonGaussian(0.5, 0.2), method)
    values = np.array([[-3.0, 0.0, np.nan], [1.0, 40.0, 1e4]])
    before = values.copy()
    found = call(values)
    assert_array_equal(values, before)
    assert found.shape == values.shape
    assert_array_equal(np.isnan(found), np.isnan(values))
    assert found.dtype == np.float64
    single = call(values.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, found, rtol=1e-5)
    whole = np.array([0, 1, 200], dtype=np.uint8)
    assert_array_equal(call(whole), call(whole.astype(np.float64)))
    assert call(whole).dtype == np.float64
    assert_array_equal(call([1.0, 2.0]), call(np.array([1.0, 2.0])))
    assert call(np.empty((0, 3))).shape == (0, 3)
    assert call(3.0).shape == ()
    assert_array_equal(call(np.array([-np.inf])), call(np.array([-1e9])))
    assert call(np.array([np.inf])) == np.inf


def test_dark_pixels_become_zero():
    noise = PoissonGaussian(2.0, 1.0)
    assert noise.inverse(0.0) == 0
    assert noise.inverse(moments(noise, 0.0)[0]) == pytest.approx(0, abs=1e-6)
    assert noise.stabilise(-100.0) == 0
    assert noise.variance(-5.0) == noise.variance(0.0) == 1


def test_models_are_values():
    noise = PoissonGaussian(2.0, 1.0)
    assert noise == PoissonGaussian(gain=2.0, sigma=1.0)
    assert {noise: 1}[PoissonGaussian(2.0, 1.0)] == 1
    with pytest.raises(FrozenInstanceError):
        noise.gain = 3.0


@pytest.mark.parametrize("ratio", [1e5, 1e8])
def test_practically_gaussian_noise(ratio):
    """The error of the inverse is far below the noise."""
    noise = PoissonGaussian(1.0, ratio)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = ratio * np.array([0.0, 1.0, 5.0])
        found = noise.inverse(noise.stabilise(x))
    assert_allclose(found, x, atol=1e-4 * ratio)


# Errors


@pytest.mark.parametrize("gain", [0, -1.0, np.nan, np.inf, "1", None])
def test_invalid_gain(gain):
    with pytest.raises(ValueError, match=r"gain=.* must be a positive"):
        PoissonGaussian(gain)


@pytest.mark.parametrize("sigma", [-0.1, np.nan, np.inf, "0", None])
def test_invalid_sigma(sigma):
    with pytest.raises(ValueError, match=r"sigma=.* must be a finite number >= 0"):
        PoissonGaussian(1.0, sigma)


def test_invalid_pairs_and_arrays():
    with pytest.raises(ValueError, match=r"sigma=1e.* is too large beside gain"):
        PoissonGaussian(1e-200, 1e200)
    noise = PoissonGaussian(1.0)
    for call, name in (
        (noise.stabilise, "y"),
        (noise.inverse, "d"),
        (noise.variance, "x"),
    ):
        with pytest.raises(ValueError, match=f"{name} of type .* real numbers"):
            call(np.array([1j]))
        with pytest.raises(ValueError, match=f"{name} has 1 of 2 entries"):
            call(np.ma.array([1.0, 2.0], mask=[True, False]))
