"""What a fitted dictionary can do: codes from signals, signals from codes, draws."""
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
    clone,
)
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skspectral._device import (
    Samples,
    memory_advice,
    resolve_device,
    working_dtype,
)
from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Interval,
    as_numbers,
    check_same_namespace,
    from_namespace,
    input_dtypes,
    to_namespace_of,
    validate_params,
)
from skspectral._validation import refuse_tensors_of_no_use, refuse_what_is_not_finite
from skspectral.coding import (
    apply_centred,
    combine,
    polish_codes,
)
from skspectral.dictionary.stft import STFT
from skspectral.priors.protocol import draw


class LinearCodeModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes, signals and draws under mean + w S + noise.

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
    transform_stft_weight: float

    # (K, T) and (r, T), float64: map centred samples to codes, and to coordinates
    # along orthonormal axes of the span of the atoms.
    _code_map: np.ndarray
    _axes: np.ndarray
    _stream: np.random.Generator

    def _checked(
        self, X: ArrayLike, *, reset: bool, all_finite: bool | str = False
    ) -> Any:
        """Checked input; finiteness is checked on results, which costs no pass."""
        refuse_tensors_of_no_use(X)
        return validate_data(
            self,
            X,
            dtype=input_dtypes(X),
            ensure_all_finite=all_finite,
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )

    def _stft(self) -> STFT | None:
        """Short-time transform by which codes are polished, if they are."""
        return None

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Ridge least-squares codes; one matrix product.

        With ``transform_stft_weight`` the codes of each sample then lower, by a few
        iterations on its short-time spectra (Kiruluta 2025, equation 8)::

            ||x - x^||^2 + transform_stft_weight * || |STFT x| - |STFT x^| ||_1

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the dtype of X; float32 for uint8.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or not the features of fit.
        MemoryError
            If a batch does not fit into memory.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="components_", method="transform")
        checked = self._checked(X, reset=False)
        samples = from_namespace(checked)
        where: dict[str, Any] = {
            "batch_size": self.batch_size,
            "device": resolve_device(self.device, samples),
        }
        stft = self._stft()
        with memory_advice(self.batch_size):
            mean, code_map, _, axes = self._model()
            codes = apply_centred(samples, mean, code_map, **where)
            if not bool(_isfinite(codes)):
                refuse_what_is_not_finite(checked, self)
            if stft is not None:
                weight = self.transform_stft_weight
                polish_codes(
                    samples, codes, mean, code_map, axes, stft, weight, **where
                )
        return to_namespace_of(checked, codes)

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
        refuse_tensors_of_no_use(X)
        check_same_namespace(
            X, self, attribute="components_", method="inverse_transform"
        )
        checked = check_array(X, dtype=input_dtypes(X)[:2], input_name="X")
        if checked.shape[1] != self.components_.shape[0]:
            raise ValueError(
                f"X has {checked.shape[1]} features, but inverse_transform of "
                f"{type(self).__name__} expects the {self.components_.shape[0]} codes "
                "that transform returns."
            )
        codes = from_namespace(checked)
        mean, _, atoms, _ = self._model()
        device = resolve_device(self.device, codes)
        with memory_advice(self.batch_size):
            signals = combine(codes, mean, atoms, device=device)
        return to_namespace_of(checked, signals)

    def _model(self) -> tuple[Samples, Samples, Samples, Samples]:
        """Mean, code map, components, axes: as the numerics take them."""
        parts = self.mean_, self._code_map, self.components_, self._axes
        mean, code_map, components, axes = map(from_namespace, parts)
        return mean, code_map, components, axes

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
            In the span of the atoms: with the noise's share there, without the rest.
        """
        check_is_fitted(self)
        stream = self._stream if random_state is None else random_stream(random_state)
        coordinates = draw(self.prior_, n_samples, self._axes.shape[0], y, stream)
        return self._signals(coordinates)

    def _signals(self, coordinates: np.ndarray) -> Any:
        """Signals of coordinates along the axes, as ``components_`` are."""
        mean, _, atoms, axes = self._model()
        with memory_advice(self.batch_size):
            signals = combine(
                coordinates,
                mean,
                axes,
                device=resolve_device(self.device, atoms),
                dtype=working_dtype(atoms),
                like=atoms,
            )
        return to_namespace_of(self.components_, signals)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the codes, with the number of the atom.

        With ``windows`` also with the place of the window, from 0 to 1.

        Parameters
        ----------
        input_features : object, default=None
            Not used.

        Returns
        -------
        names : ndarray of str
        """
        names = super().get_feature_names_out(input_features)
        if not hasattr(self, "window_centers_"):
            return names
        centers = as_numbers(self.window_centers_)
        n_windows = len(np.unique(centers, axis=0))
        digits = max(3, len(str(n_windows)) + 1)
        places = ["_".join(f"{x:.{digits}g}" for x in center) for center in centers]
        atoms = names[np.arange(len(names)) // n_windows]
        return np.array(
            [f"{atom}_at_{place}" for atom, place in zip(atoms, places, strict=True)],
            dtype=object,
        )

    @property
    def _n_features_out(self) -> int:
        return self.components_.shape[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = True
        return tags

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return a copy whose arrays are elsewhere; the prior and moments stay numpy's.

        Called by scikit-learn's ``move_estimator_to``.
        """
        new = clone(self)
        for name, value in vars(self).items():
            moves = hasattr(value, "__dlpack__") and name not in self.get_params()
            setattr(new, name, converter(value) if moves else value)
        return new


def _isfinite(array: Samples) -> Any:
    if isinstance(array, torch.Tensor):
        return array.isfinite().all()
    return np.isfinite(array).all()
