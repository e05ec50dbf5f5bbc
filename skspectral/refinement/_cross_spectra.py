"""Maps of the channels of each bin, from one cross-spectrum to another."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from skspectral.metrics._rings import ring_frequencies
from skspectral.refinement._spectra import iter_spectra


def cross_spectra(images: np.ndarray) -> np.ndarray:
    """Mean of z z^H over images; (height, width // 2 + 1, channels, channels)."""
    total: np.ndarray | float = 0.0
    for spectra in iter_spectra(images):
        channels = np.transpose(spectra, (2, 3, 1, 0))
        total = total + channels @ channels.conj().swapaxes(-1, -2)
    return np.asarray(total) / len(images)


def transport_maps(
    generated: np.ndarray, real: np.ndarray, reg: float, floor: float
) -> np.ndarray:
    """The matrix of each bin that moves one Gaussian to the other at the least cost.

    ``A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)`` for cross-spectra A, B, with
    eigenvalues of at least ``reg`` times the largest of their bin, and ``floor^2``.
    """
    source, target = (_conditioned(s, reg, floor) for s in (generated, real))
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def identity_below(
    maps: np.ndarray, min_frequency: float, shape: tuple[int, ...]
) -> np.ndarray:
    """The maps, with the identity at DC and at frequencies below the one given."""
    frequencies = ring_frequencies(shape, "longer")
    kept = (frequencies < min_frequency) | (frequencies == 0)
    return np.where(kept[..., None, None], np.eye(maps.shape[-1]), maps)


def mapped(spectra: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Channels of each bin times its matrix; spectra are (n, channels, height, ...)."""
    channels = np.transpose(spectra, (2, 3, 1, 0))
    return np.transpose(maps @ channels, (3, 2, 0, 1))


def _conditioned(spectra: np.ndarray, reg: float, floor: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(spectra)
    smallest = np.maximum(reg * values[..., -1:], floor**2)
    return _from_eigen(np.maximum(values, smallest), vectors)


def _power(spectra: np.ndarray, exponent: float) -> np.ndarray:
    """Power of positive definite matrices."""
    values, vectors = np.linalg.eigh(spectra)
    tiny = np.finfo(values.dtype).tiny
    return _from_eigen(np.maximum(values, tiny) ** exponent, vectors)


def _from_eigen(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (vectors * values[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
