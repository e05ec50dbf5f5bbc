"""
Your own signals, from a CSV file
=================================

Learns sinusoids from the signals of a table, one signal a line, and draws new signals.

The script writes a picture, and a page of HTML with signals, reconstructions, new
samples, each sinusoid with its frequency, and the mean spectrum. Signals that are
sampled fast enough can be listened to on the page.

Without arguments, the signals are vibrations of made-up machines, which turn at 3 Hz;
half of them rattle at 11 Hz. Run it on your own with
``--signals FILE.csv --sampling-rate 100``. Where a cell of the table is empty, a value
is missing. The model is fitted to the complete signals, and then fills the gaps of the
others.
"""

# SPDX-License-Identifier: BSD-3-Clause
# %%
import argparse
import sys
import time
from pathlib import Path

import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.atom_names import atom_names
from skspectral.datasets import load_signals
from skspectral.plotting import AtomDisplay, SampleGridDisplay, SpectrumDisplay
from skspectral.priors import GaussianMixture
from skspectral.report import write_report

# Of the made-up machines, in Hz.
RATE, TURNS, RATTLE = 100.0, 3.0, 11.0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--signals", type=Path, metavar="FILE.csv", help="a table, one signal a line"
    )
    parser.add_argument(
        "--columns", action="store_true", help="each column of the table is a signal"
    )
    parser.add_argument(
        "--sampling-rate", type=float, metavar="HZ", help="samples per second"
    )
    parser.add_argument("--n-components", type=int, default=16, metavar="K")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("own_signals.png"),
        help="the picture; the page has the same name with .html",
    )
    return parser.parse_args()


# %%
# The signals
# -----------


def make_vibrations(n_machines=300, n_samples=200):
    """Machines that turn, each with a phase and a strength of its own."""
    rng = np.random.default_rng(0)
    t = np.arange(n_samples) / RATE
    phases = rng.uniform(0, 2 * np.pi, (n_machines, 2, 1))
    strengths = rng.normal(1, 0.2, (n_machines, 2, 1))
    turning = strengths[:, 0] * np.sin(2 * np.pi * TURNS * t + phases[:, 0])
    rattling = strengths[:, 1] * np.sin(2 * np.pi * RATTLE * t + phases[:, 1])
    rattling[n_machines // 2 :] = 0
    noise = 0.1 * rng.normal(size=(n_machines, n_samples))
    return rng.permutation(turning + 0.5 * rattling + noise)


def load(args):
    """Rows (n_signals, n_samples), and the sampling rate in Hz or None."""
    if args.signals is None:
        return make_vibrations(), RATE
    table = load_signals(args.signals)
    signals = table.T if args.columns else table
    print(f"{signals.shape[0]:,} signals of {signals.shape[1]:,} samples each")
    if signals.shape[0] < 4 or signals.shape[1] < 4:
        other = "without" if args.columns else "with"
        raise ValueError(
            "at least 4 signals of 4 samples are needed. If the table is the other way "
            f"round, run this {other} --columns."
        )
    if signals.shape[0] > 4 * signals.shape[1] and not args.columns:
        print("hint: if each column of your table is one signal, pass --columns")
    return signals, args.sampling_rate


# %%
# The fit
# -------
# Machines that rattle and those that do not are two kinds of signals: a mixture of
# Gaussians tells them apart.


def fit(X, n_components, rate):
    complete = X[~np.isnan(X).any(axis=1)]
    if len(complete) < 4:
        raise ValueError(
            f"only {len(complete)} of {len(X)} signals have no missing value, but the "
            "fit needs 4. Leave out columns of the table with many empty cells."
        )
    estimator = SpectralDictionaryLearning(
        min(n_components, *complete.shape),
        sampling_rate=rate,
        modulation=None,
        prior=GaussianMixture(min(6, max(1, len(complete) // 20))),
        random_state=0,
    )
    return estimator.fit(complete)


# %%
# The picture
# -----------


def plot(estimator, X, path):
    """Signals, new signals, atoms, and mean spectra."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10), layout="constrained")
    panels = figure.subfigures(2, 2, wspace=0.03, hspace=0.03)
    rate, new = estimator.sampling_rate, estimator.sample(200, random_state=0)
    for panel, title, rows in (
        (panels[0, 0], "Signals", X[:6]),
        (panels[0, 1], "New signals, drawn from the model", new[:6]),
    ):
        panel.suptitle(title, fontsize=14)
        SampleGridDisplay.from_arrays(
            rows, sampling_rate=rate, n_columns=2, ax=panel.subplots()
        )
    panels[1, 0].suptitle("Atoms of most variance", fontsize=14)
    AtomDisplay.from_estimator(
        estimator, atoms=6, n_columns=2, ax=panels[1, 0].subplots()
    )
    panels[1, 1].suptitle("Mean power spectrum", fontsize=14)
    SpectrumDisplay.from_arrays(
        {"signals": X, "new signals": new},
        sampling_rate=rate,
        ax=panels[1, 1].subplots(),
    )
    figure.savefig(path, dpi=80)


def main():
    args = parse_arguments()
    try:
        X, rate = load(args)
        start = time.perf_counter()
        estimator = fit(X, args.n_components, rate)
        seconds = time.perf_counter() - start
        facts = {"time of the fit": f"{seconds:.1f} s, with the prior"}
        n_missing = int(np.isnan(X).sum())
        if n_missing:
            facts["missing values, filled by the model"] = f"{n_missing:,}"
            X = estimator.impute(X)
        print("atoms of most variance:", "; ".join(atom_names(estimator)[:6]))
        plot(estimator, X, args.output)
        page = write_report(
            estimator,
            X,
            args.output.with_suffix(".html"),
            title=f"Signals of {args.signals.name}" if args.signals else "Vibrations",
            facts=facts,
        )
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"picture: {args.output.resolve()}")
    print(f"page: {page}")


if __name__ == "__main__":
    main()
