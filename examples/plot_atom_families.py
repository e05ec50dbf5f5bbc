# SPDX-License-Identifier: BSD-3-Clause
"""
Kinds of atoms
==============

Choose the kind of wave that fits your data, or write your own kind in a few lines.

The first part learns plane waves, modulated plane waves and Gabor atoms on photographs.
The second part learns chirps, whose frequency rises, on echoes. The last part defines a
new kind of atom.
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
# A plane wave fills the whole patch. With modulation, the amplitude and the phase of a
# plane wave change over the patch. A Gabor atom is a wave in a Gaussian window, and the
# position and the width of the window are learned.
for name, options in {
    "plane waves": {"atoms": "plane_wave", "modulation": None},
    "plane waves with modulation": {"atoms": "plane_wave"},
    "Gabor atoms": {"atoms": "gabor"},
}.items():
    est = SpectralDictionaryLearning(32, signal_shape=SHAPE, **options).fit(train)
    rebuilt = est.inverse_transform(est.transform(test))
    left = ((test - rebuilt) ** 2).sum() / ((test - train.mean(0)) ** 2).sum()
    numbers = est.model_.dictionary.params.size / 32
    figure = plt.figure(figsize=(12, 3.6), layout="constrained")
    figure.suptitle(
        f"{name}: {numbers:.0f} parameters per atom, which explain {1 - left:.3f} of "
        "the variance of new patches"
    )
    shown = range(4, 20)
    AtomDisplay.from_estimator(est, atoms=shown, n_columns=8, ax=figure.subplots())

# %%
# Chirps
# ------
# The signals are noisy echoes of a sweep from 5 to 45 Hz. Two chirps, a sine and a
# cosine, explain these echoes; many sinusoids would be needed to explain as much.
rng = np.random.default_rng(0)
t = np.arange(256) / 256
sweep = 2 * np.pi * (5 * t + 20 * t**2)
echoes = np.sin(sweep + rng.uniform(0, 2 * np.pi, size=(200, 1)))
echoes = echoes + 0.1 * rng.normal(size=echoes.shape)
est = SpectralDictionaryLearning(2, atoms="chirp", sampling_rate=256.0).fit(echoes)
print("frequency in the middle of the signal (Hz):", est.frequencies_.round(1))
print("sweep rate (Hz per second):", est.sweep_rates_.round(1))
print("fraction of the variance:", est.explained_variance_ratio_.sum().round(3))


# %%
# Your own kind of atom
# ---------------------
# A damped wave loses its amplitude over time. A new kind of atom needs methods for the
# amplitude, the angle and their derivatives. ``check_atom_family`` compares the
# derivatives with finite differences before a fit uses them.
class DampedWave(WaveFamily):
    """exp(-d x) sin(2 pi f x + phi), with x from -1/2 to 1/2."""

    def new_atoms(self, waves, grid):
        """Return the parameters of atoms that start without damping."""
        phase = waves.phase + math.pi * waves.frequency[:, 0]
        return torch.stack([waves.frequency[:, 0], phase, 0 * phase], dim=1)

    def angle_and_amplitude(self, params, grid):
        """Return the angle, 2 pi f x + phi, and the amplitude, exp(-d x)."""
        x = grid.flattened().coordinates(params.device)
        angle = 2 * math.pi * params[:, :1] * x + params[:, 1:2]
        return angle, (-params[:, 2:] * x).exp()

    def slopes(self, params, grid, dtype):
        """Return the derivatives with respect to f, phi and d."""
        x = grid.flattened().coordinates(params.device)
        angle = torch.cat([2 * math.pi * x, torch.ones_like(x)])
        amplitude = (-params[:, 2:] * x).exp()
        return Slopes(angle.to(dtype), amplitude, (-x).to(dtype))


check_atom_family(DampedWave(), signal_shape=(256,))
rings = np.exp(-4 * t) * np.sin(2 * np.pi * 20 * t + rng.uniform(0, 6, size=(200, 1)))
for atoms in ("sinusoid", DampedWave()):
    est = SpectralDictionaryLearning(2, atoms=atoms, modulation=None).fit(rings)
    explained = est.explained_variance_ratio_.sum()
    print(f"2 atoms, {atoms!s:12s} explain {explained:.3f} of the variance")
plt.show()
