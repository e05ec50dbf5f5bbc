"""What all metrics of images and signals refuse: other layouts, ranges and masks."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from skspectral.metrics import (
    authenticity,
    classifier_score,
    classifier_two_sample_score,
    density_coverage,
    explained_variance,
    extract_features,
    frechet_distance,
    frechet_distance_infinity,
    generation_scorer,
    kernel_distance,
    log_spectral_distance,
    mean_spectrum_distance,
    memorization_ratio,
    multi_resolution_stft_distance,
    ndb_score,
    precision_recall,
    psnr,
    radial_power_spectrum,
    radial_spectrum_distance,
    reconstruction_scorer,
    spectral_convergence,
    ssim,
)
from skspectral.metrics._images import channels_last
from skspectral.metrics._ranges import Values, check_one_range, is_within_reach

IMAGE_PAIRS = {
    "radial": radial_spectrum_distance,
    "mean": partial(mean_spectrum_distance, data_range=255.0),
    "ssim": partial(ssim, data_range=255.0),
}
OTHER_PAIRS = {
    "psnr": partial(psnr, data_range=255.0),
    "explained": explained_variance,
    "log": partial(log_spectral_distance, n_fft=16),
    "convergence": partial(spectral_convergence, n_fft=16),
    "resolutions": partial(multi_resolution_stft_distance, resolutions=[(16, 4, 16)]),
}
ROW_PAIRS = {
    "frechet": frechet_distance,
    "infinity": partial(frechet_distance_infinity, random_state=0),
    "kernel": partial(kernel_distance, n_subsets=2, subset_size=9, random_state=0),
    "bins": partial(ndb_score, n_bins=3, random_state=0),
    "classifier": partial(classifier_two_sample_score, random_state=0),
    "precision": precision_recall,
    "density": density_coverage,
    "authenticity": authenticity,
    "memory": lambda X, Y: memorization_ratio(X, held_out(X), Y),
}


def levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def held_out(X):
    """As many rows of the same kind, darker than those of X."""
    return X // 2


BYTES = levels(40, 12, 12)
UNIT = levels(40, 12, 12, seed=1) / 255
CONVENTIONS = {
    "bytes": lambda x: (255 * x).astype(np.uint8),
    "float bytes": lambda x: 255 * x,
    "words": lambda x: (65535 * x).astype(np.uint16),
    "unit": lambda x: x,
    "single": lambda x: x.astype(np.float32),
    "signed": lambda x: 2 * x - 1,
}
# Both of a pair are of one scale.
ALIKE = [{"bytes", "float bytes"}, {"words"}, {"unit", "single"}, {"signed"}]


# Ranges


@pytest.mark.parametrize("metric", IMAGE_PAIRS.values(), ids=IMAGE_PAIRS)
def test_bytes_beside_floats_of_images(metric):
    with pytest.raises(ValueError, match=r"from 0 to 255 in .*from 0 to 1 in"):
        metric(BYTES, UNIT)
    for pair in [(UNIT, BYTES), (255 * UNIT, 2 * UNIT - 1), (UNIT, 2 * UNIT - 1)]:
        with pytest.raises(ValueError, match="ranges of values differ"):
            metric(*pair)
    metric(BYTES, 255 * UNIT)


@pytest.mark.parametrize("metric", OTHER_PAIRS.values(), ids=OTHER_PAIRS)
def test_bytes_beside_floats_of_pairs(metric):
    X, Y = BYTES.reshape(40, -1), UNIT.reshape(40, -1)
    sound = (X.astype(np.int16) - 128) * 256
    for pair in [(X, Y), (Y, X), (255.0 * Y, 2 * Y - 1), (sound, sound / 32768)]:
        with pytest.raises(ValueError, match="ranges of values differ"):
            metric(*pair)
    assert np.isfinite(metric(X, 255 * Y))


@pytest.mark.parametrize("metric", ROW_PAIRS.values(), ids=ROW_PAIRS)
def test_pixels_of_bytes_beside_floats(metric):
    X, Y = BYTES[:, 0, :3], UNIT[:, 0, :3]
    kinds = np.asarray, torch.as_tensor, pd.DataFrame
    for kind in kinds:
        for pair in [(kind(X), Y), (Y, kind(X)), (kind(X), 2 * Y - 1)]:
            with pytest.raises(ValueError, match="ranges of values differ"):
                metric(*pair)
    metric(X, 255 * Y)
    # Features of other types have no range.
    metric(X.astype(float), Y)


@pytest.mark.parametrize("scorer", [reconstruction_scorer, generation_scorer])
def test_scorers_come_through_the_same_gate(scorer):
    class Rescaled:
        def transform(self, X):
            return X / 255

        def inverse_transform(self, X):
            return np.asarray(X)

        def sample(self, n_samples, random_state=None):
            return UNIT[:n_samples].reshape(n_samples, -1)

    score = scorer(radial_spectrum_distance, signal_shape=(12, 12))
    with pytest.raises(ValueError, match="ranges of values differ"):
        score(Rescaled(), BYTES.reshape(40, -1))
    with pytest.raises(ValueError, match="X has 1 of"):
        score(Rescaled(), np.ma.array(UNIT.reshape(40, -1), mask=one_entry((40, 144))))


def one_entry(shape):
    mask = np.zeros(shape, bool)
    mask[(0,) * len(shape)] = True
    return mask


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros_like(BYTES), UNIT),
        (BYTES, np.zeros_like(UNIT)),
        (BYTES, BYTES // 64),
        (UNIT, UNIT * 1.3 - 0.15),
        (UNIT, UNIT + np.random.default_rng(0).normal(size=UNIT.shape)),
        (2 * UNIT - 1, 0.2 + 0.4 * UNIT),
        (UNIT - 0.5, 10 * UNIT - 5),
        (UNIT, 4 * UNIT),
    ],
    ids=["black", "black", "dark", "overshoot", "noise", "grey", "contrast", "bright"],
)
def test_poor_images_are_of_no_other_range(one, other):
    names = "one", Values.of(one), "other", Values.of(other)
    check_one_range(*names)
    assert np.isfinite(psnr(one, other, data_range=255.0))


def test_a_bright_image_of_minus_one_to_one_is_no_unit_range():
    signed = 2 * UNIT - 1
    signed[:4] = 0.1 + 0.8 * UNIT[:4]
    values, few, many = map(Values.of, (signed, UNIT[:1], UNIT))
    assert values.fraction_positive == 0.1
    check_one_range("signed", values, "one", few)
    for pair in [(values, many), (many, values)]:
        with pytest.raises(ValueError, match="ranges of values differ"):
            check_one_range("one", pair[0], "other", pair[1])


@pytest.mark.parametrize(
    ("values", "within"),
    [
        (1.07 * UNIT - 0.02, True),
        (1.8 * UNIT - 0.4, True),
        (1 + 0.02 * (UNIT - 0.5), True),
        (np.full_like(UNIT, 1.05), True),
        (np.where(UNIT > 0.999, 40.0, UNIT * 0.1), False),
        (2 * UNIT - 1, False),
        (0.6 * (2 * UNIT - 1), False),
        (1 - 0.4 * UNIT.clip(0, 0.1), True),
        (1 - 2 * (UNIT > 0.95), False),
        (255 * UNIT, False),
        (16 * UNIT, False),
        (BYTES, False),
    ],
)
def test_overshoot_is_no_other_range(values, within):
    assert is_within_reach(values, (0.0, 1.0)) is within
    assert is_within_reach(255.0 * values, (0.0, 255.0)) is within


def test_reach_of_many_values_is_that_of_all():
    """Steps over images would meet the first only, steps over values one colour."""
    images = np.full((2, 600, 700, 3), 0.5, np.float32)
    images[1, ..., 1] = np.random.default_rng(0).uniform(-1, 1, images.shape[1:3])
    assert not is_within_reach(images[:, ::-1], (0.0, 1.0))
    images[1, ..., 1] = 1.02
    assert is_within_reach(images[:, ::-1], (0.0, 1.0))


# Layouts


def run_layout(metric, images, **options):
    return metric(images, images**2, **options)


LAYOUT_METRICS = {
    "radial": partial(radial_spectrum_distance, channels="separate"),
    "mean": partial(mean_spectrum_distance, data_range=1.0),
    "ssim": partial(ssim, data_range=1.0),
    "power": lambda X, Y, **o: radial_power_spectrum(X, channels="separate", **o).power,
    "features": lambda X, Y, **o: extract_features(X, lambda batch: batch, **o),
}


@pytest.mark.parametrize("metric", LAYOUT_METRICS.values(), ids=LAYOUT_METRICS)
@pytest.mark.parametrize("n_channels", [1, 3, 4, 16])
def test_the_axis_of_channels(metric, n_channels):
    rng = np.random.default_rng(0)
    last = rng.random((3, 12, 16, n_channels))
    first = np.moveaxis(last, -1, 1).copy()
    expected = run_layout(metric, last, channel_axis=-1)
    for images, axis in [(last, 3), (first, 1), (first, -3)]:
        found = run_layout(metric, images, channel_axis=axis)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match=r"has shape \(3, .*channel_axis="):
        run_layout(metric, first)
    if n_channels <= 4:
        np.testing.assert_array_equal(run_layout(metric, last), expected)
    else:
        with pytest.raises(ValueError, match=r"Pass channel_axis=-1 if .* 16 channels"):
            run_layout(metric, last)
    grey = last[..., 0]
    expected = run_layout(metric, last[..., :1])
    for axis in ("auto", None):
        found = run_layout(metric, grey, channel_axis=axis)
        np.testing.assert_array_equal(found, expected)
    for images, axis in [(grey, -1), (last, None), (last, 0), (last, 4), (grey, 1)]:
        with pytest.raises(ValueError, match="does not agree with channel_axis"):
            run_layout(metric, images, channel_axis=axis)
    with pytest.raises(ValueError, match="channel_axis"):
        run_layout(metric, last, channel_axis="first")


@pytest.mark.parametrize("metric", LAYOUT_METRICS.values(), ids=LAYOUT_METRICS)
def test_one_image_is_no_set(metric):
    image = np.random.default_rng(0).random((12, 16, 3))
    with pytest.raises(ValueError, match=r"looks like one image .*images\[None\]"):
        run_layout(metric, image)


def test_scorers_take_the_axis():
    X = np.random.default_rng(0).random((6, 8 * 8 * 16))

    class Same:
        def transform(self, X):
            return X

        inverse_transform = transform

    options = {"signal_shape": (8, 8, 16), "data_range": 1.0}
    scorer = reconstruction_scorer(
        mean_spectrum_distance, field="distance", channel_axis=-1, **options
    )
    assert scorer(Same(), X) == 0


# Both, of any type and size


@given(
    kinds=st.tuples(*[st.sampled_from(sorted(CONVENTIONS))] * 2),
    axis=st.sampled_from(["auto", -1, 1, None]),
    shape=st.tuples(st.integers(4, 9), st.integers(5, 9), st.integers(1, 6)),
    numbers=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    seed=st.integers(0, 99),
)
def test_gates_know_layouts_and_ranges(kinds, axis, shape, numbers, seed):
    """Sets pass if, and only if, they are of one range and of the layout named."""
    rng = np.random.default_rng(seed)
    sets, slack = [], rng.uniform(0, 0.03)
    for kind, n in zip(kinds, numbers, strict=True):
        unit = rng.random((n, *shape))
        unit.reshape(n, -1)[:, :2] = 0.0, 1.0
        values = CONVENTIONS[kind](unit)
        if values.dtype.kind == "f":
            # Generators overshoot.
            values = (values * (1 + slack)).astype(values.dtype)
        if axis is None:
            values = values[..., 0]
            values.reshape(n, -1)[:, :2] = CONVENTIONS[kind](np.array([0.0, 1.0]))
        sets.append(np.moveaxis(values, -1, 1) if axis == 1 else values)
    many = axis == "auto" and shape[2] > 4
    alike = any(set(kinds) <= group for group in ALIKE)
    metric = partial(radial_spectrum_distance, channels="separate", channel_axis=axis)
    if alike and not many:
        assert metric(*sets) < 25
        for images in sets:
            last = channels_last(images, "images", axis)
            assert last.shape[1:] == (*shape[:2], 1 if axis is None else shape[2])
    else:
        with pytest.raises(ValueError, match="channels" if many else "ranges"):
            metric(*sets)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "metric",
    [*IMAGE_PAIRS.values(), *OTHER_PAIRS.values(), *ROW_PAIRS.values()],
    ids=[*IMAGE_PAIRS, *OTHER_PAIRS, *ROW_PAIRS],
)
def test_values_whose_powers_overflow_are_refused_by_name(metric, place):
    plain = UNIT if metric in IMAGE_PAIRS.values() else UNIT.reshape(40, -1)
    pair = [plain, plain / 2]
    pair[place] = 1e200 * plain
    with pytest.raises(ValueError, match=r"^(X|images)\w* holds values up to 1"):
        metric(*pair)


@pytest.mark.parametrize("metric", [radial_spectrum_distance, explained_variance])
def test_large_values_below_that_are_as_others(metric):
    pair = UNIT, UNIT[::-1] ** 2
    assert metric(*(1e40 * X for X in pair)) == pytest.approx(metric(*pair))


def test_tensors_that_numpy_cannot_hold_are_refused_by_name():
    with pytest.raises(ValueError, match="X_reconstructed is a tensor of bfloat16"):
        explained_variance(UNIT, torch.tensor(UNIT).bfloat16())


# Entries that are missing


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "metric",
    [*IMAGE_PAIRS.values(), *OTHER_PAIRS.values(), *ROW_PAIRS.values()],
    ids=[*IMAGE_PAIRS, *OTHER_PAIRS, *ROW_PAIRS],
)
def test_masks_are_refused_by_name(metric, place):
    plain = UNIT if metric in IMAGE_PAIRS.values() else UNIT.reshape(40, -1)
    if metric in ROW_PAIRS.values():
        plain = plain[:, :3]
    masked = np.ma.array(plain, mask=one_entry(plain.shape))
    masked.data[0] = 0.5
    pair = [plain, plain + 0.001]
    pair[place] = masked
    with pytest.raises(ValueError, match=r"^(X|images)\w* has 1 of \d+ entries .*mask"):
        metric(*pair)
    pair[place] = np.ma.array(plain + 0.002)
    metric(*pair)
    if plain.ndim == 2:
        table = pd.DataFrame(plain).astype(object)
        table.iloc[0, 0] = pd.NA
        pair[place] = table
        with pytest.raises(ValueError, match=r"^(X|images)\w* has 1 of .*NA"):
            metric(*pair)
        pair[place] = table.convert_dtypes()
        with pytest.raises(
            ValueError, match=r"^(Input )?(X|images)\w* (has 1 of|con).*N"
        ):
            metric(*pair)


def test_other_masks_are_refused_by_name():
    masked = np.ma.array(UNIT, mask=one_entry(UNIT.shape))
    for function, name in [
        (radial_power_spectrum, "images"),
        (lambda X: extract_features(X, lambda batch: batch), "images"),
        (lambda X: extract_features(UNIT, lambda _: X), "The output of extractor"),
        (lambda X: classifier_score(X[:, 0, :2]), "probabilities"),
        (lambda X: frechet_distance((X[0, 0], np.eye(12)), UNIT[0]), r"X_real\[0\]"),
    ]:
        with pytest.raises(ValueError, match=f"{name} has 1 of"):
            function(masked)


# The caller's modes of torch


class Lazy(nn.Module):
    """A network that makes its weights at the first call, and has none before."""

    def forward(self, x):
        if not hasattr(self, "linear"):
            self.linear = nn.Linear(x.shape[-1], 2, dtype=torch.float32)
        return self.linear(x.mean(dim=2))


class Network(LogisticRegression):
    """A classifier that is trained by gradients, as networks are."""

    def fit(self, X, y):
        weights = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
        (torch.as_tensor(X) @ weights).square().sum().backward()
        assert weights.grad is not None
        return super().fit(X, y)


MODES = [torch.no_grad, torch.inference_mode, torch.enable_grad]


def modes():
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled()


@pytest.mark.parametrize("mode", MODES)
def test_extractors_can_be_trained_after_any_mode(mode):
    network = Lazy()
    with mode():
        before = modes()
        extract_features(BYTES, network)
        assert modes() == before
    loss = network(torch.zeros(1, 1, 12, 12)).sum()
    loss.backward()
    assert network.linear.weight.grad is not None


@pytest.mark.parametrize("mode", MODES)
def test_classifiers_are_trained_in_any_mode(mode):
    X, Y = UNIT[:, 0], UNIT[:, 1]
    expected = classifier_two_sample_score(X, Y, random_state=0)
    with mode():
        before = modes()
        found = classifier_two_sample_score(
            X, Y, classifier=Network(max_iter=1000), random_state=0
        )
        assert modes() == before
    assert found == pytest.approx(expected, abs=0.1)


def test_modules_without_weights_take_any_default_device():
    with torch.device("meta"):
        features = extract_features(BYTES, nn.AvgPool2d(12))
    np.testing.assert_allclose(features[:, 0], BYTES.mean(axis=(1, 2)) / 255, 1e-5)
