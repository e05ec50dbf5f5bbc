"""Which component of a prior made of Gaussians a code belongs to."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skspectral.priors.prior import Prior


class ComponentPrior(Prior):
    """Prior whose components are groups of codes, if it is made of Gaussians."""

    def _offers_components(self) -> bool:
        self.require("gaussians", "predict")
        return True

    @available_if(lambda self: self._offers_components())
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Posterior probability of each component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_components), float64
        """
        check_is_fitted(self)
        return self.mixture().responsibilities(self._codes(X))

    @available_if(lambda self: self._offers_components())
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Number of the likeliest component of each row, from 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        component : ndarray of int of shape (n_samples,)
        """
        return self.predict_proba(X).argmax(axis=1)
