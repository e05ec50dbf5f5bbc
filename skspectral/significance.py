"""False-alarm probabilities of plain waves: how often noise alone has such a peak.

Atoms are ordered by the variance that they add. Let v, of unit norm, be the part of an
atom outside the span of the atoms before it, and of the derivatives of its neighbours
among them, which could take over a part of its work. It receives the energy z = sum_n
(v . x_n)^2 from N samples. In Gaussian noise of variance s2 along v, z / s2 for the
best phase of one frequency is the largest eigenvalue of a real Wishart matrix of two
dimensions and N degrees of freedom (Muirhead 1982). A fit takes the largest peak of the
spectrum. Such peaks behave like those of M independent frequencies,

    P(z) = 1 - (1 - P_one(z))^M,        M = 3^D T / 2

for T samples on D axes. The factor 3 per axis, for maxima between the T / 2
independent frequencies, was found by simulation.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import torch
from scipy.special import gammaln
from scipy.stats import chi2

from skspectral._device import as_array, as_tensor
from skspectral.grid import Grid
from skspectral.learning.projection import Projection, project
from skspectral.model import Dictionary, LinearModel
from skspectral.moments.lags import power_of_lags, power_of_rows
from skspectral.moments.moments import Moments
from skspectral.moments.second_moment import FactorMoment, SecondMoment, SumMoment

# Number of independent frequencies per axis, relative to that of a grid without
# oversampling.
_PER_AXIS = 3.0
# Atoms whose wave vectors differ by less than this number of cycles per signal are
# neighbours.
_NEAR = 2.0
# Smaller parts of vectors of norm 1 are rounding errors.
_DEPENDENT = 1e-6
# Largest lag, relative to the length of an axis, of the autocovariance of the
# residuals. The spectrum of the noise is smooth over a few inverses of it.
_LARGEST_LAG = 1 / 4


def false_alarm_probability(
    model: LinearModel, moments: Moments, *, center: bool, noise: str
) -> np.ndarray:
    """Return the probabilities that noise has a peak as high as each atom.

    Parameters
    ----------
    model : LinearModel
        Fitted model, whose atoms are plain waves of one channel.
    moments : Moments
        Moments of the rows of the fit.
    center : bool
        Whether the model has a mean.
    noise : {"white", "residual", "red"}
        Spectrum of the noise. "residual" is the smoothed spectrum of the residuals, and
        "red" that of an autoregressive process of order 1 with the same autocovariance
        at the lags 0 and 1.

    Returns
    -------
    probability : ndarray of shape (K,)
        Probabilities.
    """
    C: SecondMoment = moments.covariance()
    if not center:
        C = SumMoment([C, FactorMoment(moments.mean[None])])
    grid = model.dictionary.wave_grid
    fit = project(
        as_tensor(model.components, moments.mean.device, torch.float64), C, model.ridge
    )
    own = _own_parts(model.dictionary, fit)
    power = torch.linalg.vecdot(C.left_matmul(own), own)
    n_samples = max(moments.weight - center, 1.0)
    if noise == "white":
        n_outside = C.n_features - len(own)
        levels = torch.full_like(power, fit.loss / max(n_outside, 1))
    else:
        spectrum = noise_spectrum(fit, C, grid)
        if noise == "red":
            spectrum = _red(spectrum, grid)
        along = torch.stack([power_of_rows(row[None], grid)[0, 0].real for row in own])
        weights = _weights(grid, along) * along
        levels = (weights @ spectrum) / weights.sum(1)
    # Both the power and the levels are divided by the weight of all rows.
    energy = as_array(power / levels) * n_samples
    n_trials = max(1.0, _PER_AXIS**grid.n_axes * grid.n_places / 2)
    found: np.ndarray = -np.expm1(
        n_trials * np.log1p(-largest_of_two(energy, n_samples))
    )
    return found


def _own_parts(dictionary: Dictionary, fit: Projection) -> torch.Tensor:
    """Return the parts of atoms that those before them cannot take over, (K, T).

    They have unit norm, or are 0.
    """
    params = as_tensor(dictionary.params, fit.axes.device, torch.float64)
    slopes = dictionary.atoms.jacobian(params, torch.float64)
    slopes /= torch.linalg.vector_norm(slopes, dim=2, keepdim=True).clamp_min(1e-300)
    distance = np.linalg.norm(
        dictionary.frequency[:, None] - dictionary.frequency, axis=2
    )
    parts = torch.zeros_like(fit.axes)
    # Row i of the axes is the part of atom i outside the span of the atoms before it.
    for i, left in enumerate(fit.axes):
        near = torch.from_numpy(np.flatnonzero(distance[i, :i] < _NEAR))
        if len(near):
            rows, before = slopes[near.to(left.device)].flatten(0, 1), fit.axes[:i]
            rows = rows - (rows @ before.T) @ before
            _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
            axes = axes[sizes > _DEPENDENT]
            left = left - (axes @ left) @ axes
        size = torch.linalg.vector_norm(left)
        if size > _DEPENDENT:
            parts[i] = left / size
    return parts


def largest_of_two(x: np.ndarray, n: float) -> np.ndarray:
    """Return the probability that the largest eigenvalue of a Wishart matrix exceeds x.

    The matrix is real, of two dimensions and n degrees of freedom (R. J. Muirhead,
    1982, Aspects of Multivariate Statistical Theory, Wiley, chapter 9).
    """
    if n < 2:
        # One sample has the power of both phases.
        return np.asarray(chi2.sf(x, 2.0))
    x = np.maximum(x, np.finfo(float).tiny)
    half = (n - 1) / 2 * np.log(x / 2) - x / 2 - gammaln(n / 2)
    found = chi2.sf(2 * x, 2 * n - 2)
    found += math.sqrt(math.pi) * np.exp(half) * chi2.cdf(x, n - 1)
    return np.asarray(found).clip(0.0, 1.0 - np.finfo(float).eps)


def noise_spectrum(fit: Projection, C: SecondMoment, grid: Grid) -> torch.Tensor:
    """Return the smooth spectrum of the noise, from the residuals of a projection.

    The residuals lack what the atoms have taken. The smoothed spectrum of the residuals
    is therefore divided by that of the residuals of white noise.

    Returns
    -------
    spectrum : tensor of shape (F,), float64
        Variance of the noise at the frequencies of ``Grid.spectra``, at least 0.
    """
    # C - A'B - B'A is the second moment of the residuals.
    B = fit.image - fit.axes_moment @ fit.axes / 2
    lags = C.lag_products(grid)
    for sign in (-1, 1):
        lags += sign / 2 * FactorMoment(fit.axes - sign * B).lag_products(grid)
    of_white = -FactorMoment(fit.axes).lag_products(grid)
    middle = tuple(n - 1 for n in grid.sizes)
    of_white[0, 0][middle] += grid.n_places
    window = _window(grid).to(lags)
    smooth = power_of_lags(lags * window, grid)[0, 0].real
    expected = power_of_lags(of_white * window, grid)[0, 0].real
    least = 1e-6 * expected.max()
    return smooth.clamp_min(0.0) / expected.clamp_min(least)


def _window(grid: Grid) -> torch.Tensor:
    """Return weights of lags: triangles, whose spectrum is not negative."""
    window = torch.ones((), dtype=torch.float64)
    for n in grid.sizes:
        lags = torch.arange(1 - n, n, dtype=torch.float64)
        triangle = (1 - lags.abs() / max(1.0, _LARGEST_LAG * n)).clamp_min(0.0)
        window = window[..., None] * triangle
    return window


def _red(spectrum: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the spectrum of the autoregressive process of order 1 of a spectrum."""
    n = grid.sizes[0]
    angle = torch.arange(len(spectrum)).to(spectrum) * (math.pi / n)
    weights = _weights(grid, spectrum)
    variance = (weights * spectrum).sum() / weights.sum()
    memory = (weights * spectrum * angle.cos()).sum() / weights.sum() / variance
    # The lag 1 has a lower weight in the spectrum, and fewer pairs of positions.
    memory /= max(1e-3, (1 - 1 / n) * float(_window(grid)[n % (2 * n - 1)]))
    memory = memory.clamp(-0.999, 0.999)
    power = 1 - memory**2
    return variance * power / (1 + memory**2 - 2 * memory * angle.cos())


def _weights(grid: Grid, like: torch.Tensor) -> torch.Tensor:
    """Return how often each frequency of a real transform counts, (F,)."""
    last = grid.sizes[-1] + 1
    weights = torch.full((last,), 2.0).to(like)
    weights[[0, -1]] = 1.0
    n_other = like.shape[-1] // last
    return weights.repeat(n_other)
