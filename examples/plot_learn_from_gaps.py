# SPDX-License-Identifier: BSD-3-Clause
"""
Learn from sensors that fail
============================

Fit a model to recordings with gaps, fill the gaps with error bars, and compare the
result with scikit-learn's imputers.

The recording is an electroencephalogram of four electrodes. Electrodes lose contact for
a while, at random times, so that no window is complete.
"""

# %%
# A recording with gaps
# ---------------------
# A quarter of each channel is removed, in blocks of three to seven samples.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skspectral import SpectralDictionaryLearning, SpectralImputer
from skspectral.datasets import load_eeg

windows, rate = load_eeg(800)
complete = windows.T  # 800 times of 4 channels
rng = np.random.default_rng(0)
gone = np.zeros(complete.shape, bool)
for channel in gone.T:
    while channel.mean() < 1 / 4:
        start = rng.integers(0, 792)
        channel[start : start + rng.integers(3, 8)] = True
recorded = np.where(gone, np.nan, complete)
print(f"missing: {gone.mean():.0%}")

# %%
# The model and the imputer
# -------------------------
# A row of the model is a window of a fifth of a second with all channels. The imputer
# learns from the rows with their gaps. With few windows, ``shrinkage`` brings the
# covariance nearer to one that is the same at all times of a window.
LENGTH = 16


def as_windows(table):
    return table.reshape(-1, LENGTH, 4).swapaxes(1, 2)


def as_table(windows):
    return windows.swapaxes(1, 2).reshape(-1, 4)


model = SpectralDictionaryLearning(
    64,
    signal_shape=(4, LENGTH),
    channel_axis=0,
    modulation=None,
    shrinkage=0.9,
    sampling_rate=rate,
)
imputer = SpectralImputer(model).fit(as_windows(recorded))
path = imputer.estimator_.observed_log_likelihoods_
print(
    f"log-likelihood of a window: {path[0]:.1f} at the start, {path[-1]:.1f} at the end"
)

# %%
# Beside scikit-learn's imputers
# ------------------------------
# These imputers see one row per time, with four features. They do not know that
# neighbouring rows are similar.
filled = {
    "SpectralImputer": as_table(imputer.transform(as_windows(recorded))),
    "IterativeImputer": IterativeImputer().fit_transform(recorded),
    "KNNImputer": KNNImputer().fit_transform(recorded),
    "SimpleImputer": SimpleImputer().fit_transform(recorded),
}
for name, table in filled.items():
    error = np.sqrt(np.mean((table - complete)[gone] ** 2))
    print(f"{name}: root mean square error {error:.2f}")

# %%
# The filled gaps
# ---------------
# The posterior standard deviation grows towards the middle of a gap.
mean, std = imputer.estimator_.impute(as_windows(recorded), return_std=True)
mean, std = as_table(mean), as_table(std)
t, shown = np.arange(800) / rate, slice(80, 180)
figure, panels = plt.subplots(4, 1, figsize=(7, 7), sharex=True, layout="constrained")
for c, panel in enumerate(panels):
    panel.fill_between(
        t[shown],
        (mean - 2 * std)[shown, c],
        (mean + 2 * std)[shown, c],
        where=gone[shown, c],
        color="C0",
        alpha=0.3,
        label="two standard deviations",
    )
    panel.plot(t[shown], complete[shown, c], color="0.6", label="removed")
    panel.plot(t[shown], recorded[shown, c], color="k", label="recorded")
    panel.plot(t[shown], np.where(gone, mean, np.nan)[shown, c], "C0", label="filled")
    panel.plot(
        t[shown],
        np.where(gone, filled["IterativeImputer"], np.nan)[shown, c],
        "C1:",
        label="IterativeImputer",
    )
    panel.set_ylabel(f"channel {c}")
panels[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=8)
panels[-1].set_xlabel("time (s)")
