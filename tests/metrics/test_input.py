"""What all metrics of features have in common: their input, seeds and results."""

import numpy as np
import pandas as pd
import pytest
import torch

from skspectral.metrics import (
    authenticity,
    classifier_two_sample_score,
    density_coverage,
    frechet_distance,
    frechet_distance_infinity,
    kernel_distance,
    memorization_ratio,
    ndb_score,
    precision_recall,
)


def small_kernel_distance(X_real, X_generated, **options):
    return kernel_distance(X_real, X_generated, n_subsets=3, subset_size=20, **options)


def small_ndb_score(X_train, X_generated, **options):
    return ndb_score(X_train, X_generated, n_bins=5, **options)


def memorization(X_train, X_generated):
    return memorization_ratio(X_train, np.asarray(X_train) + 1, X_generated)


SEEDED = [
    frechet_distance_infinity,
    small_kernel_distance,
    small_ndb_score,
    classifier_two_sample_score,
]
METRICS = [
    *SEEDED,
    frechet_distance,
    precision_recall,
    density_coverage,
    memorization,
    authenticity,
]


def sets(dtype=np.float64):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 3)).astype(dtype) for n in (40, 30)]


def call(metric, *given):
    return metric(*given, random_state=0) if metric in SEEDED else metric(*given)


@pytest.mark.parametrize("metric", METRICS)
def test_input_is_not_changed_nor_the_global_random_state(metric):
    given = sets()
    for array in given:
        array.flags.writeable = False
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    result = call(metric, *given)
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(before[0], after)
    assert torch.equal(before[1], torch.get_rng_state())
    values = result if isinstance(result, tuple) else (result,)
    assert all(type(value) is float for value in values)


@pytest.mark.parametrize("metric", METRICS)
def test_kinds_of_arrays(metric):
    given = sets(np.float32)
    expected = call(metric, *given)
    for kind in (torch.as_tensor, pd.DataFrame, np.asfortranarray, np.float64):
        assert call(metric, *map(kind, given)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [m for m in METRICS if m is not memorization])
def test_lists_and_integers(metric):
    given = [(10 * X).round().astype(np.int64) for X in sets()]
    expected = call(metric, *(X.astype(np.float64) for X in given))
    assert call(metric, *given) == pytest.approx(expected)
    assert call(metric, *(X.tolist() for X in given)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", SEEDED)
def test_seeds(metric):
    given = sets()
    assert metric(*given, random_state=1) == metric(*given, random_state=1)
    instance = np.random.RandomState(1)
    results = {metric(*given, random_state=instance) for _ in range(5)}
    assert len(results) > 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: np.where(X.max() == X, np.nan, X), "contains NaN"),
        (lambda X: np.where(X.max() == X, np.inf, X), "contains infinity"),
        (lambda X: 1e60 * np.abs(X), "whose powers overflow"),
        (lambda X: -1e60 * np.abs(X), "whose powers overflow"),
        (lambda X: X[:, 0], r"has shape \(\d+,\), but features must have"),
        (lambda X: X[:0], r"X_\w+ has shape \(0, 3\), but features"),
        (lambda X: X + 1j, "Complex data not supported"),
        (lambda X: X[:, :2], "numbers of features differ: .* has 3.* has 2|2.* 3"),
    ],
)
def test_bad_features(metric, place, spoil, message):
    given = sets()
    given[place] = spoil(given[place])
    with pytest.raises(ValueError, match=message):
        call(metric, *given)
