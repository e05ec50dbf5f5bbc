"""Fourier sums at uneven times, against least squares and brute force."""

import numpy as np
import pytest
import torch

from skspectral.uneven import periodogram
from skspectral.uneven.rows import timed_rows
from skspectral.uneven.sums import (
    CommonWaveSearch,
    exact_sums,
    grid_sums,
    own_reduction,
)


def rows_of(n=3, length=25, seed=0):
    rng = np.random.default_rng(seed)
    times = rng.uniform(-0.5, 0.5, (n, length))
    X = rng.normal(size=(n, length)) + np.sin(2 * np.pi * 4.3 * times)
    X[0, 20:] = np.nan
    return X, times


def reduction(x, t, f, floating_mean):
    """What cosine and sine take from the sum of squares about the constant."""
    seen = ~np.isnan(x)
    x, t = x[seen], t[seen]
    columns = [np.cos(2 * np.pi * f * t), np.sin(2 * np.pi * f * t)]
    ones = [np.ones_like(t)] if floating_mean else []

    def left(parts):
        if not parts:
            return x @ x
        A = np.stack(parts, 1)
        return np.sum((x - A @ np.linalg.lstsq(A, x, rcond=None)[0]) ** 2)

    return left(ones) - left([*columns, *ones])


@pytest.mark.parametrize("floating_mean", [True, False])
def test_own_reduction_is_that_of_least_squares(floating_mean):
    X, times = rows_of()
    rows, _ = timed_rows(X, times)
    if floating_mean:
        rows = rows.centred()
    grid = torch.tensor([0.0, 0.3, 4.3, 11.0, 100.0]).double()
    found = own_reduction(exact_sums(rows, grid, floating_mean=floating_mean))
    for row, x, t in zip(found, X, times, strict=True):
        expected = [reduction(x, t, float(f), floating_mean) for f in grid]
        np.testing.assert_allclose(row, expected, atol=1e-9)


@pytest.mark.parametrize("fit_mean", [True, False])
def test_periodogram_is_the_fraction_of_the_sum_of_squares(fit_mean):
    X, times = rows_of()
    X = X + 5
    frequencies = np.array([0.5, 4.3, 7.7])
    power = periodogram(X, times, frequencies, fit_mean=fit_mean)
    total = sum(np.nansum((x - np.nanmean(x) * fit_mean) ** 2) for x in X)
    expected = [
        sum(reduction(x, t, f, fit_mean) for x, t in zip(X, times, strict=True)) / total
        for f in frequencies
    ]
    np.testing.assert_allclose(power, expected, atol=1e-9)


def test_periodogram_at_regular_times_is_the_discrete_fourier_transform():
    x = np.random.default_rng(0).normal(size=64)
    power = periodogram(x[None], None, np.arange(1, 32) / 64)
    spectrum = np.abs(np.fft.rfft(x - x.mean())) ** 2 * 2 / 64
    np.testing.assert_allclose(power, spectrum[1:32] / np.sum((x - x.mean()) ** 2))


def test_the_origin_of_the_times_does_not_matter():
    X, times = rows_of()
    frequencies = np.linspace(0.1, 9, 50)
    late = periodogram(X, times + 2.4e6, frequencies)
    np.testing.assert_allclose(late, periodogram(X, times, frequencies), atol=1e-6)


def test_periodogram_of_constants_and_bad_frequencies():
    power = periodogram(np.ones((2, 5)), None, [0.1, 0.2])
    np.testing.assert_array_equal(power, 0)
    with pytest.raises(ValueError, match="one-dimensional"):
        periodogram(np.ones((2, 5)), None, [[0.1]])
    with pytest.raises(ValueError, match="fit_mean"):
        periodogram(np.ones((2, 5)), None, [0.1], fit_mean="yes")


def test_sums_of_the_grid_are_near_the_exact_ones():
    X, times = rows_of(length=40)
    rows = timed_rows(X, times)[0].centred()
    frequencies = torch.arange(50).double() * 0.2
    exact = exact_sums(rows, frequencies, floating_mean=True)
    near = grid_sums(rows, 0.2, 50, floating_mean=True)
    scale = float(exact.z.abs().max())
    assert float((near.z - exact.z).abs().max()) < 0.2 * scale
    # At times on the grid they are equal.
    size = 2 ** int(np.ceil(np.log2(16 * 50)))
    on_grid = np.round(times * 0.2 * size) / (0.2 * size)
    rows = timed_rows(X, on_grid)[0].centred()
    exact = exact_sums(rows, frequencies, floating_mean=True)
    near = grid_sums(rows, 0.2, 50, floating_mean=True)
    torch.testing.assert_close(near.z, exact.z)
    torch.testing.assert_close(near.gram, exact.gram, atol=1e-9, rtol=1e-9)


def test_the_common_wave_of_one_row_is_its_own_wave():
    X, times = rows_of(1)
    rows = timed_rows(X[:1], times[:1])[0].centred()
    frequencies = torch.tensor([0.9, 4.3, 8.8]).double()
    sums = exact_sums(rows, frequencies, floating_mean=True)
    search = CommonWaveSearch(3)
    search.add(sums, rows.counts)
    best = search.best()
    np.testing.assert_allclose(best.reduction, own_reduction(sums)[0], rtol=1e-4)


class TestRows:
    def test_forms(self):
        x, t = (
            [np.arange(3.0), np.arange(2.0)],
            [np.array([2.0, 0, 1]), np.array([5.0, 4])],
        )
        lists, _ = timed_rows(x, t)
        padded = np.array([[0, 1, 2], [0, 1, np.nan]])
        at = np.array([[2, 0, 1], [5, 4, np.nan]])
        table, _ = timed_rows(padded, at)
        pairs, _ = timed_rows(list(zip(t, x, strict=True)), None)
        masked, _ = timed_rows(np.ma.masked_invalid(padded), at)
        for other in (table, pairs, masked):
            for one, two in zip(
                vars(lists).values(), vars(other).values(), strict=True
            ):
                torch.testing.assert_close(one, two)
        shared, _ = timed_rows(padded, np.array([7.0, 8, 9]))
        np.testing.assert_array_equal(shared.times, [[7, 8, 9], [7, 8, 0]])

    def test_dates_are_seconds(self):
        day = np.array(["2020-01-02", "2020-01-01", "2020-01-03"], "datetime64[D]")
        rows, origin = timed_rows(np.ones((1, 3)), day)
        assert origin == np.datetime64("2020-01-01")
        np.testing.assert_array_equal(rows.times, [[86400, 0, 2 * 86400]])
        later, _ = timed_rows(np.ones((1, 3)), day + 1, origin)
        np.testing.assert_array_equal(later.times - rows.times, 86400)
        missing = day.copy()
        missing[1] = "NaT"
        rows, _ = timed_rows(np.array([[1, np.nan, 1]]), missing)
        assert float(rows.observed.sum()) == 2
        with pytest.raises(TypeError, match="others are numbers"):
            timed_rows(np.ones((1, 3)), np.arange(3.0), origin)

    @pytest.mark.parametrize(
        ("X", "times", "message"),
        [
            ([[1.0, 2, 3]], [[1.0, 2]], "2 entries in row 0, but X has 3 values"),
            (
                [[1.0, 2]],
                [[1.0, np.nan]],
                "NaN or infinite entries for 1 values of row",
            ),
            (
                [[1.0, 2]],
                [[1.0, np.inf]],
                "NaN or infinite entries for 1 values of row",
            ),
            ([[1.0, np.inf]], [[1.0, 2]], "infinity in row 0"),
            ([[np.nan, np.nan]], [[1.0, 2]], "no value in row 0"),
            ([[1.0, 2]], [[1.0, 2], [1, 2]], "times has 2 rows, but X has 1"),
            ([1.0, 2], [1.0, 2], "one row per signal"),
            ([["a", "b"]], [[1.0, 2]], "must hold real numbers"),
        ],
    )
    def test_what_is_refused(self, X, times, message):
        with pytest.raises(ValueError, match=message):
            timed_rows(X, times)
