"""Uneven times: what remains of regular fits, periods of variable stars, and time.

The first table thins regular signals to random times, and compares the explained
variance at all times with that of the regular fit. The second one compares periods of
variable stars from two bands together with those of one band, on random subsets of the
epochs; a period is right if it agrees with that of all epochs of both bands. The third
one shows the time of a large fit.

    python benchmarks/bench_uneven.py --speech fsdd_8khz.npz --stars lightcurves.npz
    python benchmarks/bench_uneven.py --rows 100 --times 200

The file of speech holds an int16 array "signal" and "offsets" of recordings; that of
stars arrays "NAME.BAND.mjd" of days, magnitudes and errors. Without files, only made
tones are thinned. The periods of one band are those of astropy's LombScargle, if it is
installed, and of skspectral's periodogram otherwise. The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from _measure import timed
from _tables import markdown
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import make_tones
from skspectral.uneven import UnevenSpectralDictionary, periodogram

try:
    from astropy.timeseries import LombScargle
except ImportError:
    LombScargle = None
# A period is right if its frequency differs by at most this number of cycles over the
# whole span of the times.
TOLERANCE = 2.0


def thinned(X, share, rng):
    """Return values and times of a random share of the samples of each row."""
    n_kept = round(share * X.shape[1])
    order = rng.permuted(np.tile(np.arange(X.shape[1]), (len(X), 1)), axis=1)
    kept = np.sort(order[:, :n_kept], axis=1)
    return np.take_along_axis(X, kept, 1), kept.astype(float)


def speech(path, length=256, n=600):
    """Return windows of recordings with at least the mean energy."""
    with np.load(path) as data:
        signal, offsets = data["signal"] / 32768.0, data["offsets"]
    rows = []
    for start, stop in pairwise(offsets):
        part = signal[start : start + (stop - start) // length * length]
        rows.append(part.reshape(-1, length))
    rows = np.concatenate(rows)
    energy = (rows**2).sum(1)
    rows = rows[energy > energy.mean()]
    return np.random.default_rng(0).permutation(rows)[:n]


def compare_thinned(name, X, n_atoms, share, rng):
    """Return a row of the table of thinned signals."""
    regular = SpectralDictionaryLearning(n_atoms, modulation=None, center=False)
    _, regular_time = timed(regular.fit, X)
    values, times = thinned(X, share, rng)
    uneven = UnevenSpectralDictionary(n_atoms, max_frequency=0.5, fit_mean=False)
    _, uneven_time = timed(lambda: uneven.fit(values, times=times))
    at = np.arange(X.shape[1], dtype=float)
    signals = uneven.predict(values, times=times, at=at)
    ev = 1 - ((X - signals) ** 2).sum() / (X**2).sum()
    # The waves alone: codes from all samples.
    full = UnevenSpectralDictionary.predict(uneven, X, times=np.tile(at, (len(X), 1)))
    waves = 1 - ((X - full) ** 2).sum() / (X**2).sum()
    # The same samples, with the waves of the regular fit.
    gaps = np.full_like(X, np.nan)
    np.put_along_axis(gaps, times.astype(int), values, 1)
    limit = (
        1
        - ((X - regular.inverse_transform(regular.transform(gaps))) ** 2).sum()
        / (X**2).sum()
    )
    reference = regular.explained_variance_ratio_.sum()
    return {
        "data": name,
        "kept": f"{share:.0%}",
        "EV of the regular fit": f"{reference:.4f}",
        "EV of its waves": f"{waves:.4f}",
        "ratio": f"{waves / reference:.4f}",
        "EV from the kept samples": f"{ev:.4f}",
        "ratio ": f"{ev / reference:.4f}",
        "the same with the regular fit's waves": f"{limit:.4f}",
        "seconds": f"{regular_time:.1f}, {uneven_time:.1f}",
    }


def best_frequency(t, x, highest):
    """Return the frequency of the highest peak of one band."""
    grid = np.arange(0.5, highest * np.ptp(t), 0.2) / np.ptp(t)
    if LombScargle is None:
        return grid[periodogram([x], [t], grid).argmax()]
    return grid[LombScargle(t, x).power(grid, method="fast").argmax()]


def stars(path):
    """Return days and magnitudes of the two bands of each star with two bands."""
    found = {}
    with np.load(path) as data:
        for key in data.files:
            star, band = key.removesuffix(".mjd").rsplit(".", 1)
            found.setdefault(star, {})[band] = data[key]
    return {
        name: list(bands.values()) for name, bands in found.items() if len(bands) == 2
    }


def compare_stars(path, n_epochs, n_draws, highest, rng):
    """Return the rows of the table of periods."""
    table = []
    for name, bands in stars(path).items():
        X, times = [b[:, 1] for b in bands], [b[:, 0] for b in bands]
        span = max(t.max() for t in times) - min(t.min() for t in times)
        grid = np.arange(0.5, highest * span, 0.2) / span
        truth = grid[periodogram(X, times, grid).argmax()]
        for n in n_epochs:
            right = {"two bands": 0, "first band": 0, "second band": 0}
            for _ in range(n_draws):
                subset = [np.sort(rng.permutation(len(x))[:n]) for x in X]
                x = [a[i] for a, i in zip(X, subset, strict=True)]
                t = [a[i] for a, i in zip(times, subset, strict=True)]
                model = UnevenSpectralDictionary(1, max_frequency=highest)
                found = {"two bands": model.fit(x, times=t).frequencies_[0]}
                for band, one, at in zip(list(right)[1:], x, t, strict=True):
                    found[band] = best_frequency(at, one, highest)
                for key, f in found.items():
                    right[key] += abs(f - truth) * span < TOLERANCE
            table.append(
                {
                    "star": name,
                    "frequency per day": f"{truth:.5f}",
                    "epochs a band": n,
                    **{k: f"{v / n_draws:.0%}" for k, v in right.items()},
                }
            )
    return table


def draw_star(path, figure_path, n_epochs=150, highest=4.0):
    """Draw the first star: its epochs, folded at the period, with the model's band."""
    from matplotlib.figure import Figure

    name, bands = next(iter(stars(path).items()))
    rng = np.random.default_rng(0)
    subset = [np.sort(rng.permutation(len(b))[:n_epochs]) for b in bands]
    t, x = ([b[i, c] for b, i in zip(bands, subset, strict=True)] for c in (0, 1))
    model = UnevenSpectralDictionary(1, max_frequency=highest).fit(x, times=t)
    period = 1 / model.frequencies_[0]
    waves = UnevenSpectralDictionary(6, max_frequency=highest).fit(x, times=t)
    start = model.time_range_[0]
    at = start + np.linspace(0, period, 200)
    mean, std = waves.predict(x, times=t, at=at, return_std=True)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    one, both = left, right
    grid = np.arange(0.5, highest * np.ptp(t[1]), 0.2) / np.ptp(t[1])
    one.plot(grid, periodogram(x, t, grid), "k", linewidth=0.5, label="two bands")
    one.plot(grid, -periodogram(x[1:], t[1:], grid), "C1", linewidth=0.5, label="one")
    one.plot(1 / period, 0, "C0^", markersize=9, label="fitted")
    one.set(xlabel="frequency (cycles per day)", ylabel="fraction of the variance")
    one.legend(fontsize=8, loc="lower right")
    for i, band in enumerate(("first band", "second band")):
        phase = ((t[i] - start) / period) % 1
        both.plot(phase, x[i] - x[i].mean() - 0.8 * i, f"C{i}.", label=band)
        folded = (at - start) / period
        order = np.argsort(folded)
        level = mean[i][order] - x[i].mean() - 0.8 * i
        both.plot(folded[order], level, f"C{i}", linewidth=0.7, alpha=0.7)
        band_of = level - 2 * std[i][order], level + 2 * std[i][order]
        both.fill_between(folded[order], *band_of, color=f"C{i}", alpha=0.2)
    both.invert_yaxis()
    both.set(xlabel=f"phase at the period of {period:.4f} days", ylabel="magnitude")
    both.set_title(name, fontsize=9)
    both.legend(fontsize=8)
    figure.savefig(figure_path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--stars", type=Path)
    parser.add_argument("--atoms", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[15, 25, 50, 100])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--figure", type=Path, help="picture of the first star")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    tones, _ = make_tones(min(300, arguments.rows), 256, random_state=0)
    sets = {"make_tones": tones - tones.mean()}
    if arguments.speech:
        sets["speech"] = speech(arguments.speech)
    print(
        markdown(
            [
                compare_thinned(name, X, arguments.atoms, arguments.share, rng)
                for name, X in sets.items()
            ]
        ),
        "\n",
    )
    if arguments.stars:
        table = compare_stars(
            arguments.stars, arguments.epochs, arguments.draws, 10.0, rng
        )
        print(markdown(table), "\n")
        if arguments.figure:
            draw_star(arguments.stars, arguments.figure)
    times = np.sort(rng.uniform(0, 1, (arguments.rows, arguments.times)), axis=1)
    frequencies = np.sort(rng.uniform(2, 0.4 * arguments.times, arguments.atoms))
    X = 0.5 * rng.normal(size=times.shape)
    for f in frequencies:
        wave = np.sin(2 * np.pi * f * times + rng.uniform(0, 6))
        X += rng.normal(size=(len(X), 1)) * wave
    model = UnevenSpectralDictionary(arguments.atoms)
    _, seconds = timed(lambda: model.fit(X, times=times))
    error = np.abs(np.sort(model.frequencies_) - frequencies).max()
    print(
        f"{len(X):,} rows of {X.shape[1]:,} uneven times, {arguments.atoms} waves: "
        f"{seconds:.1f} s; largest error of a frequency {error:.2g} cycles"
    )


if __name__ == "__main__":
    main()
