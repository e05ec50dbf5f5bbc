# SPDX-License-Identifier: BSD-3-Clause
"""
Waves across the electrodes of an EEG
=====================================

Learn waves that several channels share, see where each wave is strong, and compare the
explained variance with that of PCA.

Four electrodes recorded an electroencephalogram. A row holds all four channels of a
window of time. Each atom is one wave over time, with a pattern over the electrodes.
"""

# %%
# The recording
# -------------
# ``load_eeg`` returns the windows of one channel after the other. The axes become
# (windows, channels, times), the order of MNE-Python and aeon: the array that
# ``mne.Epochs.get_data()`` returns can be used in the same way.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skspectral import SpectralDictionaryLearning
from skspectral.atoms import PlaneWave
from skspectral.datasets import load_eeg
from skspectral.plotting import AtomDisplay, PatternDisplay

LENGTH = 40
windows, rate = load_eeg(LENGTH, hop=LENGTH // 2)
X = windows.reshape(4, -1, LENGTH).swapaxes(0, 1)
train, test = X[::2], X[1::2]
print("windows, channels, times:", X.shape)

# %%
# One wave, four channels
# -----------------------
# ``channel_axis`` is the axis of the channels in ``signal_shape``.
est = SpectralDictionaryLearning(
    8, signal_shape=(4, LENGTH), channel_axis=0, modulation=None, sampling_rate=rate
).fit(train)
AtomDisplay.from_estimator(est)

# %%
# The patterns, with one row per channel. Slow waves have the same sign in all channels;
# some others are strong at one electrode.
PatternDisplay.from_estimator(est, channel_names=["first", "second", "third", "fourth"])

# %%
# Waves that travel
# -----------------
# A wave that reaches the electrodes one after the other has another phase at each of
# them. ``PlaneWave(patterns="complex")`` learns these phases.
travelling = SpectralDictionaryLearning(
    8,
    signal_shape=(4, LENGTH),
    channel_axis=0,
    atoms=PlaneWave(patterns="complex"),
    modulation=None,
    sampling_rate=rate,
).fit(train)
PatternDisplay.from_estimator(travelling)

# %%
# Beside PCA
# ----------
# PCA of the flattened windows needs a number for each time and channel of each
# component. The figure shows the explained variance of the windows that were not used.


def explained(model, rows):
    error = rows - model.inverse_transform(model.transform(rows))
    return 1 - np.sum(error**2) / np.sum((rows - model.mean_) ** 2)


numbers = [2, 4, 8, 12, 16]
rows, new = train.reshape(len(train), -1), test.reshape(len(test), -1)
curves = {"real patterns": [], "complex patterns": [], "PCA": []}
for k in numbers:
    est.set_params(n_components=k).fit(train)
    travelling.set_params(n_components=k).fit(train)
    curves["real patterns"].append(explained(est, new))
    curves["complex patterns"].append(explained(travelling, new))
    curves["PCA"].append(explained(PCA(k).fit(rows), new))
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
for (label, values), style in zip(curves.items(), ("o-", "s-", "x--"), strict=True):
    axes.plot(numbers, values, style, label=label)
axes.set(xlabel="number of components", ylabel="explained variance, new windows")
axes.legend()
print({label: np.round(values, 3).tolist() for label, values in curves.items()})
