"""Mistakes of newcomers: each error says what is wrong, and what to type instead."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.impute
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import skspectral
from skspectral import (
    SpectralDictionaryLearning,
    SpectralOutlierDetector,
    control,
    metrics,
    plotting,
    priors,
    refinement,
)
from skspectral.priors.third_party import _NAMES

data = load_digits()
DIGITS, LABELS = data.data[:60], data.target[:60]
IMAGES = DIGITS.reshape(-1, 8, 8)
rng = np.random.default_rng(0)
SIGNALS = rng.normal(size=(20, 100))
COLOUR = rng.random((20, 8, 8, 3))
TABLE = pd.DataFrame(DIGITS, columns=[f"t{i}" for i in range(64)])
GAPS = DIGITS.copy()
GAPS[3, 5] = GAPS[7, 0] = np.nan

# One step of learning, without drift: the errors do not depend on the atoms.
S = partial(SpectralDictionaryLearning, modulation=None, tol=1.0)
EST = S(4, signal_shape=(8, 8)).fit(DIGITS)
NAMES = {
    "np": np,
    "torch": torch,
    "sklearn": sklearn,
    "skspectral": skspectral,
    "SpectralDictionaryLearning": SpectralDictionaryLearning,
    "S": S,
    "est": EST,
    "y": LABELS,
    "CHANNELS_LAST": COLOUR.reshape(20, -1),
    "control": control,
    "metrics": metrics,
    "plotting": plotting,
    "refinement": refinement,
    **{name: getattr(priors, name) for name in priors.__all__},
    "PlaneWave": skspectral.atoms.PlaneWave,
    "KMeans": KMeans,
    "PCA": PCA,
    "SpectralOutlierDetector": SpectralOutlierDetector,
}


@dataclass
class Mistake:
    """A mistake, parts of its error, and how a user goes on.

    ``code`` is evaluated with ``X``. The error must contain ``says`` and, as what to
    type, ``types``. Then ``then`` is evaluated with ``types`` in place of {}.
    """

    code: str
    says: str
    types: str
    then: str | None = None
    X: Any = None


ROWS = "X.reshape(len(X), -1)"
ONE_ROW = "X.reshape(1, -1)"
CUT = "skspectral.datasets.cut_windows(X, length=10)"
COMPLETE = "X[np.isfinite(X).all(axis=1)]"

MISTAKES = {
    # X that is not rows of numbers
    "images": Mistake(
        "S(4).fit(X)",
        "X has shape (60, 8, 8)",
        "signal_shape=(8, 8)",
        "S(4, {}).fit(X)",
        IMAGES,
    ),
    "images of another shape": Mistake(
        "S(4, signal_shape=(4, 16)).fit(X.reshape(-1, 64)).transform(X)",
        "one flattened image",
        f"{ROWS},",
        f"S(4, signal_shape=(8, 8)).fit({ROWS})",
        IMAGES,
    ),
    "list of images": Mistake(
        "S(4).fit(X)",
        "X has shape (60, 8, 8)",
        "np.asarray(X) with signal_shape=(8, 8)",
        "S(4, signal_shape=(8, 8)).fit(np.asarray(X))",
        list(IMAGES),
    ),
    "colour images": Mistake(
        "S(4).fit(X)",
        "X has shape (20, 8, 8, 3)",
        "signal_shape=(8, 8, 3)",
        "S(4, {}).fit(X)",
        COLOUR,
    ),
    "channels first": Mistake(
        "S(4).fit(X)",
        "3 channels on axis 1",
        "signal_shape=(3, 8, 8), channel_axis=0",
        "S(4, {}).fit(X)",
        COLOUR.transpose(0, 3, 1, 2),
    ),
    "tensor of images": Mistake(
        "S(4).fit(X)",
        "3 channels on axis 1",
        "signal_shape=(3, 8, 8), channel_axis=0",
        "S(4, {}).fit(X)",
        torch.from_numpy(COLOUR).permute(0, 3, 1, 2),
    ),
    "channels of signals": Mistake(
        "S(4).fit(X)",
        "signals with 2 channels",
        "signal_shape=(2, 100), channel_axis=0",
        "S(4, {}).fit(X)",
        SIGNALS.reshape(10, 2, 100),
    ),
    "channels of signals, last": Mistake(
        "S(4).fit(X)",
        "signals with 2 channels",
        "signal_shape=(100, 2), channel_axis=-1",
        "S(4, {}).fit(X)",
        SIGNALS.reshape(10, 2, 100).swapaxes(1, 2),
    ),
    "one colour image": Mistake(
        "S(4).fit(X)",
        "single image with channels",
        "skspectral.datasets.cut_patches([X], n_patches=1000, size=4)",
        "S(4, signal_shape=(4, 4, 3)).fit({}.reshape(1000, -1))",
        rng.random((16, 20, 3)),
    ),
    "images of two sizes": Mistake(
        "S(4).fit(X)",
        "(8, 8) and (9, 9)",
        "skspectral.datasets.cut_patches(X, n_patches=1000, size=8)",
        "S(4, signal_shape=(8, 8)).fit({}.reshape(1000, -1))",
        [IMAGES[0], rng.random((9, 9))],
    ),
    "labels": Mistake(
        "S(4).fit(X)", "10 different integers look like labels", "fit(X, y)", X=LABELS
    ),
    "column of labels": Mistake(
        "S(4).fit(X)", "look like labels", "fit(X, y)", X=pd.Series(LABELS)
    ),
    "one long signal": Mistake(
        "S(4).fit(X)", "X has shape (100,)", CUT, "S(4).fit({})", SIGNALS[0]
    ),
    "one row": Mistake(
        "S(4).fit(X)",
        "1 sample(s) (shape=(1, 100))",
        CUT,
        "S(4).fit({})",
        SIGNALS[:1],
    ),
    "recordings of two lengths": Mistake(
        "S(4).fit(X)",
        "lengths, from 50 to 100",
        "skspectral.datasets.cut_windows(X, length=50)",
        "S(4).fit({})",
        [SIGNALS[0], SIGNALS[1, :50]],
    ),
    "one row to transform": Mistake(
        "est.transform(X)",
        "X has shape (64,)",
        ONE_ROW,
        "est.transform({})",
        DIGITS[0],
    ),
    "row of a table": Mistake(
        "est.transform(X)",
        "X has shape (64,)",
        "np.asarray(X).reshape(1, -1)",
        "est.transform({})",
        TABLE.iloc[0],
    ),
    "images to transform": Mistake(
        "est.transform(X)",
        "(60, 4, 16)",
        f"{ROWS},",
        f"est.transform({ROWS})",
        IMAGES.reshape(60, 4, 16),
    ),
    "one image to transform": Mistake(
        "est.transform(X)",
        "X has 8 features, but SpectralDictionaryLearning is expecting 64 features",
        ONE_ROW,
        "est.transform({})",
        IMAGES[0],
    ),
    "transposed": Mistake(
        "est.transform(X)",
        "60 features, but SpectralDictionaryLearning is expecting 64",
        "X.T",
        "est.transform({})",
        DIGITS.T,
    ),
    "other length": Mistake(
        "est.score(X)", "X has 60 features", "the same length", X=DIGITS[:, :60]
    ),
    "codes of one row": Mistake(
        "est.inverse_transform(X)",
        "X has shape (4,)",
        ONE_ROW,
        "est.inverse_transform({})",
        np.ones(4),
    ),
    "complex": Mistake(
        "S(4).fit(X)",
        "Complex data not supported: X has dtype complex128",
        "X.real or abs(X)",
        "(S(4).fit(X.real), S(4).fit(abs(X)))",
        np.fft.fft(SIGNALS),
    ),
    "text": Mistake(
        "S(4).fit(X)",
        "first 'zero' in row 0, column 64",
        "np.delete(X, [64], axis=1).astype(float)",
        "S(4).fit({})",
        np.column_stack([DIGITS.astype(object), np.full(60, "zero")]),
    ),
    "table with names": Mistake(
        "S(4).fit(X)",
        "1 of 65 columns with text or other objects, first 'n0' in row 0",
        "X.drop(columns=['name'])",
        "S(4).fit({})",
        TABLE.assign(name=[f"n{i}" for i in range(60)]),
    ),
    "table with dates": Mistake(
        "S(4).fit(X)",
        "column 'day'",
        "X.drop(columns=['day'])",
        "S(4).fit({})",
        TABLE.assign(day=pd.Timestamp("2020-01-01")),
    ),
    "names of files": Mistake(
        "S(4).fit(X)",
        "first 'a.png'",
        "skspectral.datasets.load_image_folder",
        "{}.__doc__",
        ["a.png", "b.png"],
    ),
    "name of a file": Mistake(
        "S(4).fit('data.csv')", "X='data.csv' is text", "numpy.loadtxt(path, delimiter"
    ),
    "data set": Mistake(
        "S(4).fit(X)", "X is a Bunch", 'X["data"]', "S(4).fit({}[:60])", data
    ),
    "signals and labels in one": Mistake(
        "S(4).fit(X)",
        "(60, 64) and (60,), which look like signals and labels",
        "fit(*X)",
        "S(4).{}",
        (DIGITS, LABELS),
    ),
    "iterator": Mistake(
        "S(4).fit(X)", "must be an array", "np.array(list(X))", X=map(list, DIGITS)
    ),
    "nothing": Mistake("est.transform(None)", "X=None must be an array", "one signal"),
    "sparse": Mistake(
        "S(4).fit(X)",
        "dense data is required",
        ".toarray()",
        "S(4).fit(X{})",
        scipy.sparse.csr_array(DIGITS),
    ),
    "tensor with gradients": Mistake(
        "S(4).fit(X)",
        "requires gradients",
        "X.detach()",
        "S(4).fit({})",
        torch.tensor(DIGITS, requires_grad=True),
    ),
    # Values
    "NaN in fit": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "Input X contains NaN. 2 of 60 rows have NaN or infinite values, first in row "
        "3, column 5",
        COMPLETE,
        "S(4).fit({})",
        GAPS,
    ),
    "NaN in transform": Mistake(
        "est.denoise(X)",
        "row 3, column 5",
        "est.impute(X)",
        "est.transform({})",
        GAPS,
    ),
    "NaN in score": Mistake(
        "est.mahalanobis(X)", "Input X contains NaN", COMPLETE, "est.score({})", GAPS
    ),
    "NaN in a table": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "row 3, column 5",
        "X.dropna()",
        "S(4).fit({})",
        pd.DataFrame(GAPS, columns=TABLE.columns),
    ),
    "NaN in a list": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "row 3, column 5",
        "np.asarray(X)[np.isfinite(np.asarray(X)).all(axis=1)]",
        "S(4).fit({})",
        GAPS.tolist(),
    ),
    "NaN in a tensor": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "row 3, column 5",
        "X[torch.isfinite(X).all(axis=1)]",
        "S(4).fit({})",
        torch.from_numpy(GAPS),
    ),
    "NA in a table": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "row 3, column 5",
        "X.dropna()",
        "S(4).fit({})",
        pd.DataFrame(GAPS, columns=TABLE.columns).convert_dtypes(),
    ),
    "infinity in a table": Mistake(
        "S(4).fit(X)",
        "row 3, column 5",
        COMPLETE,
        "S(4).fit({})",
        pd.DataFrame(np.nan_to_num(GAPS, nan=np.inf), columns=TABLE.columns),
    ),
    "infinity": Mistake(
        "est.transform(X)",
        "Input X contains infinity",
        "est.impute(np.where(np.isfinite(X), X, np.nan))",
        "est.transform({})",
        np.nan_to_num(GAPS, nan=np.inf),
    ),
    "no complete row": Mistake(
        "SpectralOutlierDetector(S(4)).fit(X)",
        "Too few rows are complete",
        "sklearn.impute.SimpleImputer(keep_empty_features=True).fit_transform(X)",
        "S(4).fit({})",
        np.where(np.arange(64) == 20, np.nan, DIGITS),
    ),
    "NaN in codes": Mistake(
        "GaussianPrior().fit(X)", "row 3", COMPLETE, "GaussianPrior().fit({})", GAPS
    ),
    "NaN in images": Mistake(
        "refinement.SpectrumMatcher().fit(X, X)",
        "2 of 60 rows have NaN or infinite values, first at index (3, 0, 5)",
        "X[np.isfinite(X.reshape(len(X), -1)).all(axis=1)]",
        "refinement.SpectrumMatcher().fit({0}, {0})",
        GAPS.reshape(-1, 8, 8),
    ),
    "constant": Mistake("S(4).fit(np.ones((9, 9)))", "no variance", "rows that differ"),
    # Shapes of signals
    "shape of all rows": Mistake(
        "S(4, signal_shape=X.shape).fit(X)",
        "(60, 64) must be the shape of one row",
        "signal_shape=(64,)",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "shape of the images": Mistake(
        "S(4, signal_shape=(60, 8, 8)).fit(X)",
        "not of all rows",
        "signal_shape=(8, 8)",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "shape without channels": Mistake(
        "S(4, signal_shape=(8, 8)).fit(X)",
        "holds 64 values, but X has 192 features",
        "signal_shape=(8, 8, 3)",
        "S(4, {}).fit(X)",
        COLOUR.reshape(20, -1),
    ),
    "labels as shape": Mistake(
        "S(4, signal_shape=y).fit(X)",
        "signal_shape=an array of shape (60,)",
        "(height, width)",
        X=DIGITS,
    ),
    "text as shape": Mistake(
        "S(4, signal_shape='8x8').fit(X)", "Got '8x8'", "(height, width)", X=DIGITS
    ),
    # Parameters
    "typo": Mistake(
        "S(4, atoms='plane_waves').fit(X)",
        "{'auto', 'chirp', 'gabor', 'plane_wave', 'sinusoid'}",
        "Did you mean 'plane_wave'?",
        "S(4, atoms='plane_wave', signal_shape=(8, 8)).fit(X)",
        DIGITS,
    ),
    "short name": Mistake(
        "S(4, solver='newton').fit(X)",
        "Got 'newton'",
        "Did you mean 'gauss-newton'?",
        "S(4, solver='gauss-newton').fit(X)",
        DIGITS,
    ),
    "typo in another estimator": Mistake(
        "SpectralOutlierDetector(contamination='automatic').fit(X)",
        "of SpectralOutlierDetector",
        "Did you mean 'auto'?",
        X=DIGITS,
    ),
    "only option": Mistake(
        "S(4, shrinkage='ledoit_wolf').fit(X)",
        "Got 'ledoit_wolf'",
        "shrinkage='auto'",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "class of atoms": Mistake(
        "S(4, atoms=PlaneWave).fit(X)",
        "PlaneWave is a class",
        "PlaneWave()",
        "S(4, atoms={}, signal_shape=(8, 8)).fit(X)",
        DIGITS,
    ),
    "class of a model": Mistake(
        "SpectralOutlierDetector(SpectralDictionaryLearning).fit(X)",
        "SpectralDictionaryLearning is a class",
        "SpectralDictionaryLearning()",
        X=DIGITS,
    ),
    "class of a prior": Mistake(
        "S(4, prior=GaussianMixture).fit(X)",
        "prior=GaussianMixture is a class",
        "GaussianMixture()",
        "S(4, prior={}).fit(X)",
        DIGITS,
    ),
    "class of a prior in a prior": Mistake(
        "S(4, prior=ClassConditionalPrior(GaussianPrior)).fit(X, y)",
        "prior=GaussianPrior is a class",
        "GaussianPrior()",
        "S(4, prior=ClassConditionalPrior({})).fit(X, y)",
        DIGITS,
    ),
    "name of a prior": Mistake(
        "S(4, prior='gaussian').fit(X)",
        "prior='gaussian' has no fit and no sample",
        "prior=GaussianPrior()",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "no prior": Mistake(
        "S(4, prior=KMeans()).fit(X)",
        "prior=KMeans() has no sample",
        "prior=GaussianPrior()",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "mle": Mistake(
        "S('mle').fit(X)",
        "Got 'mle' instead",
        "n_components='evidence'",
        "S({}).fit(X)",
        DIGITS,
    ),
    "too many atoms": Mistake(
        "S(100).fit(X)",
        "n_components=100 must not be larger than n_features=64",
        "n_components=64",
        "S({}).fit(X)",
        DIGITS,
    ),
    "float for int": Mistake(
        "S(4.0).fit(X)", "Got 4.0", "n_components=4", "S({}).fit(X)", DIGITS
    ),
    "text for a number": Mistake(
        "S(4, sampling_rate='8000').fit(X)",
        "Got '8000'",
        "sampling_rate=8000",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "list for a number": Mistake(
        "est.sample([3])", "Got [3]", "n_samples=3", "est.sample({})"
    ),
    "signals for a number": Mistake(
        "est.sample(X)",
        "Got an array of shape (60, 64) instead",
        "an int in the range [1, inf)",
        X=DIGITS,
    ),
    "device": Mistake(
        "S(4, device='gpu').fit(X)",
        "no device of this name; NVIDIA GPUs are called 'cuda'",
        "device=None",
        "S(4, {}).fit(X)",
        DIGITS,
    ),
    "frequency above Nyquist": Mistake(
        "S(2, init=[1, 300]).fit(X)",
        "1 of 2 frequencies above the Nyquist frequency of 50 cycles per signal, first "
        "300",
        "sampling_rate",
        "S(2, init=[1, 300], sampling_rate=1000).fit(X)",
        SIGNALS,
    ),
    "wave vector above Nyquist": Mistake(
        "S(2, init=[[1, 2], [5, 1]], signal_shape=(8, 8)).fit(X)",
        "Nyquist frequency of 4 and 4 cycles per image, first [5.0, 1.0]",
        "Pass lower frequencies",
        "S(2, init=[[1, 2], [4, 1]], signal_shape=(8, 8)).fit(X)",
        DIGITS,
    ),
    "number of frequencies": Mistake(
        "S(8, init=[1, 2, 3]).fit(X)",
        "init of shape (3,)",
        "n_components=3",
        "S({}, init=[1, 2, 3]).fit(X)",
        SIGNALS,
    ),
    "too many windows": Mistake(
        "S(2, windows=200).fit(X)",
        "windows=200 must be",
        "an int from 1 to 100",
        "S(2, windows=2).fit(X)",
        SIGNALS,
    ),
    "labels of another length": Mistake(
        "S(4, prior=ClassConditionalPrior()).fit(X, y[:10])",
        "X has 60 rows, but y has 10 labels",
        "one label per row",
        X=DIGITS,
    ),
    "unknown label": Mistake(
        "S(4, prior=ClassConditionalPrior()).fit(X, y).sample(1, y=11)",
        "y=11 is not a label of fit: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]",
        "Pass one of these labels",
        X=DIGITS,
    ),
    "length of weights": Mistake(
        "S(4).fit(X, sample_weight=np.ones(3))",
        "sample_weight has shape (3,), but X has 60 rows",
        "an array of shape (60,)",
        X=DIGITS,
    ),
    "negative weights": Mistake(
        "S(4).fit(X, sample_weight=np.where(y == 2, -1, 1))",
        "first -1 in row 2",
        "one weight >= 0 per row",
        X=DIGITS,
    ),
    "name of weights": Mistake(
        "S(4).fit(X, sample_weight='balanced')",
        "sample_weight='balanced' is not an array",
        "None for equal weights",
        X=DIGITS,
    ),
    "no weight": Mistake(
        "S(4).fit(X, sample_weight=np.zeros(60))",
        "zero for all 60 rows",
        "A weight of 0 leaves a row out",
        X=DIGITS,
    ),
    # Control, metrics and plots
    "filter above Nyquist": Mistake(
        "control.filter(est, X, high=50)",
        "Nyquist frequency of diagonal waves, 5.65685 cycles per image",
        "None for no limit",
        "control.filter(est, X, high=None)",
        DIGITS,
    ),
    "negative band": Mistake(
        "control.filter(est, X, low=-2, high=-1)",
        "(-2, -1) must be between 0 and",
        "sampling_rate",
        X=DIGITS,
    ),
    "band in hertz": Mistake(
        "control.SpectralFilter(S(4), low=50).fit(X)",
        "32 cycles per signal",
        "sampling_rate",
        "control.SpectralFilter(S(4, {}=200), low=50).fit(X)",
        DIGITS,
    ),
    "negative limit": Mistake(
        "control.SpectralFilter(S(4), high=-2.0).fit(X)",
        "'high' parameter of SpectralFilter must be a float in the range (0.0, inf)",
        "or None",
        X=DIGITS,
    ),
    "no atom": Mistake(
        "control.select_atoms(est, frequency=(7, None))",
        "frequency=(7, None) must be between 0 and the Nyquist",
        "None for no limit",
    ),
    "filter of another model": Mistake(
        "control.filter(PCA(2).fit(X), X, high=2)",
        "PCA(n_components=2) has no atoms",
        "SpectralDictionaryLearning",
        X=DIGITS,
    ),
    "plot of another model": Mistake(
        "plotting.AtomDisplay.from_estimator(PCA(2).fit(X))",
        "PCA(n_components=2) has no attribute",
        "a fitted SpectralDictionaryLearning",
        X=DIGITS,
    ),
    "plot of no atoms": Mistake(
        "plotting.AtomDisplay.from_estimator(est, atoms=[])",
        "atoms=[] must be",
        "None for all atoms",
    ),
    "plot of images": Mistake(
        "plotting.SampleGridDisplay.from_arrays(X)",
        "images has shape (60, 8, 8)",
        "images.reshape(len(images), -1)",
        X=IMAGES,
    ),
    "plot of all rows": Mistake(
        "plotting.SampleGridDisplay.from_arrays(np.tile(X, (9, 1)))",
        "540 panels are too many",
        "X[:16]",
        X=DIGITS,
    ),
    "features of images": Mistake(
        "metrics.frechet_distance(X, X)",
        "X_real has shape (60, 8, 8)",
        "X_real.reshape(len(X_real), -1)",
        "[metrics.frechet_distance({0}, {0}) for X_real in [X]]",
        IMAGES,
    ),
    "two ranges": Mistake(
        "metrics.ssim(X, X / 255)",
        "from 0 to 240 in images, but from 0 to 0.94",
        "Scale both",
        X=(15 * IMAGES).astype("uint8"),
    ),
    "range of floats": Mistake(
        "metrics.psnr(X, X + 1, data_range=1.0)",
        "data_range=1.0 does not fit values from 0 to 240",
        "data_range=255",
        "metrics.psnr(X, X + 1, {})",
        15 * DIGITS,
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_error_says_what_to_type(name):
    mistake = MISTAKES[name]
    names = {**NAMES, "X": mistake.X}
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(mistake.code, names)
    message = str(caught.value)
    assert mistake.says in message
    assert mistake.types in message
    # Arrays are described, and not printed over many lines.
    assert len(message) < 700
    assert "\n" not in message
    if mistake.then is not None:
        eval(mistake.then.format(mistake.types), names)


@pytest.mark.parametrize("X", [[], [[]], {1, 2}, object(), [[1], [[2]]], b"1", [None]])
def test_strange_input_has_an_error_about_input(X):
    """Whatever X is, the diagnosis itself does not fail."""
    with pytest.raises((TypeError, ValueError), match=r"X|[Aa]rray|sequence"):
        S(2).fit(X)


def test_error_that_is_not_known_is_unchanged():
    X = torch.ones((4, 3), dtype=torch.bfloat16)
    with pytest.raises(TypeError, match="BFloat16"):
        priors.GaussianPrior().fit(X)


def test_int_is_a_shape_of_signals():
    """An int is accepted, as in numpy."""
    for size in (64, np.int64(64)):
        est = S(4, signal_shape=size).fit(DIGITS)
        np.testing.assert_array_equal(est.components_, S(4).fit(DIGITS).components_)


def test_channels_first_in_signal_shape_are_noticed():
    X = COLOUR.transpose(0, 3, 1, 2).reshape(20, -1)
    with pytest.warns(UserWarning, match=r"\(3, 8, 8\) means images of 3 x 8") as found:
        S(4, signal_shape=(3, 8, 8)).fit(X)
    assert found[0].filename == __file__
    advice = str(found[0].message)
    assert "pass channel_axis=0" in advice
    S(4, signal_shape=(3, 8, 8), channel_axis=0).fit(X)
    S(4, signal_shape=(3, 8, 8), channel_axis=-1).fit(X)


@pytest.mark.parametrize("shape", [(8, 8, 3), (4, 16, 3), (64, 3, 1), (3, 64)])
def test_other_shapes_are_no_channels_first(shape):
    S(4, signal_shape=shape, atoms="sinusoid").fit(COLOUR.reshape(20, -1))


def test_index_column_of_a_table_is_noticed():
    X = TABLE.rename(columns={"t0": "Unnamed: 0"})
    with pytest.warns(UserWarning, match="pandas.read_csv") as found:
        S(4).fit(X)
    code = re.search(r"leave it out: (X.*)\.$", str(found[0].message))[1]
    assert "Unnamed: 0" not in eval(code, {"X": X})


def test_limits_at_nyquist_are_valid():
    est = S(4, sampling_rate=100).fit(SIGNALS)
    assert control.select_atoms(est, frequency=(0, 50)).any()
    assert control.select_atoms(est, frequency=(-np.inf, np.inf)).all()
    S(4, init=est.frequencies_, sampling_rate=100).fit(SIGNALS)
    S(1, init=[50], sampling_rate=100).fit(SIGNALS)


def test_priors_that_errors_propose_exist():
    assert set(_NAMES) <= set(priors.__all__)


def test_more_atoms_than_samples_lower_the_error():
    few, many = (S(k).fit(SIGNALS[:5]).explained_variance_ratio_.sum() for k in (4, 20))
    assert few + 0.1 < many <= 1
