"""The path of the data through one fit: samples to learned attributes."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor, numpy_dtype, working_dtype
from skspectral._progress import CallbackMonitor
from skspectral._validation import check_variance
from skspectral.coding import (
    coordinates_and_energy,
    least_squares_map,
    orthonormal_axes,
)
from skspectral.dictionary.learning import Dictionary, LearningPlan, learn_dictionary
from skspectral.moments import Moments
from skspectral.priors.protocol import fit_prior, fits_from_moments

# Residual variance below this share of the whole is rounding.
_NOISE_FLOOR = 1e-12


def learn_model(
    samples: np.ndarray,
    y: Any,
    weights: np.ndarray | None,
    plan: LearningPlan,
    prior: Any,
    *,
    center: bool,
    sampling_rate: float | None,
    batch_size: int | None,
    device: torch.device,
    estimator: Any,
) -> dict[str, Any]:
    """Learned attributes of x = mean + w S + noise and of the prior, by name.

    Changes neither the estimator, which is told the progress and named in errors, nor
    the samples; fits the prior.
    """
    monitor = CallbackMonitor(estimator)
    moments = Moments(samples.shape[1], device)
    n_batches = moments.n_batches(samples, batch_size)
    moments.update(
        samples,
        weights,
        batch_size=batch_size,
        on_batch=monitor.stage("moments", n_batches),
    )
    check_variance(samples, moments, estimator)

    C = moments.second_moment(center)
    total = float(C.trace())
    # As shares of the whole, no scale of the data overflows.
    C /= total
    learned = learn_dictionary(C, plan, monitor)
    del C
    dtype = numpy_dtype(working_dtype(samples))
    attributes = _describe(learned, total, sampling_rate, dtype)

    mean = moments.mean if center else torch.zeros_like(moments.mean)
    # From the rounded atoms, so that they agree with the public attribute.
    atoms = as_tensor(attributes["components_"], device, torch.float64)
    attributes |= {
        "mean_": as_array(mean, dtype),
        "n_samples_seen_": moments.n_samples,
        "_code_map": as_array(least_squares_map(atoms, plan.settings.ridge)),
        "_axes": as_array(orthonormal_axes(atoms)),
        "prior_": prior,
    }

    fitted = monitor.stage("prior", 1)
    mean_, axes = attributes["mean_"], attributes["_axes"]
    if fits_from_moments(prior):
        prior.fit_moments(*moments.project(axes, mean_))
    else:
        coordinates, _ = coordinates_and_energy(
            samples, mean_, axes, batch_size=batch_size, device=device
        )
        fit_prior(prior, coordinates, y, weights)
    fitted()
    monitor.close()
    return attributes


def _describe(
    learned: Dictionary,
    total: float,
    sampling_rate: float | None,
    dtype: type[np.floating],
) -> dict[str, Any]:
    """The dictionary in public units; ``total`` is the variance of the data."""
    n_atoms, n_features = learned.components.shape
    unit = 1.0 if sampling_rate is None else sampling_rate / n_features
    left = max(0.0, 1 - float(learned.variance.sum()))
    noise = max(left / max(1, n_features - n_atoms), _NOISE_FLOOR / n_features)
    stages, losses = zip(*learned.history, strict=True)
    return {
        "components_": as_array(learned.components, dtype),
        "frequencies_": as_array(learned.frequency) * unit,
        "phases_": as_array(learned.phase),
        "amplitudes_": as_array(learned.amplitude),
        "explained_variance_ratio_": as_array(learned.variance),
        "noise_variance_": total * noise,
        "history_": {"stage": np.array(stages), "loss": total * np.array(losses)},
        "n_iter_": max(1, len(losses) - 1),
        "converged_": learned.converged,
        "_stopped": learned.stopped,
    }
