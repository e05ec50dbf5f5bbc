"""Load or make images and signals to learn from; nothing is downloaded."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.datasets.galaxies import load_galaxies
from skspectral.datasets.image_blocks import ImageFolderBlocks
from skspectral.datasets.images import (
    cut_patches,
    load_cifar10,
    load_image_folder,
    load_photograph_patches,
)
from skspectral.datasets.signal_files import load_signals
from skspectral.datasets.signals import (
    cut_windows,
    load_eeg,
    load_recordings,
    make_tones,
)

__all__ = [
    "ImageFolderBlocks",
    "cut_patches",
    "cut_windows",
    "load_cifar10",
    "load_eeg",
    "load_galaxies",
    "load_image_folder",
    "load_photograph_patches",
    "load_recordings",
    "load_signals",
    "make_tones",
]
