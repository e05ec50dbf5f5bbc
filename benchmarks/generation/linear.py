"""Linear rivals: Gaussians and mixtures of them on pixels and on principal components.

scikit-learn's, as a user would put them together.
"""
# SPDX-License-Identifier: BSD-3-Clause

import time
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture


class PrincipalComponents:
    """A Gaussian, or a mixture, of the scores of so many principal components.

    Parameters
    ----------
    n_components : int or None
        None takes all: the Gaussian is that of the pixels.
    n_gaussians : int
    by_class : bool
        Whether each label has Gaussians of its own.
    """

    def __init__(self, n_components=None, n_gaussians=1, *, by_class=False):
        self.n_components, self.n_gaussians = n_components, n_gaussians
        self.by_class = by_class

    def fit(self, images, labels, seconds):
        """Fit on uint8 images; mixtures are given up to so many seconds."""
        end = time.perf_counter() + seconds
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        self._shape = images.shape[1:]
        n_components = min(self.n_components or rows.shape[1], rows.shape[1], len(rows))
        self._pca = PCA(n_components, random_state=0).fit(rows)
        self.n_parameters = rows.shape[1] * (n_components + 1) + n_components
        # One Gaussian needs the variances alone: scores are uncorrelated.
        self._laws = []
        if not (self.by_class or self.n_gaussians > 1):
            return
        scores = self._pca.transform(rows).astype(np.float64)
        parts = [scores]
        if self.by_class:
            parts = [scores[labels == label] for label in np.unique(labels)]
        for part in parts:
            law = mixture(part, self.n_gaussians, end)
            self._laws.append((len(part) / len(scores), law))
        of_one = 1 + n_components * (n_components + 3) // 2
        self.n_parameters += len(parts) * self.n_gaussians * of_one

    def sample(self, n_samples, seed):
        """Images from 0 to 1."""
        stream = np.random.default_rng(seed)
        if self._laws:
            # scikit-learn draws one Gaussian after the other.
            scores = stream.permutation(self._draws(n_samples, stream))
        else:
            spread = np.sqrt(self._pca.explained_variance_)
            scores = stream.standard_normal((n_samples, len(spread))) * spread
        rows = self._pca.inverse_transform(scores.astype(np.float32))
        return rows.reshape(-1, *self._shape)

    def _draws(self, n_samples, stream):
        counts = stream.multinomial(n_samples, [share for share, _ in self._laws])
        drawn = []
        for count, (_, law) in zip(counts, self._laws, strict=True):
            law.random_state = int(stream.integers(2**31))
            if count:
                drawn.append(law.sample(count)[0])
        return np.concatenate(drawn)


def mixture(scores, n_gaussians, end):
    """Fit a mixture until it has converged or the time is over."""
    law = GaussianMixture(n_gaussians, max_iter=2, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        while True:
            law.fit(scores)
            if law.converged_ or time.perf_counter() > end:
                return law


def linear(labelled):
    """The models by name; some need labels."""
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
