"""Linear models: Gaussians and Gaussian mixtures on pixels or principal components.

They consist of estimators of scikit-learn.
"""
# SPDX-License-Identifier: BSD-3-Clause

import time
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture


class PrincipalComponents:
    """A Gaussian or a mixture of Gaussians of the scores of principal components.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of principal components. None takes all components, so that one Gaussian
        is a Gaussian of the pixels.
    n_gaussians : int, default=1
        Number of Gaussians in a mixture.
    by_class : bool, default=False
        Whether each label has a mixture of its own.
    """

    def __init__(self, n_components=None, n_gaussians=1, *, by_class=False):
        self.n_components, self.n_gaussians = n_components, n_gaussians
        self.by_class = by_class

    def fit(self, images, labels, seconds):
        """Fit on uint8 images; mixtures stop after about ``seconds`` seconds."""
        end = time.perf_counter() + seconds
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        self._shape = images.shape[1:]
        n_components = min(self.n_components or rows.shape[1], rows.shape[1], len(rows))
        self._pca = PCA(n_components, random_state=0).fit(rows)
        self.n_parameters = rows.shape[1] * (n_components + 1) + n_components
        # Scores are uncorrelated: one Gaussian requires only their variances.
        self._mixtures = []
        if not (self.by_class or self.n_gaussians > 1):
            return
        scores = self._pca.transform(rows).astype(np.float64)
        parts = [scores]
        if self.by_class:
            parts = [scores[labels == label] for label in np.unique(labels)]
        for part in parts:
            fitted = mixture(part, self.n_gaussians, end)
            self._mixtures.append((len(part) / len(scores), fitted))
        per_gaussian = 1 + n_components * (n_components + 3) // 2
        self.n_parameters += len(parts) * self.n_gaussians * per_gaussian

    def sample(self, n_samples, seed):
        """Return images in [0, 1]."""
        stream = np.random.default_rng(seed)
        if self._mixtures:
            # scikit-learn's draws are ordered by Gaussian.
            scores = stream.permutation(self._draws(n_samples, stream))
        else:
            scales = np.sqrt(self._pca.explained_variance_)
            scores = stream.standard_normal((n_samples, len(scales))) * scales
        rows = self._pca.inverse_transform(scores.astype(np.float32))
        return rows.reshape(-1, *self._shape)

    def _draws(self, n_samples, stream):
        """Draw scores from the mixtures, one mixture after the other."""
        fractions = [fraction for fraction, _ in self._mixtures]
        counts = stream.multinomial(n_samples, fractions)
        drawn = []
        for count, (_, fitted) in zip(counts, self._mixtures, strict=True):
            fitted.random_state = int(stream.integers(2**31))
            if count:
                drawn.append(fitted.sample(count)[0])
        return np.concatenate(drawn)


def mixture(scores, n_gaussians, end):
    """Fit a mixture until it has converged or the time ``end`` is reached."""
    model = GaussianMixture(n_gaussians, max_iter=2, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        while True:
            model.fit(scores)
            if model.converged_ or time.perf_counter() > end:
                return model


def linear(labelled):
    """Return models by name; those that require labels only if ``labelled``."""
    models = {
        "Gaussian on pixels": PrincipalComponents(),
        "PCA 128 + Gaussian": PrincipalComponents(128),
        "PCA 256 + Gaussian": PrincipalComponents(256),
        "PCA 512 + Gaussian": PrincipalComponents(512),
        "PCA 128 + mixture of 10": PrincipalComponents(128, 10),
        "PCA 256 + mixture of 10": PrincipalComponents(256, 10),
        "PCA 512 + Gaussian by class": PrincipalComponents(512, by_class=True),
    }
    return {name: m for name, m in models.items() if labelled or not m.by_class}
