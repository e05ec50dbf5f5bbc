# SPDX-License-Identifier: BSD-3-Clause
"""
Kinds of atoms
==============

Photographs in plane waves, modulated waves and Gabor atoms, and echoes in chirps. A
kind of your own is a class of a few lines.
"""

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.atoms import Slopes, WaveFamily, check_atom_family
from skspectral.datasets import load_photograph_patches
from skspectral.plotting import AtomDisplay

SHAPE = (16, 16, 3)
train, test = (
    part.reshape(len(part), -1) / 255.0 for part in load_photograph_patches(2000, 16)
)

# %%
# Three kinds on photographs
# --------------------------
# Plane waves fill the patch; with drift they may fade and bend; Gabor atoms stand in a
# Gaussian window, whose place and width are learned.
for name, options in {
    "plane waves": {"atoms": "plane_wave", "modulation": None},
    "plane waves with drift": {"atoms": "plane_wave"},
    "Gabor atoms": {"atoms": "gabor"},
}.items():
    est = SpectralDictionaryLearning(32, signal_shape=SHAPE, **options).fit(train)
    rebuilt = est.inverse_transform(est.transform(test))
    left = ((test - rebuilt) ** 2).sum() / ((test - train.mean(0)) ** 2).sum()
    numbers = est.model_.dictionary.params.size / 32
    figure = plt.figure(figsize=(12, 3.6), layout="constrained")
    figure.suptitle(
        f"{name}: {numbers:.0f} numbers an atom, {1 - left:.3f} of the variance of new "
        "patches"
    )
    shown = range(4, 20)
    AtomDisplay.from_estimator(est, atoms=shown, n_columns=8, ax=figure.subplots())

# %%
# Chirps
# ------
# Echoes of a sweep from 5 to 45 Hz, in noise. Two chirps, a sine and a cosine, hold
# what takes many sinusoids.
rng = np.random.default_rng(0)
t = np.arange(256) / 256
sweep = 2 * np.pi * (5 * t + 20 * t**2)
echoes = np.sin(sweep + rng.uniform(0, 2 * np.pi, size=(200, 1)))
echoes = echoes + 0.1 * rng.normal(size=echoes.shape)
est = SpectralDictionaryLearning(2, atoms="chirp", sampling_rate=256.0).fit(echoes)
print("frequency in the middle, Hz:", est.frequencies_.round(1))
print("sweep, Hz per second:", est.sweep_rates_.round(1))
print("share of the variance:", est.explained_variance_ratio_.sum().round(3))


# %%
# A kind of your own
# ------------------
# Waves that die away: what is new is the amplitude, with its derivative. A check
# compares the derivatives with finite differences before a fit uses them.
class DampedWave(WaveFamily):
    """exp(-d x) sin(2 pi f x + phi), with x from -1/2 to 1/2."""

    def new_atoms(self, waves, grid):
        """Begin without damping."""
        phase = waves.phase + math.pi * waves.frequency[:, 0]
        return torch.stack([waves.frequency[:, 0], phase, 0 * phase], dim=1)

    def angle_and_amplitude(self, params, grid):
        """Return 2 pi f x + phi and exp(-d x)."""
        x = grid.flattened().coordinates(params.device)
        angle = 2 * math.pi * params[:, :1] * x + params[:, 1:2]
        return angle, (-params[:, 2:] * x).exp()

    def slopes(self, params, grid, dtype):
        """Return the derivatives by f and phi, and by d over the amplitude."""
        x = grid.flattened().coordinates(params.device)
        angle = torch.cat([2 * math.pi * x, torch.ones_like(x)])
        amplitude = (-params[:, 2:] * x).exp()
        return Slopes(angle.to(dtype), amplitude, (-x).to(dtype))


check_atom_family(DampedWave(), signal_shape=(256,))
rings = np.exp(-4 * t) * np.sin(2 * np.pi * 20 * t + rng.uniform(0, 6, size=(200, 1)))
for atoms in ("sinusoid", DampedWave()):
    est = SpectralDictionaryLearning(2, atoms=atoms, modulation=None).fit(rings)
    print(f"{atoms!s:12s} {est.explained_variance_ratio_.sum():.3f} of the variance")
plt.show()
