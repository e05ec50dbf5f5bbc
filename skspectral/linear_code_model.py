"""What a fitted model x = mean + w S + noise can do."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skspectral._device import resolve_device
from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, validate_params
from skspectral._validation import refuse_what_is_not_finite
from skspectral.coding import apply_centred, combine, coordinates_and_energy
from skspectral.inference import log_density
from skspectral.priors.protocol import draw, gaussian_components

_INPUT_DTYPES = [np.float64, np.float32, np.uint8]


class LinearCodeModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes, signals, draws and likelihoods under mean + w S + noise.

    A subclass learns the attributes below in ``fit``; it has the parameters
    ``batch_size`` and ``device``.

    Attributes
    ----------
    components_ : ndarray of shape (K, T)
        S.
    mean_ : ndarray of shape (T,)
    noise_variance_ : float
    prior_ : object
        Distribution of the coordinates along ``_axes``.
    """

    components_: np.ndarray
    mean_: np.ndarray
    noise_variance_: float
    prior_: Any
    batch_size: int | None
    device: str | torch.device | None

    # (K, T), float64: maps centred samples to codes, and to coordinates along
    # orthonormal axes of the span of the atoms.
    _code_map: np.ndarray
    _axes: np.ndarray
    _stream: np.random.Generator

    def _checked(self, X: ArrayLike, *, reset: bool) -> np.ndarray:
        """Checked input; finiteness is checked on results, which costs no pass."""
        return validate_data(
            self,
            X,
            dtype=_INPUT_DTYPES,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Ridge least-squares codes; one matrix product.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the dtype of X; float32 for uint8.
        """
        check_is_fitted(self)
        samples = self._checked(X, reset=False)
        codes = apply_centred(
            samples,
            self.mean_,
            self._code_map,
            batch_size=self.batch_size,
            device=resolve_device(self.device),
        )
        if not np.isfinite(codes).all():
            refuse_what_is_not_finite(samples, self)
        return codes

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Signals with the given codes: mean + codes @ components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if codes.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {codes.shape[1]} features, but inverse_transform of "
                f"{type(self).__name__} expects the {len(self.components_)} codes "
                "that transform returns."
            )
        return self._combine(codes, self.components_, codes.dtype)

    def _combine(
        self, codes: np.ndarray, matrix: np.ndarray, dtype: np.dtype
    ) -> np.ndarray:
        device = resolve_device(self.device)
        return combine(codes, self.mean_, matrix, device=device, dtype=dtype)

    @validate_params(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def sample(
        self, n_samples: int = 1, *, y: Any = None, random_state: Any = None
    ) -> np.ndarray:
        """Draw new signals: codes from the prior, then `inverse_transform`.

        Parameters
        ----------
        n_samples : int, default=1
        y : object, default=None
            Label to draw for, with a prior whose ``sample`` takes one.
        random_state : int, RandomState instance or None, default=None
            None continues a stream seeded at fit: two calls differ, two runs with the
            same ``random_state`` of the estimator agree. An int repeats its draws.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Without noise.
        """
        check_is_fitted(self)
        stream = self._stream if random_state is None else random_stream(random_state)
        coordinates = draw(self.prior_, n_samples, len(self._axes), y, stream)
        return self._combine(coordinates, self._axes, self.components_.dtype)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each sample under mean + w S + noise and the prior.

        Exact for `GaussianPrior` and scikit-learn's mixtures of Gaussians. Costs one
        matrix product and O(K^2) more for each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats

        Raises
        ------
        TypeError
            If the density of the prior has no closed form.
        """
        check_is_fitted(self)
        components = gaussian_components(self.prior_)
        samples = self._checked(X, reset=False)
        coordinates, energy = coordinates_and_energy(
            samples,
            self.mean_,
            self._axes,
            batch_size=self.batch_size,
            device=resolve_device(self.device),
        )
        if not np.isfinite(energy).all():
            refuse_what_is_not_finite(samples, self)
        return log_density(
            coordinates, energy, len(self.mean_), components, self.noise_variance_
        )

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples`, in nats; higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        score : float
        """
        return float(np.mean(self.score_samples(X)))

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
