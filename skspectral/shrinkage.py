"""Covariances of few samples, shrunk towards that of a stationary process."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator

import torch


def lag_products(C: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Mean of a covariance over all places, for each lag: that of a stationary process.

    The biased autocorrelation: for each lag and pair of channels the sum over the
    places that have it, divided by the number of all places. It is the expected
    correlogram of the samples, and so its (block) Toeplitz matrix is positive
    semi-definite, with the trace of C; the unbiased mean along diagonals is not. Of a
    process that is stationary it keeps the share (1 - |dy|/height)(1 - |dx|/width) of
    each lag: spectra are smoothed a little.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
    shape : tuple of int
        (length,), (height, width) or (height, width, channels), of product T.

    Returns
    -------
    lags : tensor of shape (channels, 2 height - 1, 2 width - 1, channels), float64
        lags[c, height - 1 + dy, width - 1 + dx, c'], the mean over y and x of
        C[(y, x, c), (y + dy, x + dx, c')] where both are there. A signal is an image of
        height 1.

    Notes
    -----
    Costs T^2 additions, along the rows of C.
    """
    height, width, channels = _image_shape(shape)
    lags = C.new_zeros(channels, 2 * height - 1, 2 * width - 1, channels)
    for block, window in _blocks(C, lags):
        window += block
    lags /= height * width
    # Symmetric to the last digit, as C has to stay.
    return (lags + lags.flip(1, 2).transpose(0, 3)) / 2


def shrink_(C: torch.Tensor, lags: torch.Tensor, weight: float) -> torch.Tensor:
    """Make C, in place, (1 - weight) C + weight S with S the matrix of ``lags``.

    Costs T^2 multiplications; S itself is never formed.
    """
    for block, window in _blocks(C, lags):
        block.lerp_(window, weight)
    return C


def best_weight(
    C: torch.Tensor, lags: torch.Tensor, fourth: float, n_samples: float
) -> float:
    """Weight of S, the matrix of ``lags``, that brings C nearest to the truth.

    That of the least expected squared Frobenius error (Ledoit and Wolf 2004, and for
    other targets than theirs Schaefer and Strimmer 2005): what C is uncertain by, over
    its distance to S::

        (E ||x||^4 - ||C||^2) / (n - 2) / ||C - S||^2,     at most 1.

    With n - 2 in place of their n the numerator is unbiased for Gaussian samples about
    their own mean; it matters for a handful of them. Heavy tails, as of sound that is
    loud now and then, are in the numerator. That S is uncertain too is left out: it is
    a mean of many entries of C.

    Parameters
    ----------
    C : tensor of shape (T, T), float64
        Sample covariance, not shrunk.
    lags : tensor
        `lag_products` of C.
    fourth : float
        Mean of the fourth power of the norm of the centred samples.
    n_samples : float
        Number n of samples; with weights, their sum.

    Returns
    -------
    weight : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the fourth moment overflows, underflows, or is not known: NaN.

    References
    ----------
    O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88.

    J. Schaefer, K. Strimmer (2005). A shrinkage approach to large-scale covariance
    matrix estimation. Statistical Applications in Genetics and Molecular Biology 4.
    """
    if math.isnan(fourth):
        raise ValueError(
            "shrinkage='auto' has to be set from the first rows on: call fit anew, or "
            "pass a weight in [0, 1]."
        )
    if not math.isfinite(fourth):
        raise ValueError(
            "shrinkage='auto': the fourth moment of X overflows. Scale X down, or pass "
            "a weight in [0, 1]."
        )
    if n_samples <= 2:
        return 1.0
    # As shares of the whole, so that no square overflows.
    total = float(C.trace())
    if total > 0 and fourth == 0:
        raise ValueError(
            "shrinkage='auto': the fourth moment of X underflows. Scale X up, or pass "
            "a weight in [0, 1]."
        )
    squared = (float(torch.linalg.vector_norm(C)) / total) ** 2
    uncertain = max(0.0, fourth / total / total - squared) / (n_samples - 2)
    misfit = squared + _excess(lags / total)
    return 1.0 if misfit <= uncertain else uncertain / misfit


def _excess(lags: torch.Tensor) -> float:
    """||C - S||^2 - ||C||^2 = ||S||^2 - 2 <C, S>, of the lags alone."""
    _, height, width = _sizes(lags)
    dy, dx = (torch.arange(1 - n, n).to(lags).abs() for n in (height, width))
    pairs = torch.outer(height - dy, width - dx) - 2 * height * width
    return float((pairs[None, :, :, None] * lags**2).sum())


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels."""
    if len(shape) == 1:
        return 1, shape[0], 1
    return shape[0], shape[1], shape[2] if len(shape) == 3 else 1


def _sizes(lags: torch.Tensor) -> tuple[int, int, int]:
    """Channels, height and width of the signals that have these lags."""
    return len(lags), (lags.shape[1] + 1) // 2, (lags.shape[2] + 1) // 2


def _blocks(
    C: torch.Tensor, lags: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Rows of C that belong to one place, and the lags from it to all places.

    Both views, of shape (channels, height, width, channels).
    """
    channels, height, width = _sizes(lags)
    places = C.view(height, width, channels, height, width, channels)
    for y in range(height):
        for x in range(width):
            rows = slice(height - 1 - y, 2 * height - 1 - y)
            columns = slice(width - 1 - x, 2 * width - 1 - x)
            yield places[y, x], lags[:, rows, columns]
