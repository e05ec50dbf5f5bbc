# SPDX-License-Identifier: BSD-3-Clause
"""
Control new images by frequency
===============================

Draw new images with weaker or stronger detail, and change one image into another.

Every code belongs to an atom with a frequency. New samples can therefore be changed in
one band of frequencies: their codes can be made smaller or larger, or be limited. A
path leads from one sample to another.
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
# Change one band of frequencies
# ------------------------------
# All rows show the same eight samples. The first row shows them as drawn. In the second
# and third row, waves of two or more cycles per patch have a third and three times
# their strength. In the last row, the codes of the coarsest waves are limited.
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
for i, title in enumerate(("as drawn", "detail / 3", "detail x 3", "coarse limited")):
    display.axes_[8 * i].set_ylabel(title)

# %%
# The spectra of the samples
# --------------------------
# The gains change mostly the power of the samples at two cycles per patch and above.
many = {
    "as drawn": sample(est, 500, random_state=0),
    "detail / 3": sample(
        est, 500, random_state=0, gains=lambda f: np.where(f < 2, 1, 1 / 3)
    ),
    "detail x 3": sample(
        est, 500, random_state=0, gains=lambda f: np.where(f < 2, 1, 3)
    ),
}
SpectrumDisplay.from_arrays(many, signal_shape=SHAPE)

# %%
# Change one digit into another
# -----------------------------
# The first row follows a straight line between the codes of two digits. Half way, both
# digits are pale. The second row follows a path along the prior, on which the digits
# keep their strength.
digits, _ = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(40, signal_shape=(8, 8)).fit(digits)
paths = [interpolate(est, digits[0], digits[12], 9, prior=p) for p in (False, True)]
SampleGridDisplay.from_arrays(np.concatenate(paths), (8, 8), n_columns=9)


def half_way(prior, n_pairs=100):
    """Return the strength of the middle of a path, divided by that of its ends."""
    pairs = np.random.default_rng(0).integers(len(digits), size=(n_pairs, 2))
    strengths = [
        (interpolate(est, *digits[pair], 3, prior=prior) - est.mean_).std(axis=1)
        for pair in pairs
    ]
    ends, middle = np.take(strengths, [0, 2], axis=1), np.take(strengths, 1, axis=1)
    return np.mean(middle / ends.mean(axis=1))


for name, prior in (("on a straight line", False), ("along the prior", True)):
    print(f"strength half way {name}: {half_way(prior):.2f} of that of the ends")
plt.show()
