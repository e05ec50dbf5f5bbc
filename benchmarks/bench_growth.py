"""How the time of a fit grows with rows, features and components, beside PCA.

The script fits colour patches of the bundled photographs, and changes one size at a
time:

- n: rows of 768 features (patches of 16 x 16 pixels), 64 components;
- T: features of 500 rows, 64 components;
- K: components of 2,000 rows of 3,072 features (patches of 32 x 32 pixels).

    python benchmarks/bench_growth.py
    python benchmarks/bench_growth.py --figure docs/images/growth.png --repeats 5

It prints a table with medians, writes them with a description of the machine as JSON,
and draws them. The methods alternate within each repeat. The waves are plane waves,
plain and modulated.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import time
from pathlib import Path

import numpy as np
from _measure import machine, timed, write_report
from _tables import markdown
from sklearn.decomposition import PCA

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches

# Panels: symbol, label, and the sizes (n, side of the patches, K) of each point.
PANELS = {
    "n": (
        "n, rows of 768 features; 64 components",
        [(n, 16, 64) for n in (125, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)],
    ),
    "T": (
        "T, features of 500 rows; 64 components",
        [(500, side, 64) for side in (6, 8, 12, 16, 24, 32, 45, 64)],
    ),
    "K": (
        "K, components of 2,000 rows of 3,072 features",
        [(2000, 32, k) for k in (8, 16, 32, 64, 128, 256, 512)],
    ),
}
# The colours are those of Okabe and Ito, which people with colour blindness can
# distinguish.
STYLES = {
    "plain waves": {"color": "#56B4E9", "marker": "o", "mfc": "white"},
    "modulated waves": {"color": "#0072B2", "marker": "o"},
    "PCA": {"color": "#D55E00", "marker": "s"},
}


def estimators(n_components, side):
    """Return the methods by name."""
    ours = {"atoms": "plane_wave", "signal_shape": (side, side, 3), "random_state": 0}
    return {
        "plain waves": SpectralDictionaryLearning(
            n_components, modulation=None, **ours
        ),
        "modulated waves": SpectralDictionaryLearning(n_components, **ours),
        "PCA": PCA(n_components, random_state=0),
    }


def rows_of(n, side):
    """Return patches of photographs as rows, float32 in [0, 1]."""
    patches, _ = load_photograph_patches(n, side)
    return patches.reshape(n, -1).astype(np.float32) / 255


def measure(sizes, repeats):
    """Return the medians of the times of all methods, for the sizes of one point."""
    n, side, n_components = sizes
    X = rows_of(n, side)
    seconds = {}
    for repeat in range(repeats):
        named = list(estimators(n_components, side).items())
        for name, estimator in named if repeat % 2 == 0 else named[::-1]:
            # Idle threads of other libraries keep the cores busy for a while.
            time.sleep(0.2)
            seconds.setdefault(name, []).append(timed(estimator.fit, X)[1])
    return {name: float(np.median(values)) for name, values in seconds.items()}


def draw(results, path):
    """Draw time against each size, on logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(PANELS), figsize=(12, 4), sharey=True, layout="constrained"
    )
    for axis, (panel, (label, _)) in zip(axes, PANELS.items(), strict=True):
        rows = [row for row in results if row["panel"] == panel]
        for name, style in STYLES.items():
            axis.plot(
                [row[panel] for row in rows],
                [row[name] for row in rows],
                label=name,
                **style,
            )
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("time of a fit, s")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(STYLES))
    figure.savefig(path, dpi=80)


COLUMNS = [
    ("n", "n", "{:,}"),
    ("T", "T", "{:,}"),
    ("K", "K", "{:,}"),
    *((f"{name}, s", name, "{:.3f}") for name in STYLES),
    ("plain ÷ PCA", lambda row: f"{row['plain waves'] / row['PCA']:.2f}"),
    ("modulated ÷ PCA", lambda row: f"{row['modulated waves'] / row['PCA']:.2f}"),
]


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="measurements per point")
    parser.add_argument(
        "--panels",
        nargs="+",
        default=list(PANELS),
        choices=PANELS,
        help="sizes to change; default: all",
    )
    parser.add_argument(
        "--most", type=int, help="leave out points with more than this n, T or K"
    )
    parser.add_argument("--figure", type=Path, help="PNG file of the figure")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_growth.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    """Measure all points, print and draw them."""
    args = parse_arguments()
    # The first fits in a process start threads and import modules.
    for estimator in estimators(4, 8).values():
        estimator.fit(rows_of(100, 8))
    results = []
    for panel in args.panels:
        for n, side, n_components in PANELS[panel][1]:
            row = {"panel": panel, "n": n, "T": 3 * side**2, "K": n_components}
            if args.most is not None and row[panel] > args.most:
                continue
            results.append(row | measure((n, side, n_components), args.repeats))
    print(markdown(results, COLUMNS))
    write_report({"machine": machine(), "results": results}, args.output)
    if args.figure is not None:
        draw(results, args.figure)


if __name__ == "__main__":
    main()
