# SPDX-License-Identifier: BSD-3-Clause
"""
Quickstart
==========

Fit a model to handwritten digits, draw new digits, and then use your own data.

This page takes about ten minutes.

Install
-------
skspectral needs Python 3.11 or newer and no GPU. Run this command in the folder of the
repository:

.. code-block:: bash

    python -m pip install .

Fit
---
Every row of ``X`` is one sample: here an image of 8 x 8 pixels, flattened row by row.
``signal_shape`` gives the shape of the image. The model writes each image as the mean
image plus a weighted sum of 20 waves. The waves are called *atoms* and are common to
all images. The weights are called *codes*; each image has 20 codes of its own.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import AtomDisplay, SampleGridDisplay
from skspectral.priors import ClassConditionalPrior

X, y = load_digits(return_X_y=True)
est = SpectralDictionaryLearning(
    n_components=20, signal_shape=(8, 8), prior=ClassConditionalPrior(), random_state=0
)
codes = est.fit(X, y).transform(X)
print("shape of the codes:", codes.shape)
print(f"fraction of the variance: {est.explained_variance_ratio_.sum():.2f}")

# %%
# Look at the atoms
# -----------------
# Each atom is a wave with a frequency in cycles per image, a direction and a phase. Its
# amplitude may change over the image. The display shows the atoms that explain most of
# the variance.
AtomDisplay.from_estimator(est, atoms=8, n_columns=4)

# %%
# Rebuild images, and draw new ones
# ---------------------------------
# ``inverse_transform`` computes images from codes. ``sample`` draws new images: the
# model learns how the codes are distributed, and this distribution is called the
# *prior*. The prior used here is one Gaussian distribution for each label, so that each
# draw can be given a label.
rebuilt = est.inverse_transform(codes[:10])
new = est.sample(10, y=np.arange(10))
display = SampleGridDisplay.from_arrays(
    np.concatenate([X[:10], rebuilt, new]), (8, 8), n_columns=10, vmin=0, vmax=16
)
for row, name in zip(display.axes_[::10], ("data", "rebuilt", "new"), strict=True):
    row.set_ylabel(name)
plt.show()

# %%
# Use your own data
# -----------------
# .. index:: ! audio
#
# An array with one sample in each row is all that ``fit`` needs.
#
# **Images.** ``load_image_folder`` cuts square colour patches out of all pictures below
# a folder:
#
# .. code-block:: python
#
#     from skspectral.datasets import load_image_folder
#
#     train, test = load_image_folder("my_pictures", n_patches=5000, size=16)
#     X = train.reshape(len(train), -1) / 255.0
#     est = SpectralDictionaryLearning(64, signal_shape=(16, 16, 3)).fit(X)
#
# **Audio.** ``load_recordings`` cuts windows out of all WAV files below a folder. With
# ``sampling_rate``, frequencies are in Hz. A sound can begin anywhere in a window, so
# that atoms without modulation (``modulation=None``) suit sounds best:
#
# .. code-block:: python
#
#     from skspectral.datasets import load_recordings
#
#     X, rate = load_recordings("my_recordings", length=512)
#     est = SpectralDictionaryLearning(64, modulation=None, sampling_rate=rate).fit(X)
#     print(est.frequencies_)
#
# **A table.** In this CSV file, each line is one signal and each column one point in
# time. ``load_signals`` skips a first line of names, and reads empty cells as NaN, a
# missing value. The model is fitted to the complete rows, and then fills the missing
# values:
#
# .. code-block:: python
#
#     from skspectral.datasets import load_signals
#
#     X = load_signals("my_signals.csv")
#     complete = ~np.isnan(X).any(axis=1)
#     est = SpectralDictionaryLearning(16, sampling_rate=100).fit(X[complete])
#     print(est.frequencies_)  # in Hz, for 100 points per second
#     filled = est.impute(X)
#     new = est.sample(10)
#
# - If each column is one signal, fit to ``X.T`` instead of ``X``.
# - If the file holds one long signal, cut the signal into rows first:
#   ``skspectral.datasets.cut_windows(X.ravel(), length=512)``.
# - With fewer than 16 points per signal, use fewer atoms than 16.
#
# :doc:`plot_own_signals` does all of this for a CSV file, and draws the results.
#
# Where to read on
# ----------------
# - :doc:`/user_guide/index`: the model, its parameters and what each method computes.
# - :doc:`/auto_examples/index`: denoise photographs, fill gaps, find anomalies, and
#   more.
# - :doc:`/user_guide/plots`: displays of atoms, codes and spectra.
# - :doc:`/coming_from`: the same tasks with PCA, mixtures, isolation forests and
#   librosa.
