"""Fits to few samples: our model with and without shrinkage, and scikit-learn's models.

For each data set and number of samples, the script computes the held-out explained
variance (EV) and log-likelihood (LL, nats per feature) of five kinds of models: our
model with shrinkage=None and with shrinkage="auto"; PCA and FactorAnalysis with the
same number of components, or one less than the number of samples; and Gaussians with
the covariances of LedoitWolf and OAS. The last two have no EV: they shrink towards a
multiple of the identity, so that their eigenvectors are those of PCA. EV is that of
least-squares reconstructions from the components. FactorAnalysis is omitted if it would
take too long.

    python benchmarks/bench_few_samples.py --figures pictures
    python benchmarks/bench_few_samples.py --cifar10 images.npz --speech windows.npz
    python benchmarks/bench_few_samples.py --data digits --sizes 30 100 --seeds 5
    python benchmarks/bench_few_samples.py --rules

--rules also fits a grid of shrinkage weights and the weights that other rules than
"auto" choose, which requires 12 more fits per subset. Digits and photographs come with
scikit-learn, textures with scikit-image. The files are those of bench_fit.py and
bench_sound.py. The script prints Markdown tables, and writes the results with a
description of the machine as JSON.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import io
import re
import sys
import warnings
from pathlib import Path

import numpy as np
from _data import IMAGES_HELP
from _data_sets import DATA
from _measure import machine, write_report
from _shrinkage_rules import rules
from _tables import markdown
from PIL import Image
from sklearn.covariance import OAS, LedoitWolf
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import explained_variance

# Shrinkage weights of the grid, in addition to None, which is 0.
GRID = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
# Largest number of test samples.
MAX_TEST = 2000
SIZES = [("data", "data"), ("n", "n", "{:,}")]
# FactorAnalysis is omitted for more samples or features.
SLOW_SAMPLES, SLOW_FEATURES = 1000, 1024

# Our models come first. The colours are those of Okabe and Ito, which people with
# colour blindness can distinguish.
STYLES = {
    "auto": {"color": "#0072B2", "marker": "o", "linewidth": 2.5},
    "none": {"color": "#56B4E9", "marker": "o", "mfc": "white", "ls": "--"},
    "PCA": {"color": "#D55E00", "marker": "s", "markersize": 7},
    "FactorAnalysis": {"color": "#CC79A7", "marker": "D", "mfc": "white", "ls": "-."},
    "LedoitWolf": {"color": "#009E73", "marker": "^"},
    "OAS": {"color": "black", "marker": "x", "ls": ":"},
}
LABELS = {"auto": 'ours, shrinkage="auto"', "none": "ours, shrinkage=None"}


def log_likelihood(model, X):
    """Return the mean log-likelihood per feature, in nats."""
    return float(model.score(X)) / X.shape[1]


def held_out(model, X):
    """Return the figures of a model with components on test rows."""
    if isinstance(model, FactorAnalysis):
        # transform returns posterior means. Least-squares codes, as those of the other
        # models, give a smaller error.
        loadings, centered = model.components_.T, X - model.mean_
        codes = np.linalg.lstsq(loadings, centered.T)[0]
        rebuilt = (loadings @ codes).T + model.mean_
    else:
        rebuilt = model.inverse_transform(model.transform(X))
    return {"ev": explained_variance(X, rebuilt), "ll": log_likelihood(model, X)}


def other_models(X, test, n_components):
    """Return the figures of scikit-learn's models."""
    n_components = min(n_components, len(X) - 1)
    found = {"PCA": held_out(PCA(n_components, random_state=0).fit(X), test)}
    if len(X) <= SLOW_SAMPLES and X.shape[1] <= SLOW_FEATURES:
        model = FactorAnalysis(n_components, max_iter=100, random_state=0)
        found["FactorAnalysis"] = held_out(model.fit(X), test)
    for model in (LedoitWolf(), OAS()):
        found[type(model).__name__] = {"ll": log_likelihood(model.fit(X), test)}
    return found


def measure(name, train, test, options, n_samples, seed, with_rules):
    """Return the figures of all models for one subset of the training rows."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:n_samples]
    # scikit-learn's covariances cannot be inverted accurately in single precision.
    X, test = (rows.astype(np.float64) for rows in (train[chosen], test[:MAX_TEST]))
    n_components = options["n_components"]

    def fitted(weight):
        model = SpectralDictionaryLearning(
            atoms="sinusoid", shrinkage=weight, **options
        ).fit(X)
        return {"weight": model.shrinkage_, **held_out(model, test)}

    row = {
        "data": name,
        "n": n_samples,
        "n_features": X.shape[1],
        "n_components": n_components,
        "seed": seed,
        "models": {
            "none": fitted(None),
            "auto": fitted("auto"),
            **other_models(X, test, n_components),
        },
    }
    if with_rules:
        others = rules(X, options.get("signal_shape", X.shape[1:]), n_components)
        row["grid"] = [row["models"]["none"], *map(fitted, GRID)]
        row["rules"] = {"auto": row["models"]["auto"]}
        row["rules"] |= {rule: fitted(weight) for rule, weight in others.items()}
    return row


def run_all(args):
    """Measure all data sets and numbers of samples one after the other."""
    rows = []
    for name in args.data:
        train, test, options = DATA[name](args)
        for n_samples in sorted({min(n, len(train)) for n in args.sizes}):
            # Large subsets overlap so much that further seeds add no information.
            for seed in range(args.seeds if n_samples <= 1000 else 1):
                row = measure(name, train, test, options, n_samples, seed, args.rules)
                rows.append(row)
                print(f"  {name} {n_samples}: {row['models']}", file=sys.stderr)
    return rows


def grouped(results):
    """Group rows that differ only in the seed, by data set and sample size."""
    groups = {}
    for row in results:
        groups.setdefault(row["data"], {}).setdefault(row["n"], []).append(row)
    return groups


def average(rows, model, key):
    """Return the mean of a figure over the seeds, or None if it is missing."""
    values = [row["models"].get(model, {}).get(key) for row in rows]
    return None if None in values else float(np.mean(values))


def mean_loss(rows, rule, key):
    """Return the mean difference between the best weight of the grid and a rule."""
    best = [max(fit[key] for fit in row["grid"]) for row in rows]
    return np.mean(best) - np.mean([row["rules"][rule][key] for row in rows])


def number(value, pattern):
    """Return a figure as text.

    Figures below -100 are shown as "< -100": their exact values do not matter.
    """
    if value is None:
        return None
    return pattern.format(value) if value > -100 else "< -100"


def by_size(groups, cells):
    """Return one row of a table per data set and number of samples."""
    return [
        {"data": name, "n": n} | cells(rows)
        for name, sizes in groups.items()
        for n, rows in sizes.items()
    ]


def models_table(groups):
    """Return the Markdown table of EV and LL of all models."""
    with_ev = ["none", "auto", "PCA", "FactorAnalysis"]
    patterns = {("auto", "weight"): "{:.3f}"}
    patterns |= {(model, "ev"): "{:.4f}" for model in with_ev}
    patterns |= {(model, "ll"): "{:.3f}" for model in (*with_ev, "LedoitWolf", "OAS")}
    headers = {("auto", "weight"): "weight"}
    headers |= {("none", key): f"{key.upper()}: none" for key in ("ev", "ll")}
    columns = [(headers.get(of, of[0]), of) for of in patterns]

    def cells(rows):
        return {of: number(average(rows, *of), to) for of, to in patterns.items()}

    return markdown(by_size(groups, cells), SIZES + columns)


def rules_table(groups):
    """Return the Markdown table of what each rule loses in EV and in LL.

    The loss is the difference from the best weight of the grid.
    """

    def cells(rows):
        return {
            rule: f"{mean_loss(rows, rule, 'ev'):.4f}, "
            f"{mean_loss(rows, rule, 'll'):.3f}"
            for rule in rows[0]["rules"]
        }

    table = by_size(groups, cells)
    return markdown(table, SIZES + [(rule, rule) for rule in list(table[0])[2:]])


def draw(sizes, title, path):
    """Draw EV and LL of one data set against the number of samples."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    row = next(iter(sizes.values()))[0]
    figure.suptitle(
        f"{title}: T = {row['n_features']:,} features, "
        f"K = {row['n_components']} components",
        fontsize=14,
    )
    left, right = figure.subplots(1, 2)
    left.set(title="held-out explained variance", ylabel="fraction of variance")
    right.set(title="held-out log-likelihood", ylabel="nats per feature")
    for axis, key in ((left, "ev"), (right, "ll")):
        curves = {
            model: [average(rows, model, key) for rows in sizes.values()]
            for model in STYLES
        }
        # Missing figures become NaN, which interrupts a line.
        values = np.array(list(curves.values()), dtype=float)
        axis.set(xscale="log", xlabel="n, training samples")
        axis.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        plot_curves(
            axis, list(sizes), values, -np.inf if key == "ev" else lowest_shown(values)
        )
    lines = right.get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=len(STYLES))
    # A palette halves the size of the file.
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(256).save(path, optimize=True)


def lowest_shown(values):
    """Return the lowest log-likelihood in the picture, slightly below ours."""
    ours = values[:2].min()
    return ours - 0.3 * (np.nanmax(values) - ours)


def plot_curves(axis, n, values, bottom):
    """Plot one line per model, and arrows for values below the axis."""
    for i, (name, style) in enumerate(STYLES.items()):
        if np.isnan(values[i]).all():
            continue
        below = values[i] < bottom
        shown = np.where(below, np.nan, values[i])
        axis.plot(n, shown, label=LABELS.get(name, name), **style)
        # Arrows of several models are shifted to be side by side.
        places = np.compress(below, n) * 1.07 ** (i - 3.5)
        arrows = {"color": style["color"], "marker": "v", "linestyle": ""}
        height = np.full(len(places), 0.03)
        axis.plot(places, height, transform=axis.get_xaxis_transform(), **arrows)
    if (values < bottom).any():
        axis.set_title(axis.get_title() + "  (▼: below this range)")
        axis.set_ylim(bottom=bottom)


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--speech",
        type=Path,
        help=".npz with windows_train, windows_test and sampling_rate; default: "
        "synthetic notes",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        choices=DATA,
        metavar="NAME",
        help="data sets; default: all whose data are given or bundled",
    )
    sizes = [30, 100, 300, 1000, 5000]
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=sizes, help="numbers of samples"
    )
    parser.add_argument("--seeds", type=int, default=2, help="subsets per size")
    parser.add_argument(
        "--rules", action="store_true", help="also compare rules for the shrinkage"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="folder to write pictures to"
    )
    parser.add_argument(
        "--titles",
        nargs="+",
        default=[],
        metavar="NAME=TITLE",
        help="titles of data sets in the pictures",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_few_samples.json"),
        help="JSON file of the report",
    )
    args = parser.parse_args()
    args.titles = dict(title.split("=", 1) for title in args.titles)
    given = {"CIFAR-10": args.cifar10, "speech": args.speech}
    if args.data is None:
        args.data = [name for name in DATA if given.get(name, True)]
    return args


def main():
    """Measure, print tables, write the report and draw pictures."""
    args = parse_arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = run_all(args)
    groups = grouped(results)
    print(models_table(groups))
    if args.rules:
        print("\n" + rules_table(groups))
    write_report({"machine": machine(), "results": results}, args.output)
    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
        for name, sizes in groups.items():
            file = "few_samples_" + re.sub("[^a-z0-9]+", "_", name.lower()) + ".png"
            draw(sizes, args.titles.get(name, name), args.figures / file)


if __name__ == "__main__":
    main()
