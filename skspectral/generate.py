"""New signals from the prior, given linear measurements of them."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from skspectral._random import draw_seed
from skspectral.gaussian.observation import least_change
from skspectral.model import LinearModel
from skspectral.priors import Prior

# An operator is inside the span of the atoms if the part outside has less than this
# fraction of its squared norm, which is rounding.
_ROUNDING = 1e-12


def sample_given(
    model: LinearModel,
    prior: Prior,
    operator: np.ndarray,
    observed: np.ndarray,
    n_samples: int,
    noise_variance: float,
    y: Any,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw signals for which noisy linear measurements are given.

    Parameters
    ----------
    model : LinearModel
        The fitted model.
    prior : Prior
        The fitted prior.
    operator : ndarray of shape (m, T)
        Matrix of the measurements ``operator @ signal``.
    observed : ndarray of shape (m,) or (n_samples, m)
        Measured values, the same for all draws or one row per draw.
    n_samples : int
        Number of draws.
    noise_variance : float
        Variance of white noise in ``observed``.
    y : object
        Label of the draws, or None.
    rng : Generator
        Random numbers.

    Returns
    -------
    coordinates : ndarray of shape (n_samples, r)
        Coordinates of the draws.
    change : ndarray of shape (n_samples, T) or None
        Change to add to the signals of the coordinates, so that they agree with
        measurements outside the span of the atoms. None if no measurement is outside.

    Raises
    ------
    TypeError
        If the prior does not condition on linear functions.
    """
    mean, _, basis = model.float64()
    values = observed - operator @ mean
    inside = operator @ basis.T
    outside = operator - inside @ basis
    in_span = (outside**2).sum() <= _ROUNDING * (operator**2).sum()
    noise: float | np.ndarray = noise_variance
    if not in_span:
        # Outside the span of the atoms the model has only noise.
        noise = model.noise_variance * (outside @ outside.T)
        noise = noise + noise_variance * np.eye(len(operator))
    coordinates = prior.sample_given(
        inside,
        values,
        n_samples,
        noise_variance=noise,
        y=y,
        random_state=draw_seed(rng),
    )
    if in_span:
        return coordinates, None
    residual = values - coordinates @ inside.T
    ratio = noise_variance / model.noise_variance
    return coordinates, least_change(outside, residual, ratio)
