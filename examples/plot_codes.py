# SPDX-License-Identifier: BSD-3-Clause
"""
Read the codes of images
========================

See which waves an image is made of, as bars, lines, a heatmap and maps.

The model writes an image as a weighted sum of atoms. The weights are the codes of the
image. Bars and lines show the codes of a few images over frequency. A heatmap shows the
codes of many images at once. Maps show where in the image each atom acts (Kiruluta
2025, figure 2).
"""

# %%
# The atoms
# ---------
# The model has twenty plane waves for images of 8 x 8 pixels. The display shows the
# fraction of the variance that each wave explains. Two waves that are nearly equal can
# get large codes of opposite sign. ``ridge=0.01`` makes such codes ten times smaller
# than the default does, so that they can be read. The price is 0.002 of the variance.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import AtomDisplay, CodeDisplay

X, y = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(20, signal_shape=(8, 8), ridge=0.01).fit(X)
AtomDisplay.from_estimator(est, atoms=12)

# %%
# The codes of three digits
# -------------------------
# The codes are ordered by the frequency of their atoms. The wave of the lowest
# frequency distinguishes left from right: its code for the digit 1 has the opposite
# sign of its codes for the digits 0 and 2.
digits = X[[0, 1, 2]]
figure, axes = plt.subplots(2, figsize=(7, 6), layout="constrained")
CodeDisplay.from_estimator(est, digits, kind="bar", ax=axes[0])
CodeDisplay.from_estimator(est, digits, kind="line", ax=axes[1])

# %%
# The codes of many digits
# ------------------------
# The rows of the heatmap are ordered by label. Codes that all images of a digit have in
# common appear as stripes.
order = np.argsort(y[:300], kind="stable")
CodeDisplay.from_estimator(est, X[:300][order], kind="heatmap")

# %%
# Where the atoms act
# -------------------
# Each map is one atom times its code: the contribution of this atom to the digit. The
# four atoms that explain most of the variance are shown.
CodeDisplay.from_estimator(est, digits, kind="map", atoms=4)
plt.show()
