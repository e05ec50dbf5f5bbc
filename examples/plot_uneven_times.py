# SPDX-License-Identifier: BSD-3-Clause
"""
A star that is seen only at night
=================================

Find a period in two uneven series together, and draw each series at any time with its
error band.

A telescope can measure the brightness of a star only in clear nights. In the
periodogram of such series, a true frequency has aliases that differ by one cycle per
day. Two colours of the star have different times and amplitudes, but the same period.
"""

# %%
# The series
# ----------
# The two series have 30 and 40 values in 200 days, always within six hours of midnight.
import matplotlib.pyplot as plt
import numpy as np

from skspectral.uneven import UnevenSpectralDictionary, periodogram

rng = np.random.default_rng(8)
PERIOD = 0.61
times, values = [], []
for n, size in ((30, 0.5), (40, 0.35)):
    t = np.sort(rng.integers(0, 200, n) + rng.normal(0, 0.12, n))
    times.append(t)
    values.append(
        size * np.sin(2 * np.pi * t / PERIOD + 1) + 0.25 * rng.normal(size=n) + 15
    )

# %%
# One series, and both together
# -----------------------------
# With one row, ``periodogram`` is the Lomb-Scargle periodogram with a floating mean.
# With several rows, it is the fraction of the variance of all rows.
grid = np.arange(0.05, 4, 0.0005)
figure, panels = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
sets = {"first": [0], "second": [1], "both": [0, 1]}
for panel, (name, rows) in zip(panels, sets.items(), strict=True):
    power = periodogram([values[i] for i in rows], [times[i] for i in rows], grid)
    panel.plot(grid, power, color="k", linewidth=0.6)
    panel.axvline(1 / PERIOD, color="C1", linestyle="--", label="true frequency")
    panel.plot(grid[power.argmax()], power.max(), "C0o", label="highest peak")
    panel.set_ylabel(name)
panels[0].legend(ncols=2)
panels[-1].set_xlabel("frequency (cycles per day)")

# %%
# A wave that both rows share
# ---------------------------
# The estimator learns the frequency and the phase from both rows. Each row has its own
# amplitude and mean.
est = UnevenSpectralDictionary(1, max_frequency=4.0).fit(values, times=times)
print(f"period: {1 / est.frequencies_[0]:.4f} days")
print("amplitude and mean of each row:", est.transform(values, times=times).round(2))

# %%
# ``predict`` evaluates each row at any time, with its posterior standard deviation. The
# figure shows one cycle, with all values moved to it.
start = est.time_range_[0]
at = start + np.linspace(0, PERIOD, 200)
mean, std = est.predict(values, times=times, at=at, return_std=True)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for i, (name, marker) in enumerate((("first", "o"), ("second", "s"))):
    folded = (times[i] - start) % (1 / est.frequencies_[0])
    axes.plot(folded, values[i], f"C{i}{marker}", label=f"{name} series", markersize=4)
    axes.plot(at - start, mean[i], f"C{i}")
    band = mean[i] - 2 * std[i], mean[i] + 2 * std[i]
    axes.fill_between(at - start, *band, color=f"C{i}", alpha=0.25)
axes.invert_yaxis()
axes.set(xlabel="days since the start of a cycle", ylabel="magnitude")
axes.legend()
