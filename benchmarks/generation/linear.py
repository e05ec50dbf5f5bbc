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
    """

    def __init__(self, n_components=None, n_gaussians=1):
        self.n_components, self.n_gaussians = n_components, n_gaussians

    def fit(self, images, labels, seconds):
        """Fit on uint8 images; a mixture is given up to so many seconds."""
        start = time.perf_counter()
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        self._shape = images.shape[1:]
        n_components = min(self.n_components or rows.shape[1], rows.shape[1], len(rows))
        self._pca = PCA(n_components, random_state=0).fit(rows)
        # One Gaussian needs the variances alone: scores are uncorrelated.
        self._mixture = None
        self.n_parameters = rows.shape[1] * (n_components + 1) + n_components
        if self.n_gaussians > 1:
            scores = self._pca.transform(rows).astype(np.float64)
            self._fit_mixture(scores, start + seconds)
            of_one = 1 + n_components * (n_components + 3) // 2
            self.n_parameters += self.n_gaussians * of_one

    def _fit_mixture(self, scores, end):
        self._mixture = GaussianMixture(
            self.n_gaussians, max_iter=2, warm_start=True, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            while True:
                self._mixture.fit(scores)
                if self._mixture.converged_ or time.perf_counter() > end:
                    return

    def sample(self, n_samples, seed):
        """Images from 0 to 1."""
        if self._mixture is None:
            spread = np.sqrt(self._pca.explained_variance_)
            stream = np.random.default_rng(seed)
            scores = stream.standard_normal((n_samples, len(spread))) * spread
        else:
            self._mixture.random_state = seed
            scores = self._mixture.sample(n_samples)[0]
            # scikit-learn draws one Gaussian after the other.
            scores = np.random.default_rng(seed).permutation(scores)
        rows = self._pca.inverse_transform(scores.astype(np.float32))
        return rows.reshape(-1, *self._shape)


LINEAR = {
    "Gaussian on pixels": PrincipalComponents(),
    "PCA 128 + Gaussian": PrincipalComponents(128),
    "PCA 256 + Gaussian": PrincipalComponents(256),
    "PCA 128 + mixture of 10": PrincipalComponents(128, 10),
    "PCA 256 + mixture of 10": PrincipalComponents(256, 10),
}
