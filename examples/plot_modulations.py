# SPDX-License-Identifier: BSD-3-Clause
"""
Atoms whose frequency changes
=============================

Learn waves whose amplitude and frequency change over the signal.

The modulation of an atom is the change of its amplitude and its phase over the signal
(Kiruluta 2025, equations 3 to 5). A changing phase changes the instantaneous frequency.
Two modulated atoms explain chirps, for which many plain sinusoids would be needed.
"""

# %%
# Chirps
# ------
# Each signal is a tone that rises from about 40 to 90 Hz in half a second. Its phase
# and its amplitude are random.
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
for name, modulation in (("plain", None), ("modulated", BasisModulation(order=6))):
    est = SpectralDictionaryLearning(
        2, modulation=modulation, sampling_rate=RATE, tol=0.02
    )
    share = est.fit(X).explained_variance_ratio_.sum()
    print(f"2 {name} atoms explain {share:.2f} of the variance")

AtomDisplay.from_estimator(est)
ModulationDisplay.from_estimator(est)

# %%
# The next display shows the course of learning. The fit first finds the frequencies of
# plain sinusoids, and then learns the modulation.
LearningDisplay.from_estimator(est)

# %%
# Modulation over images
# ----------------------
# The atoms of images are modulated along rows and columns. The atoms of digits become
# weak towards the margin, where the images have no ink.
images, _ = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(20, signal_shape=(8, 8))
ModulationDisplay.from_estimator(est.fit(images), atoms=3)
plt.show()
