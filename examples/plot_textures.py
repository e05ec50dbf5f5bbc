# SPDX-License-Identifier: BSD-3-Clause
"""
Analyse textures
================

Compare brick, grass and gravel by their waves, and remove waves of one kind.

Atoms are selected by frequency and orientation. A filter removes the selected atoms
from patches.
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
# The spectra of the textures
# ---------------------------
# The spectra show how much power each texture has at each frequency.
SpectrumDisplay.from_arrays(textures, signal_shape=SHAPE)

# %%
# The atoms of the textures
# -------------------------
# The atoms of bricks are mostly horizontal or vertical waves. The atoms of grass have
# all orientations.
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
        f"{name:6s} fraction of the variance: upright {shares[upright].sum():.2f}, "
        f"lying {shares[lying].sum():.2f}, all {shares.sum():.2f}"
    )

# %%
# Bricks without coarse waves
# ---------------------------
# The upper row shows patches. The lower row shows the same patches after a high-pass
# filter has removed all atoms below two cycles per patch.
X = textures["brick"][:8]
fine = filter(models["brick"], X, low=2.0, residual=1.0)
both = np.concatenate([X, 0.5 + fine])
SampleGridDisplay.from_arrays(both, SHAPE, n_columns=8, vmin=0, vmax=1)
plt.show()
