"""The estimator's ways of learning: atoms, starts, solvers, losses, pieces."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral import BasisModulation, MLPModulation, SpectralDictionaryLearning
from skspectral.recipes import published_recipe

SHAPE = (8, 8, 3)


def explained(est, X):
    left = X - est.inverse_transform(est.transform(X))
    return 1 - (left**2).sum() / ((X - est.mean_) ** 2).sum()


def learn(X, n_components=12, **options):
    options = {"signal_shape": SHAPE, "random_state": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpectralDictionaryLearning(n_components, **options).fit(X)


def test_plane_waves_can_be_read(patches):
    est = learn(patches[0], atoms="plane_wave", modulation=None)
    assert est.wave_vectors_.shape == (12, 2)
    assert est.colors_.shape == (12, 3)
    np.testing.assert_allclose(
        est.frequencies_, np.linalg.norm(est.wave_vectors_, axis=1)
    )
    assert ((est.orientations_ >= 0) & (est.orientations_ < np.pi)).all()
    y, x = np.arange(8)[:, None] / 8, np.arange(8) / 8
    for k in range(12):
        # Orientation and frequency determine the wave, like the wave vector.
        f, angle = est.frequencies_[k], est.orientations_[k]
        turns = f * (np.sin(angle) * y + np.cos(angle) * x)
        wave = est.amplitudes_[k] * np.sin(2 * np.pi * turns + est.phases_[k])
        atom = (wave[..., None] * est.colors_[k]).ravel()
        np.testing.assert_allclose(est.components_[k], atom, atol=1e-7)


def test_plane_waves_explain_more_than_flat_ones(patches):
    flat = learn(
        patches[0], atoms="sinusoid", modulation=None
    ).explained_variance_ratio_.sum()
    plane = learn(patches[0], atoms="plane_wave", modulation=None)
    drifting = learn(patches[0], atoms="plane_wave")
    found = plane.explained_variance_ratio_.sum()
    assert flat < found < drifting.explained_variance_ratio_.sum()


def test_attributes_of_plane_waves_go_with_them(patches):
    est = learn(patches[0], atoms="plane_wave", modulation=None)
    est.set_params(atoms="sinusoid").fit(patches[0])
    assert not hasattr(est, "wave_vectors_")


def test_plane_waves_of_grey_images_and_a_sampling_rate(patches):
    grey = patches[0].reshape(-1, 8, 8, 3)[:, :6].mean(3).reshape(-1, 48)
    options = {"signal_shape": (6, 8), "atoms": "plane_wave", "modulation": None}
    est = learn(grey, 6, **options)
    metric = learn(grey, 6, sampling_rate=100.0, **options)
    np.testing.assert_array_equal(est.colors_, 1)
    np.testing.assert_allclose(metric.wave_vectors_, est.wave_vectors_ * 100 / [6, 8])


def test_a_network_drifts_on_top_of_plain_waves(patches):
    plain = learn(patches[0], modulation=None)
    network = MLPModulation(width=8, depth=1)
    est = learn(patches[0], modulation=network)
    gain = est.explained_variance_ratio_.sum() - plain.explained_variance_ratio_.sum()
    assert gain > 0.0005
    again = learn(patches[0], modulation=network)
    np.testing.assert_array_equal(est.components_, again.components_)
    other = learn(patches[0], modulation=network, random_state=1)
    assert not np.array_equal(est.components_, other.components_)
    with pytest.raises(ValueError, match="gauss-newton' needs atoms without common"):
        learn(patches[0], modulation=network, solver="gauss-newton")


def test_solvers_agree(patches):
    newton = learn(patches[0], solver="gauss-newton")
    lbfgs = learn(patches[0], solver="lbfgs")
    assert lbfgs.explained_variance_ratio_.sum() == pytest.approx(
        newton.explained_variance_ratio_.sum(), abs=2e-3
    )


def test_starts(patches):
    greedy = learn(patches[0], modulation=None)
    assert explained(greedy, patches[0]) > 0.9
    for init in ("spectrum", "random"):
        est = learn(patches[0], modulation=None, init=init)
        assert explained(est, patches[0]) > 0.8
    given = learn(patches[0], modulation=None, init=greedy.wave_vectors_)
    assert given.history_["loss"][0] < 1.2 * greedy.history_["loss"][-1]


def test_given_frequencies_are_in_public_units(signals):
    options = {"modulation": None, "signal_shape": None, "sampling_rate": 480.0}
    # At 480 Hz, frequencies in Hz are ten times the cycles per signal of 48 samples.
    est = learn(signals, 3, init=[13.0, 40.0, 77.0], **options)
    np.testing.assert_allclose(np.sort(est.frequencies_), [13, 40, 77], rtol=0.02)
    first = learn(signals, 3, init=np.array([13.0, 40.0, 77.0]), max_iter=1, **options)
    assert first.history_["loss"][0] < 1.1 * est.history_["loss"][-1]


@pytest.mark.parametrize("init", [[1.0, 2.0], [[1.0, 2.0, 3.0]], [1.0, np.nan, 2.0]])
def test_given_frequencies_are_checked(signals, init):
    with pytest.raises(ValueError, match=r"init of shape .* finite .* \(3,\)"):
        learn(signals, 3, init=init, signal_shape=None)


def test_wave_vectors_may_be_given(patches):
    options = {"atoms": "plane_wave", "modulation": None}
    est = learn(patches[0], **options)
    again = learn(patches[0], init=est.wave_vectors_, **options)
    assert again.history_["loss"][0] < 1.2 * est.history_["loss"][-1]
    with pytest.raises(ValueError, match=r"shape \(12, 2\).*atoms='sinusoid'"):
        learn(patches[0], init=est.frequencies_, **options)


def test_start_from_a_fitted_estimator(patches):
    X = patches[0]
    est = learn(X)
    again = learn(X, init=est)
    assert again.history_["loss"][0] == pytest.approx(est.history_["loss"][-1])
    assert (np.diff(again.history_["loss"]) < 0).all()
    assert clone(FrozenEstimator(est)).estimator is est
    frozen = learn(X, init=FrozenEstimator(est))
    np.testing.assert_array_equal(frozen.components_, again.components_)
    # More atoms of the same kind: the given atoms and the best additional waves.
    more = learn(X, 16, init=est)
    assert more.history_["loss"][0] < est.history_["loss"][-1]
    fewer = learn(X, 5, init=est)
    share = est.explained_variance_ratio_[:5].sum()
    total = X.var(0).sum()
    assert fewer.history_["loss"][0] == pytest.approx((1 - share) * total, rel=1e-3)
    # Atoms of another kind start from the waves of the given atoms.
    other = learn(X, 16, init=est, modulation=BasisModulation(order=1))
    assert len(other.components_) == 16
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        learn(X, init=clone(est))
    with pytest.raises(ValueError, match="12 features"):
        learn(X[:, :12], init=est, signal_shape=None)
    with pytest.raises(ValueError, match="another kind"):
        learn(X, init=est, atoms="sinusoid")


def test_warm_start_goes_on(patches):
    X = patches[0]
    est = SpectralDictionaryLearning(
        12, signal_shape=SHAPE, max_iter=1, warm_start=True, random_state=0
    )
    losses = []
    for _ in range(4):
        with pytest.warns(ConvergenceWarning, match="Increase max_iter, or tol"):
            est.fit(X)
        losses.append(est.history_["loss"][-1])
    assert (np.diff(losses) < 0).all()
    est.set_params(warm_start=False, max_iter=50).fit(X)
    np.testing.assert_array_equal(est.components_, learn(X).components_)


@pytest.mark.parametrize("modulation", [None, "basis"])
def test_pieces_explain_what_the_whole_does(patches, modulation):
    X = patches[0]
    whole = learn(X, modulation=modulation)
    est = SpectralDictionaryLearning(12, signal_shape=SHAPE, modulation=modulation)
    for part in np.array_split(X, 6):
        est.partial_fit(part)
    np.testing.assert_allclose(est.mean_, whole.mean_, rtol=1e-10)
    seen, expected = (e.moments_.covariance().dense() for e in (est, whole))
    np.testing.assert_allclose(seen, expected, atol=1e-11)
    assert est.n_samples_seen_ == len(X)
    assert est.explained_variance_ratio_.sum() == pytest.approx(
        whole.explained_variance_ratio_.sum(), abs=1e-3
    )
    # The Gaussian of the codes is fitted to all rows.
    coordinates = (X - est.mean_) @ est.basis_.T
    np.testing.assert_allclose(
        est.prior_.covariance_, np.cov(coordinates.T, bias=True), atol=1e-9
    )


def sorted_tones(n, length=64):
    """Sums of three of five waves with random phases, by frequency, and noise."""
    rng = np.random.default_rng(0)
    cycles = rng.choice([2.3, 5.1, 9.4, 14.2, 21.7], (n, 3, 1))
    phases = rng.uniform(0, 2 * np.pi, (n, 3, 1))
    amplitudes = rng.gamma(2, 1, (n, 3, 1))
    t = np.arange(length) / length
    X = (amplitudes * np.sin(2 * np.pi * cycles * t + phases)).sum(1)
    X += 0.1 * rng.normal(size=X.shape)
    return X[np.argsort(cycles[:, 0, 0])]


@pytest.mark.parametrize("modulation", [None, "basis"])
@pytest.mark.parametrize(
    "ends",
    [
        pytest.param([200], id="halves"),
        pytest.param([3, 6, 9, 12], id="tiny first"),
        pytest.param(range(40, 400, 40), id="many"),
        pytest.param(range(2, 60), id="single rows", marks=pytest.mark.slow),
        pytest.param([*range(10, 60, 5), 395], id="uneven"),
    ],
)
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_pieces_end_where_the_whole_does(ends, modulation):
    X = sorted_tones(400)
    options = {"n_components": 6, "modulation": modulation}
    whole = SpectralDictionaryLearning(**options).fit(X)
    est = SpectralDictionaryLearning(**options)
    for part in np.split(X, ends):
        est.partial_fit(part)
    seen, expected = (e.moments_.covariance().dense() for e in (est, whole))
    np.testing.assert_allclose(seen, expected, atol=1e-10)
    lost = (whole.explained_variance_ratio_ - est.explained_variance_ratio_).sum()
    assert lost < 0.002


@pytest.mark.parametrize("windows", [2, 4, 7])
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_pieces_with_windows_end_where_the_whole_does(windows):
    # The loss of windowed atoms is compared, not that of whole waves.
    rng = np.random.default_rng(11)
    t = np.arange(32) / 32
    X = np.zeros((200, 32))
    for _ in range(3):
        cycles, phases = rng.uniform(0.5, 12, (200, 1)), rng.uniform(0, 6.3, (200, 1))
        X += np.sin(2 * np.pi * cycles * t + phases)
    X = X[np.argsort(X[:, 0])]
    options = {"n_components": 3, "windows": windows, "modulation": None}
    whole = SpectralDictionaryLearning(**options).fit(X)
    est = SpectralDictionaryLearning(**options)
    for part in np.array_split(X, 5):
        est.partial_fit(part)
    lost = whole.explained_variance_ratio_.sum() - est.explained_variance_ratio_.sum()
    assert lost < 0.002


def test_partial_fit_after_fit_goes_on_and_one_piece_is_fit(patches):
    X = patches[0]
    est = learn(X[:300])
    est.partial_fit(X[300:])
    assert est.n_samples_seen_ == len(X)
    np.testing.assert_allclose(est.mean_, X.mean(0))
    last = est.history_["loss"][-1]
    est.partial_fit(X[:1])
    assert est.n_samples_seen_ == len(X) + 1
    # partial_fit continues from its own atoms, which are better than a new start.
    assert est.history_["loss"][0] == pytest.approx(last, rel=0.01)
    assert est.history_["loss"][0] < 0.95 * learn(X).history_["loss"][0]
    est.fit(X)
    assert est.n_samples_seen_ == len(X)
    first = SpectralDictionaryLearning(12, signal_shape=SHAPE, random_state=0)
    np.testing.assert_array_equal(first.partial_fit(X).components_, est.components_)


@pytest.mark.parametrize("unit", [1.0, 1e-300, 1e300])
def test_weights_of_pieces_are_in_one_unit(signals, unit):
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 4, size=len(signals)) * unit
    options = {"n_components": 3, "modulation": None}
    whole = SpectralDictionaryLearning(**options).fit(signals, sample_weight=weights)
    est = SpectralDictionaryLearning(**options)
    for rows in np.array_split(np.arange(len(signals)), 3):
        est.partial_fit(signals[rows], sample_weight=weights[rows])
    np.testing.assert_allclose(est.mean_, whole.mean_)
    np.testing.assert_allclose(est.frequencies_, whole.frequencies_, rtol=1e-3)


def test_a_failed_partial_fit_changes_nothing(patches):
    est = learn(patches[0])
    before = dict(vars(est))
    covariance = est.moments_.covariance().dense()
    bad = patches[0][:5].copy()
    bad[2, 3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        est.partial_fit(bad)
    with pytest.raises(ValueError, match="features"):
        est.partial_fit(patches[0][:, :10])
    assert vars(est).keys() == before.keys()
    assert all(vars(est)[k] is v for k, v in before.items())
    np.testing.assert_array_equal(est.moments_.covariance().dense(), covariance)


def test_both_losses_are_in_the_history(patches):
    X = patches[0]
    est = learn(X, modulation=None, stft_weight=0.05, stft_window=16, max_iter=3)
    history = est.history_
    spectral = history["stage"] == "spectral loss"
    assert np.isnan(history["stft_error"][~spectral]).all()
    assert np.isfinite(history["stft_error"][spectral]).all()
    np.testing.assert_allclose(
        history["loss"][spectral],
        (history["squared_error"] + 0.05 * history["stft_error"])[spectral],
    )
    plain = learn(X, modulation=None, max_iter=3)
    np.testing.assert_allclose(
        history["squared_error"][~spectral], plain.history_["loss"]
    )
    assert est.n_iter_ == len(history["loss"]) - 2
    # The step of smallest loss is kept.
    chosen = np.argmin(history["loss"][spectral])
    left = (1 - est.explained_variance_ratio_.sum()) * X.var(0).sum()
    assert left == pytest.approx(history["squared_error"][spectral][chosen], rel=1e-3)


def test_the_spectral_loss_scales_with_the_data(patches):
    """The squared error is quadratic in the unit, the magnitude error is linear."""
    options = {"modulation": None, "stft_window": 16, "max_iter": 2}
    est = learn(patches[0], stft_weight=0.05, **options)
    scaled = learn(255 * patches[0], stft_weight=0.05 * 255, **options)
    np.testing.assert_allclose(scaled.components_, est.components_, atol=1e-6)
    np.testing.assert_allclose(
        scaled.history_["stft_error"], 255 * est.history_["stft_error"], rtol=1e-6
    )


def test_polished_codes_trade_squared_error_for_spectra(patches):
    import torch

    from skspectral.stft import STFT

    est = learn(patches[0], stft_window=16)
    X = patches[1]

    def errors(est):
        rebuilt = est.inverse_transform(est.transform(X))
        spectral = STFT(16, 4).magnitude_error(torch.tensor(X), torch.tensor(rebuilt))
        return ((X - rebuilt) ** 2).sum(), float(spectral.sum())

    squared, spectral = errors(est)
    plain = est.transform(X)
    est.set_params(transform_stft_weight=0.02)
    polished = errors(est)
    assert squared < polished[0] < 1.05 * squared
    assert polished[1] < 0.98 * spectral
    assert polished[0] + 0.02 * polished[1] < squared + 0.02 * spectral
    single = est.transform(X[:1].astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, est.transform(X)[:1], atol=1e-3)
    est.set_params(transform_stft_weight=0.0)
    np.testing.assert_array_equal(est.transform(X), plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stft_weight": 1.0, "stft_window": 49}, "stft_window=49 .* n_features=48"),
        ({"transform_stft_weight": 1.0, "stft_window": 64}, "stft_window=64"),
        (
            {"stft_weight": 1.0, "stft_window": 16, "stft_hop": 9},
            "stft_hop=9 .* half of stft_window=16",
        ),
        ({"atoms": "plane_wave"}, "plane_wave' needs images"),
        (
            {
                "atoms": "plane_wave",
                "signal_shape": (6, 8),
                "modulation": MLPModulation(modulated=("frequency",)),
            },
            "wave vector",
        ),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"solver": "sgd"}, "solver"),
        ({"init": ["a", "b", "c"]}, "init=.* array of frequencies"),
    ],
)
def test_parameters_that_do_not_fit(signals, options, message):
    with pytest.raises(ValueError, match=message):
        SpectralDictionaryLearning(3, **options).fit(signals)


def test_windows_are_not_checked_where_there_are_none(signals):
    SpectralDictionaryLearning(3, stft_window=1000).fit(signals).transform(signals)


def test_the_published_recipe_runs(patches):
    est = published_recipe(6, random_state=0)
    with pytest.warns(ConvergenceWarning):
        est.fit(patches[0][:200])
    assert est.n_iter_ == 20
    assert set(est.history_["stage"]) == {"start", "adam"}
    assert est.history_["loss"].min() < est.history_["loss"][0]
    assert np.isfinite(est.history_["stft_error"]).all()
    assert not est.mean_.any()
    assert est.sample(3).shape == (3, 192)
    assert est.get_params()["modulation"].modulated == (
        "amplitude",
        "phase",
        "frequency",
    )


def test_in_a_pipeline_with_everything_on(patches):
    est = SpectralDictionaryLearning(
        5,
        signal_shape=SHAPE,
        atoms="plane_wave",
        modulation=MLPModulation(width=4, depth=1),
        stft_weight=0.01,
        transform_stft_weight=0.01,
        max_iter=2,
        tol=1.0,
        random_state=0,
    )
    codes = make_pipeline(StandardScaler(), est).fit_transform(patches[0])
    assert codes.shape == (600, 5)


def test_going_on_with_other_atoms_says_how_to_begin_anew(patches):
    est = learn(patches[0]).set_params(atoms="sinusoid")
    with pytest.raises(ValueError, match=r"continues.*another kind.*Call fit"):
        est.partial_fit(patches[0])


def test_parameters_of_transform_are_checked_there(signals):
    est = SpectralDictionaryLearning(3).fit(signals)
    with pytest.raises(ValueError, match="transform_stft_weight"):
        est.set_params(transform_stft_weight=-1.0).transform(signals)


def test_equal_atoms_of_adam_are_drawn_anew(signals):
    est = learn(
        signals,
        4,
        init=[4.0] * 4,
        modulation=None,
        solver="adam",
        signal_shape=None,
        max_iter=2,
        tol=0.0,
    )
    cosine = np.abs(np.triu(est.components_ @ est.components_.T, 1))
    assert cosine.max() < 0.999
    assert np.abs(est.transform(signals)).max() < 100


def test_adam_in_pieces_sees_all_rows():
    t = np.arange(64) / 64
    rng = np.random.default_rng(0)
    many = rng.normal(size=(300, 1)) * np.sin(2 * np.pi * 3.0 * t + 1)
    few = rng.normal(size=(3, 1)) * np.sin(2 * np.pi * 3.9 * t + 1)
    options = {"modulation": None, "solver": "adam", "init": [3.4], "tol": 0.0}
    options |= {"learning_rate": 0.01, "center": False, "signal_shape": None}
    est = learn(many, 1, max_iter=1, **options)
    assert abs(est.frequencies_[0] - 3) > 0.3
    with pytest.warns(ConvergenceWarning):
        est.set_params(max_iter=30).partial_fit(few)
    assert est.frequencies_[0] == pytest.approx(3.0, abs=0.05)


def test_a_mixture_as_prior_of_tensors(signals):
    import torch
    from sklearn import config_context
    from sklearn.mixture import GaussianMixture

    est = SpectralDictionaryLearning(3, prior=GaussianMixture(2, random_state=0))
    with config_context(array_api_dispatch=True):
        assert est.fit(torch.tensor(signals)).sample(5).shape == (5, 48)
        assert est.fit(signals).sample(5).shape == (5, 48)
