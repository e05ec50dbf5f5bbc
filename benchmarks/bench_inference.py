"""Denoise and impute beside the alternatives: error and time, in one run.

Two measurements, on images and on signals, always of held-out samples:

1. White noise is taken out, of standard deviation 0.1 in images from 0 to 1, or of a
   third of the signals' root mean square: beside PCA, wavelets and total variation
   (scikit-image), each at its best setting, chosen on the first 100 test samples.
2. Missing entries are filled, a random half of them or a block: beside mean filling,
   nearest neighbours, for signals straight lines, and, on small crops,
   `IterativeImputer`, which is cut off after --timeout seconds.

    python benchmarks/bench_inference.py        # bundled photographs, made notes
    python benchmarks/bench_inference.py --images images.npz --signals signals.npz

The first file holds train and test of shape (n, height, width, channels), uint8; the
second windows_train and windows_test of shape (n, length), float32, and the scalar
sampling_rate in Hz. Prints Markdown tables with ratios, and writes them as JSON with
the machine's description. Needs scikit-image and PyWavelets.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import contextlib
import signal
import sys
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP, load_image_rows, load_windows
from _measure import machine, timed, write_report
from _tables import markdown
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

# IterativeImputer is to be asked for.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture

# Test samples on which the settings of the rivals are chosen.
CHOSEN_ON = 100
# Side of the images, and length of the signals, that IterativeImputer can take.
SMALL_SIDE = 8
SMALL_LENGTH = 64


@dataclass
class Data:
    """Rows to learn from and to test on, and what they are."""

    name: str
    train: np.ndarray
    test: np.ndarray
    shape: tuple
    noise: float

    @property
    def is_image(self):
        """Whether samples have a height and a width."""
        return len(self.shape) > 1

    def like_samples(self, rows):
        """Rows as images or signals."""
        return rows.reshape(-1, *self.shape)

    def small(self):
        """Crops from the middle."""
        sides = (SMALL_SIDE,) * 2 if self.is_image else (SMALL_LENGTH,)
        cut = [slice(None)]
        for length, side in zip(self.shape, sides, strict=False):
            start = max(0, length - side) // 2
            cut.append(slice(start, start + side))
        train, test = (
            self.like_samples(p)[tuple(cut)] for p in (self.train, self.test)
        )
        rows = (part.reshape(len(part), -1) for part in (train, test))
        return Data(f"{self.name}, crops", *rows, train.shape[1:], self.noise)


def load(kind, args):
    """Images in [0, 1], or signals, as rows of float32."""
    if kind == "images":
        train, test, shape = load_image_rows(args.images, args.n_train)
        name = "photographs" if args.images is None else args.images.stem
        return Data(name, train, test[: args.n_test], shape, 0.1)
    train, test, _ = load_windows(args.signals)
    test = test[: args.n_test]
    name = "made notes" if args.signals is None else args.signals.stem
    noise = float(np.sqrt((test.astype(float) ** 2).mean()) / 3)
    return Data(name, train[: args.n_train], test, test.shape[1:], noise)


def model(data, n_components, prior=None):
    """Ours: plain waves, of which many are needed to lose less than the noise."""
    return SpectralDictionaryLearning(
        min(n_components, data.train.shape[1]),
        signal_shape=data.shape,
        atoms="plane_wave" if data.is_image else "sinusoid",
        modulation=None,
        # Of so many waves the first choice is nearly the best.
        max_iter=1,
        prior=prior,
        random_state=0,
    )


def mixtures(args):
    """Mixture priors by name."""
    few = {"max_iter": 30, "tol": 0.05, "random_state": 0}
    return {
        "10 Gaussians": GaussianMixture(10, **few),
        f"{args.n_low_rank} Gaussians of low rank": GaussianMixture(
            args.n_low_rank, covariance="low_rank", **few
        ),
    }


class ShortWindows:
    """Ours on short windows, where a mixture knows loud from quiet.

    Windows overlap; what they say of a sample is averaged.
    """

    length, hop, n_windows = 64, 16, 20_000

    def __init__(self):
        prior = GaussianMixture(20, tol=0.05, random_state=0)
        self.estimator = SpectralDictionaryLearning(
            3 * self.length // 4, modulation=None, prior=prior, random_state=0
        )

    def _cut(self, rows, hop):
        starts = np.arange(0, rows.shape[1] - self.length + 1, hop)
        # The last samples are in one, too.
        starts = np.union1d(starts, rows.shape[1] - self.length)
        return starts, sliding_window_view(rows, self.length, axis=1)[:, starts]

    def fit(self, rows):
        """Fit to windows that do not overlap."""
        _, windows = self._cut(rows, self.length)
        windows = windows.reshape(-1, self.length)
        chosen = np.random.default_rng(0).permutation(len(windows))[: self.n_windows]
        self.estimator.fit(windows[chosen])
        return self

    def denoise(self, rows, noise):
        """Mean of what the windows say."""
        starts, windows = self._cut(rows, self.hop)
        clean = self.estimator.denoise(windows.reshape(-1, self.length), noise)
        total, count = np.zeros_like(rows), np.zeros(rows.shape[1], rows.dtype)
        for start, window in zip(
            starts, clean.reshape(windows.shape).swapaxes(0, 1), strict=True
        ):
            total[:, start : start + self.length] += window
            count[start : start + self.length] += 1
        return total / count


# Denoising


def decibels(truth, estimate, data):
    """Mean peak signal-to-noise ratio of images; signal-to-noise ratio of signals."""
    errors = ((truth - estimate).astype(float) ** 2).mean(axis=1)
    if data.is_image:
        return float(-10 * np.log10(errors).mean())
    return float(10 * np.log10((truth.astype(float) ** 2).mean() / errors.mean()))


def similarity(truth, estimate, data):
    """Mean structural similarity of images."""
    from skimage.metrics import structural_similarity

    pairs = zip(*(data.like_samples(rows) for rows in (truth, estimate)), strict=True)
    options = {"data_range": 1.0, "channel_axis": -1}
    options["win_size"] = min(7, min(data.shape[:2]) // 2 * 2 - 1)
    return float(np.mean([structural_similarity(a, b, **options) for a, b in pairs]))


def by_sample(function, data):
    """A function of rows, from one of single images or signals."""

    def apply(rows):
        done = [function(sample) for sample in data.like_samples(rows)]
        return np.array(done, dtype=rows.dtype).reshape(rows.shape)

    return apply


def project(pca, k, rows):
    axes = pca.components_[:k]
    return pca.mean_ + (rows - pca.mean_) @ axes.T @ axes


def settings(data):
    """Denoisers of PCA, wavelets and total variation, and seconds of their fit."""
    from skimage.restoration import denoise_tv_chambolle, denoise_wavelet

    largest = min(1024, *data.train.shape)
    pca, seconds = timed(PCA(largest, svd_solver="covariance_eigh").fit, data.train)
    numbers = np.unique(np.geomspace(4, largest, 40).astype(int))
    channel = {"channel_axis": -1} if data.is_image else {}
    wavelets = [
        partial(
            denoise_wavelet,
            sigma=data.noise,
            method=method,
            mode=mode,
            wavelet=wavelet,
            convert2ycbcr=convert,
            rescale_sigma=True,
            **channel,
        )
        for method in ("BayesShrink", "VisuShrink")
        for mode in ("soft", "hard")
        for wavelet in ("db1", "db2", "sym4", "sym8")
        for convert in (
            (True, False) if data.is_image and data.shape[-1] == 3 else (False,)
        )
    ]
    weights = data.noise * np.geomspace(0.2, 3, 10)
    variation = [partial(denoise_tv_chambolle, weight=w, **channel) for w in weights]
    return {
        "PCA": ([partial(project, pca, int(k)) for k in numbers], seconds),
        "wavelets": ([by_sample(f, data) for f in wavelets], 0.0),
        "total variation": ([by_sample(f, data) for f in variation], 0.0),
    }


def denoise_all(data, args):
    """A row for each method, with decibels, seconds and ratios."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(data.test.shape, dtype=np.float32)
    noisy = data.test + np.float32(data.noise) * noise
    rows = []

    def add(method, denoise, fit_seconds):
        clean, seconds = timed(denoise, noisy)
        row = {"method": method, "fit_s": fit_seconds}
        row["db"] = decibels(data.test, clean, data)
        if data.is_image:
            row["ssim"] = similarity(data.test, clean, data)
        rows.append(row | {"s_per_1000": 1000 * seconds / len(noisy)})
        print(f"  denoise {data.name}: {method} {row['db']:.2f} dB", file=sys.stderr)

    add("noisy", np.copy, 0.0)
    part = slice(CHOSEN_ON)
    for name, (functions, seconds) in settings(data).items():
        best = max(
            functions, key=lambda f: decibels(data.test[part], f(noisy[part]), data)
        )
        add(name, best, seconds)
    n = data.train.shape[1]
    numbers = args.denoise_components or (
        [n // 6, n // 4] if data.is_image else [n // 2]
    )
    plans = [(k, None, f"ours, {k} waves") for k in numbers]
    for name, prior in mixtures(args).items():
        plans.append((numbers[0], prior, f"ours, {numbers[0]} waves, {name}"))
    models = [(name, model(data, k, prior)) for k, prior, name in plans]
    if not data.is_image:
        name = f"ours, windows of {ShortWindows.length}, 48 waves, 20 Gaussians"
        models.append((name, ShortWindows()))
    for name, ours in models:
        estimator, seconds = timed(ours.fit, data.train)
        add(name, lambda X, e=estimator: e.denoise(X, data.noise), seconds)
    by_name = {row["method"]: row for row in rows}
    for row in rows:
        for rival in ("PCA", "wavelets"):
            row[f"db_over_{rival}"] = row["db"] - by_name[rival]["db"]
        row["time_over_wavelets"] = (
            row["s_per_1000"] / by_name["wavelets"]["s_per_1000"]
        )
    return rows


# Imputation


def gaps(data, n):
    """Masks of n rows by name; True is missing."""
    rng = np.random.default_rng(1)
    block = np.zeros(data.shape, dtype=bool)
    # A quarter of the entries: of images a square, of signals one piece.
    sides = [round(n / (2 if data.is_image else 4)) for n in data.shape[:2]]
    middle = tuple(
        slice((length - side) // 2, (length + side) // 2)
        for length, side in zip(data.shape, sides, strict=False)
    )
    block[middle] = True
    return {
        "random half": rng.random((n, block.size)) < 0.5,
        "block": np.tile(block.ravel(), (n, 1)),
    }


@contextlib.contextmanager
def limit(seconds):
    """Raise TimeoutError after so many seconds."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def lines(rows):
    """Straight lines between the entries that are seen."""
    t = np.arange(rows.shape[1])
    return np.array([np.interp(t, t[~np.isnan(x)], x[~np.isnan(x)]) for x in rows])


def iterative(data, rows):
    """One fit to the training rows and those with gaps, which it has to see."""
    imputer = IterativeImputer(max_iter=5, random_state=0)
    return imputer.fit_transform(np.vstack([data.train, rows]))[-len(rows) :]


def imputers(data, args, small):
    """Functions of rows with gaps by name, and seconds of their fit."""
    mean, mean_s = timed(SimpleImputer().fit, data.train)
    neighbours, knn_s = timed(KNNImputer(n_neighbors=5).fit, data.train)
    methods = {
        "mean filling": (mean.transform, mean_s),
        "5 nearest neighbours": (neighbours.transform, knn_s),
    }
    if not data.is_image:
        methods["straight lines"] = lines, 0.0
    if small:
        methods["IterativeImputer"] = partial(iterative, data), 0.0
    n = data.train.shape[1]
    k = args.impute_components or (n * 2 // 3 if small else min(n // 2, 256))
    priors = {f"ours, {k} waves": None}
    if small:
        priors |= {f"ours, {k} waves, {n}": p for n, p in mixtures(args).items()}
    for name, prior in priors.items():
        estimator, seconds = timed(model(data, k, prior).fit, data.train)
        methods[name] = estimator.impute, seconds
    return methods


def impute_all(data, args, *, small):
    """A row for each method and kind of gaps."""
    data = Data(
        data.name,
        data.train[: args.impute_train],
        data.test[: args.n_impute],
        data.shape,
        data.noise,
    )
    masks = gaps(data, len(data.test))
    rows = []
    for method, (fill, fit_seconds) in imputers(data, args, small).items():
        for kind, missing in masks.items():
            row = {"gaps": kind, "method": method, "rmse": None, "total_s": None}
            with contextlib.suppress(TimeoutError), limit(args.timeout):
                seen = np.where(missing, np.float32(np.nan), data.test)
                filled, seconds = timed(fill, seen)
                error = (filled - data.test)[missing].astype(float)
                row["rmse"] = float(np.sqrt((error**2).mean()))
                row["total_s"] = fit_seconds + seconds
                row["s_per_1000"] = 1000 * seconds / len(seen)
            rows.append(row)
            print(f"  impute {data.name}: {method}, {kind}", file=sys.stderr)
    by_name = {(row["gaps"], row["method"]): row for row in rows}
    for row in rows:
        for key, figure, rival in (
            ("rmse_over_mean", "rmse", "mean filling"),
            ("rmse_over_neighbours", "rmse", "5 nearest neighbours"),
            ("rmse_over_iterative", "rmse", "IterativeImputer"),
            ("time_over_iterative", "total_s", "IterativeImputer"),
        ):
            theirs = by_name.get((row["gaps"], rival), {}).get(figure)
            if theirs and row[figure] is not None:
                row[key] = row[figure] / theirs
    return sorted(rows, key=lambda row: list(masks).index(row["gaps"]))


# Tables


def print_table(title, columns, rows):
    """The figures as Markdown, under a title."""
    print(f"\n{title}\n\n{markdown(rows, columns, drop_empty=True)}", flush=True)


DENOISING = [
    ("method", "method"),
    ("dB", "db", "{:.2f}"),
    ("SSIM", "ssim", "{:.3f}"),
    ("dB over PCA", "db_over_PCA", "{:+.2f}"),
    ("dB over wavelets", "db_over_wavelets", "{:+.2f}"),
    ("fit, s", "fit_s", "{:.1f}"),
    ("s per 1,000", "s_per_1000", "{:.3f}"),
    ("time ÷ wavelets", "time_over_wavelets", "{:.3f}"),
]
IMPUTATION = [
    ("missing", "gaps"),
    ("method", "method"),
    ("RMSE", "rmse", "{:.4f}"),
    ("÷ mean", "rmse_over_mean", "{:.2f}"),
    ("÷ neighbours", "rmse_over_neighbours", "{:.2f}"),
    ("÷ IterativeImputer", "rmse_over_iterative", "{:.2f}"),
    ("fit and fill, s", "total_s", "{:.2f}"),
    ("÷ IterativeImputer", "time_over_iterative", "{:.4f}"),
    ("s per 1,000", "s_per_1000", "{:.2f}"),
]


def parse_arguments():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ["images", "signals"]
    parser.add_argument("--images", type=Path, help=IMAGES_HELP)
    parser.add_argument("--signals", type=Path, help=".npz with windows and their rate")
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--n-train", type=int, default=10_000, help="to denoise")
    parser.add_argument("--n-test", type=int, default=1000, help="to denoise")
    parser.add_argument("--denoise-components", type=int, nargs="+", metavar="K")
    parser.add_argument("--n-low-rank", type=int, default=50, help="Gaussians")
    parser.add_argument("--impute-train", type=int, default=2000, help="to impute")
    parser.add_argument("--n-impute", type=int, default=200, help="test rows with gaps")
    parser.add_argument("--impute-components", type=int, metavar="K")
    parser.add_argument("--timeout", type=float, default=300, help="seconds to impute")
    parser.add_argument("--output", type=Path, default=Path("bench_inference.json"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    # Rivals and mixtures are cut short on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    # Of small images and long wavelets.
    warnings.filterwarnings("ignore", message="Level value of")
    report = {"machine": machine(), "results": {}}
    for kind in args.kinds:
        data = load(kind, args)
        small = data.small()
        results = {
            "data": data.name,
            "n_train": len(data.train),
            "n_features": data.train.shape[1],
            "noise_std": data.noise,
        }
        report["results"][kind] = results
        what = f"{data.name}, {data.train.shape[1]:,} features"
        results["denoise"] = denoise_all(data, args)
        print_table(f"Denoising {what}", DENOISING, results["denoise"])
        results["impute"] = impute_all(data, args, small=False)
        print_table(f"Imputing {what}", IMPUTATION, results["impute"])
        results["impute_crops"] = impute_all(small, args, small=True)
        what = f"{small.name} of {small.train.shape[1]} features"
        print_table(f"Imputing {what}", IMPUTATION, results["impute_crops"])
        write_report(report, args.output)


if __name__ == "__main__":
    main()
