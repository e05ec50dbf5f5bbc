"""Simple features of images and signals, and their correlation with codes."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

import numpy as np

from skspectral.grid import Grid

Feature = Callable[[np.ndarray], np.ndarray]


def default_features(grid: Grid) -> dict[str, Feature]:
    """Return features by name, as functions from (n, *signal_shape) to (n,)."""
    if grid.n_axes == 3 or (grid.n_axes == 1 and grid.channels > 1):
        return {"mean": _mean, "standard deviation": _contrast}
    if not grid.is_image:
        return {
            "mean": _mean,
            "rms": _rms,
            "zero crossings": _zero_crossings,
            "spectral centroid": _spectral_centroid,
        }
    features: dict[str, Feature] = {"brightness": _mean, "contrast": _contrast}
    if min(grid.sizes) > 1:
        features["edges"] = _edges
    if grid.channels == 3:
        features["colourfulness"] = _colourfulness
    return features


def correlations(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of columns, (n, F) and (n, K) -> (F, K).

    The correlation with a constant column is NaN.
    """
    first, second = _standardised(features), _standardised(codes)
    return np.clip(first.T @ second, -1, 1)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Return centred columns with unit norm; constant columns become NaN."""
    centred = columns - columns.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    rounding = 1e-12 * np.linalg.norm(columns, axis=0)
    return centred / np.where(norms > rounding, norms, np.nan)


def _mean(signals: np.ndarray) -> np.ndarray:
    return signals.reshape(len(signals), -1).mean(axis=1)


def _contrast(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).std(axis=1)


def _edges(images: np.ndarray) -> np.ndarray:
    """Return the mean magnitude of the gradient, after averaging over the channels."""
    grey = images if images.ndim == 3 else images.mean(axis=3)
    down, right = np.gradient(grey, axis=(1, 2))
    return np.hypot(down, right).mean(axis=(1, 2))


def _colourfulness(images: np.ndarray) -> np.ndarray:
    """Return the colourfulness: spread and mean of the opponent colours.

    Hasler and Süsstrunk (2003), Measuring colourfulness in natural images.
    """
    red, green, blue = np.moveaxis(images.reshape(len(images), -1, 3), 2, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread = np.linalg.norm(opponents.std(axis=2), axis=0)
    return spread + 0.3 * np.linalg.norm(opponents.mean(axis=2), axis=0)


def _rms(signals: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(signals**2, axis=1))


def _zero_crossings(signals: np.ndarray) -> np.ndarray:
    """Return the number of times that a signal crosses its own mean."""
    above = signals > signals.mean(axis=1, keepdims=True)
    return np.count_nonzero(above[:, 1:] != above[:, :-1], axis=1).astype(float)


def _spectral_centroid(signals: np.ndarray) -> np.ndarray:
    """Return the mean frequency, weighted by the power around the mean of the signal.

    The result is 0 for constant signals.
    """
    power = np.abs(np.fft.rfft(signals - signals.mean(axis=1, keepdims=True))) ** 2
    total = power.sum(axis=1)
    return power @ np.arange(power.shape[1]) / np.where(total > 0, total, 1.0)
