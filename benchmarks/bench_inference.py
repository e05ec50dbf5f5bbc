"""Error and time of denoising and imputation, compared with other methods.

The script measures two tasks on held-out images and signals:

1. Denoising. White noise has a standard deviation of 0.1 for images in [0, 1], and of a
   third of the root mean square for signals. Other methods are PCA, wavelets and total
   variation (scikit-image), each with the settings that are best on the first 100 test
   samples.
2. Imputation. A random half or a block of the entries is missing. Other methods are
   mean filling, nearest neighbours, straight lines for signals and, on small crops,
   `IterativeImputer`, which is stopped after --timeout seconds.

    python benchmarks/bench_inference.py        # bundled photographs, synthetic notes
    python benchmarks/bench_inference.py --images images.npz --signals signals.npz

The first file holds train and test of shape (n, height, width, channels), uint8. The
second file holds windows_train and windows_test of shape (n, length), float32, and the
scalar sampling_rate in Hz. The script prints Markdown tables with ratios, and writes
them with a description of the machine as JSON. It requires scikit-image and PyWavelets.
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

# This import makes IterativeImputer available.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture

# Number of test samples on which the settings of the other methods are chosen.
N_TUNING = 100
# Side of images and length of signals for which IterativeImputer is fast enough.
SMALL_SIDE = 8
SMALL_LENGTH = 64


@dataclass
class Data:
    """A data set: training and test rows, shape of a sample, level of the noise."""

    name: str
    train: np.ndarray
    test: np.ndarray
    shape: tuple
    noise: float

    @property
    def is_image(self):
        """Whether samples are images rather than signals."""
        return len(self.shape) > 1

    def like_samples(self, rows):
        """Return rows reshaped to images or signals."""
        return rows.reshape(-1, *self.shape)

    def small(self):
        """Return the data set of small crops from the middle of each sample."""
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
    """Load images in [0, 1], or signals, as rows of float32."""
    if kind == "images":
        train, test, shape = load_image_rows(args.images, args.n_train)
        name = "photographs" if args.images is None else args.images.stem
        return Data(name, train, test[: args.n_test], shape, 0.1)
    train, test, _ = load_windows(args.signals)
    test = test[: args.n_test]
    name = "synthetic notes" if args.signals is None else args.signals.stem
    noise = float(np.sqrt((test.astype(float) ** 2).mean()) / 3)
    return Data(name, train[: args.n_train], test, test.shape[1:], noise)


def model(data, n_components, prior=None):
    """Return our estimator with plain waves.

    Reconstruction errors below the level of the noise require many waves.
    """
    return SpectralDictionaryLearning(
        min(n_components, data.train.shape[1]),
        signal_shape=data.shape,
        atoms="plane_wave" if data.is_image else "sinusoid",
        modulation=None,
        # With many waves, further iterations improve the first selection only slightly.
        max_iter=1,
        prior=prior,
        random_state=0,
    )


def mixtures(args):
    """Return mixture priors by name."""
    few = {"max_iter": 30, "tol": 0.05, "random_state": 0}
    return {
        "10 Gaussians": GaussianMixture(10, **few),
        f"{args.n_low_rank} Gaussians of low rank": GaussianMixture(
            args.n_low_rank, covariance="low_rank", **few
        ),
    }


class ShortWindows:
    """Our model on short windows.

    On short windows, a mixture distinguishes loud from quiet parts. Windows overlap,
    and their estimates are averaged.
    """

    length, hop, n_windows = 64, 16, 20_000

    def __init__(self):
        prior = GaussianMixture(20, tol=0.05, random_state=0)
        self.estimator = SpectralDictionaryLearning(
            3 * self.length // 4, modulation=None, prior=prior, random_state=0
        )

    def _cut(self, rows, hop):
        """Return the starts of windows and the windows of all rows."""
        starts = np.arange(0, rows.shape[1] - self.length + 1, hop)
        # One more window covers the end of the row.
        starts = np.union1d(starts, rows.shape[1] - self.length)
        return starts, sliding_window_view(rows, self.length, axis=1)[:, starts]

    def fit(self, rows):
        """Fit the model to windows that do not overlap."""
        _, windows = self._cut(rows, self.length)
        windows = windows.reshape(-1, self.length)
        chosen = np.random.default_rng(0).permutation(len(windows))[: self.n_windows]
        self.estimator.fit(windows[chosen])
        return self

    def denoise(self, rows, noise):
        """Return the average of the denoised windows."""
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
    """Return the mean peak signal-to-noise ratio of images.

    For signals, return the signal-to-noise ratio.
    """
    errors = ((truth - estimate).astype(float) ** 2).mean(axis=1)
    if data.is_image:
        return float(-10 * np.log10(errors).mean())
    return float(10 * np.log10((truth.astype(float) ** 2).mean() / errors.mean()))


def similarity(truth, estimate, data):
    """Return the mean structural similarity of images."""
    from skimage.metrics import structural_similarity

    pairs = zip(*(data.like_samples(rows) for rows in (truth, estimate)), strict=True)
    options = {"data_range": 1.0, "channel_axis": -1}
    options["win_size"] = min(7, min(data.shape[:2]) // 2 * 2 - 1)
    return float(np.mean([structural_similarity(a, b, **options) for a, b in pairs]))


def by_sample(function, data):
    """Return a function of rows that applies a function to each sample."""

    def apply(rows):
        done = [function(sample) for sample in data.like_samples(rows)]
        return np.array(done, dtype=rows.dtype).reshape(rows.shape)

    return apply


def project(pca, k, rows):
    """Project rows on the first ``k`` principal components."""
    axes = pca.components_[:k]
    return pca.mean_ + (rows - pca.mean_) @ axes.T @ axes


def settings(data):
    """Return the denoisers that are tried and the duration of their fit, by method."""
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
    """Return one row per method with decibels, durations and ratios."""
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
    part = slice(N_TUNING)
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
        for other in ("PCA", "wavelets"):
            row[f"db_over_{other}"] = row["db"] - by_name[other]["db"]
        row["time_over_wavelets"] = (
            row["s_per_1000"] / by_name["wavelets"]["s_per_1000"]
        )
    return rows


# Imputation


def gaps(data, n):
    """Return masks of missing entries by name. True marks missing entries."""
    rng = np.random.default_rng(1)
    block = np.zeros(data.shape, dtype=bool)
    # A block is a quarter of the entries: the middle square of images, the middle part
    # of signals.
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
    """Raise TimeoutError if the body takes longer than ``seconds``."""

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
    """Interpolate linearly between observed entries."""
    t = np.arange(rows.shape[1])
    return np.array([np.interp(t, t[~np.isnan(x)], x[~np.isnan(x)]) for x in rows])


def iterative(data, rows):
    """Fill gaps by one fit to the training rows and the rows with gaps.

    `IterativeImputer` models only features that have missing entries in its fit.
    """
    imputer = IterativeImputer(max_iter=5, random_state=0)
    return imputer.fit_transform(np.vstack([data.train, rows]))[-len(rows) :]


def imputers(data, args, small):
    """Return functions that fill gaps and the duration of their fit, by name."""
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
    """Return one row per method and kind of gaps."""
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
                observed = np.where(missing, np.float32(np.nan), data.test)
                filled, seconds = timed(fill, observed)
                error = (filled - data.test)[missing].astype(float)
                row["rmse"] = float(np.sqrt((error**2).mean()))
                row["total_s"] = fit_seconds + seconds
                row["s_per_1000"] = 1000 * seconds / len(observed)
            rows.append(row)
            print(f"  impute {data.name}: {method}, {kind}", file=sys.stderr)
    by_name = {(row["gaps"], row["method"]): row for row in rows}
    for row in rows:
        for key, figure, other in (
            ("rmse_over_mean", "rmse", "mean filling"),
            ("rmse_over_neighbours", "rmse", "5 nearest neighbours"),
            ("rmse_over_iterative", "rmse", "IterativeImputer"),
            ("time_over_iterative", "total_s", "IterativeImputer"),
        ):
            reference = by_name.get((row["gaps"], other), {}).get(figure)
            if reference and row[figure] is not None:
                row[key] = row[figure] / reference
    return sorted(rows, key=lambda row: list(masks).index(row["gaps"]))


# Tables


def print_table(title, columns, rows):
    """Print rows as a Markdown table with a title."""
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
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ["images", "signals"]
    parser.add_argument("--images", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--signals",
        type=Path,
        help=".npz with windows_train, windows_test and sampling_rate; default: "
        "synthetic notes",
    )
    parser.add_argument(
        "--kinds", nargs="+", default=kinds, choices=kinds, help="kinds of data"
    )
    parser.add_argument(
        "--n-train", type=int, default=10_000, help="training rows for denoising"
    )
    parser.add_argument(
        "--n-test", type=int, default=1000, help="test rows for denoising"
    )
    parser.add_argument(
        "--denoise-components",
        type=int,
        nargs="+",
        metavar="K",
        help="numbers of waves for denoising",
    )
    parser.add_argument(
        "--n-low-rank",
        type=int,
        default=50,
        help="number of Gaussians in the mixture of low rank",
    )
    parser.add_argument(
        "--impute-train", type=int, default=2000, help="training rows for imputation"
    )
    parser.add_argument(
        "--n-impute", type=int, default=200, help="test rows for imputation"
    )
    parser.add_argument(
        "--impute-components",
        type=int,
        metavar="K",
        help="number of waves for imputation",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300,
        help="number of seconds after which an imputation is stopped",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_inference.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    args = parse_arguments()
    # Mixtures and some of the other methods are stopped early on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    # PyWavelets warns of small images and long wavelets.
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
