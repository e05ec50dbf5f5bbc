"""Explained variance of windows of sound, and trade-off of squared and spectral error.

The script measures two things on held-out windows of one data set:

1. Explained variance after fits to few and to many windows, of plain sinusoids, of
   modulated sinusoids, and of PCA with the same number of components or one less than
   the number of windows.
2. Effect of ``transform_stft_weight`` on codes of the plain sinusoids fitted to all
   windows: changes of the squared error and of the L1 error of short-time magnitudes,
   relative to least-squares codes. The reconstruction of PCA is included for
   comparison.

    python benchmarks/bench_sound.py                     # synthetic notes
    python benchmarks/bench_sound.py --data signals.npz --figure curve.png

The file holds windows_train and windows_test of shape (n, length), float32, and the
scalar sampling_rate in Hz. Weights are relative: at weight 1, both terms of the loss of
least-squares codes are equal. The script prints tables and writes them as JSON.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from _data import load_windows
from _measure import machine, timed, write_report
from _tables import markdown
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning
from skspectral.stft import STFT


def estimators(n_components, n_train, rate):
    """Return the estimators by name."""
    ours = {"sampling_rate": rate, "random_state": 0}
    return {
        "plain": SpectralDictionaryLearning(n_components, modulation=None, **ours),
        "modulated": SpectralDictionaryLearning(n_components, **ours),
        "PCA": PCA(min(n_components, n_train - 1), random_state=0),
    }


def reconstruct(estimator, X):
    """Return the reconstructions of rows."""
    return estimator.inverse_transform(estimator.transform(X))


def squared_error(X, others):
    """Return the squared distance, averaged over windows."""
    return float(((X - others) ** 2).sum(dtype=float) / len(X))


def spectral_error(X, others, stft):
    """Return the L1 distance of short-time magnitudes, averaged over windows."""
    distances = stft.magnitude_error(*(torch.as_tensor(part) for part in (X, others)))
    return float(distances.double().mean())


def explained_variances(train, test, rate, args):
    """Return one row per size and method, and the estimators fitted to all windows."""
    rows = []
    for size in sorted({min(n, len(train)) for n in args.sizes} | {len(train)}):
        part = train[:size]
        total = squared_error(test, part.mean(0, dtype=float).astype(np.float32))
        methods = estimators(args.n_components, size, rate)
        for name, estimator in methods.items():
            _, seconds = timed(estimator.fit, part)
            ev = 1 - squared_error(test, reconstruct(estimator, test)) / total
            rows.append({"n_train": size, "method": name, "ev": ev, "fit_s": seconds})
            print(f"  {size:>6} {name}", file=sys.stderr, flush=True)
        pca = rows[-1]
        for row in rows[-len(methods) :]:
            row["ev_minus_PCA"] = row["ev"] - pca["ev"]
            row["unexplained_over_PCA"] = (1 - row["ev"]) / (1 - pca["ev"])
            row["fit_over_PCA"] = row["fit_s"] / pca["fit_s"]
    return rows, methods


def trade_off(plain, pca, test, stft, args):
    """Return errors of least-squares codes, and their changes in percent."""
    nearest = reconstruct(plain, test)
    errors = squared_error(test, nearest), spectral_error(test, nearest, stft)
    unit = errors[0] / errors[1]

    def change(others, **what):
        squared, spectral = (
            squared_error(test, others),
            spectral_error(test, others, stft),
        )
        return what | {
            "squared_error_percent": 100 * (squared / errors[0] - 1),
            "stft_error_percent": 100 * (spectral / errors[1] - 1),
        }

    plain.set_params(stft_window=stft.window, stft_hop=stft.hop)
    curve = []
    for relative in args.weights:
        weight = relative * unit
        plain.set_params(transform_stft_weight=weight)
        polished, seconds = timed(reconstruct, plain, test)
        what = {"relative_weight": relative, "weight": weight}
        curve.append(change(polished, method="transform", seconds=seconds, **what))
        print(f"  weight {relative:g}", file=sys.stderr, flush=True)
    curve.append(change(reconstruct(pca, test), method="PCA"))
    return {"squared_error": errors[0], "stft_error": errors[1], "curve": curve}


EXPLAINED = [
    ("windows", "n_train", "{:,}"),
    ("method", "method"),
    ("EV held out", "ev", "{:.4f}"),
    ("- PCA", "ev_minus_PCA", "{:+.4f}"),
    ("unexplained ÷ PCA", "unexplained_over_PCA", "{:.2f}"),
    ("fit, s", "fit_s", "{:.2f}"),
]
TRADE_OFF = [
    ("codes", "method"),
    ("relative weight", "relative_weight", "{:.3g}"),
    ("weight", "weight", "{:.3g}"),
    ("squared error", "squared_error_percent", "{:+.2f} %"),
    ("STFT error", "stft_error_percent", "{:+.2f} %"),
]


def draw(report, path):
    """Draw the change of the spectral error against that of the squared error."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axis = figure.subplots()
    curve = report["trade_off"]["curve"]
    for name in dict.fromkeys(row["method"] for row in curve):
        rows = [row for row in curve if row["method"] == name]
        x, y = (
            [row[f"{error}_error_percent"] for row in rows]
            for error in ("squared", "stft")
        )
        axis.plot(x, y, "x" if name == "PCA" else "o-", label=name)
        label_weights(axis, rows, x, y)
    axis.plot(0, 0, "ks", label="least-squares codes")
    axis.set_xlabel("squared error, change in %")
    axis.set_ylabel("STFT magnitude error, change in %")
    axis.set_title(f"{report['data']}: numbers are relative weights")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def label_weights(axis, rows, x, y):
    """Write weights beside their points, unless the labels would overlap."""
    place = {"xytext": (5, 3), "ha": "left"}
    last = np.zeros(2)
    for row, *at in zip(rows, x, y, strict=True):
        if "weight" in row and np.linalg.norm(at - last) > 0.35:
            label = f"{row['relative_weight']:g}"
            axis.annotate(label, at, textcoords="offset points", fontsize=8, **place)
            last = np.array(at)


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        help=".npz with windows_train, windows_test and sampling_rate; default: "
        "synthetic notes",
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[100, 1000],
        help="numbers of training windows, in addition to all windows",
    )
    parser.add_argument("--n-components", type=int, default=128, help="number of atoms")
    parser.add_argument(
        "--stft-window",
        type=int,
        default=256,
        help="length of the short-time window in samples",
    )
    parser.add_argument(
        "--weights",
        type=float,
        nargs="+",
        default=[0.01, 0.03, 0.1, 0.3, 1, 3, 10],
        help="relative weights of the spectral loss",
    )
    parser.add_argument(
        "--figure", type=Path, help="file to write a picture of the trade-off to"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_sound.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    """Measure, print tables, write the report and draw the picture."""
    args = parse_arguments()
    # Fits to few windows converge slowly, which is not measured here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test, rate = load_windows(args.data)
    stft = STFT(args.stft_window, max(1, args.stft_window // 4))
    rows, fitted = explained_variances(train, test, rate, args)
    report = {
        "data": "synthetic notes" if args.data is None else args.data.name,
        "machine": machine(),
        "n_test": len(test),
        "length": train.shape[1],
        "sampling_rate": rate,
        "n_components": args.n_components,
        "stft": {"window": stft.window, "hop": stft.hop},
        "explained_variance": rows,
        "trade_off": trade_off(fitted["plain"], fitted["PCA"], test, stft, args),
    }
    print(markdown(rows, EXPLAINED) + "\n")
    print(markdown(report["trade_off"]["curve"], TRADE_OFF))
    write_report(report, args.output)
    if args.figure:
        draw(report, args.figure)


if __name__ == "__main__":
    main()
