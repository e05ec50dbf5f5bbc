# SPDX-License-Identifier: BSD-3-Clause
"""
Fill gaps in signals, with a band of uncertainty
================================================

Fits sinusoids to windows of signals, cuts a gap out of held-out windows, and fills it
with the posterior mean, its 95 % band and a few draws of what may have been there.

There are two kinds of signals: an electroencephalogram (Matplotlib's sample data), of
which little can be foretold, and notes of a plucked string, made by formula, of which
much can. Prints root mean squared errors beside those of a straight line and of the
mean of the windows, and how often the truth lies within the band.
"""

# %%
import argparse
import sys
from pathlib import Path

import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import cut_windows, load_eeg, make_tones
from skspectral.priors import GaussianMixture

# Two-sided 95 % of a Gaussian.
QUANTILE = 1.96


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--gap", type=float, default=0.25, help="share of a window")
    parser.add_argument("--n-draws", type=int, default=5, help="that are shown")
    parser.add_argument("--output", type=Path, default=Path("filled_gaps.png"))
    return parser.parse_args()


# %%
# The signals
# -----------
# Of the electroencephalogram, 800 samples of four channels, every fourth second or so
# is for testing; no sample of it is in a window to learn from.


def load_brain_waves(length=64):
    """Training and test windows, and the sampling rate in Hz."""
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
    """Training and test windows, and the sampling rate in Hz."""
    windows, _ = make_tones(1200, length, sampling_rate=8000, random_state=0)
    return windows[:1000], windows[1000:], 8000.0


# %%
# The fit and the gap
# -------------------
# One Gaussian suits brain waves; notes are a mixture: each sounds some of the atoms.


def fit(X, rate, n_components, prior=None):
    estimator = SpectralDictionaryLearning(
        n_components, modulation=None, sampling_rate=rate, prior=prior, random_state=0
    )
    return estimator.fit(X)


def straight_line(X):
    """Each row with its missing entries between the neighbours on a line."""
    t = np.arange(X.shape[1])
    lines = [np.interp(t, t[~np.isnan(x)], x[~np.isnan(x)]) for x in X]
    return np.array(lines)


def fill(estimator, X, gap, n_draws):
    """What fills the gap: by method, then the band and the draws."""
    seen = X.copy()
    seen[:, gap] = np.nan
    filled, std = estimator.impute(seen, return_std=True)
    methods = {
        "ours": filled,
        "straight line": straight_line(seen),
        "mean of the windows": np.where(np.isnan(seen), estimator.mean_, seen),
    }
    return methods, std, estimator.sample_posterior(seen, n_draws, random_state=0)


def rms(difference):
    return float(np.sqrt((difference**2).mean()))


def report(name, X, gap, methods, std):
    length = gap.stop - gap.start
    print(f"{name}: {len(X)} held-out windows, each without {length} of its samples")
    print(f"  standard deviation of the signal   {rms(X - X.mean()):.4f}")
    for method, filled in methods.items():
        print(f"  error of {method:<25} {rms((filled - X)[:, gap]):.4f}")
    inside = np.abs(methods["ours"] - X)[:, gap] < QUANTILE * std[:, gap]
    print(f"  truth within our 95 % band         {100 * inside.mean():.1f} %")


# %%
# The picture
# -----------


def show(panel, name, unit, X, rate, gap, methods, std, draws):
    panel.suptitle(name, fontsize=13)
    axes = panel.subplots(3, 1, sharex=True)
    time = 1000 * np.arange(X.shape[1]) / rate
    # The gap and as much on both sides.
    width = gap.stop - gap.start
    view = slice(max(0, gap.start - width), min(gap.stop + width, X.shape[1]))
    # With the neighbours, so that lines and band begin at what is seen.
    part = slice(max(0, gap.start - 1), gap.stop + 1)
    inside = time[part]
    shown = np.linspace(0, len(X) - 1, 5).astype(int)[1:4]
    for axis, i in zip(axes, shown, strict=True):
        filled, line = (methods[m][i, part] for m in ("ours", "straight line"))
        half = QUANTILE * std[i, part]
        band = {"color": "C0", "alpha": 0.2, "linewidth": 0}
        axis.fill_between(inside, filled - half, filled + half, **band)
        axis.plot(inside, draws[:, i, part].T, "C0", linewidth=0.6, alpha=0.7)
        axis.plot(time[view], X[i, view], "0.4", linewidth=1.5)
        axis.plot(inside, filled, "C0", linewidth=2.2)
        axis.plot(inside, line, "C1", linestyle="--")
        axis.margins(x=0)
    axes[-1].set_xlabel("ms")
    panel.supylabel(unit)


def legend(figure):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color="0.4", linewidth=1.5, label="truth"),
        Line2D([], [], color="C0", linewidth=2.2, label="posterior mean"),
        Patch(color="C0", alpha=0.2, label="95 % band"),
        Line2D([], [], color="C0", linewidth=0.6, label="draws"),
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
        "Electroencephalogram": ("standard deviations", brain_waves, 64, None),
        "Notes of a plucked string": ("full scale", make_notes(), 96, notes),
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
