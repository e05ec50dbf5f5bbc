# SPDX-License-Identifier: BSD-3-Clause
"""
Images from few atoms
=====================

Learn four times as many Gabor atoms as a patch has pixels, and write each patch with
five of them.

Least-squares codes use all atoms of a dictionary. Sparse codes use few, so that a
dictionary may have more atoms than there are pixels: each patch finds some that fit.
"""

# %%
# The patches
# -----------
# Gray patches of 8 x 8 pixels of a photograph, without their means.
import matplotlib.pyplot as plt
import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches
from skspectral.plotting import AtomDisplay

train, test = load_photograph_patches(4000, size=8)
train, test = (part.reshape(len(part), 64, 3).mean(axis=2) for part in (train, test))
train, test = (part - part.mean(axis=1, keepdims=True) for part in (train, test))

# %%
# The atoms
# ---------
# The fit alternates between codes with five nonzeros and steps of the atoms.
est = SpectralDictionaryLearning(
    256, signal_shape=(8, 8), atoms="gabor", n_nonzero_coefs=5, random_state=0
)
est.fit(train)
AtomDisplay.from_estimator(est, atoms=48)

# %%
# Errors
# ------
# With 5 of 256 Gabor atoms, the error of new patches is much lower than with 5
# atoms that all patches share, and lower than with 5 of 64 waves.
waves = SpectralDictionaryLearning(64, signal_shape=(8, 8), random_state=0).fit(train)
counts = [1, 2, 3, 5, 8, 12]
figure, panel = plt.subplots(figsize=(6, 4), layout="constrained")
for name, model in (("256 Gabor atoms", est), ("64 waves", waves)):
    errors = []
    for n in counts:
        model.set_params(transform_algorithm="omp", transform_n_nonzero_coefs=n)
        found = model.inverse_transform(model.transform(test))
        errors.append(((test - found) ** 2).sum() / (test**2).sum())
    panel.semilogy(counts, errors, "o-", label=name)
shared = [SpectralDictionaryLearning(n, signal_shape=(8, 8)).fit(train) for n in counts]
panel.semilogy(
    counts,
    [
        ((test - model.inverse_transform(model.transform(test))) ** 2).sum()
        / (test**2).sum()
        for model in shared
    ],
    "o-",
    label="the same atoms for all patches",
)
panel.set(xlabel="number of nonzero codes", ylabel="error of new patches")
panel.legend()
print(f"a patch uses {np.mean((est.transform(test) != 0).sum(axis=1)):.1f} atoms")
plt.show()
