"""Imputation: the posterior of missing entries, given the observed entries."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from skspectral._device import as_array, as_tensor, batch_rows
from skspectral._random import draw_seed
from skspectral._validation import NonFiniteError
from skspectral.denoise import mixture_or_ridge
from skspectral.gaussian import Mixture, Posterior
from skspectral.gaussian.observation import rows_by_missing_entries
from skspectral.likelihood import posteriors_of_gaps
from skspectral.model import LinearModel
from skspectral.priors import Prior
from skspectral.priors.protocol import draw

# Memory for the rows that are filled at a time, which miss the same entries.
_BATCH_BYTES = 64 * 2**20
# Number of rows whose missing entries are drawn at a time. It does not depend on the
# free memory, so that the same seed gives the same draws on every machine.
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
    """Replace the missing entries (NaN) of X by their posterior mean, in place.

    If the prior is not made of Gaussians, the entries are those of the reconstruction
    from ridge codes. With ``return_std``, the posterior standard deviations are
    returned, (n, T), noise included; they are 0 for observed entries.

    Raises
    ------
    TypeError
        If ``return_std`` is True and the prior is not made of Gaussians.
    """
    mixture = mixture_or_ridge(model, prior, "impute with return_std" * return_std)
    std = np.zeros_like(X) if return_std else None
    # A row needs memory for its entries, and for its coordinates in each component.
    n_numbers = max(X.shape[1], len(mixture) * model.rank)
    n_bytes = _BATCH_BYTES * X.shape[1] // n_numbers
    n_rows = batch_rows(X, batch_size, n_bytes, device)
    for entries, posterior, mean, basis in _posteriors(
        model, mixture, X, device, n_rows
    ):
        X[entries] = mean + posterior.mean(basis)
        if std is not None:
            std[entries] = np.sqrt(posterior.variance(basis) + model.noise_variance)
    if not np.isfinite(X).all():
        raise NonFiniteError(
            "The squares of X overflow. Remove rows with values that large, or scale "
            "the data down before fit."
        )
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
    """Return draws of X with its missing entries drawn, shape (n_samples, n, T).

    The drawn entries contain noise. The parameters are those of `impute`.

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
    for entries, posterior, mean, basis in _posteriors(
        model, prior.mixture(), X, device, _ROWS_DRAWN
    ):
        drawn = posterior.draw(n_samples, rng, basis, model.noise_variance)
        draws[:, *entries] = mean + drawn
    return draws


def _fill_by_prior(
    model: LinearModel, prior: Prior, draws: np.ndarray, rng: np.random.Generator
) -> None:
    """Fill draws (n_samples, n, T) in place by ``sample_given`` of the prior."""
    mean, _, basis = model.float64()
    noise_variance = model.noise_variance
    # Draws of the prior contain the noise inside the span. Noise outside the span is
    # added to each entry, with its mean variance.
    outside_std = np.sqrt(noise_variance * (1 - len(basis) / len(mean)))
    flat = draws.reshape(-1, draws.shape[-1])
    for rows, missing in rows_by_missing_entries(np.isnan(flat)):
        observed = ~missing
        if observed.any():
            coordinates = prior.sample_given(
                basis[:, observed].T,
                flat[rows][:, observed] - mean[observed],
                len(rows),
                noise_variance=noise_variance,
                random_state=draw_seed(rng),
            )
        else:
            coordinates = draw(prior, len(rows), len(basis), None, rng)
        noise = rng.standard_normal((len(rows), missing.sum()))
        filled = coordinates @ basis[:, missing] + mean[missing]
        flat[np.ix_(rows, missing)] = filled + outside_std * noise


def _posteriors(
    model: LinearModel,
    mixture: Mixture,
    X: np.ndarray,
    device: torch.device,
    n_rows: int,
) -> Iterator[tuple[Any, Posterior, np.ndarray, torch.Tensor]]:
    """Iterate over batches of rows that miss the same entries.

    Yields the index of the missing entries in X, the posterior of the coordinates, and
    the mean and the basis at the missing entries.
    """
    mean = as_array(model.mean, np.float64)
    basis = as_tensor(model.basis, device, torch.float64)
    for rows, missing, posterior in posteriors_of_gaps(
        model, mixture, X, device, n_rows
    ):
        of_missing = basis[:, torch.from_numpy(missing).to(device)]
        yield np.ix_(rows, missing), posterior, mean[missing], of_missing
