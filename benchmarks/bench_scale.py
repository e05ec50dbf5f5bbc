"""Data larger than memory, and cross-validation: one pass beside what users would pick.

    python benchmarks/bench_scale.py cv
    python benchmarks/bench_scale.py disk --folder /tmp/rows --gigabytes 20
    python benchmarks/bench_scale.py model --report report.json

- cv compares `SpectralDictionaryLearningCV` with `GridSearchCV` on 50,000 patches of
  photographs of 32 x 32 pixels, five folds, and plain and modulated waves with three
  numbers of components.
- disk writes rows of 1,024 samples to a zarr array, block by block, and fits to them:
  our estimator on a dask cluster with one and two workers of one thread, our estimator
  on the array without dask, the PCA of dask-ml on two workers, the decompositions of
  dask that it calls, and scikit-learn's `IncrementalPCA`. Each method runs in a process
  of its own, and workers have a limit on their memory. The time is that of fit. The
  peak memory is that of the largest process.
- model computes bytes and hours of larger data from the figures of a report, and
  compares the model with what was measured.

Methods whose libraries are not installed are left out.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import resource
import shutil
import warnings
from pathlib import Path

import numpy as np
from _measure import machine, run_apart, timed, write_report
from _tables import markdown
from sklearn.decomposition import IncrementalPCA
from sklearn.model_selection import GridSearchCV

from skspectral import SpectralDictionaryLearning, SpectralDictionaryLearningCV
from skspectral.datasets import load_photograph_patches

GIB = 2**30
LENGTH, N_WAVES, BLOCK_ROWS = 1024, 48, 16_384
N_COMPONENTS = 64


# Cross-validation


def bench_cv(n_rows, n_folds, components):
    """Return times and choices of both searches, for plain and modulated waves."""
    grid = {"n_components": components, "modulation": [None, "basis"]}
    X, _ = load_photograph_patches(n_rows, 32)
    X = X.reshape(len(X), -1).astype(np.float32) / 255
    est = SpectralDictionaryLearning(signal_shape=(32, 32, 3), random_state=0)
    rows = []
    for name, kind in (
        ("one pass", SpectralDictionaryLearningCV),
        ("GridSearchCV", GridSearchCV),
    ):
        search, seconds = timed(kind(est, grid, cv=n_folds).fit, X)
        scores = search.cv_results_["mean_test_score"]
        rows.append(
            {
                "method": name,
                "seconds": seconds,
                "best": str(search.best_params_),
                "score": float(search.best_score_),
                "scores": scores.tolist(),
            }
        )
    return rows


def print_cv(rows):
    """Print the table and the ratio."""
    print(markdown(rows, [(k, k) for k in ("method", "seconds", "best", "score")]))
    ours, theirs = rows
    largest = np.max(np.abs(np.subtract(ours["scores"], theirs["scores"])))
    print(f"ratio of times: {ours['seconds'] / theirs['seconds']:.2f}")
    print(f"largest difference of a mean score: {largest:.2g} nats")


# Rows on a disk


def write_rows(path, gigabytes):
    """Write rows to a zarr array, block by block, and return their number."""
    import zarr

    n_blocks = max(1, round(gigabytes * GIB / (4 * LENGTH * BLOCK_ROWS)))
    n_rows = n_blocks * BLOCK_ROWS
    array = zarr.create_array(
        path,
        shape=(n_rows, LENGTH),
        chunks=(BLOCK_ROWS, LENGTH),
        dtype="f4",
        compressors=None,
        overwrite=True,
    )
    rng = np.random.default_rng(0)
    t = np.arange(LENGTH)
    frequencies = rng.uniform(0.002, 0.25, N_WAVES)
    phases = rng.uniform(0, 2 * np.pi, N_WAVES)
    waves = np.sin(2 * np.pi * np.outer(frequencies, t) + phases[:, None])
    waves = (waves / np.arange(1, N_WAVES + 1)[:, None] ** 0.5).astype(np.float32)
    for block in range(n_blocks):
        codes = rng.standard_normal((BLOCK_ROWS, N_WAVES), np.float32)
        rows = 0.3 * rng.standard_normal((BLOCK_ROWS, LENGTH), np.float32)
        array[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] = codes @ waves + rows
    return n_rows


def estimator():
    """Return the estimator of all fits to rows on the disk."""
    return SpectralDictionaryLearning(
        N_COMPONENTS, atoms="sinusoid", modulation=None, random_state=0
    )


def fit_on_cluster(path, n_workers, memory_limit, make):
    """Return seconds, the largest peak of a worker, and the fitted estimator."""
    import dask.array as da
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=memory_limit,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):
        X = da.from_zarr(path)
        fitted, seconds = timed(make().fit, X)
        peaks = client.run(
            lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )
    return fitted, seconds, max(peaks.values())


def fit_here(path, make):
    """Return the fitted estimator, seconds, and the peak of this process."""
    import zarr

    fitted, seconds = timed(make().fit, zarr.open_array(path, mode="r"))
    return fitted, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Incremental:
    """`IncrementalPCA` that reads an array block by block, as its page advises."""

    def fit(self, array):
        """Fit to all blocks."""
        pca = IncrementalPCA(N_COMPONENTS)
        for start in range(0, array.shape[0], BLOCK_ROWS):
            pca.partial_fit(array[start : start + BLOCK_ROWS])
        return pca


def pca_of_dask_ml():
    """Return the PCA of dask-ml, one of whose tasks holds all rows."""
    from dask_ml.decomposition import PCA

    return PCA(N_COMPONENTS, random_state=0)


class DaskPCA:
    """What the PCA of dask-ml computes, without the task that holds all rows.

    Parameters
    ----------
    solver : {"randomized", "tsqr"}
        The function `svd_compressed` or `svd` of `dask.array.linalg`.
    """

    def __init__(self, solver):
        self.solver = solver

    def fit(self, X):
        """Fit to a dask array."""
        import dask
        import dask.array as da

        centred = X - X.mean(0)
        if self.solver == "randomized":
            _, values, vectors = da.linalg.svd_compressed(
                centred, N_COMPONENTS, n_power_iter=0, seed=0
            )
        else:
            _, values, vectors = da.linalg.svd(centred)
        values, _, total = dask.compute(values, vectors, X.var(axis=0).sum())
        variances = values[:N_COMPONENTS] ** 2 / len(X)
        self.explained_variance_ratio_ = variances / total
        return self


METHODS = {
    "skspectral, dask, 1 worker": lambda p, m: fit_on_cluster(p, 1, m, estimator),
    "skspectral, dask, 2 workers": lambda p, m: fit_on_cluster(p, 2, m, estimator),
    "skspectral, zarr": lambda p, m: fit_here(p, estimator),
    "dask, randomized PCA, 2 workers": lambda p, m: fit_on_cluster(
        p, 2, m, lambda: DaskPCA("randomized")
    ),
    "dask, exact PCA, 2 workers": lambda p, m: fit_on_cluster(
        p, 2, m, lambda: DaskPCA("tsqr")
    ),
    "PCA of dask-ml, 2 workers": lambda p, m: fit_on_cluster(p, 2, m, pca_of_dask_ml),
    "IncrementalPCA": lambda p, m: fit_here(p, Incremental),
}


def run_one(name, path, memory_limit):
    """Run one method, and print its figures as JSON."""
    warnings.simplefilter("ignore")
    fitted, seconds, peak = METHODS[name](path, memory_limit)
    explained = float(np.sum(fitted.explained_variance_ratio_))
    figures = {"seconds": seconds, "peak_bytes": peak, "explained_variance": explained}
    if hasattr(fitted, "moments_"):
        # What follows the pass over the rows.
        _, figures["learning"] = timed(estimator().fit_moments, fitted.moments_)
    print("figures: " + json.dumps(figures))


def bench_disk(folder, gigabytes, memory_limit, names):
    """Return the figures of all methods."""
    path = Path(folder) / "rows.zarr"
    n_rows, seconds = timed(write_rows, str(path), gigabytes)
    print(f"{n_rows:,} x {LENGTH} rows written in {seconds:.0f} s", flush=True)
    rows = []
    try:
        for name in names:
            try:
                printed = run_apart(
                    __file__, "one", "--method", name, "--folder", path,
                    "--memory-limit", memory_limit,
                )  # fmt: skip
            except Exception as error:
                print(f"{name}: {error}", flush=True)
                continue
            line = next(x for x in printed.splitlines() if x.startswith("figures: "))
            rows.append({"method": name, "n_rows": n_rows} | json.loads(line[9:]))
            print(rows[-1], flush=True)
    finally:
        shutil.rmtree(path)
    return rows


def print_disk(rows):
    """Print the table and the ratios."""
    by_name = {row["method"]: row for row in rows}
    columns = [
        ("method", "method"),
        ("seconds", "seconds", "{:.1f}"),
        ("of these, learning", "learning", "{:.1f}"),
        ("peak, GiB", lambda row: row["peak_bytes"] / GIB, "{:.2f}"),
        ("explained variance", "explained_variance", "{:.4f}"),
    ]
    print(markdown(rows, columns))
    one, two, *others = (by_name.get(name) for name in METHODS)
    if one and two:
        one_pass, two_pass = (row["seconds"] - row["learning"] for row in (one, two))
        print(f"pass, 2 workers v 1: {one_pass / two_pass:.2f} times as fast")
    others = [other for other in others[1:] if other]
    if two and others:
        best = min(others, key=lambda row: row["seconds"])
        print(f"ours / {best['method']}: {two['seconds'] / best['seconds']:.2f}")


# Larger data


def print_model(rows, n_workers):
    """Print what larger data would take, by a model with the rate of a report.

    The pass takes n T^2 multiplications on all workers, whose rate is that of the
    measurement with one worker. Each of W workers sends log2(W) scatter matrices of
    8 T^2 bytes at most, over a network of 1 GiB/s.
    """
    one = next(row for row in rows if row["method"] == "skspectral, dask, 1 worker")
    rate = one["n_rows"] * LENGTH**2 / (one["seconds"] - one["learning"])
    print(f"rate of one worker: {rate / 1e9:.1f} billion multiplications per second")
    table = []
    for n, length, workers in (
        (one["n_rows"], LENGTH, 1),
        (one["n_rows"], LENGTH, 2),
        (10**7, 3072, n_workers),
        (10**9, 3072, n_workers),
        (10**9, 3072, 16 * n_workers),
    ):
        matrix = 8 * length**2
        sent = matrix * np.ceil(np.log2(workers)) if workers > 1 else 0
        table.append(
            {
                "rows": f"{n:.2g} x {length}",
                "workers": workers,
                "rows, GiB": round(4 * n * length / GIB, 1),
                "matrix, MiB": round(matrix / 2**20),
                "sent per worker, GiB": round(sent / GIB, 2),
                "minutes": round((n * length**2 / rate / workers + sent / GIB) / 60, 1),
            }
        )
    print(markdown(table))
    for name, row in zip((1, 2), rows, strict=False):
        print(f"measured with {name} workers: {row['seconds'] / 60:.1f} minutes")


def main():
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["cv", "disk", "model", "one"])
    parser.add_argument("--rows", type=int, default=50_000, help="rows of part cv")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--components", type=int, nargs="+", default=[16, 32, 64], help="of part cv"
    )
    parser.add_argument("--folder", default=".", help="folder for the rows")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--memory-limit", default="2GiB", help="limit of a worker")
    parser.add_argument("--method", choices=list(METHODS), nargs="+")
    parser.add_argument("--report", default=None, help="JSON file of the figures")
    parser.add_argument("--workers", type=int, default=64, help="workers of part model")
    args = parser.parse_args()
    if args.part == "one":
        run_one(args.method[0], args.folder, args.memory_limit)
        return
    if args.part == "model":
        print_model(json.loads(Path(args.report).read_text())["rows"], args.workers)
        return
    if args.part == "cv":
        rows = bench_cv(args.rows, args.folds, args.components)
        print_cv(rows)
    else:
        names = args.method or list(METHODS)
        rows = bench_disk(args.folder, args.gigabytes, args.memory_limit, names)
        print_disk(rows)
    if args.report:
        write_report({"machine": machine(), "rows": rows}, Path(args.report))
    print(machine())


if __name__ == "__main__":
    main()
