# SPDX-License-Identifier: BSD-3-Clause
"""
What codes have to do with what one sees
========================================

Correlations of codes with the brightness, contrast, edges and colourfulness of patches
of photographs, and with a feature of one's own.
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
# Codes have a sign, which features as contrast do not know of: the first picture is of
# the codes, the second of a feature that has a sign, too.


def lighter_above(images):
    """Brightness of the upper half over that of the lower."""
    return images[:, :8].mean((1, 2, 3)) - images[:, 8:].mean((1, 2, 3))


def blue(images):
    """Share of blue over that of red."""
    return (images[..., 2] - images[..., 0]).mean((1, 2))


CorrelationDisplay.from_estimator(est, X)
display = CorrelationDisplay.from_estimator(
    est, X, features={"lighter above": lighter_above, "blue": blue}
)

# %%
# The atoms that know
# -------------------
# Those that correlate most with the two.
order = np.argsort(est.frequencies_, kind="stable")
strongest = np.abs(display.correlations).argmax(axis=1)
AtomDisplay.from_estimator(est, atoms=order[strongest])
plt.show()
