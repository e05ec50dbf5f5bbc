"""Missing entries of samples, given the others."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor, batch_rows
from skspectral._validation import NonFiniteError
from skspectral.conditional import Conditional, PartlySeen, patterns
from skspectral.denoise import mixture_or_ridge
from skspectral.model import LinearModel
from skspectral.priors.normal import Mixture
from skspectral.priors.protocol import draw, draw_known

# Rows with the same entries missing that are filled at a time.
_BATCH_BYTES = 64 * 2**20
# So many are drawn at a time, whatever memory there is: the draws are to be the same.
_ROWS_DRAWN = 64


def impute(
    model: LinearModel,
    prior: Any,
    X: np.ndarray,
    *,
    return_std: bool,
    device: torch.device,
    batch_size: int | None = None,
) -> np.ndarray | None:
    """Fill missing entries with their posterior mean, in place.

    Parameters
    ----------
    model : LinearModel
    prior : object
        Fitted. Without a closed form ridge codes take its place.
    X : ndarray of shape (n, T)
        NaN marks a missing entry.
    return_std : bool
        Whether to return standard deviations.

    Returns
    -------
    std : ndarray of shape (n, T) or None
        Of the missing entries with their noise; 0 for the others.

    Raises
    ------
    TypeError
        If ``return_std`` and the prior is not made of Gaussians.
    """
    mixture = mixture_or_ridge(model, prior, needed=return_std)
    std = np.zeros_like(X) if return_std else None
    # Each component has coordinates of its own.
    n_numbers = max(X.shape[1], len(mixture) * model.rank)
    n_bytes = _BATCH_BYTES * X.shape[1] // n_numbers
    n_rows = batch_rows(X, batch_size, n_bytes, device)
    for rows, missing, posterior, seen in _gaps(model, mixture, X, device, n_rows):
        mean, variance = posterior.mean_and_variance(seen, with_variance=return_std)
        X[np.ix_(rows, missing)] = as_array(mean)
        if std is not None and variance is not None:
            std[np.ix_(rows, missing)] = as_array(variance.sqrt())
    if not np.isfinite(X).all():
        raise NonFiniteError("The squares of X overflow. Scale X down.")
    return std


def sample_posterior(
    model: LinearModel,
    prior: Any,
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
    by_itself = hasattr(prior, "sample_given")
    mixture = [] if by_itself else mixture_or_ridge(model, prior, needed=True)
    draws = np.repeat(X[None], n_samples, axis=0)
    if by_itself:
        _fill_by_prior(model, prior, draws, rng)
        return draws
    for rows, missing, posterior, seen in _gaps(model, mixture, X, device, _ROWS_DRAWN):
        drawn = posterior.draw(seen, n_samples, rng)
        draws[:, rows[:, None], missing] = as_array(drawn)
    return draws


def _fill_by_prior(
    model: LinearModel, prior: Any, draws: np.ndarray, rng: np.random.Generator
) -> None:
    """Fill each of several draws (n_samples, n, T) by the prior's own method."""
    mean, _, basis = model.float64()
    noise_variance = model.noise_variance
    # Draws of the prior have the share of the noise that is in the span.
    rest = np.sqrt(noise_variance * (1 - len(basis) / len(mean)))
    flat = draws.reshape(-1, draws.shape[-1])
    for rows, missing in patterns(np.isnan(flat)):
        there = ~missing
        if there.any():
            seen = flat[rows][:, there] - mean[there]
            args = len(rows), noise_variance, None, rng
            coordinates = draw_known(prior, basis[:, there].T, seen, *args)
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
) -> Iterator[tuple[np.ndarray, np.ndarray, Conditional, torch.Tensor]]:
    """Rows, what they miss, its posterior, and the entries seen: batch by batch."""
    noise = model.noise_variance
    clean = [(weight, normal.without_noise(noise)) for weight, normal in mixture]
    partly = PartlySeen(model.mean, model.basis, clean, noise, device)
    for rows, missing in patterns(np.isnan(X)):
        posterior = partly.given(~missing)
        for start in range(0, len(rows), n_rows):
            batch = rows[start : start + n_rows]
            seen = as_tensor(X[batch][:, ~missing], device, torch.float64)
            yield batch, np.flatnonzero(missing), posterior, seen
