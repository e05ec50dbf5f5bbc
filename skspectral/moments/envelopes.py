"""Products of an envelope at two positions, as functions of their sum and their lag."""
# SPDX-License-Identifier: BSD-3-Clause

from itertools import combinations_with_replacement

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
    factors : tuple of two tensors of shape (2 n_1 - 1, ..., 2 n_D - 1), or None
        The function p of the sums of two indices, from zero, and the function q of the
        lags, from 1 - n for an axis of n samples. None is returned for other envelopes,
        if the phase of an envelope cannot be unwrapped, as in most images, and if p or
        q overflows.
    """
    sizes = grid.sizes
    values = as_array(grid.first_channel(envelope)).ravel()
    size = np.abs(values)
    if size.max() == 0:
        return None
    # Positions lie in [-1, 1), so that the polynomial is well conditioned.
    terms, is_quadratic = _terms([2 * np.arange(n) / n - 1 for n in sizes])
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
    means, _ = _terms([np.arange(2 * n - 1) / n - 1 for n in sizes])
    half_lags, _ = _terms([np.arange(1 - n, n) / n for n in sizes])
    with np.errstate(over="ignore", invalid="ignore"):
        p = np.exp(2 * means @ polynomial)
        q = np.exp(2 * half_lags @ (polynomial * is_quadratic))
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        return None
    shape = tuple(2 * n - 1 for n in sizes)
    device = envelope.device
    return as_tensor(p.reshape(shape), device), as_tensor(q.reshape(shape), device)


def _terms(coordinates: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of a quadratic polynomial at all positions of a grid.

    A mask of the quadratic terms is returned, too.
    """
    places = [part.ravel() for part in np.meshgrid(*coordinates, indexing="ij")]
    products = [one * two for one, two in combinations_with_replacement(places, 2)]
    terms = [np.ones_like(places[0]), *places, *products]
    is_quadratic = np.arange(len(terms)) > len(places)
    return np.stack(terms, axis=1), is_quadratic
