import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import signal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skspectral import SpectralDictionaryLearning
from skspectral.control import (
    SpectralEqualizer,
    SpectralFilter,
    equalize,
    filter,
    interpolate,
    sample,
    select_atoms,
)
from skspectral.priors import GaussianMixture, LocalContrastPrior

LENGTH, RATE = 256, 1000.0
# Frequencies of the tones in cycles per signal.
CYCLES = np.array([4, 9, 20, 33, 50, 71, 90, 112])


def tones(n, seed=0):
    """Draw sums of sinusoids with whole cycles, random phases and amplitudes."""
    rng = np.random.default_rng(seed)
    t = np.arange(LENGTH) / LENGTH
    waves = np.exp(2j * np.pi * CYCLES[:, None] * t)
    weights = rng.normal(size=(n, 2, len(CYCLES)))
    return ((weights[:, 0] + 1j * weights[:, 1]) @ waves).real


def spectrum(X):
    """Return the amplitude at the frequency of each tone, shape (n, 8)."""
    return np.abs(np.fft.rfft(X))[:, CYCLES]


@pytest.fixture(scope="module")
def of_tones():
    # The mean signal is random.
    est = SpectralDictionaryLearning(
        16, modulation=None, sampling_rate=RATE, center=False
    )
    return est.fit(tones(200))


@pytest.fixture(scope="module")
def of_digits():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(
        64, signal_shape=(8, 8), atoms="plane_wave", random_state=0
    )
    return est.fit(X)


HERTZ = CYCLES * RATE / LENGTH


@pytest.mark.parametrize(
    "gains",
    [
        lambda f: 1 / (1 + f / 100),
        [(0.0, 2.0), (100.0, 1.0), (300.0, 0.1)],
        lambda f: np.sqrt(f) / 10,
    ],
)
def test_the_response_of_equalize_is_the_gains(of_tones, gains):
    X = tones(20, seed=1)
    response = spectrum(equalize(of_tones, X, gains)) / spectrum(X)
    if callable(gains):
        expected = gains(HERTZ)
    else:
        expected = np.interp(HERTZ, *np.transpose(gains))
    assert_allclose(response, np.broadcast_to(expected, response.shape), rtol=1e-3)


def test_filter_agrees_with_the_fourier_transform(of_tones):
    X = tones(20, seed=1)
    found = filter(of_tones, X, 100.0, 300.0)
    transform = np.fft.rfft(X)
    hertz = np.fft.rfftfreq(LENGTH, 1 / RATE)
    transform[:, (hertz < 100) | (hertz >= 300)] = 0
    assert_allclose(found, np.fft.irfft(transform), atol=1e-3 * np.abs(X).max())


def test_a_band_changes_itself_alone(of_tones):
    X = tones(20, seed=1)
    out = filter(of_tones, X, 100.0, 300.0, btype="bandstop")
    inside = (HERTZ >= 100) & (HERTZ < 300)
    before, after = spectrum(X) ** 2, spectrum(out) ** 2
    assert_allclose(after[:, ~inside], before[:, ~inside], rtol=0.01)
    assert (after[:, inside] < 1e-4 * before[:, inside]).all()


def test_a_band_of_signals_that_are_no_atoms_changes_itself_alone():
    rng = np.random.default_rng(0)
    colour = signal.butter(2, 0.4, output="sos")
    X = signal.sosfilt(colour, rng.normal(size=(500, LENGTH)), axis=1)
    est = SpectralDictionaryLearning(LENGTH, modulation=None, max_iter=5, tol=0.1)
    est.fit(X)
    power = np.abs(np.fft.rfft(X)) ** 2
    out = np.abs(np.fft.rfft(filter(est, X, 40, 80, btype="bandstop"))) ** 2
    cycles = np.arange(power.shape[1])
    # At the edges of a band neighbouring atoms overlap by about one cycle.
    outside = (cycles < 38) | (cycles > 82)
    change = abs(out[:, outside].sum() / power[:, outside].sum() - 1)
    assert change < 0.01
    inside = (cycles > 42) & (cycles < 78)
    # A signal that is not a sum of whole cycles has some power at all frequencies.
    assert out[:, inside].sum() < 0.05 * power[:, inside].sum()


def test_unit_gains_change_nothing_and_signals_are_not_modified(of_digits):
    X, _ = load_digits(return_X_y=True)
    kept = X.copy()
    assert_allclose(equalize(of_digits, X, 1.0), X, atol=1e-10)
    assert_allclose(equalize(of_digits, X, lambda f: 0 * f), 0, atol=0.05)
    assert (kept == X).all()


def test_bands_add_up_to_the_signal():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)
    low, rest = (filter(est, X, high=4, btype=b) for b in ("bandpass", "bandstop"))
    assert_allclose(low + rest, X, atol=1e-9)
    low, high = filter(est, X, high=4), filter(est, X, low=4)
    shown = est.inverse_transform(est.transform(X))
    assert_allclose(low + high, shown, atol=1e-9)
    # Without limits the result is the reconstruction, including the mean image.
    assert_allclose(filter(est, X), shown, atol=1e-9)
    assert_allclose(filter(est, X, residual=1), X, atol=1e-9)


def test_types_follow_the_input(of_digits):
    X, _ = load_digits(return_X_y=True)
    for dtype, expected in (
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.uint8, np.float32),
    ):
        out = equalize(of_digits, X[:5].astype(dtype), 0.5)
        assert type(out) is np.ndarray
        assert out.dtype == expected


def test_frames_with_names_go_through():
    X, _ = load_digits(return_X_y=True, as_frame=True)
    est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    assert_allclose(equalize(est, X, 1.0), X.to_numpy(), atol=1e-9)
    model = SpectralFilter(FrozenEstimator(est), high=3).set_output(transform="pandas")
    out = model.fit(X).transform(X)
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == list(X.columns)


def test_select_atoms_by_interval(of_digits):
    f, v = of_digits.frequencies_, of_digits.explained_variance_ratio_
    edges = np.quantile(f, [0.3, 0.6])
    bands = [(None, edges[0]), tuple(edges), (edges[1], None)]
    masks = [select_atoms(of_digits, frequency=band) for band in bands]
    # Each atom is in exactly one of two adjacent bands.
    assert (np.sum(masks, axis=0) == 1).all()
    assert (f[masks[1]] >= edges[0]).all()
    strong = select_atoms(of_digits, explained_variance_ratio=(0.01, None))
    assert (strong == (v >= 0.01)).all()
    both = select_atoms(
        of_digits, frequency=bands[1], explained_variance_ratio=(0.01, None)
    )
    assert (both == (masks[1] & strong)).all()


def test_select_atoms_by_orientation(of_digits):
    angles = of_digits.orientations_
    half = select_atoms(of_digits, orientation=(0.5, 0.5 + np.pi / 2))
    other = select_atoms(of_digits, orientation=(0.5 + np.pi / 2, 0.5 + np.pi))
    assert (half != other).all()
    assert (half == ((angles >= 0.5) & (angles < 0.5 + np.pi / 2))).all()
    around = select_atoms(of_digits, orientation=(3.0, 0.2))
    assert (around == ((angles >= 3.0) | (angles < 0.2))).all()
    assert select_atoms(of_digits, orientation=(None, None)).all()


def test_a_mask_is_a_gain(of_tones):
    X = tones(5, seed=2)
    mask = select_atoms(of_tones, frequency=(100.0, 300.0))
    assert_allclose(
        equalize(of_tones, X, mask, residual=0), filter(of_tones, X, 100.0, 300.0)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, X: equalize(e, X, [1.0, 2.0, 3.0]), r"gains of shape \(3,\)"),
        (lambda e, X: equalize(e, X, np.ones(17)), r"gains of shape \(17,\)"),
        (lambda e, X: equalize(e, X, "low"), "gains='low'"),
        (lambda e, X: equalize(e, X, -1.0), "gains must be finite and >= 0"),
        (lambda e, X: equalize(e, X, lambda f: f * np.nan), "it is nan"),
        (lambda e, X: equalize(e, X, lambda f: 1 / f), "inf at the frequency 0"),
        (
            lambda e, X: equalize(e, X, lambda f: f[:3]),
            r"returned an array of shape \(3,\)",
        ),
        (lambda e, X: equalize(e, X, 1.0, residual=np.nan), "residual=nan"),
        (lambda e, X: equalize(e, X * np.nan, 1.0), "NaN"),
        (lambda e, X: filter(e, X, 5, 5), "low < high"),
        (lambda e, X: filter(e, X, btype="notch"), "btype='notch'"),
        (lambda e, X: select_atoms(e, frequency=3), "frequency=3 must be"),
        (lambda e, X: select_atoms(e, orientation=(0, 1)), "plane waves"),
        (lambda e, X: interpolate(e, X, X), "start of shape"),
        (lambda e, X: interpolate(e, X[0], X[1] * np.nan), "stop of shape"),
        (lambda e, X: sample(e, 2, limit=-1), "limit must be >= 0"),
    ],
)
def test_errors_name_the_parameter(of_tones, call, message):
    with pytest.raises(ValueError, match=message):
        call(of_tones, tones(3))


def test_sample_scales_the_variance_of_a_band(of_tones):
    gains = [(150.0, 3.0), (150.0, 0.5)]
    plain = of_tones.sample(500, random_state=0)
    assert_allclose(sample(of_tones, 500, random_state=0), plain, atol=1e-8)
    drawn = sample(of_tones, 500, gains=gains, random_state=0)
    expected = np.where(HERTZ < 150, 3.0, 0.5)
    ratio = spectrum(drawn - of_tones.mean_) / spectrum(plain - of_tones.mean_)
    assert_allclose(ratio, np.broadcast_to(expected, ratio.shape), rtol=0.01)


def test_sample_clamps_codes(of_tones):
    inside = select_atoms(of_tones, frequency=(100.0, 300.0))
    limit = np.where(inside, 0.5, np.inf)
    drawn = sample(of_tones, 500, limit=limit, random_state=0)
    codes = of_tones.transform(drawn)
    largest = 0.5 * np.sqrt((of_tones.transform(tones(200)) ** 2).mean(0))
    assert (np.abs(codes[:, inside]) <= 1.001 * largest[inside]).all()
    plain = of_tones.transform(of_tones.sample(500, random_state=0))
    assert_allclose(codes[:, ~inside], plain[:, ~inside], atol=1e-6)


def whitened(est, X):
    """Return coordinates in which the prior is N(0, I)."""
    root = np.linalg.cholesky(est.prior_.covariance_)
    coordinates = (X - est.mean_) @ est.basis_.T - est.prior_.mean_
    return np.linalg.solve(root, coordinates.T).T


@pytest.mark.parametrize("prior", [True, False])
def test_interpolate_goes_from_one_to_the_other(of_digits, prior):
    X, _ = load_digits(return_X_y=True)
    path = interpolate(of_digits, X[0], X[1], 7, prior=prior)
    shown = of_digits.inverse_transform(of_digits.transform(X[:2]))
    assert_allclose(path[[0, -1]], shown, atol=1e-2)
    back = interpolate(of_digits, X[1], X[0], 7, prior=prior)
    assert_allclose(back[::-1], path, atol=1e-8)
    assert_allclose(interpolate(of_digits, X[0], X[0], 3), shown[[0] * 3], atol=1e-2)


def test_the_arc_keeps_the_distance_from_the_mean_and_the_line_does_not(of_tones):
    X = of_tones.sample(2, random_state=0)
    for prior, even in ((True, True), (False, False)):
        z = whitened(of_tones, interpolate(of_tones, *X, 5, prior=prior))
        norms = np.linalg.norm(z, axis=1)
        expected = np.linspace(norms[0], norms[-1], 5)
        assert np.allclose(norms, expected, rtol=1e-4) == even
        if even:
            turns = np.sum(z[1:] * z[:-1], axis=1) / (norms[1:] * norms[:-1])
            assert_allclose(turns, turns[0], rtol=1e-4)


@pytest.mark.parametrize(
    "prior", [GaussianMixture(2, random_state=0), LocalContrastPrior()]
)
def test_interpolate_with_other_priors(prior):
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(
        30, signal_shape=(8, 8), prior=prior, random_state=0
    ).fit(X)
    path = interpolate(est, X[0], X[5], 4)
    assert_allclose(
        path[[0, -1]], est.inverse_transform(est.transform(X[[0, 5]])), atol=1e-2
    )


def test_transformers_are_the_functions(of_tones):
    X = tones(50, seed=3)
    frozen = FrozenEstimator(of_tones)
    gains = [(0.0, 1.0), (400.0, 0.0)]
    model = SpectralEqualizer(frozen, gains=gains, residual=0.5).fit(X)
    assert_allclose(model.transform(X), equalize(of_tones, X, gains, residual=0.5))
    model = SpectralFilter(frozen, low=100.0, high=300.0).fit(X)
    assert_allclose(model.transform(X), filter(of_tones, X, 100.0, 300.0))
    again = pickle.loads(pickle.dumps(model))
    assert_allclose(again.transform(X), model.transform(X))
    assert not hasattr(clone(model), "estimator_")


def test_a_grid_search_chooses_the_band():
    rng = np.random.default_rng(0)
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    # The noise has high frequencies only: checkerboards.
    board = (-1.0) ** np.indices((8, 8)).sum(0).ravel()
    X = X + 40 * rng.normal(size=(600, 1)) * board
    atoms = SpectralDictionaryLearning(64, signal_shape=(8, 8), atoms="plane_wave")
    model = make_pipeline(SpectralFilter(atoms), KNeighborsClassifier())
    search = GridSearchCV(model, {"spectralfilter__high": [None, 4.5]}, cv=3)
    search.fit(X, y)
    assert search.best_params_ == {"spectralfilter__high": 4.5}
    assert search.best_score_ > 0.8


@pytest.mark.parametrize(
    ("shape", "atoms"), [((64,), "sinusoid"), ((8, 8, 3), "plane_wave")]
)
@pytest.mark.parametrize("rate", [None, 50.0])
def test_the_mean_has_the_gains_of_its_own_frequencies(shape, atoms, rate):
    rng = np.random.default_rng(0)
    n = int(np.prod(shape))
    t = (np.arange(shape[0]) + 0.5) / shape[0]
    slow, fast = np.cos(np.pi * t), np.cos(6 * np.pi * t)
    mean = np.multiply.outer(1 + slow + 2 * fast, np.ones(shape[1:])).ravel()
    X = mean + 1e-6 * rng.normal(size=(300, n))
    est = SpectralDictionaryLearning(
        5, signal_shape=shape, atoms=atoms, modulation=None, sampling_rate=rate
    ).fit(X)
    # Half a cycle and three cycles, plus a constant of frequency 0.
    unit = 1 if rate is None else rate / shape[0]
    part = {
        (None, 0.25): np.ones_like(slow),
        (0.25, 1): slow,
        (1, None): 2 * fast,
    }
    for (low, high), wave in part.items():
        band = [x if x is None else x * unit for x in (low, high)]
        expected = np.multiply.outer(wave, np.ones(shape[1:])).ravel()
        assert_allclose(filter(est, X, *band)[0], expected, atol=1e-4)
    doubled = equalize(est, X, [(0, 2.0), (1e-9, 1.0)])
    assert_allclose(doubled, X + 1, atol=1e-4)
    assert_allclose(equalize(est, X, select_atoms(est), residual=0), 0, atol=1e-4)


def test_bands_of_atoms_in_windows():
    """Atoms in windows are nearly dependent: codes with a tiny ridge are useless."""
    X = np.random.default_rng(0).normal(size=(400, 256)).cumsum(axis=1)
    X -= X.mean(axis=1, keepdims=True)
    options = {"modulation": None, "tol": 0.01}
    whole = SpectralDictionaryLearning(20, **options).fit(X)
    windowed = SpectralDictionaryLearning(20, windows=8, **options).fit(X)
    transform = np.fft.rfft(X)
    transform[:, 10:] = 0
    expected = np.fft.irfft(transform)

    def error(est):
        found = filter(est, X, high=10)
        return np.linalg.norm(found - expected) / np.linalg.norm(expected)

    assert error(windowed) < 1.6 * error(whole)
    drawn = sample(windowed, 200, gains=lambda f: 1.0 * (f < 10), random_state=0)
    assert drawn.std() < 1.2 * X.std()


def test_codes_without_variance_are_no_trouble():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(4, signal_shape=(8, 8), windows=8).fit(X)
    drawn = sample(est, 5, random_state=0)
    assert_allclose(drawn, est.sample(5, random_state=0), atol=1e-6)
    assert np.isfinite(sample(est, 5, limit=0.5, random_state=0)).all()


def test_polished_codes_do_not_enter():
    X, _ = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(20, stft_window=16).fit(X)
    plain = equalize(est, X, 0.5)
    est.set_params(transform_stft_weight=0.5)
    assert_allclose(equalize(est, X, 0.5), plain)


def test_a_path_between_signals_that_were_not_trained_on():
    X, _ = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    for train in (X, X[:50]):
        est = SpectralDictionaryLearning(
            64, signal_shape=(8, 8), modulation=None, max_iter=200
        ).fit(train)
        noisy = X[1000] + rng.normal(size=64)
        for start in (noisy, 16 - X[1000], X[1001]):
            path = interpolate(est, start, X[1002], 9)
            assert np.abs(path).max() < 40


def test_weights_are_passed_on():
    X, y = load_digits(return_X_y=True)
    weights = np.random.default_rng(0).uniform(size=len(X))
    atoms = SpectralDictionaryLearning(5, signal_shape=(8, 8), modulation=None)
    expected = clone(atoms).fit(X, sample_weight=weights).components_
    with config_context(enable_metadata_routing=True):
        step = SpectralFilter(atoms, high=4.0).set_fit_request(sample_weight=True)
        model = make_pipeline(step, KNeighborsClassifier())
        model.fit(X, y, sample_weight=weights)
    assert_allclose(model[0].estimator_.components_, expected)


def test_what_cannot_be_changed_is_refused_by_fit():
    X, _ = load_digits(return_X_y=True)
    atoms = SpectralDictionaryLearning(5, modulation=None)
    with pytest.raises(ValueError, match="low < high"):
        SpectralFilter(atoms, low=4, high=3).fit(X)
    with pytest.raises(ValueError, match="gains"):
        SpectralEqualizer(atoms, gains=[-1.0]).fit(X)
    with pytest.raises(TypeError, match="no atoms with frequencies"):
        SpectralFilter(PCA(5), high=3).fit(X)
    with pytest.raises(ValueError, match="both limits"):
        select_atoms(clone(atoms).set_params(**PLANES).fit(X), orientation=(0.5, None))


PLANES = {"signal_shape": (8, 8), "atoms": "plane_wave"}


@pytest.mark.parametrize("call", [equalize, filter])
def test_masked_entries_are_no_data(call):
    X = np.random.default_rng(0).normal(size=(30, 16))
    est = SpectralDictionaryLearning(3).fit(X)
    options = (1.0,) if call is equalize else (1.0, 3.0)
    with pytest.raises(ValueError, match=r"^X has .* of 480 entries that are masked"):
        call(est, np.ma.masked_less(X, -1), *options)
