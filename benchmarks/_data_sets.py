"""Data sets of the benchmark of few samples.

Each function receives the parsed command line. It returns training rows in random
order, test rows, and options of the model.
"""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from _data import load_image_rows, load_windows
from sklearn.datasets import load_digits
from sklearn.feature_extraction.image import extract_patches_2d

from skspectral.datasets import load_photograph_patches


def digits(args):
    """Load scikit-learn's digits of 8 x 8 pixels, in random order."""
    X = np.random.default_rng(0).permutation(load_digits().data)
    return X[:1000], X[1000:], {"n_components": 20, "signal_shape": (8, 8)}


def plain_digits(args):
    """Load the digits, to be modelled by plain sinusoids."""
    train, test, options = digits(args)
    return train, test, {**options, "modulation": None}


def textures(args):
    """Cut patches from pictures of brick, grass and gravel; test on right halves."""
    from skimage import data

    def patches(half):
        parts = [np.array_split(load(), 2, axis=1)[half] / 255 for load in pictures]
        cut = [
            extract_patches_2d(p, (16, 16), max_patches=1700, random_state=0)
            for p in parts
        ]
        rows = np.concatenate(cut).reshape(-1, 256)
        return np.random.default_rng(half).permutation(rows)

    pictures = (data.brick, data.grass, data.gravel)
    options = {"n_components": 64, "signal_shape": (16, 16), "modulation": None}
    return patches(0), patches(1), options


def photographs(args):
    """Cut patches from scikit-learn's two photographs."""
    parts = load_photograph_patches(5000, 16)
    rows = (part.reshape(len(part), -1) / np.float32(255) for part in parts)
    options = {"n_components": 64, "signal_shape": (16, 16, 3), "modulation": None}
    return *rows, options


def cifar10(args):
    """Load the images given by --cifar10."""
    train, test, shape = load_image_rows(args.cifar10, 5000)
    return train, test, {"n_components": 128, "signal_shape": shape, "modulation": None}


def speech(args):
    """Load the windows given by --speech."""
    train, test, _ = load_windows(args.speech)
    n_components = min(128, train.shape[1] // 2)
    return train, test, {"n_components": n_components, "modulation": None}


DATA = {
    "digits": digits,
    "digits, plain": plain_digits,
    "textures": textures,
    "photographs": photographs,
    "CIFAR-10": cifar10,
    "speech": speech,
}
