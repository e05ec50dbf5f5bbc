"""Entries that are marked as missing stay missing, or are refused."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest

from skspectral import SpectralDictionaryLearning
from skspectral._missing import missing_as_nan, refuse_missing
from skspectral.control import equalize, filter, interpolate
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
)

SENTINEL = -9999
FILLS = ("impute", "sample_posterior")
LEARNS = ("fit", "partial_fit")
TAKES = ("transform", "coordinates", "score_samples", "score")
REFUSES = ("denoise", "mahalanobis")


def marked(kind, dtype=np.float64):
    """Rows with entries that are marked as missing, and the same rows with NaN."""
    rng = np.random.default_rng(1)
    values = rng.integers(1, 50, size=(20, 48)).astype(dtype)
    gone = rng.random(values.shape) < 0.1
    with_nan = np.where(gone, np.nan, values)
    under = values.copy()
    under[gone] = SENTINEL if values.dtype != np.uint8 else 255
    masked = np.ma.masked_array(under, gone)
    table = pd.DataFrame(values)
    if kind == "masked":
        return masked, with_nan
    if kind == "list of masked":
        return list(masked), with_nan
    if kind == "lists of masked numbers":
        return [list(row) for row in masked], with_nan
    if kind == "objects with NA":
        return table.astype(object).mask(gone, pd.NA), with_nan
    if kind == "objects with None":
        return table.astype(object).where(~gone, None), with_nan
    if kind == "series with NA":
        return [row for _, row in table.astype(object).mask(gone, pd.NA).iterrows()], (
            with_nan
        )
    if kind == "nullable":
        return table.mask(gone).convert_dtypes(), with_nan
    return np.where(gone, pd.NA, values.astype(object)).tolist(), with_nan


KINDS = (
    "masked",
    "list of masked",
    "lists of masked numbers",
    "objects with NA",
    "objects with None",
    "nullable",
    "series with NA",
    "list with NA",
)


@pytest.fixture(scope="module")
def est():
    rng = np.random.default_rng(0)
    X = 20 + rng.normal(size=(60, 48)).cumsum(1)
    return SpectralDictionaryLearning(4, modulation=None, random_state=0).fit(X)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_marked_is_filled(est, kind):
    X, with_nan = marked(kind)
    np.testing.assert_array_equal(est.impute(X), est.impute(with_nan))
    np.testing.assert_array_equal(
        est.sample_posterior(X, random_state=0),
        est.sample_posterior(with_nan, random_state=0),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
def test_masked_arrays_of_every_type_are_filled(est, dtype):
    X, with_nan = marked("masked", dtype)
    before = X.copy()
    filled = est.impute(X)
    small = dtype in (np.uint8, np.float32)
    assert filled.dtype == (np.float32 if small else np.float64)
    np.testing.assert_allclose(filled, est.impute(with_nan), rtol=1e-5)
    np.testing.assert_array_equal(X.data, before.data)
    np.testing.assert_array_equal(X.mask, before.mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", REFUSES)
def test_what_takes_no_gaps_refuses_them(est, kind, method):
    X, _ = marked(kind)
    with pytest.raises(ValueError, match=r"masked|NA|NaN"):
        getattr(est, method)(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", TAKES)
def test_what_takes_gaps_takes_marks(est, kind, method):
    X, with_nan = marked(kind)
    expected = getattr(est, method)(with_nan)
    np.testing.assert_array_equal(getattr(est, method)(X), expected)
    assert np.isfinite(expected).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", LEARNS)
def test_marked_entries_are_gaps_of_the_fit(kind, method):
    X, with_nan = marked(kind)
    marks, gaps = (
        getattr(SpectralDictionaryLearning(4, modulation=None), method)(rows)
        for rows in (X, with_nan)
    )
    np.testing.assert_array_equal(marks.components_, gaps.components_)


@pytest.mark.parametrize("method", [*LEARNS, *TAKES, *REFUSES, *FILLS])
def test_a_mask_that_marks_nothing_changes_nothing(est, method):
    X = np.random.default_rng(2).normal(size=(10, 48))
    options = {"random_state": 0} if method == "sample_posterior" else {}
    if method in ("fit", "partial_fit"):
        est = SpectralDictionaryLearning(4, modulation=None)
    plain, masked = (
        getattr(est, method)(each, **options)
        for each in (X, np.ma.masked_array(X, np.zeros(X.shape, bool)))
    )
    if method in ("fit", "partial_fit"):
        plain, masked = plain.components_, masked.components_
    assert type(masked) is type(plain)
    np.testing.assert_array_equal(masked, plain)


def test_what_is_beside_the_rows_is_refused_by_name(est):
    X = np.random.default_rng(2).normal(size=(10, 48))
    masked = np.ma.masked_array(np.ones(10), np.arange(10) == 3)
    with pytest.raises(ValueError, match="sample_weight has 1 of 10 entries"):
        SpectralDictionaryLearning(2).fit(X, sample_weight=masked)
    with pytest.raises(ValueError, match="noise_std has 1 of 10 entries"):
        est.denoise(X, masked)
    with pytest.raises(ValueError, match="coordinates has 1 of 4 entries"):
        est.inverse_coordinates(np.ma.masked_array(np.ones((1, 4)), [[0, 0, 0, 1]]))
    with pytest.raises(ValueError, match="X has 1 of 4 entries"):
        est.inverse_transform(np.ma.masked_array(np.ones((1, 4)), [[0, 0, 0, 1]]))
    with pytest.raises(ValueError, match="observed has 1 of 10 entries"):
        est.sample_given(X[:, :10].T @ X / 10, masked[:10])
    with pytest.raises(ValueError, match="y has 1 of 10 entries"):
        SpectralDictionaryLearning(2).fit(X, masked)


@pytest.mark.parametrize("kind", [pd.Series, pd.Index, np.array, list])
def test_weights_that_are_missing_are_refused_by_name(kind, est):
    X = np.random.default_rng(2).normal(size=(10, 48))
    values = [1.0] * 9 + [pd.NA]
    weights = values if kind is list else kind(values, dtype=object)
    with pytest.raises(ValueError, match="sample_weight has 1 of 10 entries that are"):
        SpectralDictionaryLearning(2).fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match="noise_std has 1 of 10 entries that are NA"):
        est.denoise(X, weights)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_marked_entries_are_filled_in_one_copy(dtype):
    X = np.ma.masked_array(np.ones((1000, 1000), dtype), np.eye(1000, dtype=bool))
    tracemalloc.start()
    filled = missing_as_nan(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isnan(filled).sum() == 1000
    assert peak < 1.1 * filled.nbytes


@pytest.mark.parametrize("gate", [missing_as_nan, partial(refuse_missing, name="X")])
def test_no_mask_takes_no_memory(gate):
    X = np.ma.masked_array(np.ones((1000, 1000)))
    tracemalloc.start()
    plain = gate(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.shares_memory(plain, X)
    assert peak < 10_000


def test_names_and_strings_are_as_before(est):
    table = pd.DataFrame(np.full((2, 48), pd.NA), columns=[f"t{i}" for i in range(48)])
    with pytest.warns(UserWarning, match="X has feature names"):
        est.impute(table)
    table.iloc[0, 0] = "much"
    table.columns = range(48)
    with pytest.raises(ValueError, match="much"):
        est.impute(table)


CODES = np.random.default_rng(3).normal(size=(30, 4))
GONE = np.random.default_rng(4).random(CODES.shape) < 0.1
MASKED = np.ma.masked_array(np.where(GONE, SENTINEL, CODES), GONE)
TWO = np.arange(30) % 2


@pytest.mark.parametrize(
    "prior",
    [
        GaussianPrior(),
        GaussianMixture(2, random_state=0),
        ClassConditionalPrior(),
        LocalContrastPrior(),
        DiffusionPrior(max_images=200, random_state=0),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_priors_refuse_what_is_marked(prior):
    with pytest.raises(ValueError, match="X has 9 of 120 entries that are masked"):
        prior.fit(MASKED, TWO)
    prior.fit(CODES, TWO)
    methods = ("score_samples", "score", "predict", "predict_proba", "aic", "bic")
    for method in methods:
        if hasattr(prior, method) and prior.capabilities.density:
            with pytest.raises(ValueError, match="X has 9 of 120 entries"):
                getattr(prior, method)(MASKED)
    if prior.capabilities.weights:
        weights = np.ma.masked_array(np.ones(30), np.arange(30) == 3)
        with pytest.raises(ValueError, match="sample_weight has 1 of 30 entries"):
            prior.fit(CODES, TWO, sample_weight=weights)


LABELS = {
    "masked": np.ma.masked_array(TWO, np.arange(30) == 5),
    "NaN": np.where(np.arange(30) == 5, np.nan, TWO),
    "None": ["a", "b", None] * 10,
    "NA": [0, 1, pd.NA] * 10,
    "names and NA": pd.Series(["a", "b", pd.NA] * 10, dtype=object),
    "strings": pd.Series(["a", "b", pd.NA] * 10, dtype="string"),
    "nullable": pd.Series([0, 1, pd.NA] * 10, dtype="Int64"),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize(
    "prior", [ClassConditionalPrior(), DiffusionPrior(max_images=200)]
)
def test_labels_that_are_missing_are_refused_by_name(prior, y):
    X = np.repeat(CODES, 2, axis=1)
    for model in (prior, SpectralDictionaryLearning(2, prior=prior)):
        with pytest.raises(ValueError, match=r"y has \d+ of 30 (labels|entries) that"):
            model.fit(X, y)


def test_a_label_to_draw_for_may_not_be_masked():
    prior = ClassConditionalPrior().fit(CODES, TWO)
    with pytest.raises(ValueError, match="y has 1 of 3 entries that are masked"):
        prior.sample(3, y=np.ma.masked_array([0, 1, 1], [1, 0, 0]))


def test_control_refuses_what_is_marked(est):
    X = 20 + np.random.default_rng(2).normal(size=(10, 48))
    masked = np.ma.masked_array(X, np.arange(480).reshape(10, 48) % 9 == 0)
    for change in (lambda: equalize(est, masked, 1.0), lambda: filter(est, masked, 2)):
        with pytest.raises(ValueError, match="X has 54 of 480 entries"):
            change()
    with pytest.raises(ValueError, match="start has 6 of 48 entries"):
        interpolate(est, masked[0], X[1])
