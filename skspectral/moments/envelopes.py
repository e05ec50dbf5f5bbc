"""Products of an envelope at two positions, as functions of their sum and their lag."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.grid import Grid

# Values of an envelope below this fraction of the largest do not determine its shape.
_SMALL = 1e-6
# Largest error of the fitted shape, as a fraction of the largest value.
_TOLERANCE = 1e-10


def pair_factors(
    envelope: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return p and q with g(t) g(s) = p(t + s) q(s - t) for an envelope g.

    These functions exist if log g is a quadratic polynomial, because then the squares
    of two positions are a function of their sum and their lag::

        t^2 + s^2 = (t + s)^2 / 2 + (s - t)^2 / 2.

    Constants, Gaussian windows and chirps have this form.

    Parameters
    ----------
    envelope : tensor of shape (T,), float64 or complex128
        The envelope g, equal in all channels of a position.
    grid : Grid
        Axes and channels of the signals.

    Returns
    -------
    factors : tuple of two tensors of shape (2 height - 1, 2 width - 1), or None
        The function p of the sums of two indices, from zero, and the function q of the
        lags, from 1 - height and 1 - width. A signal has the height 1. None is returned
        for other envelopes, if the phase of an envelope cannot be unwrapped, as in most
        images, and if p or q overflows.
    """
    height, width, _ = grid.image_shape
    values = as_array(envelope[:: grid.channels])
    size = np.abs(values)
    if size.max() == 0:
        return None
    # Positions lie in [-1, 1), so that the polynomial is well conditioned.
    y, x = (2 * np.arange(n) / n - 1 for n in (height, width))
    terms = _terms(y, x)
    large = size > _SMALL * size.max()
    logarithm = np.log(size[large])
    if np.iscomplexobj(values):
        logarithm = logarithm + 1j * np.unwrap(np.angle(values[large]))
    polynomial = np.linalg.lstsq(terms[large], logarithm, rcond=None)[0]
    # The polynomial of another envelope may be huge where the envelope is small.
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(np.exp(terms @ polynomial) - values).max()
    if not error <= _TOLERANCE * size.max():
        return None
    # With u the mean of two positions and v half their lag, the logarithms add up to
    # twice the polynomial at u plus twice its quadratic terms at v.
    means = (np.arange(2 * n - 1) / n - 1 for n in (height, width))
    half_lags = (np.arange(1 - n, n) / n for n in (height, width))
    quadratic = polynomial * [0, 0, 0, 1, 1, 1]
    with np.errstate(over="ignore", invalid="ignore"):
        p = np.exp(2 * _terms(*means) @ polynomial)
        q = np.exp(2 * _terms(*half_lags) @ quadratic)
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        return None
    shape = 2 * height - 1, 2 * width - 1
    device = envelope.device
    return as_tensor(p.reshape(shape), device), as_tensor(q.reshape(shape), device)


def _terms(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the terms of a quadratic polynomial at all pairs of coordinates."""
    y, x = (part.ravel() for part in np.meshgrid(y, x, indexing="ij"))
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=1)
