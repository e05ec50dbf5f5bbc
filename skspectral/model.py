"""The fitted linear model x = mean + w S + noise.

`LinearModel` maps samples to codes, and to coordinates in an orthonormal basis of the
span of the atoms, and back. Together with the prior it contains all that likelihood,
denoising, imputation, control and plots need to know of a fit.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from skspectral._device import Samples, as_array, as_tensor
from skspectral.atoms.family import AtomModel
from skspectral.atoms.windows import smooth_windows
from skspectral.coding.gram import Gram
from skspectral.coding.linear import apply_centred, combine, coordinates_and_energy
from skspectral.coding.sparse import CodingReport, SparseCoding, sparse_codes
from skspectral.coding.spectral import polish_codes
from skspectral.coding.whitening import Whitening
from skspectral.grid import Grid
from skspectral.stft import STFT


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Learned atoms and their description.

    Attributes
    ----------
    components : array of shape (K, T)
        Atoms of unit norm. With windows each wave occurs once per window: K = n_waves *
        n_windows.
    atoms : AtomModel
        Family of the waves, on the grid of the signals.
    params : ndarray
        Parameters of the waves, in the layout of the family.
    frequency : ndarray of shape (n_waves, D)
        Wave vector of the nearest plain wave, in cycles over each axis of
        ``atoms.wave_grid``.
    phase : ndarray of shape (n_waves,)
        Phase of the nearest plain wave at the first sample, in radians.
    colour : ndarray of shape (n_waves, n_channels)
        Relative strength of each wave in each channel, of unit norm.
    amplitude : ndarray of shape (n_waves,)
        Root mean square amplitude of the wave of unit norm.
    extras : mapping of str to ndarray
        Further quantities of the family, in public units.
    window_counts : tuple of int or None
        Number of windows along each axis of the signals. None means no windows.
    """

    components: Samples
    atoms: AtomModel
    params: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray
    colour: np.ndarray
    amplitude: np.ndarray
    extras: Mapping[str, np.ndarray]
    window_counts: tuple[int, ...] | None = None

    @property
    def grid(self) -> Grid:
        """The grid of the signals."""
        return self.atoms.grid

    @property
    def wave_grid(self) -> Grid:
        """The grid along whose axes the waves run."""
        return self.atoms.wave_grid

    @property
    def windows(self) -> np.ndarray:
        """Window functions, shape (n_windows, T). Without windows, one constant 1."""
        return self._windows_and_centers[0]

    @cached_property
    def _windows_and_centers(self) -> tuple[np.ndarray, np.ndarray]:
        if self.window_counts is None:
            n_axes = len(self.grid.sizes)
            return np.ones((1, self.grid.n_features)), np.full((1, n_axes), 0.5)
        return smooth_windows(self.grid, self.window_counts)

    @property
    def n_parameters(self) -> int:
        """Number of independent parameters of the waves of unit norm.

        The length of an atom is not counted. Neither is a parameter whose effect is
        that of another parameter, such as the phase of a wave of frequency 0.
        """
        params = torch.as_tensor(self.params)
        if not self.atoms.separable:
            return params.numel() - len(self.phase)
        return int(self.atoms.n_independent(params).sum())

    def describe(self) -> dict[str, np.ndarray]:
        """Return the public description of the K atoms, by name and in public units.

        The estimator publishes each entry as an attribute, with an underscore added.
        """
        vectors = self.frequency * self.wave_grid.units
        found = {
            "frequencies": np.linalg.norm(vectors, axis=1),
            "phases": self.phase,
            "amplitudes": self.amplitude,
            **self.extras,
        }
        if self.wave_grid.n_axes > 1:
            found["wave_vectors"] = vectors
        if self.wave_grid.is_image:
            found["orientations"] = np.arctan2(vectors[:, 0], vectors[:, 1]) % np.pi
            found["colors"] = self.colour
        elif self.wave_grid.channels > 1:
            found.setdefault("patterns", self.colour)
        if self.window_counts is None:
            return found
        windows, centers = self._windows_and_centers
        found = {
            name: np.repeat(values, len(windows), axis=0)
            for name, values in found.items()
        }
        found["window_centers"] = np.tile(centers, (len(self.phase), 1))
        return found


@dataclass(frozen=True, eq=False)
class LinearModel:
    """The fitted linear model x = mean + w S + noise.

    The arrays are numpy arrays or, if the training data were tensors, tensors.

    Attributes
    ----------
    mean : array of shape (T,)
        Mean of the samples; zeros if the model was fitted without a mean.
    dictionary : Dictionary
        The atoms S.
    basis : array of shape (r, T), float64
        Orthonormal basis of the span of the atoms.
    coordinate_mean : ndarray of shape (r,), float64
        Mean of the coordinates of the training data, about 0 if the model has a mean.
    coordinate_covariance : ndarray of shape (r, r), float64
        Covariance of the coordinates of the training data, without shrinkage.
    code_map : array of shape (K, T), float64
        Matrix that maps centred samples to ridge least-squares codes.
    noise_variance : float
        Variance of the noise per dimension outside the span.
    ridge : float
        Penalty on squared codes.
    whitening : Whitening or None
        Map from least-squares codes to white codes. None means that codes are not
        whitened.
    """

    mean: Samples
    dictionary: Dictionary
    basis: Samples
    coordinate_mean: np.ndarray
    coordinate_covariance: np.ndarray
    code_map: Samples
    noise_variance: float
    ridge: float
    whitening: Whitening | None = None

    @property
    def components(self) -> Samples:
        """The atoms S, shape (K, T)."""
        return self.dictionary.components

    @property
    def grid(self) -> Grid:
        """The grid of the signals."""
        return self.dictionary.grid

    @property
    def rank(self) -> int:
        """Number r of coordinates, the dimension of the span of the atoms."""
        return len(self.basis)

    @cached_property
    def encoder(self) -> Samples:
        """Matrix that maps centred samples to public codes, shape (K, T)."""
        if self.whitening is None:
            return self.code_map
        return self.whitening.matrix @ as_array(self.code_map, np.float64)

    @cached_property
    def decoder(self) -> Samples:
        """Matrix that maps public codes to centred signals, shape (K, T)."""
        if self.whitening is None:
            return self.components
        return self.whitening.inverse.T @ as_array(self.components, np.float64)

    def code_moments(self, code_map: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of codes of the training data.

        The rows of ``code_map``, shape (K, T), lie in the span of the atoms. The codes
        of a centred sample are its products with these rows.
        """
        of_coordinates = as_array(code_map, np.float64) @ self.float64()[2].T
        covariance = of_coordinates @ self.coordinate_covariance @ of_coordinates.T
        return of_coordinates @ self.coordinate_mean, (covariance + covariance.T) / 2

    def encode(
        self,
        X: Samples,
        *,
        device: torch.device,
        batch_size: int | None = None,
        stft: STFT | None = None,
        stft_weight: float = 0.0,
    ) -> Samples:
        """Return the public codes of samples, shape (n, K), in the dtype of X.

        The codes are white if the model has a ``whitening``. With ``stft``, finite
        codes are refined to lower the spectral loss, too, see ``coding/spectral.py``.
        """
        where: dict[str, Any] = {"device": device, "batch_size": batch_size}
        if stft is None:
            return apply_centred(X, self.mean, self.encoder, **where)
        codes = apply_centred(X, self.mean, self.code_map, **where)
        if is_finite(codes):
            polish_codes(
                X,
                codes,
                self.mean,
                self.code_map,
                self.basis,
                stft,
                stft_weight,
                **where,
            )
        if self.whitening is None:
            return codes
        no_mean = np.zeros(len(self.whitening.matrix))
        return combine(codes, no_mean, self.whitening.matrix.T, device=device)

    def sparse_codes(
        self,
        X: Samples,
        coding: SparseCoding,
        *,
        device: torch.device,
        batch_size: int | None = None,
    ) -> tuple[Samples, CodingReport]:
        """Return sparse codes of samples, (n, K), and what happened to the rows."""
        gram = Gram.of(as_tensor(self.components, device, torch.float64))
        return sparse_codes(
            X,
            self.mean,
            self.components,
            gram,
            coding,
            device=device,
            batch_size=batch_size,
        )

    def decode(self, codes: Samples, *, device: torch.device) -> Samples:
        """Return the signals of public codes, in the dtype of the codes.

        The codes must be white if the model has a ``whitening``.
        """
        return combine(codes, self.mean, self.decoder, device=device)

    def coordinates(
        self, X: Samples, *, device: torch.device, batch_size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates (x - mean) basis', (n, r), and ||x - mean||^2, (n,).

        Both are numpy arrays in float64, the precision in which priors are fitted.
        """
        return coordinates_and_energy(
            X, self.mean, self.basis, device=device, batch_size=batch_size
        )

    def signals(
        self,
        coordinates: np.ndarray,
        *,
        device: torch.device,
        dtype: torch.dtype,
        like: Samples,
    ) -> Samples:
        """Return the signals mean + coordinates basis, in the given dtype.

        The result is an array of the kind and on the device of ``like``.
        """
        return combine(
            coordinates, self.mean, self.basis, device=device, dtype=dtype, like=like
        )

    def converted(self, convert: Callable[[Samples], Samples]) -> "LinearModel":
        """Return a copy with large arrays converted, for example to another device."""
        components = convert(self.components)
        return replace(
            self,
            mean=convert(self.mean),
            dictionary=replace(self.dictionary, components=components),
            basis=convert(self.basis),
            code_map=convert(self.code_map),
        )

    def __getstate__(self) -> dict[str, Any]:
        derived = ("encoder", "decoder")
        return {k: v for k, v in self.__dict__.items() if k not in derived}

    def float64(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean, components and basis as numpy arrays in float64."""
        parts = self.mean, self.components, self.basis
        mean, components, basis = (as_array(part, np.float64) for part in parts)
        return mean, components, basis


def is_finite(array: Samples) -> bool:
    """Return whether all entries of an array or tensor are finite."""
    if isinstance(array, torch.Tensor):
        return bool(array.isfinite().all())
    return bool(np.isfinite(array).all())
