"""The path of the data through one fit: samples to learned attributes."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skspectral._device import (
    Samples,
    as_array,
    as_tensor,
    numpy_dtype,
    working_dtype,
)
from skspectral._progress import CallbackMonitor
from skspectral._validation import (
    check_signal_shape,
    check_variance,
    check_windows,
)
from skspectral.coding import (
    coordinates_and_energy,
    orthonormal_axes,
)
from skspectral.dictionary.learning import Dictionary, LearningPlan, learn_dictionary
from skspectral.dictionary.projection import least_squares_map
from skspectral.dictionary.stochastic import Batches
from skspectral.dictionary.windows import (
    smooth_windows,
    span_axes,
    windowed_atoms,
    windowed_variance,
)
from skspectral.moments import Moments
from skspectral.planning import frequency_units, plan_learning
from skspectral.priors.protocol import as_prior, fit_prior
from skspectral.priors.synthesis import Synthesis
from skspectral.shrinkage import best_weight, lag_products, shrink_

_OF_ATOMS = (
    "frequencies_",
    "phases_",
    "amplitudes_",
    "wave_vectors_",
    "orientations_",
    "colors_",
)
# Residual variance of a feature below this share of the whole is rounding.
_NOISE_FLOOR = 1e-12


def learn_model(
    estimator: Any,
    samples: Samples,
    y: Any,
    weights: np.ndarray | None,
    prior: Any,
    *,
    earlier: dict[str, Any] | None,
    go_on: bool,
    device: torch.device,
    stream: np.random.Generator,
) -> dict[str, Any]:
    """Learned attributes of x = mean + w S + noise and of the prior, by name.

    Reads the parameters of the estimator, which is told the progress and named in
    errors; changes neither it nor the samples; fits the prior.

    Parameters
    ----------
    estimator : estimator instance
    samples : ndarray or tensor of shape (n, T)
    y : object
        For the prior.
    weights : ndarray of shape (n,) or None
    prior : object
        Unfitted.
    earlier : dict or None
        Moments of the rows that came before, which these are added to.
    go_on : bool
        Whether to start from the estimator's own atoms.
    device : torch.device
        Where to compute.
    stream : Generator
        Random numbers of the learning.
    """
    n_features, dtype = samples.shape[1], working_dtype(samples)
    plan = plan_learning(
        estimator,
        n_features,
        dtype,
        device,
        stream,
        go_on=go_on,
        in_pieces=earlier is not None,
    )
    if estimator.windows is not None:
        shape = check_signal_shape(estimator.signal_shape, n_features)
        check_windows(estimator.windows, shape, plan.n_atoms)
    monitor = CallbackMonitor(estimator)
    moments = _gather(estimator, samples, weights, earlier, device, monitor)
    mean = moments.mean if estimator.center else torch.zeros_like(moments.mean)

    shrunk = _ShrunkMoments.of(moments, estimator)
    C = shrunk.covariance()
    if not estimator.center:
        C.addr_(moments.mean, moments.mean)
    total = float(C.trace())
    # As shares of the whole, no scale of the data overflows.
    C /= total
    batches = None
    if plan.needs_samples:
        size = estimator.batch_size
        unit = total**-0.5
        batches = Batches(samples, weights, mean, unit, size, dtype, stream)
        plan = plan.in_units(unit)
    learned = learn_dictionary(C, plan, monitor, batches)
    attributes = _describe(learned, plan, total, estimator, numpy_dtype(dtype))
    if estimator.windows is not None:
        attributes |= _in_windows(attributes, C, total, estimator)
    del C

    # From the rounded atoms, so that they agree with the public attribute.
    atoms = as_tensor(attributes["components_"], device, torch.float64)
    if estimator.windows is None:
        attributes["_axes"] = as_array(orthonormal_axes(atoms))
    attributes |= {
        "mean_": as_array(mean, numpy_dtype(dtype)),
        "n_samples_seen_": moments.n_samples,
        "_code_map": as_array(least_squares_map(atoms, estimator.ridge)),
        "_moments": moments.as_arrays(),
        "shrinkage_": shrunk.weight,
        "prior_": prior,
    }

    with monitor.fitting("prior", prior):
        if as_prior(prior).capabilities.moments:
            _fit_from_moments(prior, attributes, shrunk)
        else:
            coordinates, _ = coordinates_and_energy(
                samples,
                attributes["mean_"],
                attributes["_axes"],
                batch_size=estimator.batch_size,
                device=device,
            )
            fit_prior(prior, coordinates, y, weights, _synthesis(estimator, attributes))
    monitor.close()
    return attributes


@dataclass(frozen=True)
class _ShrunkMoments:
    """Moments, and how far the covariance is shrunk: by no lags, not at all."""

    moments: Moments
    weight: float = 0.0
    lags: torch.Tensor | None = None

    @classmethod
    def of(cls, moments: Moments, estimator: Any) -> "_ShrunkMoments":
        """Choose what the estimator asks for."""
        weight = estimator.shrinkage
        if weight is None or weight == 0:
            return cls(moments)
        C = moments.covariance()
        lags = lag_products(C, check_signal_shape(estimator.signal_shape, len(C)))
        if weight == "auto":
            fourth = moments.fourth / moments.weight
            weight = best_weight(C, lags, fourth, moments.weight)
        return cls(moments, float(weight), lags if weight else None)

    def covariance(self) -> torch.Tensor:
        """Shrunk covariance, a new tensor each time: fewer are held at once."""
        C = self.moments.covariance()
        return C if self.lags is None else shrink_(C, self.lags, self.weight)


def _synthesis(estimator: Any, attributes: dict[str, Any]) -> Synthesis:
    axes, mean = attributes["_axes"], attributes["mean_"].astype(np.float64)
    return Synthesis(axes, mean, check_signal_shape(estimator.signal_shape, len(mean)))


def _fit_from_moments(
    prior: Any, attributes: dict[str, Any], shrunk: _ShrunkMoments
) -> None:
    moments = shrunk.moments
    covariance = None if shrunk.lags is None else shrunk.covariance()
    axes, mean = attributes["_axes"], attributes["mean_"]
    prior.fit_moments(*moments.project(axes, mean, covariance), moments.weight)


def _gather(
    estimator: Any,
    samples: Samples,
    weights: np.ndarray | None,
    earlier: dict[str, Any] | None,
    device: torch.device,
    monitor: CallbackMonitor,
) -> Moments:
    """Moments of these rows, and of the earlier ones."""
    tails = estimator.shrinkage == "auto"
    moments = Moments(samples.shape[1], device, tails=tails)
    batch_size = estimator.batch_size
    passed = monitor.stage("moments", moments.n_batches(samples, batch_size))
    moments.update(samples, weights, batch_size=batch_size, on_batch=passed)
    if earlier is not None:
        # This way round, so that the earlier ones stay as they are.
        moments.merge(Moments.from_arrays(earlier, device))
    check_variance(samples, moments, estimator)
    return moments


def _describe(
    learned: Dictionary,
    plan: LearningPlan,
    total: float,
    estimator: Any,
    dtype: type[np.floating],
) -> dict[str, Any]:
    """The dictionary in public units; ``total`` is the variance of the data."""
    n_atoms, n_features = learned.components.shape
    waves, axes = learned.waves, plan.model.axes
    vectors = as_array(waves.frequency) * frequency_units(estimator, axes)
    attributes = {
        "components_": as_array(learned.components, dtype),
        "frequencies_": np.linalg.norm(vectors, axis=1),
        "phases_": as_array(waves.phase),
        "amplitudes_": as_array(learned.amplitude),
        "explained_variance_ratio_": as_array(learned.variance),
        "noise_variance_": _noise(
            total, float(learned.variance.sum()), n_features, n_atoms
        ),
        "history_": _history(learned, plan, total),
        "n_iter_": max(1, learned.n_steps),
        "converged_": learned.converged,
        "_stopped": learned.stopped,
        "_learned": {
            "n_features": n_features,
            "sizes": axes.sizes,
            "form": plan.model.form,
            "params": as_array(learned.params),
            "frequency": as_array(waves.frequency),
            "phase": as_array(waves.phase),
            "colour": as_array(waves.colour),
        },
    }
    if len(axes.sizes) == 2:
        attributes |= {
            "wave_vectors_": vectors,
            "orientations_": np.arctan2(vectors[:, 0], vectors[:, 1]) % np.pi,
            "colors_": as_array(waves.colour),
        }
    return attributes


def _noise(total: float, explained: float, n_features: int, rank: int) -> float:
    """Mean variance of the dimensions outside the span, for shares of the whole."""
    left = max(0.0, 1 - explained)
    return total * max(left / max(1, n_features - rank), _NOISE_FLOOR / n_features)


def _in_windows(
    attributes: dict[str, Any], C: torch.Tensor, total: float, estimator: Any
) -> dict[str, Any]:
    """The attributes that change where each atom has a code in each window."""
    shape = check_signal_shape(estimator.signal_shape, len(C))
    windows, centers = smooth_windows(shape, check_windows(estimator.windows, shape))
    components = attributes["components_"]
    whole = as_tensor(components, C.device, torch.float64)
    components = as_array(
        windowed_atoms(whole, as_tensor(windows, C.device)), components.dtype.type
    )
    atoms = as_tensor(components, C.device, torch.float64)
    axes, kept = span_axes(atoms)
    variance = windowed_variance(axes, kept, len(atoms), C)
    of_atoms = {
        name: np.repeat(attributes[name], len(windows), axis=0)
        for name in _OF_ATOMS
        if name in attributes
    }
    return of_atoms | {
        "components_": components,
        "_axes": as_array(axes),
        "explained_variance_ratio_": variance,
        "noise_variance_": _noise(total, variance.sum(), len(C), len(axes)),
        "window_centers_": np.tile(centers, (len(whole), 1)),
    }


def _history(learned: Dictionary, plan: LearningPlan, total: float) -> dict[str, Any]:
    """Errors of a sample after each step, in the units of the data."""
    steps = learned.history
    squared = np.array([step.squared_error for step in steps])
    stft = np.array([step.stft_error for step in steps])
    weight = 0.0 if plan.spectral is None else plan.spectral.weight
    return {
        "stage": np.array([step.stage for step in steps]),
        "loss": total * (squared + weight * np.nan_to_num(stft)),
        "squared_error": total * squared,
        "stft_error": total**0.5 * stft,
    }
