"""What shrinkage towards stationarity is worth, and what "auto" chooses.

For each data set and number of samples: held-out explained variance and log-likelihood
(nats for each feature) of the fitted model, for a grid of weights, for "auto", and for
what other rules would choose; beside PCA with as many components (or one less than
samples) and, up to 1,000 samples of 1,024 features, scikit-learn's FactorAnalysis and a
Gaussian with LedoitWolf's covariance.

    python benchmarks/bench_shrinkage.py
    python benchmarks/bench_shrinkage.py --cifar10 images.npz --speech windows.npz
    python benchmarks/bench_shrinkage.py --data digits --sizes 30 100 --seeds 5

Digits and photographs come with scikit-learn, textures with scikit-image. The files are
those of bench_fit.py and bench_sound.py. Prints Markdown tables and writes JSON with
the machine's description.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import sys
import warnings
from pathlib import Path

import bench_fit
import bench_sound
import numpy as np
import torch
from scipy.special import multigammaln
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.metrics import r2_score
from sklearn.utils.extmath import randomized_svd

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches
from skspectral.shrinkage import lag_products, shrink_

GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
MOST_TEST = 2000
# The slow rivals are left out beyond.
RIVAL_SAMPLES, RIVAL_FEATURES = 1000, 1024


def digits(args):
    """8 x 8 digits, in random order."""
    X = np.random.default_rng(0).permutation(load_digits().data)
    return X[:1000], X[1000:], {"n_components": 20, "signal_shape": (8, 8)}


def plain_digits(args):
    """The same, with plain sinusoids."""
    train, test, options = digits(args)
    return train, test, {**options, "modulation": None}


def textures(args):
    """Patches of brick, grass and gravel; the right halves are held out."""
    from skimage import data

    def patches(half):
        parts = [np.array_split(load(), 2, axis=1)[half] / 255 for load in pictures]
        cut = [
            extract_patches_2d(p, (16, 16), max_patches=1700, random_state=0)
            for p in parts
        ]
        rows = np.concatenate(cut).reshape(-1, 256)
        return np.random.default_rng(half).permutation(rows)

    pictures = (data.brick, data.grass, data.gravel)
    options = {"n_components": 64, "signal_shape": (16, 16), "modulation": None}
    return patches(0), patches(1), options


def photographs(args):
    """Patches of scikit-learn's two photographs."""
    parts = load_photograph_patches(5000, 16)
    rows = (part.reshape(len(part), -1) / np.float32(255) for part in parts)
    options = {"n_components": 64, "signal_shape": (16, 16, 3), "modulation": None}
    return *rows, options


def cifar10(args):
    """Images of a file."""
    train, test, shape = bench_fit.load(args.cifar10, 5000)
    return train, test, {"n_components": 128, "signal_shape": shape, "modulation": None}


def speech(args):
    """Windows of a file."""
    train, test, _ = bench_sound.load(args.speech)
    n_components = min(128, train.shape[1] // 2)
    return train, test, {"n_components": n_components, "modulation": None}


DATA = {
    "digits": digits,
    "digits, plain": plain_digits,
    "textures": textures,
    "photographs": photographs,
    "CIFAR-10": cifar10,
    "speech": speech,
}


def held_out(estimator, X):
    """Explained variance, and log-likelihood for each feature."""
    rebuilt = estimator.inverse_transform(estimator.transform(X))
    ev = r2_score(X, rebuilt, multioutput="variance_weighted")
    return {"ev": float(ev), "ll": float(estimator.score(X)) / X.shape[1]}


def rules(X, shape, n_components):
    """Weights that "auto" could have chosen."""
    C = np.cov(X.T, bias=True)
    S = torch.as_tensor(C.copy())
    shrink_(S, lag_products(S, shape), 1.0)
    n, energies = len(X), ((X - X.mean(0)) ** 2).sum(1)
    gaussian = np.trace(C) ** 2 + (C**2).sum()
    spread = (energies**2).mean() - (C**2).sum()
    # Heavy tails make the covariance worth fewer samples.
    worth = min(1.0, (1 - 2 / n) * gaussian / spread)
    misfit = ((C - S.numpy()) ** 2).sum()

    def evidence(n_directions, worth=1.0):
        ratios = variance_ratios(C, S.numpy(), min(n_directions, len(C) - 1))
        return most_likely_weight(ratios, max(1.0, worth * (n - 1)))

    return {
        "no tails": float(min(1.0, gaussian / n / misfit)),
        "evidence, K/2": evidence(n_components // 2, worth),
        "evidence, K": evidence(n_components, worth),
        "evidence, K, no tails": evidence(n_components),
    }


def variance_ratios(C, S, n_directions):
    """Eigenvalues of C relative to S, along leading directions of S."""
    axes, variances, _ = randomized_svd(S, n_directions, random_state=0)
    white = axes / np.sqrt(variances)
    return np.linalg.eigvalsh(white.T @ C @ white).clip(0)


def most_likely_weight(ratios, n):
    """Empirical Bayes with an inverse Wishart of mean S (Hannart and Naveau 2014).

    The posterior mean is (n C + nu S) / (n + nu), with the nu of most evidence.
    """
    d, nu = len(ratios), n * np.logspace(-5, 5, 201)
    degrees = nu + d + 1
    gammas = multigammaln((degrees + n) / 2, d) - multigammaln(degrees / 2, d)
    inside = np.log(nu[:, None] + n * ratios).sum(1)
    evidence = gammas + (degrees * d * np.log(nu) - (degrees + n) * inside) / 2
    best = nu[np.argmax(evidence)]
    return float(best / (n + best))


def rivals(X, test, n_components):
    """The same figures of scikit-learn's models, where they do not take too long."""
    n_components = min(n_components, len(X) - 1)
    found = {"PCA": held_out(PCA(n_components, random_state=0).fit(X), test)}
    if len(X) <= RIVAL_SAMPLES and X.shape[1] <= RIVAL_FEATURES:
        models = {
            "FactorAnalysis": FactorAnalysis(n_components, max_iter=100),
            "LedoitWolf": LedoitWolf(),
        }
        for name, model in models.items():
            found[name] = {"ll": float(model.fit(X).score(test)) / X.shape[1]}
    return found


def measure(name, train, test, options, n_samples, seed):
    """Figures of one subset of the training rows."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:n_samples]
    X, test = train[chosen], test[:MOST_TEST]

    def fitted(weight):
        model = SpectralDictionaryLearning(shrinkage=weight, **options).fit(X)
        return {"weight": model.shrinkage_, **held_out(model, test)}

    shape = options.get("signal_shape", X.shape[1:])
    others = rules(X.astype(np.float64), shape, options["n_components"])
    return {
        "data": name,
        "n": n_samples,
        "seed": seed,
        "grid": [fitted(weight) for weight in GRID],
        "auto": fitted("auto"),
        "rules": {rule: fitted(weight) for rule, weight in others.items()},
        "rivals": rivals(X, test, options["n_components"]),
    }


def run_all(args):
    """Every data set and number of samples, one after the other."""
    rows = []
    for name in args.data:
        train, test, options = DATA[name](args)
        for n_samples in sorted({min(n, len(train)) for n in args.sizes}):
            # Another draw of nearly everything tells nothing new.
            for seed in range(args.seeds if n_samples <= 1000 else 1):
                row = measure(name, train, test, options, n_samples, seed)
                rows.append(row)
                print(f"  {name} {n_samples}: {row['auto']}", file=sys.stderr)
    return rows


def average(rows, figure):
    """Mean of a figure over the seeds; None where it was not taken."""
    values = [figure(row) for row in rows]
    return None if None in values else float(np.mean(values))


def best(row, key):
    return max(fit[key] for fit in row["grid"])


def loss(rows, of, key):
    """Mean of what a rule loses to the best weight of the grid."""
    return average(rows, lambda row: best(row, key) - of(row)[key])


def number(value, pattern):
    """A cell; below what any model would be used for, only the order counts."""
    if value is None:
        return ""
    return format(value, pattern) if value > -100 else "< -100"


def as_markdown(results):
    """Two tables: what shrinkage is worth; what each rule loses to the grid's best."""
    groups = {}
    for row in results:
        groups.setdefault((row["data"], row["n"]), []).append(row)

    def rival(name, key):
        return lambda row: row["rivals"].get(name, {}).get(key)

    worth = {
        "weight": (lambda row: row["auto"]["weight"], ".3f"),
        "EV: none": (lambda row: row["grid"][0]["ev"], ".4f"),
        "auto": (lambda row: row["auto"]["ev"], ".4f"),
        "best": (lambda row: best(row, "ev"), ".4f"),
        "PCA": (rival("PCA", "ev"), ".4f"),
        "LL: none": (lambda row: row["grid"][0]["ll"], ".3f"),
        "auto ": (lambda row: row["auto"]["ll"], ".3f"),
        "best ": (lambda row: best(row, "ll"), ".3f"),
        "PCA ": (rival("PCA", "ll"), ".3f"),
        "FactorAnalysis": (rival("FactorAnalysis", "ll"), ".3f"),
        "LedoitWolf": (rival("LedoitWolf", "ll"), ".3f"),
    }
    losses = {
        rule: lambda row, rule=rule: {**row["rules"], "auto": row["auto"]}[rule]
        for rule in ("auto", *results[0]["rules"])
    }
    tables = [[["data", "n", *worth]], [["data", "n", *losses]]]
    for (name, n), rows in groups.items():
        cells = [number(average(rows, figure), to) for figure, to in worth.values()]
        tables[0].append([name, f"{n:,}", *cells])
        lost = [(loss(rows, of, "ev"), loss(rows, of, "ll")) for of in losses.values()]
        tables[1].append([name, f"{n:,}", *(f"{ev:.4f}, {ll:.3f}" for ev, ll in lost)])
    return "\n\n".join(map(markdown_table, tables))


def markdown_table(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def parse_arguments():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", type=Path, help=".npz with images train and test")
    parser.add_argument("--speech", type=Path, help=".npz with windows of sound")
    parser.add_argument("--data", nargs="+", choices=DATA, metavar="NAME")
    sizes = [30, 100, 300, 1000, 5000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    parser.add_argument("--seeds", type=int, default=2, help="subsets of each size")
    parser.add_argument("--output", type=Path, default=Path("bench_shrinkage.json"))
    args = parser.parse_args()
    given = {"CIFAR-10": args.cifar10, "speech": args.speech}
    if args.data is None:
        args.data = [name for name in DATA if given.get(name, True)]
    return args


def main():
    """Measure, print, write."""
    args = parse_arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = run_all(args)
    print(as_markdown(results))
    report = {"machine": bench_fit.machine(), "results": results}
    args.output.write_text(json.dumps(report, indent=1))
    print(f"written to {args.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
