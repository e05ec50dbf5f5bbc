"""What every prior made of Gaussians can do once it is fitted."""
# SPDX-License-Identifier: BSD-3-Clause

from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, check_sample_weight, validate_params
from skspectral.priors.normal import Mixture, draw_from, log_mixture_density


class Density(DensityMixin, BaseEstimator):
    """Scores of a fitted distribution of codes.

    A subclass has ``score_samples``, and sets ``n_parameters_`` in ``fit``.
    """

    n_parameters_: int
    score_samples: Callable[[ArrayLike], np.ndarray]

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean log-density of the rows, in nats."""
        return float(np.mean(self.score_samples(X)))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion on ``X``; lower is better."""
        log_density = self.score_samples(X)
        penalty = self._n_free() * np.log(len(log_density))
        return float(penalty - 2 * log_density.sum())

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion on ``X``; lower is better."""
        return float(2 * self._n_free() - 2 * self.score_samples(X).sum())

    def _n_free(self) -> int:
        if not hasattr(self, "n_parameters_"):
            raise TypeError(
                f"{self!r} does not tell its number of free parameters, which an "
                "information criterion needs: use the priors of skspectral.priors."
            )
        return self.n_parameters_


class GaussianDensity(Density):
    """Draws and densities of a mixture of Gaussians, which a subclass fits.

    It has the mixture, and the least variance that a direction counts with: the
    rounding of that of all samples, so that mixtures with other components can be
    compared.
    """

    _made_of_gaussians = True
    _floor: float

    @property
    @abstractmethod
    def _mixture(self) -> Mixture: ...

    def _draw(self, n_samples: int, stream: np.random.Generator) -> np.ndarray:
        return draw_from(self._mixture, n_samples, stream)

    def _log_density(self, X: np.ndarray, floor: float) -> np.ndarray:
        return log_mixture_density(X, self._mixture, floor)

    def _checked(
        self, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes, and weights in numbers of rows, float64."""
        codes: np.ndarray = validate_data(
            self, X, dtype=np.float64, ensure_min_samples=2
        )
        weights = check_sample_weight(sample_weight, codes, ensure_non_negative=True)
        return codes, weights

    @validate_params(
        {"n_samples": [Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState, Generator or None, default=None
            An int repeats its draws; None is different each time, and leaves numpy's
            global state alone.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64
            In random order.
        """
        check_is_fitted(self)
        return self._draw(n_samples, random_stream(random_state))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float64, reset=False)
        return self._log_density(codes, self._floor)
