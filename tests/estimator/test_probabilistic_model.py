import numpy as np
import pytest
import sklearn
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as ScikitLearns
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import SpectralDictionaryLearning
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

PRIORS = {
    "gaussian": GaussianPrior(),
    "ledoit-wolf": GaussianPrior(shrinkage="ledoit_wolf"),
    "low rank": GaussianPrior("low_rank", rank=3),
    "mixture": GaussianMixture(3),
    "low-rank mixture": GaussianMixture(3, covariance="low_rank", rank=2),
    "by class": ClassConditionalPrior(GaussianMixture(2)),
    "scikit-learn's": ScikitLearns(2, random_state=0),
    "Bayesian": BayesianGaussianMixture(n_components=2, random_state=0),
}


@pytest.fixture(scope="module")
def signals():
    """Noisy sums of a few sinusoids, and labels that say how loud they are."""
    rng = np.random.default_rng(0)
    t = np.arange(24) / 24
    waves = np.sin(2 * np.pi * np.outer([1, 2, 3.5, 5], t) + rng.random((4, 1)))
    y = rng.integers(2, size=200)
    X = (1 + 3 * y)[:, None] * rng.normal(size=(200, 4)) @ waves
    return 2 + X + 0.3 * rng.normal(size=(200, 24)), y


@pytest.fixture(scope="module", params=PRIORS)
def fitted(request, signals):
    prior = PRIORS[request.param]
    est = SpectralDictionaryLearning(6, modulation=None, prior=prior, random_state=0)
    return est.fit(*signals)


def dense_parts(est, removed=None):
    """Weights, means and T x T covariances, clean and with the fitted noise."""
    v = est.noise_variance_
    removed = v if removed is None else removed
    for weight, normal in est.prior_.mixture():
        values, vectors = np.linalg.eigh(normal.covariance)
        clean = (vectors * np.maximum(values - removed, 0)) @ vectors.T
        signal = est.basis_.T @ clean @ est.basis_
        # The part of the residual variance that is not noise belongs to the signal.
        outside = np.eye(len(signal)) - est.basis_.T @ est.basis_
        signal += (v - removed) * outside
        yield weight, est.mean_ + normal.mean @ est.basis_, signal


def dense_denoised(est, X, noise):
    v = est.noise_variance_
    numerator, denominator = 0, 0
    for weight, mean, signal in dense_parts(est, min(v, noise)):
        total = signal + noise * np.eye(len(mean))
        share = weight * multivariate_normal(mean, total).pdf(X)[:, None]
        gain = signal @ np.linalg.inv(total)
        numerator = numerator + share * (mean + (X - mean) @ gain.T)
        denominator = denominator + share
    return numerator / denominator


def test_score_samples_is_the_dense_density(fitted, signals):
    X = signals[0][:20]
    v = fitted.noise_variance_
    density = sum(
        weight * multivariate_normal(mean, signal + v * np.eye(24)).pdf(X)
        for weight, mean, signal in dense_parts(fitted)
    )
    np.testing.assert_allclose(fitted.score_samples(X), np.log(density), rtol=1e-8)
    assert fitted.score(X) == pytest.approx(np.log(density).mean())


@pytest.mark.parametrize("factor", [None, 0.4, 1.0, 3.0])
def test_denoise_is_the_dense_posterior_mean(fitted, signals, factor):
    X, v = signals[0][:20], fitted.noise_variance_
    noise_std = None if factor is None else factor * v**0.5
    expected = dense_denoised(fitted, X, v * (1 if factor is None else factor**2))
    np.testing.assert_allclose(fitted.denoise(X, noise_std), expected, rtol=1e-7)


def test_each_row_with_a_noise_of_its_own(fitted, signals):
    X = signals[0][:6]
    noise_std = fitted.noise_variance_**0.5 * np.array([0, 0.1, 0.7, 1, 2, 5])
    each = [fitted.denoise(x[None], s)[0] for x, s in zip(X, noise_std, strict=True)]
    np.testing.assert_allclose(fitted.denoise(X, noise_std), each)


def test_denoise_without_noise_changes_nothing(fitted, signals):
    X = signals[0][:5]
    np.testing.assert_allclose(fitted.denoise(X, 0), X, rtol=1e-12)


def test_denoise_with_much_noise_is_the_mean(fitted, signals):
    X = signals[0][:5]
    mean = sum(weight * mean for weight, mean, _ in dense_parts(fitted))
    np.testing.assert_allclose(fitted.denoise(X, 1e6), [mean] * 5, atol=1e-4)


def test_denoise_removes_noise(fitted, signals):
    X = signals[0]
    noisy = X + np.random.default_rng(1).normal(size=X.shape)
    before, after = ((Z - X).std() for Z in (noisy, fitted.denoise(noisy, 1.0)))
    assert after < 0.7 * before


def gaps(X, share=0.5, seed=1):
    missing = np.random.default_rng(seed).random(X.shape) < share
    return np.where(missing, np.nan, X), missing


def dense_imputed(est, X):
    """Return means and standard deviations of missing entries, row by row."""
    v, mean_, std_ = est.noise_variance_, X.copy(), np.zeros_like(X)
    for row, mean_row, std_row in zip(X, mean_, std_, strict=True):
        m, o = np.isnan(row), ~np.isnan(row)
        weights, means, covariances = [], [], []
        for weight, mean, signal in dense_parts(est):
            S = signal + v * np.eye(len(mean))
            gain = S[np.ix_(m, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            law = multivariate_normal(mean[o], S[np.ix_(o, o)])
            weights.append(weight * law.pdf(row[o]))
            means.append(mean[m] + gain @ (row[o] - mean[o]))
            covariances.append(np.diag(S[np.ix_(m, m)] - gain @ S[np.ix_(o, m)]))
        shares = np.array(weights) / sum(weights)
        mean_row[m] = shares @ means
        second = shares @ (np.array(covariances) + np.array(means) ** 2)
        std_row[m] = np.sqrt(second - mean_row[m] ** 2)
    return mean_, std_


def test_impute_is_the_dense_conditional_mean(fitted, signals):
    X, missing = gaps(signals[0][:12])
    filled, std = fitted.impute(X, return_std=True)
    expected, spread = dense_imputed(fitted, X)
    np.testing.assert_allclose(filled, expected, rtol=1e-7)
    np.testing.assert_allclose(std, spread, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(filled[~missing], X[~missing])
    np.testing.assert_array_equal(fitted.impute(X), filled)


def test_draws_agree_with_what_is_seen_and_with_impute(fitted, signals):
    X, missing = gaps(signals[0][:3])
    X[2] = np.nan
    missing[2] = True
    n = 20_000
    draws = fitted.sample_posterior(X, n, random_state=0)
    assert draws.shape == (n, 3, 24)
    assert (draws[:, ~missing] == X[~missing]).all()
    filled, std = fitted.impute(X, return_std=True)
    # Five standard errors of the mean, and 6 % of the standard deviation.
    error = np.abs(draws.mean(0) - filled)
    assert (error <= 5 * std / n**0.5 + 1e-9).all()
    assert (np.abs(draws.std(0) - std) <= 0.06 * std + 1e-9).all()


def test_intervals_cover(fitted, signals):
    """About 95 % of the hidden entries lie in the 95 % interval."""
    rng = np.random.default_rng(5)
    X = fitted.sample(400, random_state=1)
    X += fitted.noise_variance_**0.5 * rng.normal(size=X.shape)
    hidden, missing = gaps(X)
    filled, std = fitted.impute(hidden, return_std=True)
    inside = np.abs(X - filled)[missing] < 1.96 * std[missing]
    # The coverage is not exact, because `sample` does not raise variances below the
    # noise variance.
    assert 0.93 < inside.mean() < 0.99


def test_a_row_without_anything_gets_the_mean(fitted):
    filled, std = fitted.impute(np.full((2, 24), np.nan), return_std=True)
    mean = sum(weight * mean for weight, mean, _ in dense_parts(fitted))
    np.testing.assert_allclose(filled, [mean, mean])
    assert (std > 0).all()


def test_nothing_missing(fitted, signals):
    X = signals[0][:4]
    filled, std = fitted.impute(X, return_std=True)
    np.testing.assert_array_equal(filled, X)
    assert filled is not X
    assert not np.shares_memory(filled, X)
    assert (std == 0).all()
    draws = fitted.sample_posterior(X, 2)
    np.testing.assert_array_equal(draws, [X, X])


def test_data_is_not_changed(fitted, signals):
    X, _ = gaps(signals[0][:5])
    before = X.copy()
    fitted.impute(X)
    fitted.sample_posterior(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("batch_size", [1, 3, None])
def test_batches_do_not_matter(signals, batch_size):
    X, _ = gaps(signals[0])
    X[:40] = np.where(np.arange(24) < 12, X[:40], np.nan)
    X[:40, :12] = signals[0][:40, :12]
    est = SpectralDictionaryLearning(6, modulation=None).fit(signals[0])
    expected = est.impute(X)
    est.set_params(batch_size=batch_size)
    np.testing.assert_allclose(est.impute(X), expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_dtype_is_kept(dtype):
    X = np.random.default_rng(0).integers(0, 255, size=(60, 16)).astype(dtype)
    est = SpectralDictionaryLearning(4, modulation=None).fit(X)
    expected = np.float64 if dtype == np.float64 else np.float32
    assert est.denoise(X).dtype == expected
    assert est.denoise(X, 0.1).dtype == expected
    assert est.impute(X).dtype == expected
    assert est.sample_posterior(X).dtype == expected


@pytest.mark.parametrize("n_components", [1, 24])
def test_one_atom_and_as_many_as_features(signals, n_components):
    X = signals[0][:10]
    est = SpectralDictionaryLearning(n_components, modulation=None).fit(signals[0])
    v = est.noise_variance_
    ((_, mean, signal),) = dense_parts(est)
    law = multivariate_normal(mean, signal + v * np.eye(24))
    np.testing.assert_allclose(est.score_samples(X), law.logpdf(X), rtol=1e-6)
    np.testing.assert_allclose(
        est.denoise(X, 0.5), dense_denoised(est, X, 0.25), rtol=1e-6
    )
    hidden, _ = gaps(X)
    expected, spread = dense_imputed(est, hidden)
    filled, std = est.impute(hidden, return_std=True)
    np.testing.assert_allclose(filled, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, spread, rtol=1e-4, atol=1e-4 + v**0.5)


class TestWithoutAClosedForm:
    @pytest.fixture
    def est(self, signals):
        est = SpectralDictionaryLearning(
            6, modulation=None, prior=KernelDensity(), ridge=1e-3
        )
        return est.fit(signals[0])

    def test_denoise_is_the_ridge_reconstruction(self, est, signals):
        X = signals[0][:5]
        expected = est.inverse_transform(est.transform(X))
        np.testing.assert_allclose(est.denoise(X), expected, rtol=1e-8)

    def test_impute_is_by_ridge_codes_of_what_is_seen(self, est, signals):
        X, missing = gaps(signals[0][:5])
        filled = est.impute(X)
        for row, hidden, full in zip(X, missing, filled, strict=True):
            atoms = est.components_[:, ~hidden]
            codes = np.linalg.solve(
                atoms @ atoms.T + 1e-3 * np.eye(6), atoms @ (row - est.mean_)[~hidden]
            )
            expected = (est.mean_ + codes @ est.components_)[hidden]
            np.testing.assert_allclose(full[hidden], expected, rtol=1e-5)
        np.testing.assert_allclose(
            est.impute(np.full((1, 24), np.nan)), est.mean_[None]
        )

    def test_no_ridge(self, signals):
        est = SpectralDictionaryLearning(
            6, modulation=None, prior=KernelDensity(), ridge=0
        )
        codes = est.fit_transform(signals[0])
        expected = est.inverse_transform(codes)
        np.testing.assert_allclose(est.denoise(signals[0]), expected, rtol=1e-10)

    @pytest.mark.parametrize(
        "call",
        [
            lambda est, X: est.score(X),
            lambda est, X: est.denoise(X, 0.1),
            lambda est, X: est.impute(X, return_std=True),
            lambda est, X: est.sample_posterior(X),
        ],
    )
    def test_what_is_impossible_names_what_can(self, est, signals, call):
        with pytest.raises(TypeError, match=r"KernelDensity has no.*GaussianMixture"):
            call(est, signals[0])


@pytest.mark.parametrize("noise_std", [-1.0, np.nan, np.inf, [1.0, -1.0, 0.0]])
def test_noise_that_is_none(signals, noise_std):
    est = SpectralDictionaryLearning(2, modulation=None).fit(signals[0])
    with pytest.raises(ValueError, match="finite and >= 0"):
        est.denoise(signals[0][:3], noise_std)


def test_noise_for_other_rows(signals):
    est = SpectralDictionaryLearning(2, modulation=None).fit(signals[0])
    with pytest.raises(ValueError, match=r"shape \(2,\) must be one number, or one f"):
        est.denoise(signals[0][:3], [1.0, 2.0])


@pytest.mark.parametrize("prior", ["by class", "mixture", "low-rank mixture"])
def test_silence(prior):
    """One component has less variance than the noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    waves = np.sin(2 * np.pi * np.outer([1, 2, 3.5, 5], np.arange(24) / 24))
    X = (3 * y)[:, None] * rng.normal(size=(200, 4)) @ waves
    X += 0.1 * (1 + 3 * y)[:, None] * rng.normal(size=X.shape)
    est = SpectralDictionaryLearning(4, modulation=None, prior=PRIORS[prior])
    est.fit(X, y)
    hidden, _ = gaps(X[:20])
    expected, spread = dense_imputed(est, hidden)
    filled, std = est.impute(hidden, return_std=True)
    np.testing.assert_allclose(filled, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(std, spread, rtol=1e-6, atol=1e-9)
    assert np.isfinite(est.sample_posterior(hidden, 3)).all()


def test_as_many_atoms_as_features_and_hardly_any_noise():
    """The density agrees with its formula even if the noise is only rounding error."""
    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(0) > 0.5]
    T = X.shape[1]
    est = SpectralDictionaryLearning(
        T, modulation=None, prior=ClassConditionalPrior()
    ).fit(X, y)
    # Some pixels are constant for a digit, so that covariances are singular.
    v, U = est.noise_variance_, (X[:50] - est.mean_) @ est.basis_.T
    parts = []
    for weight, normal in est.prior_.mixture():
        values, vectors = np.linalg.eigh(normal.covariance)
        values = np.maximum(values, v)
        along = (U - normal.mean) @ vectors
        parts.append(
            np.log(weight)
            - 0.5 * (np.log(2 * np.pi * values) + along**2 / values).sum(1)
        )
    expected = np.logaddexp.reduce(parts)
    np.testing.assert_allclose(est.score_samples(X[:50]), expected, atol=0.02)


def test_what_overflows_is_told(signals):
    est = SpectralDictionaryLearning(2, modulation=None).fit(signals[0])
    X = signals[0][:3].copy()
    X[0] = 1e160
    with pytest.raises(ValueError, match="squares of X overflow"):
        est.score_samples(X)
    with pytest.raises(ValueError, match="finite and >= 0"):
        est.denoise(signals[0], 1e160)


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_draws_do_not_depend_on_the_batch_size(signals, batch_size):
    X = np.where(np.arange(24) % 3 == 0, np.nan, signals[0])
    est = SpectralDictionaryLearning(3, modulation=None).fit(signals[0])
    expected = est.sample_posterior(X, 2, random_state=0)
    est.set_params(batch_size=batch_size)
    found = est.sample_posterior(X, 2, random_state=0)
    np.testing.assert_allclose(found, expected)


def test_labels_that_are_needed_are_asked_for_at_once(signals):
    est = SpectralDictionaryLearning(prior=ClassConditionalPrior())
    with pytest.raises(ValueError, match=r"needs a label for each sample, as in fit"):
        est.fit(signals[0])
    assert not hasattr(est, "components_")


def test_pieces_reach_every_gaussian_prior(signals):
    for prior in (GaussianPrior("low_rank"), GaussianPrior("diag")):
        est = SpectralDictionaryLearning(4, modulation=None, prior=prior)
        for rows in np.array_split(signals[0], 4):
            est.partial_fit(rows)
        codes = (signals[0] - est.mean_) @ est.basis_.T
        expected = clone(prior).fit(codes).covariance_
        np.testing.assert_allclose(est.prior_.covariance_, expected, atol=1e-9)


def test_infinite_entries_are_refused(signals):
    est = SpectralDictionaryLearning(2, modulation=None).fit(signals[0])
    X = signals[0][:3].copy()
    X[0, 0] = np.inf
    for method in (est.impute, est.sample_posterior, est.denoise):
        with pytest.raises(ValueError, match="infinity"):
            method(X)
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        est.denoise(X)


@pytest.mark.parametrize("n_samples", [0, 2.5, "3"])
def test_bad_number_of_draws(signals, n_samples):
    est = SpectralDictionaryLearning(2, modulation=None).fit(signals[0])
    with pytest.raises(ValueError, match="n_samples"):
        est.sample_posterior(signals[0], n_samples)


def test_draws_continue_a_stream_and_repeat_by_seed(signals):
    X, _ = gaps(signals[0][:3])
    runs = []
    for _ in range(2):
        est = SpectralDictionaryLearning(2, modulation=None, random_state=0)
        est.fit(signals[0])
        runs.append([est.sample_posterior(X), est.sample_posterior(X)])
    assert not np.array_equal(*runs[0])
    np.testing.assert_array_equal(*runs)
    first, second = (est.sample_posterior(X, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_anomalies_are_found_by_scikit_learns_scorers():
    """Trained on zeros, ones and twos; other digits are less likely."""
    X, y = load_digits(return_X_y=True)
    known = y < 3

    def detection(est, X, unknown):
        return roc_auc_score(unknown, -est.score_samples(X))

    rest = np.setdiff1d(np.arange(len(X)), np.flatnonzero(known)[:300])
    est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X[known][:300])
    assert detection(est, X[rest], ~known[rest]) > 0.9
    scores = cross_validate(
        est, X, ~known, scoring={"auc": detection, "likelihood": None}, cv=2
    )
    assert set(scores) > {"test_auc", "test_likelihood"}


def test_likelihood_chooses_in_a_grid_search(signals):
    est = SpectralDictionaryLearning(modulation=None, prior=GaussianMixture())
    grid = {"n_components": [1, 4], "prior__n_components": [1, 2]}
    search = GridSearchCV(est, grid, cv=3).fit(signals[0])
    assert search.best_params_ == {"n_components": 4, "prior__n_components": 2}


def test_in_a_pipeline(signals):
    pipe = make_pipeline(
        StandardScaler(), SpectralDictionaryLearning(4, modulation=None)
    )
    assert np.isfinite(pipe.fit(signals[0]).score_samples(signals[0])).all()


def test_tensors_stay_tensors(signals):
    X, missing = gaps(signals[0][:5])
    with sklearn.config_context(array_api_dispatch=True):
        est = SpectralDictionaryLearning(4, modulation=None)
        est.fit(torch.from_numpy(signals[0]))
        noisy, hidden = torch.from_numpy(signals[0][:5]), torch.from_numpy(X)
        clean = est.denoise(noisy, 0.1)
        filled, std = est.impute(hidden, return_std=True)
        draws = est.sample_posterior(hidden, 2, random_state=0)
    for result in (clean, filled, std, draws):
        assert isinstance(result, torch.Tensor)
        assert result.isfinite().all()
    assert (filled.numpy()[~missing] == X[~missing]).all()
