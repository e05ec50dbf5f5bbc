"""Covariances of few samples, shrunk towards that of a stationary process."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import digamma, multigammaln

from skspectral._device import as_array

# Of power iterations for the leading directions, on twice as many.
_N_ITERATIONS = 3
# Share of the largest variance below which the target has none.
_NO_VARIANCE = 1e-10
# Expected gain in ||C - truth||^2, as a share of ||C - S||^2, that is not worth a look.
_NO_GAIN = 1e-3
# Pseudo-samples for each sample; below and above there is no difference to 0 and 1.
_GRID = np.logspace(-5, 5, 81)


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
    C: torch.Tensor,
    lags: torch.Tensor,
    fourth: float,
    n_samples: float,
    n_directions: int,
) -> float:
    """Weight of the stationary matrix S of ``lags`` for which C is the best evidence.

    Empirical Bayes: the true covariance has an inverse Wishart distribution of mean S,
    with nu pseudo-samples of which nothing but S is known. Its posterior mean is
    (n C + nu S) / (n + nu), and nu is where C is most likely (Chen 1979; Hannart and
    Naveau 2014). Asked along the leading directions of S only, where the same holds, as
    the atoms will lie there, and directions without variance are no evidence.

    C is worth fewer samples than there are where their energies spread more than a
    Gaussian's, as those of sound that is loud now and then: by the uncertainty of C
    that Ledoit and Wolf (2004) measure, E ||x||^4 - ||C||^2, over a Gaussian's,
    tr(C)^2 + ||C||^2, which is larger by n / (n - 2) in this estimate. Where their own
    weight, the larger of the two over n ||C - S||^2, is under 0.001, the weight is 0.

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
    n_directions : int

    Returns
    -------
    weight : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the fourth moment overflows.

    Notes
    -----
    Costs one product of C with ``n_directions`` vectors, and a few of S by FFT.

    References
    ----------
    C.-F. Chen (1979). Bayesian inference for a normal dispersion matrix and its
    application to stochastic multiple regression analysis. JRSS B 41.

    A. Hannart, P. Naveau (2014). Estimating high dimensional covariance matrices: a new
    look at the Gaussian conjugate framework. Journal of Multivariate Analysis 131.

    O. Ledoit, M. Wolf (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88.
    """
    if not math.isfinite(fourth):
        raise ValueError(
            "shrinkage='auto': the fourth moment of X overflows. Scale X down, or pass "
            "a weight in [0, 1]."
        )
    # As shares of the whole, so that no square overflows.
    total = float(C.trace())
    squared = (float(torch.linalg.vector_norm(C)) / total) ** 2
    tails = fourth / total / total - squared
    misfit = squared + _excess(lags / total)
    # Of hardly any samples the tails say nothing: of two, that they are opposite.
    if max(tails, 1 + squared) < _NO_GAIN * n_samples * misfit:
        return 0.0
    gaussian = (1 - 2 / n_samples) * (1 + squared)
    worth = gaussian / tails if tails > gaussian else 1.0
    n_effective = max(1.0, worth * (n_samples - 1))
    ratios = _variance_ratios(C, lags, min(n_directions, len(C)))
    return _most_likely_weight(ratios, n_effective)


def _excess(lags: torch.Tensor) -> float:
    """||C - S||^2 - ||C||^2 = ||S||^2 - 2 <C, S>, of the lags alone."""
    _, height, width = _sizes(lags)
    dy, dx = (torch.arange(1 - n, n).to(lags).abs() for n in (height, width))
    pairs = torch.outer(height - dy, width - dx) - 2 * height * width
    return float((pairs[None, :, :, None] * lags**2).sum())


def _variance_ratios(C: torch.Tensor, lags: torch.Tensor, n: int) -> np.ndarray:
    """Eigenvalues of C relative to S, along at most ``n`` leading directions of S."""
    stream = torch.Generator().manual_seed(0)
    size = (min(2 * n, len(C)), len(C))
    rows = torch.randn(size, dtype=torch.float64, generator=stream).to(C)
    for _ in range(_N_ITERATIONS):
        rows = torch.linalg.qr(_times_stationary(rows, lags).T)[0].T.contiguous()
    values, vectors = torch.linalg.eigh(rows @ _times_stationary(rows, lags).T)
    values, vectors = values[-n:], vectors[:, -n:]
    there = values > _NO_VARIANCE * values[-1]
    white = (vectors[:, there] / values[there].sqrt()).T @ rows
    return as_array(torch.linalg.eigvalsh(white @ C @ white.T).clamp_min(0))


def _times_stationary(rows: torch.Tensor, lags: torch.Tensor) -> torch.Tensor:
    """``rows`` (n, T) times the matrix of ``lags``, by FFT."""
    channels, height, width = _sizes(lags)
    size = (2 * height, 2 * width)
    signals = rows.view(-1, height, width, channels).movedim(-1, 1)
    spectra = torch.fft.rfft2(signals, size)
    kernel = torch.fft.rfft2(lags.movedim(-1, 1), size)
    product = torch.fft.irfft2(torch.einsum("nchw,cdhw->ndhw", spectra, kernel), size)
    # Lag 0 stands in the middle of ``lags``.
    product = product[..., height - 1 : 2 * height - 1, width - 1 : 2 * width - 1]
    return product.movedim(1, -1).reshape(len(rows), -1)


def _most_likely_weight(ratios: np.ndarray, n: float) -> float:
    """nu / (n + nu) at the maximum of the evidence; ``ratios``: see above."""
    grid = n * _GRID
    place = int(np.argmax([_evidence(nu, ratios, n) for nu in grid]))
    if place in (0, len(grid) - 1):
        return float(place > 0)
    low, best, high = grid[place - 1 : place + 2]
    slope = partial(_evidence_slope, ratios=ratios, n=n)
    if slope(low) > 0 > slope(high):
        # To the last digits, which an optimum by its values alone would not have.
        best = brentq(slope, low, high, rtol=1e-14)
    return float(best / (n + best))


def _evidence(nu: float, ratios: np.ndarray, n: float) -> float:
    """Log-evidence of n samples, up to a constant.

    Their scatter is Wishart(Sigma, n), and Sigma of d dimensions inverse Wishart(nu S,
    nu + d + 1); Sigma is integrated out.
    """
    d = len(ratios)
    degrees = nu + d + 1
    gammas = multigammaln((degrees + n) / 2, d) - multigammaln(degrees / 2, d)
    inside = (degrees + n) * np.log(nu + n * ratios).sum()
    return float(gammas + (degrees * d * np.log(nu) - inside) / 2)


def _evidence_slope(nu: float, ratios: np.ndarray, n: float) -> float:
    """Twice the derivative of `_evidence`."""
    d = len(ratios)
    degrees, both = nu + d + 1, nu + n * ratios
    steps = np.arange(d) / 2
    gammas = digamma((degrees + n) / 2 - steps) - digamma(degrees / 2 - steps)
    logs = d * np.log(nu) - np.log(both).sum()
    return float(gammas.sum() + logs + d * degrees / nu - ((degrees + n) / both).sum())


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
