"""The number of atoms chosen by the evidence, the BIC, or a share of the variance."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skspectral import MLPModulation, SpectralDictionaryLearning
from skspectral.datasets import make_tones
from skspectral.priors import GaussianPrior

T = 80


def tones(n_tones, n, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    frequencies = 3 + np.cumsum(rng.uniform(1.5, 5, n_tones))
    phases = rng.uniform(0, np.pi, n_tones)
    time = np.arange(T) / T
    waves = np.sin(2 * np.pi * frequencies[:, None] * time + phases[:, None])
    codes = rng.normal(size=(n, n_tones))
    return codes @ waves + noise * rng.normal(size=(n, T)), frequencies


def fitted(X, n_components, **params):
    params = {"modulation": None, "prior": GaussianPrior(), "random_state": 0} | params
    return SpectralDictionaryLearning(n_components, **params).fit(X)


@pytest.mark.parametrize("n_tones", [1, 2, 5])
@pytest.mark.parametrize("n", [30, 300])
def test_evidence_finds_the_number_of_tones(n_tones, n):
    right = []
    for seed in range(4):
        X, frequencies = tones(n_tones, n, seed)
        est = fitted(X, "evidence")
        right.append(est.n_components_ == n_tones)
        if right[-1]:
            np.testing.assert_allclose(np.sort(est.frequencies_), frequencies, atol=0.2)
    assert np.mean(right) >= 0.75


def test_bic_finds_the_number_of_strong_tones():
    assert fitted(tones(3, 300, 0, noise=0.3)[0], "bic").n_components_ == 3


def test_atoms_are_those_of_the_number_given():
    X, _ = tones(3, 200, 0)
    chosen = fitted(X, "evidence", tol=1e-8, max_iter=500)
    given = fitted(X, chosen.n_components_, tol=1e-8, max_iter=500)
    order, other = (np.argsort(est.frequencies_) for est in (chosen, given))
    np.testing.assert_allclose(
        chosen.frequencies_[order], given.frequencies_[other], atol=1e-3
    )
    assert not hasattr(given, "number_criterion_")


def test_share_of_the_variance_is_reached_with_few_atoms():
    X = load_digits().data
    for modulation in (None, "basis"):
        est = fitted(X, 0.7, modulation=modulation, signal_shape=(8, 8))
        assert est.explained_variance_ratio_.sum() >= 0.7 - 1e-3
        fewer = fitted(
            X, est.n_components_ - 2, modulation=modulation, signal_shape=(8, 8)
        )
        assert fewer.explained_variance_ratio_.sum() < 0.7
        path = est.number_criterion_
        assert (np.diff(path) >= -1e-9).all()
        assert path[est.n_components_ - 1] >= 0.7


def test_number_follows_neither_units_nor_the_order_of_rows():
    X, _ = tones(3, 100, 1)
    numbers = {fitted(each, "evidence").n_components_ for each in (X, 1e4 * X, X[::-1])}
    assert len(numbers) == 1


def test_weights_count_like_rows():
    X, _ = tones(2, 60, 0)
    twice = fitted(np.concatenate([X, X]), "evidence")
    est = SpectralDictionaryLearning(
        "evidence", modulation=None, prior=GaussianPrior(), random_state=0
    ).fit(X, sample_weight=np.full(60, 2.0))
    np.testing.assert_allclose(
        est.number_criterion_[1], twice.number_criterion_[1], rtol=0.05
    )


def test_partial_fit_keeps_the_number():
    X, _ = tones(3, 200, 0)
    est = SpectralDictionaryLearning(
        "evidence", modulation=None, prior=GaussianPrior(), random_state=0
    ).partial_fit(X[:150])
    assert est.n_components_ == 3
    est.partial_fit(X[150:])
    assert est.n_components_ == 3
    assert not hasattr(est, "number_criterion_")


def test_noise_and_saturated_data_end_the_path():
    rng = np.random.default_rng(0)
    assert fitted(rng.normal(size=(200, T)), "evidence").n_components_ == 1
    X = rng.normal(size=(30, 6))
    assert 1 <= fitted(X, 0.999).n_components_ <= 5
    for n in (2, 3, 6):
        few = make_tones(n, 64, random_state=0)[0]
        assert 1 <= fitted(few, "evidence").n_components_ < max(2, n - 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 1.0}, "n_components"),
        ({"n_components": 0.0}, "n_components"),
        ({"n_components": "mle"}, "n_components"),
        ({"alpha": 0.1}, "alpha=0.1"),
        ({"windows": 2}, "windows=2"),
        ({"init": np.array([3.0, 5.0])}, "init="),
        ({"solver": "adam"}, "solver='adam'"),
        ({"modulation": MLPModulation()}, "common parameters"),
    ],
)
def test_bad_combinations_are_refused(params, message):
    X, _ = tones(2, 30, 0)
    with pytest.raises(ValueError, match=message):
        fitted(X, **{"n_components": "evidence"} | params)


def test_rows_with_gaps_are_refused():
    X, _ = tones(2, 30, 0)
    X[3, 5] = np.nan
    with pytest.raises(ValueError, match="n_components='evidence'"):
        fitted(X, "evidence")
