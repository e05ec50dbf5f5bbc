"""Explained variance of each kind of atom, compared with PCA on the same data.

For each data set the script prints a table with one row per kind of atom: explained
variance of held-out rows with K atoms, number of parameters per atom, and time of the
fit, also as ratios to PCA.

    python benchmarks/bench_atoms.py                     # photographs and notes
    python benchmarks/bench_atoms.py --data FOLDER --sounds windows.npz
    python benchmarks/bench_atoms.py --signals beats.npz  # arrays train, test, rate
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import warnings
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP, load_image_rows, load_windows
from _measure import machine, timed, write_report
from _tables import markdown
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning

COLUMNS = [
    ("data", "data"),
    ("atoms", "atoms"),
    ("K", "n_components"),
    ("parameters", "numbers", "{:.0f}"),
    ("EV held out", "ev", "{:.4f}"),
    ("EV ÷ PCA", "ev_over_pca", "{:.3f}"),
    ("fit, s", "fit_s", "{:.1f}"),
    ("fit ÷ PCA", "fit_over_pca", "{:.1f}"),
]


def families(shape):
    """Return options of the estimator by name of the atoms.

    Plane waves are included only for images.
    """
    found = {
        "sinusoid, plain": {"modulation": None},
        "sinusoid, modulated": {},
        "gabor": {"atoms": "gabor"},
        "chirp": {"atoms": "chirp"},
    }
    if len(shape) > 1:
        found["plane wave, plain"] = {"atoms": "plane_wave", "modulation": None}
        found["plane wave, modulated"] = {"atoms": "plane_wave"}
    return found


def explained(estimator, train, test):
    """Return the fraction of the variance of test rows that is explained."""
    rebuilt = estimator.inverse_transform(estimator.transform(test))
    error = ((test - rebuilt) ** 2).sum(dtype=float)
    return float(1 - error / ((test - train.mean(0, dtype=float)) ** 2).sum())


def measure(name, train, test, shape, n_components, rate):
    """Return the rows of the table of one data set."""
    common = {"data": name, "n_components": n_components}
    pca = PCA(n_components, random_state=0)
    seconds = timed(lambda: pca.fit(train))[1]
    best = {"atoms": "PCA", "numbers": train.shape[1], "fit_s": seconds}
    rows = [{**common, **best, "ev": explained(pca, train, test)}]
    for atoms, options in families(shape).items():
        est = SpectralDictionaryLearning(
            n_components,
            signal_shape=shape,
            sampling_rate=rate,
            random_state=0,
            **options,
        )
        seconds = timed(lambda est=est: est.fit(train))[1]
        params = est.model_.dictionary.params
        rows.append(
            {
                **common,
                "atoms": atoms,
                "numbers": params.size / n_components,
                "ev": explained(est, train, test),
                "fit_s": seconds,
            }
        )
    for row in rows:
        row["ev_over_pca"] = row["ev"] / rows[0]["ev"]
        row["fit_over_pca"] = row["fit_s"] / rows[0]["fit_s"]
    return rows


def data_sets(args):
    """Yield name, training rows, test rows, shape, K and sampling rate."""
    train, test, shape = load_image_rows(args.data, args.n_train)
    yield "images", train, test, shape, args.n_components, None
    train, test, rate = load_windows(args.sounds)
    yield "sounds", train, test, train.shape[1:], args.n_components, rate
    for path in args.signals:
        with np.load(path) as data:
            train, test, rate = data["train"], data["test"], float(data["rate"])
        yield path.stem, train, test, train.shape[1:], args.n_components, rate


def main():
    """Measure all data sets, print their tables and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--sounds",
        type=Path,
        help=".npz with windows_train, windows_test and sampling_rate; default: "
        "synthetic notes",
    )
    parser.add_argument(
        "--signals",
        type=Path,
        nargs="*",
        default=[],
        help="further .npz files with arrays train, test and rate",
    )
    parser.add_argument(
        "--n-train", type=int, default=5000, help="number of training images"
    )
    parser.add_argument(
        "--n-components", type=int, default=32, help="number of atoms K"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_atoms.json"),
        help="JSON file of the report",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for data_set in data_sets(args):
        rows += measure(*data_set)
        print(markdown([row for row in rows if row["data"] == data_set[0]], COLUMNS))
    write_report({"machine": machine(), "results": rows}, args.output)


if __name__ == "__main__":
    main()
