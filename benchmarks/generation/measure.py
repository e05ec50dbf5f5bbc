"""Figures of generated images, and of real images for comparison."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy.special import softmax

from skspectral.metrics import (
    authenticity,
    classifier_score,
    density_coverage,
    extract_features,
    frechet_distance,
    kernel_distance,
    memorization_ratio,
    radial_spectrum_distance,
)

# Number of samples whose nearest training image is searched.
N_COPIES = 1000


class Judge:
    """Compares images with the test images, in features of a network.

    Parameters
    ----------
    data : Data
        Training and test images.
    extractor : str, Path or callable
        Extractor for `extract_features`, which returns features, or features and
        logits.
    prefix : str, default=""
        Prefix of the names of the figures.
    """

    def __init__(self, data, extractor, prefix=""):
        self.extractor, self.prefix = extractor, prefix
        self.test, _ = self._outputs(data.test)
        self.train, _ = self._outputs(data.train)

    def _outputs(self, images):
        """Return features and logits. Logits are None if there are none."""
        outputs = extract_features(images, self.extractor)
        return outputs if isinstance(outputs, tuple) else (outputs, None)

    def figures(self, images):
        """Return figures by name."""
        features, logits = self._outputs(images)
        real = self.test
        size = min(1000, len(real), len(features))
        kernel = kernel_distance(real, features, subset_size=size, random_state=0)
        neighbours = density_coverage(real, features)
        figures = {
            "frechet_distance": frechet_distance(real, features),
            "kernel_distance": kernel.mean,
            "kernel_distance_std": kernel.std,
            "density": neighbours.density,
            "coverage": neighbours.coverage,
            "memorization_features": memorization_ratio(
                self.train, real[:N_COPIES], features[:N_COPIES]
            ),
        }
        if logits is not None:
            probabilities = softmax(logits, axis=1)
            figures["classifier_score"] = classifier_score(probabilities).mean
        return {self.prefix + name: value for name, value in figures.items()}


class Pixels:
    """Compares images with the test images, without a network."""

    def __init__(self, data):
        self._test = data.test
        self._train_rows = halved(data.train)
        self._test_rows = halved(data.test[:N_COPIES])

    def figures(self, images):
        """Return figures by name."""
        train, rows = self._train_rows, halved(images[:N_COPIES])
        return {
            "radial_spectrum_distance": radial_spectrum_distance(self._test, images),
            "memorization_pixels": memorization_ratio(train, self._test_rows, rows),
            "copies": 1 - authenticity(train, rows),
        }


def halved(images):
    """Return rows of images of half the height and width.

    Copies of training images are still detected at this size.
    """
    n, height, width, n_channels = images.shape
    pairs = images.reshape(n, height // 2, 2, width // 2, 2, n_channels)
    return pairs.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1)
