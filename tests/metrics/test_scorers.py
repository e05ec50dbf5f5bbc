"""Scorers in scikit-learn's model selection: what they compare, and what they say."""

import copy
import pickle
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import (
    explained_variance,
    generation_scorer,
    mean_spectrum_distance,
    psnr,
    radial_power_spectrum,
    radial_spectrum_distance,
    reconstruction_scorer,
)

SHAPE = (8, 8)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:240] / 16


@pytest.fixture(scope="module")
def model(digits):
    return SpectralDictionaryLearning(12, signal_shape=SHAPE, random_state=0).fit(
        digits
    )


class Moments(NamedTuple):
    mean: float
    all: np.ndarray


def distance_of_moments(X, Y):
    return Moments(abs(X.mean() - Y.mean()), X.mean(0) - Y.mean(0))


def shapes(X, Y):
    """A metric that tells what it was given."""
    return float(f"{X.ndim}{Y.ndim}.{len(Y)}")


# What they compare


def test_reconstruction_is_what_the_metric_gets(model, digits):
    other = model.inverse_transform(model.transform(digits))
    scorer = reconstruction_scorer(psnr, data_range=1.0)
    assert scorer(model, digits) == psnr(digits, other, data_range=1.0)
    minus = reconstruction_scorer(psnr, greater_is_better=False, data_range=1.0)
    assert minus(model, digits) == -scorer(model, digits)


def test_draws_are_what_the_metric_gets(model, digits):
    scorer = generation_scorer(radial_spectrum_distance, signal_shape=SHAPE)
    draws = model.sample(len(digits), random_state=0).reshape(-1, 8, 8)
    expected = -radial_spectrum_distance(digits.reshape(-1, 8, 8), draws)
    assert scorer(model, digits) == expected == scorer(model, digits)
    other = generation_scorer(
        radial_spectrum_distance, signal_shape=SHAPE, random_state=1
    )
    assert other(model, digits) != expected
    plus = generation_scorer(
        radial_spectrum_distance, signal_shape=SHAPE, greater_is_better=True
    )
    assert plus(model, digits) == -expected


def test_fresh_draws_without_a_seed(model, digits):
    scorer = generation_scorer(
        radial_spectrum_distance, signal_shape=SHAPE, random_state=None
    )
    model = copy.deepcopy(model)
    assert scorer(model, digits) != scorer(model, digits)


def test_shapes_and_numbers_of_draws(model, digits):
    for shape, axes in ((None, 22), ((64,), 22), (SHAPE, 33), ([4, 4, 4], 44)):
        common = {"signal_shape": shape, "greater_is_better": True}
        assert generation_scorer(shapes, **common, n_samples=7)(
            model, digits
        ) == pytest.approx(axes + 0.7)
        assert reconstruction_scorer(shapes, **common)(model, digits[:5]) == axes + 0.5


def test_field_of_a_named_tuple(model, digits):
    scorer = generation_scorer(
        mean_spectrum_distance, signal_shape=SHAPE, field="distance", data_range=1.0
    )
    draws = model.sample(len(digits), random_state=0).reshape(-1, 8, 8)
    images = digits.reshape(-1, 8, 8)
    expected = mean_spectrum_distance(images, draws, data_range=1.0)
    assert scorer(model, digits) == -expected.distance
    scorer = reconstruction_scorer(distance_of_moments, field="mean")
    assert scorer(model, digits) >= 0


# In scikit-learn


def test_grid_search_for_draws(digits):
    scorer = generation_scorer(radial_spectrum_distance, signal_shape=SHAPE)
    model = SpectralDictionaryLearning(signal_shape=SHAPE, modulation=None)
    grid = {"n_components": [1, 16]}
    search = GridSearchCV(model, grid, scoring=scorer, cv=3, refit=True).fit(digits)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_params_ == {"n_components": 16}
    held_out = digits[:40]
    assert search.score(held_out) == scorer(search.best_estimator_, held_out)


def test_grid_search_for_several_metrics(digits):
    scoring = {
        "psnr": reconstruction_scorer(psnr, data_range=1.0),
        "r2": reconstruction_scorer(explained_variance),
    }
    for model in (PCA(), SpectralDictionaryLearning(modulation=None)):
        search = GridSearchCV(
            model, {"n_components": [2, 9]}, scoring=scoring, cv=2, refit="r2"
        ).fit(digits)
        for name in scoring:
            few, many = search.cv_results_[f"mean_test_{name}"]
            assert few < many
        assert search.best_params_ == {"n_components": 9}


def test_cross_validation_of_pipelines_and_frames(digits):
    frame = pd.DataFrame(digits, columns=[f"p{i}" for i in range(64)])
    scorer = reconstruction_scorer(explained_variance, signal_shape=SHAPE)
    model = make_pipeline(StandardScaler(), PCA(9))
    found = cross_val_score(model, frame, scoring=scorer, cv=3)
    np.testing.assert_allclose(
        found, cross_val_score(model, digits, scoring=scorer, cv=3)
    )
    assert (found > 0).all()


def test_labels_are_not_used(model, digits):
    scorer = reconstruction_scorer(explained_variance)
    assert scorer(model, digits, np.arange(len(digits))) == scorer(model, digits)


SCORERS = [
    reconstruction_scorer(psnr, data_range=1.0),
    generation_scorer(radial_spectrum_distance, signal_shape=SHAPE, n_samples=9),
    generation_scorer(
        mean_spectrum_distance, signal_shape=SHAPE, field="floor", data_range=1.0
    ),
]


@pytest.mark.parametrize("scorer", SCORERS)
def test_copies_score_alike(scorer, model, digits):
    search = clone(GridSearchCV(model, {}, scoring=scorer))
    for other in (pickle.loads(pickle.dumps(scorer)), search.scoring):
        assert other(model, digits) == scorer(model, digits)
        assert repr(other) == repr(scorer)


@pytest.mark.parametrize("scorer", SCORERS)
def test_repr_is_the_call(scorer, model, digits):
    """It makes the same scorer again."""
    assert eval(repr(scorer))(model, digits) == scorer(model, digits)


def test_repr_of_what_has_no_name():
    scorer = reconstruction_scorer(partial(psnr, data_range=1.0))
    assert "partial" in repr(scorer)


def test_input_stays_as_it_is(model, digits):
    before = digits.copy()
    for scorer in SCORERS:
        scorer(model, digits)
    np.testing.assert_array_equal(digits, before)


# What is refused


def test_estimators_without_the_methods(digits):
    scorer = reconstruction_scorer(explained_variance)
    with pytest.raises(TypeError, match="inverse_transform, but KMeans has no"):
        scorer(KMeans(2, n_init=1).fit(digits), digits)
    scorer = generation_scorer(radial_spectrum_distance, signal_shape=SHAPE)
    with pytest.raises(TypeError, match="method sample, but PCA has no"):
        scorer(PCA(2).fit(digits), digits)
    mixture = GaussianMixture(covariance_type="diag", reg_covar=0.1).fit(digits)
    with pytest.raises(TypeError, match="of GaussianMixture has no random_state"):
        scorer(mixture, digits)


def test_metrics_that_return_more_than_a_number(model, digits):
    def pairs(X, Y):
        return radial_power_spectrum(X), radial_power_spectrum(Y)

    for metric, field, error, match in [
        (distance_of_moments, None, TypeError, "Pass field as one of: mean, all"),
        (distance_of_moments, "all", TypeError, "returns ndarray, but .* a function"),
        (
            distance_of_moments,
            "median",
            ValueError,
            "field='median' .* Pass one of: mean, all",
        ),
        (pairs, None, TypeError, "pairs returns tuple, but a score must be one number"),
        (explained_variance, "mean", ValueError, "field='mean' .* Pass field=None"),
    ]:
        scorer = reconstruction_scorer(metric, field=field, signal_shape=SHAPE)
        with pytest.raises(error, match=match):
            scorer(model, digits)


def test_shapes_that_do_not_fit(model, digits):
    scorer = reconstruction_scorer(psnr, signal_shape=(8, 9), data_range=1.0)
    with pytest.raises(ValueError, match=r"signal_shape=\(8, 9\) holds 72 values"):
        scorer(model, digits)


def test_bad_options():
    for options in ({"n_samples": 0}, {"random_state": -1}, {"field": 3}):
        with pytest.raises(ValueError, match=next(iter(options))):
            generation_scorer(radial_spectrum_distance, **options)
    for make in (reconstruction_scorer, generation_scorer):
        with pytest.raises(ValueError, match="metric"):
            make("psnr")
        with pytest.raises(ValueError, match="greater_is_better"):
            make(psnr, greater_is_better=None)
