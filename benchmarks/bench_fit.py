"""Fit, transform and sample beside scikit-learn's PCA, dictionary learning and NMF.

One run on one data set: fit time, explained variance of held-out images, time of
transform and sample over a bare matrix product of that size, and peak memory, with the
ratios to PCA. Prints a table and writes it as JSON with the machine's description.

    python benchmarks/bench_fit.py                    # bundled photographs
    python benchmarks/bench_fit.py --data images.npz  # uint8 arrays train, test
    python benchmarks/bench_fit.py --sizes 500 50000 --repeats 3

Each fit runs in a process of its own, so that its peak memory is its own; the order of
the methods changes from one repeat to the next, and medians are reported.
MiniBatchDictionaryLearning is fitted to a part of the larger sets; its time there is
extrapolated in proportion to the number of images and marked with ~.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.decomposition import NMF, PCA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

import skspectral
from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches

# Images that the slow rivals are fitted to at most; the rest is extrapolated.
DICTIONARY_PART = 1000
NMF_PART = 4000
SLOW_TEST = 500


def estimators(n_components, shape):
    """The methods by name; the slow ones with the number of images they can take."""
    sdl = {"n_components": n_components, "signal_shape": shape, "random_state": 0}
    return {
        "static": (SpectralDictionaryLearning(**sdl, modulation=None), None),
        "modulated": (SpectralDictionaryLearning(**sdl), None),
        "PCA": (PCA(n_components, random_state=0), None),
        "MiniBatchDL": (
            MiniBatchDictionaryLearning(n_components, max_iter=1, random_state=0),
            DICTIONARY_PART,
        ),
        "NMF": (NMF(n_components, max_iter=20, random_state=0), NMF_PART),
    }


def load(path, size):
    """Training and test images as rows of float32 in [0, 1], and their shape."""
    if path is None:
        images = load_photograph_patches(size, 32)
    else:
        with np.load(path) as data:
            images = data["train"][:size], data["test"]
    rows = [part.reshape(len(part), -1).astype(np.float32) / 255 for part in images]
    return *rows, images[0].shape[1:]


class PeakMemory:
    """Largest resident memory of this process while it is watched, in bytes."""

    def __enter__(self):
        self._done = threading.Event()
        self.start = self.peak = self._resident()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.002):
            self.peak = max(self.peak, self._resident())

    @staticmethod
    def _resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def median_time(function, repeats=9):
    """Median seconds of a call, after one to warm up."""
    # Idle threads of another library spin for a while, and would slow this one down.
    time.sleep(0.5)
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def measure(name, args, size):
    """One method on one size, in this process; a dictionary of figures."""
    train, test, shape = load(args.data, size)
    estimator, most = estimators(args.n_components, shape)[name]
    part = train if most is None else train[:most]
    # What only the first call in a process pays: thread pools, lazy imports.
    warm = SpectralDictionaryLearning(2) if most is None else PCA(2)
    warm.fit(np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32))
    np.linalg.svd(train[:64] @ train[:64].T)

    with PeakMemory() as memory:
        start = time.perf_counter()
        estimator.fit(part)
        seconds = time.perf_counter() - start
    result = {
        "method": name,
        "n_train": size,
        "n_fitted": len(part),
        "fit_s": seconds * size / len(part),
        "extrapolated": len(part) < size,
        "peak_bytes": memory.peak - memory.start,
    }
    if most is not None:
        test = test[:SLOW_TEST]
    codes = estimator.transform(test)
    error = ((test - estimator.inverse_transform(codes)) ** 2).sum(dtype=float)
    total = ((test - train.mean(0, dtype=float)) ** 2).sum(dtype=float)
    result |= {"ev": 1 - error / total, "n_test": len(test)}
    return result | products(estimator, test, codes)


def products(estimator, test, codes):
    """Transform and sample over a bare product of that size, in turn."""
    matrix = np.ascontiguousarray(estimator.components_, dtype=np.float32)
    slow = not hasattr(estimator, "sample") and not isinstance(estimator, PCA)
    repeats = 1 if slow else 9
    codes = np.ascontiguousarray(codes, dtype=np.float32)
    forward = median_time(lambda: test @ matrix.T)
    times = {
        "transform_s": median_time(lambda: estimator.transform(test), repeats),
        "product_s": forward,
    }
    times["transform_ratio"] = times["transform_s"] / forward
    if hasattr(estimator, "sample"):
        backward = median_time(lambda: codes @ matrix)
        times["sample_s"] = median_time(lambda: estimator.sample(len(test)))
        times["sample_ratio"] = times["sample_s"] / backward
    return times


def machine():
    """What the figures were measured on."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "skspectral": skspectral.__version__,
    }


def run_all(args):
    """Every method, size and repeat, each in its own process."""
    results = []
    for repeat in range(args.repeats):
        names = args.methods if repeat % 2 == 0 else args.methods[::-1]
        for size in args.sizes:
            for name in names:
                if repeat and name in ("MiniBatchDL", "NMF"):
                    continue
                command = [sys.executable, __file__, "--one", name, str(size)]
                command += ["--n-components", str(args.n_components)]
                command += ["--data", str(args.data)] if args.data else []
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True
                )
                results.append(json.loads(done.stdout.splitlines()[-1]))
                print(f"  {size:>6} {name}", file=sys.stderr, flush=True)
    return summary(results)


def summary(results):
    """Medians over the repeats, and ratios to PCA at the same size."""
    rows = {}
    for result in results:
        rows.setdefault((result["n_train"], result["method"]), []).append(result)
    table = []
    for (size, _), repeats in rows.items():
        row = dict(repeats[0])
        for key, value in row.items():
            if isinstance(value, float):
                row[key] = float(np.median([r[key] for r in repeats]))
        for rival in ("PCA", "MiniBatchDL"):
            if (size, rival) in rows:
                theirs = np.median([r["fit_s"] for r in rows[size, rival]])
                row[f"fit_over_{rival}"] = row["fit_s"] / theirs
        table.append(row)
    return sorted(table, key=lambda row: row["n_train"])


def print_table(table):
    """The figures as Markdown."""
    print(
        "| images | method | fit, s | ÷ PCA | ÷ MiniBatchDL | EV held out "
        "| transform ÷ product | sample ÷ product | peak memory, MiB |"
    )
    print("|" + "---|" * 9)
    for row in table:
        cells = [
            f"{row['n_train']:,}",
            row["method"],
            f"{'~' if row['extrapolated'] else ''}{row['fit_s']:.2f}",
            f"{row['fit_over_PCA']:.2f}" if "fit_over_PCA" in row else "",
            f"{row['fit_over_MiniBatchDL']:.4f}"
            if "fit_over_MiniBatchDL" in row
            else "",
            f"{row['ev']:.4f}"
            + (f" ({row['n_test']})" if row["n_test"] < 1000 else ""),
            f"{row['transform_ratio']:.2f}",
            f"{row['sample_ratio']:.2f}" if "sample_ratio" in row else "",
            f"{row['peak_bytes'] / 2**20:.0f}",
        ]
        print("| " + " | ".join(cells) + " |")


def parse_arguments():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    methods = list(estimators(2, (2, 2)))
    parser.add_argument("--data", type=Path, help=".npz with images train and test")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[500, 2000, 10_000, 50_000]
    )
    parser.add_argument("--n-components", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument("--output", type=Path, default=Path("bench_fit.json"))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    """Run one measurement in a child process, or all of them."""
    args = parse_arguments()
    # The rivals are cut short on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="Orthogonal matching pursuit ended")
    if args.one:
        name, size = args.one
        print(json.dumps(measure(name, args, int(size))))
        return
    table = run_all(args)
    print_table(table)
    data = "photographs" if args.data is None else args.data.name
    report = {"data": data, "machine": machine(), "results": table}
    args.output.write_text(json.dumps(report, indent=1))
    print(f"written to {args.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
