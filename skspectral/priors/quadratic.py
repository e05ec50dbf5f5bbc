"""Expectation step of a mixture of Gaussians for many rows, by products of coordinates.

The log-density of a Gaussian is linear in the coordinates x_i of a row and in their
products x_i x_j. These are the quadratic features of the row. One matrix product of the
features with the coefficients of all Gaussians gives all densities. A second product,
of the features with the responsibilities, gives the moments of all components.
"""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import as_array, as_tensor, resolve_device
from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors.components import Moments

# The features of this many rows, or of rows with this many features in total, are held
# in memory at a time. The products are inefficient for fewer rows than the least.
_ENTRIES, _LEAST_ROWS, _MOST_ROWS = 2**22, 128, 8192
# Logarithms of ratios are raised to this value. The exponentials of smaller float32
# numbers are denormal, and arithmetic with denormal numbers is slow.
_LOG_LEAST = -80.0


def expect_by_features(
    X: np.ndarray,
    sample_weight: np.ndarray,
    mixture: Mixture,
    negligible: float,
    dtype: torch.dtype,
) -> tuple[list[Moments], float]:
    """Return the moments of the components, and the weighted sum of log-densities.

    Rows X (n, K) with sample weights (n,) belong to the components of the mixture with
    their responsibilities. Responsibilities of at most ``negligible`` are neglected.
    The products are computed in the type ``dtype``, and their sums in float64. See
    `condition` for the rounding errors.
    """
    (n_rows, n_codes), n_parts = X.shape, len(mixture)
    device, n_products = resolve_device(None), n_codes * (n_codes + 1) // 2
    n_features = n_products + n_codes
    linear, constants = (
        as_tensor(array, device, dtype) for array in _coefficients(mixture)
    )
    # Weights relative to the largest one cannot become denormal float32 numbers.
    largest = sample_weight.max()
    relative = as_tensor(sample_weight / largest, device, dtype)
    n_chunk = min(max(_ENTRIES // n_features, _LEAST_ROWS), _MOST_ROWS, n_rows)
    memory = torch.empty(n_features * n_chunk, dtype=dtype, device=device)
    product = torch.empty((n_features, n_parts), dtype=dtype, device=device)
    sums = torch.zeros((n_features, n_parts), dtype=torch.float64, device=device)
    counts = torch.zeros(n_parts, dtype=torch.float64, device=device)
    total = 0.0
    for start in range(0, n_rows, n_chunk):
        rows = slice(start, min(start + n_chunk, n_rows))
        x = as_tensor(X[rows].T, device, dtype)
        features = memory[: n_features * x.shape[1]].view(n_features, -1)
        _fill(features, x)
        joint = torch.addmm(constants, linear, features)
        density = _normalise(joint)
        total += float(sample_weight[rows] @ as_array(density, np.float64))
        torch.threshold_(joint, negligible, 0.0)
        joint *= relative[rows]
        counts += joint.sum(1, dtype=torch.float64)
        sums += torch.mm(features, joint.T, out=product)
    moments = _moments(largest * as_array(counts), largest * as_array(sums), mixture)
    return moments, total


def condition(mixture: Mixture) -> float:
    """Return the factor by which this module amplifies rounding errors.

    The error of the log-density of a component, at its typical samples, is about this
    number times the relative precision of the arithmetic. The relative error of the
    smallest variance of its covariance is at most as large. The number is the largest
    ratio, over all components, of the mean squared distance of samples from the origin
    to the smallest variance.
    """
    floor, ratios = mixture.floor, []
    for part in mixture.components:
        outside = part.rest * (len(part.mean) - len(part.values))
        squared = part.mean @ part.mean + part.values.sum() + outside
        ratios.append(squared / max(part.smallest_variance, floor))
    return float(max(ratios))


def _coefficients(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of the features (M, n_features), and constants (M, 1).

    They give the logarithm of the weight times the density of each component.
    """
    n_codes, floor = len(mixture.components[0].mean), mixture.floor
    upper = np.triu_indices(n_codes)
    # A product x_i x_j stands for the two entries (i, j) and (j, i) of the precision.
    factors = np.where(upper[0] == upper[1], -0.5, -1.0)
    n_features = len(factors) + n_codes
    linear = np.empty((len(mixture), n_features))
    constants = np.empty((len(mixture), 1))
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.weights)
    for k, part in enumerate(mixture.components):
        precision, log_determinant = _precision(part, floor)
        along = precision @ part.mean
        linear[k, : len(factors)] = factors * precision[upper]
        linear[k, len(factors) :] = along
        misfit = log_determinant + part.mean @ along + n_codes * np.log(2 * np.pi)
        constants[k] = log_weights[k] - 0.5 * misfit
    return linear, constants


def _precision(part: Gaussian, floor: float) -> tuple[np.ndarray, float]:
    """Return the inverse of a covariance whose variances are raised to the floor.

    The second result is the log-determinant of the covariance.
    """
    n_codes, rank = part.vectors.shape
    values, rest = np.maximum(part.values, floor), max(part.rest, floor)
    outside = 1 / rest if rank < n_codes else 0.0
    precision = (part.vectors * (1 / values - outside)) @ part.vectors.T
    precision.flat[:: n_codes + 1] += outside
    return precision, np.log(values).sum() + (n_codes - rank) * np.log(rest)


def _fill(features: torch.Tensor, x: torch.Tensor) -> None:
    """Write the features of rows, which are the columns of x (K, n), into memory.

    Slices are multiplied, because gathering pairs of coordinates is much slower.
    """
    start = 0
    for i in range(len(x)):
        stop = start + len(x) - i
        torch.mul(x[i:], x[i], out=features[start:stop])
        start = stop
    features[start:] = x


def _normalise(joint: torch.Tensor) -> torch.Tensor:
    """Turn joint log-densities (M, n) into responsibilities, in place.

    The log-densities of the rows (n,) are returned.
    """
    top = joint.amax(0)
    joint.sub_(top).clamp_(min=_LOG_LEAST).exp_()
    total = joint.sum(0)
    joint.div_(total)
    return total.log_().add_(top)


def _moments(counts: np.ndarray, sums: np.ndarray, mixture: Mixture) -> list[Moments]:
    """Return the moments of the components about their means.

    ``counts`` (M,) are sums of responsibilities, and ``sums`` (n_features, M) are sums
    of features that are weighted by responsibilities.
    """
    n_codes = len(mixture.components[0].mean)
    rows, columns = np.triu_indices(n_codes)
    moments = []
    for weight, summed, part in zip(
        counts, np.ascontiguousarray(sums.T), mixture.components, strict=True
    ):
        raw, products = summed[len(rows) :], np.empty((n_codes, n_codes))
        products[rows, columns] = products[columns, rows] = summed[: len(rows)]
        first = raw - weight * part.mean
        # sum r (x - m)(x - m)' = sum r x x' - m (sum r x)' - (sum r (x - m)) m'
        second = products - np.outer(part.mean, raw) - np.outer(first, part.mean)
        moments.append(Moments(part.mean, float(weight), first, second))
    return moments
