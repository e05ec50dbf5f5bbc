"""Missing entries: filling and likelihood, beside the imputers that users would pick.

Entries of complete data are removed, at random or in blocks of one series, and filled
by each method. The tables show the root mean square error of the filled entries in
units of the standard deviation of the data, the time, and for images the log-likelihood
of complete held-out images.

A table of sensors (times x series) is given to the other methods as it is, with one
row per time. Our model sees windows of times with the series as channels; its setting
is chosen by hiding a tenth of the observed entries, and the time includes that. "ours,
mean first" is our model on windows whose gaps were filled with the means first. PCA
replaces missing entries by its reconstructions until they converge, as statsmodels'
PCA(missing="fill-em"), which is used if it is installed. "CDRec" is the centroid
decomposition of the package imputegap, if it is installed.

    python benchmarks/bench_gaps.py --folder imputegap/datasets --images FOLDER
    python benchmarks/bench_gaps.py --shares 0.3 --kinds block

The folder of imputegap holds airq.txt, chlorine.txt, temperature.txt and traffic.txt.
Without files, the script uses made sensors. It prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP, load_images
from _measure import timed
from _tables import markdown
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skspectral import SpectralDictionaryLearning, SpectralImputer

try:
    from statsmodels.multivariate.pca import PCA as FillingPCA
except ImportError:
    FillingPCA = None
try:
    from imputegap.algorithms.cdrec import native_cdrec
except ImportError:
    native_cdrec = None
# Settings to choose from: length of the windows, number of atoms, and weight of the
# stationary covariance. The length 0 means that each series is one row.
SENSORS = {
    "airq": [(5, 50, 0.5), (10, 100, 0.9)],
    "chlorine": [(0, 32, None), (10, 48, None)],
    "temperature": [(6, 100, 0.5), (12, 128, 0.3)],
    "traffic": [(24, 64, 0.3), (24, 192, 0.9)],
    "made": [(8, 16, 0.3), (16, 32, 0.3)],
}
MOST_TIMES = 1200
# Fraction of the observed entries that are hidden to choose a setting.
HIDDEN = 0.1


def sensors(folder):
    """Return tables (times, series) by name, with standardised columns."""
    if folder is None:
        rng = np.random.default_rng(0)
        t = np.arange(400)[:, None]
        waves = np.sin(2 * np.pi * t / [12, 5, 30] + rng.uniform(0, 6, 3))
        made = waves @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(400, 6))
        return {"made": made / made.std(0)}
    tables = {}
    for name in SENSORS:
        path = folder / f"{name}.txt"
        if path.exists():
            table = np.loadtxt(path)[:MOST_TIMES]
            tables[name] = (table - table.mean(0)) / table.std(0)
    return tables


def holes(shape, share, kind, rng):
    """Return a mask of entries to remove: single ones, or blocks of 10 to 40 times."""
    if kind == "random":
        return rng.random(shape) < share
    gone = np.zeros(shape, bool)
    for series in gone.T:
        while series.mean() < share:
            length = rng.integers(10, min(41, len(series) // 2))
            start = rng.integers(0, len(series) - length + 1)
            series[start : start + length] = True
    return gone


def windows(table, length):
    """Return a table as windows (n, series, length), padded with NaN."""
    missing = -len(table) % length
    padded = np.concatenate([table, np.full((missing, table.shape[1]), np.nan)])
    return padded.reshape(-1, length, table.shape[1]).swapaxes(1, 2)


def spectral(table, length, n_atoms, shrinkage, *, mean_first=False):
    """Fill a table by our model of windows, or of series."""

    def rows(table):
        return windows(table, length) if length else table.T[:, None]

    X = rows(table)
    model = SpectralDictionaryLearning(
        min(n_atoms, X[0].size),
        signal_shape=X.shape[1:],
        channel_axis=0,
        modulation=None,
        shrinkage=shrinkage,
    )
    if mean_first:
        filled = SimpleImputer(keep_empty_features=True).fit_transform(table)
        model.fit(np.nan_to_num(rows(filled)))
        found = model.impute(X)
    else:
        found = SpectralImputer(model).fit_transform(X)
    if not length:
        return found[:, 0].T
    return found.swapaxes(1, 2).reshape(-1, table.shape[1])[: len(table)]


def chosen(table, settings, kind, **options):
    """Fill a table with the setting that fills hidden entries of a kind best."""
    hidden = holes(table.shape, HIDDEN, kind, np.random.default_rng(7))
    hidden &= ~np.isnan(table)
    given = np.where(hidden, np.nan, table)
    errors = [
        np.mean((spectral(given, *setting, **options) - table)[hidden] ** 2)
        for setting in settings
    ]
    return spectral(table, *settings[int(np.argmin(errors))], **options)


def filling_pca(table, n_components):
    """Fill by PCA and its reconstructions, in turns."""
    if FillingPCA is not None:
        return FillingPCA(
            table, n_components, missing="fill-em", max_em_iter=200
        )._adjusted_data
    filled = SimpleImputer(keep_empty_features=True).fit_transform(table)
    gone = np.isnan(table)
    for _ in range(200):
        pca = PCA(n_components).fit(filled)
        again = pca.inverse_transform(pca.transform(filled))
        change = np.abs(again - filled)[gone].max()
        filled[gone] = again[gone]
        if change < 1e-5:
            break
    return filled


def cdrec(table, rank):
    """Fill by the centroid decomposition of imputegap."""
    with contextlib.redirect_stdout(io.StringIO()):
        return np.asarray(native_cdrec(table, rank, 1e-6, 100, __verbose=False))


def methods_for(name, table, kind):
    """Return functions that fill a table, by their names."""
    rank = max(1, min(table.shape) // 4)
    found = {
        "ours": lambda A: chosen(A, SENSORS[name], kind),
        "ours, mean first": lambda A: chosen(A, SENSORS[name], kind, mean_first=True),
        "IterativeImputer": lambda A: IterativeImputer(
            keep_empty_features=True
        ).fit_transform(A),
        "KNNImputer": lambda A: KNNImputer(keep_empty_features=True).fit_transform(A),
        "PCA, filling": lambda A: filling_pca(A, rank),
        "mean": lambda A: SimpleImputer(keep_empty_features=True).fit_transform(A),
    }
    if native_cdrec is not None:
        found["CDRec"] = lambda A: cdrec(A, rank)
    return found


def compare_sensors(tables, shares, kinds):
    """Return the rows of the table of sensors."""
    rows = []
    for name, table in tables.items():
        for kind in kinds:
            for share in shares:
                rng = np.random.default_rng(round(100 * share))
                gone = holes(table.shape, share, kind, rng)
                given = np.where(gone, np.nan, table)
                row = {"data": name, "missing": f"{share:.0%} {kind}"}
                for method, fill in methods_for(name, table, kind).items():
                    try:
                        filled, seconds = timed(fill, given.copy())
                        error = np.sqrt(np.mean((filled - table)[gone] ** 2))
                        row[method] = f"{error:.3f} ({seconds:.1f} s)"
                    except Exception as problem:
                        row[method] = type(problem).__name__
                rows.append(row)
                print(row, flush=True)
    return rows


def compare_images(images, held_out, shares, kinds, n_atoms):
    """Return the rows of the table of images."""
    rows, shape = [], images.shape[1:]
    X = images.reshape(len(images), -1) / 255.0
    test = held_out.reshape(len(held_out), -1) / 255.0
    for kind in kinds:
        for share in shares:
            rng = np.random.default_rng(round(100 * share))
            gone = rng.random(X.shape) < share
            if kind == "block":
                # A square of all channels.
                side = round((share * shape[0] * shape[1]) ** 0.5)
                gone = np.zeros(images.shape, bool)
                for mask in gone:
                    y, x = (rng.integers(0, n - side + 1) for n in shape[:2])
                    mask[y : y + side, x : x + side] = True
                gone = gone.reshape(X.shape)
            given = np.where(gone, np.nan, X)
            row = {"images": len(X), "missing": f"{share:.0%} {kind}"}

            def model():
                return SpectralDictionaryLearning(
                    n_atoms, signal_shape=shape, modulation=None
                )

            def note(method, filled, seconds, likelihood=None, row=row, gone=gone):
                error = np.sqrt(np.mean((filled - X)[gone] ** 2)) / X.std()
                row[method] = f"{error:.3f} ({seconds:.0f} s)"
                if likelihood is not None:
                    row[f"{method}: nats per value"] = f"{likelihood:.3f}"

            est = model()
            filled, seconds = timed(lambda e=est, A=given: e.fit(A).impute(A))
            note("ours", filled, seconds, est.score(test) / X.shape[1])
            est, means = model(), np.nanmean(given, axis=0)
            first = np.where(gone, means, given)
            filled, seconds = timed(lambda e=est, A=given, B=first: e.fit(B).impute(A))
            note("ours, mean first", filled, seconds, est.score(test) / X.shape[1])
            filled, seconds = timed(filling_pca, given, min(n_atoms, len(X) // 4))
            note("PCA, filling", filled, seconds)
            filled, seconds = timed(KNNImputer().fit_transform, given)
            note("KNNImputer", filled, seconds)
            rows.append(row)
            print(row, flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="folder of imputegap's tables")
    parser.add_argument("--sets", nargs="+", default=list(SENSORS))
    parser.add_argument("--images", type=Path, help=IMAGES_HELP)
    parser.add_argument("--n-images", type=int, default=0, help="0 leaves images out")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3, 0.5, 0.7])
    parser.add_argument("--kinds", nargs="+", default=["random", "block"])
    parser.add_argument("--atoms", type=int, default=64)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = sensors(arguments.folder)
    tables = {name: tables[name] for name in arguments.sets if name in tables}
    rows = compare_sensors(tables, arguments.shares, arguments.kinds)
    if rows:
        print("\n" + markdown(rows), "\n")
    if arguments.n_images:
        train, test, _ = load_images(arguments.images, arguments.n_images)
        images = train[: arguments.n_images]
        rows = compare_images(
            images, test[:500], arguments.shares, arguments.kinds, arguments.atoms
        )
        print("\n" + markdown(rows))


if __name__ == "__main__":
    main()
