"""Fit, transform and sample, compared with PCA, dictionary learning and NMF.

The script measures on one data set: time of the fit, explained variance of held-out
images, times of transform, inverse_transform and sample relative to a bare matrix
product of the same size, and peak memory. It prints a table with ratios to
scikit-learn's PCA, and writes it with a description of the machine as JSON.

    python benchmarks/bench_fit.py                    # bundled photographs
    python benchmarks/bench_fit.py --data images.npz  # uint8 arrays train, test
    python benchmarks/bench_fit.py --data cifar10/ --sizes 500 50000 --repeats 3
    python benchmarks/bench_fit.py --against ../before --repeats 9
    python benchmarks/bench_fit.py --busy             # beside another process

--data may also be a folder with cifar10_train.npz and cifar10_test.npz, which hold
mosaics. --against is the root of another checkout of this project: our methods are then
measured with the packages of both checkouts in alternating order, and the table shows
medians of the ratios of each repeat. --busy measures beside a process that multiplies
matrices on all cores.

Each fit runs in its own process, so that its peak memory can be measured. The order of
the methods is reversed in every other repeat, and medians are reported. The slow
methods are fitted to a part of the larger sets. Their time is then extrapolated in
proportion to the number of images and marked with ~.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP, load_image_rows
from _measure import (
    BusyMachine,
    PeakMemory,
    machine,
    median_time,
    medians,
    package_root,
    ratios,
    run_apart,
    timed,
    write_report,
)
from _tables import markdown
from sklearn.decomposition import NMF, PCA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning

ROOT = Path(__file__).absolute().parents[1]
OURS = ("static", "modulated", "plane waves", "modulated plane waves")
# Steps that `--against` compares.
STEPS = ("fit", "transform", "sample")
# Largest numbers of images that the slow methods are fitted to.
DICTIONARY_PART = 1000
NMF_PART = 4000
# Number of test images of the slow methods.
SLOW_TEST = 500


def estimators(n_components, shape):
    """The methods by name; the slow ones with the number of images they can take."""

    def ours(**settings):
        return SpectralDictionaryLearning(
            n_components, signal_shape=shape, random_state=0, **settings
        )

    return {
        "static": (ours(atoms="sinusoid", modulation=None), None),
        "modulated": (ours(atoms="sinusoid"), None),
        "plane waves": (ours(atoms="plane_wave", modulation=None), None),
        "modulated plane waves": (ours(atoms="plane_wave"), None),
        "PCA": (PCA(n_components, random_state=0), None),
        "MiniBatchDL": (
            MiniBatchDictionaryLearning(n_components, max_iter=1, random_state=0),
            DICTIONARY_PART,
        ),
        "NMF": (NMF(n_components, max_iter=20, random_state=0), NMF_PART),
    }


def measure(name, args, size):
    """Measure one method on one size in this process and return its figures."""
    train, test, shape = load_image_rows(args.data, size)
    estimator, max_images = estimators(args.n_components, shape)[name]
    part = train if max_images is None else train[:max_images]
    # The first calls in a process start threads and import modules.
    warm = SpectralDictionaryLearning(2) if max_images is None else PCA(2)
    warm.fit(np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32))
    np.linalg.svd(train[:64] @ train[:64].T)

    with PeakMemory() as memory:
        _, seconds = timed(estimator.fit, part)
    result = {
        "method": name,
        "n_train": size,
        "n_fitted": len(part),
        "fit_s": seconds * size / len(part),
        "extrapolated": len(part) < size,
        "peak_bytes": memory.growth,
    }
    if max_images is not None:
        test = test[:SLOW_TEST]
    codes = estimator.transform(test)
    error = ((test - estimator.inverse_transform(codes)) ** 2).sum(dtype=float)
    total = ((test - train.mean(0, dtype=float)) ** 2).sum(dtype=float)
    result |= {"ev": 1 - error / total, "n_test": len(test)}
    return result | products(estimator, test, codes, args.least)


def products(estimator, test, codes, least):
    """Return times of transform and sample, and ratios to a matrix product."""

    def seconds_of(function, repeats=9):
        # Idle threads of other libraries keep the cores busy for a while.
        time.sleep(0.5)
        return median_time(function, repeats, least=least)

    matrix = np.ascontiguousarray(estimator.components_, dtype=np.float32)
    slow = not hasattr(estimator, "sample") and not isinstance(estimator, PCA)
    repeats = 1 if slow else 9
    codes = np.ascontiguousarray(codes, dtype=np.float32)
    forward = seconds_of(lambda: test @ matrix.T)
    times = {
        "transform_s": seconds_of(lambda: estimator.transform(test), repeats),
        "product_s": forward,
    }
    times["transform_ratio"] = times["transform_s"] / forward
    backward = seconds_of(lambda: codes @ matrix)
    times["inverse_s"] = seconds_of(lambda: estimator.inverse_transform(codes), repeats)
    times["inverse_ratio"] = times["inverse_s"] / backward
    if hasattr(estimator, "sample"):
        times["sample_s"] = seconds_of(lambda: estimator.sample(len(test)))
        times["sample_ratio"] = times["sample_s"] / backward
    return times


def measure_apart(name, args, size, root):
    """Measure one method in its own process, with the package of a checkout."""
    options = ["--n-components", args.n_components]
    options += ["--least", args.least]
    options += ["--data", args.data] if args.data else []
    out = run_apart(__file__, "--one", name, size, *options, root=root)
    result = json.loads(out.splitlines()[-1])
    used = Path(result.pop("package_root"))
    if not used.samefile(root):
        raise SystemExit(
            f"error: skspectral of {used} was imported, not of {root}. Run the script "
            "in an environment in which PYTHONPATH precedes installed packages."
        )
    print(f"  {size:>6} {name}, {used}", file=sys.stderr, flush=True)
    return result


def run_all(args):
    """Measure all methods, sizes and repeats, each in its own process."""
    results = []
    for repeat in range(args.repeats):
        names = args.methods if repeat % 2 == 0 else args.methods[::-1]
        for size in args.sizes:
            for name in names:
                if repeat and name in ("MiniBatchDL", "NMF"):
                    continue
                roots = {name: ROOT}
                if args.against and name in OURS:
                    roots[f"{name}, other"] = args.against
                for label in sorted(roots, reverse=repeat % 2 == 1):
                    result = measure_apart(name, args, size, roots[label])
                    results.append(result | {"method": label})
    return summary(results)


def summary(results):
    """Return medians over the repeats, and ratios to other methods at the same size."""
    rows = {}
    for result in results:
        rows.setdefault((result["n_train"], result["method"]), []).append(result)
    table = []
    for (size, name), repeats in rows.items():
        row = medians(repeats)
        for other in ("PCA", "MiniBatchDL"):
            if (size, other) in rows:
                other_s = medians(rows[size, other])["fit_s"]
                row[f"fit_over_{other}"] = row["fit_s"] / other_s
        # The speed of the machine varies between repeats, hence ratios per repeat.
        for step in STEPS if (size, f"{name}, other") in rows else ():
            each = ratios(repeats, rows[size, f"{name}, other"], f"{step}_s")
            row[f"{step}_ratios"] = each
            row[f"{step}_over_other"] = float(np.median(each))
        table.append(row)
    return sorted(table, key=lambda row: row["n_train"])


COLUMNS = [
    ("images", "n_train", "{:,}"),
    ("method", "method"),
    ("fit, s", lambda r: f"{'~' if r['extrapolated'] else ''}{r['fit_s']:.2f}"),
    ("÷ PCA", "fit_over_PCA", "{:.2f}"),
    ("÷ MiniBatchDL", "fit_over_MiniBatchDL", "{:.4f}"),
    (
        "EV held out",
        lambda r: f"{r['ev']:.4f}" + f" ({r['n_test']})" * (r["n_test"] < 1000),
    ),
    ("transform ÷ product", "transform_ratio", "{:.2f}"),
    ("inverse ÷ product", "inverse_ratio", "{:.2f}"),
    ("sample ÷ product", "sample_ratio", "{:.2f}"),
    ("peak memory, MiB", lambda r: f"{r['peak_bytes'] / 2**20:.0f}"),
]
AGAINST = [(f"{step} ÷ other", f"{step}_over_other", "{:.3f}") for step in STEPS]


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    methods = list(estimators(2, (2, 2)))
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[500, 2000, 10_000, 50_000],
        help="numbers of training images",
    )
    parser.add_argument("--n-components", type=int, default=128, help="number of atoms")
    parser.add_argument("--repeats", type=int, default=3, help="measurements per cell")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=methods,
        choices=methods,
        help="methods to measure; default: all",
    )
    parser.add_argument(
        "--against", type=Path, help="root of another checkout to compare with"
    )
    parser.add_argument(
        "--busy",
        action="store_true",
        help="measure beside a process that uses all cores",
    )
    parser.add_argument(
        "--least",
        type=float,
        help="least number of seconds for which transform and sample are repeated",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_fit.json"),
        help="JSON file of the report",
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.against and not (args.against / "skspectral").is_dir():
        parser.error(
            f"--against {args.against}: there is no folder skspectral in it. Pass the "
            "root of a checkout of this project."
        )
    if args.least is None:
        args.least = 2.0 if args.against else 0.0
    return args


def main():
    """Run one measurement in a child process, or all of them."""
    args = parse_arguments()
    # Some of the compared methods are stopped early on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="Orthogonal matching pursuit ended")
    if args.one:
        name, size = args.one
        result = measure(name, args, int(size))
        print(json.dumps(result | {"package_root": str(package_root())}))
        return
    with BusyMachine(args.busy):
        table = run_all(args)
    print(markdown(table, COLUMNS + (AGAINST if args.against else [])))
    data = "photographs" if args.data is None else args.data.name
    report = {
        "data": data,
        "busy": args.busy,
        "machine": machine(),
        "results": table,
    }
    write_report(report, args.output)


if __name__ == "__main__":
    main()
