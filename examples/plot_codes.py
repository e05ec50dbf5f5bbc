# SPDX-License-Identifier: BSD-3-Clause
"""
Reading codes
=============

An image is a sum of atoms, each times a number: its code. Bars show the codes of a few
images, a line joins them over frequency, a heatmap shows those of many at once, and
maps show where in the image the atoms act (Kiruluta 2025, figure 2).
"""

# %%
# The atoms
# ---------
# Twenty plane waves for images of 8 x 8, with the share of the variance of each. Codes
# of waves that nearly agree are huge and opposite with the default ridge. One of 0.01
# makes them a tenth as large, so that they can be read, for 0.002 of the variance.
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
# By frequency. The slowest wave tells left from right: the code of the one has another
# sign than those of the zero and the two.
digits = X[[0, 1, 2]]
figure, axes = plt.subplots(2, figsize=(7, 6), layout="constrained")
CodeDisplay.from_estimator(est, digits, kind="bar", ax=axes[0])
CodeDisplay.from_estimator(est, digits, kind="line", ax=axes[1])

# %%
# The codes of many
# -----------------
# In the order of the labels, so that the stripes are what digits have in common.
order = np.argsort(y[:300], kind="stable")
CodeDisplay.from_estimator(est, X[:300][order], kind="heatmap")

# %%
# Where atoms act
# ---------------
# What the four leading atoms give to each digit.
CodeDisplay.from_estimator(est, digits, kind="map", atoms=4)
plt.show()
