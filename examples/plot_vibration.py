# SPDX-License-Identifier: BSD-3-Clause
"""
A machine that vibrates
=======================

Half seconds of a machine that turns 25 times a second. In some of them a worn bearing
rings at 300 Hz, for a moment. The atoms are read in Hz, codes in windows tell when, and
a filter takes the hum out.
"""

# %%
# The signal
# ----------
# The hum of the shaft and its harmonics, noise, and a ring somewhere in a third of the
# windows.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score

from skspectral import SpectralDictionaryLearning
from skspectral.control import filter
from skspectral.plotting import AtomDisplay, SpectrumDisplay, WindowedCodeDisplay

RATE, LENGTH, N = 1024.0, 512, 600
rng = np.random.default_rng(0)
t = np.arange(LENGTH) / RATE
hum = sum(
    rng.normal(1 / h, 0.1, (N, 1))
    * np.sin(2 * np.pi * 25 * h * t + rng.uniform(0, 6, (N, 1)))
    for h in (1, 2, 3)
)
worn = rng.random(N) < 1 / 3
start = rng.uniform(0.05, 0.4, (N, 1))
ring = np.exp(-(t - start) / 0.03) * (t > start) * np.sin(2 * np.pi * 300 * (t - start))
X = hum + 0.4 * worn[:, None] * ring + 0.1 * rng.normal(size=(N, LENGTH))

# %%
# The atoms, in Hz
# ----------------
est = SpectralDictionaryLearning(8, modulation=None, sampling_rate=RATE).fit(X)
print("Hz:", np.sort(est.frequencies_).round().astype(int))
AtomDisplay.from_estimator(est, atoms=8)
SpectrumDisplay.from_estimator(est, X)

# %%
# Without the hum
# ---------------
# What is left above 150 Hz shows the ring.
quiet = filter(est, X, low=150.0, residual=1.0)
shown = np.flatnonzero(worn)[0]
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(t, X[shown], color="0.7", label="signal")
axes.plot(t, quiet[shown], color="C0", label="above 150 Hz")
axes.axvline(start[shown, 0], color="k", linewidth=0.8, label="the ring begins")
axes.set(xlabel="time (s)", ylabel="amplitude")
axes.legend(loc="upper right")

# %%
# Codes that say when
# -------------------
# With ``windows`` each atom becomes one for each of sixteen windows. The codes of the
# signal above:
local = SpectralDictionaryLearning(
    8, modulation=None, sampling_rate=RATE, windows=16, ridge=0.01
).fit(X)
WindowedCodeDisplay.from_estimator(local, X[[shown]])

# %%
# What the atoms near 300 Hz give together, window by window, is a heatmap of the rings.
codes, places = local.transform(X), local.window_centers_[:, 0]
ringing = np.abs(local.frequencies_ - 300) < 30
strength = np.stack(
    [
        np.linalg.norm(codes[:, here] @ local.components_[here], axis=1)
        for here in (ringing & (places == at) for at in np.unique(places))
    ],
    axis=1,
)
order = np.argsort(np.where(worn, start[:, 0], 1), kind="stable")
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
picture = axes.imshow(strength[order], aspect="auto", extent=(0, LENGTH / RATE, N, 0))
axes.plot(start[order][: worn.sum(), 0], np.arange(worn.sum()), color="w", linewidth=1)
axes.set(xlabel="time (s)", ylabel="signal, in order of the ring (white)")
figure.colorbar(picture, label="strength near 300 Hz")

# %%
# The largest of a signal tells worn bearings from sound ones.
score = strength.max(axis=1)
print(f"area under the ROC curve: {roc_auc_score(worn, score):.3f}")
plt.show()
