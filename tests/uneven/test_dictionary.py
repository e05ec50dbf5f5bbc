"""UnevenSpectralDictionary: recovery, posterior, likelihood, conventions."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral import SpectralDictionaryLearning
from skspectral.uneven import UnevenSpectralDictionary, periodogram

FREQUENCIES, PHASES = np.array([3.3, 7.1, 12.6]), np.array([0.3, 1.0, 2.0])


@parametrize_with_checks(
    [
        UnevenSpectralDictionary(2),
        UnevenSpectralDictionary(1, fit_mean=False),
        UnevenSpectralDictionary(2, prior="flat"),
        UnevenSpectralDictionary(2, prior="gaussian"),
    ]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def tones(n=80, length=60, noise=0.2, seed=0, offset=1.0):
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, 2, (n, length))
    sizes = rng.normal(size=(n, 3)) * [3, 2, 1]
    waves = np.sin(2 * np.pi * FREQUENCIES[:, None] * times[:, None] + PHASES[:, None])
    X = np.einsum("nk,nkl->nl", sizes, waves) + noise * rng.normal(size=times.shape)
    return X + offset * rng.normal(size=(n, 1)), times


def atoms_at(est, t):
    angle = 2 * np.pi * est.frequencies_[:, None] * (t - est.time_range_[0])
    waves = np.sin(angle + est.phases_[:, None])
    return np.concatenate([waves, np.ones((int(est.fit_mean), t.size))])


@pytest.mark.parametrize("fit_mean", [True, False])
def test_waves_are_recovered(fit_mean):
    X, times = tones(offset=2.0 * fit_mean)
    before = X.copy(), times.copy()
    est = UnevenSpectralDictionary(3, max_frequency=20, fit_mean=fit_mean)
    est.fit(X, times=times)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(times, before[1])
    np.testing.assert_allclose(est.frequencies_, FREQUENCIES, atol=0.01)
    start = est.time_range_[0]
    expected = np.remainder(PHASES + 2 * np.pi * FREQUENCIES * start, np.pi)
    turn = np.remainder(est.phases_ - expected + 0.5 * np.pi, np.pi) - 0.5 * np.pi
    assert np.abs(turn).max() < 0.05
    assert est.noise_variance_ == pytest.approx(0.04, rel=0.1)
    assert est.explained_variance_ratio_.sum() > 0.98
    assert (np.diff(est.explained_variance_ratio_) < 0).all()
    assert est.converged_


def test_the_order_of_the_times_does_not_matter():
    X, times = tones()
    order = np.argsort(times, axis=1)
    one = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    two = UnevenSpectralDictionary(3, max_frequency=20).fit(
        np.take_along_axis(X, order, 1), times=np.take_along_axis(times, order, 1)
    )
    np.testing.assert_allclose(one.frequencies_, two.frequencies_, rtol=1e-6)


def test_regular_times_are_those_of_the_regular_dictionary():
    rng = np.random.default_rng(0)
    t = np.arange(100) / 100
    waves = np.sin(2 * np.pi * FREQUENCIES[:, None] * t + PHASES[:, None])
    X = rng.normal(size=(200, 3)) * [3, 2, 1] @ waves
    X += 0.1 * rng.normal(size=X.shape)
    regular = SpectralDictionaryLearning(3, modulation=None, sampling_rate=100).fit(X)
    uneven = UnevenSpectralDictionary(3, fit_mean=False).fit(X, times=t)
    ours, theirs = (np.sort(e.frequencies_) for e in (uneven, regular))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    without = UnevenSpectralDictionary(3, fit_mean=False).fit(X)
    np.testing.assert_allclose(without.frequencies_ * 100, uneven.frequencies_)


def test_half_of_the_times_keep_the_explained_variance():
    rng = np.random.default_rng(0)
    X, _ = tones(150, 128)
    t = np.arange(128) / 64
    waves = np.sin(2 * np.pi * FREQUENCIES[:, None] * t + PHASES[:, None])
    X = rng.normal(size=(150, 3)) @ waves + 0.2 * rng.normal(size=(150, 128))
    kept = np.sort(rng.permuted(np.tile(np.arange(128), (150, 1)), axis=1)[:, :64], 1)
    thin = np.take_along_axis(X, kept, 1)
    est = UnevenSpectralDictionary(3, max_frequency=32, fit_mean=False)
    est.fit(thin, times=t[kept])
    signals = est.predict(thin, times=t[kept], at=t)
    explained = 1 - ((X - signals) ** 2).sum() / (X**2).sum()
    regular = SpectralDictionaryLearning(3, modulation=None, center=False).fit(X)
    assert explained > 0.98 * regular.explained_variance_ratio_.sum()


def test_one_series_is_the_peak_of_the_periodogram():
    rng = np.random.default_rng(3)
    t = rng.uniform(0, 100, 70)
    x = 5 + np.sin(2 * np.pi * 0.377 * t + 1) + 0.5 * rng.normal(size=70)
    est = UnevenSpectralDictionary(1, max_frequency=1.0, tol=1e-12).fit([x], times=[t])
    grid = np.linspace(0.005, 1, 20_000)
    power = periodogram([x], [t], grid)
    assert est.frequencies_[0] == pytest.approx(grid[power.argmax()], abs=1e-4)
    exact = periodogram([x], [t], est.frequencies_)
    np.testing.assert_allclose(est.explained_variance_ratio_, exact, rtol=1e-5)
    assert exact >= power.max() - 1e-9


def test_the_posterior_is_that_of_the_joint_gaussian():
    X, times = tones()
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    new = np.linspace(0, 2, 17)
    mean, std = est.predict(X[:5], times=times[:5], at=new, return_std=True)
    scores = est.score_samples(X[:5], times=times[:5])
    codes = est.transform(X[:5], times=times[:5])
    for i in range(5):
        A, B = atoms_at(est, times[i]), atoms_at(est, new)
        C, m, v = est.code_covariance_, est.code_mean_, est.noise_variance_
        K = A.T @ C @ A + v * np.eye(A.shape[1])
        gain = C @ A @ np.linalg.inv(K)
        expected = m + gain @ (X[i] - m @ A)
        np.testing.assert_allclose(codes[i], expected, atol=1e-6)
        np.testing.assert_allclose(mean[i], expected @ B, atol=1e-6)
        spread = B.T @ (C - gain @ A.T @ C) @ B
        np.testing.assert_allclose(std[i] ** 2, spread.diagonal(), rtol=1e-5)
        density = multivariate_normal(m @ A, K).logpdf(X[i])
        assert scores[i] == pytest.approx(density, rel=1e-6)
    assert est.score(X[:5], times=times[:5]) == pytest.approx(scores.mean())


def test_the_band_covers_the_signal():
    X, times = tones(200, 12, seed=1)
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X[:150], times=times[:150])
    rng = np.random.default_rng(2)
    dense = rng.uniform(0, 2, (50, 30))
    truth, _ = tones(200, 12, noise=0.0, seed=1)
    mean, std = est.predict(X[150:], times=times[150:], return_std=True)
    z = (truth[150:] - mean) / std
    assert 0.8 < np.sqrt(np.mean(z**2)) < 1.6
    assert est.predict(X[150:], times=times[150:], at=dense).shape == dense.shape


def test_padding_and_rows_of_different_lengths():
    X, times = tones(40)
    short = [x[: 30 + i % 20] for i, x in enumerate(X)]
    at = [t[: 30 + i % 20] for i, t in enumerate(times)]
    padded, moments = (np.full((40, 49), np.nan) for _ in range(2))
    for i, (x, t) in enumerate(zip(short, at, strict=True)):
        padded[i, : len(x)], moments[i, : len(x)] = x, t
    est = UnevenSpectralDictionary(3, max_frequency=20)
    lists = est.fit_transform(short, times=at)
    table = est.fit_transform(padded, times=moments)
    pairs = est.fit_transform(list(zip(at, short, strict=True)))
    np.testing.assert_allclose(table, lists, atol=1e-8)
    np.testing.assert_allclose(pairs, lists, atol=1e-8)
    filled = est.predict(list(zip(at, short, strict=True)))
    np.testing.assert_array_equal(np.isnan(filled), np.isnan(padded))


def test_codes_and_signals():
    X, times = tones(noise=0.01)
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    codes = est.transform(X, times=times)
    assert codes.shape == (80, 4)
    again = est.inverse_transform(codes, times=times)
    np.testing.assert_allclose(again, X, atol=0.1)
    np.testing.assert_allclose(again, est.predict(X, times=times))
    shared = est.inverse_transform(codes, times=times[0])
    np.testing.assert_allclose(shared[0], again[0])
    names = est.get_feature_names_out()
    assert names[0] == "unevenspectraldictionary0"
    assert names[-1] == "unevenspectraldictionary_mean"
    with pytest.raises(ValueError, match="expects the 4 codes"):
        est.inverse_transform(codes[:, :3], times=times)
    with pytest.raises(ValueError, match="fit was called with times"):
        est.inverse_transform(codes)
    with pytest.raises(ValueError, match="one row for each of the 80 rows"):
        est.inverse_transform(codes, times=times[:3])


def test_few_rows_have_a_flat_prior():
    X, times = tones(3)
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    assert est.code_covariance_ is None
    codes = est.transform(X, times=times)
    for i in range(3):
        A = atoms_at(est, times[i])
        expected = np.linalg.lstsq(A.T, X[i], rcond=None)[0]
        np.testing.assert_allclose(codes[i], expected, atol=1e-4)


def test_dates():
    X, times = tones()
    origin = np.datetime64("2024-02-28T12:00:00.000000")
    dates = origin + (times * 1e6).astype("timedelta64[us]")
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=dates)
    plain = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    np.testing.assert_allclose(est.frequencies_, plain.frequencies_, rtol=1e-4)
    mean = est.predict(X, times=dates, at=dates[0])
    np.testing.assert_allclose(mean[0], plain.predict(X, times=times)[0], atol=0.01)
    with pytest.raises(TypeError, match="others are numbers"):
        est.transform(X, times=times)


def test_equal_times_are_allowed():
    X, times = tones()
    doubled = np.concatenate([times, times], 1)
    est = UnevenSpectralDictionary(3, max_frequency=20)
    est.fit(np.concatenate([X, X], 1), times=doubled)
    np.testing.assert_allclose(est.frequencies_, FREQUENCIES, atol=0.01)


def test_what_is_refused():
    X, times = tones(10)
    est = UnevenSpectralDictionary(2)
    with pytest.raises(ValueError, match="no variance within its rows"):
        est.fit(np.ones((5, 6)) * np.arange(5)[:, None])
    with pytest.raises(ValueError, match="All values have the time"):
        est.fit(X, times=np.zeros_like(times))
    with pytest.raises(ValueError, match="'max_frequency' parameter"):
        UnevenSpectralDictionary(max_frequency=-1).fit(X, times=times)
    est.fit(X, times=times)
    with pytest.raises(ValueError, match="fit was called with times"):
        est.transform(X)
    est.fit(X)
    with pytest.raises(ValueError, match="fit was called without times"):
        est.transform(X, times=times)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        UnevenSpectralDictionary(3, max_iter=1, tol=0.0).fit(X, times=times)


def test_a_copy_of_a_fitted_estimator_gives_the_same():
    X, times = tones()
    est = UnevenSpectralDictionary(3, max_frequency=20).fit(X, times=times)
    again = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(
        again.transform(X, times=times), est.transform(X, times=times)
    )


def test_progress_is_reported():
    X, times = tones(20)
    seen = []

    class Listener:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, metadata=None):
            seen.append(metadata)

    est = UnevenSpectralDictionary(2, max_frequency=20).set_callbacks(Listener())
    est.fit(X, times=times)
    steps = [state for state in seen if state and "n_waves" in state]
    assert steps[-1]["n_waves"] == 2
    assert steps[-1]["residual_sum_of_squares"] < np.sum(X**2)


def test_times_are_routed():
    X, times = tones(90)
    y = (np.arange(90) % 3 == 0).astype(int)
    X[y == 1] *= 3
    with config_context(enable_metadata_routing=True):
        est = UnevenSpectralDictionary(2, max_frequency=20)
        for method in ("fit", "transform", "score"):
            est = getattr(est, f"set_{method}_request")(times=True)
        search = GridSearchCV(est, {"n_components": [1, 3]}, cv=3).fit(X, times=times)
        assert search.best_params_ == {"n_components": 3}
        pipeline = make_pipeline(est, LogisticRegression())
        pipeline.fit(np.abs(X), y, times=times)
        assert pipeline.predict(np.abs(X), times=times).shape == (90,)
