"""Scores of a fitted model on other rows, of which only the moments are known."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral.covariance import ModelCovariance
from skspectral.model import LinearModel
from skspectral.moments.moments import Moments
from skspectral.priors import Prior


def mean_log_density(model: LinearModel, prior: Prior, moments: Moments) -> float:
    """Return the mean log-density of rows with given moments, in nats.

    Raises
    ------
    TypeError
        If the prior is not a single Gaussian, so that the density is not a function of
        the moments.
    """
    prior.require("gaussians", "score_moments")
    if len(prior.mixture().components) > 1:
        raise TypeError(
            f"score_moments needs a prior that is one Gaussian, but {prior.name} has "
            f"{len(prior.mixture().components)} components, whose likelihood is no "
            "function of the moments. Call score with the rows."
        )
    mean, _, basis = model.float64()
    of_coordinates = moments.project(basis, mean)
    covariance = ModelCovariance.of(model, prior, "score_moments")
    energy = _variance(moments) + _squared_gap(moments, mean)
    return covariance.mean_log_density(*of_coordinates, energy)


def explained_variance(model: LinearModel, moments: Moments) -> float:
    """Return the fraction of the variance of rows that their reconstructions explain.

    The reconstructions are those by ridge least-squares codes. The fraction is that of
    `skspectral.metrics.explained_variance`, computed from the moments of the rows.
    """
    mean, components, _ = model.float64()
    code_map = as_array(model.code_map, np.float64)
    # With y = x - mean of the model, M = E y y', codes W y and atoms S, the mean of
    # ||y - S' W y||^2 is tr M - 2 tr(S M W') + tr(W M W' S S').
    both = np.concatenate([code_map, components])
    shift, covariance = moments.project(both, mean)
    second = covariance + np.outer(shift, shift)
    K = len(code_map)
    of_codes, crossed = second[:K, :K], second[K:, :K]
    gram = components @ components.T
    variance = _variance(moments)
    energy = variance + _squared_gap(moments, mean)
    error = energy - 2 * float(np.trace(crossed)) + float((of_codes * gram).sum())
    return 1 - error / variance


def _variance(moments: Moments) -> float:
    """Return the sum of the variances of all features."""
    return moments.covariance().trace()


def _squared_gap(moments: Moments, mean: np.ndarray) -> float:
    """Return the squared distance of the mean of the rows from another mean."""
    gap = moments.mean - as_tensor(mean, moments.mean.device, torch.float64)
    return float(gap @ gap)
