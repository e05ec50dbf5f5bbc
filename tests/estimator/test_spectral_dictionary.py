import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import BasisModulation, SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches
from skspectral.priors import GaussianPrior

COLOUR = (8, 8, 3)


def explained_variance(est, X):
    reconstruction = est.inverse_transform(est.transform(X))
    return r2_score(X, reconstruction, multioutput="variance_weighted")


def three_sines(noise, n_samples=300, length=128):
    """Random amplitudes, fixed frequencies and phases."""
    rng = np.random.default_rng(0)
    f, phase = np.array([3.3, 11.8, 40.1]), np.array([0.5, 2.0, 1.1])
    t = np.arange(length) / length
    waves = np.sin(2 * np.pi * f[:, None] * t + phase[:, None])
    amplitude = rng.normal(size=(n_samples, 3)) * [3.0, 2.0, 1.0]
    X = amplitude @ waves + noise * rng.normal(size=(n_samples, length))
    return X, f, phase, amplitude


# What it learns


@pytest.mark.parametrize(
    ("noise", "hertz", "radians", "share"),
    [(0.0, 1e-3, 1e-3, 1e-3), (0.3, 5e-3, 0.02, 0.02), (2.0, 0.05, 0.15, 0.15)],
)
@pytest.mark.parametrize("modulation", [None, BasisModulation(order=0)])
def test_recovers_three_sines(noise, hertz, radians, share, modulation):
    X, f, phase, amplitude = three_sines(noise)
    est = SpectralDictionaryLearning(3, modulation=modulation, tol=1e-6, max_iter=100)
    codes = est.fit_transform(X)
    np.testing.assert_allclose(est.frequencies_, f, atol=hertz)
    np.testing.assert_allclose(est.phases_, phase, atol=radians)
    recovered = (codes - codes.mean(0)) * est.amplitudes_
    error = recovered - (amplitude - amplitude.mean(0))
    assert np.sqrt((error**2).mean(0)).max() < share + 2 * noise / 64**0.5
    assert est.converged_


def test_frequencies_in_hertz():
    X, f, *_ = three_sines(0.1)
    est = SpectralDictionaryLearning(3, modulation=None, sampling_rate=8000.0).fit(X)
    np.testing.assert_allclose(est.frequencies_, f * 8000 / 128, rtol=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "columns"),
    [((192,), slice(None)), ((8, 8), slice(0, None, 3)), (COLOUR, slice(None))],
    ids=["signal", "grey", "colour"],
)
def test_shapes_and_dtypes(patches, shape, columns, dtype):
    train, test = (np.ascontiguousarray(X[:, columns], dtype=dtype) for X in patches)
    est = SpectralDictionaryLearning(16, signal_shape=shape).fit(train)
    codes = est.transform(test)
    assert codes.dtype == est.inverse_transform(codes).dtype == est.sample().dtype
    assert codes.dtype == dtype
    held_out = explained_variance(est, test)
    best = explained_variance(PCA(16).fit(train), test)
    assert best - 0.03 < held_out < best + 0.03
    trained = est.explained_variance_ratio_.sum()
    assert trained == pytest.approx(explained_variance(est, train), abs=1e-4)


def test_modulation_is_worth_it(patches):
    train, test = patches
    static, drifting = (
        SpectralDictionaryLearning(
            16, signal_shape=COLOUR, atoms="sinusoid", modulation=m
        ).fit(train)
        for m in (None, "basis")
    )
    assert explained_variance(drifting, test) > explained_variance(static, test) + 0.002


def test_few_samples_beat_pca():
    """A sinusoid has few numbers: it needs few samples (held-out, 60 patches)."""
    train, test = load_photograph_patches(2000, size=16, random_state=1)
    train, test = (X.reshape(len(X), -1) / 255 for X in (train, test))
    est = SpectralDictionaryLearning(40, signal_shape=(16, 16, 3)).fit(train[:60])
    pca = PCA(40).fit(train[:60])
    assert explained_variance(est, test) > explained_variance(pca, test) + 0.005


def test_many_atoms_by_gauss_newton():
    """The matrix of the 4,370 parameters of 230 atoms is never formed."""
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(400, 256)), axis=1)
    static = SpectralDictionaryLearning(230, modulation=None, tol=0.02).fit(X)
    drifting = SpectralDictionaryLearning(230, tol=1e-3, max_iter=16)
    with pytest.warns(ConvergenceWarning):
        drifting.fit(X)
    static, drifting = (
        1 - est.explained_variance_ratio_.sum() for est in (static, drifting)
    )
    assert drifting < 0.95 * static


def test_as_many_atoms_as_features(signals):
    est = SpectralDictionaryLearning(48).fit(signals)
    assert est.explained_variance_ratio_.sum() == pytest.approx(1)
    assert explained_variance(est, signals) == pytest.approx(1)
    assert np.linalg.cond(est.components_) < 1e3


def test_fewer_samples_than_atoms(signals):
    est = SpectralDictionaryLearning(30).fit(signals[:6])
    assert np.isfinite(est.transform(signals)).all()
    assert np.isfinite(est.score_samples(signals)).all()


def test_without_centering(signals):
    est = SpectralDictionaryLearning(10, center=False).fit(signals)
    np.testing.assert_array_equal(est.mean_, 0)
    second_moment = (signals**2).sum() / len(signals)
    error = ((signals - est.inverse_transform(est.transform(signals))) ** 2).sum()
    explained = 1 - error / len(signals) / second_moment
    assert est.explained_variance_ratio_.sum() == pytest.approx(explained, abs=1e-5)
    # A wave of frequency near 0 must represent the offset of 5.
    assert est.frequencies_[0] < 1
    mean = est.sample(4000, random_state=0).mean(0)
    np.testing.assert_allclose(mean, signals.mean(0), atol=0.3)


def test_attributes(signals):
    est = SpectralDictionaryLearning(6).fit(signals)
    for name in ("frequencies_", "phases_", "amplitudes_", "explained_variance_ratio_"):
        value = getattr(est, name)
        assert isinstance(value, np.ndarray)
        assert value.shape == (6,)
        assert np.isfinite(value).all()
    np.testing.assert_allclose((est.components_**2).sum(1), 1)
    np.testing.assert_allclose(est.mean_, signals.mean(0))
    assert est.n_samples_seen_ == 200
    assert est.n_iter_ == len(est.history_["loss"]) - 1
    assert est.history_["stage"][0] == "start"
    error = est.inverse_transform(est.transform(signals)) - signals
    expected = (error**2).sum() / len(signals) / (48 - 6)
    assert est.noise_variance_ == pytest.approx(expected, rel=1e-4)


def test_round_trip_of_codes(signals):
    est = SpectralDictionaryLearning(6).fit(signals)
    codes = np.random.default_rng(0).normal(size=(5, 6))
    again = est.transform(est.inverse_transform(codes))
    np.testing.assert_allclose(again, codes, atol=1e-3)


def test_too_few_iterations_warn_and_are_not_converged(patches):
    est = SpectralDictionaryLearning(16, signal_shape=COLOUR, max_iter=1, tol=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        est.fit(patches[0])
    assert est.converged_ is False


# Invariances


def assert_same_model(one, two, rtol=1e-6):
    np.testing.assert_allclose(one.frequencies_, two.frequencies_, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(one.components_, two.components_, atol=rtol)
    np.testing.assert_allclose(one.noise_variance_, two.noise_variance_, rtol=rtol)
    np.testing.assert_allclose(
        one.prior_.covariance_, two.prior_.covariance_, atol=rtol * 10
    )


def test_row_order(signals):
    est = SpectralDictionaryLearning(5)
    shuffled = np.random.default_rng(0).permutation(signals)
    assert_same_model(est.fit(signals), SpectralDictionaryLearning(5).fit(shuffled))


def test_row_duplication(signals):
    twice = np.concatenate([signals, signals])
    assert_same_model(
        SpectralDictionaryLearning(5).fit(signals),
        SpectralDictionaryLearning(5).fit(twice),
    )


def test_weights_equal_repetition(signals):
    weights = np.random.default_rng(0).integers(0, 3, size=len(signals))
    repeated = np.repeat(signals, weights, axis=0)
    weighted = SpectralDictionaryLearning(5).fit(signals, sample_weight=weights)
    assert_same_model(weighted, SpectralDictionaryLearning(5).fit(repeated))


def test_batch_size(signals):
    assert_same_model(
        SpectralDictionaryLearning(5, batch_size=17).fit(signals),
        SpectralDictionaryLearning(5).fit(signals),
    )


def test_two_fits_have_the_same_bits(patches):
    one, two = (
        SpectralDictionaryLearning(12, signal_shape=COLOUR, random_state=0).fit(
            patches[0].astype(np.float32)
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.components_, two.components_)
    np.testing.assert_array_equal(one.sample(3), two.sample(3))


def test_float32_and_float64_agree(patches):
    train, test = patches
    one, two = (
        SpectralDictionaryLearning(12, signal_shape=COLOUR).fit(train.astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    # Rounding changes the path of a long descent, but not the variance explained.
    assert explained_variance(one, test) == pytest.approx(
        explained_variance(two, test), abs=5e-3
    )


def test_float32_and_float64_agree_where_the_minimum_is_sharp():
    X, *_ = three_sines(0.3)
    one, two = (
        SpectralDictionaryLearning(3, modulation=None, tol=1e-7).fit(X.astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(one.frequencies_, two.frequencies_, atol=1e-4)
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-4)
    np.testing.assert_allclose(one.transform(X), two.transform(X), atol=1e-3)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_float32_with_a_large_mean(offset):
    X, *_ = three_sines(0.3)
    single = (X + offset).astype(np.float32)
    one = SpectralDictionaryLearning(3, modulation=None).fit(single)
    two = SpectralDictionaryLearning(3, modulation=None).fit(single.astype(float))
    np.testing.assert_allclose(one.frequencies_, two.frequencies_, atol=1e-2)
    np.testing.assert_allclose(one.mean_, two.mean_, rtol=1e-7)


def test_a_large_mean(signals):
    est = SpectralDictionaryLearning(5)
    near = est.fit(signals).frequencies_
    far = SpectralDictionaryLearning(5).fit(signals + 1e6)
    np.testing.assert_allclose(far.frequencies_, near, atol=1e-3)


def test_scale(signals):
    one = SpectralDictionaryLearning(5).fit(signals)
    for scale in (1e-8, 1e8):
        two = SpectralDictionaryLearning(5).fit(scale * signals)
        np.testing.assert_allclose(two.components_, one.components_, atol=1e-6)
        assert two.noise_variance_ == pytest.approx(scale**2 * one.noise_variance_)


@pytest.mark.parametrize(
    "change",
    [
        lambda X, path: X[::-1, ::-1].copy()[::-1, ::-1],
        lambda X, path: np.asfortranarray(X),
        lambda X, path: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X, path: X.tolist(),
        lambda X, path: read_only(X),
        lambda X, path: memory_mapped(X, path),
    ],
    ids=["strides", "fortran", "every_second", "list", "read_only", "memory_map"],
)
def test_kinds_of_arrays(signals, tmp_path, change):
    X = change(signals, tmp_path)
    est = SpectralDictionaryLearning(5, modulation=None).fit(X)
    expected = SpectralDictionaryLearning(5, modulation=None).fit(signals)
    np.testing.assert_allclose(est.components_, expected.components_, atol=1e-7)
    np.testing.assert_allclose(est.transform(X), expected.transform(signals), atol=1e-6)
    np.testing.assert_array_equal(X, signals)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def test_bytes(patches):
    train = np.round(255 * patches[0]).astype(np.uint8)
    est = SpectralDictionaryLearning(12, signal_shape=COLOUR, modulation=None)
    codes = est.fit_transform(train)
    assert codes.dtype == est.components_.dtype == np.float32
    floats = SpectralDictionaryLearning(12, signal_shape=COLOUR, modulation=None).fit(
        train.astype(np.float32)
    )
    np.testing.assert_array_equal(est.components_, floats.components_)
    assert np.isfinite(est.score_samples(train)).all()


def test_data_frames(signals):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(signals, columns=[f"t{i}" for i in range(48)])
    est = SpectralDictionaryLearning(5).set_output(transform="pandas")
    codes = est.fit_transform(frame)
    assert list(codes.columns) == list(est.get_feature_names_out())
    assert codes.columns[0] == "spectraldictionarylearning0"
    assert list(est.feature_names_in_) == list(frame.columns)


def test_x_is_not_modified(signals):
    X = signals.copy()
    est = SpectralDictionaryLearning(5).fit(X)
    est.score(X)
    est.fit(X, sample_weight=np.ones(len(X)))
    np.testing.assert_array_equal(X, signals)


# Samples and likelihood


def test_samples_have_the_mean_and_covariance_of_the_reconstructions(signals):
    est = SpectralDictionaryLearning(5, random_state=0).fit(signals)
    n = 20_000
    drawn = est.sample(n)
    axes = np.linalg.qr(est.components_.T)[0]
    # Outside the span of the atoms there is nothing but the mean.
    outside = (drawn - est.mean_) @ (np.eye(48) - axes @ axes.T)
    assert np.abs(outside).max() < 1e-9
    expected = np.cov(((signals - est.mean_) @ axes).T, bias=True)
    spread = np.sqrt(np.diag(expected))
    inside = (drawn - est.mean_) @ axes
    assert (np.abs(inside.mean(0)) < 5 * spread / n**0.5).all()
    error = np.cov(inside.T) - expected
    assert (np.abs(error) < 5 * np.outer(spread, spread) * (2 / n) ** 0.5).all()


@pytest.mark.parametrize(
    "prior", [None, GaussianPrior(shrinkage=0.1), GaussianMixture(2), KernelDensity()]
)
def test_sample_streams(signals, prior):
    def fresh():
        return SpectralDictionaryLearning(5, prior=prior, random_state=0).fit(signals)

    est, again = fresh(), fresh()
    first, second = est.sample(4), est.sample(4)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(again.sample(4), first)
    np.testing.assert_array_equal(again.sample(4), second)
    fixed = est.sample(4, random_state=7)
    np.testing.assert_array_equal(est.sample(4, random_state=7), fixed)
    assert est.sample().shape == (1, 48)


def global_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002


def test_unseeded_fits_draw_differently_and_leave_the_global_state(signals):
    before = global_state()
    one, two = (SpectralDictionaryLearning(5).fit(signals).sample() for _ in range(2))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(global_state(), before)


@pytest.mark.parametrize("n_components", [3, 8, 20])
def test_score_is_that_of_pca_where_the_span_is(n_components):
    """Waves in white noise: neither model gains from atoms beyond the waves."""
    rng = np.random.default_rng(0)
    t = np.arange(20) / 20
    waves = np.sin(2 * np.pi * np.array([[2.0], [5.0], [7.0]]) * t)
    X = rng.normal(size=(20_000, 3)) @ (4 * waves) + rng.normal(size=(20_000, 20))
    est = SpectralDictionaryLearning(n_components, modulation=None).fit(X)
    pca = PCA(n_components).fit(X)
    assert est.score(X) == pytest.approx(pca.score(X), abs=5e-3)


def test_likelihood_tells_strangers(signals):
    est = SpectralDictionaryLearning(5).fit(signals)
    strangers = np.random.default_rng(0).permutation(signals.T).T
    assert est.score_samples(signals).min() > est.score_samples(strangers).max()


def test_prior_without_a_closed_form(signals):
    est = SpectralDictionaryLearning(5, prior=KernelDensity()).fit(signals)
    with pytest.raises(TypeError, match=r"KernelDensity.*GaussianPrior"):
        est.score(signals)


def test_labels_and_weights_reach_the_prior(signals):
    class Prior(GaussianPrior):
        def fit(self, X, y=None, sample_weight=None):
            self.seen_ = X.dtype, y, sample_weight
            return super().fit(X, sample_weight=sample_weight)

    y, weight = np.arange(len(signals)), np.full(len(signals), 2.0)
    est = SpectralDictionaryLearning(5, prior=Prior())
    est.fit(signals.astype(np.float32), y, sample_weight=weight)
    dtype, labels, weights = est.prior_.seen_
    assert dtype == np.float64
    np.testing.assert_array_equal(labels, y)
    np.testing.assert_array_equal(weights / weights[0], weight / weight[0])


# With other tools


@pytest.mark.parametrize("atoms", ["sinusoid", "plane_wave"])
def test_the_order_of_the_rows_does_not_choose_the_atoms(patches, atoms):
    # In single precision, sums depend on the order of the rows.
    X = patches[0].astype(np.float32)
    rebuilt = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(X))
        est = SpectralDictionaryLearning(12, signal_shape=COLOUR, atoms=atoms)
        est.fit(X[order])
        rebuilt.append(est.inverse_transform(est.transform(X)))
    assert np.ptp(rebuilt, axis=0).max() < 0.002


def test_pipeline_with_a_classifier(patches):
    bright = patches[0].mean(1) > np.median(patches[0].mean(1))
    model = make_pipeline(
        SpectralDictionaryLearning(8, signal_shape=COLOUR),
        StandardScaler(),
        LogisticRegression(),
    )
    assert model.fit(patches[0], bright).score(patches[0], bright) > 0.9


@pytest.mark.slow
def test_grid_search(signals):
    est = SpectralDictionaryLearning(prior=GaussianPrior())
    grid = {"n_components": [1, 3], "prior__shrinkage": [0.0, 0.9]}
    search = GridSearchCV(est, grid, n_jobs=2, cv=3).fit(signals)
    assert search.best_params_ == {"n_components": 3, "prior__shrinkage": 0.0}


@pytest.mark.slow
def test_pickle_in_another_process(signals, tmp_path):
    est = SpectralDictionaryLearning(5, prior=GaussianMixture(2), random_state=0)
    est.fit(signals).sample()
    (tmp_path / "est.pickle").write_bytes(pickle.dumps(est))
    np.save(tmp_path / "X.npy", signals)
    code = (
        "import pickle, numpy as np;"
        "est = pickle.load(open('est.pickle', 'rb'));"
        "X = np.load('X.npy');"
        "np.savez('out.npz', codes=est.transform(X), score=est.score_samples(X),"
        " drawn=est.sample(3))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["codes"], est.transform(signals))
    np.testing.assert_allclose(out["score"], est.score_samples(signals))
    np.testing.assert_array_equal(out["drawn"], est.sample(3))


# Bad input


def fit_with(X, **params):
    return SpectralDictionaryLearning(**{"n_components": 2, **params}).fit(X)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite(signals, value, dtype):
    bad = signals.astype(dtype)
    bad[7, 5] = value
    with pytest.raises(ValueError, match="Input X contains"):
        fit_with(bad)
    est = fit_with(signals)
    for method in (est.transform, est.score_samples):
        with pytest.raises(ValueError, match="Input X contains"):
            method(bad)
    with pytest.raises(ValueError, match="Input X contains"):
        est.inverse_transform(bad[:, 4:6])


def test_overflow(signals):
    with pytest.raises(ValueError, match="overflows"):
        fit_with((1e30 * signals).astype(np.float32))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_components": 49}, ValueError, "n_components=49 must not be larger"),
        ({"n_components": 0}, ValueError, "'n_components' parameter"),
        ({"n_components": 2.5}, ValueError, "'n_components' parameter"),
        ({"signal_shape": (7, 7)}, ValueError, "holds 49 values, but X has 48"),
        ({"signal_shape": (2, 2, 2, 2, 3)}, ValueError, "one to three axes"),
        ({"channel_axis": 0}, ValueError, "needs signal_shape with an axis besides"),
        ({"channel_axis": "first"}, ValueError, "'channel_axis' parameter"),
        (
            {"signal_shape": (6, 8), "channel_axis": 2},
            ValueError,
            "Pass an integer from -2 to 1",
        ),
        (
            {"signal_shape": (2, 2, 3, 4), "channel_axis": None},
            ValueError,
            "leaves at most three",
        ),
        ({"sampling_rate": (8.0, 4.0)}, ValueError, "one for each of the 1 axes"),
        (
            {"signal_shape": (6, 8), "sampling_rate": (8.0, 4.0), "atoms": "sinusoid"},
            ValueError,
            "run along the flattened signal",
        ),
        ({"signal_shape": ()}, ValueError, "one to three axes"),
        ({"signal_shape": (-6, -8)}, ValueError, "positive integers"),
        ({"signal_shape": (6.0, 8)}, ValueError, "positive integers"),
        ({"signal_shape": "6x8"}, ValueError, "'signal_shape' parameter"),
        ({"atoms": "square"}, ValueError, "'atoms' parameter"),
        ({"init": "magic"}, ValueError, "'init' parameter"),
        ({"modulation": "chirp"}, ValueError, "'modulation' parameter"),
        ({"modulation": BasisModulation}, ValueError, "'modulation' parameter"),
        ({"modulation": BasisModulation(order=-1)}, ValueError, "order must be"),
        ({"ridge": -1e-6}, ValueError, "'ridge' parameter"),
        ({"max_iter": 0}, ValueError, "'max_iter' parameter"),
        ({"tol": -1}, ValueError, "'tol' parameter"),
        ({"batch_size": 0}, ValueError, "'batch_size' parameter"),
        ({"sampling_rate": 0}, ValueError, "'sampling_rate' parameter"),
        ({"random_state": "seed"}, ValueError, "'random_state' parameter"),
        ({"device": "abacus"}, ValueError, "device='abacus' cannot be used"),
        ({"prior": object()}, TypeError, "no fit and no sample"),
        ({"prior": StandardScaler()}, TypeError, "no sample"),
    ],
)
def test_bad_parameters(signals, params, error, message):
    with pytest.raises(error, match=message):
        fit_with(signals, **params)


def test_no_such_device(signals):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(
        ValueError, match="device='cuda' cannot be used on this machine"
    ):
        fit_with(signals, device="cuda")
    est = fit_with(signals).set_params(device="cuda")
    with pytest.raises(ValueError, match="Pass device=None or device='cpu'"):
        est.transform(signals)


@pytest.mark.parametrize("row", [np.zeros(8), np.full(8, 0.1), np.arange(8) + 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_equal_rows(row, dtype, center, batch_size):
    X = np.tile(row, (1000, 1)).astype(dtype)
    with pytest.raises(ValueError, match="X has no variance"):
        fit_with(X, center=center, batch_size=batch_size)


def test_one_row(signals):
    with pytest.raises(ValueError, match="1 sample"):
        fit_with(signals[:1])


def test_bad_weights(signals):
    est = SpectralDictionaryLearning(2)
    for weight, message in (
        (-np.ones(len(signals)), "[Nn]egative"),
        (np.zeros(len(signals)), "zero"),
        (np.ones(3), "shape"),
        (np.full(len(signals), np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            est.fit(signals, sample_weight=weight)


def test_wrong_width(signals):
    est = fit_with(signals)
    for method in (est.transform, est.score_samples):
        with pytest.raises(ValueError, match="47 features"):
            method(signals[:, 1:])
    with pytest.raises(ValueError, match="48 features, but inverse_transform"):
        est.inverse_transform(signals)


def test_coordinates_that_are_not_finite(signals):
    est = fit_with(signals)
    coordinates = est.coordinates(signals)
    coordinates[[2, 5], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"in 2 of \d+ rows, first in row 2\."):
        est.inverse_coordinates(coordinates)


def test_before_fit(signals):
    est = SpectralDictionaryLearning()
    for call in (
        est.sample,
        est.get_feature_names_out,
        lambda: est.transform(signals),
        lambda: est.inverse_transform(signals),
        lambda: est.score(signals),
    ):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize("n_samples", [0, -3, 1.5, "many", None])
def test_bad_number_of_samples(signals, n_samples):
    with pytest.raises(ValueError, match="n_samples"):
        fit_with(signals).sample(n_samples)


def test_labels_of_a_prior_without(signals):
    with pytest.raises(ValueError, match="GaussianPrior cannot sample for a label"):
        fit_with(signals).sample(2, y="cat")


class FailingPrior(GaussianPrior):
    def fit(self, X, y=None):
        raise RuntimeError("no prior today")


@pytest.mark.parametrize(
    ("params", "rows", "error"),
    [
        ({}, np.ones((20, 48)), "no variance"),
        ({}, np.ones((20, 10)), "no variance"),
        ({"n_components": 50}, np.eye(20), "n_components=50"),
        ({"prior": FailingPrior(), "n_components": 7}, np.eye(48), "no prior today"),
    ],
)
def test_a_failed_fit_changes_nothing(signals, params, rows, error):
    est = fit_with(signals, random_state=0)
    unfitted = SpectralDictionaryLearning(2).set_params(**params)
    with pytest.raises((ValueError, RuntimeError), match=error):
        unfitted.fit(rows)
    with pytest.raises(NotFittedError):
        unfitted.sample()
    learned = {name for name in vars(est) if name not in est.get_params()}
    old = {name: vars(est)[name] for name in learned}
    with pytest.raises((ValueError, RuntimeError), match=error):
        est.set_params(**params).fit(rows)
    assert all(vars(est)[name] is value for name, value in old.items())
    est.transform(signals)


def test_extreme_scales(signals):
    expected = fit_with(signals).explained_variance_ratio_
    for scale in (1e-140, 1e140):
        found = fit_with(scale * signals).explained_variance_ratio_
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    small = (1e-17 * signals).astype(np.float32)
    with pytest.raises(ValueError, match="underflows in float32"):
        fit_with(small)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [1e-70, 1e-20, 1e60])
def test_only_the_ratio_of_weights_matters(signals, dtype, weight):
    X = signals.astype(dtype)
    est = SpectralDictionaryLearning(3).fit(X, sample_weight=np.full(len(X), weight))
    one = SpectralDictionaryLearning(3).fit(X)
    np.testing.assert_allclose(est.frequencies_, one.frequencies_, atol=1e-3)


def test_a_row_of_weight_zero_must_be_finite_too(signals):
    bad, weight = signals.copy(), np.ones(len(signals))
    bad[5, 0], weight[5] = np.inf, 0
    with pytest.raises(ValueError, match="Input X contains infinity"):
        SpectralDictionaryLearning(3, batch_size=1).fit(bad, sample_weight=weight)


def test_frequencies_of_colour_atoms_are_those_of_their_spectra(patches):
    est = SpectralDictionaryLearning(24, signal_shape=COLOUR, atoms="sinusoid")
    est.fit(patches[0])
    t = np.arange(192) / 192
    grid = np.arange(0, 96.01, 0.5)

    def cosine(f, atom):
        carriers = np.stack([np.cos(2 * np.pi * f * t), np.sin(2 * np.pi * f * t)])
        axes = np.linalg.svd(carriers, full_matrices=False)[2]
        return np.linalg.norm(axes[: 1 + (0 < f < 96)] @ atom)

    waves = np.sin(2 * np.pi * est.frequencies_[:, None] * t + est.phases_[:, None])
    for atom, f, wave in zip(est.components_, est.frequencies_, waves, strict=True):
        best = max(cosine(g, atom) for g in grid)
        assert cosine(f, atom) > best - 1e-6
        assert atom @ wave / np.linalg.norm(wave) == pytest.approx(
            cosine(f, atom), abs=1e-5
        )
