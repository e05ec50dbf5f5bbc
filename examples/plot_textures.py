# SPDX-License-Identifier: BSD-3-Clause
"""
Textures
========

Brick, grass and gravel: three textures, three spectra. Plane waves are selected by
frequency and orientation, and a patch can do without some of them.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from skspectral import SpectralDictionaryLearning
from skspectral.control import filter, select_atoms
from skspectral.datasets import cut_patches
from skspectral.plotting import AtomDisplay, SampleGridDisplay, SpectrumDisplay

SIZE, SHAPE = 32, (32, 32)
textures = {
    name: cut_patches([picture], 1000, SIZE, random_state=0).reshape(1000, -1) / 255.0
    for name, picture in (
        ("brick", data.brick()),
        ("grass", data.grass()),
        ("gravel", data.gravel()),
    )
}

# %%
# Their spectra
# -------------
SpectrumDisplay.from_arrays(textures, signal_shape=SHAPE)

# %%
# Their atoms
# -----------
# Bricks are rows and columns, grass is everything.
models = {}
for name, X in textures.items():
    est = SpectralDictionaryLearning(64, signal_shape=SHAPE, modulation=None)
    models[name] = est.fit(X)
    figure = plt.figure(figsize=(12, 2.1), layout="constrained")
    figure.suptitle(name)
    AtomDisplay.from_estimator(est, atoms=8, n_columns=8, ax=figure.subplots())

    upright = select_atoms(est, orientation=(-0.3, 0.3), frequency=(0.5, None))
    lying = select_atoms(est, orientation=(1.27, 1.87), frequency=(0.5, None))
    shares = est.explained_variance_ratio_
    print(
        f"{name:6s} variance of upright waves {shares[upright].sum():.2f}, "
        f"lying {shares[lying].sum():.2f}, all {shares.sum():.2f}"
    )

# %%
# Bricks without their coarse waves
# ---------------------------------
# Above, patches; below, what a high-pass filter of the atoms leaves of them.
X = textures["brick"][:8]
fine = filter(models["brick"], X, low=2.0, residual=1.0)
both = np.concatenate([X, 0.5 + fine])
SampleGridDisplay.from_arrays(both, SHAPE, n_columns=8, vmin=0, vmax=1)
plt.show()
