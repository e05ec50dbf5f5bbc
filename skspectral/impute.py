"""Missing entries of samples, given the others."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor, batch_rows
from skspectral._random import draw_seed
from skspectral._validation import NonFiniteError
from skspectral.denoise import mixture_or_ridge
from skspectral.gaussian import LinearObservation, Mixture, Posterior
from skspectral.gaussian.observation import rows_by_missing_entries
from skspectral.model import LinearModel
from skspectral.priors import Prior
from skspectral.priors.protocol import draw

# Rows with the same entries missing that are filled at a time.
_BATCH_BYTES = 64 * 2**20
# So many are drawn at a time, whatever memory there is: the draws are to be the same.
_ROWS_DRAWN = 64


def impute(
    model: LinearModel,
    prior: Prior,
    X: np.ndarray,
    *,
    return_std: bool,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray | None:
    """Fill the missing entries of X, NaN, with their posterior mean, in place.

    With a prior that is not made of Gaussians, ridge codes take its place. Returns, if
    ``return_std``, the standard deviations of the missing entries with their noise, (n,
    T), and 0 for the others.

    Raises
    ------
    TypeError
        If ``return_std`` and the prior is not made of Gaussians.
    """
    mixture = mixture_or_ridge(model, prior, "impute with return_std" * return_std)
    std = np.zeros_like(X) if return_std else None
    # Each component has coordinates of its own.
    n_numbers = max(X.shape[1], len(mixture) * model.rank)
    n_bytes = _BATCH_BYTES * X.shape[1] // n_numbers
    n_rows = batch_rows(X, batch_size, n_bytes, device)
    for entries, posterior, mean, basis in _gaps(model, mixture, X, device, n_rows):
        X[entries] = mean + posterior.mean(basis)
        if std is not None:
            std[entries] = np.sqrt(posterior.variance(basis) + model.noise_variance)
    if not np.isfinite(X).all():
        raise NonFiniteError("The squares of X overflow. Scale X down.")
    return std


def sample_posterior(
    model: LinearModel,
    prior: Prior,
    X: np.ndarray,
    n_samples: int,
    rng: np.random.Generator,
    *,
    device: torch.device,
) -> np.ndarray:
    """Draws of X with its gaps filled, noise included, (n_samples, n, T).

    Parameters are those of `impute`.

    Raises
    ------
    TypeError
        If the prior is not made of Gaussians and has no ``sample_given``.
    """
    prior.require("conditioning", "sample_posterior")
    draws = np.repeat(X[None], n_samples, axis=0)
    if not prior.capabilities.gaussians:
        _fill_by_prior(model, prior, draws, rng)
        return draws
    for entries, posterior, mean, basis in _gaps(
        model, prior.mixture(), X, device, _ROWS_DRAWN
    ):
        drawn = posterior.draw(n_samples, rng, basis, model.noise_variance)
        draws[:, *entries] = mean + drawn
    return draws


def _fill_by_prior(
    model: LinearModel, prior: Prior, draws: np.ndarray, rng: np.random.Generator
) -> None:
    """Fill each of several draws (n_samples, n, T) by the prior's own method."""
    mean, _, basis = model.float64()
    noise_variance = model.noise_variance
    # Draws of the prior have the share of the noise that is in the span.
    rest = np.sqrt(noise_variance * (1 - len(basis) / len(mean)))
    flat = draws.reshape(-1, draws.shape[-1])
    for rows, missing in rows_by_missing_entries(np.isnan(flat)):
        there = ~missing
        if there.any():
            coordinates = prior.sample_given(
                basis[:, there].T,
                flat[rows][:, there] - mean[there],
                len(rows),
                noise_variance=noise_variance,
                random_state=draw_seed(rng),
            )
        else:
            coordinates = draw(prior, len(rows), len(basis), None, rng)
        noise = rng.standard_normal((len(rows), missing.sum()))
        filled = coordinates @ basis[:, missing] + mean[missing]
        flat[np.ix_(rows, missing)] = filled + rest * noise


def _gaps(
    model: LinearModel,
    mixture: Mixture,
    X: np.ndarray,
    device: torch.device,
    n_rows: int,
) -> Iterator[tuple[Any, Posterior, np.ndarray, torch.Tensor]]:
    """Missing entries, posterior of the coordinates, mean and basis there."""
    noise, mean = model.noise_variance, as_array(model.mean, np.float64)
    clean = mixture.without_noise(noise)
    # Entry by entry, so that those of a pattern are taken in whole rows.
    by_entry = as_tensor(model.basis, device, torch.float64).T.contiguous()
    for rows, missing in rows_by_missing_entries(np.isnan(X)):
        there, gone = np.flatnonzero(~missing), np.flatnonzero(missing)
        of_there, of_gone = (
            by_entry[torch.from_numpy(entries).to(device)] for entries in (there, gone)
        )
        observation = LinearObservation(of_there, noise, device).factorise(clean)
        for start in range(0, len(rows), n_rows):
            batch = rows[start : start + n_rows]
            observed = X[np.ix_(batch, there)].astype(np.float64) - mean[there]
            posterior = observation.condition(observed)
            yield np.ix_(batch, gone), posterior, mean[gone], of_gone.T
