"""Signals with several channels: atoms with a pattern over the channels, beside PCA.

For recordings of several sensors, the script compares the explained variance of
held-out windows after fits to few windows. PCA of the flattened windows is shown twice:
with as many components as there are atoms, and with as many components as have no fewer
parameters than the atoms. The parameters of a model are the numbers that define its
components and its mean. "sinusoids" are the atoms along the flattened window, which do
not know the channels. A second table shows how well the patterns of simulated sources
are recovered that reach the sensors one after the other.

    python benchmarks/bench_channels.py --bearing bearing_cwru.npz --motions FOLDER

The bearing file holds X of shape (recordings, sensors, samples). The folder holds
BasicMotions_TRAIN.ts and BasicMotions_TEST.ts, as the package aeon brings them. Without
a file, the script uses simulated sources. It prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import warnings
from pathlib import Path

import numpy as np
from _measure import timed
from _tables import markdown
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning
from skspectral.atoms import PlaneWave

COLUMNS = [
    ("data", "data"),
    ("windows", "n"),
    ("components", "components"),
    ("method", "method"),
    ("parameters", "parameters", "{:,}"),
    ("explained variance", "ev", "{:.4f}"),
    ("seconds", "seconds", "{:.2f}"),
]


def windows_of_bearing(path, length=128):
    """Return windows (n, sensors, length), in random order; recordings are scaled."""
    with np.load(path) as data:
        X = data["X"].astype(np.float64)
    X = X / X.std(axis=2, keepdims=True)
    n = X.shape[2] // length
    cut = X[:, :, : n * length].reshape(*X.shape[:2], n, length).swapaxes(1, 2)
    rows = cut.reshape(-1, X.shape[1], length)
    return np.random.default_rng(0).permutation(rows)


def motions(folder):
    """Return the cases (n, channels, times) of BasicMotions, scaled per channel."""
    cases = []
    for part in ("TRAIN", "TEST"):
        lines = (Path(folder) / f"BasicMotions_{part}.ts").read_text().splitlines()
        start = lines.index("@data") + 1
        for line in lines[start:]:
            *channels, _ = line.split(":")
            cases.append([np.array(c.split(","), dtype=float) for c in channels])
    X = np.array(cases)
    X = (X - X.mean((0, 2), keepdims=True)) / X.std((0, 2), keepdims=True)
    return np.random.default_rng(0).permutation(X)


def sources(n, n_channels, n_sources, length, snr, rng, *, delayed):
    """Return signals, and the patterns and frequencies of their sources."""
    patterns = rng.normal(size=(n_sources, n_channels)).astype(complex)
    if delayed:
        patterns *= np.exp(1j * rng.uniform(0, 2 * np.pi, patterns.shape))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    frequencies = np.sort(rng.permutation(np.arange(2, length // 2 - 2))[:n_sources])
    frequencies = frequencies + rng.uniform(-0.4, 0.4, n_sources)
    t = np.arange(length) / length
    X = np.zeros((n, n_channels, length))
    for pattern, f in zip(patterns, frequencies, strict=True):
        phase = rng.uniform(0, 2 * np.pi, n)[:, None, None]
        wave = np.exp(1j * (2 * np.pi * f * t + phase))
        X += rng.rayleigh(size=(n, 1, 1)) * np.imag(pattern[:, None] * wave)
    noise = np.sqrt((X**2).mean() / 10 ** (snr / 10))
    return X + noise * rng.normal(size=X.shape), patterns, frequencies


def explained(X, fitted):
    """Return the explained variance of rows, about the mean of the model."""
    rows = X.reshape(len(X), -1)
    error = rows - fitted.inverse_transform(fitted.transform(rows))
    return 1 - (error**2).sum() / ((rows - fitted.mean_) ** 2).sum()


def compare(name, X, sizes, n_atoms):
    """Return the rows of the table for one set of signals."""
    found = []
    shape = X.shape[1:]
    n_features = int(np.prod(shape))
    for n in sizes:
        train, test = X[:n], X[max(sizes) :]
        for k in n_atoms:
            common = {"n_components": k, "signal_shape": shape, "channel_axis": 0}
            models = {
                "real patterns": {},
                "complex patterns": {"atoms": PlaneWave("complex")},
                "real patterns, plain": {"modulation": None},
                "complex patterns, plain": {
                    "atoms": PlaneWave("complex"),
                    "modulation": None,
                },
                "sinusoids": {"atoms": "sinusoid"},
            }
            most = 0
            for method, options in models.items():
                model = SpectralDictionaryLearning(**common, **options)
                fitted, seconds = timed(model.fit, train)
                parameters = fitted.model_.dictionary.n_parameters
                if method != "sinusoids":
                    most = max(most, parameters)
                found.append(
                    {
                        "method": method,
                        "components": k,
                        "parameters": parameters + n_features,
                        "ev": explained(test, fitted),
                        "seconds": seconds,
                    }
                )
            for m, method in (
                (min(k, n - 1), "PCA, as many components"),
                (max(1, -(-most // n_features)), "PCA, as many parameters"),
            ):
                fitted, seconds = timed(PCA(m).fit, train.reshape(n, -1))
                found.append(
                    {
                        "method": method,
                        "components": m,
                        "parameters": (m + 1) * n_features,
                        "ev": explained(test, fitted),
                        "seconds": seconds,
                    }
                )
            for row in found[-len(models) - 2 :]:
                row.update(data=name, n=n)
    return found


def recovered(seed, *, delayed, snr=10.0):
    """Return the smallest cosine of patterns, and the largest error of frequency."""
    rng = np.random.default_rng(seed)
    X, patterns, frequencies = sources(200, 8, 4, 128, snr, rng, delayed=delayed)
    model = SpectralDictionaryLearning(
        8,
        signal_shape=X.shape[1:],
        channel_axis=0,
        atoms=PlaneWave("complex" if delayed else "real"),
        modulation=None,
    ).fit(X)
    cosines, errors = [], []
    for pattern, f in zip(patterns, frequencies, strict=True):
        nearest = np.argsort(np.abs(model.frequencies_ - f))[:2]
        errors.append(np.abs(model.frequencies_[nearest] - f).max())
        cosines.append(np.abs(model.patterns_[nearest] @ pattern.conj()).min())
    return min(cosines), max(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bearing", type=Path, help="file of bearing vibrations")
    parser.add_argument("--motions", type=Path, help="folder of BasicMotions")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--atoms", type=int, nargs="+", default=[32])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=3000, help="at most so many")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = {}
    if arguments.bearing:
        sets["bearing"] = windows_of_bearing(arguments.bearing)[: arguments.windows]
    if arguments.motions:
        sets["BasicMotions"] = motions(arguments.motions)
    if not sets:
        rng = np.random.default_rng(0)
        X, *_ = sources(arguments.windows, 4, 6, 96, 10.0, rng, delayed=True)
        sets["simulated"] = X
    rows = []
    for name, X in sets.items():
        sizes = [n for n in arguments.sizes if n < 0.9 * len(X)]
        rows += compare(name, X, sizes or [len(X) // 2], arguments.atoms)
    print(markdown(rows, COLUMNS), "\n")
    table = []
    for delayed in (False, True):
        found = [recovered(seed, delayed=delayed) for seed in range(arguments.seeds)]
        cosines, errors = zip(*found, strict=True)
        table.append(
            {
                "sources at 10 dB": "delayed" if delayed else "in phase",
                "runs": len(found),
                "smallest pattern cosine": f"{min(cosines):.4f}",
                "largest error of frequency (cycles)": f"{max(errors):.4f}",
            }
        )
    print(markdown(table))


if __name__ == "__main__":
    main()
