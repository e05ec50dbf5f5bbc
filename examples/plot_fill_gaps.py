# SPDX-License-Identifier: BSD-3-Clause
"""
Fill missing parts of signals
=============================

Fill a gap in a signal, and see how uncertain the filling is.

The model learns sinusoids on windows of signals. A gap is cut out of held-out windows
and filled with the posterior mean. A band contains the true signal with a probability
of 95 %. A few draws from the posterior show other possible signals.

There are two kinds of signals. An electroencephalogram (EEG; sample data of Matplotlib)
is hard to predict. Notes of a plucked string, computed by a formula, are easy to
predict.
The example prints root mean squared errors, compares them with those of a straight line
and of the mean of the windows, and prints how often the truth lies within the band.
"""

# %%
import argparse
import sys
from pathlib import Path

import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import cut_windows, load_eeg, make_tones
from skspectral.priors import GaussianMixture

# 95 % of a Gaussian distribution lie within this many standard deviations of its mean.
QUANTILE = 1.96


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--gap", type=float, default=0.25, help="length as a fraction of a window"
    )
    parser.add_argument(
        "--n-draws", type=int, default=5, help="number of draws to show"
    )
    parser.add_argument("--output", type=Path, default=Path("filled_gaps.png"))
    return parser.parse_args()


# %%
# The signals
# -----------
# The electroencephalogram has four channels of 800 samples. Two of eight pieces are for
# testing, and no window to learn from overlaps with these pieces.


def load_brain_waves(length=64):
    """Return training windows, test windows and the sampling rate in Hz."""
    channels, rate = load_eeg(800)
    pieces = np.split(channels, 8, axis=1)
    train = [np.hstack(pieces[:2]), np.hstack(pieces[3:5]), np.hstack(pieces[6:])]
    test = [pieces[2], pieces[5]]
    return (
        cut_windows(np.vstack(train), length, 1),
        cut_windows(np.vstack(test), length, 4),
        rate,
    )


def make_notes(length=256):
    """Return training windows, test windows and the sampling rate in Hz."""
    windows, _ = make_tones(1200, length, sampling_rate=8000, random_state=0)
    return windows[:1000], windows[1000:], 8000.0


# %%
# The fit and the gap
# -------------------
# A Gaussian prior, the default, suits brain waves. A mixture suits notes, because each
# note uses other atoms than the next.


def fit(X, rate, n_components, prior=None):
    estimator = SpectralDictionaryLearning(
        n_components, modulation=None, sampling_rate=rate, prior=prior, random_state=0
    )
    return estimator.fit(X)


def straight_line(X):
    """Fill the gap of each row with a straight line between its neighbours."""
    t = np.arange(X.shape[1])
    lines = [np.interp(t, t[~np.isnan(x)], x[~np.isnan(x)]) for x in X]
    return np.array(lines)


def fill(estimator, X, gap, n_draws):
    """Return the fillings by method, the standard deviation, and the draws."""
    seen = X.copy()
    seen[:, gap] = np.nan
    filled, std = estimator.impute(seen, return_std=True)
    methods = {
        "skspectral": filled,
        "straight line": straight_line(seen),
        "mean of the windows": np.where(np.isnan(seen), estimator.mean_, seen),
    }
    return methods, std, estimator.sample_posterior(seen, n_draws, random_state=0)


def rms(difference):
    return float(np.sqrt((difference**2).mean()))


def report(name, X, gap, methods, std):
    length = gap.stop - gap.start
    print(f"{name}: {len(X)} held-out windows, each with a gap of {length} samples")
    print(f"  standard deviation of the signal   {rms(X - X.mean()):.4f}")
    for method, filled in methods.items():
        print(f"  error of {method:<25} {rms((filled - X)[:, gap]):.4f}")
    inside = np.abs(methods["skspectral"] - X)[:, gap] < QUANTILE * std[:, gap]
    print(f"  truth within the 95 % band         {100 * inside.mean():.1f} %")


# %%
# The picture
# -----------


def show(panel, name, unit, X, rate, gap, methods, std, draws):
    panel.suptitle(name, fontsize=13)
    axes = panel.subplots(3, 1, sharex=True)
    time = 1000 * np.arange(X.shape[1]) / rate
    # The gap, and a part of the same length on both sides.
    width = gap.stop - gap.start
    view = slice(max(0, gap.start - width), min(gap.stop + width, X.shape[1]))
    # The part includes the neighbours, so that lines and band begin at known samples.
    part = slice(max(0, gap.start - 1), gap.stop + 1)
    inside = time[part]
    shown = np.linspace(0, len(X) - 1, 5).astype(int)[1:4]
    for axis, i in zip(axes, shown, strict=True):
        filled, line = (methods[m][i, part] for m in ("skspectral", "straight line"))
        half = QUANTILE * std[i, part]
        band = {"color": "C0", "alpha": 0.2, "linewidth": 0}
        axis.fill_between(inside, filled - half, filled + half, **band)
        axis.plot(inside, draws[:, i, part].T, "C0", linewidth=0.6, alpha=0.7)
        axis.plot(time[view], X[i, view], "0.4", linewidth=1.5)
        axis.plot(inside, filled, "C0", linewidth=2.2)
        axis.plot(inside, line, "C1", linestyle="--")
        axis.margins(x=0)
    axes[-1].set_xlabel("time (ms)")
    panel.supylabel(unit)


def legend(figure):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color="0.4", linewidth=1.5, label="truth"),
        Line2D([], [], color="C0", linewidth=2.2, label="posterior mean"),
        Patch(color="C0", alpha=0.2, label="95 % band"),
        Line2D([], [], color="C0", linewidth=0.6, label="draws from the posterior"),
        Line2D([], [], color="C1", linestyle="--", label="straight line"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)


def main():
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    args = parse_arguments()
    if not 0 < args.gap < 0.9:
        sys.exit(f"error: --gap {args.gap} must be between 0 and 0.9")
    try:
        brain_waves = load_brain_waves()
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    notes = GaussianMixture(6, random_state=0)
    signals = {
        "Electroencephalogram": (
            "amplitude (standard deviations)",
            brain_waves,
            64,
            None,
        ),
        "Notes of a plucked string": (
            "amplitude (1 is full scale)",
            make_notes(),
            96,
            notes,
        ),
    }
    figure = Figure(figsize=(12, 7), layout="constrained")
    panels = figure.subfigures(1, len(signals))
    for panel, (name, signal) in zip(panels, signals.items(), strict=True):
        unit, (train, test, rate), *model = signal
        length = test.shape[1]
        width = max(1, round(args.gap * length))
        gap = slice((length - width) // 2, (length + width) // 2)
        filled = fill(fit(train, rate, *model), test, gap, args.n_draws)
        report(name, test, gap, *filled[:2])
        show(panel, name, unit, test, rate, gap, *filled)
    legend(figure)
    figure.savefig(args.output, dpi=90)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
