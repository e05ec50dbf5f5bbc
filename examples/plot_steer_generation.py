# SPDX-License-Identifier: BSD-3-Clause
"""
Steering what is drawn
======================

Every code has a frequency, so that draws can be changed by band: less or more variance,
limits, and paths from one sample to another.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.control import interpolate, sample, select_atoms
from skspectral.datasets import load_photograph_patches
from skspectral.plotting import SampleGridDisplay, SpectrumDisplay
from skspectral.priors import GaussianMixture

SHAPE = (16, 16, 3)
patches, _ = load_photograph_patches(3000, 16)
X = patches.reshape(len(patches), -1) / 255.0
est = SpectralDictionaryLearning(
    192,
    signal_shape=SHAPE,
    modulation=None,
    max_iter=3,
    tol=0.1,
    prior=GaussianMixture(10, covariance="low_rank", rank=30),
    random_state=0,
)
est.fit(X)

# %%
# By band
# -------
# The same draws: as they are, with the waves of two cycles and more at a third and at
# three times their strength, and with the colours of the coarsest waves limited.
coarse = select_atoms(est, frequency=(None, 0.5))
limit = np.where(coarse, 0.7, np.inf)
rows = [
    sample(est, 8, random_state=2),
    sample(est, 8, random_state=2, gains=lambda f: np.where(f < 2, 1, 1 / 3)),
    sample(est, 8, random_state=2, gains=lambda f: np.where(f < 2, 1, 3)),
    sample(est, 8, random_state=2, limit=limit),
]
figure = plt.figure(figsize=(8, 4.4), layout="constrained")
display = SampleGridDisplay.from_arrays(
    np.concatenate(rows), SHAPE, n_columns=8, vmin=0, vmax=1, ax=figure.subplots()
)
for i, title in enumerate(("as drawn", "fine / 3", "fine x 3", "coarse limited")):
    display.axes_[8 * i].set_ylabel(title)

# %%
# What it does to the spectrum
# ----------------------------
many = {
    "as drawn": sample(est, 500, random_state=0),
    "fine / 3": sample(
        est, 500, random_state=0, gains=lambda f: np.where(f < 2, 1, 1 / 3)
    ),
    "fine x 3": sample(est, 500, random_state=0, gains=lambda f: np.where(f < 2, 1, 3)),
}
SpectrumDisplay.from_arrays(many, signal_shape=SHAPE)

# %%
# From one to another
# -------------------
# Codes of digits. On a straight line two of them fade into each other, and half way
# both are pale; along the prior they turn into each other.
digits, _ = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(40, signal_shape=(8, 8)).fit(digits)
paths = [interpolate(est, digits[0], digits[12], 9, prior=p) for p in (False, True)]
SampleGridDisplay.from_arrays(np.concatenate(paths), (8, 8), n_columns=9)


def half_way(prior, n_pairs=100):
    """How far the middle is from the mean digit, over how far the ends are."""
    pairs = np.random.default_rng(0).integers(len(digits), size=(n_pairs, 2))
    strengths = [
        (interpolate(est, *digits[pair], 3, prior=prior) - est.mean_).std(axis=1)
        for pair in pairs
    ]
    ends, middle = np.take(strengths, [0, 2], axis=1), np.take(strengths, 1, axis=1)
    return np.mean(middle / ends.mean(axis=1))


for name, prior in (("on a straight line", False), ("along the prior", True)):
    print(f"half way {name}: {half_way(prior):.2f} of the strength of the ends")
plt.show()
