"""Prediction of the component of a mixture that a row of codes belongs to."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skspectral.priors.prior import Prior


class ComponentPrior(Prior):
    """Prior with ``predict`` and ``predict_proba`` if it is made of Gaussians."""

    def _offers_components(self) -> bool:
        """Return True if the prior is made of Gaussians; otherwise raise an error."""
        self.require("gaussians", "predict")
        return True

    @available_if(lambda self: self._offers_components())
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the posterior probability of each component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_components), float64
            Probabilities, which sum to 1 in each row.
        """
        check_is_fitted(self)
        return self.mixture().responsibilities(self._codes(X))

    @available_if(lambda self: self._offers_components())
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the component with the highest posterior probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        component : ndarray of shape (n_samples,), int
            Index of the predicted component per row, from 0.
        """
        return self.predict_proba(X).argmax(axis=1)
