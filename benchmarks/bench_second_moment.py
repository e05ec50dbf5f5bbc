"""The forms of the second moment: time, memory and explained variance of fits.

The script measures five cases, each method in a process of its own, beside PCA:

- forms: fits to few and many rows of images with each form of the second moment, to
  find where one form becomes faster than another;
- sketch: plain sinusoids learned from windows of sound with sketches of several sizes,
  with the explained variance of held-out windows and the one that the model states of
  its own data;
- photographs: 200 gray crops of 256 x 256 pixels, 64 plane waves;
- recordings: whole recordings, filled up with zeros to 2^17 samples, 128 sinusoids from
  a sketch;
- long: 64 synthetic rows of a million samples, 32 sinusoids.

    python benchmarks/bench_second_moment.py forms --images cifar10/
    python benchmarks/bench_second_moment.py sketch --windows signals.npz
    python benchmarks/bench_second_moment.py photographs --photographs photographs.npz
    python benchmarks/bench_second_moment.py recordings --recordings fsdd_8khz.npz
    python benchmarks/bench_second_moment.py long

--images and --windows are as in bench_fit.py and bench_sound.py. --photographs is an
.npz file with PNG files in bsd68_png and kodak24_png, one after the other, and their
offsets in bsd68_offsets and kodak24_offsets. --recordings is an .npz file with signal
and offsets. Without files, the cases use data of the package or synthetic data.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import io
import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP, load_image_rows, load_windows
from _measure import PeakMemory, machine, medians, run_apart, timed, write_report
from _tables import markdown
from PIL import Image
from sklearn.decomposition import PCA

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches, make_tones

FORMS = ("factor", "dense", "sketch")
SKETCH_SIZES = (256, 128, 64, 16)
SIDE = 256
# Number of tones in each synthetic long row.
N_TONES = 60


def image_rows(args):
    """Return rows of images for the case "forms", and their shape."""
    return load_image_rows(args.images, args.n)


def sound_windows(args):
    """Return windows of sound for the case "sketch", and their shape."""
    train, test, _ = load_windows(args.windows)
    return train[: args.n], test, None


def crops(args):
    """Return gray crops of photographs, from different photographs for training."""
    if args.photographs is None:
        train, test = load_photograph_patches(args.n, args.side)
        parts = [part.mean(axis=-1) for part in (train, test)]
    else:
        pictures = []
        with np.load(args.photographs) as data:
            for name in ("bsd68", "kodak24"):
                raw, edges = data[f"{name}_png"].tobytes(), data[f"{name}_offsets"]
                for start, stop in pairwise(edges):
                    picture = Image.open(io.BytesIO(raw[start:stop])).convert("L")
                    pictures.append(np.asarray(picture))
        rng = np.random.default_rng(0)
        held_out = pictures[::5]
        kept = [picture for i, picture in enumerate(pictures) if i % 5]
        parts = [
            np.stack([crop(some[i % len(some)], args.side, rng) for i in range(n)])
            for some, n in ((kept, args.n), (held_out, args.n // 2))
        ]
    rows = [part.reshape(len(part), -1).astype(np.float32) / 255 for part in parts]
    return *rows, (args.side, args.side)


def crop(picture, side, rng):
    """Return a square part of a picture at a random place."""
    y, x = (rng.integers(size - side + 1) for size in picture.shape)
    return picture[y : y + side, x : x + side]


def whole_recordings(args):
    """Return recordings, filled up with zeros, every tenth one held out."""
    if args.recordings is None:
        rows, _ = make_tones(args.n, args.length // 8, random_state=0)
        signals = list(rows)
    else:
        with np.load(args.recordings) as data:
            signal, edges = data["signal"], data["offsets"]
            signals = [signal[start:stop] for start, stop in pairwise(edges)]
    signals = signals[: args.n]
    rows = np.zeros((len(signals), args.length), np.float32)
    for row, signal in zip(rows, signals, strict=True):
        row[: len(signal)] = signal[: args.length]
    rows /= np.abs(rows).max()
    held_out = np.arange(len(rows)) % 10 == 9
    return rows[~held_out], rows[held_out], None


def long_rows(args):
    """Return tones in noise; all rows contain the same frequencies."""
    rng = np.random.default_rng(0)
    t = np.arange(args.length, dtype=np.float32)
    rows = rng.standard_normal((args.n + args.n // 4, args.length), dtype=np.float32)
    for frequency in rng.uniform(0.001, 0.4, N_TONES):
        angle = (2 * np.pi * frequency * t.astype(float)) % (2 * np.pi)
        for wave in (np.cos(angle), np.sin(angle)):
            strengths = rng.standard_normal((len(rows), 1), dtype=np.float32)
            rows += strengths * wave.astype(np.float32)
    return rows[: args.n], rows[args.n :], None


CASES = {
    "forms": (image_rows, {"n": 2000, "K": 128}),
    "sketch": (sound_windows, {"n": None, "K": 128}),
    "photographs": (crops, {"n": 200, "K": 64}),
    "recordings": (whole_recordings, {"n": 3000, "K": 128}),
    "long": (long_rows, {"n": 64, "K": 32}),
}


def methods(args):
    """Return the parameters of our estimator by name of the method."""
    plain = {"modulation": None}
    if args.case == "forms":
        forms = {form: {"second_moment": form} for form in FORMS}
        return {
            f"{form}, {name}": how | more
            for form, how in forms.items()
            for name, more in (("plain", plain), ("modulated", {}))
        }
    if args.case == "sketch":
        sizes = {f"sketch of {n}": {"sketch_size": n} for n in args.sketch_sizes}
        return {"dense": plain | {"second_moment": "dense"}} | {
            name: plain | {"second_moment": "sketch"} | how
            for name, how in sizes.items()
        }
    if args.case == "recordings":
        size = min(256, args.length)
        return {"sketch": plain | {"second_moment": "sketch", "sketch_size": size}}
    return {"auto": plain}


def measure(name, args):
    """Fit one method in this process and return its figures."""
    train, test, shape = CASES[args.case][0](args)
    if name == "PCA":
        solver = "randomized" if args.case == "recordings" else "auto"
        estimator = PCA(args.K, svd_solver=solver, random_state=0)
    else:
        estimator = SpectralDictionaryLearning(
            args.K, signal_shape=shape, random_state=0, **methods(args)[name]
        )
    # The first calls in a process start threads and import modules.
    small = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    for warm in (PCA(2), SpectralDictionaryLearning(2)):
        warm.fit(small)
    with PeakMemory() as memory:
        _, seconds = timed(estimator.fit, train)
    decoded = estimator.inverse_transform(estimator.transform(test))
    error = ((test - decoded) ** 2).sum(dtype=float)
    total = ((test - train.mean(axis=0, dtype=float)) ** 2).sum(dtype=float)
    return {
        "method": name,
        "rows": len(train),
        "features": train.shape[1],
        "components": args.K,
        "fit_s": seconds,
        "peak_gib": memory.growth / 2**30,
        "ev": float(1 - error / total),
        "stated": float(np.sum(estimator.explained_variance_ratio_)),
    }


COLUMNS = [
    ("rows", "rows", "{:,}"),
    ("features", "features", "{:,}"),
    ("components", "components"),
    ("method", "method"),
    ("fit, s", "fit_s", "{:.2f}"),
    ("÷ PCA", "over_pca", "{:.2f}"),
    ("memory beside the data, GiB", "peak_gib", "{:.2f}"),
    ("EV held out", "ev", "{:.4f}"),
    ("EV stated of the training data", "stated", "{:.4f}"),
]


def run_case(args, options):
    """Measure all methods of a case in alternating order; return medians."""
    names = [*methods(args), "PCA"]
    results = {name: [] for name in names}
    for repeat in range(args.repeats):
        for name in names if repeat % 2 == 0 else names[::-1]:
            out = run_apart(__file__, *options, "--one", name)
            results[name].append(json.loads(out.splitlines()[-1]))
            print(f"  {name}", file=sys.stderr, flush=True)
    table = [medians(rows) for rows in results.values()]
    for row in table:
        row["over_pca"] = row["fit_s"] / table[-1]["fit_s"]
    return table


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=list(CASES), help="what to measure")
    parser.add_argument("--images", type=Path, help=IMAGES_HELP)
    parser.add_argument("--windows", type=Path, help=".npz with windows of sound")
    parser.add_argument("--photographs", type=Path, help=".npz with photographs")
    parser.add_argument("--recordings", type=Path, help=".npz with recordings")
    parser.add_argument("--n", type=int, help="number of rows")
    parser.add_argument("--K", type=int, help="number of components")
    parser.add_argument("--side", type=int, default=SIDE, help="side of the crops")
    parser.add_argument("--length", type=int, help="samples in a row")
    parser.add_argument(
        "--sketch-sizes", type=int, nargs="+", default=SKETCH_SIZES, help="rows"
    )
    parser.add_argument("--repeats", type=int, default=3, help="fits of each method")
    parser.add_argument(
        "--output", type=Path, default=Path("bench_second_moment.json"), help="report"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name, value in CASES[args.case][1].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if args.length is None:
        args.length = 2**17 if args.case == "recordings" else 10**6
    return args


def main():
    """Run one measurement in a child process, or all of a case."""
    args = parse_arguments()
    if args.one:
        print(json.dumps(measure(args.one, args)))
        return
    table = run_case(args, sys.argv[1:])
    print(markdown(table, COLUMNS))
    report = {"case": args.case, "machine": machine(), "results": table}
    write_report(report, args.output)


if __name__ == "__main__":
    main()
