"""An example of a third-party prior: one file that uses only public names."""

import numpy as np
from scipy.special import softmax
from sklearn.utils.validation import validate_data

from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors import Capabilities, Prior


class ScaleMixturePrior(Prior):
    """Gaussians of equal mean and shape and of different scales, for heavy tails."""

    capabilities = Capabilities(gaussians=True)

    def __init__(self, scales=(0.25, 1.0, 4.0), n_iter=20):
        self.scales = scales
        self.n_iter = n_iter

    def fit(self, X, y=None):
        """Maximise the likelihood by expectation maximisation."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.mean_, self.shape_ = X.mean(0), np.cov(X.T, bias=True)
        self.weights_ = np.full(len(self.scales), 1 / len(self.scales))
        for _ in range(self.n_iter):
            share = softmax(self.mixture().log_joint(X), axis=1)
            self.weights_ = share.mean(0)
            precision = share @ (1 / np.array(self.scales))
            self.mean_ = precision @ X / precision.sum()
            centred = X - self.mean_
            self.shape_ = (centred.T * precision) @ centred / len(X)
        return self

    def mixture(self):
        """Return the Gaussians, which likelihoods and posteriors are computed from."""
        parts = [
            Gaussian.from_covariance(self.mean_, scale * self.shape_)
            for scale in self.scales
        ]
        return Mixture(self.weights_, tuple(parts))
