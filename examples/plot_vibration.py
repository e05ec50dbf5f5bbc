# SPDX-License-Identifier: BSD-3-Clause
"""
Find a worn bearing by its vibration
====================================

Read frequencies in Hz, see when they occur, and remove the hum of a machine.

Each signal is half a second of the vibration of a machine that turns 25 times per
second. In some signals, a worn bearing rings at 300 Hz for a moment.
"""

# %%
# The signals
# -----------
# Each signal is the sum of the hum of the shaft, two harmonics of the hum, and noise. A
# third of the signals contain a ring at a random time.
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
# The atoms in Hz
# ---------------
# With ``sampling_rate``, the frequencies of the atoms are in Hz.
est = SpectralDictionaryLearning(8, modulation=None, sampling_rate=RATE).fit(X)
print("frequencies of the atoms (Hz):", np.sort(est.frequencies_).round().astype(int))
AtomDisplay.from_estimator(est, atoms=8)
SpectrumDisplay.from_estimator(est, X)

# %%
# Remove the hum
# --------------
# A high-pass filter at 150 Hz removes the hum, and the ring remains.
quiet = filter(est, X, low=150.0, residual=1.0)
shown = np.flatnonzero(worn)[0]
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(t, X[shown], color="0.7", label="signal")
axes.plot(t, quiet[shown], color="C0", label="above 150 Hz")
axes.axvline(start[shown, 0], color="k", linewidth=0.8, label="the ring begins")
axes.set(xlabel="time (s)", ylabel="amplitude")
axes.legend(loc="upper right")

# %%
# See when a frequency occurs
# ---------------------------
# With ``windows=16``, each atom has one code in each of sixteen windows of the signal.
# The display shows the codes of the signal from above.
local = SpectralDictionaryLearning(
    8, modulation=None, sampling_rate=RATE, windows=16, ridge=0.01
).fit(X)
WindowedCodeDisplay.from_estimator(local, X[[shown]])

# %%
# The heatmap shows the strength of all atoms near 300 Hz in each window of each signal.
# The white line marks the true start of the rings.
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
axes.set(xlabel="time (s)", ylabel="signal, ordered by the start of the ring")
figure.colorbar(picture, label="strength near 300 Hz")

# %%
# The largest strength of a signal separates worn bearings from good ones.
score = strength.max(axis=1)
print(f"area under the ROC curve: {roc_auc_score(worn, score):.3f}")
plt.show()
