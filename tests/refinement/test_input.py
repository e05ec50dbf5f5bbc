"""Input, output and errors of the matchers."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import mean_spectrum_distance
from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
)

MATCHERS = [
    RadialSpectrumMatcher(),
    SpectrumMatcher(),
    SpectrumQuantileMatcher(),
    CrossSpectrumMatcher(min_frequency=0),
]
SHAPES = [(6, 5), (6, 6, 1), (5, 8, 3)]


def images(n, shape=(6, 8, 3), seed=0, dtype=np.uint8):
    """Random images from 40 to 199, divided by 255 if they are floats."""
    values = np.random.default_rng(seed).integers(40, 200, (n, *shape))
    return values.astype(dtype) if dtype == np.uint8 else (values / 255).astype(dtype)


def blurred(n, **options):
    values = images(n, seed=1, **options).astype(np.float64)
    half = (values + np.roll(values, 1, axis=1)) / 2
    return half.astype(options.get("dtype", np.uint8))


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_shape_type_and_range_stay(matcher, shape, dtype):
    generated = blurred(20, shape=shape, dtype=dtype)
    before = generated.copy()
    matcher = clone(matcher).fit(generated, images(15, shape, dtype=dtype))
    refined = matcher.transform(generated)
    assert refined.shape == generated.shape
    assert refined.dtype == dtype
    assert (refined != generated).any()
    assert (generated == before).all()
    assert matcher.image_shape_ == (*shape, 1)[:3]
    assert matcher.data_range_ == ((0, 255) if dtype == np.uint8 else (0, 1))
    assert refined.min() >= 0
    assert refined.max() <= matcher.data_range_[1]
    height, width, n_channels = matcher.image_shape_
    gain = matcher.log_gain(generated)
    assert gain.shape == (20, n_channels, height, width // 2 + 1)
    assert np.isfinite(gain).all()


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
def test_rows_labels_and_sets_are_the_same(matcher):
    generated, real = blurred(20), images(15)
    refined = clone(matcher).fit_transform(generated, real)
    rows = [x.reshape(len(x), -1) for x in (generated, real)]
    of_rows = matcher.set_params(image_shape=(6, 8, 3)).fit(*rows)
    assert (of_rows.transform(rows[0]).reshape(refined.shape) == refined).all()
    assert (of_rows.transform(generated) == refined).all()
    order = np.random.default_rng(0).permutation(35)
    stacked = np.concatenate([generated, real])[order]
    labels = (np.arange(35) >= 20)[order]
    for y in (labels, labels.astype(int), np.where(labels, "real", "generated")):
        of_labels = clone(matcher).fit(stacked, y)
        assert (of_labels.n_generated_, of_labels.n_real_) == (20, 15)
        assert np.allclose(of_labels.transform(generated), refined, atol=1)
        assert np.isclose(of_labels.score(stacked, y), matcher.score(generated, real))


def test_score_is_minus_the_distance():
    generated, real = blurred(30, dtype=np.float64), images(30, dtype=np.float64)
    matcher = SpectrumMatcher(data_range=(-1, 3))
    refined = matcher.fit_transform(generated, real)
    result = mean_spectrum_distance(real + 1, refined + 1, data_range=4.0)
    assert np.isclose(matcher.score(generated, real), -result.distance)


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
def test_batches_do_not_show(matcher, monkeypatch):
    generated, real = blurred(20, dtype=np.float64), images(15, dtype=np.float64)
    whole = clone(matcher).fit_transform(generated, real)
    monkeypatch.setattr("skspectral.metrics._images._BATCH_VALUES", 7 * 6 * 8 * 3)
    parts = clone(matcher).fit_transform(generated, real)
    assert np.allclose(parts, whole, atol=1e-10)


def test_filters_have_one_gain_for_all_images():
    generated, real = blurred(20), images(15)
    for matcher in MATCHERS[:2]:
        gain = matcher.set_params(image_shape=None).fit(generated, real).log_gain()
        assert (matcher.log_gain(generated) == gain).all()
        gain[:] = 0
        assert matcher.log_gain().any()
    for matcher in MATCHERS[2:]:
        matcher.set_params(image_shape=None).fit(generated, real)
        with pytest.raises(ValueError, match="depend on the image"):
            matcher.log_gain()


def test_integers_are_rounded_and_values_are_clipped():
    generated, real = (x.astype(np.int64) - 128 for x in (blurred(20), images(15)))
    free = SpectrumMatcher().fit(generated, real)
    assert free.data_range_ == (-np.inf, np.inf)
    exact = free.transform(generated.astype(float))
    assert (free.transform(generated) == np.rint(exact)).all()
    matcher = SpectrumMatcher(data_range=(-90, 80))
    generated, real = np.clip(generated, -90, 80), np.clip(real, -90, 80)
    refined = matcher.fit(generated, real).transform(generated.astype(float))
    assert (refined.min(), refined.max()) == (-90, 80)


def test_samples_of_the_dictionary_are_refined():
    real = images(60, (6, 6, 1), dtype=np.float64).reshape(60, -1)
    model = SpectralDictionaryLearning(4, signal_shape=(6, 6), modulation=None)
    samples = model.fit(real).sample(50, random_state=0)
    matcher = SpectrumMatcher(image_shape=(6, 6))
    refined = matcher.fit_transform(samples, real)
    assert refined.shape == samples.shape
    assert matcher.data_range_ == (0, 1)
    distances = (
        mean_spectrum_distance(
            *(x.reshape(-1, 6, 6) for x in (real, rows)), data_range=1.0
        ).distance
        for rows in (samples, refined)
    )
    assert next(distances) > next(distances) + 1


def test_searches_and_pipelines_take_labels():
    generated, real = blurred(40, shape=(6, 6)), images(40, (6, 6))
    X = np.concatenate([generated, real]).reshape(80, -1)
    y = np.repeat([0, 1], 40)
    pipeline = make_pipeline(SpectrumMatcher(image_shape=(6, 6)))
    grid = {"spectrummatcher__shrinkage": [None, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=ShuffleSplit(2, random_state=0))
    assert np.isfinite(search.fit(X, y).best_score_)


def test_names_of_columns():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(blurred(20, shape=(4,), dtype=np.float64), columns=list("abcd"))
    matcher = SpectrumMatcher().set_output(transform="pandas")
    refined = matcher.fit(X, images(20, (4,), dtype=np.float64)).transform(X)
    assert (
        list(refined.columns) == list(matcher.get_feature_names_out()) == list("abcd")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[..., None], y), "X has shape"),
        (lambda X, y: (X, y[:, :5]), "y has images of shape"),
        (lambda X, y: (X, y[..., :1]), "y has images of shape"),
        (lambda X, y: (X, y.reshape(len(y), -1)[:, :7]), "y has 7 features"),
        (lambda X, y: (X[:1], y), "minimum of 2"),
        (lambda X, y: (X, y[:1]), "only 1"),
        (lambda X, y: (X, y[0, 0, 0]), "labels for"),
        (lambda X, y: (X, None), "requires y"),
        (lambda X, y: (X, np.zeros(len(X))), "1 different labels"),
        (lambda X, y: (X, np.arange(len(X))), "20 different labels"),
        (lambda X, y: (X, np.full(len(X), np.nan)), "NaN"),
        (lambda X, y: (X, y.astype(float)), "uint8"),
        (lambda X, y: (X, np.where(y > 100, np.inf, y)), "infinity"),
        (lambda X, y: (X.astype(float) * np.nan, y), "NaN"),
        (lambda X, y: (X + 1j, y), "Complex"),
        (lambda X, y: (np.full_like(X, 7), y), "constant"),
        (lambda X, y: (X, np.full_like(y, 7)), "constant"),
        (lambda X, y: (X[:, :1, :1], y[:, :1, :1]), "frequency"),
    ],
)
def test_bad_sets(change, message):
    with pytest.raises(ValueError, match=message):
        SpectrumMatcher().fit(*change(blurred(20), images(15)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (6, 8)}, "holds 48"),
        ({"image_shape": (8, 6, 3)}, "images of shape"),
        ({"image_shape": (144,)}, "must be"),
        ({"image_shape": (6.0, 8.0, 3.0)}, "must be"),
        ({"data_range": (0, 100)}, "outside"),
        ({"data_range": (255, 0)}, "must be"),
        ({"data_range": 255}, "data_range"),
        ({"statistic": "mean"}, "statistic"),
        ({"shrinkage": 2}, "shrinkage"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        SpectrumMatcher(**parameters).fit(blurred(20), images(15))


def test_bad_transforms():
    matcher = SpectrumMatcher(data_range=(0, 255))
    for method in (matcher.transform, matcher.log_gain):
        with pytest.raises(NotFittedError):
            method(blurred(2))
    with pytest.raises(ValueError, match="only 1"):
        matcher.fit(blurred(20), images(1))
    with pytest.raises(NotFittedError):
        matcher.transform(blurred(2))
    matcher.fit(blurred(20), images(15))
    with pytest.raises(ValueError, match="expecting images of shape"):
        matcher.transform(blurred(2, shape=(8, 6, 3)))
    with pytest.raises(ValueError, match="expecting 144 features"):
        matcher.transform(np.zeros((2, 7)))
    with pytest.raises(ValueError, match="outside"):
        matcher.transform(-images(2).astype(float))
    with pytest.raises(ValueError, match="uint8"):
        SpectrumMatcher().fit(blurred(20), images(15)).transform(images(2) / 255)
