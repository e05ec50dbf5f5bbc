"""Posterior of windows of a signal, given the windows with noise of any spectrum.

A window of a signal is x = g u. The level g is any positive number, all logarithms of
which are equally likely. The window u of level 1 has a mixture of Gaussians with mean
zero and covariances C_k as prior. Given y = x + noise with the covariance R = L L', the
white vector L^-1 y has the covariance g^2 A_k + I under component k, with

    A_k = L^-1 C_k L'^-1 = V diag(a) V'.

For each level of a grid, the density and the posterior mean follow from V' L^-1 y. The
posterior mean of x is the sum of these means, weighted by the posterior probabilities
of components and levels. Portilla et al. (2003, Image denoising using scale mixtures of
Gaussians in the wavelet domain, IEEE Transactions on Image Processing 12, 1338-1351)
use one Gaussian with unknown level in this way.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import solve_toeplitz, toeplitz

from skspectral._device import as_array, as_tensor
from skspectral._linalg import cholesky

# Ratio of neighbouring levels of the grid.
_LEVEL_RATIO = 2.0
# The lowest level is the one at which the largest variance of any component has this
# ratio to the noise.
_LEAST_SIGNAL = 0.05
# Components and levels are left out if they are less probable than this fraction of the
# most probable ones.
_NEGLIGIBLE = 1e-4
# Eigenvalues of covariances of the signal are raised to this fraction of their mean.
_LEAST_VARIANCE = 1e-6
# Ridge of the covariance of the noise, relative to its mean variance.
_NOISE_RIDGE = 1e-9
# Ridge of the covariance of observed samples beside missing ones, relative to their
# mean variance.
_OBSERVED_RIDGE = 1e-6
# Number of posterior probabilities that are in memory at a time.
_JOINT_ENTRIES = 2**21


def autocovariance(stretches: Sequence[np.ndarray], n_lags: int) -> np.ndarray:
    """Return the autocovariance of noise about zero, at the lags 0 .. n_lags - 1.

    The sums of products of all stretches are divided by the total number of samples,
    for all lags. The Toeplitz matrix of the result is therefore positive semi-definite.
    Lags that are longer than all stretches have the covariance 0.
    """
    total, n_samples = np.zeros(n_lags), 0
    for stretch in stretches:
        n = len(stretch)
        size = next_fast_len(n + min(n, n_lags), real=True)
        power = np.abs(rfft(stretch, size)) ** 2
        known = min(n, n_lags)
        total[:known] += irfft(power, size)[:known]
        n_samples += n
    return total / n_samples


def extended(lags: np.ndarray, n_lags: int) -> np.ndarray:
    """Return the autocovariance of an autoregressive process at lags 0 .. n_lags - 1.

    The process is the one whose order is the number of ``lags`` without lag 0, and
    which has these autocovariances (Yule-Walker equations).
    """
    order = len(lags) - 1
    coefficients = solve_toeplitz(lags[:-1], lags[1:])[::-1]
    found = np.concatenate([lags, np.empty(max(n_lags - len(lags), 0))])
    for lag in range(order + 1, n_lags):
        found[lag] = coefficients @ found[lag - order : lag]
    return found[:n_lags]


def noise_covariance(lags: np.ndarray) -> np.ndarray:
    """Return the positive definite Toeplitz covariance of an autocovariance.

    A small ridge is added, and is raised if the matrix is not positive definite.
    """
    covariance = toeplitz(lags)
    factor = cholesky(torch.from_numpy(covariance), _NOISE_RIDGE)
    return as_array(factor @ factor.T)


def nearly_stationary(covariances: np.ndarray, weight: float) -> np.ndarray:
    """Return covariances (M, L, L) that are shrunk to Toeplitz matrices.

    Each diagonal is replaced by itself times ``1 - weight``, plus its mean times
    ``weight``. Eigenvalues that are negative or small are raised to 1e-6 times their
    mean.
    """
    size = covariances.shape[1]
    index, shrunk = np.arange(size), np.empty(covariances.shape)
    lags = np.abs(index[:, None] - index)
    # One matrix at a time, because LAPACK is as fast and needs less memory.
    for k, covariance in enumerate(covariances):
        means = np.array([np.diagonal(covariance, lag).mean() for lag in index])
        mixed = (1 - weight) * covariance + weight * means[lags]
        values, vectors = np.linalg.eigh(mixed)
        least = max(_LEAST_VARIANCE * values.mean(), np.finfo(float).tiny)
        shrunk[k] = (vectors * np.maximum(values, least)) @ vectors.T
    return shrunk


def taper(size: int, hop: int) -> np.ndarray:
    """Return weights of the samples of a window, whose sum over all windows is 1.

    The weights are squared sines, divided by their sums over windows at distances of
    ``hop`` samples.
    """
    weights = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    padded = np.zeros(-(-size // hop) * hop)
    padded[:size] = weights
    sums = padded.reshape(-1, hop).sum(0)
    return weights / np.resize(sums, size)


@dataclass(frozen=True, eq=False)
class WindowPrior:
    """Mixture of M zero-mean Gaussians of windows of L samples of level 1.

    Attributes
    ----------
    weights : Tensor of shape (M,), float64
        Probabilities of the components.
    covariances : Tensor of shape (M, L, L), float64
        Covariances C_k.
    """

    weights: torch.Tensor
    covariances: torch.Tensor

    @classmethod
    def of(
        cls, weights: np.ndarray, covariances: np.ndarray, device: torch.device
    ) -> "WindowPrior":
        """Return the mixture on a device. The mean variance of the samples becomes 1.

        Components of weight 0 are left out.
        """
        present = weights > 0
        weights, covariances = weights[present], covariances[present]
        variance = np.trace(covariances, axis1=1, axis2=2).mean() / covariances.shape[1]
        parts = weights / weights.sum(), covariances / variance
        return cls(*(as_tensor(part, device, torch.float64) for part in parts))

    def with_stationary(self, lags: np.ndarray, weight: float) -> "WindowPrior":
        """Return a mixture with one more component, of an autocovariance (L,)."""
        one = torch.from_numpy(toeplitz(lags / lags[0])).to(self.weights.device)
        weights = torch.cat([(1 - weight) * self.weights, one.new_tensor([weight])])
        return WindowPrior(weights, torch.cat([self.covariances, one[None]]))

    def given_noise(self, noise: np.ndarray | None) -> "NoisyWindows":
        """Return the posterior for noise of a covariance (L, L); None means white.

        The variance of white noise is 1.
        """
        if noise is None:
            factor = None
            whitened = self.covariances
        else:
            covariance = as_tensor(noise, self.weights.device, torch.float64)
            factor = cholesky(covariance)
            half = torch.linalg.solve_triangular(factor, self.covariances, upper=False)
            whitened = torch.linalg.solve_triangular(factor, half.mT, upper=False)
        # One matrix at a time, because LAPACK is as fast and needs less memory.
        pairs = [torch.linalg.eigh(matrix) for matrix in whitened]
        values = torch.stack([pair[0] for pair in pairs]).clamp_(min=0.0)
        vectors = torch.stack([pair[1] for pair in pairs])
        return NoisyWindows(self.weights, values, vectors, factor)

    def fill(
        self, y: np.ndarray, observed: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return posterior mean and variance of the missing samples of one window.

        The level is unknown. The ratio of signal and noise is taken from the level of
        the observed samples; without noise, the posterior is exact. Given a component,
        the samples have Student's t distribution.

        Parameters
        ----------
        y : ndarray of shape (m,)
            Observed samples.
        observed : ndarray of bool, shape (L,)
            Whether a sample is observed.
        noise : ndarray of shape (L, L)
            Covariance of the noise.

        Returns
        -------
        mean, variance : ndarray of shape (L - m,)
            Posterior mean and variance of the missing samples, without noise.
        """
        n_observed, n_missing = len(y), int((~observed).sum())
        power = float(y @ y) / max(n_observed, 1)
        if power == 0:
            return np.zeros(n_missing), np.zeros(n_missing)
        variance = float(np.trace(noise)) / len(noise)
        level = max(power - variance, _LEAST_SIGNAL * power)
        device = self.weights.device
        seen, gaps = (
            torch.from_numpy(np.flatnonzero(mask)).to(device)
            for mask in (observed, ~observed)
        )
        rows = self.covariances[:, seen]
        S = rows[:, :, seen] + as_tensor(noise, device)[seen][:, seen] / level
        ridge = _OBSERVED_RIDGE * S.diagonal(dim1=1, dim2=2).mean(1)
        S.diagonal(dim1=1, dim2=2).add_(ridge[:, None])
        factor = torch.linalg.cholesky(S)
        cross = rows[:, :, gaps]
        right = as_tensor(y / level**0.5, device)[None, :, None]
        right = torch.cat([right.expand(len(S), -1, -1), cross], dim=2)
        half = torch.linalg.solve_triangular(factor, right, upper=False)
        white, cross = half[:, :, :1], half[:, :, 1:]
        misfit = white.square().sum((1, 2))
        log_density = self.weights.log() - n_observed / 2 * misfit.log()
        log_density -= factor.diagonal(dim1=1, dim2=2).log().sum(1)
        probability = log_density.softmax(0)
        means = (cross.mT @ white)[:, :, 0]
        own = self.covariances.diagonal(dim1=1, dim2=2)[:, gaps]
        variances = (own - cross.square().sum(1)).clamp_(min=0.0)
        scales = misfit / max(n_observed - 2, 1)
        mean = probability @ means
        second = probability @ (variances * scales[:, None] + means.square())
        spread = (second - mean.square()).clamp_(min=0.0)
        return as_array(mean) * level**0.5, as_array(spread) * level


@dataclass(frozen=True, eq=False)
class NoisyWindows:
    """Posterior of windows, for noise of one spectrum and any level.

    Attributes
    ----------
    weights : Tensor of shape (M,)
        Probabilities of the components.
    values : Tensor of shape (M, L)
        Eigenvalues of the whitened covariances A_k.
    vectors : Tensor of shape (M, L, L)
        Eigenvectors of A_k, as columns.
    factor : Tensor of shape (L, L) or None
        Lower Cholesky factor of the covariance of the noise. None means the identity.
    """

    weights: torch.Tensor
    values: torch.Tensor
    vectors: torch.Tensor
    factor: torch.Tensor | None

    @cached_property
    def _lowest_level(self) -> float:
        return math.sqrt(_LEAST_SIGNAL / float(self.values.max()))

    def levels(self, largest: float) -> np.ndarray:
        """Return the grid of levels, up to at least ``largest`` if noise has level 1.

        It contains powers of one ratio only, so that a higher grid extends a lower one.
        """
        first = math.floor(math.log(self._lowest_level, _LEVEL_RATIO))
        last = math.ceil(math.log(max(largest, 1.0), _LEVEL_RATIO))
        return _LEVEL_RATIO ** np.arange(first, max(last, first) + 1.0)

    def posterior(
        self, windows: np.ndarray, levels: np.ndarray, with_variance: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return posterior means (n, L) and variances (n, L) or None of windows.

        The windows (n, L) are in units in which the noise has level 1.
        """
        device = self.weights.device
        squares = as_tensor(levels, device).square()
        n_joint = len(self.weights) * len(levels)
        step = max(1, _JOINT_ENTRIES // n_joint)
        means = np.empty(windows.shape)
        variances = np.empty(windows.shape) if with_variance else None
        for first in range(0, len(windows), step):
            rows = slice(first, first + step)
            white = self._white(as_tensor(windows[rows], device))
            probability = self._probabilities(white, squares)
            means[rows] = as_array(self._mean(white, probability, squares))
            if variances is not None:
                second = self._second_moment(white, probability, squares)
                found = as_array(second) - means[rows] ** 2
                variances[rows] = found.clip(0)
        return means, variances

    def _white(self, y: torch.Tensor) -> torch.Tensor:
        if self.factor is None:
            return y
        return torch.linalg.solve_triangular(self.factor, y.T, upper=False).T

    def _coloured(self, z: torch.Tensor) -> torch.Tensor:
        return z if self.factor is None else z @ self.factor.T

    def _probabilities(
        self, white: torch.Tensor, squares: torch.Tensor
    ) -> torch.Tensor:
        """Return the posterior probabilities of components and levels, (M, n, G)."""
        joint = white.new_empty((len(self.weights), len(white), len(squares)))
        for k, values in enumerate(self.values):
            variance = 1 + squares[:, None] * values
            energy = (white @ self.vectors[k]).square()
            joint[k] = -0.5 * (energy @ (1 / variance).T + variance.log().sum(1))
            joint[k] += self.weights[k].log()
        joint -= joint.amax((0, 2), keepdim=True)
        joint.exp_()
        joint[joint < _NEGLIGIBLE] = 0.0
        return joint.div_(joint.sum((0, 2), keepdim=True))

    def _mean(
        self, white: torch.Tensor, probability: torch.Tensor, squares: torch.Tensor
    ) -> torch.Tensor:
        total = torch.zeros_like(white)
        for k, rows in _relevant(probability.sum(2)):
            gain = squares[:, None] * self.values[k]
            gain /= 1 + gain
            along = white[rows] @ self.vectors[k]
            along *= probability[k, rows] @ gain
            total.index_add_(0, rows, along @ self.vectors[k].T)
        return self._coloured(total)

    def _second_moment(
        self, white: torch.Tensor, probability: torch.Tensor, squares: torch.Tensor
    ) -> torch.Tensor:
        total = torch.zeros_like(white)
        for k, rows in _relevant(probability.sum(2)):
            gain = squares[:, None] * self.values[k]
            gain /= 1 + gain
            root = self._coloured(self.vectors[k].T)
            along = white[rows] @ self.vectors[k]
            total.index_add_(0, rows, probability[k, rows] @ gain @ root.square())
            for j, which in _relevant(probability[k, rows].T):
                means = (along[which] * gain[j]) @ root
                part = probability[k, rows[which], j, None] * means.square()
                total.index_add_(0, rows[which], part)
        return total


def _relevant(probability: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Iterate over the rows of a matrix, each with its columns that are not 0."""
    for k, row in enumerate(probability):
        columns = row.nonzero()[:, 0]
        if len(columns):
            yield k, columns
