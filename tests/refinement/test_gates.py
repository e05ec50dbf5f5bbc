"""What all that refine images refuse: other ranges, layouts and masks."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline

from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
    SpectrumTranslator,
)

REFINERS = [
    RadialSpectrumMatcher(),
    SpectrumMatcher(),
    SpectrumQuantileMatcher(),
    CrossSpectrumMatcher(min_frequency=0),
    SpectrumTranslator(depth=0, base_channels=2, max_epochs=1, random_state=0),
]
CONVENTIONS = {
    "unit": lambda x: x,
    "single": lambda x: x.astype(np.float32),
    "signed": lambda x: 2 * x - 1,
    "float bytes": lambda x: 255 * x,
    "integers": lambda x: np.rint(255 * x).astype(np.int64),
    "words": lambda x: np.rint(65535 * x).astype(np.uint16),
    "sixteen": lambda x: 16 * x,
}
ALIKE = [{"unit", "single"}, {"float bytes", "integers"}]
# Numbers from 0 upwards may be dark images of the other range.
UNDECIDED = [
    {"sixteen", "float bytes"},
    {"sixteen", "integers"},
    {"words", "integers"},
]


def alike(*kinds):
    return len(set(kinds)) == 1 or any(set(kinds) <= group for group in ALIKE)


def unit(n, *shape, seed=0):
    """Images that fill [0, 1] for the most part, as photographs do."""
    values = np.random.default_rng(seed).uniform(0.1, 0.9, (n, *(shape or (8, 8))))
    values.reshape(n, -1)[:, :2] = 0.0, 1.0
    return values


def sets(*shape):
    return unit(20, *shape), unit(15, *shape, seed=1)


# Ranges


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_bytes_beside_another_type_are_refused_with_both_ranges(refiner):
    images, real = sets()
    as_bytes = np.rint(255 * images).astype(np.uint8)
    ranges = "uint8 from 0 to 255 in {}, float64 from 0 to 1 in {}"
    with pytest.raises(
        ValueError, match=ranges.format("generated images", "real images")
    ):
        clone(refiner).fit(as_bytes, real)
    model = clone(refiner).fit(images, real)
    with pytest.raises(
        ValueError, match=ranges.format("X", "the generated images of fit")
    ):
        model.transform(as_bytes)


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
@pytest.mark.parametrize("data_range", [None, (-np.inf, np.inf)])
def test_values_whose_powers_overflow(refiner, data_range):
    images, real = sets()
    model = clone(refiner).set_params(data_range=data_range)
    for pair, name in [
        ((1e200 * images, real), "generated images"),
        ((images, 1e200 * real), "real images"),
    ]:
        with pytest.raises(ValueError, match=rf"^{name} holds values up to"):
            clone(model).fit(*pair)
    with pytest.raises(ValueError, match=r"^X holds values up to"):
        model.fit(images, real).transform(1e200 * images)


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
@pytest.mark.parametrize("kinds", [("signed", "unit"), ("float bytes", "unit")])
def test_ranges_of_fit(refiner, kinds):
    generated, real = sets()
    for pair in (kinds, kinds[::-1]):
        first, second = (CONVENTIONS[kind] for kind in pair)
        with pytest.raises(ValueError, match=r"ranges of values differ: from .*\b1\b"):
            clone(refiner).fit(first(generated), second(real))
    labelled = np.concatenate([CONVENTIONS[kinds[0]](generated), real])
    with pytest.raises(ValueError, match="ranges of values differ"):
        clone(refiner).fit(labelled, np.arange(35) >= 20)


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
@pytest.mark.parametrize("kind", CONVENTIONS)
def test_ranges_of_transform(refiner, kind):
    change = CONVENTIONS[kind]
    generated, real = map(change, sets())
    fitted = clone(refiner).fit(generated, real)
    for other, convert in CONVENTIONS.items():
        for n in (1, 20):
            X = convert(unit(n, seed=2))
            if alike(kind, other):
                fitted.transform(X)
            elif {kind, other} not in UNDECIDED:
                for method in (fitted.transform, fitted.log_gain):
                    with pytest.raises(ValueError, match="ranges of values differ"):
                        method(X)
                with pytest.raises(ValueError, match="ranges of values differ"):
                    fitted.score(generated, X)


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_overshoot_is_clipped(refiner):
    generated, real = sets()
    for change in (
        lambda x: 1.07 * x - 0.02,
        lambda x: 1.5 * x - 0.25,
        lambda x: x + np.random.default_rng(2).normal(size=x.shape) / 4,
    ):
        fitted = clone(refiner).fit(change(generated), real)
        assert fitted.data_range_ == (0, 1)
        for X in (change(generated), change(generated[:1]), generated):
            refined = fitted.transform(X)
            assert refined.min() >= 0
            assert refined.max() <= 1
    white = 1 + 0.02 * (generated[:1] - 0.5)
    assert fitted.transform(white).max() <= 1


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_who_asks_for_a_range_is_taken_at_the_word(refiner):
    generated, real = sets()
    free = clone(refiner).set_params(data_range=(-math.inf, math.inf))
    free.fit(2 * generated - 1, real).transform(255 * generated)
    bounded = clone(refiner).set_params(data_range=(-1, 255))
    with pytest.raises(ValueError, match="ranges of values differ"):
        bounded.fit(generated, 255 * real)
    with pytest.raises(ValueError, match="outside data_range"):
        bounded.fit(-2 * generated, real)
    with pytest.raises(ValueError, match="ranges of values differ"):
        bounded.fit(255 * generated, 255 * real).transform(generated)


def test_what_was_fitted_stays_where_a_range_is_refused():
    generated, real = sets()
    matcher = SpectrumMatcher().fit(generated, real)
    before, names = matcher.transform(generated), set(vars(matcher))
    with pytest.raises(ValueError, match="ranges"):
        matcher.fit(255 * unit(20, 4, 4), 2 * unit(20, 4, 4) - 1)
    assert set(vars(matcher)) == names
    np.testing.assert_array_equal(matcher.transform(generated), before)


def test_no_range_is_guessed_of_black_or_collapsed_images():
    generated, real = sets()
    matcher = SpectrumMatcher().fit(2 * generated - 1, 2 * real - 1)
    matcher.transform(np.zeros((2, 8, 8)))
    matcher.transform(0.3 + 0.4 * generated)
    SpectrumMatcher().fit(0.3 + 0.4 * generated, 2 * real - 1)


# Layouts


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
@pytest.mark.parametrize("n_channels", [1, 3, 6])
def test_the_axis_of_channels(refiner, n_channels):
    last = sets(6, 8, n_channels)
    first = [np.moveaxis(images, -1, 1).copy() for images in last]
    expected = clone(refiner).set_params(channel_axis=-1).fit(*last)
    refined = expected.transform(last[0])
    of_first = clone(refiner).set_params(channel_axis=1).fit(*first)
    assert of_first.image_shape_ == expected.image_shape_ == (6, 8, n_channels)
    found = of_first.transform(first[0])
    assert found.shape == first[0].shape
    np.testing.assert_array_equal(np.moveaxis(found, 1, -1), refined)
    assert of_first.score(*first) == expected.score(*last)
    np.testing.assert_array_equal(
        of_first.log_gain(first[0]), expected.log_gain(last[0])
    )
    rows = [images.reshape(len(images), -1) for images in last]
    of_rows = clone(refiner).set_params(image_shape=(6, 8, n_channels)).fit(*rows)
    np.testing.assert_array_equal(of_rows.transform(last[0]), refined)
    np.testing.assert_array_equal(
        of_rows.transform(rows[0]), refined.reshape(len(refined), -1)
    )
    # Whoever says the shape says the layout.
    np.testing.assert_array_equal(of_rows.fit(*last).transform(last[0]), refined)
    with pytest.raises(ValueError, match=r"X has shape \(20, .*channel_axis="):
        clone(refiner).fit(*first)
    if n_channels > 4:
        with pytest.raises(ValueError, match="Pass channel_axis=-1 if"):
            clone(refiner).fit(*last)
    for mixed in ((last[0], first[1]), (first[0], last[1])):
        with pytest.raises(ValueError, match=r"images of shape|has shape"):
            clone(refiner).set_params(channel_axis=-1).fit(*mixed)
    with pytest.raises(ValueError, match="expecting images of shape"):
        expected.transform(first[0])


def test_axes_that_do_not_go_with_images():
    grey, colours = sets(), sets(9, 8, 3)
    for axis, pair in [(-1, grey), (1, grey), (None, colours), (0, colours)]:
        with pytest.raises(ValueError, match="does not agree with channel_axis"):
            SpectrumMatcher(channel_axis=axis).fit(*pair)
    with pytest.raises(ValueError, match="channel_axis"):
        SpectrumMatcher(channel_axis="last").fit(*grey)
    with pytest.raises(ValueError, match="looks like one image"):
        SpectrumMatcher().fit(colours[0][0], colours[1][0])


@given(
    kinds=st.tuples(*[st.sampled_from(sorted(CONVENTIONS))] * 2),
    first=st.booleans(),
    shape=st.tuples(st.integers(1, 6), st.integers(5, 8), st.integers(1, 4)),
    n=st.integers(2, 6),
    overshoot=st.floats(0, 0.05),
)
def test_gate_of_types_ranges_layouts_and_sizes(kinds, first, shape, n, overshoot):
    """What passes comes back in its shape and type, within the range of real ones."""
    pair = []
    for kind, seed in zip(kinds, (0, 1), strict=True):
        values = CONVENTIONS[kind](unit(n, *shape, seed=seed))
        if values.dtype.kind == "f" and seed == 0:
            values = (values * (1 + overshoot) - overshoot / 2).astype(values.dtype)
        pair.append(np.moveaxis(values, -1, 1) if first else values)
    matcher = RadialSpectrumMatcher(channel_axis=1 if first else "auto")
    if alike(*kinds):
        refined = matcher.fit_transform(*pair)
        assert refined.shape == pair[0].shape
        assert refined.dtype == pair[0].dtype
        if kinds[1] in ("unit", "single"):
            assert matcher.data_range_ == (0, 1)
            assert (refined.min() >= 0) & (refined.max() <= 1)
    elif set(kinds) not in UNDECIDED:
        with pytest.raises(ValueError, match="ranges of values differ"):
            matcher.fit(*pair)


# Entries that are missing


def with_mask(values):
    mask = np.zeros(values.shape, bool)
    mask[(0,) * values.ndim] = True
    return np.ma.array(values, mask=mask)


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_masks_are_refused_by_name(refiner):
    generated, real = sets()
    fitted = clone(refiner).fit(generated, real)
    rows, labels = generated.reshape(20, -1), np.arange(20) % 2
    for call, name in [
        (lambda: clone(refiner).fit(with_mask(generated), real), "X"),
        (lambda: clone(refiner).fit(list(with_mask(generated)), real), "X"),
        (lambda: clone(refiner).fit(with_mask(rows), rows), "X"),
        (lambda: clone(refiner).fit(generated, with_mask(real)), "y"),
        (lambda: clone(refiner).fit(generated, with_mask(labels)), "y"),
        (lambda: fitted.transform(with_mask(generated)), "X"),
        (lambda: fitted.log_gain(with_mask(generated)), "X"),
        (lambda: fitted.score(generated, with_mask(real)), "y"),
    ]:
        with pytest.raises(ValueError, match=f"^{name} has 1 of .* masked"):
            call()
    plain = np.ma.array(generated), np.ma.array(real)
    np.testing.assert_array_equal(
        clone(refiner).fit(*plain).transform(plain[0]), fitted.transform(generated)
    )


def test_na_is_refused():
    rows = unit(20).reshape(20, -1)
    table = pd.DataFrame(rows).astype(object)
    table.iloc[0, 0] = pd.NA
    matcher = SpectrumMatcher(image_shape=(8, 8))
    for pair, name in [((table, rows), "X"), ((rows, table), "y")]:
        with pytest.raises(ValueError, match=f"^{name} has 1 of .* NA"):
            matcher.fit(*pair)


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series([0, 1, pd.NA] * 10, dtype="Int64"),
        pd.Series([0, 1, None] * 10),
        ["made", "real", None] * 10,
        pd.Series(["made", "real", pd.NA] * 10),
        np.array(["made", "real", np.nan] * 10, dtype=object),
        np.ma.masked_equal([0, 1, 2] * 10, 2),
    ],
    ids=str,
)
def test_labels_that_are_missing(labels):
    with pytest.raises(ValueError, match=r"y has 10 of 30 (labels|entries) that are"):
        SpectrumMatcher().fit(unit(30), labels)


# What scikit-learn's tools ask for


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
@pytest.mark.parametrize("container", ["pandas", "default"])
def test_output_of_rows_is_what_was_set(refiner, container):
    X = pd.DataFrame(unit(20, 6), columns=list("abcdef"))
    refiner = clone(refiner).set_output(transform=container)
    refined = refiner.fit(X, unit(15, 6, seed=1)).transform(X)
    assert isinstance(refined, pd.DataFrame if container == "pandas" else np.ndarray)
    if container == "pandas":
        assert list(refined.columns) == list("abcdef")
        assert (refined.index == X.index).all()


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_metadata_is_routed_past(refiner):
    X, y = np.concatenate(sets()).reshape(35, -1), np.arange(35) >= 20
    expected = clone(refiner).fit(X, y).transform(X)
    with config_context(enable_metadata_routing=True):
        refined = make_pipeline(clone(refiner)).fit(X, y).transform(X)
        search = GridSearchCV(
            clone(refiner),
            {"channel_axis": ["auto"]},
            cv=ShuffleSplit(1, random_state=0),
            error_score="raise",
        )
        assert np.isfinite(search.fit(X, y).best_score_)
        with pytest.raises(TypeError, match="sample_weight"):
            search.fit(X, y, sample_weight=np.ones(35))
    np.testing.assert_array_equal(refined, expected)


# The caller's modes and defaults of torch


@pytest.fixture(scope="module")
def translation():
    """A fit that needs gradients, and what it makes of the images."""
    generated, real = sets(16, 16)
    translator = SpectrumTranslator(
        max_epochs=1, base_channels=4, depth=2, early_stopping=False, random_state=0
    )
    refined = clone(translator).fit(generated, real).transform(generated)
    return translator, generated, real, refined


class DefaultDtype:
    def __enter__(self):
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        torch.set_default_dtype(self.before)


MODES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "double": DefaultDtype,
    "meta": lambda: torch.device("meta"),
}


def modes():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
    )


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_translator_in_modes_of_the_caller(translation, mode):
    translator, generated, real, refined = translation
    with mode():
        before = modes()
        fitted = clone(translator).fit(generated, real)
        assert modes() == before
        np.testing.assert_array_equal(fitted.transform(generated), refined)
        assert modes() == before
    np.testing.assert_array_equal(fitted.transform(generated), refined)
    parameters = [*fitted.generator_.parameters()]
    assert not any(parameter.is_inference() for parameter in parameters)
    assert {parameter.dtype for parameter in parameters} == {torch.float32}


@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_modes_come_back_where_a_fit_fails(translation, mode):
    translator, generated, real, _ = translation
    with MODES[mode]():
        before = modes()
        with pytest.raises(ValueError, match="betas"):
            clone(translator).set_params(betas=(2, 2)).fit(generated, real)
        assert modes() == before


@pytest.mark.parametrize("refiner", REFINERS, ids=repr)
def test_tensors_of_inference_are_images(refiner):
    generated, real = sets()
    expected = clone(refiner).fit(generated, real).transform(generated)
    with torch.inference_mode():
        tensors = [torch.as_tensor(images).clone() for images in (generated, real)]
        found = clone(refiner).fit(*tensors).transform(tensors[0])
    np.testing.assert_array_equal(found, expected)
    learning = tensors[0].clone().requires_grad_()
    np.testing.assert_array_equal(
        clone(refiner).fit(learning, real).transform(learning), expected
    )
