"""Expected moments of rows with gaps, under x = mean + u Q + noise with Gaussian u.

Let o be the observed entries of a row and g the missing ones. The coordinates u have
the distribution N(m, C), with the root C = R R', and the noise has the variance v. With
B = Q_o R and the precision P = I + B'B / v of the whitened coordinates,

    u | x_o  ~  N(m + R a, R P^-1 R'),      a = P^-1 B' (x_o - mean_o - Q_o m) / v,
    x_g | x_o  has the mean  mean_g + Q_g E[u]  and the covariance
               Q_g R P^-1 R' Q_g' + v I.

These are the expected sufficient statistics of the EM algorithm (Dempster, Laird and
Rubin 1977). Rows that miss the same entries share P.

References
----------
A. P. Dempster, N. M. Laird, D. B. Rubin (1977). Maximum likelihood from incomplete data
via the EM algorithm. Journal of the Royal Statistical Society B 39.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.gaussian import Gaussian
from skspectral.moments.moments import Moments
from skspectral.moments.scatter import DenseScatter

# Memory for the bases of the patterns that are processed at a time.
_CHUNK_BYTES = 2**27
# Smallest variance of the noise, as a fraction of the mean variance of an entry.
SMALLEST_NOISE = 1e-8
# Number of multiplications up to which the covariance of the missing entries is
# computed for each pattern. Above it, neighbouring patterns share a mean covariance.
_EXACT_COST = 2e11


@dataclass(frozen=True, eq=False)
class Patterns:
    """The distinct sets of observed entries of rows.

    Attributes
    ----------
    masks : tensor of shape (n_patterns, T), float64
        1 for observed entries and 0 for missing ones. The patterns are in the order of
        their numbers of observed entries.
    of_row : tensor of shape (n,), int64
        Index of the pattern of each row.
    """

    masks: torch.Tensor
    of_row: torch.Tensor

    @classmethod
    def of(cls, missing: np.ndarray, device: torch.device) -> "Patterns":
        """Return the patterns of a mask (n, T) of the missing entries."""
        bits = np.packbits(missing, axis=1)
        _, first, of_row = np.unique(
            bits, axis=0, return_index=True, return_inverse=True
        )
        masks = ~missing[first]
        order = np.argsort(masks.sum(axis=1), kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return cls(
            as_tensor(masks[order].astype(np.float64), device),
            as_tensor(rank[of_row.ravel()], device),
        )

    def __len__(self) -> int:
        return len(self.masks)

    def chunks(self, n_bytes: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Iterate over chunks of patterns, each with the indices of its rows.

        ``n_bytes`` is the memory that one pattern needs.
        """
        size = max(1, _CHUNK_BYTES // n_bytes)
        order = self.of_row.argsort(stable=True)
        counts = torch.bincount(self.of_row, minlength=len(self)).cumsum(0).tolist()
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            first = counts[start - 1] if start else 0
            yield slice(start, stop), order[first : counts[stop - 1]]


@dataclass(frozen=True, eq=False)
class GappyRows:
    """Rows with gaps.

    Attributes
    ----------
    values : tensor of shape (n, T), float64
        The rows, with 0 for missing entries.
    patterns : Patterns
        Their observed entries.
    weights : tensor of shape (n,), float64
        Weights of the rows.
    dtype : numpy dtype
        Type of the rows as they were given.
    """

    values: torch.Tensor
    patterns: Patterns
    weights: torch.Tensor
    dtype: np.dtype

    @classmethod
    def of(
        cls, X: np.ndarray, weights: np.ndarray | None, device: torch.device
    ) -> "GappyRows":
        """Return rows X (n, T) with NaN for missing entries, and their weights."""
        missing = np.isnan(X)
        values = np.where(missing, 0, X)
        if weights is None:
            weights = np.ones(len(X))
        return cls(
            as_tensor(values, device, torch.float64),
            Patterns.of(missing, device),
            as_tensor(weights, device, torch.float64),
            X.dtype,
        )

    @cached_property
    def pattern_weights(self) -> torch.Tensor:
        """Sum of the weights of the rows of each pattern, shape (n_patterns,)."""
        sums = torch.zeros(len(self.patterns)).to(self.weights)
        return sums.index_add_(0, self.patterns.of_row, self.weights)

    @property
    def observed(self) -> torch.Tensor:
        """1 for observed entries and 0 for missing ones, shape (n, T)."""
        return self.patterns.masks[self.patterns.of_row]


@dataclass(frozen=True, eq=False)
class GaussianModel:
    """The model x = mean + u Q + noise.

    Attributes
    ----------
    mean : tensor of shape (T,)
        Mean of the rows, or zeros.
    basis : tensor of shape (r, T)
        Orthonormal rows Q.
    coordinate_mean : tensor of shape (r,)
        Mean m of the coordinates.
    root : tensor of shape (r, rank)
        Root R of the covariance of the coordinates without noise.
    noise : float
        Variance v of the noise.
    """

    mean: torch.Tensor
    basis: torch.Tensor
    coordinate_mean: torch.Tensor
    root: torch.Tensor
    noise: float

    def with_moments(
        self,
        mean: torch.Tensor,
        coordinate_mean: torch.Tensor,
        covariance: torch.Tensor,
        noise: float,
    ) -> "GaussianModel":
        """Return the model with other moments; the covariance includes the noise."""
        gaussian = Gaussian.from_covariance(
            as_array(coordinate_mean), as_array(covariance)
        )
        root = as_tensor(gaussian.without_noise(noise).root, mean.device)
        return replace(
            self, mean=mean, coordinate_mean=coordinate_mean, root=root, noise=noise
        )


@dataclass(frozen=True, eq=False)
class Expectation:
    """Posterior of the rows under a model.

    Attributes
    ----------
    log_likelihood : float
        Weighted sum over the rows of the log-density of the observed entries, in nats.
    filled : tensor of shape (n, T)
        The rows, with posterior means in place of missing entries.
    covariances : tensor of shape (n_patterns, r, r)
        Covariance R P^-1 R' of the coordinates, per pattern.
    inside : tensor of shape (r, r)
        Weighted sum of Q V Q' over the rows, where V is the covariance of the missing
        entries of a row.
    traces : tensor of shape (n_patterns,)
        Trace of V, per pattern.
    """

    log_likelihood: float
    filled: torch.Tensor
    covariances: torch.Tensor
    inside: torch.Tensor
    traces: torch.Tensor


def expect(rows: GappyRows, model: GaussianModel) -> Expectation:
    """Return the posterior of rows with gaps.

    Notes
    -----
    Costs O(r^2 T + r^3) per pattern, and O(r T) per row.
    """
    basis, root, v = model.basis, model.root, model.noise
    rank, n_features = basis.shape
    patterns, weights = rows.patterns, rows.weights
    expected = model.mean + model.coordinate_mean @ basis
    filled = torch.empty_like(rows.values)
    covariances = basis.new_empty(len(patterns), rank, rank)
    inside = basis.new_zeros(rank, rank)
    traces, log_likelihood = basis.new_empty(len(patterns)), 0.0
    eye = torch.eye(root.shape[1]).to(root)
    of_patterns = rows.pattern_weights
    for where, members in patterns.chunks(8 * rank * n_features):
        masks = patterns.masks[where]
        gram = (masks[:, None] * basis) @ basis.T
        precision = root.T @ gram @ root / v + eye
        factor = torch.linalg.cholesky(precision)
        log_determinants = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        half = torch.linalg.solve_triangular(
            factor, root.T.expand(len(masks), -1, -1), upper=False
        )
        covariance = half.mT @ half
        covariances[where] = covariance
        # Outside the observed entries, Q_g Q_g' is the rest of the identity.
        missing = torch.eye(rank).to(gram) - gram
        spread = missing @ covariance @ missing + v * missing
        inside += torch.einsum("p,pij->ij", of_patterns[where], spread)
        counts = masks.sum(1)
        of_noise = (n_features - counts) * v
        traces[where] = (covariance * missing).sum((1, 2)) + of_noise

        local = patterns.of_row[members] - where.start
        observed = masks[local]
        values = rows.values[members]
        innovations = (values - expected) * observed
        projected = innovations @ basis.T
        coordinates = torch.bmm(covariance[local], projected[:, :, None])[:, :, 0] / v
        fit = expected + coordinates @ basis
        filled[members] = torch.where(observed > 0, values, fit)
        residual = (values - fit) * observed
        misfit = (residual * innovations).sum(1) / v
        normaliser = counts[local] * math.log(2 * math.pi * v) + log_determinants[local]
        log_likelihood -= float(weights[members] @ (misfit + normaliser)) / 2
    return Expectation(log_likelihood, filled, covariances, inside, traces)


def maximise(
    rows: GappyRows, model: GaussianModel, found: Expectation, *, center: bool
) -> GaussianModel:
    """Return the model with the likeliest mean, coordinates and noise.

    The atoms stay. This is the M step of the EM algorithm for fixed atoms. If an
    eigenvalue of the covariance of the coordinates is below the noise, it is replaced
    by the noise.

    Notes
    -----
    Costs O(r T) per row.
    """
    basis, weights = model.basis, rows.weights
    rank, n_features = basis.shape
    total_weight = weights.sum()
    mean = weights @ found.filled / total_weight if center else model.mean
    centred = found.filled - mean
    coordinates = centred @ basis.T
    coordinate_mean = weights @ coordinates / total_weight
    second = (coordinates.T * weights) @ coordinates + found.inside
    second = second / total_weight
    squares = (centred**2).sum(1) + found.traces[rows.patterns.of_row]
    energy = float(weights @ squares / total_weight)
    noise = max(energy - float(second.trace()), 0.0) / max(1, n_features - rank)
    covariance = second - torch.outer(coordinate_mean, coordinate_mean)
    noise = max(noise, SMALLEST_NOISE * energy / n_features)
    return model.with_moments(mean, coordinate_mean, covariance, noise)


def expected_moments(
    rows: GappyRows, model: GaussianModel, found: Expectation
) -> Moments:
    """Return the moments that the complete rows are expected to have.

    Notes
    -----
    Costs O(n T^2), and O(r T^2) per pattern. With very many patterns, neighbours in the
    order of the numbers of their observed entries share the mean of their posterior
    covariances.
    """
    basis, patterns, weights = model.basis, rows.patterns, rows.weights
    n_features, device = basis.shape[1], basis.device
    moments = Moments(n_features, device, tails=False)
    moments.update(found.filled, as_array(weights))
    moments.dtype = np.dtype(rows.dtype)
    of_patterns = rows.pattern_weights
    missing = 1 - patterns.masks
    added = basis.new_zeros(n_features, n_features)
    added.diagonal().copy_(model.noise * (of_patterns @ missing))
    n_groups = max(1, int(_EXACT_COST / basis.numel() / n_features))
    if n_groups >= len(patterns):
        for weight, mask, covariance in zip(
            of_patterns, missing, found.covariances, strict=True
        ):
            entries = mask.nonzero()[:, 0]
            part = basis[:, entries]
            block = weight * (part.T @ covariance @ part)
            added[entries[:, None], entries] += block
    else:
        for group in torch.arange(len(patterns)).tensor_split(n_groups):
            weight, masks = of_patterns[group], missing[group]
            pairs = (masks.T * weight) @ masks
            mean = torch.einsum("p,pij->ij", weight, found.covariances[group])
            added += pairs * (basis.T @ (mean / weight.sum()) @ basis)
    moments.scatter.merge(DenseScatter.of_matrix((added + added.T) / 2))
    # The fourth moment of a row with the covariance V of its missing entries is about
    # that with the squared norm raised by the trace of V.
    centred = found.filled - moments.mean
    squares = (centred**2).sum(1) + found.traces[patterns.of_row]
    moments.fourth = float(weights @ squares**2)
    moments.third = (weights * squares) @ centred
    return moments
