"""The prior of sparse codes."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, check_array, fit_context, validated
from skspectral.priors.prior import Capabilities, Prior


class SpikeAndSlabPrior(Prior):
    """Independent codes that are zero with a probability of their own.

    A code is zero with the probability 1 - p_k ("spike"). Otherwise it is positive with
    the probability q_k, and its absolute value is that of a normal variable with the
    standard deviation s_k ("slab"). With q_k = 1/2 the slab is the normal distribution.

    An estimator with this prior fits it to the sparse codes that `transform` computes,
    so that `sample` draws sums of few atoms.

    Attributes
    ----------
    probabilities_ : ndarray of shape (`n_features_in_`,)
        Probability p_k that a code is not zero.
    positive_ : ndarray of shape (`n_features_in_`,)
        Probability q_k that a code that is not zero is positive; 1/2 for codes that
        are always zero.
    scales_ : ndarray of shape (`n_features_in_`,)
        Root mean square s_k of the codes that are not zero; 0 if all are zero.
    n_parameters_ : int
        Number of free parameters, 3 per code.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    GaussianPrior : Distribution of all coordinates, with their correlations.

    Notes
    -----
    Codes are independent, so that draws do not show which atoms occur together.

    References
    ----------
    T. J. Mitchell, J. J. Beauchamp (1988). Bayesian variable selection in linear
    regression. Journal of the American Statistical Association 83.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.priors import SpikeAndSlabPrior
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(
    ...     30,
    ...     signal_shape=(8, 8),
    ...     transform_algorithm="omp",
    ...     transform_n_nonzero_coefs=5,
    ...     prior=SpikeAndSlabPrior(),
    ... )
    >>> print(est.fit(X).prior_.probabilities_.sum().round(1))
    5.0
    >>> codes = est.prior_.sample_codes(3, random_state=0)
    >>> codes.shape
    (3, 30)
    """

    _parameter_constraints: dict[str, list[Any]] = {}

    # Maps codes to coordinates, (K, rank). None means that the draws are codes.
    _atoms: np.ndarray | None

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        atoms: np.ndarray | None = None,
    ) -> "SpikeAndSlabPrior":
        """Estimate the probabilities and scales of the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes, most of which are exactly zero.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. None means weights of 1.
        atoms : ndarray of shape (n_codes, n_coordinates) or None, default=None
            Matrix that maps codes to the coordinates that `sample` draws. None means
            that `sample` draws codes.

        Returns
        -------
        self : SpikeAndSlabPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or no row with a positive weight.
        """
        X, weight = self._checked(X, sample_weight)
        fraction = weight / weight.sum()
        self.probabilities_ = fraction @ (X != 0)
        used = np.where(self.probabilities_ > 0, self.probabilities_, 1.0)
        is_used = self.probabilities_ > 0
        self.positive_ = np.where(is_used, (fraction @ (X > 0)) / used, 0.5)
        self.scales_ = np.sqrt((fraction @ X**2) / used)
        self.n_parameters_ = 3 * X.shape[1]
        self._atoms = None if atoms is None else check_array(atoms, "atoms")
        return self

    @property
    def capabilities(self) -> Capabilities:
        """Weights, and sparse codes in place of coordinates."""
        return Capabilities(weights=True, sparse_codes=True)

    @validated(n_samples=[Interval(Integral, 1, None, closed="left")])
    def sample_codes(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw sparse codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. An int gives the same draws in each call, and those whose
            coordinates `sample` returns.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            The draws. `inverse_transform` of the estimator makes signals of them.
        """
        check_is_fitted(self)
        return self._draw_codes(n_samples, random_stream(random_state))

    def _draw(self, n_samples: int, y: Any, stream: np.random.Generator) -> np.ndarray:
        codes = self._draw_codes(n_samples, stream)
        return codes if self._atoms is None else codes @ self._atoms

    def _draw_codes(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        size = (n_samples, len(self.scales_))
        present = stream.random(size) < self.probabilities_
        sign = np.where(stream.random(size) < self.positive_, 1.0, -1.0)
        return present * sign * np.abs(stream.standard_normal(size)) * self.scales_
