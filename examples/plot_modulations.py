# SPDX-License-Identifier: BSD-3-Clause
"""
Atoms that drift
================

The amplitude and phase of an atom may drift over the signal (Kiruluta 2025, equations 3
to 5), and with the phase its instantaneous frequency. Chirps show it: each is one atom
or two, where plain sinusoids need many.
"""

# %%
# Chirps
# ------
# Pings that rise from about 40 to 90 Hz in half a second, at any phase.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skspectral import BasisModulation, SpectralDictionaryLearning
from skspectral.plotting import AtomDisplay, LearningDisplay, ModulationDisplay

RATE, LENGTH = 512.0, 256
rng = np.random.default_rng(0)
t = np.arange(LENGTH) / RATE
angle = 2 * np.pi * (40 * t + 50 * t**2)
swell = np.exp(-(((t - 0.25) / 0.12) ** 2))
amplitude, phase = rng.lognormal(size=(400, 1)), rng.uniform(0, 6, (400, 1))
X = amplitude * swell * np.sin(angle + phase) + 0.05 * rng.normal(size=(400, LENGTH))

# %%
# Two atoms are enough
# --------------------
for name, modulation in (("plain", None), ("drifting", BasisModulation(order=6))):
    est = SpectralDictionaryLearning(
        2, modulation=modulation, sampling_rate=RATE, tol=0.02
    )
    share = est.fit(X).explained_variance_ratio_.sum()
    print(f"2 {name} atoms explain {share:.2f} of the variance")

AtomDisplay.from_estimator(est)
ModulationDisplay.from_estimator(est)

# %%
# How they were learned: first the frequencies of plain sinusoids, then the drift.
LearningDisplay.from_estimator(est)

# %%
# Drift over images
# -----------------
# Of images the drift is over rows and columns: atoms of digits fade towards the margin,
# where there is no ink.
images, _ = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(20, signal_shape=(8, 8))
ModulationDisplay.from_estimator(est.fit(images), atoms=3)
plt.show()
