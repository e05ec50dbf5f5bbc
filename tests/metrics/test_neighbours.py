"""Metrics by nearest neighbours, beside loops over all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from skspectral.metrics import (
    authenticity,
    density_coverage,
    memorization_ratio,
    precision_recall,
)
from skspectral.metrics._distances import kth_nearest


def normal(n_samples, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_features))


def radii(X, k):
    """Distance to the k-th nearest other sample."""
    distances = cdist(X, X)
    others = distances[~np.eye(len(X), dtype=bool)].reshape(len(X), -1)
    return np.sort(others)[:, k - 1]


def precision_recall_by_definition(real, generated, k):
    distances = cdist(real, generated)
    precise = (distances <= radii(real, k)[:, None]).any(axis=0)
    recalled = (distances <= radii(generated, k)).any(axis=1)
    return precise.mean(), recalled.mean()


def density_coverage_by_definition(real, generated, k):
    inside = cdist(real, generated) <= radii(real, k)[:, None]
    return inside.sum() / (k * len(generated)), inside.any(axis=1).mean()


BOTH = [
    (precision_recall, precision_recall_by_definition),
    (density_coverage, density_coverage_by_definition),
]


@pytest.fixture(params=[None, 1, 7])
def block_size(request, monkeypatch):
    """Some blocks of one row or a few, as large sets have."""
    if request.param is not None:
        for name in ("_BLOCK_SIZE", "_EXACT_SIZE", "_MIN_BLOCK_ROWS"):
            monkeypatch.setattr(f"skspectral.metrics._distances.{name}", request.param)


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize(("metric", "oracle"), BOTH)
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_by_definition(metric, oracle, k, scale):
    real, generated = scale * normal(60), scale * (0.8 * normal(45, seed=1) + 0.3)
    found = metric(real, generated, n_neighbors=k)
    assert found == pytest.approx(oracle(real, generated, k))
    assert 0 < found[1] < 1


@given(
    sizes=st.tuples(st.integers(4, 12), st.integers(4, 12)),
    k=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_ties_and_duplicates_by_definition(sizes, k, seed):
    """On a small grid far from the origin nearly all distances are ties."""
    rng = np.random.default_rng(seed)
    real, generated = (1e6 + rng.integers(0, 3, size=(n, 2)) for n in sizes)
    for metric, oracle in BOTH:
        found = metric(real, generated, n_neighbors=k)
        assert found == pytest.approx(oracle(real, generated, k))


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize("spread", [1e-12, 1e-6, 1.0])
def test_near_duplicates_have_exact_distances(spread):
    """Beside norms that are larger by all the digits that a product has."""
    X = np.repeat(100 * normal(5), 8, axis=0)
    X += spread * normal(40, seed=1)
    Y = X[::2] + spread * normal(20, seed=2)
    expected = np.sort(cdist(Y, X))
    for k in (1, 4):
        np.testing.assert_allclose(kth_nearest(Y, X, k), expected[:, k - 1] ** 2)
        np.testing.assert_allclose(kth_nearest(X, X, k), radii(X, k) ** 2)


def test_an_outlier_does_not_spoil_the_others():
    X = normal(30)
    X[0] = 1e12
    np.testing.assert_allclose(kth_nearest(X, X, 2), radii(X, 2) ** 2)


@pytest.mark.parametrize("n_features", [1, 5, 300])
def test_equal_sets(n_features):
    """Each ball has its own centre and k others in it: ties are inside."""
    X = normal(50, n_features) + 10
    assert precision_recall(X, X) == (1.0, 1.0)
    density, coverage = density_coverage(X, X, n_neighbors=5)
    assert density == pytest.approx(6 / 5)
    assert coverage == 1.0


def test_sets_far_apart():
    X = normal(50)
    assert precision_recall(X, X + 100) == (0.0, 0.0)
    assert density_coverage(X, X + 100) == (0.0, 0.0)


def test_precision_and_recall_change_places():
    X, Y = normal(80), 0.7 * normal(60, seed=1)
    there, back = precision_recall(X, Y), precision_recall(Y, X)
    assert there == (back.recall, back.precision)
    assert there.precision > there.recall


def test_a_generated_outlier_raises_recall_and_not_coverage():
    real = normal(200)
    narrow = 1e-3 * normal(100, seed=1)
    generated = np.r_[narrow, [[1e3] * 4]]
    assert precision_recall(real, narrow).recall < 0.05
    assert precision_recall(real, generated).recall > 0.3
    coverages = [density_coverage(real, Y).coverage for Y in (narrow, generated)]
    assert coverages[0] == coverages[1]


def test_expected_density_and_coverage_of_equal_distributions():
    found = [
        density_coverage(normal(400, seed=seed), normal(400, seed=1000 + seed))
        for seed in range(10)
    ]
    density, coverage = np.mean(found, axis=0)
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 2.0**-5, abs=0.02)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_invariances(metric):
    X, Y = normal(60), 0.8 * normal(50, seed=1)
    Q = np.linalg.qr(normal(4, seed=5))[0]
    expected = metric(X, Y)
    for A, B in [(X[::-1], Y[::-1]), (X @ Q + 7, Y @ Q + 7), (0.1 * X, 0.1 * Y)]:
        assert metric(A, B) == pytest.approx(expected)


def test_duplicated_generated_samples():
    """Shares of generated samples stay, and each ball has one in it as before."""
    X, Y = normal(60), 0.8 * normal(50, seed=1)
    twice = np.r_[Y, Y]
    assert density_coverage(X, twice) == pytest.approx(density_coverage(X, Y))
    assert precision_recall(X, twice).precision == precision_recall(X, Y).precision


def test_precision_recall_as_torch_fidelity(torch_fidelity):
    real, generated = normal(300), 0.8 * normal(200, seed=1)
    theirs = torch_fidelity.metric_prc.prc_features_to_metric(
        torch.as_tensor(generated), torch.as_tensor(real), verbose=False
    )
    expected = theirs["precision"], theirs["recall"]
    assert precision_recall(real, generated) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_too_few_samples(metric):
    with pytest.raises(
        ValueError, match=r"n_neighbors=9 must be less than the 9 .*real"
    ):
        metric(normal(9), normal(20), n_neighbors=9)
    with pytest.raises(ValueError, match="n_neighbors"):
        metric(normal(9), normal(20), n_neighbors=0)
    with pytest.raises(ValueError, match="less than the 4 samples of X_generated"):
        precision_recall(normal(9), normal(4), n_neighbors=4)


# Memorisation


@pytest.mark.usefixtures("block_size")
def test_memorization_by_definition():
    train, test, new = normal(70), normal(30, seed=1), 0.9 * normal(40, seed=2)
    expected = cdist(new, train).min(axis=1).mean() / cdist(test, train).min(1).mean()
    assert memorization_ratio(train, test, new) == pytest.approx(expected, rel=1e-12)


def test_copies_and_noisy_copies():
    train, test = 5 + normal(500, 8), 5 + normal(300, 8, seed=1)
    assert memorization_ratio(train, test, train[::-1]) == 0.0
    assert memorization_ratio(train, test, test) == 1.0
    noise = normal(500, 8, seed=2)
    ratios = [
        memorization_ratio(train, test, train + scale * noise)
        for scale in (1e-13, 1e-9, 0.05, 0.3)
    ]
    assert ratios == sorted(ratios)
    # Nearest is the original, at a distance that the noise gives.
    expected = 1e-9 * np.linalg.norm(noise, axis=1).mean()
    of_test = cdist(test, train).min(axis=1).mean()
    assert ratios[1] == pytest.approx(expected / of_test, rel=1e-5)


def test_new_samples_are_as_new_as_the_test_set():
    train, test, new = (normal(1000, 8, seed) for seed in range(3))
    assert memorization_ratio(train, test, new) == pytest.approx(1, abs=0.05)
    assert memorization_ratio(train, test, new + 10) > 5


def test_a_test_set_of_training_samples():
    X = normal(20)
    with pytest.raises(ValueError, match="Every sample of X_test is also in X_train"):
        memorization_ratio(X, X[:5], normal(20, seed=1))


def test_authenticity_by_brute_force():
    rng = np.random.default_rng(3)
    train = rng.normal(size=(60, 2))
    generated = rng.normal(size=(50, 2))
    authentic = []
    for x in generated:
        to_train = np.linalg.norm(train - x, axis=1)
        original = to_train.argmin()
        between = np.linalg.norm(train - train[original], axis=1)
        authentic.append(to_train[original] > np.delete(between, original).min())
    assert 0 < np.mean(authentic) < 1
    assert authenticity(train, generated) == pytest.approx(np.mean(authentic))


def test_authenticity_shows_copies_that_a_mean_hides():
    train, test, new = np.random.default_rng(4).normal(size=(3, 400, 20))
    mixed = np.concatenate([new[:360], train[:40] + 1e-3])
    honest, copied = authenticity(train, new), authenticity(train, mixed)
    assert honest - copied == pytest.approx(0.1, abs=0.05)
    assert authenticity(train, train) == 0
    # Where the training set has duplicates, a third copy is no nearer than they are.
    twice = np.concatenate([train, train])
    assert authenticity(twice, train + 1e-3) == 1
    assert authenticity(train, test) == pytest.approx(honest, abs=0.1)


def test_authenticity_needs_two_training_samples():
    with pytest.raises(ValueError, match="at least two"):
        authenticity(np.zeros((1, 2)), np.ones((3, 2)))
