# SPDX-License-Identifier: BSD-3-Clause
"""
Relate codes to what is visible
===============================

Find the waves whose codes go with brightness, contrast, edges or a feature of your own.

The images are patches of photographs. The display shows the correlation of each code
with each visible feature.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches
from skspectral.plotting import AtomDisplay, CorrelationDisplay

patches, _ = load_photograph_patches(2000, 16)
X = patches.reshape(len(patches), -1) / 255.0
est = SpectralDictionaryLearning(24, signal_shape=(16, 16, 3))
est.fit(X)

# %%
# Correlations with the features of the package
# ---------------------------------------------
# The first display shows the features of the package. The sign of a code says nothing
# about a feature such as contrast, which is never negative. The second display shows
# two features of our own that have a sign, just as codes have.


def lighter_above(images):
    """Return the brightness of the upper half minus that of the lower half."""
    return images[:, :8].mean((1, 2, 3)) - images[:, 8:].mean((1, 2, 3))


def blue(images):
    """Return the mean of the blue channel minus that of the red channel."""
    return (images[..., 2] - images[..., 0]).mean((1, 2))


CorrelationDisplay.from_estimator(est, X)
display = CorrelationDisplay.from_estimator(
    est, X, features={"lighter above": lighter_above, "blue": blue}
)

# %%
# The atoms behind the features
# -----------------------------
# The display shows the atom that correlates most with each of the two features.
order = np.argsort(est.frequencies_, kind="stable")
strongest = np.abs(display.correlations).argmax(axis=1)
AtomDisplay.from_estimator(est, atoms=order[strongest])
plt.show()
